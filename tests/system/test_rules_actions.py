"""What the operator's rules do besides answering: further columns of their rows."""
import time

import pytest

from lib.instance import Instance
from lib.messages import message
from lib.rules import evidence, write_rules

RULES = {
    "connect": "SELECT NULL, 'A house of ' || :role || '; no offers' AS banner;",
    "ehlo": "SELECT NULL, 'is glad to see you, ' || :ehlo AS ehlo WHERE :ehlo = 'friend.example.net';\n"
            "SELECT '550 5.7.1 not you', 'what only the log knows' AS log, 300 AS delay, 'unseen' AS ehlo WHERE :ehlo = 'foe.example.net';",
    "rcpt_to": "SELECT NULL, 'X-Tagged: once' AS header WHERE :from = 'tag@example.net';\n"
               "SELECT NULL, 'mike@example.test' AS recipient, 'redirected' AS log WHERE :rcpt LIKE 'coco+sales@%';\n"
               "SELECT NULL, 'nobody@example.test' AS recipient WHERE :rcpt LIKE 'coco+lost@%';\n"
               "SELECT NULL, 'friend@remote.test' AS recipient WHERE :rcpt LIKE 'coco+out@%';",
    "mail_from": "SELECT NULL, 'other@example.net' AS sender WHERE :from = 'rewrite@example.net';\n"
                 "SELECT NULL, '' AS sender WHERE :from = 'robot@example.net';\n"
                 "SELECT NULL, 'X-Contact: ' || :contact || char(13, 10) || 'Bcc: x' AS header WHERE :from = 'tag@example.net';",
    "data": "SELECT NULL, 'X-Recipients: ' || :rcpt_count AS header WHERE :from = 'tag@example.net';",
    "headers": "SELECT NULL, 'X-Subject: ' || :subject AS header WHERE :from = 'tag@example.net';\n"
               "SELECT '550 5.7.1 no', 'why' AS hold WHERE :subject = 'refused';",
    "message": "SELECT NULL, column1 AS header FROM (VALUES ('X-Size: large'), ('X-Size: large'), ('X-More: yes')) WHERE :size > 2000;\n"
               "SELECT NULL, 'asked by the owner of ' || :rcpt_count AS hold WHERE :subject = 'to be held';",
    "disconnect": "SELECT NULL, :remote_ip || ' has left' AS log;",
    "noop": "SELECT NULL, iif(:argument = 'long', 30000, 400) AS delay, :argument AS log WHERE :argument <> '';",
}


@pytest.fixture(scope="module")
def ruled():
    instance = Instance(zone={name: [{"A": "192.0.2.10"}] for name in ("friend.example.net", "foe.example.net")})
    instance.prepare()
    write_rules(instance, RULES)
    instance.launch()
    yield instance
    instance.stop()
    instance.remove()


def test_banner_and_ehlo_text_are_a_rules(ruled, source):
    with ruled.talk(source=source) as client:
        assert client.greeting.text == "220 mail.example.test ESMTP A house of mx; no offers"
        assert client.ehlo("friend.example.net").lines[0] == "mail.example.test is glad to see you, friend.example.net"
        assert client.ehlo().lines[0] == f"mail.example.test Hello client.example.net at {source}"


def test_private_detail_goes_to_the_log_only(ruled, source):
    with ruled.talk(source=source) as client:
        assert client.command("EHLO foe.example.net").text == "550 5.7.1 not you"
        assert "unseen" not in client.ehlo().text
    ruled.wait_log(r"rule sql:ehlo:2: what only the log knows")
    assert evidence(ruled, source) == [("EHLO", "sql:ehlo:2", "550 5.7.1 not you")]


def test_what_a_client_wrote_cannot_make_lines_of_the_log(ruled, source):
    with ruled.talk(source=source) as client:
        client.expect(250, "NOOP one\ttwo\x1b[1m")
    ruled.wait_log(r"rule sql:noop:1: one\\x09two\\x1b\[1m$")


def test_delay_makes_this_clients_reply_late_and_nobody_elses(ruled, source):
    with ruled.talk(source=source) as slow, ruled.talk() as other:
        began = time.monotonic()
        slow.send("NOOP now\r\n")
        assert other.command("NOOP") == 250
        assert slow.reply() == 250
        assert time.monotonic() - began >= 0.4
        assert slow.command("NOOP") == 250  # it holds for one reply


