"""TLS with other servers: opportunistic, required, verified for each destination; what a destination has shown is
remembered, and its sudden absence puts mail off until an operator forgives it."""
import os
import re
import shutil
import tempfile

import pytest

from lib.certificates import certificate
from lib.fake_server import FakeServer
from lib.instance import Instance
from lib.messages import message
from lib.postfix import Postfix
from lib.waiting import wait_for
from lib.world import World

ONE_MESSAGE = {"EOD": "250 2.0.0 taken|CLOSE"}  # over a connection: the next needs a new one
HOST = "mx.remembered.test"  # the only name that the test certificate is for


@pytest.fixture(scope="module")
def world():
    """One that trusts the certificate of HOST."""
    folder = tempfile.mkdtemp(prefix="parcelpost-tls-")
    try:
        good = certificate(folder, HOST)
        os.mkdir(os.path.join(folder, "other"))
        with World(environment={"SSL_CERT_FILE": good[0]}) as made:
            made.good, made.unknown = good, certificate(os.path.join(folder, "other"), "mail.example.test")
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def exchanger_named(world, name, **behaviour):
    """The exchanger of a domain, under the name that the good certificate is for: (domain, exchanger)."""
    one = world.exchanger(**behaviour)
    world.server.write_zone({name: [{"MX": [10, HOST]}], HOST: [{"A": one.host}]})
    return one


def send(world, domain, marker, state="delivered"):
    """The parcel and its attempts, once it is in that state."""
    mail_id = world.submit(f"friend@{domain}", message(marker))
    row, = world.parcels(mail_id, state).values()
    return row, world.attempts(mail_id)


def remembered(world, domain):
    rows = world.server.sql("select tls from destinations where destination = ?", domain)
    return rows[0]["tls"] if rows else ""


def wait_remembered(world, domain, what):
    wait_for(lambda: remembered(world, domain) == what, f"{domain} to be remembered as {what}", explain=world.server.log_tail)


# Opportunistic.

def test_a_certificate_that_nobody_vouches_for_is_used_and_told(world, marker):
    sink = world.exchanger(certificate=world.unknown)
    _, (attempt,) = send(world, world.domain([10, sink]), marker)
    assert sink.messages[0].tls
    assert re.fullmatch(r"TLSv1\.[23] \S+ unverified: self-signed certificate", attempt["tls"]), attempt["tls"]


def test_a_certificate_for_the_exchangers_name_is_verified(world, marker):
    sink = exchanger_named(world, "verified.test", certificate=world.good)
    _, (attempt,) = send(world, "verified.test", marker)
    assert sink.messages[0].tls and re.fullmatch(r"TLSv1\.[23] \S+ verified", attempt["tls"]), attempt["tls"]


def test_a_certificate_for_another_name_is_not_verified(world, marker):
    sink = world.exchanger(certificate=world.good)
    _, (attempt,) = send(world, world.domain([10, sink]), marker)
    assert attempt["tls"].endswith("unverified: hostname mismatch"), attempt["tls"]


def test_a_failed_handshake_falls_back_to_plain_text_where_nothing_is_remembered(world, marker):
    sink = world.exchanger(certificate=world.good, tls_garbage=True)
    _, (attempt,) = send(world, world.domain([10, sink]), marker)
    assert len(sink.sessions) == 2 and sink.messages[0].tls == ""
    assert attempt["tls"].startswith("none: handshake failed: "), attempt["tls"]


# Remembered.

