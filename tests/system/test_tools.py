"""What an operator sees and changes with `parcelpost queue`, `hold-rule` and `changes`. One instance whose remote mail
is deferred by a scripted server until it is told otherwise; each test uses a domain of its own."""
import contextlib
import itertools
import json
import os
import pwd
import signal
import sqlite3
import subprocess

import pytest

from lib.fake_server import FakeServer
from lib.instance import Instance
from lib.messages import message
from lib.place import program
from lib.talker import fresh_source
from lib.waiting import wait_for
from lib.world import id_of

USAGE, NO_USER = 64, 67
_domains = itertools.count(1)


class Place:
    def __init__(self):
        self.replies = {"*": "450 4.2.1 later"}
        self.sink = FakeServer(on={"RCPT": self.replies}).start()
        self.server = Instance(route=self.sink.endpoint, settings={"retry_schedule": ["1h"]})

    def submit(self, recipients, marker, sender="coco@example.test"):
        with self.server.talk("internal", fresh_source()) as client:
            client.ehlo()
            return id_of(client.mail(sender, recipients, message(marker, sender=sender)))

    def deferred(self, recipients, marker, **more):
        mail_id = self.submit(recipients, marker, **more)
        self.server.wait_parcels(mail_id, "deferred")
        return mail_id

    def listed(self, *filters):
        """{(mail id, recipient): row} of what `queue list --json` says."""
        rows = json.loads(self.server.command("queue", "list", "--json", *filters))
        return {(row["mail_id"], row["to_url"]): row for row in rows}

    def states(self, mail_id):
        return {row["to_url"]: row["state"] for row in self.server.sql("select to_url, state from parcels where mail_id = ?", mail_id)}


@pytest.fixture(scope="module")
def place():
    one = Place()
    try:
        with one.server:
            yield one
            one.sink.stop()  # what hangs there ends
    finally:
        one.sink.stop()


@pytest.fixture
def domain():
    return f"t{next(_domains)}-{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}.remote.test"


# queue list.


def test_queue_list_filters_by_sender_recipient_domain_age_reason_and_state(place, domain, marker):
    place.replies[f"odd@{domain}"] = "451 4.7.0 greylisted, come back"
    first = place.deferred([f"plain@{domain}", f"odd@{domain}"], marker)
    second = place.deferred(f"plain@{domain}", marker, sender="mike@example.test")
    plain, odd, other = (first, f"plain@{domain}"), (first, f"odd@{domain}"), (second, f"plain@{domain}")
    for filters, expected in (
            ([f"domain={domain}"], {plain, odd, other}), ([f"domain={domain.upper()}"], {plain, odd, other}),
            ([f"domain=*{domain[1:]}", "sender=coco@*"], {plain, odd}), ([f"recipient=plain@{domain}"], {plain, other}),
            ([f"domain={domain}", "sender=MIKE@example.test"], {other}), ([f"domain={domain}", "sender=coco@example"], set()),
            ([f"domain={domain}", "reason=greylisted"], {odd}), ([f"domain={domain}", "reason=GREYLISTED", "sender=mike@*"], set()),
            ([f"domain={domain}", "older=1h"], set()), ([f"domain={domain}", "younger=1h"], {plain, odd, other}),
            ([f"domain={domain}", "state=held"], set()), ([f"domain={domain}", "state=held,deferred"], {plain, odd, other}),
            ([f"domain={domain}", "sender=<>"], set()), ([first], {plain, odd})):
        assert set(place.listed(*filters)) == expected, filters
    assert len(place.listed(f"domain={domain}", "limit=2")) == 2
    row = place.listed(f"domain={domain}", "reason=greylisted")[odd]
    assert row["attempts"] == 1 and row["state"] == "deferred" and row["domain"] == domain and row["delivery_msg"].startswith("451 4.7.0 greylisted")
    place.server.command("queue", "remove", f"domain={domain}")
    assert set(place.listed(f"domain={domain}")) == set()
    assert set(place.listed(f"domain={domain}", "state=removed")) == set(place.listed(f"domain={domain}", "state=all")) == {plain, odd, other}


