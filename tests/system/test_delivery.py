"""From a client to a mailbox: Maildir, and a real Dovecot by LMTP, read back by IMAP."""
import os
import re
import stat

import pytest

from lib.messages import as_crlf, body_of, message, odd_message
from lib.talker import fresh_source
from lib.waiting import wait_for


def accepted_id(reply):
    found = re.fullmatch(r"250 2\.0\.0 OK id=(\S+)", reply.text)
    assert found, reply.text
    return found.group(1)


def from_stranger(server, source, recipients, data):
    with server.talk(source=source) as client:
        client.ehlo()
        reply = client.mail("someone@example.net", recipients, data)
        client.quit()
    return accepted_id(reply)


def test_mail_from_a_stranger_arrives_in_the_maildir(server, source, marker):
    mail_id = from_stranger(server, source, "coco@example.test", message(marker))
    delivered = as_crlf(server.wait_mail("coco@example.test", marker))
    assert body_of(delivered) == body_of(message(marker))
    head = delivered[:delivered.index(b"Date: ")].decode()
    assert head.startswith("Return-Path: <someone@example.net>\r\nDelivered-To: coco@example.test\r\n")
    assert f"id {mail_id}" in head and "with ESMTP" in head and "for <coco@example.test>" in head
    rows = server.wait_parcels(mail_id, "delivered")
    assert [(row["to_url"], row["delivery"]) for row in rows] == [("coco@example.test", "local")]


def test_mailbox_name_and_files_are_a_maildir(server, source, marker):
    from_stranger(server, source, "mike@example.test", message(marker))
    server.wait_mail("mike@example.test", marker)
    mailbox = server.path("mail", "example.test", "mike")
    assert sorted(os.listdir(mailbox)) >= ["cur", "new", "tmp"]
    assert not os.listdir(os.path.join(mailbox, "tmp"))
    assert all(stat.S_IMODE(os.stat(os.path.join(mailbox, "new", name)).st_mode) & 0o077 == 0 for name in os.listdir(os.path.join(mailbox, "new")))


def test_each_recipient_sees_only_itself_in_delivered_to(server, source, marker):
    from_stranger(server, source, ["coco@example.test", "mike@example.test"], message(marker))
    for mine, other in (("coco", "mike"), ("mike", "coco")):
        head = server.wait_mail(f"{mine}@example.test", marker).partition(b"Date: ")[0].decode()
        assert f"Delivered-To: {mine}@example.test" in head
        assert other not in head


def test_several_messages_on_one_connection_have_ids_of_their_own(server, source, marker):
    with server.talk(source=source) as client:
        client.ehlo()
        ids = {accepted_id(client.mail("someone@example.net", "coco@example.test", message(f"{marker}-{number}"))) for number in range(3)}
    assert len(ids) == 3
    for number in range(3):
        server.wait_mail("coco@example.test", f"{marker}-{number}")


@pytest.mark.parametrize("size", [0, 1, 3000, 80_000, 110_000, 3_000_000],
                         ids=["an_empty_body", "one_byte", "in_the_request", "in_the_request_and_out_as_a_memfd", "as_a_memfd", "as_a_file"])
def test_bytes_arrive_as_they_were_sent(server, source, marker, size):
    sent = odd_message(marker, size, size) if size else message(marker, body="")
    mail_id = from_stranger(server, source, "coco@example.test", sent)
    server.wait_parcels(mail_id, "delivered")
    assert as_crlf(server.wait_mail("coco@example.test", marker)).endswith(sent)


def test_null_sender_is_accepted_and_kept(server, source, marker):
    with server.talk(source=source) as client:
        client.ehlo()
        accepted_id(client.mail("", "coco@example.test", message(marker)))
    assert server.wait_mail("coco@example.test", marker).startswith(b"Return-Path: <>")


@pytest.fixture(scope="module")
def with_dovecot():
    from lib.instance import Instance
    with Instance(local="dovecot") as instance:
        yield instance


def test_dovecot_gets_the_mail_by_lmtp_and_imap_gives_it_back_byte_for_byte(with_dovecot, source, marker):
    sent = odd_message(marker, 7, 50_000)
    mail_id = from_stranger(with_dovecot, source, ["coco@example.test", "mike@example.test"], sent)
    rows = with_dovecot.wait_parcels(mail_id, "delivered")
    assert len(rows) == 2 and all(row["delivery_msg"].startswith("250 2.0.0 <") for row in rows)
    for user in ("coco@example.test", "mike@example.test"):
        assert with_dovecot.wait_mail(user, marker).endswith(sent)


def test_one_recipient_unknown_to_dovecot_fails_alone(with_dovecot, marker):
    with_dovecot.add_user("only-here@example.test")
    mail_id = from_stranger(with_dovecot, fresh_source(), ["coco@example.test", "only-here@example.test"], message(marker))
    rows = {row["to_url"]: row for row in with_dovecot.wait_parcels(mail_id, "delivered", "failed")}
    assert rows["coco@example.test"]["state"] == "delivered"
    assert rows["only-here@example.test"]["state"] == "failed"
    assert rows["only-here@example.test"]["delivery_msg"].startswith("550")


def test_mail_waits_while_dovecot_is_away(make_instance, marker):
    server = make_instance(local="dovecot", settings={"retry_schedule": ["1"]})
    server.dovecot.background.stop()
    mail_id = from_stranger(server, fresh_source(), "coco@example.test", message(marker))
    server.wait_parcels(mail_id, "deferred")
    assert wait_for(lambda: os.listdir(os.path.join(server.queue, "mail")), "the mail to become a file") == [mail_id]
    server.dovecot.start()
    server.wait_parcels(mail_id, "delivered")
    assert len([mail for mail in server.dovecot.wait_mails("coco@example.test") if marker.encode() in mail]) == 1
    wait_for(lambda: not os.listdir(os.path.join(server.queue, "mail")), "the file to go")
