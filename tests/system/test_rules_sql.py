"""The operator's own rules: a SELECT at each verb, what it may not do, errors before the start, SIGHUP."""
import os
import re
import subprocess

import pytest

from lib.instance import Instance
from lib.messages import message
from lib.place import program
from lib.rules import evidence, start_with, write_rules
from lib.talker import SmtpTalker, fresh_source
from lib.waiting import wait_for

CONFIG = 78

RULES = {
    "connect": "SELECT '554 5.7.1 not from ' || :remote_ip WHERE :remote_ip LIKE '127.77.%';",
    "ehlo": "SELECT '550 5.7.1 we are ' || :server_name WHERE :ehlo = :server_name;",
    "auth": "SELECT '535 5.7.8 ' || :account || ' is on holiday' WHERE :account LIKE 'mike@%' AND :tls LIKE 'TLSv1.%';",
    "mail_from": "SELECT '250 partner' WHERE :from = 'partner@bad.example.net';\n"
                 "SELECT '550 5.7.1 no mail from ' || :from_domain WHERE :from_domain = 'bad.example.net';\n"
                 "SELECT '552 5.3.4 too large for a stranger' WHERE :size > 1000000 AND :role = 'mx' AND NOT :trusted;",
    "rcpt_to": "SELECT column1 FROM (VALUES ('550 5.7.1 This mailbox was given up.'), (NULL), ('550 5.7.1 Write to coco.'))\n"
               " WHERE :rcpt = 'mike@example.test' AND :authenticated = 0;",
    "data": "SELECT '550 5.7.1 a notice to ' || :rcpt_count WHERE :from = '' AND :rcpt_count = 1;",
    "message": "SELECT '550 5.7.1 ' || :subject || '|' || :header_from || '|' || :message_id || '|' || (:size > 20) || '|' || :dkim\n"
               " WHERE :subject LIKE 'tell me%';",
    "rset": "SELECT '450 4.7.1 not now' WHERE :ehlo = 'fussy.example.net';",
    "vrfy": "SELECT '250 2.1.5 <' || address || '>' FROM users WHERE address = :argument;",
    "expn": "SELECT '550 5.7.1 no lists for ' || :argument;",
    "help": "SELECT '214 2.0.0 Ask coco.' UNION ALL SELECT '214 2.0.0 Or mike.';",
    "noop": "SELECT '421 4.7.1 enough' WHERE :argument = 'bye';",
    "quit": "SELECT '550 5.7.1 stay' WHERE :ehlo = 'fussy.example.net';",
}


@pytest.fixture(scope="module")
def ruled():

    instance = Instance(zone={name: [{"A": "192.0.2.10"}] for name in ("fussy.example.net", "bad.example.net")})
    instance.prepare()
    write_rules(instance, RULES)
    instance.launch()
    yield instance
    instance.stop()
    instance.remove()


def test_connect_is_asked_before_the_greeting(ruled):
    with SmtpTalker(ruled.mx_port, source="127.77.0.1") as client:
        assert client.greeting.text == "554 5.7.1 not from 127.77.0.1"
        client.expect_close()
    assert evidence(ruled, "127.77.0.1") == [("(connect)", "sql:connect:1", "554 5.7.1 not from 127.77.0.1")]


def test_ehlo_is_refused_and_counts_as_a_violation(ruled, source):
    with ruled.talk(source=source) as client:
        assert client.command("EHLO mail.example.test").text == "550 5.7.1 we are mail.example.test"
        client.ehlo()
    assert evidence(ruled, source) == [("EHLO", "sql:ehlo:1", "550 5.7.1 we are mail.example.test")]
    assert ruled.contact(source)["violations"] == 1


def test_auth_refuses_a_right_password(ruled, source):
    with ruled.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        assert client.login("mike@example.test").text == "535 5.7.8 mike@example.test is on holiday"
        assert client.command("MAIL FROM:<mike@example.test>") == 530
        assert client.login() == 235


