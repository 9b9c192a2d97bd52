"""Greylisting and rates: what the server remembers of strangers. The delay is tested as an operator would skip it: by
setting created_at of the row back."""
import itertools
import json

import pytest

from lib.messages import message
from lib.name_servers import Unbound
from lib.outsider import OutsideInstance
from lib.zone import default_zone

PATIENT = {"max_failed_msgs_per_period": 1000}


_senders = itertools.count(1)


@pytest.fixture
def sender():
    """An address that no other test uses."""
    return f"sender{next(_senders)}@example.net"


@pytest.fixture(scope="module")
def grey():
    with OutsideInstance(settings={"greylisting": True, "allow": ["10.1.0.0/16"], **PATIENT}) as server:
        yield server


def let_pass(server, sender):
    server.edit("update greylist set created_at = datetime(created_at, '-5 minutes') where sender = ?", sender)


def offered(server, ip, sender, recipient="coco@example.test"):
    with server.outsider(ip) as client:
        reply = client.offer(sender, recipient)
        client.quit()
        return reply.text


def is_put_off(text):
    return text.startswith("451 4.7.1 Greylisted: try again in ")


def test_a_first_try_is_put_off_and_the_same_one_is_taken_after_the_delay(grey, marker, sender):
    assert is_put_off(offered(grey, "10.10.1.1", sender))
    assert is_put_off(offered(grey, "10.10.1.1", sender)), "at once is too soon"
    assert is_put_off(offered(grey, "10.10.1.1", sender, "mike@example.test")), "another recipient has its own first try"
    let_pass(grey, sender)
    with grey.outsider("10.10.1.77") as client:  # another machine of the same network
        client.ehlo()
        client.mail(sender, ["coco@example.test"], message(marker))
    grey.wait_mail("coco@example.test", marker)
    row, = grey.sql("select * from greylist where sender = ? and recipient = 'coco@example.test'", sender)
    assert (row["network"], row["tries"]) == ("10.10.1.0/24", 3) and row["passed_at"]


def test_whose_mail_was_accepted_is_never_put_off_again(grey, marker, sender):
    assert is_put_off(offered(grey, "10.10.2.1", sender))
    let_pass(grey, sender)
    with grey.outsider("10.10.2.1") as client:
        client.ehlo()
        client.mail(sender, ["coco@example.test"], message(marker))
    grey.wait_rows("select 1 from contacts where remote_ip = '10.10.2.1' and accepted_at is not null")
    assert offered(grey, "10.10.2.1", f"other.{sender}", "mike@example.test") == "250 2.1.5 ACCEPTED"
    assert not grey.sql("select 1 from greylist where sender = ?", f"other.{sender}"), "nothing is asked about a known-good contact"
    assert is_put_off(offered(grey, "10.10.2.2", f"other.{sender}")), "its neighbour is a stranger"
    grey.edit("update contacts set accepted_at = datetime('now', '-31 days') where remote_ip = '10.10.2.1'")
    assert is_put_off(offered(grey, "10.10.2.1", f"third.{sender}")), "history_days ago is too long ago"


def test_networks_of_ipv6_and_an_empty_sender_have_rows_too(grey):
    assert is_put_off(offered(grey, "2001:db8:7:8::9", ""))
    row, = grey.sql("select * from greylist where sender = '' and network like '2001%'")
    assert row["network"] == "2001:db8:7::/48"
    grey.edit("update greylist set created_at = datetime(created_at, '-5 minutes') where id = ?", row["id"])
    assert offered(grey, "2001:db8:7:1234::1", "") == "250 2.1.5 ACCEPTED"


def test_members_programs_and_the_allow_list_are_not_put_off(grey, marker, sender):
    assert offered(grey, "10.1.0.1", sender) == "250 2.1.5 ACCEPTED"
    with grey.talk("internal") as client:
        client.ehlo()
        client.mail("coco@example.test", ["mike@example.test"], message(marker))
    with grey.talk("submission") as client:
        client.ehlo()
        client.starttls()
        client.ehlo()
        client.login()
        client.mail("coco@example.test", ["mike@example.test"], message(marker))
    assert not grey.sql("select 1 from greylist where sender = ? or sender = 'coco@example.test'", sender)


def test_who_is_on_an_allow_list_in_the_dns_is_not_put_off(tmp_path, sender):
    zone = {**default_zone(), "1.3.10.10.good.test": [{"A": "127.0.0.2"}]}
    with Unbound(str(tmp_path / "dns"), zone) as names:
        with OutsideInstance(dns=names.endpoint, settings={"greylisting": True}, extra='dnsbl "good.test" { allow = yes }\n') as server:
            assert offered(server, "10.10.3.1", sender) == "250 2.1.5 ACCEPTED"
            assert is_put_off(offered(server, "10.10.3.2", sender))


def test_an_unknown_recipient_makes_no_row(grey, sender):
    assert offered(grey, "10.10.4.1", sender, "nobody@example.test").startswith("550 5.1.1")
    assert not grey.sql("select 1 from greylist where sender = ?", sender)


def test_the_operator_sees_who_was_put_off(grey, sender):
    offered(grey, "10.10.5.1", sender)
    row, = (row for row in json.loads(grey.command("greylist", "list", "--json")) if row["sender"] == sender)
    assert (row["network"], row["recipient"], row["tries"], row["passed_at"]) == ("10.10.5.0/24", "coco@example.test", 1, None)
    assert sender in grey.command("greylist", "list")