@pytest.mark.parametrize("words", [["nonsense"], ["older=yesterday"], ["state=lost"], ["domain="], ["limit=many"], ["sender"]])
def test_queue_list_refuses_what_is_no_filter_and_says_what_is(place, words):
    status, output = place.server.command("queue", "list", *words, check=False)
    assert status == USAGE and words[0] in output and ("filters are" in output or "takes" in output)


def test_what_strangers_write_cannot_steer_a_terminal_or_break_the_json(place, domain, marker):
    reply = "450 4.2.1 later \x1b[2J\x07 \"quoted\" \\ ' OR 1=1; DROP TABLE parcels; -- \x9b gr\xfc\xdfe"
    place.replies["*"] = reply
    mail_id = place.deferred(f"'or'1'='1@{domain}", marker, sender="coco@example.test")
    place.replies["*"] = "450 4.2.1 later"
    place.server.edit("update parcels set delivery_msg = delivery_msg || ? where mail_id = ?", "\x1b]0;title\x07 \x7f \u202e", mail_id)
    for words in (["queue", "list", f"domain={domain}"], ["queue", "list", "--json", f"domain={domain}"], ["queue", "show", mail_id], ["why", mail_id],
                  ["queue", "show", mail_id, "--json"]):
        output = place.server.command(*words)
        assert output.replace("\n", "").isascii() and output.replace("\n", "").isprintable(), words
    row = place.listed(f"domain={domain}")[mail_id, f"'or'1'='1@{domain}"]
    assert '"quoted" \\ \' OR 1=1; DROP TABLE' in row["delivery_msg"]
    assert not place.listed(f"sender=x' OR '1'='1", f"domain={domain}") and not place.listed(f"domain=x' OR '1'='1")
    assert not place.listed(f"domain={domain}", "reason=%") and not place.listed(f"domain={domain}", "recipient=_or_1*")
    place.server.command("queue", "remove", mail_id)


# queue show.


def test_queue_show_gives_headers_and_message_of_mail_at_rest_and_in_motion(place, domain, marker):
    at_rest = place.deferred(f"show@{domain}", marker)
    place.replies[f"slow@{domain}"] = "HANG"
    in_motion = place.submit(f"slow@{domain}", marker)
    assert place.server.sql("select place from mails where mail_id = ?", in_motion)[0]["place"].startswith("journal ")
    for mail_id in (at_rest, in_motion):
        whole, headers = place.server.command("queue", "show", mail_id, "--message"), place.server.command("queue", "show", mail_id, "--headers")
        assert "\nReceived: " in headers and whole.endswith("\r\nHello.\r\n") and f"X-Marker: {marker}\r\n" in whole
        assert whole.startswith(headers) and "X-Marker" in headers and "Hello." not in headers
    shown = json.loads(place.server.command("queue", "show", at_rest, "--json"))
    assert shown["mail"]["mail_id"] == at_rest and shown["mail"]["from_url"] == "coco@example.test"
    assert [row["to_url"] for row in shown["parcels"]] == [f"show@{domain}"]
    attempt, = shown["attempts"]
    assert attempt["reply"] == "450 4.2.1 later" and attempt["milliseconds"] >= 0 and attempt["address"] and "tls" in attempt
    place.server.command("queue", "remove", f"domain={domain}")
    for how in ("--headers", "--message"):
        assert place.server.command("queue", "show", at_rest, how, check=False)[0] == NO_USER
    assert place.server.command("queue", "show", at_rest, "--everything", check=False)[0] == USAGE


def test_a_message_can_be_shown_while_the_server_is_down(make_instance, marker):
    server = make_instance(route="127.0.0.1:9", settings={"retry_schedule": ["1h"]})
    with server.talk("internal", fresh_source()) as client:
        client.ehlo()
        mail_id = id_of(client.mail("coco@example.test", "one@remote.test", message(marker)))
    server.wait_parcels(mail_id, "deferred")
    server.halt()
    assert f"X-Marker: {marker}" in server.command("queue", "show", mail_id, "--headers")
    server.launch()


# hold, release, retry, remove.