def test_mail_from_sees_sender_and_size_and_a_2xx_is_an_exception(ruled, source):
    with ruled.talk(source=source) as client:
        client.ehlo()
        assert client.command("MAIL FROM:<a@Bad.Example.net>").text == "550 5.7.1 no mail from bad.example.net"
        assert client.command("MAIL FROM:<a@example.net> SIZE=2000000").text == "552 5.3.4 too large for a stranger"
        assert client.command("MAIL FROM:<partner@bad.example.net>").text == "250 2.1.0 OK"
        assert [row[1] for row in evidence(ruled, source)] == ["sql:mail_from:2", "sql:mail_from:3"]


def test_rcpt_to_refuses_one_recipient_in_two_lines_and_the_row_says_why(ruled, source):
    with ruled.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        reply = client.command("RCPT TO:<mike@example.test>")
        assert reply.text == "550-5.7.1 This mailbox was given up.\n550 5.7.1 Write to coco."
        client.expect(250, "RSET")
    assert ruled.wait_rows("select * from parcels where delivery = 'none' and to_url = 'mike@example.test' and delivery_msg like ?",
                           "550 5.7.1 This mailbox was given up.%")


def test_data_is_asked_before_the_message_is_sent(ruled, source):
    with ruled.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        assert client.command("DATA").text == "550 5.7.1 a notice to 1"
        client.expect(250, "RSET")


def test_message_sees_header_size_and_dkim_verdict_and_nothing_is_stored(ruled, source, marker):
    with ruled.talk(source=source) as client:
        client.ehlo()
        reply = client.mail("a@example.net", "coco@example.test",
                            f"From: Ann <ann@example.net>\r\nSubject: tell me\r\n {marker}\r\nMessage-ID: <1@example.net>\r\n\r\nbody\r\n")
        assert reply.text == f"550 5.7.1 tell me {marker}|Ann <ann@example.net>|<1@example.net>|1|dkim=none"
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
    assert [row[:2] for row in evidence(ruled, source)] == [("DATA", "sql:message:1")]
    assert len(ruled.sql("select 1 from mails where remote_ip = ?", source)) == 1


def test_rset_and_quit_may_be_refused_and_quit_closes_all_the_same(ruled, source):
    with ruled.talk(source=source) as client:
        client.ehlo("fussy.example.net")
        client.expect(250, "MAIL FROM:<a@example.net>")
        assert client.command("RSET").text == "450 4.7.1 not now"
        client.expect(250, "RCPT TO:<coco@example.test>")
        assert client.command("QUIT").text == "550 5.7.1 stay"
        client.expect_close()


def test_vrfy_expn_help_noop_answer_in_the_servers_place(ruled, source):
    with ruled.talk(source=source) as client:
        client.ehlo()
        assert client.command("VRFY coco@example.test").text == "250 2.1.5 <coco@example.test>"
        assert client.command("VRFY nobody@example.test").text == "252 2.0.0 Administrative prohibition"
        assert client.command("EXPN staff").text == "550 5.7.1 no lists for staff"
        assert client.command("HELP").text == "214-2.0.0 Ask coco.\n214 2.0.0 Or mike."
        assert client.command("NOOP").text == "250 2.0.0 OK"
        assert client.command("NOOP bye").text == "421 4.7.1 enough"
        client.expect_close()


def test_what_a_built_in_rule_refuses_no_rule_is_asked_about(make_instance, source):
    server = start_with(make_instance, {"rcpt_to": "SELECT '250 welcome'"})
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@example.net>")
        assert client.command("RCPT TO:<victim@remote.test>").text == "550 5.7.1 This server does not support relaying"


def test_violations_by_rules_lock_a_contact_out(ruled):
    source = fresh_source()
    with ruled.talk(source=source) as client:
        for _ in range(3):
            assert client.command("EHLO mail.example.test") == 550
    wait_for(lambda: ruled.contact(source)["violations"] == 3, "three violations")
    with SmtpTalker(ruled.mx_port, source=source) as client:
        assert client.greeting.text.startswith("421 4.7.1 ")


