"""Logging in: every mechanism with real clients, what the client cannot learn, and what a login may send."""
import base64
import contextlib
import os
import sqlite3
import subprocess
import time

import pytest

from lib.instance import Instance
from lib.messages import message
from lib.sasl import Scram, decoded, encoded, end_point_binding
from lib.talker import fresh_source
from lib.waiting import wait_for

REFUSED = "535 5.7.8 Authentication failed"


@pytest.fixture(name="patient", scope="module")
def patient_fixture():
    with Instance(settings={"max_failed_msgs_per_period": 1000, "account_failures_maximum": 0, "log_receiver_conversation": True,
                            "log_level": "debug"}) as server:
        yield server


def opened(server, source=None):
    """A client within TLS, greeted."""
    client = server.talk("submission", source or fresh_source())
    client.ehlo()
    client.starttls()
    return client


def gsasl(server, mechanism, password="my-password", *words):
    done = subprocess.run(["gsasl", "--smtp", "--client", f"--connect=127.0.0.1:{server.submission_port}", f"--mechanism={mechanism}",
                           "--authentication-id=coco@example.test", f"--password={password}", "--authorization-id=", "--service=smtp",
                           "--hostname=mail.example.test", "--x509-ca-file=", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


# SCRAM.

@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_gsasl_logs_in(patient, mechanism):
    words = [] if mechanism.endswith("PLUS") else ["--no-cb"]
    status, output = gsasl(patient, mechanism, "my-password", *words)
    assert status == 0 and "235 2.7.0" in output, output
    assert "235 2.7.0" not in gsasl(patient, mechanism, "wrong", *words)[1]


def test_msmtp_logs_in_by_scram(patient, marker):
    words = ["msmtp", "--host=127.0.0.1", f"--port={patient.submission_port}", "--tls=on", "--tls-certcheck=off", "--auth=scram-sha-256",
             "--user=coco@example.test", "--from=coco@example.test", "--domain=client.example.net"]
    for password, status in (("my-password", 0), ("wrong", 77)):
        done = subprocess.run([*words, f"--passwordeval=echo {password}", "mike@example.test"], input=message(marker).replace(b"\r\n", b"\n"),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        assert done.returncode == status, done.stdout
    patient.wait_mail("mike@example.test", marker)


@pytest.mark.parametrize("initial", [True, False])
def test_a_scram_exchange_proves_both_sides(patient, initial):
    with opened(patient) as client:
        assert Scram(client).login(initial) == "235 2.7.0 Authentication succeeded"
        client.expect(250, "MAIL FROM:<coco@example.test>")


def test_scram_is_bound_to_the_certificate(patient):
    header = "p=tls-server-end-point,,"
    with opened(patient) as client:
        assert Scram(client, header=header, binding=b"x" * 32, plus=True).login() == REFUSED
        assert Scram(client, header=header, plus=True).login() == REFUSED
        assert Scram(client, header="p=tls-unique,,", binding=b"x" * 12, plus=True).login() == REFUSED
        assert Scram(client, header=header, binding=end_point_binding(client), plus=True).login() == 235


def test_a_client_from_whom_the_binding_was_hidden_is_refused(patient):
    with opened(patient) as client:
        assert Scram(client, header="y,,").login() == REFUSED
    assert "did not see that we offer channel binding" in patient.log_text()


def test_who_believes_rightly_that_there_is_no_binding_is_let_in(make_instance):
    server = make_instance(settings={"auth_mechanisms": ["SCRAM-SHA-256"]})
    with opened(server) as client:
        assert "AUTH SCRAM-SHA-256" in client.ehlo().lines
        assert client.login() == "504 5.5.4 authentication mechanism not supported; use one of SCRAM-SHA-256"
        assert Scram(client, header="y,,").login() == 235


def test_a_scram_exchange_that_is_wrong_at_any_step_is_refused(patient):
    with opened(patient) as client:
        assert client.command("AUTH SCRAM-SHA-256 " + encoded("nonsense")).text.startswith("501 5.5.2 ")
        assert client.command("AUTH SCRAM-SHA-256 " + encoded("p=tls-exporter,,n=coco,r=abc")).text.startswith("501 5.5.2 ")
        assert client.command("AUTH SCRAM-SHA-256-PLUS " + encoded("n,,n=coco,r=abc")).text.startswith("501 5.5.2 ")
        one = Scram(client)
        one.first()
        assert client.command("*") == "501 5.7.0 Authentication cancelled"
        one.first()
        assert client.command(encoded("c=biws,r=abc")).text.startswith("501 5.5.2 ")
        assert one.final(one.first(), nonce="another") == REFUSED
        one.first()
        assert client.command("RSET") == "501 5.5.2 Malformed SCRAM message"  # within an exchange there are no commands
        assert Scram(client, password="wrong").login() == REFUSED
        assert one.login() == 235


def test_whoever_is_not_there_is_answered_like_one_who_is(patient):
    """The same steps and texts; a salt that stays the same; so does a user who has no verifier yet."""
    with sqlite3.connect(patient.path("state", "users.db")) as users:
        users.execute("insert or replace into users (address, hash, created_at, updated_at) values ('old@example.test', '$6$x', '', '')")
    salts = {}
    for user in ("coco@example.test", "old@example.test", "nobody@example.test", "Nobody@example.test", "nobody", "nobody@example\u3002test",
                 "nobody@elsewhere.test"):
        for _ in range(2):
            with opened(patient) as client:
                one = Scram(client, user=user, password="wrong")
                reply = one.first()
                facts = one.facts(reply)
                salts.setdefault(user, set()).add((len(base64.b64decode(facts["s"])), facts["i"], facts["s"]))
                assert one.final(reply) == REFUSED
    assert all(len(seen) == 1 for seen in salts.values()), salts
    assert {seen[:2] for (seen,) in salts.values()} == {(16, "100000")}
    assert salts["nobody@example.test"] == salts["Nobody@example.test"] == salts["nobody"] == salts["nobody@example\u3002test"] != salts["nobody@elsewhere.test"]


def test_secrets_of_scram_are_in_no_log_and_leave_lookup_for_nobody(patient):
    with opened(patient) as client:
        one = Scram(client)
        assert one.login() == 235
    log = patient.log_text()
    with sqlite3.connect(patient.path("state", "users.db")) as users:
        stored = users.execute("select scram from users where address = 'coco@example.test'").fetchone()[0]
    keys = stored.rpartition("$")[2].split(":")
    for secret in (*keys, one.nonce, encoded(one.server_first), encoded("n,," + one.bare()), "my-password"):
        assert secret not in log, secret
    assert "<-  334 (challenge)" in log and "AUTH SCRAM-SHA-256 (credentials)" in log and all(len(base64.b64decode(key)) == 32 for key in keys)


def test_passwords_are_compared_in_their_prepared_form(patient):
    patient.add_user("jörg@example.test".encode().decode(), "pa\u00adss\u2168u\u0308")
    with opened(patient) as client:
        assert client.login("jo\u0308rg@example.test", "passIX\u00fc") == 235
    with opened(patient) as client:
        assert Scram(client, user="jörg@example.test", password="passIX\u00fc").login() == 235


def test_a_new_password_is_one_for_every_mechanism(make_instance):
    server = make_instance(settings={"max_failed_msgs_per_period": 1000, "scram_iterations": 5000})
    server.command("user", "passwd", "coco@example.test", "--stdin", input="another\n")
    with opened(server) as client:
        assert client.login() == REFUSED and Scram(client).login() == REFUSED
        one = Scram(client, password="another")
        assert one.facts(one.first())["i"] == "5000" and client.command("*") == 501
        assert one.login() == 235
    with opened(server) as client:
        assert client.login(password="another") == 235
    assert "password, SCRAM" in server.command("user", "list")


# PLAIN and LOGIN.

def test_base64_with_plus_and_slash_is_understood(patient):
    password = "~~~???>>>"
    patient.add_user("plus@example.test", password)
    for secret in (f"\0plus@example.test\0{password}", f"plus@example.test\0plus@example.test\0{password}"):
        assert {"+", "/"} & set(encoded(secret)), "the test needs a password that has them"
        with opened(patient) as client:
            assert client.command("AUTH PLAIN " + encoded(secret)) == 235
    with opened(patient) as client:
        assert decoded(client.command("AUTH LOGIN " + encoded("plus@example.test"))) == "Password:"
        assert client.command(encoded(password)) == 235


def test_a_line_of_a_login_may_be_as_long_as_the_standard_says(patient):
    with opened(patient) as client:
        assert client.command("AUTH PLAIN " + "eHh4" * 2250) == 501
        assert client.command("AUTH PLAIN") == 334
        assert client.command("eHh4" * 3072) == 501
        assert client.command("AUTH PLAIN") == 334
        assert client.command("eHh4" * 3300).text == "500 5.5.2 line too long"
        assert client.command("NOOP " + "x" * 5000).text == "500 5.5.2 line too long"
        assert client.login() == 235
        assert client.command("NOOP " + "x" * 5000).text == "500 5.5.2 line too long"


# What failures cost.

def test_failures_lock_an_account_for_strangers_and_tell_nobody(make_instance):
    server = make_instance(settings={"account_failures_maximum": 3, "max_failed_msgs_per_period": 100})
    home = fresh_source()
    with opened(server, home) as client:
        assert client.login() == 235
    for attempt in (Scram, Scram, None):
        with opened(server) as client:
            assert (attempt(client, password="wrong").login() if attempt else client.login(password="wrong")) == REFUSED
    with opened(server) as client:
        assert client.login() == REFUSED  # right, and locked
        one = Scram(client)
        assert one.final(one.first()) == REFUSED  # without the signature, which only a right proof is answered with
        assert client.login(user="mike@example.test") == 235
    with opened(server, home) as client:
        assert client.login() == 235
    assert "account coco@example.test is locked for 900 seconds after 3 failed logins" in server.log_text()
    assert {row["contact"] for row in server.sql("select contact from logins where account = 'coco@example.test' and failures > 0")}.isdisjoint({home})
    server.edit("delete from logins where account = 'coco@example.test'")
    with opened(server) as client:
        assert client.login() == 235


def test_names_that_nobody_has_are_locked_like_others(make_instance):
    server = make_instance(settings={"account_failures_maximum": 2, "max_failed_msgs_per_period": 100})
    for name in ("nobody@example.test", "Nobody@example.test", "nobody@example.test"):
        with opened(server) as client:
            assert client.login(user=name) == REFUSED
    rows = server.sql("select account, sum(failures) as failures from logins group by account")
    assert [tuple(row) for row in rows] == [("nobody@example.test", 2)]


def test_a_refusal_comes_later_each_time_and_holds_nobody_else_up(make_instance):
    server = make_instance(settings={"auth_failure_delay_ms": 300, "max_failed_msgs_per_period": 100, "lookup_workers": 1})
    with opened(server) as slow, opened(server) as fast:
        took = []
        for _ in range(3):
            before = time.monotonic()
            assert slow.login(password="wrong") == REFUSED
            took.append(time.monotonic() - before)
        assert took[0] >= 0.3 and took[1] >= 0.6 and took[2] >= 1.2, took
        slow.send("AUTH PLAIN " + encoded("\0coco@example.test\0wrong") + "\r\n")
        wait_for(lambda: server.sql("select 1 where (select count(*) from violations) = 4"), "the fourth refusal, which waits now")
        assert fast.login() == 235  # the only lookup and the ledger are free meanwhile
        assert not slow.unread and slow.reply() == REFUSED


# Who a login is, and what it may send.

@pytest.mark.parametrize("field, reply", [
    ("From: coco@example.test", 250),
    ('From: "mike@example.test" <coco@example.test> (mike@example.test)', 250),
    ("From: postmaster@example.test", 250),
    ("Subject: nobody says who", 250),
    ("From: mike@example.test", "550 5.7.1 coco@example.test does not own the address mike@example.test of the From field"),
    ("From: Coco <coco@example.test>, Mike <mike@example.test>", "550 5.7.1 coco@example.test does not own the address mike@example.test of the From field"),
    ("From: coco@example.test\r\nFrom: chief@elsewhere.test", "550 5.7.1 coco@example.test does not own the address chief@elsewhere.test of the From field"),
    ("From: Friends: coco@example.test, chief@elsewhere.test;", "550 5.7.1 coco@example.test does not own the address chief@elsewhere.test of the From field"),
    ("From:\r\n chief@elsewhere.test", "550 5.7.1 coco@example.test does not own the address chief@elsewhere.test of the From field"),
    ("From: coco@example.test <", "550 5.7.1 the From field cannot be read, so nobody knows whether it is coco@example.test"),
    ("From: <mike@example.test,coco@example.test>", "550 5.7.1 the From field cannot be read, so nobody knows whether it is coco@example.test"),
    ("Subject: x\r\na line that is no field\r\nFrom: mike@example.test", "550 5.7.1 the From field cannot be read, so nobody knows whether it is coco@example.test"),
    ("X Y: z\r\nFrom: coco@example.test", "550 5.7.1 the From field cannot be read, so nobody knows whether it is coco@example.test"),
    ("a line that is no field", 250),
    ("From: co co@example.test", "550 5.7.1 the From field cannot be read, so nobody knows whether it is coco@example.test"),
])
def test_the_from_field_belongs_to_the_login(server, field, reply):
    with opened(server) as client:
        assert client.login() == 235
        assert client.mail("coco@example.test", "mike@example.test", f"{field}\r\n\r\nHello.\r\n".encode()) == reply


def test_an_alias_is_an_address_of_ones_own_and_the_check_can_be_switched_off(make_instance):
    server = make_instance()
    server.command("alias", "add", "sales@example.test", "coco@example.test")
    text = b"From: sales@example.test\r\n\r\nHello.\r\n"
    with opened(server) as client:
        assert client.login() == 235
        assert client.mail("sales@example.test", "mike@example.test", text) == 250
    with opened(server) as client:
        assert client.login("mike@example.test") == 235
        assert client.mail("mike@example.test", "coco@example.test", text) == 550
    with server.talk("internal", fresh_source()) as client:  # a trusted network, and nobody logged in
        client.ehlo()
        assert client.mail("mike@example.test", "coco@example.test", text) == 250
    server.settings["header_from_check"] = False
    server.write_configuration()
    server.reload()
    with opened(server) as client:
        assert client.login("mike@example.test") == 235
        assert client.mail("mike@example.test", "coco@example.test", text) == 250


def test_a_login_sends_so_many_messages_and_recipients_an_hour_over_all_sessions(make_instance, marker):
    server = make_instance(settings={"account_message_rate": 3, "account_recipient_rate": 4})
    for _ in range(2):
        with opened(server) as client:
            assert client.login() == 235
            assert client.command("MAIL FROM:<mike@example.test>") == 553  # what is refused anyhow is not counted
            assert client.mail("coco@example.test", ["mike@example.test"], message(marker, sender="coco@example.test")) == 250
    with opened(server) as client:
        assert client.login() == 235
        client.expect(250, "MAIL FROM:<coco@example.test>")
        client.expect(250, "RCPT TO:<mike@example.test>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        assert client.command("RCPT TO:<postmaster@example.test>") == "450 4.7.1 coco@example.test has sent as much as it may for now, try again later"
        client.expect(250, "RSET")
        assert client.command("MAIL FROM:<coco@example.test>") == "450 4.7.1 coco@example.test has sent as much as it may for now, try again later"
    with opened(server) as client:
        assert client.login("mike@example.test") == 235
        client.expect(250, "MAIL FROM:<mike@example.test>")


# Users in a database of another program.

OTHER = "create table people (name text primary key, mail text, secret text, scram text, active integer)"
QUERY = "SELECT mail, secret, scram FROM people WHERE (name = :user OR mail = :user) AND active"


@pytest.fixture(name="elsewhere")
def elsewhere_fixture(make_instance):
    """The hashes and verifiers of users.db, under other names and without coco's password in users.db itself."""
    server = make_instance(start=False, settings={"max_failed_msgs_per_period": 1000, "scram_iterations": 5000})
    server.prepare()
    path = server.path("people.db")
    with contextlib.closing(sqlite3.connect(server.path("state", "users.db"))) as users, contextlib.closing(sqlite3.connect(path)) as people:
        people.execute(OTHER)
        for name, active in (("coco", 1), ("mike", 0)):
            row = users.execute("select address, hash, scram from users where address = ?", (f"{name}@example.test",)).fetchone()
            people.execute("insert into people values (?, ?, ?, ?, ?)", (f"{name}-chanel", *row, active))
        people.commit()
    server.command("user", "passwd", "coco@example.test", "--stdin", input="not-this-one\n")
    os.chmod(path, 0o644)
    server.settings.update(login_database=path, login_query=QUERY)
    server.write_configuration()
    server.give_away()
    return server


def test_a_database_of_another_program_says_who_may_log_in(elsewhere):
    elsewhere.launch()
    with opened(elsewhere) as client:
        for user, password in (("coco-chanel", "not-this-one"), ("mike@example.test", "my-password"), ("nobody", "my-password"), ("' OR 1 --", "my-password")):
            assert client.login(user, password) == REFUSED
            assert Scram(client, user=user, password=password).login() == REFUSED
        assert client.login("coco-chanel") == 235
        client.expect(250, "MAIL FROM:<coco@example.test>")
    with opened(elsewhere) as client:
        assert Scram(client, user="coco-chanel").login() == 235
    with contextlib.closing(sqlite3.connect(elsewhere.path("people.db"))) as people:
        people.execute("update people set scram = replace(scram, '$5000:', '$4096:') where name = 'coco-chanel'")
        people.commit()
    for user, iterations in [("coco-chanel", "4096")] * 4 + [("nobody", "5000")] * 4:  # whoever a worker was asked about before
        with opened(elsewhere) as client:
            one = Scram(client, user=user)
            assert one.facts(one.first())["i"] == iterations
    with contextlib.closing(sqlite3.connect(elsewhere.path("people.db"))) as people:
        people.execute("update people set active = 1")
        people.commit()
    with opened(elsewhere) as client:
        assert client.login("mike@example.test") == 235
    os.rename(elsewhere.path("people.db"), elsewhere.path("away.db"))
    with opened(elsewhere) as client:
        assert client.login("coco-chanel") == "454 4.7.0 Temporary authentication failure"
    assert "logins cannot be looked up" in elsewhere.log_text()
    os.rename(elsewhere.path("away.db"), elsewhere.path("people.db"))
    with opened(elsewhere) as client:
        assert client.login("coco-chanel") == 235


@pytest.mark.parametrize("query, problem", [
    ("SELECT mail, secret FROM peple WHERE name = :user", "login_query: no such table: peple"),
    ("SELECT mail FROM people WHERE name = :user", "login_query has other columns than account, hash and perhaps scram"),
    ("SELECT mail, secret FROM people", "login_query does not ask for :user"),
    ("SELECT mail, secret FROM people WHERE name = :name", "login_query has another parameter than :user"),
    ("SELECT mail, secret FROM people WHERE name = :user; SELECT 1", "login_query is more than one statement"),
    ("DELETE FROM people WHERE name = :user", "login_query: DELETE is not allowed"),
    ("SELECT load_extension('x'), :user", "login_query: the function load_extension is not allowed"),
])
def test_a_query_that_is_none_is_told_at_the_start(elsewhere, query, problem):
    elsewhere.settings["login_query"] = query
    elsewhere.write_configuration()
    elsewhere.spawn()
    wait_for(lambda: not elsewhere.daemon.running(), "the end of a server with a wrong query")
    assert problem in elsewhere.log_text()
    elsewhere.daemon = None