def test_what_a_killed_server_had_answered_is_held_while_it_is_down(make_instance, marker):
    """Its rows were not written yet: it is in the journal alone, and would leave at the next start."""
    server = make_instance(route="127.0.0.1:9")

    def rows():
        with contextlib.closing(sqlite3.connect(server.database)) as connection:
            return connection.execute("select count(*) from parcels").fetchone()[0]

    def killed_in_time():
        """After the 250, and before the milliseconds that rows wait for more of them are over."""
        before = rows()
        with server.talk("internal", fresh_source()) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<coco@example.test>")
            client.expect(250, "RCPT TO:<friend@remote.test>")
            assert client.data(message(marker)) == 250
            os.killpg(server.pid, signal.SIGKILL)
        server.kill_all()
        return rows() == before
    tries = 1
    while not killed_in_time():
        assert tries < 20, "the rows are always there"
        tries += 1
        server.launch()
    words = "1 message in the journal has no rows yet: start the server, or run parcelpost-queue\n"
    assert words in server.command("queue", "list") and words in server.command("stats")
    assert server.command("queue", "hold", "all") == f"{tries} parcel{'s' if tries > 1 else ''} held\n"
    server.launch()
    assert {row["state"] for row in server.sql("select state from parcels")} == {"held"}
    assert "in the journal" not in server.command("queue", "list")
    server.halt()
    assert "in the journal" not in server.command("queue", "list")


def test_operations_by_filter_touch_the_chosen_recipients_alone(place, domain, marker):
    mail_id = place.deferred([f"one@{domain}", f"two@{domain}"], marker)
    assert place.server.command("queue", "hold", f"recipient=one@{domain}") == "1 parcel held\n"
    assert place.states(mail_id) == {f"one@{domain}": "held", f"two@{domain}": "deferred"}
    assert place.server.command("queue", "remove", f"domain={domain}", "state=deferred") == "1 parcel removed\n"
    place.replies[f"one@{domain}"] = "250 ok"
    assert place.server.command("queue", "release", f"domain={domain}") == "1 parcel released\n"
    place.server.wait_rows("select 1 from parcels where to_url = ? and state = 'delivered'", f"one@{domain}")
    assert place.states(mail_id)[f"two@{domain}"] == "removed"
    assert not [one for one in place.sink.messages if f"two@{domain}" in one.accepted_for]
    status, output = place.server.command("queue", "retry", f"domain={domain}", check=False)
    assert status == NO_USER and output == "0 parcels due now\n"


def test_a_hold_of_one_recipient_outlives_a_crash_and_a_rebuild(make_instance, marker):
    server = make_instance(route="127.0.0.1:9", settings={"retry_schedule": ["1h"]})
    with server.talk("internal", fresh_source()) as client:
        client.ehlo()
        mail_id = id_of(client.mail("coco@example.test", ["one@remote.test", "two@remote.test"], message(marker)))
    server.wait_parcels(mail_id, "deferred")
    server.command("queue", "hold", "recipient=one@remote.test")
    server.kill_all()
    server.command("queue", "rebuild")
    rows = server.sql("select to_url, state from parcels where mail_id = ? order by to_url", mail_id)
    assert [tuple(row) for row in rows] == [("one@remote.test", "held"), ("two@remote.test", "queued")]
    server.launch()


def test_several_hundred_parcels_are_changed_in_steps_and_recorded_as_one_change(place, domain, marker):
    mail_ids = [place.submit([f"r{number}@{domain}" for number in range(5)], marker) for _ in range(40)]  # more than one step
    for mail_id in mail_ids:
        place.server.wait_parcels(mail_id, "deferred")
    for verb, done in (("hold", "held"), ("release", "released"), ("hold", "held"), ("remove", "removed")):
        assert place.server.command("queue", verb, f"domain={domain}") == f"200 parcels {done}\n"
    rows = place.server.sql("select what, affected from operator_changes where what like ? order by id", f"%domain={domain}")
    assert [tuple(row) for row in rows] == [(f"queue {verb} domain={domain}", 200) for verb in ("hold", "release", "hold", "remove")]


