"""Extensions from one end to the other: what a sender says goes on, and what the next server says is kept to."""
import pytest

from lib.fake_server import KEYWORDS
from lib.messages import message
from lib.world import World, id_of

KEYWORD, OTHER = "net.example:ADV", "org.example:ADV:ADLT"


@pytest.fixture(scope="module")
def world():
    with World(settings={"no_soliciting": [KEYWORD]}) as made:
        yield made


def submit(world, source, recipients, data, parameters=""):
    with world.server.talk("internal", source) as client:
        client.ehlo()
        return id_of(client.mail("coco@example.test", recipients, data, parameters))


@pytest.mark.parametrize("parameters, fields", [(f"SOLICIT={OTHER}", ""), ("", f"Solicitation: {OTHER}\r\n"),
                                                (f"SOLICIT={OTHER}", f"Solicitation: {OTHER}\r\n")], ids=["with MAIL", "in the header", "both"])
def test_solicitation_keywords_stand_in_the_trace_field_and_go_on(world, source, marker, parameters, fields):
    """RFC 3865 2.5 to 2.7"""
    sink = world.exchanger(ehlo=[*KEYWORDS, "NO-SOLICITING"])
    other = world.exchanger()
    recipients = [f"friend@{world.domain([10, one])}" for one in (sink, other)]
    mail_id = submit(world, source, recipients, message(marker, fields=fields), parameters)
    world.parcels(mail_id, "delivered")
    assert f"SOLICIT={OTHER}" in sink.messages[0].parameters.split()
    assert f"with ESMTP (SOLICIT={OTHER})\r\n\tid {mail_id}".encode() in sink.messages[0].data
    assert "SOLICIT" not in other.messages[0].parameters and not other.faults and not sink.faults


def test_a_list_is_sent_in_as_many_transactions_as_the_server_wants(world, source, marker):
    """RFC 9422 4.2"""
    sink = world.exchanger(ehlo=[*KEYWORDS, "LIMITS RCPTMAX=2"])
    domain = world.domain([10, sink])
    recipients = [f"friend{number}@{domain}" for number in range(5)]
    mail_id = submit(world, source, recipients, message(marker))
    assert len(world.parcels(mail_id, "delivered")) == 5
    assert [len(one.recipients) for one in sink.messages] == [2, 2, 1]
    assert sorted(address for one in sink.messages for address in one.recipients) == recipients
    assert len(sink.sessions) == 1


def test_a_server_that_wants_one_message_a_connection_gets_one(world, source, marker):
    sink = world.exchanger(ehlo=[*KEYWORDS, "LIMITS MAILMAX=1"])
    domain = world.domain([10, sink])
    for number in range(3):
        world.parcels(submit(world, source, f"friend@{domain}", message(f"{marker}-{number}")), "delivered")
    assert len(sink.messages) == 3 and len(sink.sessions) == 3


@pytest.mark.parametrize("limits, sessions", [("RCPTMAX=2 MAILMAX=1", [[2], [2], [2], [1]]), ("RCPTMAX=2 MAILMAX=3", [[2, 2, 2], [1]])])
def test_a_list_goes_over_as_many_connections_as_the_server_wants(world, source, marker, limits, sessions):
    """RFC 9422: at once, where those whom the first connection did not take waited for their next attempt."""
    sink = world.exchanger(ehlo=[*KEYWORDS, f"LIMITS {limits}"])
    domain = world.domain([10, sink])
    recipients = [f"friend{number}@{domain}" for number in range(7)]
    mail_id = submit(world, source, recipients, message(marker))
    assert len(world.parcels(mail_id, "delivered", "deferred")) == 7
    assert {row["state"] for row in world.server.wait_parcels(mail_id, "delivered")} == {"delivered"}
    assert [len(one.recipients) for one in sink.messages] == [count for session in sessions for count in session]
    assert sorted(address for one in sink.messages for address in one.recipients) == recipients
    assert len(sink.sessions) == len(sessions) and len(world.attempts(mail_id)) == 7


def test_a_connection_that_cannot_be_made_for_the_rest_of_a_list_puts_that_off(world, source, marker):
    sink = world.exchanger(ehlo=[*KEYWORDS, "LIMITS RCPTMAX=2 MAILMAX=1"])
    sink.behaviour["on"] = {"GREETING": [None, "421 4.3.2 not now"]}
    domain = world.domain([10, sink])
    mail_id = submit(world, source, [f"friend{number}@{domain}" for number in range(5)], message(marker))
    rows = world.parcels(mail_id, "delivered", "deferred")
    assert sorted(row["state"] for row in rows.values()) == ["deferred"] * 3 + ["delivered"] * 2
    assert len(sink.messages) == 1 and len(sink.sessions) == 2


def test_a_server_that_puts_a_list_off_is_not_asked_again_for_the_rest(world, source, marker):
    sink = world.exchanger(ehlo=[*KEYWORDS, "LIMITS RCPTMAX=2 MAILMAX=1"], on={"RCPT": "450 4.2.0 come again"})
    domain = world.domain([10, sink])
    mail_id = submit(world, source, [f"friend{number}@{domain}" for number in range(5)], message(marker))
    assert {row["state"] for row in world.parcels(mail_id, "deferred").values()} == {"deferred"}
    assert len(sink.sessions) == 1


def test_a_message_that_is_too_large_for_the_next_server_is_not_even_begun(world, source, marker):
    """RFC 1870 6.1: known from its EHLO."""
    sink = world.exchanger(ehlo=["PIPELINING", "8BITMIME", "SIZE 2000"])
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker, body="x" * 900 + "\r\n" + "y" * 900 + "\r\n"))
    [row] = world.parcels(mail_id, "failed").values()
    assert row["delivery_msg"].startswith("552 5.3.4 ") and not any(line.startswith("C: MAIL") for line in sink.sessions[0])
