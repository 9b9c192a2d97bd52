"""SMTPUTF8 (RFC 6531) from one end to the other: whoever asked for it gets it at the next server, or a notice."""
import itertools

import pytest

from lib.fake_server import KEYWORDS, FakeServer
from lib.messages import message
from lib.waiting import wait_for
from lib.world import World, id_of

UTF8 = [*KEYWORDS, "SMTPUTF8"]
serial = itertools.count(1)


@pytest.fixture(scope="module")
def world():
    with World() as made:
        yield made


def submit(world, source, recipient, data, parameters="SMTPUTF8"):
    with world.server.talk("internal", source) as client:
        client.ehlo()
        return id_of(client.mail("coco@example.test", recipient, data, parameters))


def test_a_header_beyond_ascii_is_announced_to_the_next_server(world, source, marker):
    sink = world.exchanger(ehlo=UTF8)
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker, subject="Grüße"))
    world.parcels(mail_id, "delivered")
    assert "SMTPUTF8" in sink.messages[0].parameters and "Grüße".encode() in sink.messages[0].data


def test_a_header_beyond_ascii_is_returned_where_the_next_server_takes_none(world, source, marker):
    sink = world.exchanger()
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker, subject="Grüße"))
    [row] = world.parcels(mail_id, "failed").values()
    assert "5.6.7" in row["delivery_msg"] and not sink.messages


@pytest.mark.parametrize("second, end", [(UTF8, "delivered"), (KEYWORDS, "failed")])
def test_one_of_several_who_is_not_ascii_waits_for_another_exchanger(source, marker, second, end):
    with World(settings={"retry_schedule": ["1"]}) as world:
        first, other = world.exchanger(), world.exchanger(ehlo=second)
        domain = world.domain([10, first], [20, other])
        mail_id = submit(world, source, [f"friend@{domain}", f"jürgen@{domain}"], message(marker))
        rows = wait_for(lambda: (lambda rows: rows if rows[f"jürgen@{domain}"]["state"] == end else None)(
            {row["to_url"]: row for row in world.server.sql("select to_url, state, delivery_msg from parcels where mail_id = ?", mail_id)}), f"{end}")
        assert rows[f"friend@{domain}"]["state"] == "delivered"
        assert [mail.recipients for mail in first.messages] == [[f"friend@{domain}"]]
        assert [mail.recipients for mail in other.messages] == ([[f"jürgen@{domain}"]] if end == "delivered" else [])
        assert end == "delivered" or rows[f"jürgen@{domain}"]["delivery_msg"].startswith("553 5.6.7 ")
        tries = [row["reply"] for row in world.server.sql("select a.reply from attempts a join parcels p on p.id = a.parcel_id where p.mail_id = ?"
                                                          " and p.to_url = ? order by a.id", mail_id, f"jürgen@{domain}")]
        assert len(tries) == 2 and tries[0].startswith("451 4.6.7 "), tries


def test_one_of_several_who_is_not_ascii_fails_where_there_is_one_exchanger(world, source, marker):
    sink = world.exchanger()
    domain = world.domain([10, sink])
    mail_id = submit(world, source, [f"friend@{domain}", f"jürgen@{domain}"], message(marker))
    states = wait_for(lambda: (lambda found: found if "queued" not in found.values() else None)(
        {row["to_url"]: row["state"] for row in world.server.sql("select to_url, state from parcels where mail_id = ?", mail_id)}), "both results")
    assert states == {f"friend@{domain}": "delivered", f"jürgen@{domain}": "failed"}


def test_what_needs_no_smtputf8_is_not_held_up_by_it(world, source, marker):
    """RFC 6531 3.6: asked for without need, and the next server has never heard of it."""
    sink = world.exchanger()
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker, body="Grüße\r\n"))
    world.parcels(mail_id, "delivered")
    assert "SMTPUTF8" not in sink.messages[0].parameters


