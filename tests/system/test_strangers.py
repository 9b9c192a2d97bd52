"""Defences against strangers at the beginning of a session: the greeting that waits, DNS lists with weights, names that
must lead back, slow replies, a pace for lines and data. The DNS servers are real ones."""
import os
import select

import pytest

from lib.messages import message
from lib.name_servers import Nsd, Unbound
from lib.outsider import OutsideInstance
from lib.talker import fresh_source
from lib.waiting import wait_for
from lib.zone import default_zone

READY = "127.255.255.0/24"  # who looks whether the ports answer does not wait for the greeting
FOREVER = 60000

LISTS = """
dnsbl "bad.test" { weight = 2 }
dnsbl "worse" { zone = "graded.test"\n answers = {"127.0.0.[4..7]"}\n weight = 3 }
dnsbl "dubious" { zone = "graded.test"\n answers = {"127.0.0.[10;11]"} }
dnsbl "good.test" { weight = -4 }
dnsbl "excellent.test" { allow = yes }
dnsbl "names.test" { subject = ehlo\n weight = 3 }
dnsbl "domains.test" { subject = sender\n weight = 3 }
"""


def reversed_v4(ip, zone):
    return ".".join(reversed(ip.split("."))) + "." + zone


def reversed_v6(nibbles, zone):
    return ".".join(reversed(nibbles)) + "." + zone


V6 = "2001:db8:5::1"
V6_NIBBLES = "20010db8000500000000000000000001"
LISTED = {
    reversed_v4("192.0.2.1", "bad.test"): [{"A": "127.0.0.2"}, {"TXT": "see https://bad.test/192.0.2.1"}],
    reversed_v4("192.0.2.2", "bad.test"): [{"A": "127.0.0.2"}],
    reversed_v4("192.0.2.2", "graded.test"): [{"A": "127.0.0.10"}],
    reversed_v4("192.0.2.3", "graded.test"): [{"A": "127.0.0.5"}],
    reversed_v4("192.0.2.4", "graded.test"): [{"A": "127.0.0.9"}],
    reversed_v4("192.0.2.5", "graded.test"): [{"A": "127.0.0.5"}],
    reversed_v4("192.0.2.5", "good.test"): [{"A": "127.0.0.2"}],
    reversed_v4("192.0.2.6", "graded.test"): [{"A": "127.0.0.5"}],
    reversed_v4("192.0.2.6", "bad.test"): [{"A": "127.0.0.2"}],
    reversed_v4("192.0.2.6", "excellent.test"): [{"A": "127.0.0.2"}],
    reversed_v4("192.0.2.7", "bad.test"): [{"A": "127.255.255.254"}],
    reversed_v6(V6_NIBBLES, "graded.test"): [{"A": "127.0.0.4"}, {"TXT": "v6 too"}],
    "spammer.example.names.test": [{"A": "127.0.1.2"}],
    "spammer.example": [{"A": "192.0.2.1"}, {"MX": [10, "spammer.example"]}],
    "spammer.example.domains.test": [{"A": "127.0.1.2"}, {"TXT": "sells watches"}],
    "1.9.0.10.in-addr.arpa": [{"PTR": "confirmed.example"}], "confirmed.example": [{"A": "10.0.9.1"}],
    "2.9.0.10.in-addr.arpa": [{"PTR": "elsewhere.example"}], "elsewhere.example": [{"A": "10.0.9.99"}],
    reversed_v6("20010db8000900000000000000000001", "ip6.arpa"): [{"PTR": "six.example"}],
    "six.example": [{"AAAA": "2001:db8:9::1"}],
}
ZONE = {**default_zone(), **LISTED}


@pytest.fixture(scope="module", params=[Unbound, Nsd], ids=["unbound", "nsd"])
def listing(request, tmp_path_factory):
    """An instance with all those lists, refusing from a score of 3 on."""
    folder = str(tmp_path_factory.mktemp(request.param.__name__))
    with request.param(folder, ZONE) as names:
        with OutsideInstance(dns=names.endpoint, settings={"dnsbl_threshold": 3, "max_failed_msgs_per_period": 1000}, extra=LISTS) as server:
            yield server


