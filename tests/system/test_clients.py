"""Programs of others as our clients: what each sends arrives byte for byte, whatever it is and however many it is for."""
import os
import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile

import pytest

from lib.dovecot_relay import DovecotRelay
from lib.messages import as_crlf, message, odd_message
from lib.postfix import Postfix
from lib.talker import SmtpTalker, stuffed
from lib.waiting import wait_for
from lib.world import World

LARGE = 3 << 20
MANY = 120  # more than are on the way at one time with PIPELINING
NODE_PATH = "/usr/share/nodejs"
NODEMAILER = """
const [port, login, sender, recipients, file] = process.argv.slice(1);
const mailer = require('nodemailer').createTransport({host: '127.0.0.1', port, ignoreTLS: !login, requireTLS: !!login, name: 'client.example.net',
    tls: {rejectUnauthorized: false}, auth: login ? {user: login, pass: 'my-password'} : undefined});
mailer.sendMail({envelope: {from: sender, to: recipients.split(',')}, raw: require('fs').createReadStream(file)})
    .then(() => mailer.close(), problem => { console.error(problem); process.exit(1); });
"""
SETTINGS = {"ehlo_domain_verifies": False, "local_domains": ["example.test", "many.test"], "max_failed_msgs_per_period": 1000}


@pytest.fixture(scope="module", name="world")
def a_world():
    with World(lmtp=True, settings=SETTINGS) as made:
        made.sink = made.exchanger()
        made.far = made.domain([10, made.sink])
        made.server.command("alias", "add", "@many.test", f"@{made.far}")
        yield made
        assert not made.sink.faults, "what clients made us send on broke the standards"


@pytest.fixture(scope="module", name="relay")
def a_dovecot_in_front_of_us(world):
    if not os.path.exists("/usr/lib/dovecot/submission"):
        pytest.skip("no Dovecot submission server here")
    folder = tempfile.mkdtemp(prefix="parcelpost-relay-")
    os.chmod(folder, 0o755)
    try:
        with DovecotRelay(folder, world.server.submission_port, world.server.lmtp_listener) as made:
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Errand:
    """What a client is to send: where, as whom, to whom, the file of it."""

    def __init__(self, port, path, sender, recipients, login="", lmtp=False):
        self.port, self.path, self.sender, self.recipients, self.login, self.lmtp = str(port), path, sender, recipients, login, lmtp

    @property
    def data(self):
        with open(self.path, "rb") as stream:
            return stream.read()


def run(*command, data=None, **environment):
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]} here")
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-3000:]
    return done.stdout.decode("utf-8", "replace")


def swaks(errand, *options):
    login = ["--tls", "--auth", "PLAIN", "--auth-user", errand.login, "--auth-password", "my-password"] if errand.login else []
    protocol = ["--protocol", "LMTP"] if errand.lmtp else []
    wire = errand.path + ".wire"  # else swaks adds an empty line; it ends the last line itself
    with open(wire, "wb") as stream:
        stream.write(stuffed(errand.data)[:-2])
    run("swaks", "--server", "127.0.0.1", "--port", errand.port, "--ehlo", "client.example.net", "--from", errand.sender, "--to",
        ",".join(errand.recipients), "--data", "@" + wire, "--no-data-fixup", "--suppress-data", *protocol, *login, *options)


def swaks_pipelining(errand):
    swaks(errand, "--pipeline")


def msmtp(errand):
    login = ["--tls=on", "--tls-certcheck=off", "--auth=plain", "--user=" + errand.login, "--passwordeval=echo my-password"] if errand.login else []
    run("msmtp", "--file=/dev/null", "--host=127.0.0.1", "--port=" + errand.port, "--from=" + errand.sender, "--domain=client.example.net",
        "--set-from-header=off", "--set-date-header=off", *(["--protocol=lmtp"] if errand.lmtp else []), *login, "--", *errand.recipients,
        data=errand.data.replace(b"\r\n", b"\n"))


