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
    "rcpt_to": "SELECT NULL, 'mike@example.test' AS recipient, 'redirected' AS log WHERE :rcpt LIKE 'coco+sales@%';\n"
               "SELECT NULL, 'nobody@example.test' AS recipient WHERE :rcpt LIKE 'coco+lost@%';\n"
               "SELECT NULL, 'friend@remote.test' AS recipient WHERE :rcpt LIKE 'coco+out@%';",
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
    ruled.wait_log(r"rule sql:rcpt_to:1: another recipient: <mike@example.test>")


def test_another_recipient_is_judged_by_the_servers_own_rules(ruled, source):
    with ruled.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@example.net>")
        assert client.command("RCPT TO:<coco+lost@example.test>").text == "550 5.1.1 <nobody@example.test> is no user here"
        assert client.command("RCPT TO:<coco+out@example.test>").text == "550 5.7.1 This server does not support relaying"
        client.expect(250, "RCPT TO:<coco@example.test>")


def test_rules_test_prints_what_would_be_done(ruled):
    assert ruled.command("rules", "test", "rcpt_to", "rcpt=coco+sales@example.test") == \
        "recipient: mike@example.test (sql:rcpt_to:1)\nlog: redirected (sql:rcpt_to:1)\nno rule objects\n"