def test_delay_ends_with_the_client(ruled, source):
    with ruled.talk(source=source) as client:
        client.send("NOOP long\r\n" * 4)  # two minutes
    ruled.wait_log(f"rule sql:disconnect:1: {source} has left")


def test_another_recipient_takes_the_ones_place(ruled, source, marker):
    with ruled.talk(source=source) as client:
        client.ehlo()
        assert client.mail("a@example.net", "coco+sales@example.test", message(marker)) == 250
    ruled.wait_mail("mike@example.test", marker)
    assert not [mail for mail in ruled.mails("coco@example.test") if marker.encode() in mail]
    assert ruled.wait_rows("select 1 from parcels where to_url = 'mike@example.test' and delivery = 'local'")
    ruled.wait_log(r"rule sql:rcpt_to:2: another recipient: <mike@example.test>")


def test_another_recipient_is_judged_by_the_servers_own_rules(ruled, source):
    with ruled.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@example.net>")
        assert client.command("RCPT TO:<coco+lost@example.test>").text == "550 5.1.1 <nobody@example.test> is no user here"
        assert client.command("RCPT TO:<coco+out@example.test>").text == "550 5.7.1 This server does not support relaying"
        client.expect(250, "RCPT TO:<coco@example.test>")


def test_rules_test_prints_what_would_be_done(ruled):
    assert ruled.command("rules", "test", "rcpt_to", "rcpt=coco+sales@example.test") == \
        "recipient: mike@example.test (sql:rcpt_to:2)\nlog: redirected (sql:rcpt_to:2)\nno rule objects\n"


def send(ruled, source, sender, data, recipients="coco@example.test"):
    with ruled.talk(source=source) as client:
        client.ehlo()
        return client.mail(sender, recipients, data)


def test_another_sender_takes_the_ones_place(ruled, source, marker):
    for sender, wanted in (("rewrite@example.net", "other@example.net"), ("robot@example.net", ""), ("plain@example.net", "plain@example.net")):
        mail_id = send(ruled, source, sender, message(marker)).text.rpartition("=")[2]
        assert ruled.wait_rows("select from_url from mails where mail_id = ?", mail_id)[0]["from_url"] == wanted


def test_a_message_that_begins_with_a_blank_does_not_go_on_with_our_fields(ruled, source, marker):
    """Else a stranger would write the end of what a rule, or a milter, says above his message."""
    assert send(ruled, source, "tag@example.net", f" and more\r\n\tX-Marker: {marker}\r\n\r\nBody.\r\n".encode()) == 250
    header, _, body = ruled.wait_mail("coco@example.test", marker).replace(b"\r\n", b"\n").partition(b"\n\n")
    assert b"X-Recipients: 1" in header.split(b"\n") and b"and more" not in header
    assert body == f" and more\n\tX-Marker: {marker}\n\nBody.\n".encode()


def test_header_fields_are_added_once_each_at_every_stage_of_a_message(ruled, source, marker):
    assert send(ruled, source, "tag@example.net", message(marker, "x" * 900 + "\r\n" + "y" * 900 + "\r\n" + "z" * 900 + "\r\n", subject="über"),
                ["coco@example.test", "mike@example.test"]) == 250
    for user in ("coco", "mike"):
        header = ruled.wait_mail(f"{user}@example.test", marker).replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode()
        added = [line for line in header.split("\n") if line.startswith(("X-", "Bcc")) and not line.startswith("X-Marker")]
        assert added == [f"X-Contact: {source}??Bcc: x", "X-Tagged: once", "X-Recipients: 2", "X-Subject: ??ber", "X-Size: large", "X-More: yes"]


def test_what_one_transaction_gets_the_next_does_not(ruled, source, marker):
    with ruled.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<tag@example.net>")
        client.expect(250, "RSET")
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
    assert b"X-Contact" not in ruled.wait_mail("coco@example.test", marker)


def test_hold_keeps_the_message_for_an_operator_and_the_client_reads_250(ruled, source, marker):
    mail_id = send(ruled, source, "a@example.net", message(marker, subject="to be held")).text.rpartition("=")[2]
    row = ruled.wait_rows("select state, delivery_msg from parcels where mail_id = ?", mail_id)[0]
    assert row["state"] == "held" and "asked by the owner of 1" in row["delivery_msg"]
    ruled.command("queue", "release", mail_id)
    ruled.wait_mail("coco@example.test", marker)


def test_a_refused_message_is_refused_whatever_else_its_rule_says(ruled, source, marker):
    assert send(ruled, source, "a@example.net", message(marker, subject="refused")).text == "550 5.7.1 no"