@pytest.mark.parametrize("state", ["deferred", "held", "in hand"])
def test_bounced_mail_ends_as_failed_and_its_sender_gets_the_operator_s_words(place, domain, marker, state):
    place.replies[f"gone@{domain}"] = ["HANG", "450 4.2.1 later"] if state == "in hand" else "450 4.2.1 later"
    mail_id = place.submit([f"gone@{domain}", f"stays@{domain}"], marker)
    if state == "in hand":
        wait_for(lambda: any(f"gone@{domain}" in line for dialogue in list(place.sink.sessions) for line in dialogue), "the recipient at the server")
    else:
        place.server.wait_parcels(mail_id, "deferred")
    if state == "held":
        place.server.command("queue", "hold", mail_id)
    assert place.server.command("queue", "bounce", f"recipient=gone@{domain}", "--message", "this company has closed") == "1 parcel on the way back to the sender\n"
    if state == "in hand":
        assert "the sender is told \"550 5.7.0 this company has closed\"" in place.server.command("why", mail_id)
        place.sink.stop()
        place.sink.start()
    place.server.wait_rows("select 1 from parcels where mail_id = ? and to_url = ? and state = 'failed' and delivery_msg = '550 5.7.0 this company has closed'",
                           mail_id, f"gone@{domain}")
    notice = place.server.wait_mail("coco@example.test", f"<{marker}@client.example.net>").decode()
    assert "this company has closed" in notice and f"gone@{domain}" in notice and f"stays@{domain}" not in notice and "Action: failed" in notice
    assert place.states(mail_id)[f"stays@{domain}"] in ("deferred", "held", "queued")
    place.server.command("queue", "remove", mail_id)


def test_a_retry_by_an_operator_ends_the_rest_of_a_destination(make_instance, marker):
    sink = FakeServer().start()
    sink.stop()
    server = make_instance(route=sink.endpoint, settings={"retry_schedule": ["1h"]})
    with server.talk("internal", fresh_source()) as client:
        client.ehlo()
        mail_id = id_of(client.mail("coco@example.test", "friend@remote.test", message(marker)))
    server.wait_parcels(mail_id, "deferred")
    server.wait_rows("select 1 from destinations where destination = 'remote.test' and retry_at > datetime('now', '+10 minutes')")
    assert "Its destination remote.test rests until " in server.command("why", mail_id)
    with sink:
        server.command("queue", "retry", "domain=remote.test")
        server.wait_parcels(mail_id, "delivered")
    assert "rests until" not in server.command("why", "remote.test")


def test_operations_want_to_be_told_what_they_are_about(place):
    for words in (["queue", "remove"], ["queue", "hold", "nobody"], ["queue", "retry", "000000-000000-00", "all"], ["queue", "hold", "all", "--json"],
                  ["queue", "remove", "all", "--message", "x"], ["queue", "bounce", "--message", "x"]):
        status, _ = place.server.command(*words, check=False)
        assert status == USAGE, words


# hold-rule.


@pytest.mark.parametrize("kind, pattern", [("sender", "coco@example.test"), ("recipient", "*caught@{domain}"), ("domain", "{domain}"), ("ip", "127.0.0.0/8")])
def test_mail_that_a_hold_rule_catches_gets_its_250_and_is_held_with_the_reason(place, domain, marker, kind, pattern):
    pattern = pattern.format(domain=domain)
    place.replies[f"caught@{domain}"] = "250 ok"
    place.server.command("hold-rule", "add", kind, pattern, "asked by the police")
    try:
        mail_id = place.submit(f"caught@{domain}", marker)
        row, = place.server.wait_parcels(mail_id, "held")
        assert row["delivery_msg"] == f"held by rule {kind} {pattern}: asked by the police"
        assert pattern in place.server.command("hold-rule", "list")
        assert {"kind": kind, "pattern": pattern, "reason": "asked by the police"}.items() <= json.loads(place.server.command("hold-rule", "list", "--json"))[0].items()
        place.server.wait_log(f"{mail_id}: from <coco@example.test> to <caught@{domain}>: held by rule {kind}")
    finally:
        place.server.command("hold-rule", "remove", kind, pattern)
    passes = place.submit(f"caught@{domain}", marker)
    place.server.wait_parcels(passes, "delivered")
    assert [one for one in place.sink.messages if marker.encode() in one.data] and place.states(mail_id) == {f"caught@{domain}": "held"}
    place.server.command("queue", "release", mail_id)
    place.server.wait_parcels(mail_id, "delivered")


