"""The programs beside the server: sendmail, parcelpost and its subcommands, what other people's clients and DNS servers make of it."""
import os
import re
import shlex
import stat
import subprocess

import pytest

from lib.fake_server import FakeServer
from lib.instance import Instance
from lib.messages import as_crlf, body_of, message
from lib.name_servers import Nsd, Unbound
from lib.place import program
from lib.talker import Closed, fresh_source
from lib.waiting import wait_for
from lib.world import id_of
from lib.zone import default_zone

USAGE, NO_USER, CANT_CREATE, TEMPORARY = 64, 67, 73, 75


def header_of(data):
    return as_crlf(data).partition(b"\r\n\r\n")[0].decode() + "\r\n"


# sendmail.


def sendmail(server, *words, text, check=True):
    return server.command(*words, input=text, check=check, name="sendmail")


def test_sendmail_takes_recipients_from_the_header_and_removes_bcc(server, marker):
    sendmail(server, "-t", "-i", "-f", "mike@example.test", "-F", "Mike O'Sender",
             text=f"To: Coco <coco@example.test>\nBcc: mike@example.test,\n postmaster\nSubject: {marker}\n\nOne.\n.\nTwo.\n")
    arrived = server.wait_mail("coco@example.test", marker)
    head = header_of(arrived)
    assert not re.search("^bcc", head, re.I | re.M) and "postmaster" not in head and "Return-Path: <mike@example.test>" in head
    assert re.search("From: \"?Mike O'Sender\"? <mike@example.test>", head) and "Message-ID: " in head and "Date: " in head
    assert body_of(as_crlf(arrived)) == b"One.\r\n.\r\nTwo.\r\n"
    server.wait_mail("mike@example.test", marker)
    assert sum(marker.encode() in mail for mail in server.mails("coco@example.test")) == 1  # postmaster is coco, who is a recipient already


def test_sendmail_without_i_ends_at_a_lone_dot(server, marker):
    sendmail(server, "-f", "coco@example.test", "mike@example.test", text=f"Subject: {marker}\n\nOne.\n.\nTwo.\n")
    assert body_of(as_crlf(server.wait_mail("mike@example.test", marker))) == b"One.\r\n"


def test_sendmail_says_what_was_refused(server, marker):
    status, output = sendmail(server, "-f", "coco@example.test", "nobody@example.test", text=f"Subject: {marker}\n\nx\n", check=False)
    assert status == NO_USER and "550 5.1.1" in output
    status, output = sendmail(server, "-t", text=f"Subject: {marker}\n\nno recipients\n", check=False)
    assert status in (USAGE, 65) and output


def test_sendmail_asks_for_notices(server, marker):
    sendmail(server, "-i", "-f", "coco@example.test", "-N", "success,delay", "-R", "full", "-V", f"order {marker}", "mike@example.test",
             text=f"Subject: {marker}\n\nx\n")
    notice = server.wait_mail("coco@example.test", f"Original-Envelope-Id: order {marker}")
    assert b"Action: delivered" in notice and b"Final-Recipient: rfc822; mike@example.test" in notice
    row, = server.sql("select notify from parcels join mails using (mail_id) where to_url = 'mike@example.test' and role = 'sendmail'"
                      " order by parcels.id desc limit 1")
    assert row["notify"] == "SUCCESS,DELAY"
    for words in (("-N", "never,success"), ("-N", "sometimes"), ("-R", "some"), ("-V", ""), ("-V", "x" * 101)):
        status, output = sendmail(server, *words, "mike@example.test", text="x", check=False)
        assert status == 64 and output.startswith(f"sendmail: {words[0]} takes "), output


def test_sendmail_speaks_smtp_on_standard_input(server, marker):
    output = sendmail(server, "-bs", text=f"EHLO localhost\r\nMAIL FROM:<coco@example.test>\r\nRCPT TO:<mike@example.test>\r\nDATA\r\nSubject: {marker}"
                      "\r\n\r\nx\r\n.\r\nQUIT\r\n")
    assert re.search(r"^250 2\.0\.0 OK id=", output, re.M) and output.endswith("closing connection\r\n")
    server.wait_mail("mike@example.test", marker)


def test_sendmail_ends_with_75_while_the_server_is_down(stopped, marker):
    for words in (["-f", "coco@example.test", "mike@example.test"], ["-t"]):
        status, output = sendmail(stopped, *words, text=f"To: mike@example.test\nSubject: {marker}\n\nx\n", check=False)
        assert status == TEMPORARY and output.startswith("sendmail: "), output
    status, output = stopped.command("send", "mike@example.test", "a subject", "text", check=False)
    assert status == TEMPORARY and output.startswith("parcelpost: "), output


