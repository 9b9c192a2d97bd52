"""What single keys do: logins at other servers, local_filter, dangerous recipients, the log's dialogues, mail ids, LMTP over a
Unix socket. One instance has all of it, and each test sends its own messages."""
import os
import re
import stat
import subprocess

import pytest

from lib.certificates import certificate
from lib.fake_server import FakeServer
from lib.instance import Instance
from lib.messages import as_crlf, body_of, message
from lib.place import program
from lib.waiting import running, wait_for
from lib.world import id_of

SECRET = "smart-host-secret"
LOGIN = ("us@smart.test", SECRET)

# Does what the message's X-Filter field says, as filters that work and filters that fail do.
FILTER = r"""#!/usr/bin/python3 -SE
import os, sys, time
text = sys.stdin.buffer.read()
mode = text.partition(b"X-Filter: ")[2].partition(b"\n")[0].decode()
out = sys.stdout.buffer
if mode == "mark":
    assert b"\r" not in text and sys.argv[1:] == ["-a", "two"], sys.argv
    out.write(b"X-Spam-Flag: YES\nX-Filtered-As: %d\n" % os.getuid() + text + b"\n.\nthe last line")
elif mode == "fail":
    out.write(b"X-Spam-Flag: YES\n" + text)
    sys.exit(3)
elif mode == "killed":
    out.write(b"X-Spam-Flag: YES\n" + text)
    out.flush()
    os.kill(os.getpid(), 9)
elif mode == "hang":
    out.write(b"X-Spam-Flag: YES\n" + text)
    out.flush()
    time.sleep(60)
elif mode == "lingering child":
    if os.fork() == 0:
        time.sleep(60)
    out.write(b"X-Spam-Flag: YES\n" + text)
elif mode == "headerless":
    out.write(b"this is no header field\n\n" + text)
elif mode == "endless":
    out.write(b"X-Spam-Flag: YES\n" + text)
    while True:
        out.write(b"x" * 70 + b"\n")
elif mode == "odd":
    out.write(b"X-Spam-Flag: YES\rand more\n" + text)
elif mode != "empty":
    out.write(text)
"""


class World:
    """An instance with everything set, and the servers its routes lead to."""

    def __init__(self):
        server = self.server = Instance(local="maildir")
        chain = certificate(server.directory)
        self.chain = chain[0]
        self.good = FakeServer(certificate=chain, auth=LOGIN)
        self.only_login = FakeServer(certificate=chain, auth=LOGIN, auth_mechanisms="CRAM-MD5 LOGIN")
        self.refusing = FakeServer(certificate=chain, auth=("us@smart.test", "another password"))
        self.plain = FakeServer()
        self.garbage = FakeServer(certificate=chain, tls_garbage=True)
        for name, content, mode in (("filter", FILTER, 0o755), ("smart.password", SECRET + "\nnot this line\n", 0o600)):
            with open(server.path(name), "w", encoding="ascii") as stream:
                stream.write(content)
            os.chmod(server.path(name), mode)
        server.settings.update(
            local_filter=server.path("filter") + "  -a two", local_filter_timeout=3, dangerous_recipients="allow", show_incoming_data=True,
            dump_mail_into_log=True, log_receiver_conversation=True, log_queue_runner_conversation=True, display_receiver_dialog=True,
            display_queue_runner_dialog=True, message_id_base=36, log_path_and_file=server.path("server.log"), retry_schedule=["1h"],
            outbound_tls=False)
        login = f'user = "us@smart.test"\npassword_file = "{server.path("smart.password")}"'
        blocks = [("good.test", self.good, login), ("only-login.test", self.only_login, login), ("refusing.test", self.refusing, login),
                  ("plain.test", self.plain, login), ("wants-tls.test", self.plain, "tls = required"),
                  ("garbage.test", self.garbage, "tls = required"), ("any.test", self.plain, "")]
        for one in self.servers():
            one.start()
        server.extra = "\n".join(f'route "{domain}" {{\nhost = "{one.endpoint}"\n{keys}\n}}' for domain, one, keys in blocks)
        for domain, host in (("verified.test", f"mail.example.test:{self.good.port}"), ("misnamed.test", self.good.endpoint)):
            server.extra += f'\nroute "{domain}" {{\nhost = "{host}"\ntls = verified\n{login}\n}}'
        server.environment["SSL_CERT_FILE"] = self.chain

    def servers(self):
        return self.good, self.only_login, self.refusing, self.plain, self.garbage

    def log(self):
        with open(self.server.path("server.log"), encoding="utf-8") as stream:
            return stream.read()

    def submit(self, source, recipient, data):
        with self.server.talk("internal", source) as client:
            client.ehlo()
            return id_of(client.mail("coco@example.test", recipient, data))

    def row(self, mail_id, *states):
        return self.server.wait_parcels(mail_id, *states)[0]


