"""What the older systems let strangers do: each test shows that it cannot be done here."""
import base64
import os
import re
import shutil
import subprocess

import pytest

from lib import certificates
from lib.fake_server import FakeServer
from lib.instance import NOBODY, PASSWORD, Instance, can_be_root
from lib.messages import message
from lib.place import ROOT, SANITIZED
from lib.processes import descriptors, is_there, status
from lib.talker import SmtpTalker, fresh_source
from lib.waiting import wait_for

SECRET = "Kaninchen-7531"
SERVICES = ("ledger", "lookup", "resolver", "signer", "runner", "nursery", "receiver")
DIALOG_KEYS = ("show_incoming_data", "dump_mail_into_log", "display_receiver_dialog", "log_receiver_conversation",
               "display_queue_runner_dialog", "log_queue_runner_conversation")


@pytest.fixture(scope="module")
def patient():
    """An instance that counts violations but locks nobody out, and logs whatever it can."""
    settings = {"max_failed_msgs_per_period": 1000, "log_level": "debug", **{key: True for key in DIALOG_KEYS}}
    with Instance(settings=settings) as instance:
        instance.add_user("secret@example.test", SECRET)
        yield instance


def encoded(text):
    return base64.b64encode(text.encode()).decode()


# Logging in.

def test_before_tls_a_login_is_neither_offered_nor_tried(patient):
    for role in ("submission", "internal"):
        with patient.talk(role, fresh_source()) as client:
            before = len(patient.log_text())
            assert not any(line.startswith("AUTH") for line in client.ehlo().lines)
            assert client.login() == "538 5.7.11 Encryption required for requested authentication mechanism"
            assert client.command("AUTH LOGIN") == 538 and client.command("AUTH PLAIN") == 538
            client.quit()
        assert "login of" not in patient.log_text()[before:]


def test_guesses_lock_out_within_one_connection(server, source):
    with server.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        for number in range(3):
            assert client.login(password=f"guess {number}") == "535 5.7.8 Authentication failed"
        assert client.login(password=PASSWORD + "x").text.startswith("421 4.7.1 ")
        client.expect_close()
    row = server.contact(source)
    assert (row["violations"], row["locks"]) == (4, 1)
    with SmtpTalker(server.mx_port, source=source, greeting=False) as client:
        client.expect_close()


def say_secrets(client):
    """Everything a client may do with a password, well or badly."""
    plain, user, password = encoded(f"\0secret@example.test\0{SECRET}"), encoded("secret@example.test"), encoded(SECRET)
    client.ehlo()
    client.command("AUTH PLAIN " + plain)  # before TLS
    client.command("AUTH LOGIN " + user)
    client.starttls()
    for words, answers in ((f"AUTH PLAIN {plain}x", ()), ("AUTH PLAIN", (encoded(f"\0nobody@example.test\0{SECRET}"),)),
                           ("AUTH LOGIN", (encoded("nobody@example.test"), password)), ("AUTH LOGIN " + user, (encoded(SECRET + "x"),)),
                           ("AUTH LOGIN", (user, SECRET)), ("auth login", ("*",)), (f"AUTH {password} {plain}", ()), (f"AUTH {SECRET}", ()),
                           (password, ()), (SECRET, ()), (f"AUTH PLAIN {plain} {plain}", ()), ("AUTH PLAIN " + plain * 60, ())):
        reply = client.command(words)
        for answer in answers:
            assert reply == 334, client.transcript()
            reply = client.command(answer)
        assert reply.code >= 400, client.transcript()
    assert client.command("aUTH pLAIN " + plain) == 235, client.transcript()
    client.command("AUTH PLAIN " + plain)


