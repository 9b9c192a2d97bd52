"""The worked rules of etc/rules/examples/: each says of facts what its own comments say, and some of them are met by a
client. A comment line "$ parcelpost rules test …" is a command, and the lines below it with more blanks what it prints;
"table:" is a statement that the rule needs."""
import glob
import os
import re
import shlex

import pytest

from lib.messages import message
from lib.place import ROOT
from lib.rules import evidence, start_with, write_rules
from lib.talker import fresh_source
from lib.waiting import wait_for

EXAMPLES = {os.path.basename(path)[:-len(".sql")]: open(path, encoding="utf-8").read()
            for path in sorted(glob.glob(os.path.join(ROOT, "etc", "rules", "examples", "*.sql")))}


def cases_of(text):
    """(arguments of `rules test`, the lines that are to be in its output)"""
    found = []
    for line in text.split("\n"):
        command, printed = re.match(r"-- \$ parcelpost (rules test .*)", line), re.match(r"--   (\S.*)", line)
        if command:
            found.append((shlex.split(command.group(1)), []))
        elif printed and found:
            found[-1][1].append(printed.group(1))
    return found


def tables_of(text):
    return re.findall(r"^-- table: (.*)$", text, re.M)


def stage_of(name):
    return name.partition(".")[0]


def fill_history(server):
    """What the rules that count find: a contact with much mail and many guesses, busy logins, a list, an account of old."""
    server.edit("insert into contacts (id, remote_ip, created_at, updated_at) values (9000, '192.0.2.20', datetime('now'), datetime('now'))")
    for account in ("busy@example.test", "news@example.test"):
        server.edit("with recursive n(i) as (select 1 union all select i + 1 from n where i < 20) insert into mails (mail_id, contact_id,"
                    " place, received_at, size, role, local_port, remote_ip, remote_name, ehlo, from_url, protocol, tls, account, verdicts,"
                    " message_id) select ?1 || i, 9000, 'gone', datetime('now'), 1, 'mx', 25, '192.0.2.20', '', '', 'a@example.net', 'ESMTP',"
                    " '', ?1, '', '<again@example.net>' from n", account)
        server.edit("with recursive n(i) as (select 1 union all select i + 1 from n where i < 500) insert into parcels (contact_id, mail_id,"
                    " recipient, from_url, to_url, target, domain, delivery, state, created_at, updated_at) select 9000, ?1 || '1', i, '',"
                    " '', '', '', 'local', 'delivered', datetime('now'), datetime('now') from n", account)
    server.edit("with recursive n(i) as (select 1 union all select i + 1 from n where i < 10) insert into violations (contact_id, created_at,"
                " port, verb, rule, reply) select 9000, datetime('now'), 25, 'RCPT', 'recipient-unknown', '550' from n")
    for target in ("coco@example.test", "mike@example.test"):
        server.edit("insert into aliases (address, target, created_at) values ('staff@example.test', ?, datetime('now'))", target)


@pytest.fixture(scope="module")
def library():
    """An instance with that history, and the tables of every example."""
    from lib.instance import Instance
    with Instance() as instance:
        fill_history(instance)
        for text in EXAMPLES.values():
            for statement in tables_of(text):
                instance.edit(statement)
        yield instance


def test_there_are_twenty_of_them_and_more():
    assert len(EXAMPLES) >= 20


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_speaks_of_whom_it_says_and_of_nobody_else(library, name):
    cases = cases_of(EXAMPLES[name])
    assert {lines in (["no rule objects"], ["no rule knows it"]) for _, lines in cases} == {True, False}, "a case that matches, and one that does not"
    write_rules(library, {stage_of(name): EXAMPLES[name]})
    for words, lines in cases:
        assert words[2] == stage_of(name)
        output = library.command(*words).split("\n")
        for line in lines:
            assert line in output, f"{' '.join(words)}\n{output}"


def test_all_examples_together_start_a_server_that_takes_honest_mail(make_instance, marker):
    together = {}
    for name, text in EXAMPLES.items():
        together[stage_of(name)] = together.get(stage_of(name), "") + "\n" + text
    server = make_instance()
    for text in EXAMPLES.values():
        for statement in tables_of(text):
            server.edit(statement)
    write_rules(server, together)
    server.reload()
    server.wait_log("configuration was read again")
    wait_for(lambda: server.talk(source=fresh_source()).greeting.text == "220 mail.example.test ESMTP Example Ltd. No unsolicited mail.",
             "the examples to be in force")
    source = fresh_source()
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
        client.quit()
    assert evidence(server, source) == []
    mail = server.wait_mail("coco@example.test", marker)
    assert b"X-Sender-History: first message" in mail


def load(make_instance, *names, **options):
    rules = {}
    for name in names:
        rules[stage_of(name)] = rules.get(stage_of(name), "") + EXAMPLES[name] + "\n"
    return start_with(make_instance, rules, **options)


def test_nobody_writes_in_the_name_of_a_domain_of_ours(make_instance, source):
    server = load(make_instance, "mail_from.own-domain")
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.command("MAIL FROM:<boss@example.test>").text == "550 5.7.1 Mail from example.test is sent by its members, who log in"
        client.expect(250, "MAIL FROM:<a@example.net>")


def test_partners_write_within_tls(make_instance, source):
    server = load(make_instance, "mail_from.partner-tls",
                  zone={"partner.example": [{"A": "192.0.2.10"}, {"MX": [0, "partner.example"]}]})
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.command("MAIL FROM:<a@partner.example>").text == "530 5.7.0 Mail from partner.example comes within TLS"
        client.starttls()
        client.expect(250, "MAIL FROM:<a@partner.example>")


def test_a_guesser_is_sent_away(make_instance, source):
    server = load(make_instance, "rcpt_to.guesses", settings={"prohibited_seconds": 1})
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        for name in ("a", "b", "c"):
            client.expect(550, f"RCPT TO:<{name}@example.test>")
        assert client.command("RCPT TO:<mike@example.test>").text == "421 4.7.1 You guess too much"
        client.expect_close()


def test_a_catch_all_domain_is_sorted(make_instance, source, marker):
    server = load(make_instance, "rcpt_to.catch-all", settings={"local_domains": ["example.test", "shop.example"]})
    server.command("alias", "add", "@shop.example", "coco@example.test")
    server.command("alias", "add", "orders@example.test", "mike@example.test")
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(550, "RCPT TO:<contest2019@shop.example>")
        client.expect(250, "RCPT TO:<orders-4711@shop.example>")
        assert client.data(message(marker)) == 250
    server.wait_mail("mike@example.test", marker)
    assert not server.mails("coco@example.test")


def test_programs_are_refused_by_the_header_alone_and_swindles_are_held(make_instance, source, marker):
    server = load(make_instance, "headers.programs", "message.hold")
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.mail("a@example.net", "coco@example.test", message(marker, fields='Content-Type: application/x; name="a.exe"\r\n')).text == \
            "550 5.7.1 We take no programs by mail"
        mail_id = client.mail("a@example.net", "coco@example.test", message(marker, subject="New bank details")).text.rpartition("=")[2]
    row = server.wait_rows("select state, delivery_msg from parcels where mail_id = ?", mail_id)[0]
    assert row["state"] == "held" and "new bank details from" in row["delivery_msg"]
