"""REQUIRETLS and TLS-Required (RFC 8689): mail that asks for TLS all the way goes no other way, and mail that says it
needs none is not held up for it."""
import itertools
import os
import re
import shutil
import tempfile

import pytest

from lib.certificates import certificate
from lib.fake_server import KEYWORDS
from lib.messages import message
from lib.waiting import wait_for
from lib.world import World, id_of

HOST = "mx.required.test"  # the only name that the test certificate is for
serial = itertools.count(1)
REQUIRETLS = [*KEYWORDS, "REQUIRETLS", "DSN"]


@pytest.fixture(scope="module")
def world():
    """One that trusts the certificate of HOST."""
    folder = tempfile.mkdtemp(prefix="parcelpost-requiretls-")
    try:
        good = certificate(folder, HOST)
        os.mkdir(os.path.join(folder, "other"))
        with World(environment={"SSL_CERT_FILE": good[0]}) as made:
            made.good, made.unknown = good, certificate(os.path.join(folder, "other"), "mail.example.test")
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def exchanger(world, name, **behaviour):
    """The exchanger of a domain, under the name that the good certificate is for."""
    one = world.exchanger(**behaviour)
    world.server.write_zone({name: [{"MX": [10, HOST]}], HOST: [{"A": one.host}]})
    return one


def submit(world, source, recipient, data, parameters="REQUIRETLS"):
    with world.server.talk("submission", source) as client:
        client.ehlo()
        assert "REQUIRETLS" in client.starttls().lines
        assert client.login() == 235
        return id_of(client.mail("coco@example.test", recipient, data, parameters))


def only_row(world, mail_id, *states):
    [row] = world.parcels(mail_id, *states).values()
    return row


def test_it_goes_on_within_verified_tls_to_who_offers_it(world, source, marker):
    sink = exchanger(world, "offers.test", certificate=world.good, ehlo=REQUIRETLS)
    only_row(world, submit(world, source, "friend@offers.test", message(marker)), "delivered")
    assert "REQUIRETLS" in sink.messages[0].parameters.split() and sink.messages[0].tls and not sink.faults


def test_mail_that_does_not_ask_goes_without(world, source, marker):
    sink = exchanger(world, "unasked.test", certificate=world.good, ehlo=REQUIRETLS)
    only_row(world, submit(world, source, "friend@unasked.test", message(marker), ""), "delivered")
    assert "REQUIRETLS" not in sink.messages[0].parameters


@pytest.mark.parametrize("behaviour, words", [
    ({"ehlo": KEYWORDS, "certificate": "good"}, "does not offer it"),
    ({"ehlo": REQUIRETLS, "certificate": "unknown"}, "certificate is not verified"),
    ({"ehlo": REQUIRETLS}, "has no TLS"),
], ids=["not offered", "not verified", "in plain text"])
def test_it_is_returned_with_5_7_30_to_who_is_not_fit_for_it(world, source, marker, behaviour, words):
    if "certificate" in behaviour:
        behaviour = {**behaviour, "certificate": getattr(world, behaviour["certificate"])}
    name = re.sub(r"\W", "", words) + ".test"
    sink = exchanger(world, name, **behaviour)
    row = only_row(world, submit(world, source, f"friend@{name}", message(marker, body="a secret\r\n"), "REQUIRETLS RET=FULL"), "failed")
    assert row["delivery_msg"].startswith("550 5.7.30 ") and words in row["delivery_msg"] and not sink.messages
    notice = world.server.wait_mail("coco@example.test", marker)
    assert b"\nStatus: 5.7.30" in notice and b"a secret" not in notice, "RET=FULL counts as HDRS"


def test_the_rest_of_a_list_waits_while_tls_fails_over_a_further_connection(world, source, marker):
    """One that takes so few recipients that the list needs a second one: what that lacks, the first one had."""
    sink = exchanger(world, "fewer.test", certificate=world.good, on={"STARTTLS": ["220 2.0.0 go", "454 4.7.0 not now", "220 2.0.0 go"]},
                     ehlo=[*REQUIRETLS, "LIMITS RCPTMAX=1 MAILMAX=1"])
    mail_id = submit(world, source, ["one@fewer.test", "other@fewer.test"], message(marker))
    rows = world.parcels(mail_id, "delivered", "deferred", "failed")
    assert sorted(row["state"] for row in rows.values()) == ["deferred", "delivered"], rows
    world.server.command("queue", "retry", mail_id)
    assert len(world.parcels(mail_id, "delivered")) == 2 and len(sink.messages) == 2


def test_it_waits_while_the_tls_of_the_only_exchanger_fails(world, source, marker):
    sink = exchanger(world, "fails.test", certificate=world.good, on={"STARTTLS": ["454 4.7.0 not now", "220 2.0.0 go"]}, ehlo=REQUIRETLS)
    mail_id = submit(world, source, "friend@fails.test", message(marker))
    row = only_row(world, mail_id, "deferred", "failed")
    assert row["state"] == "deferred" and row["delivery_msg"].startswith("451 4.7.5 TLS fails there now, and without it: 550 5.7.30 "), row["delivery_msg"]
    world.server.command("queue", "retry", mail_id)
    only_row(world, mail_id, "delivered")
    assert sink.messages[0].tls