def test_facts_of_the_contact_and_history_can_be_asked(make_instance, marker):
    source = fresh_source()
    server = start_with(make_instance, {
        "mail_from": "SELECT '451 4.7.1 one an hour' WHERE :hits >= 1 AND (SELECT count(*) FROM mails JOIN contacts ON contacts.id ="
                     " contact_id WHERE contacts.remote_ip = :contact AND received_at > datetime('now', '-1 hour')) >= 1;"})
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
        server.wait_rows("select 1 from mails where remote_ip = ?", source)
        assert client.command("MAIL FROM:<a@example.net>").text == "451 4.7.1 one an hour"
    assert evidence(server, source) == []


def test_a_table_of_the_operators_own_is_read_may_go_and_come_back(make_instance, source):
    server = make_instance(settings={"lookup_workers": 1})

    def fill():
        server.edit("create table blocked (domain text primary key)")
        server.edit("insert into blocked values ('example.net')")
    fill()
    write_rules(server, {"mail_from": "SELECT '550 5.7.1 ' || domain || ' is blocked' FROM blocked WHERE domain = :from_domain"})
    server.reload()
    server.wait_log("configuration was read again")

    def answer():
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            return client.command("MAIL FROM:<a@example.net>").text
    wait_for(lambda: answer() == "550 5.7.1 example.net is blocked", "the rule")
    server.edit("drop table blocked")
    assert answer().startswith("451 4.3.0 ")
    server.kill("lookup")  # one that begins without the table
    wait_for(lambda: answer().startswith("451 4.3.0 "), "the answer without the table")
    fill()
    wait_for(lambda: answer() == "550 5.7.1 example.net is blocked", "the table to be seen")


# What goes wrong.

ENDLESS = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x)\nSELECT max(n) FROM x"


@pytest.mark.parametrize("sql, words", [
    (ENDLESS, "takes longer than rules_timeout_ms"),
    ("SELECT lower('NONSENSE')", "no SMTP reply"),
    ("SELECT '55' || '1 5.7.1 no'", "no reply of a rule"),
    ("SELECT NULL, 'soon' AS delay", "delay is to be a number of milliseconds, not: soon"),
    ("SELECT abs(-9223372036854775808)", "integer overflow"),
], ids=["endless", "no_reply", "a_code_of_nobodys", "a_wrong_action", "an_error"])
def test_a_rule_that_fails_is_a_451_and_logged_and_no_violation(make_instance, source, sql, words):
    server = start_with(make_instance, {"mail_from": "SELECT NULL;\n" + sql}, settings={"rules_timeout_ms": 100})
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.command("MAIL FROM:<a@example.net>").text == \
            "451 4.3.0 mail.example.test error: a rule of this server cannot be asked, try again later"
        client.expect(250, "NOOP")
    found = server.wait_log(r"rule sql:mail_from:2 failed: (.*)")
    assert words in found.group(1) and f"{server.path('rules', 'mail_from.sql')}:2: " in found.group(1)
    assert evidence(server, source) == []


def test_a_connect_rule_that_fails_greets_nobody(make_instance, source):
    server = make_instance()
    write_rules(server, {"connect": "SELECT lower('NONSENSE') WHERE :remote_ip LIKE '127.%' AND :remote_ip NOT LIKE '127.255.%'"})
    server.reload()
    server.wait_log("configuration was read again")

    def refused():
        with SmtpTalker(server.mx_port, source=fresh_source()) as client:
            return client.greeting.text.startswith("421 4.3.0 mail.example.test error: ")
    wait_for(refused, "the rule to be asked")


