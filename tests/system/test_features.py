"""What the older systems could do for their users (PARITY.md 1, "Features"), on a running server."""
import re
import sqlite3
import warnings

import dkim
import pytest

from lib.certificates import certificate
from lib.messages import as_crlf, body_of, message
from lib.talker import fresh_source
from lib.world import World, id_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt


@pytest.fixture(scope="module")
def world():
    """Two local domains, short DNS memory, and exchangers wherever a test wants one."""
    with World(settings={"local_domains": ["example.test", "second.test"]}) as made:
        yield made


def head_of(data):
    return as_crlf(data).partition(b"\r\n\r\n")[0].decode("utf-8", "replace") + "\r\n"


def fields(data, name):
    """The unfolded values of every field of that name."""
    unfolded = re.sub(r"\r\n[ \t]+", " ", head_of(data))
    return [line.partition(":")[2].strip() for line in unfolded.split("\r\n") if line.lower().startswith(name.lower() + ":")]


# Postmaster.

@pytest.mark.parametrize("name", ["postmaster", "PostMaster", "postmaster@example.test", "POSTMASTER@Second.Test"])
def test_postmaster_gets_mail_without_a_domain_and_in_every_local_domain(world, marker, name):
    mail_id = world.receive(name, message(marker))
    row, = world.server.wait_parcels(mail_id, "delivered", "failed")
    assert (row["state"], row["delivery"], row["target"]) == ("delivered", "local", "coco@example.test")
    assert fields(world.server.wait_mail("coco@example.test", marker), "Delivered-To") == ["coco@example.test"]


def test_postmaster_of_another_domain_is_no_business_of_ours(world):
    with world.server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        assert client.command("RCPT TO:<postmaster@remote.test>").text == "550 5.7.1 This server does not support relaying"


# Trace fields.

def test_return_path_and_delivered_to_are_ours_and_on_top(world, marker):
    """Those that the message brings along are not believed: ours come first, one for the recipient at hand."""
    forged = "Return-Path: <forged@example.net>\r\nDelivered-To: nobody@example.test\r\n"
    world.parcels(world.receive(["coco@example.test", "mike@example.test"], forged.encode() + message(marker)), "delivered")
    for name in ("coco@example.test", "mike@example.test"):
        lines = head_of(world.server.wait_mail(name, marker)).split("\r\n")
        assert lines[:2] == ["Return-Path: <someone@example.net>", f"Delivered-To: {name}"]


@pytest.mark.parametrize("greeting, tls, login, protocol", [
    ("HELO", False, False, "SMTP"), ("EHLO", False, False, "ESMTP"), ("EHLO", True, False, "ESMTPS"), ("EHLO", True, True, "ESMTPSA")],
    ids=["helo", "ehlo", "starttls", "login"])
def test_received_says_how_the_message_came(world, marker, greeting, tls, login, protocol):
    source = fresh_source()
    with world.server.talk("submission" if login else "mx", source) as client:
        client.expect(250, f"{greeting} client.example.net")
        if tls:
            client.starttls()
            version, cipher = client.socket.version(), client.socket.cipher()[0]
        if login:
            assert client.login() == 235
        mail_id = id_of(client.mail("coco@example.test" if login else "someone@example.net", "mike@example.test", message(marker)))
    received, = fields(world.server.wait_mail("mike@example.test", marker), "Received")
    facts = rf" \({version} {cipher}\)" if tls else ""
    assert re.fullmatch(rf"from client\.example\.net \((\S+ )?\[{source}\]\) by mail\.example\.test \(Parcelpost\) with {protocol} id {mail_id}"
                        rf"{facts} for <mike@example\.test>; \w\w\w, \d\d \w\w\w \d\d\d\d \d\d:\d\d:\d\d \+0000", received), received
    row, = world.server.sql("select * from mails where mail_id = ?", mail_id)
    assert row["protocol"] == protocol and row["account"] == ("coco@example.test" if login else "") and bool(row["tls"]) == tls


def test_received_names_no_recipient_when_there_are_several(world, marker):
    world.parcels(world.receive(["coco@example.test", "mike@example.test"], message(marker)), "delivered")
    received, = fields(world.server.wait_mail("mike@example.test", marker), "Received")
    assert " for " not in received and "coco" not in received


# DKIM.

def signer_domain(world):
    """A domain of strangers with a DKIM key: (name, sign(message))."""
    key = open(world.server.path("dkim.pem"), "rb").read()
    name = world.domain([10, world.exchanger()])
    record = world.server.zone["test._domainkey.example.test"]
    world.server.write_zone({f"theirs._domainkey.{name}": record})
    return name, lambda data: dkim.sign(data, b"theirs", name.encode(), key, canonicalize=(b"relaxed", b"simple"),
                                        include_headers=[b"from", b"to", b"subject", b"date"]) + data


def results_for(world, marker, data, sender="someone@example.net"):
    world.parcels(world.receive("coco@example.test", data, sender=sender), "delivered")
    return fields(world.server.wait_mail("coco@example.test", marker), "Authentication-Results")