def test_another_exchanger_may_be_fit(world, source, marker):
    plain = world.exchanger()
    good = world.exchanger(certificate=world.good, ehlo=REQUIRETLS)
    world.server.write_zone({"two.test": [{"MX": [10, "plain.two.test"]}, {"MX": [20, HOST]}], "plain.two.test": [{"A": plain.host}],
                             HOST: [{"A": good.host}]})
    only_row(world, submit(world, source, "friend@two.test", message(marker)), "delivered")
    assert not plain.messages and good.messages


def test_our_own_mailboxes_are_the_end_of_the_way(world, source, marker):
    only_row(world, submit(world, source, "mike@example.test", message(marker)), "delivered")


@pytest.mark.parametrize("ehlo", [REQUIRETLS, KEYWORDS], ids=["offered", "not offered"])
def test_a_notice_asks_for_tls_too_and_is_not_lost_for_it(world, source, marker, ehlo):
    """RFC 8689 5. The mail leaves for a domain of its sender's, where nobody takes it, and the notice comes back."""
    domain = f"back{next(serial)}.test"  # whose connections nobody had before
    sink = exchanger(world, domain, certificate=world.good, ehlo=ehlo, on={"RCPT": {f"gone@{domain}": "550 5.1.1 nobody", "*": None}})
    world.server.command("alias", "add", "away@example.test", f"gone@{domain}")
    with world.server.talk(source=source) as client:
        client.ehlo()
        client.starttls()
        mail_id = id_of(client.mail(f"stranger@{domain}", "away@example.test", message(marker, sender=f"stranger@{domain}"), "REQUIRETLS"))
    only_row(world, mail_id, "failed")
    wait_for(lambda: sink.messages, "the notice", explain=world.server.log_tail)
    world.server.command("alias", "remove", "away@example.test")
    notice = sink.messages[0]
    assert notice.sender == "" and notice.tls and ("REQUIRETLS" in notice.parameters.split()) == (ehlo is REQUIRETLS)


@pytest.mark.parametrize("parameters, fields", [("REQUIRETLS", ""), ("", "TLS-Required: No\r\n"), ("", "")])
def test_an_answer_of_somebody_away_asks_of_its_way_what_the_message_did(world, source, marker, parameters, fields):
    """RFC 8689 6."""
    sender = f"friend@asks{next(serial)}.test"
    sink = exchanger(world, sender.partition("@")[2], certificate=world.good, ehlo=REQUIRETLS)
    account = f"away{next(serial)}@example.test"
    world.server.add_user(account)
    world.server.command("vacation", "set", account, "Away", "Later.")
    with world.server.talk(source=source) as client:
        client.ehlo()
        client.starttls()
        data = message(marker, sender=sender, recipient=account, fields=fields)
        client.mail(sender, account, data, parameters)
    [answer] = wait_for(lambda: list(sink.messages), "the answer", explain=world.server.log_tail)
    assert answer.tls and ("REQUIRETLS" in answer.parameters.split()) == (parameters != "")
    assert (b"\r\nTLS-Required: No\r\n" in answer.data) == (fields != "")


def test_tls_required_no_goes_without_the_tls_that_was_there_before(world, source, marker):
    tls = exchanger(world, "optional.test", certificate=world.good, on={"EOD": "250 2.0.0 taken|CLOSE"})
    only_row(world, submit(world, source, "friend@optional.test", message(marker), ""), "delivered")
    assert tls.messages[0].tls
    plain = exchanger(world, "optional.test", on={"EOD": "250 2.0.0 taken|CLOSE"})
    only_row(world, submit(world, source, "friend@optional.test", message(marker, fields="TLS-Required: No\r\n"), ""), "delivered")
    assert len(plain.messages) == 1 and not plain.messages[0].tls
    waits = submit(world, source, "friend@optional.test", message(marker), "")
    assert "4.7.5" in only_row(world, waits, "deferred")["delivery_msg"]
    only_row(world, submit(world, source, "friend@optional.test", message(marker, fields="TLS-Required: No\r\n"), ""), "delivered")
    assert len(plain.messages) == 2, "it is not put off behind the one that waits"
    both = submit(world, source, "friend@optional.test", message(marker, fields="TLS-Required: No\r\n"))
    only_row(world, both, "deferred", "failed")
    assert len(plain.messages) == 2, "REQUIRETLS says more than the header"


def test_an_operator_may_ignore_tls_required_no(source, marker):
    folder = tempfile.mkdtemp(prefix="parcelpost-requiretls-")
    try:
        good = certificate(folder, HOST)
        with World(environment={"SSL_CERT_FILE": good[0]}, settings={"tls_required_header": False}) as world:
            exchanger(world, "optional.test", certificate=good, on={"EOD": "250 2.0.0 taken|CLOSE"})
            only_row(world, submit(world, source, "friend@optional.test", message(marker), ""), "delivered")
            plain = exchanger(world, "optional.test")
            mail_id = submit(world, source, "friend@optional.test", message(marker, fields="TLS-Required: No\r\n"), "")
            assert "4.7.5" in only_row(world, mail_id, "deferred")["delivery_msg"] and not plain.messages
    finally:
        shutil.rmtree(folder, ignore_errors=True)
