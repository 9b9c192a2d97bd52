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


def test_a_message_that_is_too_large_for_the_next_server_is_not_even_begun(world, source, marker):
    """RFC 1870 6.1: known from its EHLO."""
    sink = world.exchanger(ehlo=["PIPELINING", "8BITMIME", "SIZE 2000"])
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker, body="x" * 900 + "\r\n" + "y" * 900 + "\r\n"))
    [row] = world.parcels(mail_id, "failed").values()
    assert row["delivery_msg"].startswith("552 5.3.4 ") and not any(line.startswith("C: MAIL") for line in sink.sessions[0])