def test_rows_that_have_expired_count_no_more_and_are_purged(sender):
    with OutsideInstance(settings={"greylisting": True, **PATIENT}) as server:
        assert is_put_off(offered(server, "10.10.6.1", sender))
        server.edit("update greylist set created_at = datetime(created_at, '-3 days'), expires_at = datetime('now', '-1 day')")
        assert is_put_off(offered(server, "10.10.6.1", sender)), "it comes again too late"
        server.edit("update greylist set expires_at = datetime('now', '-1 day')")
        server.restart()
        server.wait_rows("select 1 where not exists (select 1 from greylist)", what="the purge")


def test_without_the_switch_nobody_is_put_off(server, marker, sender):
    with server.talk() as client:
        client.ehlo()
        client.mail(sender, ["coco@example.test"], message(marker))
    assert not server.sql("select 1 from greylist")


# Rates.

def rated(**settings):
    return OutsideInstance(settings={**settings, **PATIENT, "allow": ["10.1.0.0/16", "127.255.255.0/24"]})


def connect_until_refused(server, addresses):
    """(how many were greeted, the first refusal)"""
    for count, ip in enumerate(addresses):
        with server.outsider(ip) as client:
            if client.greeting != 220:
                client.expect_close()
                return count, client.greeting.text
    return len(addresses), None


def test_connections_of_a_contact_and_of_its_network_have_a_rate_of_their_own():
    with rated(contact_connection_rate=3, network_connection_rate=5) as server:
        over = "421 4.7.1 mail.example.test too many connections from {}, try again later"
        assert connect_until_refused(server, ["10.20.1.1"] * 4) == (3, over.format("you"))
        assert connect_until_refused(server, ["10.20.1.2", "10.20.1.3", "10.20.1.4"]) == (2, over.format("your network"))
        assert connect_until_refused(server, ["10.20.2.1"]) == (1, None)
        assert connect_until_refused(server, ["2001:db8:1:1::1"] * 4) == (3, over.format("you"))
        assert connect_until_refused(server, ["2001:db8:1:2::1", "2001:db8:1:3::1", "2001:db8:1:4::1"]) == (2, over.format("your network"))
        assert connect_until_refused(server, ["10.1.0.1"] * 8) == (8, None), "the allow list has no rate"


def test_the_listener_counts_connections_before_any_fork():
    """Without a proxy: the refused one gets its 421 and no row, for no receiver served it."""
    with rated(contact_connection_rate=3, network_connection_rate=4) as server:
        def knock(source):
            with server.talk(source=source) as client:
                if client.greeting == 220:
                    client.quit()
                return client.greeting.text
        assert [knock("127.70.1.1")[:3] for _ in range(3)] == ["220"] * 3
        assert knock("127.70.1.1") == "421 4.7.1 mail.example.test too many connections from you, try again later"
        assert knock("127.70.1.2")[:3] == "220"
        assert knock("127.70.1.3") == "421 4.7.1 mail.example.test too many connections from your network, try again later"
        assert server.contact("127.70.1.1")["hits"] == 3 and server.contact("127.70.1.3") is None


@pytest.mark.parametrize("what", ["message", "recipient"])
def test_messages_and_recipients_have_rates(what):
    with rated(**{f"contact_{what}_rate": 3, f"network_{what}_rate": 4}) as server:
        line = "MAIL FROM:<a@example.net>" if what == "message" else "RCPT TO:<coco@example.test>"

        def replies(ip, count):
            with server.outsider(ip) as client:
                client.ehlo()
                if what == "recipient":
                    client.expect(250, "MAIL FROM:<a@example.net>")
                got = []
                for _ in range(count):
                    got.append(client.command(line).text)
                    if what == "message":
                        client.expect(250, "RSET")
                client.quit()
                return got
        over = f"450 4.7.1 too many {what}s from %s, try again later"
        assert replies("10.30.1.1", 4)[2:] == ["250 2.1.0 OK" if what == "message" else "250 2.1.5 ACCEPTED", over % "you"]
        assert replies("10.30.1.2", 2)[1] == over % "your network"
        assert all(reply.startswith("250") for reply in replies("10.1.0.1", 8)), "the allow list has no rate"
        assert replies("10.30.2.1", 1)[0].startswith("250")


def test_who_searches_for_recipients_is_closed_and_it_counts():
    with rated(unknown_recipients_maximum=2) as server:
        def search(ip, count):
            with server.outsider(ip) as client:
                client.ehlo()
                client.expect(250, "MAIL FROM:<a@example.net>")
                got = [client.command(f"RCPT TO:<guess{number}@example.test>") for number in range(count)]
                if got[-1] == 421:
                    client.expect_close()
                return got
        got = search("10.40.1.1", 3)
        assert [reply.code for reply in got] == [550, 550, 421]
        assert got[2].text == "421 4.7.1 mail.example.test too many unknown recipients, try again later"
        row, = server.wait_rows("select v.*, c.violations from violations v join contacts c on c.id = contact_id where rule = 'recipient-budget'")
        assert row["counted"] == 1 and row["violations"] == 2, "the unknown ones of a transaction count once, and this one"
        assert search("10.40.1.1", 1)[0] == 421, "the day's budget is the contact's, not the session's"
        with server.outsider("10.40.1.1") as client:
            assert client.offer() == 250, "known recipients are still taken"
        assert [reply.code for reply in search("10.40.1.2", 2)] == [550, 550]
        assert [reply.code for reply in search("10.1.0.1", 5)] == [550] * 5