def test_a_hold_rule_added_with_sqlite3_holds_and_a_large_message_is_held_too(place, domain, marker):
    before = len(place.server.log_text())
    place.server.edit("insert into hold_rules (kind, pattern, created_at) values ('recipient', ?, datetime())", f"big@{domain}")
    place.server.wait_log("hold rules are read anew", after=before)
    with place.server.talk("internal", fresh_source()) as client:
        client.ehlo()
        big = message(marker) + (b"y" * 70 + b"\r\n") * 20000
        mail_id = id_of(client.mail("coco@example.test", [f"big@{domain}", f"small@{domain}"], big))
    rows = {row["to_url"]: row["state"] for row in place.server.wait_parcels(mail_id, "held", "deferred")}
    assert rows == {f"big@{domain}": "held", f"small@{domain}": "deferred"}
    place.server.command("hold-rule", "remove", "recipient", f"big@{domain}")
    place.server.command("queue", "remove", mail_id)


def test_mail_held_by_a_rule_is_held_after_a_crash(make_instance, marker):
    server = make_instance()
    server.command("hold-rule", "add", "recipient", "mike@example.test")
    with server.talk("internal", fresh_source()) as client:
        client.ehlo()
        mail_id = id_of(client.mail("coco@example.test", ["mike@example.test", "coco@example.test"], message(marker)))
    server.kill_all()
    server.command("queue", "rebuild")
    server.launch()
    server.wait_mail("coco@example.test", marker)
    assert {row["to_url"]: row["state"] for row in server.sql("select * from parcels where mail_id = ?", mail_id)}["mike@example.test"] == "held"
    assert not server.mails("mike@example.test")


def test_a_wrong_hold_rule_is_refused_with_what_is_accepted(place):
    for words, said in ((["ip", "nonsense"], "192.0.2.0/24"), (["colour", "red"], "sender, recipient, domain, account or ip"), (["sender", ""], "takes")):
        status, output = place.server.command("hold-rule", "add", *words, check=False)
        assert status == USAGE and said in output, output
    assert place.server.command("hold-rule", "remove", "sender", "nobody@never.test", check=False)[0] == NO_USER


# changes.


def test_every_change_is_recorded_with_who_when_what_and_how_many(place, domain, marker):
    mail_id = place.deferred([f"a@{domain}", f"b@{domain}"], marker)
    place.server.command("queue", "hold", mail_id)
    place.server.command("hold-rule", "add", "domain", domain)
    place.server.command("hold-rule", "remove", "domain", domain)
    place.server.command("queue", "remove", mail_id)
    uid = os.geteuid() if not place.server.drop else 65534
    rows = [row for row in json.loads(place.server.command("changes", "--json")) if mail_id in row["what"] or domain in row["what"]]
    assert [(row["what"], row["affected"]) for row in reversed(rows)] == [
        (f"queue hold {mail_id}", 2), (f"hold-rule add domain {domain}", 1), (f"hold-rule remove domain {domain}", 1), (f"queue remove {mail_id}", 2)]
    assert all(row["uid"] == uid and row["name"] == pwd.getpwuid(uid).pw_name and row["created_at"] for row in rows)
    assert f"queue hold {mail_id}" in place.server.command("changes")


def test_changes_of_users_are_recorded_too_while_the_server_runs_and_while_it_is_down(make_instance):
    server = make_instance()
    server.add_user("lisa@example.test")
    server.command("user", "passwd", "lisa@example.test", "--stdin", input="another\n")
    server.halt()
    server.command("user", "remove", "lisa@example.test")
    server.launch()
    assert [row["what"] for row in reversed(json.loads(server.command("changes", "--json")))] == [
        "user add lisa@example.test", "user passwd lisa@example.test", "user remove lisa@example.test"]


# why.


def test_why_tells_the_story_of_a_message_with_every_attempt_what_happens_next_and_what_to_do(place, domain, marker, source):
    place.replies[f"later@{domain}"] = "451 4.7.1 greylisted"
    place.replies[f"never@{domain}"] = "550 5.1.1 no such user here"
    with place.server.talk("internal", source) as client:
        client.ehlo("client.example.net")
        client.expect(250, "MAIL FROM:<coco@example.test>")
        client.expect(550, "RCPT TO:<nobody@example.test>")
        for name in ("later", "never"):
            client.expect(250, f"RCPT TO:<{name}@{domain}>")
        mail_id = id_of(client.data(message(marker)))
    place.server.wait_parcels(mail_id, "deferred", "failed", "refused")
    story = place.server.command("why", mail_id)
    for words in (f"{mail_id}: a message from <coco@example.test>", f"from {source}", 'called itself "client.example.net"', "(internal) over ESMTP, without TLS, not logged in",
                  "RCPT, rule recipient-unknown: 550 5.1.1", "To <nobody@example.test>: refused: 550 5.1.1",
                  f"To <later@{domain}>: deferred: 451 4.7.1 greylisted", f", smtp route *: {place.sink.host}", "ms:\n      451 4.7.1 greylisted", "It is tried again ",
                  "(in ", "and given up ", f"You can: parcelpost queue retry {mail_id}", f"parcelpost queue remove {mail_id}",
                  f"To <never@{domain}>: failed: 550 5.1.1 no such user here", "nothing more happens"):
        assert words in story, (words, story)
    place.server.command("queue", "hold", mail_id)
    story = place.server.command("why", mail_id)
    assert "waits until an operator releases it" in story and f"You can: parcelpost queue release {mail_id}" in story