@pytest.mark.parametrize("sql, words", [
    ("SELECT NULL;\nSELECT\n  wrong FROM contacts", [":3: no such column: wrong"]),
    ("DELETE FROM contacts", [":1: DELETE is not allowed"]),
    ("PRAGMA query_only = off", [":1: PRAGMA is not allowed"]),
    ("ATTACH '/tmp/x.db' AS x", [":1: ATTACH is not allowed"]),
    ("SELECT hash FROM users", [":1: reading users.hash is not allowed"]),
    ("SELECT :rcpt", [":1: :rcpt is not known at ehlo"]),
    ("SELECT :colour", [":1: :colour is no fact"]),
    ("SELECT NULL;\n\nSELECT NULL, 'x' AS colour", [':3: column 2, "colour", is no action; accepted: log, delay, ehlo']),
    ("SELECT NULL, 'x' AS banner", [':1: column 2, "banner", is no action at ehlo; accepted: log, delay, ehlo']),
    ("SELECT NULL;\nSELECT '551 5.7.1 ' || :ehlo", [":2: gives what is no reply of a rule: 551 5.7.1 ; accepted: 2xx, 421, 432"]),
], ids=["a_wrong_column", "delete", "pragma", "attach", "a_hash", "a_fact_of_another_verb", "no_fact",
        "no_action", "an_action_of_another_verb", "a_code_that_no_rule_may_give"])