@pytest.fixture(scope="module")
def world():
    everything = World()
    try:
        with everything.server:
            yield everything
    finally:
        for one in everything.servers():
            one.stop()


# Logins at other servers.


def test_a_route_with_a_login_authenticates_within_tls(world, source, marker):
    mail_id = world.submit(source, "friend@good.test", message(marker))
    assert world.row(mail_id, "delivered")["delivery"] == "remote"
    assert ("PLAIN", *LOGIN) in world.good.logins
    sent = next(one for one in world.good.messages if marker.encode() in one.data)
    assert sent.tls and not world.good.faults
    [attempt] = world.server.sql("select * from attempts join parcels on parcels.id = parcel_id where mail_id = ?", mail_id)
    assert attempt["tls"].startswith("TLSv1.") and attempt["route"] == "smtp route good.test"


def test_a_server_without_auth_plain_gets_auth_login(world, source, marker):
    world.row(world.submit(source, "friend@only-login.test", message(marker)), "delivered")
    assert world.only_login.logins == [("LOGIN", *LOGIN)] and not world.only_login.faults


def test_a_refused_login_is_temporary_and_logged(world, source, marker):
    row = world.row(world.submit(source, "friend@refusing.test", message(marker)), "deferred")
    assert row["delivery_msg"] == "454 4.7.0 the login as us@smart.test was refused: 535 5.7.8 wrong user or password"
    assert not world.refusing.messages and world.refusing.logins == [("PLAIN", *LOGIN)]
    assert re.search(r"warn  agent\[\d+\] \S+: 127\.0\.0\.1 \(127\.0\.0\.1:\d+\): 454 4\.7\.0 the login as us@smart.test was refused: 535", world.log())


@pytest.mark.parametrize("domain, words", [
    ("plain.test", "454 4.7.0 this route wants TLS, and the server does not offer it"),
    ("wants-tls.test", "454 4.7.0 this route wants TLS, and the server does not offer it"),
    ("garbage.test", "451 4.7.5 TLS handshake failed"),
    ("misnamed.test", "451 4.7.5 TLS handshake failed: the certificate is not verified"),
])
def test_a_route_that_wants_tls_waits_for_it(world, source, marker, domain, words):
    row = world.row(world.submit(source, f"friend@{domain}", message(marker)), "deferred")
    assert row["delivery_msg"].startswith(words), row["delivery_msg"]
    for one in world.servers():
        assert not any(marker.encode() in sent.data for sent in one.messages) and not one.faults


def test_a_verified_server_gets_the_login(world, source, marker):
    mail_id = world.submit(source, "friend@verified.test", message(marker))
    world.row(mail_id, "delivered")
    [attempt] = world.server.sql("select tls from attempts join parcels on parcels.id = parcel_id where mail_id = ?", mail_id)
    assert attempt["tls"].endswith(" verified")


def test_a_route_without_tls_or_login_is_as_before(world, source, marker):
    world.row(world.submit(source, "friend@any.test", message(marker)), "delivered")
    sent = next(one for one in world.plain.messages if marker.encode() in one.data)
    assert not sent.tls


def test_the_password_of_a_route_is_shown_nowhere(world, source, marker):
    world.row(world.submit(source, "friend@good.test", message(marker)), "delivered")
    shown = subprocess.run([program("parcelpostd"), "-c", world.server.configuration, "-T"], stdout=subprocess.PIPE, check=True).stdout.decode()
    assert "smart.password" in shown and SECRET not in shown
    log = world.log() + world.server.log_text()
    assert " -> AUTH PLAIN ***" in log
    for secret in (SECRET, "AHVzQHNtYXJ0LnRlc3QA", "c21hcnQtaG9zdC1zZWNyZXQ"):
        assert secret not in log
    assert stat.S_IMODE(os.stat(world.server.path("smart.password")).st_mode) == 0o600