def test_why_of_an_address_and_a_domain_says_what_waits_and_what_stands_in_the_way(place, domain, marker):
    mail_id = place.deferred(f"friend@{domain}", marker)
    place.server.edit("insert or replace into destinations (destination, failures, retry_at, reason, tls, tls_at, updated_at)"
                      " values (?, 3, datetime('now', '+1 hour'), 'connection refused', 'verified', datetime(), datetime())", domain)
    place.server.command("hold-rule", "add", "domain", domain, "spam run")
    try:
        for asked in (f"friend@{domain}", domain):
            story = place.server.command("why", asked)
            for words in ("What waits, the next first:", mail_id, f"to <friend@{domain}>, deferred since", "450 4.2.1 later", f"held by rule domain {domain}: spam run",
                          f"You can: parcelpost hold-rule remove domain '{domain}'"):
                assert words in story, (words, story)
        for words in (f"Its destination {domain} rests until ", " min): 3 attempts in a row found no server there; the last said: connection refused",
                      "1 deferred, the oldest since", "1 times: 450 4.2.1 later", "It has shown verified TLS", f"parcelpost tls forgive {domain}"):
            assert words in story, (words, story)
        assert f"Its destination {domain} rests until " in place.server.command("why", mail_id)
    finally:
        place.server.command("hold-rule", "remove", "domain", domain)
        place.server.edit("delete from destinations where destination = ?", domain)
    place.server.command("queue", "remove", mail_id)
    story = place.server.command("why", f"friend@{domain}")
    assert "Nothing waits for it." in story and f"{mail_id} from <coco@example.test> to <friend@{domain}>: removed" in story
    for unknown in (f"stranger@never-{domain}", f"never-{domain}", "203.0.113.200", "000000-000000-00"):
        status, output = place.server.command("why", unknown, check=False)
        assert status == NO_USER and "nothing is known" in output or "never connected" in output, output


def test_why_names_the_destination_of_local_mail_as_the_queue_runner_does(place, domain, marker):
    mail_id = place.deferred(f"friend@{domain}", marker)
    place.server.edit("update parcels set delivery = 'local', target = '|filing' where mail_id = ?", mail_id)
    for name in "|filing", "":
        place.server.edit("insert or replace into destinations (destination, failures, retry_at, reason, updated_at)"
                          " values (?, 1, datetime('now', '+1 hour'), 'no', datetime())", name)
    try:
        story = place.server.command("why", mail_id)
        assert "Its destination |filing rests until " in story and "Local delivery" not in story
    finally:
        place.server.edit("delete from destinations where destination in ('|filing', '')")
        place.server.command("queue", "remove", mail_id)


def test_why_of_a_contact_tells_its_lockout_the_rules_that_spoke_and_its_mail(place, domain, marker, source):
    with place.server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(550, "RCPT TO:<friend@elsewhere.example>")
        client.quit()
    place.server.command("contacts", "lock", source, "600")
    story = place.server.command("why", source)
    for words in (f"{source} has connected 1 times", "It is locked out until ", "(in ", f"You can: parcelpost contacts forgive {source}",
                  "rule relay: 550 5.7.1", "It is in trusted_networks"):
        assert words in story, (words, story)
    place.server.command("contacts", "forgive", source)
    assert "It is not locked out." in place.server.command("why", source)


# stats and top.