@pytest.mark.parametrize("behaviour", [{"tls_garbage": True}, {"on": {"STARTTLS": "454 4.7.0 TLS not available now"}}], ids=["no_handshake", "starttls_refused"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
def test_a_server_that_takes_nothing_without_tls_is_asked_again_when_its_tls_has_failed(world, marker, behaviour, verb):
    """RFC 3207 4: its 530 is about the connection, as long as we have tried."""
    on = {**behaviour.get("on", {}), verb: "530 5.7.0 Must issue a STARTTLS command first"}
    row, _ = send(world, world.domain([10, world.exchanger(certificate=world.unknown, **{**behaviour, "on": on})]), marker, "deferred")
    assert row["delivery_msg"] == "530 5.7.0 Must issue a STARTTLS command first"


def test_what_a_destination_shows_is_remembered(world, marker):
    offered = world.domain([10, world.exchanger(certificate=world.unknown)])
    send(world, offered, marker + "-1")
    exchanger_named(world, "shown.test", certificate=world.good)
    send(world, "shown.test", marker + "-2")
    plain = world.domain([10, world.exchanger()])
    send(world, plain, marker + "-3")
    wait_remembered(world, offered, "offered")
    wait_remembered(world, "shown.test", "verified")
    assert remembered(world, plain) == ""
    table = world.server.command("tls", "list")
    assert re.search(rf"^{re.escape(offered)} +offered ", table, re.M) and re.search(r"^shown\.test +verified ", table, re.M)
    assert plain not in table


@pytest.mark.parametrize("behaviour, words, tls", [
    ({}, "STARTTLS is not offered", "none: STARTTLS is not offered"),
    ({"tls_garbage": True}, "handshake failed", "none: handshake failed"),
    ({"on": {"STARTTLS": "454 4.7.0 not now"}}, "STARTTLS is refused", "none: STARTTLS is refused"),
], ids=["no_starttls", "no_handshake", "starttls_refused"])
def test_tls_that_is_suddenly_missing_puts_mail_off_until_it_is_forgiven(world, marker, behaviour, words, tls):
    domain = world.domain([10, world.exchanger(certificate=world.unknown, on=ONE_MESSAGE)])
    send(world, domain, marker + "-before")
    wait_remembered(world, domain, "offered")
    stripped = world.exchanger(**(dict(certificate=world.unknown, **behaviour) if behaviour else {}))
    world.set_domain(domain, [10, stripped])
    mail_id = world.submit(f"friend@{domain}", message(marker))
    row, = world.parcels(mail_id, "deferred").values()
    assert row["delivery_msg"].startswith(f"451 4.7.5 {domain} had TLS before, and now mx0.{domain} has not; "), row["delivery_msg"]
    assert f"parcelpost tls forgive {domain}" in row["delivery_msg"] and words in row["delivery_msg"]
    assert world.attempts(mail_id)[-1]["tls"].startswith(tls) and not stripped.messages
    assert remembered(world, domain) == "offered"
    assert world.server.command("tls", "forgive", domain).startswith("1 domain forgiven; ")
    assert remembered(world, domain) == ""
    world.retry(mail_id)
    world.parcels(mail_id, "delivered")
    assert stripped.messages[0].tls == ""


def test_a_certificate_that_is_suddenly_not_valid_puts_mail_off(world, marker):
    exchanger_named(world, "stolen.test", certificate=world.good, on=ONE_MESSAGE)
    send(world, "stolen.test", marker + "-before")
    wait_remembered(world, "stolen.test", "verified")
    other = exchanger_named(world, "stolen.test", certificate=world.unknown)
    row, attempts = send(world, "stolen.test", marker, "deferred")
    assert row["delivery_msg"].startswith(f"451 4.7.5 stolen.test had a valid certificate before, and now {HOST} has not; ")
    assert row["delivery_msg"].endswith("parcelpost tls forgive stolen.test; self-signed certificate"), row["delivery_msg"]
    assert attempts[-1]["tls"].endswith(" unverified: self-signed certificate") and not other.messages


def test_an_exchanger_that_still_has_tls_gets_the_mail_of_one_that_has_lost_it(world, marker):
    domain = world.domain([10, world.exchanger(certificate=world.unknown, on=ONE_MESSAGE)])
    send(world, domain, marker + "-before")
    wait_remembered(world, domain, "offered")
    stripped, good = world.exchanger(), world.exchanger(certificate=world.unknown)
    world.set_domain(domain, [10, stripped], [20, good])
    send(world, domain, marker)
    assert not stripped.messages and good.messages[0].tls


def test_forgiving_wants_a_domain_that_is_remembered(world):
    assert world.server.command("tls", "forgive", "no such domain", check=False) == (64, 'parcelpost: "no such domain" is not a domain\n')
    status, words = world.server.command("tls", "forgive", "unknown.test", check=False)
    assert status == 67 and words == "parcelpost: nothing is remembered of the TLS of unknown.test\n"


def test_what_is_remembered_is_listed_and_forgiven(world):
    """One domain, then all; each change is recorded."""
    for domain, tls in (("a.listed.test", "offered"), ("b.listed.test", "verified"), ("c.listed.test", "")):
        world.server.edit("insert into destinations (destination, tls, tls_at, updated_at) values (?, ?, '2026-11-22 01:02:03', datetime('now'))",
                          domain, tls)
    table = world.server.command("tls", "list")
    assert re.search(r"^a\.listed\.test +offered +2026-11-22 01:02:03", table, re.M) and "b.listed.test  verified" in table
    assert "c.listed.test" not in table
    words = world.server.command("tls", "forgive", "a.listed.test")
    assert words == "1 domain forgiven; to try its mail now: parcelpost queue retry domain=a.listed.test\n"
    assert "a.listed.test" not in world.server.command("tls", "list") and "b.listed.test" in world.server.command("tls", "list")
    assert re.fullmatch(r"\d+ domains? forgiven\n", world.server.command("tls", "forgive", "all"))
    assert "listed.test" not in world.server.command("tls", "list")
    assert world.server.sql("select 1 from operator_changes where what = 'tls forgive a.listed.test'")


def test_nothing_is_remembered_when_the_operator_does_not_want_it(marker):
    with World(settings={"outbound_tls_memory": 0}) as world:
        sink, plain = world.exchanger(certificate=certificate(world.server.directory), on=ONE_MESSAGE), world.exchanger()
        domain = world.domain([10, sink])
        send(world, domain, marker + "-before")
        assert sink.messages[0].tls and remembered(world, domain) == ""
        world.set_domain(domain, [10, plain])
        send(world, domain, marker)
        assert len(plain.messages) == 1


# Routes say what they want, and what they lead to is the operator's word: nothing is remembered of it.

def test_a_route_with_a_host_is_not_measured_by_what_the_domain_has_shown(marker):
    with FakeServer() as relay, Instance(extra=f'route "*" {{ host = "{relay.endpoint}" }}') as server:
        server.edit("insert into destinations (destination, tls, tls_at, updated_at) values ('far.test', 'verified', datetime('now'), datetime('now'))")
        with server.talk("internal") as client:
            client.ehlo()
            mail_id = client.mail("coco@example.test", "friend@far.test", message(marker)).text.partition("id=")[2]
        server.wait_parcels(mail_id, "delivered")
        assert relay.messages[0].tls == ""


@pytest.fixture
def postfix(world):
    if os.geteuid() != 0 or not os.path.exists("/usr/sbin/postfix"):
        pytest.skip("needs root and the package postfix")
    folder = tempfile.mkdtemp(prefix="parcelpost-postfix-")
    os.chmod(folder, 0o755)
    try:
        with Postfix(folder, "postfix.test", world.good) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("level, host, state, tls", [
    ("opportunistic", "127.0.0.1", "delivered", r"TLSv1\.3 \S+ unverified: .*"),
    ("required", "127.0.0.1", "delivered", r"TLSv1\.3 \S+ unverified: .*"),
    ("verified", "127.0.0.1", "deferred", r"TLSv1\.3 \S+ unverified: .*"),
    ("verified", HOST, "delivered", r"TLSv1\.3 \S+ verified"),
])
def test_a_route_says_how_much_tls_there_must_be(world, postfix, marker, level, host, state, tls):
    """With Postfix at the other end."""
    extra = f'route "postfix.test" {{\n host = "{host}:{postfix.port}"\n tls = {level}\n}}'
    with Instance(extra=extra, environment={"SSL_CERT_FILE": world.good[0]}, zone={HOST: [{"A": "127.0.0.1"}]}) as server:
        with server.talk("internal") as client:
            client.ehlo()
            mail_id = client.mail("coco@example.test", "friend@postfix.test", message(marker)).text.partition("id=")[2]
        row, = server.wait_parcels(mail_id, state)
        attempt = server.sql("select attempts.* from attempts join parcels on parcels.id = parcel_id where mail_id = ?", mail_id)[-1]
        assert re.fullmatch(tls, attempt["tls"]), attempt["tls"]
        if state == "deferred":
            assert row["delivery_msg"].startswith("451 4.7.5 TLS handshake failed: the certificate is not verified"), row["delivery_msg"]
        else:
            wait_for(lambda: any(marker.encode() in one for one in postfix.mails()), "the mail in Postfix", explain=postfix.log_text)