@pytest.fixture(scope="module")
def stopped():
    with Instance() as instance:
        instance.halt()
        yield instance


# parcelpost.


def test_send_gives_a_user_a_local_alert(server, marker):
    server.command("send", "mike@example.test", f"alert {marker}", "The disk is full.")
    server.command("send", "coco@example.test", f"alert {marker}", input="From\nstandard input.\n")
    arrived = server.wait_mail("mike@example.test", marker)
    assert f"Subject: alert {marker}\r\n" in header_of(arrived) and "From: Example <coco@example.test>" in header_of(arrived)
    assert body_of(as_crlf(arrived)) == b"The disk is full.\r\n"
    assert body_of(as_crlf(server.wait_mail("coco@example.test", marker))) == b"From\r\nstandard input.\r\n"
    status, output = server.command("send", "nobody@example.test", "x", "y", check=False)
    assert status == NO_USER and "550 5.1.1" in output


class Deferring:
    """An instance whose remote mail goes to a server that says `later` until it is told otherwise."""

    def __init__(self):
        self.sink = FakeServer(on={"RCPT": {"stuck@remote.test": "450 4.2.1 later", "*": ["450 4.2.1 later", "250 ok"]}}).start()
        self.server = Instance(route=self.sink.endpoint, settings={"retry_schedule": ["1h"]})

    def submit(self, recipient, marker):
        with self.server.talk("internal", fresh_source()) as client:
            client.ehlo()
            return id_of(client.mail("coco@example.test", recipient, message(marker)))


@pytest.fixture(scope="module")
def deferring():
    one = Deferring()
    try:
        with one.server:
            yield one
    finally:
        one.sink.stop()


def test_queue_list_show_retry_and_remove(deferring, marker):
    server = deferring.server
    assert server.command("queue", "list") == "The queue is empty.\n"
    first, second = deferring.submit("friend@remote.test", marker), deferring.submit("stuck@remote.test", marker)
    for mail_id in (first, second):
        server.wait_parcels(mail_id, "deferred")
    listed = server.command("queue", "list")
    assert len(listed.strip().split("\n")) == 3
    for words in ((first, "deferred", "coco@example.test", "friend@remote.test", "450 4.2.1 later"), (second, "stuck@remote.test")):
        assert any(all(word in line for word in words) for line in listed.split("\n")), listed
    assert server.command("-bp", name="sendmail") == listed
    shown = server.command("queue", "show", first)
    for words in ("coco@example.test", "friend@remote.test", "Recipients", "Attempts", "smtp route *", deferring.sink.endpoint, "450 4.2.1 later"):
        assert words in shown, shown
    server.command("queue", "retry", first)
    server.wait_parcels(first, "delivered")
    server.command("queue", "hold", second)
    server.wait_parcels(second, "held")
    server.command("queue", "release", second)
    server.command("queue", "remove", second)
    server.wait_parcels(second, "removed")
    wait_for(lambda: server.command("queue", "list") == "The queue is empty.\n", "an empty queue")
    assert not [one for one in deferring.sink.messages if "stuck@remote.test" in one.accepted_for]
    for verb in ("show", "retry", "hold", "release", "remove"):
        status, output = server.command("queue", verb, "000000-000000-00", check=False)
        assert status == NO_USER and "000000-000000-00" in output, (verb, status, output)


def test_why_tells_a_message_s_story(deferring, marker):
    mail_id = deferring.submit("reason@remote.test", marker)
    deferring.server.wait_parcels(mail_id, "deferred")
    for asked in (mail_id, "reason@remote.test"):
        output = deferring.server.command("why", asked)
        assert mail_id in output and "450 4.2.1 later" in output, output
    deferring.server.command("queue", "remove", mail_id)


def test_contacts_list_show_lock_and_forgive(server, source):
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(550, "RCPT TO:<friend@elsewhere.example>")
        client.quit()
    assert source in server.command("contacts", "list")
    shown = server.command("contacts", "show", source)
    assert source in shown and "relay" in shown and "does not support relaying" in shown
    server.command("contacts", "lock", source, "600")

    def locked_out():
        try:
            server.talk(source=source).close()
            return False
        except (Closed, OSError):
            return True
    wait_for(locked_out, "the lockout")
    assert server.contact(source)["expires_at"] is not None
    server.command("contacts", "forgive", source)
    wait_for(lambda: not locked_out(), "the end of the lockout")
    row = server.contact(source)
    assert row["violations"] == 0 and row["expires_at"] is None
    for words in (("show", "no address"), ("lock", "192.0.2.1", "never")):
        assert server.command("contacts", *words, check=False)[0] == USAGE
    assert server.command("contacts", "show", "203.0.113.77", check=False)[0] == NO_USER


def logs_in(server, user, password):
    with server.talk("submission", fresh_source()) as client:
        client.ehlo()
        client.starttls()
        return client.login(user, password).code == 235