def curl(errand):
    login = ["--ssl-reqd", "--insecure", "--user", errand.login + ":my-password"] if errand.login else []
    recipients = [word for one in errand.recipients for word in ("--mail-rcpt", one)]
    run("curl", "-sS", "--url", f"smtp://127.0.0.1:{errand.port}/client.example.net", "--mail-from", errand.sender, *recipients,
        "--upload-file", errand.path, *login)


def python_smtplib(errand):
    kind = smtplib.LMTP if errand.lmtp else smtplib.SMTP
    with kind("127.0.0.1", int(errand.port), "client.example.net") as client:
        if errand.login:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            client.starttls(context=context)
            client.login(errand.login, "my-password")
        # of LMTP's replies it reads one
        for recipients in [[one] for one in errand.recipients] if errand.lmtp else [errand.recipients]:
            assert not client.sendmail(errand.sender, recipients, errand.data, ["BODY=8BITMIME"])


def nodemailer(errand):
    if not os.path.isdir(os.path.join(NODE_PATH, "nodemailer")):
        pytest.skip("no nodemailer here")
    run("node", "-e", NODEMAILER, errand.port, errand.login, errand.sender, ",".join(errand.recipients), errand.path, NODE_PATH=NODE_PATH)


CLIENTS = [swaks, swaks_pipelining, msmtp, curl, python_smtplib, nodemailer]
LMTP_CLIENTS = [swaks, swaks_pipelining, msmtp, python_smtplib]
KINDS = {
    "plain": lambda marker, sender: message(marker, sender=sender, body=".\r\n..\r\nFrom here\r\n\r\n.x\r\n\r\n"),
    "eight_bit": lambda marker, sender: message(marker, sender=sender, body="Grüße, 日本\r\ncaf\udce9 \udcff\udc80\r\n",
                                                fields="MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n"),
    "large": lambda marker, sender: odd_message(marker, 7, LARGE, sender=sender),
}


@pytest.fixture
def written(tmp_path, marker):
    """Writes a message of this kind to a file; gives its bytes and the path."""
    def write(kind, sender):
        data = KINDS[kind](marker, sender)
        path = str(tmp_path / "message")
        with open(path, "wb") as stream:
            stream.write(data)
        return data, path
    return write


def check_mailbox(server, user, marker, data):
    arrived = as_crlf(server.wait_mail(user, marker))
    assert arrived.endswith(data), f"{len(data)} bytes were sent, and other ones arrived: {arrived[:1500]!r}"


