"""Logins that somebody else checks: a real Dovecot over its auth socket, and what the operator names for tokens."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from lib import ports
from lib.dovecot import Dovecot
from lib.faults import fault
from lib.instance import Instance, can_be_root
from lib.key_memory import left_behind, pieces_of
from lib.messages import message
from lib.sasl import Scram, decoded, encoded, login, plain, plain_in_turn
from lib.talker import fresh_source

REFUSED = "535 5.7.8 Authentication failed"
LATER = "454 4.7.0 Temporary authentication failure"
BEHIND = "Unlike-here-in-7-ways"  # Dovecot's passwords are not those of users.db
TOKEN = "ya29.Secret-token_of~coco+/=="

CHECK = """#!/usr/bin/python3
import sys
asked = dict(iter(lambda: sys.stdin.readline().rstrip("\\n").partition("=")[::2], ("", "")))
with open({log!r}, "a") as log:
    log.write(repr((sys.argv[1:], sorted(asked))) + "\\n")
print({{"{token}": "OK Coco@EXAMPLE.test", "stranger": "OK somebody@elsewhere.test", "odd": "MAYBE", "gone": "", "down": "TEMP"}}.get(asked["token"], "NO unknown token"))
"""


def opened(server, source=None):
    client = server.talk("submission", source or fresh_source())
    client.ehlo()
    client.starttls()
    return client


@contextlib.contextmanager
def open_folder():
    """A folder that other users may look into, which those of pytest are not."""
    folder = tempfile.mkdtemp(prefix="parcelpost-")
    os.chmod(folder, 0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bearer(token, user="coco@example.test"):
    return "AUTH OAUTHBEARER " + encoded(f"n,a={user},\x01host=mail.example.test\x01port=587\x01auth=Bearer {token}\x01\x01")


@pytest.fixture(name="dovecot", scope="module")
def dovecot_fixture():
    with open_folder() as folder, Dovecot(folder, users=("coco@example.test", "mike@example.test", "only@example.test"), password=BEHIND,
                                          mechanisms="plain login scram-sha-256 cram-md5") as running:
        yield running


@pytest.fixture(name="behind", scope="module")
def behind_fixture(dovecot):
    """A server whose logins Dovecot checks."""
    with Instance(settings={"auth_backend": "dovecot", "dovecot_auth": dovecot.auth_socket, "max_failed_msgs_per_period": 1000,
                            "account_failures_maximum": 0, "log_receiver_conversation": True, "log_level": "debug"}) as server:
        yield server


def test_what_dovecot_offers_is_offered_as_far_as_we_know_it(behind):
    with opened(behind) as client:
        assert "AUTH SCRAM-SHA-256 PLAIN LOGIN" in client.ehlo().lines
        assert client.command("AUTH CRAM-MD5") == "504 5.5.4 authentication mechanism not supported; use one of SCRAM-SHA-256 PLAIN LOGIN"
    with behind.talk("submission", fresh_source()) as client:
        assert not [line for line in client.ehlo().lines if line.startswith("AUTH")]


@pytest.mark.parametrize("initial", [True, False])
def test_dovecot_checks_plain_and_login(behind, initial):
    secret = encoded(f"\0coco@example.test\0{BEHIND}")
    with opened(behind) as client:
        assert client.login(password="my-password") == REFUSED  # that of users.db
        assert client.login(user="nobody@example.test") == REFUSED
        if initial:
            assert client.command("AUTH PLAIN " + secret) == "235 2.7.0 Authentication succeeded"
        else:
            assert client.command("AUTH PLAIN") == 334
            assert client.command(secret) == 235
        assert client.mail("coco@example.test", "mike@example.test", message()) == 250
    with opened(behind) as client:
        assert decoded(client.command("AUTH LOGIN" + (" " + encoded("Coco@Example.test") if initial else ""))).startswith("Password" if initial else "Username")
        if not initial:
            assert decoded(client.command(encoded("coco@example.test"))) == "Password:"
        assert client.command(encoded(BEHIND)) == 235
        assert client.command("MAIL FROM:<mike@example.test>") == "553 5.7.1 coco@example.test does not own this sender address"


def test_scram_goes_through_to_dovecot(behind):
    with opened(behind) as client:
        assert Scram(client, password="wrong").login() == REFUSED
        assert Scram(client, password=BEHIND).login(initial=False) == 235
    with opened(behind) as client:
        one = Scram(client, password=BEHIND)
        one.first()
        assert client.command("*") == "501 5.7.0 Authentication cancelled"
        assert one.login() == 235


def test_a_user_whom_only_dovecot_knows_logs_in_and_sends_nothing_in_our_domain(behind):
    with opened(behind) as client:
        assert client.login("only@example.test", BEHIND) == 235
        assert client.command("MAIL FROM:<coco@example.test>") == "553 5.7.1 only@example.test does not own this sender address"


def test_what_is_no_base64_never_reaches_dovecot(behind, dovecot):
    with opened(behind) as client:
        assert client.command("AUTH PLAIN AAAA\tfield=x") == 501
        assert client.command("AUTH PLAIN") == 334
        assert client.command("AAAA\tfield=x") == "501 5.5.2 Cannot decode the base64 text"
        assert client.login(password=BEHIND) == 235
    assert "field=x" not in dovecot.log_text()


def test_dovecots_logins_are_in_no_log(behind):
    with opened(behind) as client:
        one = Scram(client, password=BEHIND)
        assert one.login() == 235
    with opened(behind) as client:
        assert client.login(password=BEHIND) == 235
    log = behind.log_text()
    for secret in (BEHIND, one.nonce, encoded(f"\0coco@example.test\0{BEHIND}"), encoded(one.server_first)):
        assert secret not in log


@pytest.mark.skipif(not can_be_root(), reason="needs root to look into processes")
@pytest.mark.parametrize("way", [plain, plain_in_turn, login])
def test_a_password_that_dovecot_checks_is_in_none_of_our_processes_afterwards(behind, way):
    pieces = pieces_of(BEHIND.encode())
    for password, expected in ((BEHIND, 235), (BEHIND + "!", 535)):
        with opened(behind) as client:
            assert way(client, "coco@example.test", password) == expected
            client.expect(250, "NOOP")
            assert left_behind(behind, pieces) == {}, (way.__name__, expected)


def test_failures_at_dovecot_lock_the_account_and_slow_down_like_our_own(dovecot, make_instance):
    server = make_instance(settings={"auth_backend": "dovecot", "dovecot_auth": dovecot.auth_socket, "max_failed_msgs_per_period": 100,
                                     "account_failures_maximum": 2})
    for _ in range(2):
        with opened(server) as client:
            assert client.login(password="wrong") == REFUSED
    with opened(server) as client:
        assert client.login(password=BEHIND) == REFUSED
        one = Scram(client, password=BEHIND)
        assert one.final(one.first()) == REFUSED  # without Dovecot's signature, which only a right proof is answered with
    assert server.sql("select sum(failures) from logins where account = 'coco@example.test'")[0][0] == 2


@fault("Milters and policy servers", "a Dovecot is not there", "at the connection", "454 4.7.0 to the client; asked again")
def test_a_dovecot_that_is_down_is_a_temporary_failure_and_is_asked_again(make_instance):
    with open_folder() as folder:
        server = make_instance(settings={"auth_backend": "dovecot", "dovecot_auth": os.path.join(folder, "auth.sock"), "max_failed_msgs_per_period": 100})
        with opened(server) as client:
            assert "AUTH PLAIN LOGIN" in client.ehlo().lines
            assert client.login() == LATER
            with Dovecot(folder):
                assert client.login(password="wrong") == REFUSED
            assert client.login() == LATER
            with Dovecot(folder, password="other"):
                assert client.login(password="other") == 235
        assert "Dovecot cannot be asked about a login" in server.log_text()


def test_dovecot_may_be_asked_over_tcp(make_instance):
    port = ports.take(1)[0]
    extra = f"service auth {{\n inet_listener {{\n address = 127.0.0.1\n port = {port}\n }}\n}}"
    try:
        with open_folder() as folder, Dovecot(folder, extra=extra):
            server = make_instance(settings={"auth_backend": "dovecot", "dovecot_auth": f"127.0.0.1:{port}"})
            with opened(server) as client:
                assert client.login() == 235
    finally:
        ports.give_back([port])


# Tokens.

@pytest.fixture(name="tokens", scope="module")
def tokens_fixture():
    with open_folder() as folder:
        log, check = pathlib.Path(folder, "asked"), pathlib.Path(folder, "check")
        log.touch()
        log.chmod(0o666)
        check.write_text(CHECK.format(log=str(log), token=TOKEN), encoding="utf-8")
        check.chmod(0o755)
        with Instance(settings={"oauth_check": f"|{check} --from parcelpost", "max_failed_msgs_per_period": 1000, "account_failures_maximum": 0,
                                "log_receiver_conversation": True, "log_level": "debug"}) as server:
            server.asked = log
            yield server


def test_tokens_are_offered_where_somebody_checks_them(tokens, server):
    with opened(tokens) as client:
        assert "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN OAUTHBEARER XOAUTH2" in client.ehlo().lines
    with opened(server) as client:
        assert "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" in client.ehlo().lines
        assert client.command(bearer(TOKEN)) == 504


def test_a_name_without_a_domain_is_one_of_the_first_domain_that_is_no_pattern():
    with open_folder() as folder:
        check = pathlib.Path(folder, "check")
        check.write_text("#!/bin/sh\nwhile read -r line && [ -n \"$line\" ]; do :; done\necho OK coco\n", encoding="utf-8")
        check.chmod(0o755)
        with Instance(settings={"oauth_check": f"|{check}", "local_domains": [".below.test", "example.test"]}) as server, opened(server) as client:
            assert client.command("AUTH OAUTHBEARER " + encoded("n,,\x01auth=Bearer token\x01\x01")) == 235
            assert client.command("MAIL FROM:<coco@example.test>") == 250


def test_a_token_opens_the_account_that_the_program_names(tokens):
    with opened(tokens) as client:
        assert client.command(bearer(TOKEN)) == "235 2.7.0 Authentication succeeded"
        assert client.mail("coco@example.test", "mike@example.test", message()) == 250
    with opened(tokens) as client:
        assert client.command("AUTH OAUTHBEARER " + encoded(f"n,,\x01auth=Bearer {TOKEN}\x01\x01")) == 235
        assert client.command("MAIL FROM:<mike@example.test>") == 553
    with opened(tokens) as client:
        assert client.command("AUTH XOAUTH2 " + encoded(f"user=coco@example.test\x01auth=Bearer {TOKEN}\x01\x01")) == 235


@pytest.mark.parametrize("token, user", [("wrong", "coco@example.test"), (TOKEN, "mike@example.test"), ("stranger", "coco@example.test")])
def test_a_token_that_is_refused_or_anothers_is_told_as_the_standard_says(tokens, token, user):
    with opened(tokens) as client:
        assert decoded(client.command(bearer(token, user))) == '{"status":"invalid_token","schemes":"bearer"}'
        assert client.command(encoded("\x01")) == REFUSED
        assert client.command("AUTH XOAUTH2 " + encoded(f"user={user}\x01auth=Bearer {token}\x01\x01")) == 334
        assert client.command("") == REFUSED


@pytest.mark.parametrize("sent", ["n,a=coco@example.test,", "p=tls-exporter,,\x01auth=Bearer x\x01\x01", "n,,\x01auth=Bearer \x01\x01", "n,,\x01auth=Basic x\x01\x01",
                                  "n,,\x01auth=Bearer x y\x01\x01", "n,,\x01auth=Bearer x\x01", "\x01", "", "n,a=coco\x7f,\x01auth=Bearer x\x01\x01",
                                  "n,a=coco\nuser=mike,\x01auth=Bearer x\x01\x01", "n,,\x01auth=Bearer x\ntoken=y\x01\x01"])
def test_a_malformed_bearer_message_reaches_nobody(tokens, sent):
    before = tokens.asked.read_text()
    with opened(tokens) as client:
        assert client.command("AUTH OAUTHBEARER " + (encoded(sent) or "=")).text.startswith("501 5.5.2 ")
    assert tokens.asked.read_text() == before


@fault("Milters and policy servers", "a program that checks tokens says nothing, or nonsense", "asked about a token", "454 4.7.0 to the client")
@pytest.mark.parametrize("token", ["odd", "gone", "down"])
def test_a_program_that_gives_no_answer_is_a_temporary_failure(tokens, token):
    with opened(tokens) as client:
        assert client.command(bearer(token)) == LATER
        assert client.command(bearer(TOKEN)) == 235


def test_a_token_is_in_no_log_and_no_argument(tokens):
    with opened(tokens) as client:
        assert client.command(bearer(TOKEN)) == 235
    assert TOKEN not in tokens.log_text() and bearer(TOKEN)[-60:-4] not in tokens.log_text()
    assert "(['--from', 'parcelpost'], ['client', 'mechanism', 'token', 'user'])" in tokens.asked.read_text()


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_curl_submits_with_a_token(tokens, marker, mechanism, tmp_path):
    text = tmp_path / "message"
    text.write_bytes(message(marker))
    for token, status in ((TOKEN, 0), ("wrong", 67)):
        done = subprocess.run(["curl", "-sS", "-k", "--ssl-reqd", f"smtp://127.0.0.1:{tokens.submission_port}/client.example.net", "--user", "coco@example.test",
                               "--oauth2-bearer", token, "--login-options", f"AUTH={mechanism}", "--mail-from", "coco@example.test", "--mail-rcpt", "mike@example.test", "-T", str(text)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60, check=False)
        assert done.returncode == status, done.stdout
    tokens.wait_mail("mike@example.test", marker)


def test_curl_submits_with_an_authorization_identity_of_its_own_alone(tokens, tmp_path, marker):
    text = tmp_path / "message"
    text.write_bytes(message(marker))
    for identity, status in (("coco@example.test", 0), ("mike@example.test", 67)):
        done = subprocess.run(["curl", "-sS", "-k", "--ssl-reqd", f"smtp://127.0.0.1:{tokens.submission_port}/client.example.net", "--user", "coco@example.test:my-password",
                               "--sasl-authzid", identity, "--login-options", "AUTH=PLAIN", "--mail-from", "coco@example.test", "--mail-rcpt", "mike@example.test", "-T", str(text)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60, check=False)
        assert done.returncode == status, done.stdout


def test_a_configuration_that_names_dovecot_without_a_place_does_not_start(make_instance):
    server = make_instance(start=False, settings={"auth_backend": "dovecot"})
    server.prepare_files()
    status, output = server.command("-T", name="parcelpostd", check=False)
    assert status == 78 and "auth_backend" in output and "dovecot_auth is not set" in output