def test_a_mailbox_behind_lmtp_takes_any_header(source, marker):
    with FakeServer(lmtp=True) as store, World(local=f"127.0.0.1:{store.port}") as world:
        mail_id = submit(world, source, "mike@example.test", message(marker, subject="Grüße"))
        world.parcels(mail_id, "delivered")
        assert "Grüße".encode() in store.messages[0].data


def test_8_bit_in_a_header_without_smtputf8_goes_on_as_it_came(world, source, marker):
    sink = world.exchanger()
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker, subject="Grüße"), "BODY=8BITMIME")
    world.parcels(mail_id, "delivered")
    assert "Grüße".encode() in sink.messages[0].data


def test_a_notice_about_and_for_addresses_beyond_ascii(world, source, marker):
    """RFC 6533: the sender's own address is not ASCII, so the notice is for SMTPUTF8 too."""
    world.server.add_user("zoë@example.test")
    sink = world.exchanger(ehlo=[*UTF8, "DSN"], on={"RCPT": "550 5.1.1 nobody"})
    domain = world.domain([10, sink])
    with world.server.talk("internal", source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<zoë@example.test> SMTPUTF8")
        client.expect(250, f"RCPT TO:<jürgen@{domain}> ORCPT=utf-8;jürgen@{domain}")
        mail_id = id_of(client.data(message(marker, subject="Grüße", sender="zoë@example.test")))
    world.parcels(mail_id, "failed")
    notice = world.server.wait_mail("zoë@example.test", marker)
    assert b"message/global-delivery-status" in notice and b"message/global-headers" in notice
    assert f"Original-Recipient: utf-8; jürgen@{domain}".encode() in notice and f"Final-Recipient: utf-8; jürgen@{domain}".encode() in notice
    assert "Subject: Grüße".encode() in notice and "To: <zoë@example.test>".encode() in notice


def test_orcpt_beyond_ascii_goes_on_in_ascii(world, source, marker):
    sink = world.exchanger(ehlo=[*KEYWORDS, "DSN"])
    domain = world.domain([10, sink])
    with world.server.talk("internal", source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<coco@example.test> SMTPUTF8")
        client.expect(250, f"RCPT TO:<friend@{domain}> ORCPT=utf-8;jürgen@example.test")
        mail_id = id_of(client.data(message(marker)))
    world.parcels(mail_id, "delivered")
    assert sink.messages[0].recipient_parameters[f"friend@{domain}"] == r"ORCPT=utf-8;j\x{FC}rgen@example.test"


def write_to_zoe(world, source, marker, sender, **behaviour):
    """Who is away, and answers; gives the exchanger of the correspondent's and the answer's row."""
    sink, account = world.exchanger(**behaviour), f"zoë{next(serial)}@example.test"
    world.server.add_user(account)
    world.server.command("vacation", "set", account, "Away", "Later.")
    correspondent = f"{sender}@{world.domain([10, sink])}"
    with world.server.talk(source=source) as client:
        client.ehlo()
        client.mail(correspondent, account, message(marker, sender=correspondent, recipient=account), "SMTPUTF8")
    sql = "select p.* from mails m join parcels p using (mail_id) where m.role = 'vacation' and m.account = ?"
    [row] = wait_for(lambda: [row for row in world.server.sql(sql, account) if row["state"] in ("delivered", "failed")], "the answer",
                     explain=world.server.log_tail)
    return sink, account, row


@pytest.mark.parametrize("sender", ["friend", "jürgen"])
def test_somebody_away_answers_in_utf8_where_names_need_it(world, source, marker, sender):
    sink, account, _ = write_to_zoe(world, source, marker, sender, ehlo=UTF8)
    [answer] = sink.messages
    assert "SMTPUTF8" in answer.parameters.split() and f"From: <{account}>\r\n".encode() in answer.data


def test_an_answer_in_utf8_goes_to_no_server_that_takes_none(world, source, marker):
    """RFC 6532 3: a header beyond ASCII is nothing that a server gets unasked. Nobody is told: it is an answer."""
    sink, _, row = write_to_zoe(world, source, marker, "friend")
    assert (row["state"], sink.messages) == ("failed", []) and "5.6.7" in row["delivery_msg"]