def test_signatures_of_incoming_mail_are_verified(world, marker):
    name, sign = signer_domain(world)
    good = sign(message(marker + "-good", sender=f"a@{name}"))
    assert re.fullmatch(rf"mail\.example\.test; dkim=pass .*header\.d={re.escape(name)}.*", results_for(world, marker + "-good", good)[0])
    broken = sign(message(marker + "-broken", sender=f"a@{name}")).replace(b"Hello.", b"Hullo.")
    assert "; dkim=fail" in results_for(world, marker + "-broken", broken)[0]
    subject = sign(message(marker + "-subject", sender=f"a@{name}")).replace(b"Subject: a test", b"Subject: another")
    assert "; dkim=fail" in results_for(world, marker + "-subject", subject)[0]
    assert results_for(world, marker + "-none", message(marker + "-none")) == ["mail.example.test; dkim=none"]
    verdict, = world.server.sql("select verdicts from mails where message_id like ?", f"%{marker}-good@%")[0]
    assert verdict.startswith("dkim=pass")


def test_a_key_that_cannot_be_had_is_no_failed_signature(world, marker):
    """DNS that fails is temperror, a key that is not there permerror; the mail comes either way."""
    name, sign = signer_domain(world)
    data = sign(message(marker + "-1", sender=f"a@{name}"))
    world.server.write_zone({f"theirs._domainkey.{name}": ["SERVFAIL"]})
    assert "; dkim=temperror" in results_for(world, marker + "-1", data)[0]
    data = sign(message(marker + "-2", sender=f"a@{name}"))
    world.server.write_zone({f"theirs._domainkey.{name}": [{"TXT": "NONE"}]})
    assert "; dkim=permerror" in results_for(world, marker + "-2", data)[0]


def test_forged_results_in_our_name_are_removed_and_those_of_others_kept(world, marker):
    forged = ("Authentication-Results: mail.example.test; dkim=pass header.d=bank.example\r\n"
              "authentication-results:\r\n\tMAIL.Example.TEST 1;\r\n\tspf=pass\r\n"
              "Authentication-Results: (a comment) mail.example.test ; dmarc=pass\r\n"
              "Authentication-Results: mx.elsewhere.test; dkim=pass header.d=other.example\r\n")
    found = results_for(world, marker, forged.encode() + message(marker))
    assert found == ["mail.example.test; dkim=none", "mx.elsewhere.test; dkim=pass header.d=other.example"]


def zone_text(world):
    def look_up(name, timeout=5):
        records = world.server.zone.get(name.decode().rstrip("."), [])
        return next((record["TXT"].encode() for record in records if "TXT" in record), None)
    return look_up