def test_a_password_file_that_cannot_be_read_stops_the_start(make_instance):
    instance = make_instance(start=False, extra='route "*" {\nhost = "127.0.0.1:9"\nuser = "us"\npassword_file = "/nowhere/password"\n}')
    instance.prepare_files()
    done = subprocess.run([program("parcelpostd"), "-c", instance.configuration, "-f"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, check=False)
    assert done.returncode == 78 and b"password_file /nowhere/password cannot be read" in done.stdout, done.stdout


# local_filter.


def filtered(world, source, marker, mode, body="Hello.\r\n"):
    """(what was sent, what arrived)."""
    data = message(marker, body=body, fields=f"X-Filter: {mode}\r\n")
    world.submit(source, "mike@example.test", data)
    return data, as_crlf(world.server.wait_mail("mike@example.test", marker))


def test_local_filter_changes_local_mail(world, source, marker):
    data, arrived = filtered(world, source, marker, "mark", body="One.\r\n..\r\nTwo.\r\n")
    assert b"\r\nX-Spam-Flag: YES\r\n" in arrived.partition(b"\r\n\r\n")[0]
    assert body_of(arrived) == body_of(data) + b"\r\n.\r\nthe last line\r\n"
    assert int(re.search(rb"X-Filtered-As: (\d+)", arrived).group(1)) != 0, "the filter ran as root"
    assert arrived.count(b"Return-Path:") == 1 and arrived.startswith(b"Return-Path:")


def test_local_filter_leaves_alone_what_a_transport_takes_elsewhere(make_instance, source, marker):
    """Our signature is on it already, and what a filter says of spam is for our own users."""
    with FakeServer() as gateway:
        server = make_instance(settings={"local_filter": "/usr/bin/tr a-z A-Z"}, extra=f'transport "gateway" {{ kind = smtp\n target = "{gateway.endpoint}" }}\n'
                               'route "inside.example" { transport = gateway }')
        with server.talk("internal", source) as client:
            client.ehlo()
            client.mail("coco@example.test", ["friend@inside.example", "mike@example.test"], message(marker, body="lower case\r\n"))
        assert b"LOWER CASE" in server.wait_mail("mike@example.test", marker.upper())
        wait_for(lambda: gateway.messages, "the mail at the gateway", explain=server.log_tail)
        assert b"lower case" in gateway.messages[0].data


@pytest.mark.parametrize("mode, problem", [
    ("fail", "ended with status 3"), ("killed", "was ended by signal 9"), ("empty", "wrote nothing"),
    ("headerless", "wrote no message header"), ("endless", "wrote more than twice the message"),
    ("odd", "wrote a CR that ends no line"),
])
def test_a_failing_filter_leaves_the_message_intact(world, source, marker, mode, problem):
    before = len(world.log())
    data, arrived = filtered(world, source, marker, mode)
    assert arrived.endswith(data) and b"X-Spam-Flag" not in arrived
    assert re.search(rf"warn  agent\[\d+\] \S+: local_filter .*/filter  -a two: {problem}; the message is delivered unfiltered",
                     world.log()[before:])


def test_a_filter_that_takes_too_long_is_ended_and_leaves_the_message_intact(world, source, marker):
    before = len(world.log())
    data, arrived = filtered(world, source, marker, "hang")
    assert arrived.endswith(data) and b"X-Spam-Flag" not in arrived
    assert re.search("local_filter .* takes longer than local_filter_timeout", world.log()[before:])
    assert not running(world.server.path("filter"))


def test_a_child_that_a_filter_leaves_behind_is_neither_waited_for_nor_left_alive(world, source, marker):
    """Even though it holds the filter's output open."""
    _, arrived = filtered(world, source, marker, "lingering child")
    assert b"\r\nX-Spam-Flag: YES\r\n" in arrived.partition(b"\r\n\r\n")[0]
    assert not running(world.server.path("filter"))


def test_remote_mail_is_not_filtered(world, source, marker):
    world.row(world.submit(source, "friend@any.test", message(marker, fields="X-Filter: mark\r\n")), "delivered")
    sent = next(one for one in world.plain.messages if marker.encode() in one.data)
    assert b"X-Spam-Flag" not in sent.data


def test_a_filter_that_is_not_there_leaves_the_message_intact(make_instance, source, marker):
    server = make_instance(settings={"local_filter": "/nowhere/spamc -t 5", "log_file_life": "daily"})
    with server.talk(source=source) as client:
        client.ehlo()
        client.mail("someone@example.net", "mike@example.test", message(marker))
    assert as_crlf(server.wait_mail("mike@example.test", marker)).endswith(message(marker))
    server.wait_log("local_filter /nowhere/spamc -t 5: cannot be started: No such file or directory")


# Dangerous recipients.


def test_dangerous_recipients_are_refused_unless_allowed(world, server, source):
    for one, code in ((server, "553 5.1.3"), (world.server, "550 5.1.1")):
        with one.talk(source=source) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<someone@example.net>")
            assert client.command("RCPT TO:<a|b@example.test>").text.startswith(code)


# The log.


def test_both_dialogues_are_shown_with_their_arrows_and_no_password(world, source, marker):
    before = len(world.log())
    with world.server.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        assert client.login(password="wrong-secret").code == 535
        assert client.login().code == 235
        mail_id = id_of(client.mail("coco@example.test", "mike@example.test", message(marker, body="a line of data\r\n")))
        client.quit()
    wait_for(lambda: re.search(rf"{mail_id}.*delivered|{mail_id}.* -> QUIT", world.log()[before:]) and " -> QUIT" in world.log()[before:], "the log")
    log = world.log()[before:]
    stamp = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} info  receiver\[\d+\] [0-9A-Z]{6}-[0-9A-Z]{6}-[0-9A-Z]{2}: "
    for line in (" -> EHLO client.example.net", "<-  220 2.0.0 TLS go ahead", "<-> (handshake) TLSv1", " -> AUTH PLAIN (credentials)",
                 "<-  235 2.7.0 Authentication succeeded", r" -> MAIL FROM:<coco@example.test>", r" -> \(data\)$", r" -> \(data\) a line of data$",
                 rf"<-  250 2.0.0 OK id={mail_id}", " -> QUIT"):
        pattern = line if "\\" in line else re.escape(line)
        assert re.search(stamp + pattern, log, re.M), line
        if "a line of data" not in line:  # to standard error a moment later
            world.server.wait_log("^" + pattern)
    for secret in ("my-password", "wrong-secret", "AGNvY29A", "bXktcGFzc3dvcmQ"):
        assert secret not in log and secret not in world.server.log_text()