def accepts(server, address):
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        return client.command(f"RCPT TO:<{address}>").code == 250


def test_a_user_before_the_first_start_is_told_what_is_missing_and_how_to_make_it(make_instance):
    server = make_instance(start=False)
    directory = server.path("not", "yet")
    server.settings["users_database"] = os.path.join(directory, "users.db")
    server.write_configuration()
    status, output = server.command("user", "add", "new@example.test", "--stdin", input="a password\n", check=False)
    assert status == CANT_CREATE and f"there is no directory {directory}" in output, output
    [command] = re.findall(r"Start the server, which makes it, or: (.*)$", output, re.M)
    subprocess.run(shlex.split(command), check=True)
    assert "new@example.test" not in server.command("user", "list", check=False)[1]
    server.command("user", "add", "new@example.test", "--stdin", input="a password\n")
    assert "new@example.test" in server.command("user", "list")


def test_users_come_and_go_while_the_server_runs(server):
    user = "new.user@example.test"
    assert not accepts(server, user)
    server.command("user", "add", user, "--stdin", input="first password\n")
    try:
        assert accepts(server, user) and logs_in(server, user, "first password") and not logs_in(server, user, "another")
        assert re.search(r"^new\.user@example\.test +\d{4}-\d\d-\d\d", server.command("user", "list"), re.M)
        status, output = server.command("user", "add", user, "--stdin", input="x\n", check=False)
        assert status != 0 and "is a user already" in output
        server.command("user", "passwd", user, "--stdin", input="second password\n")
        assert logs_in(server, user, "second password") and not logs_in(server, user, "first password")
    finally:
        server.command("user", "remove", user)
    assert not accepts(server, user) and not logs_in(server, user, "second password")
    assert user not in server.command("user", "list")
    for verb in ("passwd", "remove"):
        status, output = server.command("user", verb, user, *(["--stdin"] if verb == "passwd" else []), input="x\n", check=False)
        assert status == NO_USER and user in output


def test_check_says_what_is_well_and_what_is_not(server, make_instance):
    output = server.command("check")
    for words in (f"configuration: {server.configuration}", "fits its key", f"DKIM key: {server.path('dkim.pem')}", "has a mail exchanger",
                  "local delivery: maildir", "server_name mail.example.test: has an address"):
        assert words in output, output
    broken = make_instance(start=False, settings={"private_key": server.path("dkim.pem"), "lmtp": "127.0.0.1:1", "local_transport": None})
    broken.prepare_files()
    status, output = broken.command("check", check=False)
    assert status == 1 and "127.0.0.1:1: Connection refused" in output and "must be put right first" in output


def test_dkim_keys_are_made_and_shown(server, tmp_path):
    for kind, length in (("rsa", 350), ("ed25519", 40)):
        path = str(tmp_path / kind)
        if server.drop:
            os.chmod(tmp_path, 0o777)
        made = server.command("dkim", "make", path, kind)
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0
        record = re.search(rf"v=DKIM1;.*k={kind};.*p=", made, re.S)
        assert record and len(made) > length, made
        assert re.sub(r"^;.*\n", "", made) == server.command("dkim", "show", path)
        before = open(path, "rb").read()
        status, _ = server.command("dkim", "make", path, kind, check=False)
        assert status != 0 and open(path, "rb").read() == before, "an existing key was overwritten"
    assert "test._domainkey" in server.command("dkim", "show")


def test_dns_query_asks_the_configured_servers(server):
    assert "127.0.0.1" in server.command("dns", "query", "a", "mail.example.test")
    assert "mail.example.test" in server.command("dns", "query", "mx", "example.test")
    assert server.command("dns", "query", "a", "no.such.example", check=False)[0] != 0