def test_stats_count_states_ages_domains_and_the_last_hour(make_instance, marker):
    with FakeServer(on={"RCPT": {"never@far.test": "550 5.1.1 no", "later@far.test": "450 4.2.1 later", "*": "250 ok"}}) as sink:
        server = make_instance(route=sink.endpoint, settings={"retry_schedule": ["1h"]})
        with server.talk("internal", fresh_source()) as client:
            client.ehlo()
            for recipients in (["ok@far.test", "later@far.test"], ["later@other.far.test"], ["coco@example.test"]):
                mail_id = id_of(client.mail("coco@example.test", recipients, message(marker)))
                server.wait_parcels(mail_id, "delivered", "deferred")
            client.expect(250, "MAIL FROM:<coco@example.test>")
            client.expect(550, "RCPT TO:<nobody@example.test>")
        server.command("hold-rule", "add", "domain", "kept.test")
        with server.talk("internal", fresh_source()) as client:
            client.ehlo()
            server.wait_parcels(id_of(client.mail("coco@example.test", "x@kept.test", message(marker))), "held")
        server.command("contacts", "lock", "192.0.2.44", "600")
        stats = json.loads(server.command("stats", "--json"))
        assert {row["state"]: row["parcels"] for row in stats["states"]} == {"delivered": 3, "deferred": 1, "held": 1, "refused": 1}
        assert {row["came"]: row["parcels"] for row in stats["ages"]} == {"in the last hour": 2}
        assert {row["domain"]: row["parcels"] for row in stats["domains"]} == {"far.test": 1, "kept.test": 1}
        assert {row["what"]: row["number"] for row in stats["last_hour"]} == {"accepted": 4, "delivered": 3, "deferred": 1, "failed": 0, "refused": 1,
                                                                              "contacts locked out": 1}
        words = server.command("stats")
        assert "Where most wait" in words and "far.test" in words and "contacts locked out  1" in words


def test_top_shows_processes_sessions_the_queue_and_what_is_in_hand(place, domain, marker):
    place.replies[f"hangs@{domain}"] = "HANG"
    mail_id = place.submit([f"hangs@{domain}"], marker)
    wait_for(lambda: any(f"hangs@{domain}" in line for dialogue in list(place.sink.sessions) for line in dialogue), "the recipient at the server")
    held = place.deferred(f"other@more-{domain}", marker)
    place.server.command("queue", "hold", held)
    def frame_of_one():
        """With our own session alone: those that were here before may still be ending."""
        shown = place.server.command("top", "--once")
        return shown if " processes, 1 sessions\n" in shown else None
    with place.server.talk(source=fresh_source()) as client:
        client.ehlo()
        frame = wait_for(frame_of_one, "a frame with one session", explain=place.server.log_tail)
        client.quit()
    lines = [line.split() for line in frame.split("\n")]
    for name in ("ledger", "runner", "resolver", "signer", "lookup", "receiver", "agent"):
        row = [line for line in lines if line[:1] == [name]]
        assert row and int(row[0][2]) >= 1 and float(row[0][3]) > 0 and float(row[0][4]) >= 0, (name, frame)
    assert "A second, over the last minute: accepted " in frame and "held " in frame
    assert [line for line in lines if line[:3] == ["smtp", domain, "delivering"]] and [line for line in lines if line[:1] == [f"more-{domain}"]], frame
    assert "\x1b" not in frame
    place.sink.stop()
    place.sink.start()
    place.server.wait_parcels(mail_id, "deferred")
    place.server.command("queue", "remove", mail_id, held)


def test_top_draws_anew_on_a_terminal_until_it_is_interrupted(place):
    try:
        master, slave = os.openpty()
    except OSError as problem:
        pytest.skip(f"no terminal can be made here: {problem}")
    done = subprocess.Popen([program("parcelpost"), "-c", place.server.configuration, "top", "1"], stdin=subprocess.DEVNULL, stdout=slave,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # ignored in background jobs
    os.close(slave)
    seen = b""
    while seen.count(b"\x1b[H\x1b[2J") < 3:
        seen += os.read(master, 65536)
    done.send_signal(signal.SIGINT)
    assert done.wait(60) == -signal.SIGINT and b"sessions" in seen
    os.close(master)
    for words in (["0"], ["many"], ["1", "2", "3"]):
        assert place.server.command("top", *words, check=False)[0] == USAGE