def test_a_wrong_rule_stops_the_start_with_file_line_and_what_sqlite_says(make_instance, sql, words):
    instance = make_instance(start=False)
    instance.prepare()
    write_rules(instance, {"ehlo": sql})
    for arguments in (["-f"], ["-T"]):
        done = subprocess.run([program("parcelpostd"), "-c", instance.configuration, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60, check=False, text=True)
        assert done.returncode == CONFIG, done.stdout
        for word in words:
            assert instance.path("rules", "ehlo.sql") + word in done.stdout


def test_a_file_for_no_verb_stops_the_start(make_instance):
    instance = make_instance(start=False)
    instance.prepare()
    write_rules(instance, {"mailfrom": "SELECT NULL"})
    done = subprocess.run([program("parcelpostd"), "-c", instance.configuration, "-T"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False, text=True)
    assert done.returncode == CONFIG and "mailfrom.sql" in done.stdout and "mail_from.sql" in done.stdout


def test_hangup_takes_new_rules_and_keeps_the_old_ones_on_an_error(make_instance):
    server = start_with(make_instance, {"help": "SELECT '214 2.0.0 first'"})

    def answer():
        with server.talk(source=fresh_source()) as client:
            return client.command("HELP").text
    assert answer() == "214 2.0.0 first"
    write_rules(server, {"help": "SELECT '214 2.0.0 second'"})
    server.reload()
    wait_for(lambda: answer() == "214 2.0.0 second", "the new rule")
    write_rules(server, {"help": "SELECT\n nonsense"})
    server.reload()
    server.wait_log(r"the configuration in force stays: .*help.sql:2: no such column: nonsense")
    assert answer() == "214 2.0.0 second"
    server.kill("lookup")  # the one that takes its place knows the rules in force, not the files
    wait_for(lambda: answer() == "214 2.0.0 second", "the rule after a new lookup", explain=server.log_tail)
    write_rules(server, {})
    server.reload()
    wait_for(lambda: answer().startswith("214 2.0.0 EHLO"), "no rule any more")


def test_a_verb_without_rules_costs_no_question(make_instance, source):
    server = start_with(make_instance, {"help": "SELECT NULL"})
    pids = [pid for pid, _, _ in server.processes("lookup")]

    def woken():
        """How often they left the processor: asleep, or, on a busy machine, before they could fall asleep behind an answer."""
        return sum(int(count) for pid in pids for count in re.findall(r"voluntary_ctxt_switches:\s+(\d+)", open(f"/proc/{pid}/status", encoding="ascii").read()))
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "NOOP")

        def cost(code, verb):
            before = woken()
            for _ in range(50):
                client.expect(code, verb)
            return woken() - before
        assert min(cost(250, "NOOP") for _ in range(3)) < 10  # who looks after them each second wakes them, too
        assert cost(214, "HELP") >= 25


# parcelpost rules

def test_rules_list_names_each_statement_with_its_place(ruled):
    output = ruled.command("rules", "list")
    assert re.search(r"^sql:mail_from:2 +\S+/rules/mail_from.sql:2 +SELECT '550 5.7.1 no mail from ", output, re.M), output


def test_rules_test_prints_the_reply_or_that_none_objects(ruled):
    output = ruled.command("rules", "test", "rcpt_to", "rcpt=mike@example.test")
    assert "550-5.7.1 This mailbox was given up.\n550 5.7.1 Write to coco.\nsql:rcpt_to:1 says so\n" in output
    assert ruled.command("rules", "test", "rcpt_to", "rcpt=coco@example.test") == "no rule objects\n"
    assert "250 2.0.0 partner\nsql:mail_from:1" in ruled.command("rules", "test", "mail_from", "from=partner@bad.example.net")


def test_check_counts_the_rules_or_names_the_wrong_one(make_instance):
    server = start_with(make_instance, {"help": "SELECT NULL;\nSELECT NULL"})
    assert f"rules: 2 in {server.path('rules')}" in server.command("check")
    write_rules(server, {"help": "SELECT NULL;\nSELECT nonsense"})
    status, output = server.command("check", check=False)
    assert status == 1 and f"rules: {server.path('rules', 'help.sql')}:2: no such column: nonsense" in output


def test_rules_replay_shows_whose_answer_would_differ(make_instance, source, marker):
    server = start_with(make_instance, {"rcpt_to": "SELECT '550 5.7.1 not to mike' WHERE :rcpt = 'mike@example.test'"})
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(550, "RCPT TO:<mike@example.test>")
        client.expect(550, "RCPT TO:<nobody@example.test>")  # by the server itself: no rule can change that
        client.expect(250, "RCPT TO:<coco@example.test>")
        mail_id = client.data(message(marker)).text.rpartition("=")[2]
        client.expect(250, "MAIL FROM:<b@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        assert client.data(message(marker)) == 250
    server.wait_rows("select 1 from mails where from_url = 'b@example.net'")
    assert "0 answers about" in server.command("rules", "replay")
    write_rules(server, {"rcpt_to": "SELECT NULL WHERE :rcpt = ''",
                         "mail_from": "SELECT '451 4.7.1 ' || :ehlo || ' ' || :remote_ip WHERE :from = 'b@example.net' AND :role = 'mx'",
                         "message": "SELECT '550 5.7.1 ' || ifnull(:subject, 'a subject is not recorded') WHERE :size > 10 AND :from LIKE 'a@%'"})
    output = server.command("rules", "replay", "1")
    assert re.search(rf"{mail_id} +a@example.net +mike@example.test +550 5.7.1 not to mike +accepted +sql:rcpt_to:1$", output, re.M), output
    assert re.search(rf"{mail_id} +a@example.net +coco@example.test +accepted +550 5.7.1 a subject is not recorded +sql:message:1$", output, re.M)
    assert re.search(rf"b@example.net +coco@example.test +accepted +451 4.7.1 client.example.net {source} +sql:mail_from:1$", output, re.M), output
    assert "3 answers about 4 recipients since" in output and "nobody@" not in output
    write_rules(server, {"headers": "SELECT '550 5.7.1 ' || ifnull(:header, 'no header is recorded') WHERE :message_id <> '' AND :from LIKE 'b@%'",
                         "starttls": "SELECT '454 4.7.0 never asked of those in plain text'"})
    output = server.command("rules", "replay", "1")
    assert re.search(r"b@example.net +coco@example.test +accepted +550 5.7.1 no header is recorded +sql:headers:1$", output, re.M), output
    write_rules(server, {"mail_from": "SELECT '451 4.7.1 ' || :protocol || ' ' || :extended || ' ' || :weekday WHERE :from = 'b@example.net'"
                                      " AND abs(julianday(:time) - julianday('now')) < 1"})
    assert re.search(r"451 4.7.1 ESMTP 1 [1-7] +sql:mail_from:1$", server.command("rules", "replay", "1"), re.M)