def test_credentials_are_in_no_log_and_no_table_whatever_is_logged(patient):
    before = len(patient.log_text())
    with patient.talk("submission", fresh_source()) as client:
        say_secrets(client)
        client.quit()
    for steps in (("AUTH PLAIN", encoded(f"\0secret@example.test\0{SECRET}")), ("AUTH LOGIN", encoded("secret@example.test"), encoded(SECRET)),
                  ("AUTH LOGIN " + encoded("secret@example.test"), encoded(SECRET))):
        with patient.talk("submission", fresh_source()) as client:
            client.ehlo()
            client.starttls()
            assert [client.command(step) for step in steps][-1] == 235
            client.quit()
    log = patient.log_text()[before:]
    evidence = "\n".join(str(tuple(row)) for row in patient.sql("select * from violations"))
    plain = encoded(f"\0secret@example.test\0{SECRET}")
    for secret in (SECRET, encoded(SECRET), plain, plain[4:28], plain[-28:-4], "Kaninchen"):
        assert secret not in log and secret not in evidence, secret
    assert "AUTH PLAIN" in log and "login of secret@example.test succeeded" in log and "535" in evidence


# Who may send what.

def test_the_rules_of_a_port_stay_when_an_address_is_given_with_it(make_instance, source):
    server = make_instance(start=False)
    server.settings.update(submission_port=server.submission_port, internal_submit_port=server.internal_port,
                           standard_mail_port=server.mx_port, trusted_networks=["192.0.2.0/24"])
    server.extra = "\n".join(f'listen "127.0.0.2:{port}" {{ }}' for port in server.ports[:3])
    server.start()
    wanted = {server.mx_port: "550 5.7.1 ", server.internal_port: "530-5.7.0 ", server.submission_port: "530-5.7.0 "}
    for port, reply in wanted.items():
        with SmtpTalker(port, host="127.0.0.2", source=fresh_source()) as client:
            client.ehlo()
            assert client.command("MAIL FROM:<coco@example.test>").text.startswith(reply), port
    with SmtpTalker(server.mx_port, host="127.0.0.2", source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<stranger@example.net>")
        assert client.command("RCPT TO:<victim@remote.test>") == "550 5.7.1 This server does not support relaying"


def test_mail_of_members_is_signed_and_mail_that_claims_to_be_theirs_is_not(server, marker):
    with server.talk("internal", fresh_source()) as client:
        client.ehlo()
        assert client.mail("coco@example.test", "mike@example.test", message(marker + "-own")) == 250
    with server.talk("mx", fresh_source()) as client:
        client.ehlo()
        for sender in ("stranger@example.net", ""):
            assert client.mail(sender, "mike@example.test", message(marker + "-claimed")) == 250
    assert b"DKIM-Signature: " in server.wait_mail("mike@example.test", marker + "-own")
    for data in server.wait_mail("mike@example.test", marker + "-claimed", count=2):
        assert b"DKIM-Signature" not in data and b"From: <coco@example.test>" in data


def test_an_unknown_user_of_ours_is_refused_on_every_port_and_never_sent_elsewhere(server, marker):
    for role, sender in (("mx", "stranger@example.net"), ("internal", "coco@example.test")):
        unknown = f"no-{marker[-40:].rpartition('-gw')[2]}-{role}@EXAMPLE.test"
        with server.talk(role, fresh_source()) as client:
            client.ehlo()
            client.expect(250, f"MAIL FROM:<{sender}>")
            assert client.command(f"RCPT TO:<{unknown}>").text.startswith("550 5.1.1 ")
            client.expect(250, "RSET")
            client.quit()
        rows = server.wait_rows("select delivery, state from parcels where to_url = ? collate nocase", unknown)
        assert [tuple(row) for row in rows] == [("none", "refused")]


def test_a_login_does_not_send_as_somebody_else(server, source):
    with server.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        assert client.login() == 235
        assert client.command("MAIL FROM:<mike@example.test>").text.startswith("553 5.7.1 ")
        assert client.command("MAIL FROM:<somebody@example.net>").code == 550
        client.expect(250, "MAIL FROM:<Coco@EXAMPLE.test>")


# What is in a message.

def test_results_that_claim_to_be_ours_are_removed_and_others_kept(server, source, marker):
    forged = ("Authentication-Results: mail.example.test; dkim=pass header.d=bank.example\r\n"
              "authentication-results: MAIL.Example.Test 1;\r\n\tspf=pass\r\n"
              "Authentication-Results: elsewhere.example; spf=pass\r\n")
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.mail("stranger@example.net", "coco@example.test", message(marker, fields=forged)) == 250
    data = server.wait_mail("coco@example.test", marker).decode()
    assert "bank.example" not in data and "spf=pass\r\n\t" not in data and "MAIL.Example.Test 1" not in data
    assert "Authentication-Results: elsewhere.example; spf=pass" in data


# Limits.

def test_connections_beyond_the_limits_read_421(make_instance):
    server = make_instance(settings={"connection_limit": 4, "contact_connection_limit": 2})
    one, other, third = fresh_source(), fresh_source(), fresh_source()
    # the start's own connections count until the listener has seen their receivers end
    held = [wait_for(lambda source=source: greeted(server, source), "a place") for source in (one, one, other, other)]
    held.pop(3).quit()
    wait_for(lambda: "421 4.7.0 mail.example.test too many connections from you, try again later" == refusal(server, one), "one's own limit")
    with wait_for(lambda: greeted(server, third), "room for one more"):
        assert refusal(server, fresh_source()) == "421 4.7.0 mail.example.test too many connections, try again later"
    for client in held:
        client.quit()
    wait_for(lambda: greeted(server, one), "room for the first again").close()


def test_a_local_user_at_the_limit_leaves_room_for_others(make_instance):
    server = make_instance(settings={"connection_limit": 12, "contact_connection_limit": 2, "receiver_spare": 1})
    port = server.path("sendmail.sock")
    held = [SmtpTalker(port), SmtpTalker(port)]
    try:
        assert {client.greeting.code for client in held} == {220}
        with SmtpTalker(port) as client:
            client.expect_close()
            assert client.greeting.text == "421 4.7.0 mail.example.test too many connections from you, try again later"
        server.wait_log(f"connection from unix:{os.geteuid()} refused: too many connections from you")
        with server.talk(source=fresh_source()) as client:
            assert client.greeting.code == 220
        if os.geteuid() == 0:
            with as_user(NOBODY, lambda: SmtpTalker(port)) as client:
                assert client.greeting.code == 220
    finally:
        for client in held:
            client.quit()
    wait_for(lambda: greeted_at(port), "room for the first again").close()


def as_user(uid, connect):
    os.seteuid(uid)
    try:
        return connect()
    finally:
        os.seteuid(0)


def greeted_at(port, source=None):
    client = SmtpTalker(port, source=source)
    if client.greeting.code == 220:
        return client
    client.close()
    return None


def refusal(server, source):
    with server.talk(source=source) as client:
        client.expect_close()
        return client.greeting.text


def greeted(server, source):
    return greeted_at(server.mx_port, source)


# Processes.

@pytest.fixture(scope="module")
def rooted():
    if not can_be_root():
        pytest.skip("needs root: only root has privileges to drop")
    instance, groups = Instance(root=True), os.getgroups()
    os.setgroups([4, 24])  # as a root shell may have; the server inherits them
    try:
        instance.start()
    finally:
        os.setgroups(groups)
    try:
        assert status(instance.pid)["Groups"].split() == ["4", "24"]
        wait_for(lambda: set(SERVICES) <= {name for _, name, _ in instance.processes()}, "all processes")
        yield instance
    finally:
        instance.stop()
        instance.remove()


def test_no_process_but_the_listener_keeps_anything_of_root(rooted):
    seen = set()
    for pid, name, _ in rooted.processes():
        if name == "parcelpostd" or pid == rooted.pid:
            continue
        fields = once_dropped(pid, name)
        if fields is None:
            continue  # a receiver or an agent that has ended by now
        seen.add(name)
        assert fields["Groups"].strip() == "" and "0" not in fields["Uid"].split() + fields["Gid"].split(), (name, fields)
        assert {fields[key] for key in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}, name
        assert fields["NoNewPrivs"] == "1", name
        if name == "receiver" and not SANITIZED:  # a sanitizer's build has no sandbox
            wait_for(lambda pid=pid: (status(pid) or {"Seccomp_filters": "3"})["Seccomp_filters"] == "3", "the filter of a receiver")
    assert seen >= set(SERVICES), seen


def once_dropped(pid, name):
    """The process's status when it is no longer root; None when it has ended."""
    def look():
        fields = status(pid)
        return [fields] if fields is None or (fields["Uid"].split()[0] != "0" and fields["NoNewPrivs"] == "1" and fields["CapEff"] == "0" * 16) else None
    return wait_for(look, f"{name} to drop")[0]


def test_the_listener_keeps_five_capabilities(rooted):
    """SETUID, SETGID, SYS_CHROOT, KILL, NET_BIND_SERVICE."""
    fields = status(rooted.pid)
    wanted = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 18
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == wanted and int(fields["CapAmb"], 16) == 0


def test_only_ledger_lookup_and_runner_hold_a_database(rooted):
    with rooted.talk(source=fresh_source()) as client:
        client.ehlo()
        holders = {}
        for pid, name, _ in rooted.processes():
            names = descriptors(pid).values()
            if any(".db" in path for path in names):
                holders.setdefault(name, set()).update(os.path.basename(path) for path in names if ".db" in path)
            if name == "receiver":
                files = [path for path in names if path.startswith("/") and path not in ("/dev/null", "/dev/urandom")]
                assert all(os.path.basename(path) == "log" for path in files), files
    assert holders.keys() <= {"ledger", "lookup", "runner"} and "ledger" in holders, holders
    assert not any("users.db" in path for name in ("ledger", "runner") for path in holders.get(name, ())), holders


def test_receivers_and_signer_are_locked_into_an_empty_directory(rooted):
    for name in ("receiver", "signer", "resolver"):
        for pid, _, _ in rooted.processes(name):
            once_dropped(pid, name)
            try:
                root = f"/proc/{pid}/root"
                assert os.listdir(root + "/") == [] and not os.path.samefile(root, "/"), name
            except (FileNotFoundError, ProcessLookupError):
                assert name == "receiver" and not is_there(pid), name


def test_no_private_key_is_in_the_repository():
    if not shutil.which("git") or not os.path.exists(os.path.join(ROOT, ".git")):
        pytest.skip("needs git and the repository")
    listed = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    names = [name for name in listed.stdout.decode().split("\0") if name]
    assert names
    key = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[^A-Za-z0-9]+n?[^A-Za-z0-9]*([A-Za-z0-9+/]{40,})")
    for name in names:
        path = os.path.join(ROOT, name)
        if os.path.isfile(path):
            with open(path, "rb") as stream:
                found = [number for number in key.findall(stream.read()) if b"A" * 40 not in number]  # a key of zeros is no secret
                assert not found, name
    assert key.search(b"-----BEGIN RSA PRIVATE KEY-----\n" + b"MIIEowIBAAKCAQEA" * 4 + b"\n")


# Towards other servers.

def test_tls_to_other_servers_names_the_server_that_is_meant(make_instance, tmp_path, source, marker):
    certificate = certificates.certificate(str(tmp_path))
    with FakeServer(certificate=certificate[:2]) as sink:
        server = make_instance(settings={"remote_smtp_port": sink.port})
        with server.talk("internal", source) as client:
            client.ehlo()
            assert client.mail("coco@example.test", "friend@remote.test", message(marker)) == 250
        wait_for(lambda: sink.messages, "the message at the other server", explain=server.log_tail)
        assert sink.messages[0].tls and sink.messages[0].server_name == "mx.remote.test"
        assert not sink.faults