ROWS = [
    ("a score below the threshold", "192.0.2.1", {}, "250 2.1.5 ACCEPTED"),
    ("two lists that come to it together", "192.0.2.2", {}, "550 5.7.1 192.0.2.2 is listed in bad.test graded.test"),
    ("one answer that weighs enough", "192.0.2.3", {}, "550 5.7.1 192.0.2.3 is listed in graded.test"),
    ("an answer that no block counts", "192.0.2.4", {}, "250 2.1.5 ACCEPTED"),
    ("a list of good clients takes weight off", "192.0.2.5", {}, "250 2.1.5 ACCEPTED"),
    ("an allow list overrules every score", "192.0.2.6", {}, "250 2.1.5 ACCEPTED"),
    ("an answer that says the list was asked wrongly", "192.0.2.7", {}, "250 2.1.5 ACCEPTED"),
    ("an IPv6 client, with the list's words", V6, {}, f"550 5.7.1 {V6} is listed in graded.test: v6 too"),
    ("a client on no list", "192.0.2.8", {}, "250 2.1.5 ACCEPTED"),
    ("a sender's domain", "192.0.2.9", {"sender": "a@spammer.example"},
     "550 5.7.1 your EHLO name or sender is listed in domains.test: sells watches"),
]


@pytest.mark.parametrize("says, ip, words, wanted", ROWS, ids=[row[0] for row in ROWS])
def test_weights_of_dns_lists_decide(listing, says, ip, words, wanted):
    with listing.outsider(ip) as client:
        assert client.offer(**words).text == wanted


def test_an_ehlo_name_on_a_list_is_refused_and_another_ehlo_is_judged_anew(listing):
    with listing.outsider("192.0.2.20") as client:
        client.expect(250, "EHLO spammer.example")
        assert client.command("MAIL FROM:<a@example.net>").text == "550 5.7.1 your EHLO name or sender is listed in names.test"
        assert client.offer() == 250


def test_the_words_of_the_list_reach_the_refused_client_and_the_evidence(make_outside, tmp_path):
    with Unbound(str(tmp_path / "dns"), ZONE) as names:
        server = make_outside(dns=names.endpoint, extra='dnsbl "bad.test" { }\n')
        with server.outsider("192.0.2.1") as client:
            assert client.offer().text == "550 5.7.1 192.0.2.1 is listed in bad.test: see https://bad.test/192.0.2.1"
            client.quit()
        row, = server.wait_rows("select rule, reply from violations join contacts c on c.id = contact_id where remote_ip = '192.0.2.1'")
        assert row["rule"] == "listed" and row["reply"].endswith("see https://bad.test/192.0.2.1")


def test_rules_see_score_lists_and_reverse_name(make_outside, tmp_path):
    with Unbound(str(tmp_path / "dns"), ZONE) as names:
        server = make_outside(dns=names.endpoint, settings={"dnsbl_threshold": 100}, extra=LISTS, start=False)
        server.prepare_files()
        write_rule(server, "mail_from.sql", "SELECT '550 score ' || :dnsbl_score || ' in ' || :listed_in || ' ' || :reverse || ' ' || :known_good;")
        server.start()
        with server.outsider("192.0.2.6") as client:
            assert client.offer().text == "550 5.7.1 score 5 in  missing 0", "an allow list hides the others"
        with server.outsider("192.0.2.2") as client:
            assert client.offer().text == "550 5.7.1 score 3 in bad.test graded.test missing 0"
        with server.outsider("192.0.2.5") as client:
            assert client.offer().text == "550 5.7.1 score -1 in graded.test missing 0"
        with server.outsider("10.0.9.1") as client:
            assert client.offer(sender="a@spammer.example").text == "550 5.7.1 score 3 in  confirmed 0"


def test_what_dns_says_of_a_client_is_recorded_with_its_mail_and_can_be_replayed(make_outside, tmp_path, marker):
    with Unbound(str(tmp_path / "dns"), ZONE) as names:
        server = make_outside(dns=names.endpoint, settings={"dnsbl_threshold": 100}, extra=LISTS)
        for ip in ("192.0.2.2", "10.0.9.1"):
            with server.outsider(ip) as client:
                client.ehlo()
                client.mail("someone@example.net", ["coco@example.test"], message(marker))
        rows = server.wait_rows("select remote_ip, reverse, listed_in, dnsbl_score from mails order by received_at, mail_id")
        assert {tuple(row) for row in rows} == {("192.0.2.2", "missing", "bad.test graded.test", 3), ("10.0.9.1", "confirmed", "", 0)}
        mail, = server.sql("select mail_id from mails where dnsbl_score = 3")
        assert "DNS lists that name its client: bad.test graded.test; a score of 3 in all." in server.command("why", mail["mail_id"])
        write_rule(server, "mail_from.sql", "SELECT '550 5.7.1 too bad' WHERE :dnsbl_score >= 3 AND :reverse = 'missing';")
        replayed = server.command("rules", "replay")
        assert mail["mail_id"] in replayed and replayed.count("550 5.7.1 too bad") == 1


