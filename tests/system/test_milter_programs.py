"""Real milters: rspamd, and OpenDKIM in both its modes, one behind the other."""
import os
import signal

import dkim
import pytest

from lib import certificates, ports
from lib.instance import Instance
from lib.messages import message, odd_body
from lib.opendkim import OpenDkim
from lib.rspamd import GTUBE, GTUBE_HEADER, GTUBE_SUBJECT, Rspamd
from lib.talker import SmtpTalker, fresh_source

MIKE = "mike@example.test"


@pytest.fixture(scope="module")
def stage():
    """rspamd, then OpenDKIM as verifier for strangers and as signer for members; the server's own DKIM is off."""
    instance = Instance(settings={"dkim_verify": False})
    folder = instance.path("milters")
    os.makedirs(folder)
    os.chmod(instance.directory, 0o755)
    private, record = certificates.dkim_key(instance.directory)
    keys = {"theirs._domainkey.client.example.net": record, "ours._domainkey.example.test": record}
    rspamd = Rspamd(instance.path("rspamd"), instance.dns_port)
    verifier, signer = OpenDkim(folder, "verifier", keys), OpenDkim(folder, "signer", keys, ("example.test", "ours", private))
    instance.settings["dkim_private_key_file"] = ""
    instance.filter_port, = ports.take(1)
    instance.extra = rspamd.block + verifier.block() + signer.block() + 'milters = {"rspamd", "verifier", "signer"}\n' \
        + f'listen "127.0.0.1:{instance.filter_port}" {{ role = mx\n xclient_networks = {{"127.0.0.0/8"}} }}\n'
    instance.keys, instance.private = keys, private
    try:
        instance.prepare()
        for program in (rspamd, verifier, signer):
            program.start()
        instance.launch()
        yield instance
        instance.stop()
    finally:
        for program in (rspamd, verifier, signer):
            program.stop()
        instance.remove()
        ports.give_back([instance.filter_port])


def send(server, content, role="mx", sender="a@client.example.net"):
    with server.talk(role, source=fresh_source()) as client:
        client.ehlo()
        if role == "internal":
            client.starttls()
            client.login()
        return client.mail(sender, MIKE, content)


def signed(server, content):
    with open(server.private, "rb") as stream:
        return dkim.sign(content, b"theirs", b"client.example.net", stream.read(), include_headers=[b"From", b"Subject"]) + content


def delivered(server, marker):
    return server.wait_mail(MIKE, marker).replace(b"\n", b"\r\n")


def test_rspamd_refuses_spam_and_takes_other_mail(stage, marker):
    reply = send(stage, message(marker, body=GTUBE + "\r\n"))
    assert reply.code == 554 and "Gtube" in reply.text
    assert send(stage, message(marker, body="Nothing of the kind.\r\n")) == 250
    assert b"Nothing of the kind." in delivered(stage, marker)


def test_rspamd_marks_mail_in_its_header(stage, marker):
    assert send(stage, message(marker, body=GTUBE_HEADER + "\r\n")) == 250
    assert b"\r\nX-Spam: Yes\r\n" in delivered(stage, marker)
    assert send(stage, message(marker + "-s", body=GTUBE_SUBJECT + "\r\n")) == 250
    assert b"\r\nSubject: [spam] a test\r\n" in delivered(stage, marker + "-s")


@pytest.mark.parametrize("size", (1000, 300_000, 3_000_000))
def test_opendkim_verifies_what_strangers_signed_and_its_results_stay(stage, marker, size):
    mail = message(marker, sender="a@client.example.net") + odd_body(size, size)
    assert send(stage, signed(stage, mail)) == 250
    got = delivered(stage, marker)
    assert b"\r\nAuthentication-Results: mail.example.test;\r\n\tdkim=pass" in got
    assert send(stage, signed(stage, message(marker + "-broken", sender="a@client.example.net")) + b"more\r\n") == 250
    assert b"dkim=fail" in delivered(stage, marker + "-broken")


def test_opendkim_is_told_of_a_client_that_xclient_names(stage, marker):
    with SmtpTalker(stage.filter_port, source=fresh_source()) as client:
        client.ehlo()
        client.expect(220, "XCLIENT ADDR=10.71.71.71 NAME=[UNAVAILABLE]")
        client.ehlo()
        assert client.mail("a@client.example.net", MIKE, signed(stage, message(marker, sender="a@client.example.net"))) == 250
    assert b"\tdkim=pass" in delivered(stage, marker)


@pytest.mark.parametrize("size", (1000, 300_000, 3_000_000))
def test_opendkim_signs_what_members_send_and_the_signature_holds_at_the_end(stage, marker, size):
    mail = message(marker) + odd_body(size + 1, size)
    without_date = mail.split(b"\r\n", 1)[1]  # it gets one before it is signed
    with stage.talk("internal") as client:  # from an InternalHost of OpenDKIM's
        client.ehlo()
        assert client.mail("coco@example.test", MIKE, without_date) == 250
    stored = stage.wait_mail(MIKE, marker)
    assert b"d=example.test; s=ours" in stored and b"\nDate: " in stored
    wire = stored.replace(b"\n", b"\r\n")
    assert dkim.verify(wire, dnsfunc=lambda name, **_: stage.keys[name.decode().rstrip(".")].encode())


def test_what_local_programs_send_is_signed_too(stage, marker):
    stage.command("-f", "coco@example.test", MIKE, name="sendmail", input=message(marker).decode().replace("\r\n", "\n"))
    assert b"s=ours" in stage.wait_mail(MIKE, marker)


def test_a_milter_that_is_killed_in_the_middle_puts_the_mail_off_and_is_used_again_when_it_is_back(make_instance, marker):
    server = make_instance(start=False)
    server.prepare()
    folder = server.path("milters")
    verifier = OpenDkim(folder, "verifier", {}).start()
    server.extra = verifier.block()
    server.write_configuration()
    server.launch()
    try:
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<a@client.example.net>")
            client.expect(250, f"RCPT TO:<{MIKE}>")
            client.expect(354, "DATA")
            assert verifier.background.stop(signal.SIGKILL) == -signal.SIGKILL
            client.send(message(marker) + b".\r\n")
            assert client.reply().text.startswith("451 4.7.1 ")
        os.unlink(verifier.socket)
        verifier.start()
        assert send(server, message(marker)) == 250
        assert b"Authentication-Results: mail.example.test; dkim=none" in server.wait_mail(MIKE, marker)
    finally:
        verifier.stop()
