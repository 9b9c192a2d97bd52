"""SPF (RFC 7208) as a fact of rules and in Authentication-Results, with a real resolver between us and the records."""
import pytest

from lib.instance import Instance
from lib.messages import message
from lib.rules import evidence, start_with, write_rules
from lib.waiting import wait_for

ZONE = {name: [{"A": "192.0.2.10"}, {"MX": [0, name]}, *([{"TXT": record}] if record else [])] for name, record in {
    "good.example.net": "v=spf1 ip4:127.0.0.0/8 -all", "bad.example.net": "v=spf1 ip4:192.0.2.1 -all",
    "soft.example.net": "v=spf1 include:good.invalid.test a:bad.example.net ~all", "loop.example.net": "v=spf1 include:loop.example.net -all",
    "through.example.net": "v=spf1 redirect=good.example.net", "plain.example.net": None}.items()}
ZONE["_dmarc.example.net"] = [{"TXT": "v=DMARC1; p=reject; sp=quarantine"}]
ZONE["bank.example.net"] = [{"A": "192.0.2.10"}]
WANTED = {"good": "pass", "bad": "fail", "soft": "permerror", "loop": "permerror", "through": "pass", "plain": "none"}


@pytest.fixture(scope="module")
def ruled():
    instance = Instance(zone=ZONE, settings={"spf_verify": "yes", "dmarc_verify": "yes"})
    instance.prepare()
    write_rules(instance, {"mail_from": "SELECT '550 5.7.23 ' || :from_domain || ' says that you may not' WHERE :spf = 'fail';\n"
                                        "SELECT NULL, :from_domain || ' is ' || :spf AS log"})
    instance.launch()
    yield instance
    instance.stop()
    instance.remove()


@pytest.mark.parametrize("name", WANTED)
def test_a_rule_refuses_by_what_the_senders_domain_says(ruled, source, name):
    with ruled.talk(source=source) as client:
        client.ehlo()
        reply = client.command(f"MAIL FROM:<a@{name}.example.net>")
    if WANTED[name] == "fail":
        assert reply.text == "550 5.7.23 bad.example.net says that you may not"
        wait_for(lambda: [row[1] for row in evidence(ruled, source)] == ["sql:mail_from:1"], "the evidence")
    else:
        assert reply == 250
        ruled.wait_log(f"rule sql:mail_from:2: {name}.example.net is {WANTED[name]}$")


def test_the_null_sender_is_asked_about_by_its_helo_name(ruled, source, marker):
    with ruled.talk(source=source) as client:
        client.ehlo("good.example.net")
        assert client.mail("", "coco@example.test", message(marker)) == 250
    assert b"spf=pass smtp.helo=good.example.net" in ruled.wait_mail("coco@example.test", marker)


def test_results_are_written_down_where_the_configuration_wants_it(ruled, source, marker):
    with ruled.talk(source=source) as client:
        client.ehlo()
        mail_id = client.mail("a@through.example.net", "coco@example.test", message(marker)).text.rpartition("=")[2]
    mail = ruled.wait_mail("coco@example.test", marker).replace(b"\r\n", b"\n")
    assert b"Authentication-Results: mail.example.test;\n\tdkim=none;\n\tspf=pass smtp.mailfrom=through.example.net;\n\tdmarc=none (p=none) header.from=example.test\n" in mail
    assert ruled.sql("select verdicts from mails where mail_id = ?", mail_id)[0]["verdicts"] == \
        "dkim=none; spf=pass smtp.mailfrom=through.example.net; dmarc=none (p=none) header.from=example.test"
    write_rules(ruled, {"data": "SELECT '550 5.7.1 was ' || :spf WHERE :spf = 'pass'"})
    assert "550 5.7.1 was pass" in ruled.command("rules", "replay")


def test_members_and_whom_no_rule_names_are_not_asked_about(make_instance, source, marker):
    server = start_with(make_instance, {"mail_from": "SELECT '550 5.7.1 ' || :spf WHERE :spf <> '' AND :role = 'submission'",
                                        "rcpt_to": "SELECT NULL"}, zone=ZONE)
    with server.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        client.login()
        assert client.mail("coco@example.test", "mike@example.test", message(marker)) == 250
    assert "spf=" not in server.wait_mail("mike@example.test", marker).decode()
    assert "SPF of" not in server.log_text()


@pytest.mark.parametrize("sender, author, result", [
    ("a@good.example.net", "a@bank.example.net", "pass (p=quarantine) header.from=bank.example.net"),  # the same organisation
    ("a@plain.example.net", "a@bank.example.net", "fail (p=quarantine) header.from=bank.example.net"),
    ("a@plain.example.net", "a@plain.test", "none (p=none) header.from=plain.test")])
def test_dmarc_is_a_fact_and_written_down(make_instance, source, marker, sender, author, result):
    server = start_with(make_instance, {"message": "SELECT '550 5.7.26 ' || :header_from || ' is not from there, says p=' || :dmarc_policy\n"
                                                   " WHERE :dmarc = 'fail' AND :subject = 'strict'"}, zone=ZONE, settings={"dmarc_verify": "yes"})
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.mail(sender, "coco@example.test", message(marker, sender=author)) == 250
        reply = client.mail(sender, "coco@example.test", message("other", sender=author, subject="strict"))
        assert (reply.text == f"550 5.7.26 <{author}> is not from there, says p=quarantine") == result.startswith("fail")
    assert f"dmarc={result}\n" in server.wait_mail("coco@example.test", marker).replace(b"\r\n", b"\n").decode()


BANK = "dmarc=fail (p=quarantine) header.from=bank.example.net"


@pytest.mark.parametrize("field, result", [
    ("From: Bank <a@bank.example.net> (<a@plain.test>)", BANK),
    ("From: a@bank.example.net, Other <a@plain.test>", BANK),
    ("From: a@plain.test\r\nFrom: a@bank.example.net", BANK),
    ("From: Bank, a good one <a@bank.example.net>", BANK),
    ("From: a@plain.test, a@plain.test", "dmarc=none (p=none) header.from=plain.test"),
    ("From: a@plain.test, b@", "dmarc=permerror (p=none)"),
    ("a line that is no field\r\nFrom: a@bank.example.net", "dmarc=permerror (p=none)"),
    ("From: " + ", ".join(f"a@d{i}.test" for i in range(6)), "dmarc=permerror (p=none)"),
    ("Subject: of nobody", "")])
def test_dmarc_judges_every_author_that_readers_may_see(ruled, source, marker, field, result):
    with ruled.talk(source=source) as client:
        client.ehlo()
        assert client.mail("a@plain.example.net", "coco@example.test", f"{field}\r\nX-Test: {marker}\r\n\r\nHello.\r\n".encode()) == 250
    results = ruled.wait_mail("coco@example.test", marker).replace(b"\r\n", b"\n").decode().partition("\n\n")[0]
    assert (f"\t{result}\n" in results) if result else "dmarc=" not in results