def write_rule(server, name, text):
    os.makedirs(server.path("rules"), exist_ok=True)
    with open(server.path("rules", name), "w", encoding="utf-8") as stream:
        stream.write(text + "\n")


@pytest.fixture
def make_outside():
    made = []

    def make(start=True, **options):
        made.append(OutsideInstance(**options))
        return made[-1].start() if start else made[-1]
    yield make
    for server in made:
        server.stop()
        server.remove()


# Names.

REVERSE = [
    ("confirmed", "10.0.9.1", "250 2.1.5 ACCEPTED"),
    ("confirmed", "2001:db8:9::1", "250 2.1.5 ACCEPTED"),
    ("confirmed", "10.0.9.2", "550 5.7.25 the name of 10.0.9.2 in the DNS system does not lead back to it"),
    ("confirmed", "10.0.9.3", "550 5.7.25 10.0.9.3 has no name in the DNS system"),
    ("name", "10.0.9.2", "250 2.1.5 ACCEPTED"),
    ("name", "10.0.9.3", "550 5.7.25 10.0.9.3 has no name in the DNS system"),
    ("no", "10.0.9.3", "250 2.1.5 ACCEPTED"),
]


@pytest.fixture(scope="module", params=["confirmed", "name", "no"])
def reversing(request, tmp_path_factory):
    with Unbound(str(tmp_path_factory.mktemp("dns")), ZONE) as names:
        with OutsideInstance(dns=names.endpoint, settings={"reverse_required": request.param}) as server:
            yield request.param, server


def test_a_client_needs_the_name_that_is_required(reversing):
    required, server = reversing
    for wanted_of, ip, wanted in REVERSE:
        if wanted_of == required:
            with server.outsider(ip) as client:
                assert client.offer().text == wanted


def test_a_name_that_cannot_be_looked_up_is_no_permanent_refusal(make_outside):
    zone = {"4.9.0.10.in-addr.arpa": ["SERVFAIL"], "5.9.0.10.in-addr.arpa": [{"PTR": "servfail.example"}]}
    server = make_outside(zone=zone, settings={"reverse_required": "confirmed"})
    for ip in ("10.0.9.4", "10.0.9.5"):
        with server.outsider(ip) as client:
            assert client.offer().text == f"450 4.7.25 the name of {ip} could not be looked up in the DNS system"


# The greeting.

def silent(client):
    return not select.select([client.socket], [], [], 0)[0]


@pytest.fixture(scope="module")
def waiting():
    settings = {"greeting_delay_ms": FOREVER, "allow": [READY, "10.1.0.0/16"], "max_failed_msgs_per_period": 1000}
    with OutsideInstance(settings=settings) as server:
        yield server


def test_who_talks_before_a_greeting_that_waits_is_refused_at_once(waiting):
    with waiting.outsider("10.2.0.1", greeting=False) as client:
        client.send(b"EHLO client.example.net\r\n")
        assert client.reply().text == "554 5.5.1 mail.example.test you talked before the greeting"
        client.expect_close()
    row, = waiting.wait_rows("select rule, reply from violations join contacts c on c.id = contact_id where remote_ip = '10.2.0.1'")
    assert "before the greeting" in row["reply"]


def test_a_greeting_waits_for_strangers_alone(waiting):
    """The stranger came first, and is still waiting when the others have been served."""
    with waiting.outsider("10.2.0.2", greeting=False) as stranger:
        waiting.wait_rows("select 1 from contacts where remote_ip = '10.2.0.2'")
        with waiting.outsider("10.1.0.1") as allowed:
            assert allowed.offer() == 250
        waiting.edit("insert into contacts (remote_ip, accepted_at, created_at, updated_at)"
                     " values ('10.2.0.3', datetime('now', '-1 day'), datetime('now'), datetime('now'))")
        with waiting.outsider("10.2.0.3") as known:
            assert known.offer() == 250
        with waiting.talk("submission", source=fresh_source()) as member:
            assert member.greeting == 220
        assert silent(stranger)