@pytest.mark.parametrize("name, words", [
    ("parcelpostd", ["--help"]), ("parcelpost-queue", ["--help"]), ("parcelpost", ["--help"]), ("sendmail", ["--help"]),
    ("parcelpost", ["help", "queue"]), ("parcelpost", ["help", "contacts"]), ("parcelpost", ["help", "user"]), ("parcelpost", ["help", "dkim"]),
])
def test_every_program_has_a_help_text(name, words):
    done = subprocess.run([program(name), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)
    text = done.stdout.decode()
    assert done.returncode == 0 and not done.stderr and text.startswith(f"Usage: {name}") and "xit status" in text
    if words[0] == "help":
        assert f"  {words[1]} " in text
    elif name == "parcelpost":
        for row in ("queue list", "queue show", "queue retry", "queue remove", "contacts list", "contacts show", "contacts lock", "contacts forgive",
                    "user add", "user passwd", "user list", "user remove", "why", "check", "dkim make", "dns query", "stats", "send"):
            assert f"\n  {row} " in text or f"\n  {row}\n" in text, row


@pytest.mark.parametrize("words", [[], ["nonsense"], ["queue"], ["queue", "show"], ["queue", "rebuild", "too", "much"], ["--wrong"]])
def test_wrong_usage_is_64_and_says_where_help_is(server, words):
    status, output = server.command(*words, check=False)
    assert status == USAGE and ("--help" in output or "that is not how" in output), output


# Other people's programs.


def test_msmtp_submits_with_verified_tls_and_auth_login(server, marker):
    fingerprint = subprocess.run(["openssl", "x509", "-in", server.path("certificate.pem"), "-noout", "-fingerprint", "-sha256"], check=True,
                                 stdout=subprocess.PIPE).stdout.decode().strip().rpartition("=")[2]
    words = ["msmtp", "--host=127.0.0.1", f"--port={server.submission_port}", "--tls=on", f"--tls-fingerprint={fingerprint}", "--auth=login",
             "--user=coco@example.test", "--from=coco@example.test", "--domain=client.example.net"]
    for password, status in (("my-password", 0), ("wrong", 77)):
        done = subprocess.run([*words, f"--passwordeval=echo {password}", "mike@example.test"], input=message(marker).replace(b"\r\n", b"\n"),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        assert done.returncode == status, done.stdout
    assert "with ESMTPSA" in header_of(server.wait_mail("mike@example.test", marker))


@pytest.mark.parametrize("words, status, reply", [
    (["--to", "coco@example.test,mike@example.test"], 0, "250 2.0.0 OK id="),
    (["--to", "nobody@example.test"], 24, "550 5.1.1"),
    (["--to", "friend@elsewhere.example"], 24, "550 5.7.1"),
    (["--to", "coco@example.test", "--pipeline"], 0, "250 2.0.0 OK id="),
    (["--to", "coco@example.test", "-tls"], 0, "250 2.0.0 OK id="),
    (["--to", "coco@example.test", "-tls", "--tls-protocol", "tlsv1_2"], 0, "TLSv1.2:"),
])
def test_swaks_on_the_mx_port(server, source, words, status, reply):
    done = subprocess.run(["swaks", "--server", f"127.0.0.1:{server.mx_port}", "--local-interface", source, "--ehlo", "client.example.net",
                           "--from", "someone@example.net", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == status and reply in output, output


@pytest.fixture(scope="module", params=[Unbound, Nsd], ids=["unbound", "nsd"])
def behind(request, tmp_path_factory):
    """An instance that asks a real DNS server; its other domains' mail exchanger is a fake server."""
    sink = FakeServer().start()
    try:
        with request.param(str(tmp_path_factory.mktemp("dns")), default_zone()) as name_server, \
                Instance(dns=name_server.endpoint, settings={"remote_smtp_port": sink.port}) as instance:
            instance.sink = sink
            yield instance
    finally:
        sink.stop()


def test_ehlo_and_sender_are_judged_by_a_real_dns_server(behind, source):
    with behind.talk(source=source) as client:
        assert client.command("EHLO no.such.example").text == '550 5.1.8 EHLO domain "no.such.example" was not found in the DNS system'
        client.expect(250, "EHLO noaddress.example")  # NODATA: the name is there
        assert client.command("MAIL FROM:<x@nullmx.example>").text.startswith("550 5.7.27 ")
        assert client.command("MAIL FROM:<x@no.such.example>").code == 550
        client.expect(250, "MAIL FROM:<someone@example.net>")


@pytest.mark.parametrize("domain, reply", [("nullmx.example", "556 5.1.10 "), ("no.such.example", "550 5.1.2 "), ("noaddress.example", "550 5.1.2 "),
                                           ("remote.test", "250 "), ("address-only.test", "250 ")])
def test_recipients_are_judged_by_a_real_dns_server(behind, source, domain, reply):
    with behind.talk("internal", source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<coco@example.test>")
        assert client.command(f"RCPT TO:<friend@{domain}>").text.startswith(reply)


def test_mail_finds_its_exchanger_by_a_real_dns_server(behind, source, marker):
    with behind.talk("internal", source) as client:
        client.ehlo()
        mail_id = id_of(client.mail("coco@example.test", ["a@remote.test", "b@address-only.test"], message(marker)))
    behind.wait_parcels(mail_id, "delivered")
    routes = {row["to_url"]: row["route"] for row in
              behind.sql("select to_url, route from attempts join parcels on parcels.id = parcel_id where mail_id = ?", mail_id)}
    assert routes == {"a@remote.test": "smtp mx", "b@address-only.test": "smtp address of the domain"}
    assert {name for one in behind.sink.messages for name in one.accepted_for} >= set(routes)