@pytest.mark.parametrize("size", [100, 300_000, 1_100_000], ids=["in_the_request", "as_a_memfd", "as_a_file"])
def test_what_members_send_is_signed_and_verifies(world, marker, size):
    """By an implementation that is not ours, with the key from DNS, as the other server got it."""
    sink = world.exchanger()
    body = "A line of text with blanks  at the end \t\r\n..dots, äöü\r\n\r\n" * (size // 50)
    world.parcels(world.submit(f"friend@{world.domain([10, sink])}", message(marker, body=body)), "delivered")
    sent = sink.messages[0].data
    assert dkim.verify(sent, dnsfunc=zone_text(world))
    signature, = fields(sent, "DKIM-Signature")
    assert "d=example.test" in signature and "s=test" in signature and re.search(r"h=[^;]*\bfrom\b", signature, re.I)
    assert size > 100 or not dkim.verify(sent.replace(b"blanks", b"blonks", 1), dnsfunc=zone_text(world))


def test_what_strangers_send_is_not_signed(world, marker):
    """Not even when it claims a member in From."""
    world.parcels(world.receive("mike@example.test", message(marker)), "delivered")
    delivered = world.server.wait_mail("mike@example.test", marker)
    assert b"From: <coco@example.test>" in delivered and not fields(delivered, "DKIM-Signature")


def test_members_are_not_signed_for_a_foreign_author(world, marker):
    world.parcels(world.submit("mike@example.test", message(marker, sender="boss@bank.example")), "delivered")
    assert not fields(world.server.wait_mail("mike@example.test", marker), "DKIM-Signature")


# Passwords.

@pytest.mark.parametrize("prefix", ["$5$saltsalt$", "$6$saltsalt$", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$", "$2b$05$abcdefghijklmnopqrstuu"],
                         ids=["sha256", "sha512", "yescrypt", "bcrypt"])
def test_crypt_hashes_of_every_kind_log_in(world, prefix):
    """As another system made them: the row is written with sqlite3, while the server runs."""
    user, password = f"user{abs(hash(prefix))}@example.test", "Straße 7 & more"
    made = crypt.crypt(password, prefix)
    if made is None or not made.startswith(prefix[:3]):
        pytest.skip("this machine's crypt(3) cannot make such a hash")
    users = sqlite3.connect(world.server.path("state", "users.db"), timeout=10)
    with users:
        users.execute("insert into users (address, hash, created_at, updated_at) values (?, ?, datetime('now'), datetime('now'))", (user, made))
    users.close()
    with world.server.talk("submission", fresh_source()) as client:
        client.ehlo()
        client.starttls()
        assert client.login(user, "wrong") == 535
        assert client.login(user, password).text == "235 2.7.0 Authentication succeeded"
        client.expect(250, f"MAIL FROM:<{user}>")


# Delivery.

def test_recipients_of_a_domain_share_a_transaction_and_domains_do_not(world, marker):
    one, two = world.exchanger(), world.exchanger()
    first, second = world.domain([10, one]), world.domain([10, two])
    names = [f"a@{first}", f"x@{second}", f"B@{first.upper()}", f"y@{second}", f"c@{first}"]
    world.parcels(world.submit(names, message(marker)), "delivered")
    assert [sorted(sent.recipients, key=str.lower) for sent in one.messages] == [[f"a@{first}", f"B@{first}", f"c@{first}"]]
    assert [sorted(sent.recipients) for sent in two.messages] == [[names[1], names[3]]]


def test_starttls_is_used_when_offered_with_the_exchangers_name(world, marker, tmp_path):
    plain, secret = world.exchanger(), world.exchanger(certificate=certificate(str(tmp_path)))
    name = world.domain([10, secret])
    mail_id = world.submit([f"a@{name}"], message(marker))
    world.parcels(mail_id, "delivered")
    sent, = secret.messages
    assert sent.tls.startswith("TLSv1.") and sent.server_name == f"mx0.{name}" and not secret.faults
    assert secret.sessions[0].count("C: EHLO mail.example.test") == 2, "EHLO again once encrypted"
    attempt, = world.attempts(mail_id)
    assert re.fullmatch(r"TLSv1\.[23] \S+ unverified: self-signed certificate", attempt["tls"]), attempt["tls"]
    other = world.submit([f"a@{world.domain([10, plain])}"], message(marker + "-plain"))
    world.parcels(other, "delivered")
    assert plain.messages[0].tls == "" and world.attempts(other)[0]["tls"] == ""


# The operator's programs.

def test_parcelpost_send_alerts_a_user(world, marker):
    world.server.command("send", "mike@example.test", f"Disk {marker}", "The disk is full.\nReally: öä.")
    alert = world.server.wait_mail("mike@example.test", marker)
    assert fields(alert, "Subject") == [f"Disk {marker}"] and fields(alert, "Auto-Submitted") == ["auto-generated"]
    assert fields(alert, "From") == ["Example <coco@example.test>"] and fields(alert, "To") == ["<mike@example.test>"]
    assert as_crlf(body_of(as_crlf(alert))) == "The disk is full.\r\nReally: öä.\r\n".encode()
    world.server.command("send", "mike@example.test", f"Input {marker}", input="from standard input\n")
    assert body_of(as_crlf(world.server.wait_mail("mike@example.test", f"Input {marker}"))) == b"from standard input\r\n"


def test_parcelpost_send_refuses_what_would_be_another_field(world):
    status, output = world.server.command("send", "mike@example.test", "Two\nBcc: coco@example.test", "text", check=False)
    assert status == 64 and "one line each" in output
    status, output = world.server.command("send", "nobody@example.test", "hello", "text", check=False)
    assert status != 0 and "550 5.1.1" in output


def test_dns_query_asks_as_the_server_does(world):
    world.server.write_zone({
        "many.far.test": [{"A": "192.0.2.1"}, {"AAAA": "2001:db8::7"}, {"MX": [20, "b.far.test"]}, {"MX": [10, "a.far.test"]}, {"TXT": "v=spf1 -all"}],
        "9.2.0.192.in-addr.arpa": [{"PTR": "nine.far.test"}], "9.2.0.192.list.far.test": [{"A": "127.0.0.2"}], "broken.far.test": ["SERVFAIL"]})

    def ask(*words):
        return world.server.command("dns", "query", *words).split("\n")[:-1]
    assert ask("a", "many.far.test") == ["192.0.2.1"] and ask("aaaa", "many.far.test") == ["2001:db8::7"]
    assert sorted(ask("mx", "many.far.test")) == ["10 a.far.test", "20 b.far.test"] and ask("txt", "many.far.test") == ["v=spf1 -all"]
    assert ask("ptr", "192.0.2.9") == ["nine.far.test"] and ask("dnsbl", "192.0.2.9", "list.far.test") == ["127.0.0.2"]
    assert ask("dnsbl", "::ffff:192.0.2.9", "list.far.test") == ["127.0.0.2"], "a v4-mapped address is the v4 address"
    assert world.server.command("dns", "query", "a", "nowhere.far.test", check=False)[0] == 1
    assert world.server.command("dns", "query", "a", "broken.far.test", check=False)[0] == 75