def test_another_protocol_is_seen_while_the_greeting_waits(waiting):
    with waiting.outsider("10.2.0.4", greeting=False, says=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        client.expect_close()
    with waiting.outsider("10.2.0.5", greeting=False, says=b"\x16\x03\x01\x00\x05hello") as client:
        client.expect_close()
    for ip in ("10.2.0.4", "10.2.0.5"):
        waiting.wait_rows("select 1 from violations join contacts c on c.id = contact_id where rule = 'talk' and remote_ip = ?", ip)


def test_a_stop_does_not_wait_for_the_greeting():
    with OutsideInstance(settings={"greeting_delay_ms": FOREVER, "allow": [READY]}) as server:
        with server.outsider("10.2.0.6", greeting=False) as client:
            server.wait_rows("select 1 from contacts where remote_ip = '10.2.0.6'")
            assert server.halt() == 0
            assert client.reply().text == "421 4.3.2 mail.example.test shutting down"
            client.expect_close()


# Slow replies.

def test_who_violated_waits_for_replies_and_nobody_else_does(make_outside):
    server = make_outside(settings={"slow_reply_ms": 10000, "allow": [READY, "10.1.0.0/16"], "max_failed_msgs_per_period": 1000})
    with server.outsider("10.3.0.1") as offender:
        offender.expect(250, "EHLO client.example.net")
        offender.send(b"MAIL FROM:<a@example.net>\r\nRCPT TO:<victim@remote.test>\r\n")
        server.wait_rows("select 1 from violations join contacts c on c.id = contact_id where remote_ip = '10.3.0.1'")
        with server.outsider("10.3.0.2") as other:
            assert other.offer() == 250
        with server.outsider("10.1.0.1") as allowed:
            assert allowed.offer(recipient="victim@remote.test") == 550
            assert allowed.command("NOOP") == 250
        assert offender.reply() == 250 and silent(offender)
        with server.outsider("10.3.0.1", greeting=False) as again:
            server.wait_rows("select 1 from contacts where remote_ip = '10.3.0.1' and hits >= 2")
            with server.outsider("10.3.0.3") as other:
                assert other.offer() == 250
            assert silent(again)


# Pace.

def drip(client, pieces):
    """Sends one piece at a time, each once the server has surely waited for it; true when the server had enough before the end."""
    for piece in pieces:
        if select.select([client.socket], [], [], 0.05)[0]:
            return True
        try:
            client.send(piece)
        except OSError:
            return True
    return False


def test_a_command_line_that_comes_in_drops_ends_with_421(make_outside):
    server = make_outside(settings={"receiver_timeout": 3})
    with server.outsider("10.4.0.1") as client:
        assert drip(client, [b"N"] + [b" "] * 400)
        assert client.reply().text.startswith("421 4.4.2 mail.example.test closing connection due to inactivity--")
        client.expect_close()


@pytest.mark.parametrize("command, end", [("DATA", 354), ("BDAT 100000", None)])
def test_data_that_comes_too_slowly_ends_with_421_and_is_not_stored(make_outside, command, end):
    server = make_outside(settings={"receiver_timeout": 3, "data_minimum_rate": 1000})
    with server.outsider("10.4.0.2") as client:
        assert client.offer() == 250
        client.send(command.encode() + b"\r\n")
        if end:
            assert client.reply() == end
        assert drip(client, [b"x"] * 400)
        assert client.reply().text.startswith("421 4.4.2 mail.example.test closing connection due to inactivity--")
        client.expect_close()
    row, = server.wait_rows("select reply from violations where rule = 'timeout'")
    assert row["reply"].startswith("too slow in state data")
    assert not server.sql("select 1 from mails")


def test_data_at_the_minimum_rate_is_taken_however_long_it_takes(make_outside, marker):
    """Slower than the grace alone would allow, faster than the rate."""
    server = make_outside(settings={"receiver_timeout": 3, "data_minimum_rate": 100})
    text = message(marker) + b"line\r\n" * 1000
    with server.outsider("10.4.0.3") as client:
        assert client.offer() == 250
        client.expect(354, "DATA")
        for at in range(0, len(text), 60):
            assert not select.select([client.socket], [], [], 0.05)[0], "the server gave up"
            client.send(text[at:at + 60])
        client.send(b".\r\n")
        assert client.reply() == 250
    wait_for(lambda: server.sql("select 1 from mails"), "the message")