def check_sink(world, marker, recipients, data):
    """Each of them once at the other server, and the message as it was sent."""
    def taken():
        found = [one for one in world.sink.messages if marker.encode() in one.data]
        return found if sum(len(one.recipients) for one in found) >= len(recipients) else None
    found = wait_for(taken, f"{len(recipients)} recipients at the other server", explain=world.server.log_tail)
    assert sorted(name for one in found for name in one.recipients) == sorted(recipients)
    assert all(one.data.endswith(data) for one in found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_a_strangers_program_sends_to_us(world, marker, written, client, kind):
    data, path = written(kind, "someone@example.net")
    client(Errand(world.server.mx_port, path, "someone@example.net", ["coco@example.test", "mike@example.test"]))
    for user in ("coco@example.test", "mike@example.test"):
        check_mailbox(world.server, user, marker, data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_a_members_program_logs_in_within_tls(world, marker, written, client, kind):
    data, path = written(kind, "coco@example.test")
    friend = f"friend@{world.far}"
    client(Errand(world.server.submission_port, path, "coco@example.test", ["mike@example.test", friend], login="coco@example.test"))
    check_mailbox(world.server, "mike@example.test", marker, data)
    check_sink(world, marker, [friend], data)
    row = world.server.sql("select * from mails where message_id like ?", f"%{marker}%")[0]
    assert row["account"] == "coco@example.test" and row["protocol"] == "ESMTPSA" and row["tls"].startswith("TLS")


@pytest.mark.parametrize("login", ["", "coco@example.test"], ids=["plain", "logged_in"])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_a_message_for_many(world, marker, written, client, login):
    sender = login or "someone@example.net"
    data, path = written("plain", sender)
    names = [f"friend{number}@{world.far if login else 'many.test'}" for number in range(MANY)]
    client(Errand(world.server.submission_port if login else world.server.mx_port, path, sender, names, login=login))
    check_sink(world, marker, [name.partition("@")[0] + "@" + world.far for name in names], data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("client", LMTP_CLIENTS, ids=lambda client: client.__name__)
def test_a_program_speaks_lmtp_to_us(world, marker, written, client, kind):
    data, path = written(kind, "someone@example.net")
    client(Errand(world.server.lmtp_listener, path, "someone@example.net", ["coco@example.test", "mike@example.test"], lmtp=True))
    for user in ("coco@example.test", "mike@example.test"):
        check_mailbox(world.server, user, marker, data)


# Servers of others in front of ours.

@pytest.mark.parametrize("kind", KINDS)
def test_dovecots_submission_server_hands_on_to_ours(world, relay, marker, written, kind):
    data, path = written(kind, "coco@example.test")
    friends = [f"friend{number}@{world.far}" for number in range(MANY if kind == "plain" else 2)]
    with smtplib.SMTP("127.0.0.1", relay.port, "client.example.net") as client:
        client.login("coco@example.test", "my-password")
        assert not client.sendmail("coco@example.test", ["mike@example.test", *friends], data, ["BODY=8BITMIME"])
    check_mailbox(world.server, "mike@example.test", marker, data)
    check_sink(world, marker, friends, data)


@pytest.mark.parametrize("kind", KINDS)
def test_dovecots_lmtp_proxy_hands_on_to_ours(world, relay, marker, written, kind):
    data, path = written(kind, "someone@example.net")
    with SmtpTalker(relay.lmtp_port) as client:
        client.expect(250, "LHLO client.example.net")
        client.expect(250, "MAIL FROM:<someone@example.net> BODY=8BITMIME")
        for user in ("coco", "nobody", "mike"):
            assert client.command(f"RCPT TO:<{user}@example.test>").code == (250 if user != "nobody" else 550)
        client.expect(354, "DATA")
        client.send(stuffed(data))
        assert [client.reply().code for _ in range(2)] == [250, 250]
    for user in ("coco@example.test", "mike@example.test"):
        check_mailbox(world.server, user, marker, data)


@pytest.mark.skipif(os.geteuid() != 0, reason="Postfix starts as root only")
@pytest.mark.parametrize("way", ["smtp", "lmtp"])
def test_postfix_hands_on_to_ours(world, marker, tmp_path, way):
    """Every kind over its connections to us; many recipients in transactions of fifty."""
    folder = tempfile.mkdtemp(prefix="parcelpost-postfix-")
    os.chmod(folder, 0o755)
    port = world.server.mx_port if way == "smtp" else world.server.lmtp_listener
    served = {name: f"{way}:inet:127.0.0.1:{port}" if way == "lmtp" else f"smtp:[127.0.0.1]:{port}" for name in ("example.test", "many.test")}
    try:
        with Postfix(os.path.join(folder, "postfix"), others=served) as postfix:
            sent = {kind: KINDS[kind](f"{marker}-{kind}", "someone@example.net") for kind in KINDS}
            names = [f"friend{number}@many.test" for number in range(MANY)]
            with smtplib.SMTP("127.0.0.1", postfix.port, "client.example.net") as client:
                for kind, data in sent.items():
                    recipients = ["mike@example.test"] + (names if kind == "plain" else [])
                    assert not client.sendmail("someone@example.net", recipients, data, ["BODY=8BITMIME"])
            for kind, data in sent.items():
                check_mailbox(world.server, "mike@example.test", f"{marker}-{kind}", data)
            check_sink(world, f"{marker}-plain", [name.replace("many.test", world.far) for name in names], sent["plain"])
            assert not re.search(r"status=(bounced|deferred)", postfix.log_text()), postfix.log_text()[-3000:]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