def test_the_dialogue_with_other_servers_is_shown(world, source, marker):
    mail_id = world.submit(source, "friend@any.test", message(marker))
    world.row(mail_id, "delivered")
    prefix = r"^\S+ \S+ info  agent\[\d+\] \S+: "  # the connection may have been made for an earlier message
    for line in (" -> EHLO mail.example.test", "<-  220 sink.test ESMTP", " -> MAIL FROM:<coco@example.test>", "<-  250 2.0.0 taken"):
        assert re.search(prefix + re.escape(line), world.log(), re.M), line
        assert re.search("^" + re.escape(line), world.server.log_text(), re.M), line


def test_dump_mail_into_log_says_what_is_known_of_a_message(world, source, marker):
    mail_id = world.submit(source, "mike@example.test", message(marker))
    dumped = "\n".join(re.findall(rf"{mail_id}: \(mail\) (.*)", world.log()))
    for known in ("Received: from client.example.net", "coco@example.test", "mike@example.test", source):
        assert known in dumped, dumped


def test_quiet_by_default(server, source, marker):
    before = len(server.log_text())
    with server.talk(source=source) as client:
        client.ehlo()
        client.mail("someone@example.net", "mike@example.test", message(marker, body="a line of data\r\n"))
        client.quit()
    server.wait_mail("mike@example.test", marker)
    assert " -> EHLO" not in server.log_text()[before:] and "a line of data" not in server.log_text()[before:]


# Mail ids, timeouts, LMTP.


def test_message_id_base_36_has_no_small_letters(world, source, marker):
    for number in range(3):
        assert re.fullmatch(r"[0-9A-Z]{6}-[0-9A-Z]{6}-[0-9A-Z]{2}", world.submit(source, "mike@example.test", message(f"{marker}-{number}")))


def test_lmtp_goes_to_a_unix_socket(make_instance, source, marker):
    server = make_instance(start=False)
    path = server.path("lmtp.sock")
    with FakeServer(path=path, lmtp=True) as sink:
        os.chmod(path, 0o666)
        server.settings.update(lmtp=path, local_transport=None)
        server.start()
        with server.talk(source=source) as client:
            client.ehlo()
            mail_id = id_of(client.mail("someone@example.net", ["mike@example.test", "coco@example.test"], message(marker)))
        assert len(server.wait_parcels(mail_id, "delivered")) == 2
        assert len(sink.messages) == 1 and not sink.faults


def test_certificate_and_keys_may_be_absent(make_instance, source, marker):
    with FakeServer() as sink:
        server = make_instance(route=sink.endpoint, settings={"certificate": None, "private_key": None, "dkim_private_key_file": None,
                                                                "self_signed_certificate": False})
        with server.talk("internal", source) as client:
            assert "STARTTLS" not in client.ehlo().text
            mail_id = id_of(client.mail("coco@example.test", "friend@remote.test", message(marker)))
        server.wait_parcels(mail_id, "delivered")
        assert b"DKIM-Signature" not in sink.messages[0].data
        assert re.search("warn .*no certificate is configured: STARTTLS and AUTH are not offered", server.log_text())


def test_local_transport_decides_also_where_lmtp_is_set(make_instance, source, marker):
    server = make_instance(settings={"lmtp": "127.0.0.1:1", "local_transport": "maildir"})
    with server.talk(source=source) as client:
        client.ehlo()
        client.mail("someone@example.net", "mike@example.test", message(marker))
    server.wait_mail("mike@example.test", marker)
