"""Rules at the moments of a session that are no command of SMTP's own: behind a proxy, before TLS, when the header has
come, at a command that is none, and after the end."""
import pytest

from lib import ports
from lib.instance import Instance
from lib.messages import message
from lib.rules import evidence, write_rules
from lib.talker import SmtpTalker, fresh_source
from lib.waiting import wait_for

RULES = {
    "proxy": "SELECT '554 5.7.1 no ' || :remote_ip || ' by ' || :local_ip WHERE :remote_ip LIKE '10.9.%';",
    "starttls": "SELECT '454 4.7.0 not you, ' || :ehlo WHERE :ehlo = 'plain.example.net' AND :tls = '';",
    "headers": "SELECT '450 4.7.1 ' || :subject || ' of ' || :header_from || ' to ' || :rcpt_count || ', ' || :size\n"
               " WHERE :subject LIKE 'later%';\n"
               "SELECT '550 5.7.1 not ' || :message_id WHERE :subject LIKE 'never%';",
    "unknown": "SELECT '250 2.0.0 you ' || :verb || ' ' || :argument WHERE :verb = 'XHELLO';\n"
               "SELECT '421 4.7.0 we are no ' || :verb WHERE upper(:verb) = 'XSHELL';",
    "disconnect": "SELECT '550 5.7.1 ' || :ehlo || ' left' WHERE :ehlo = 'rude.example.net';\n"
                  "SELECT '450 4.7.1 never counted' WHERE :ehlo = 'client.example.net';",
}


@pytest.fixture(scope="module")
def server():
    port, = ports.take(1)
    instance = Instance(lmtp=True, extra=f'listen "127.0.0.1:{port}" {{ role = mx\n proxy = yes\n proxy_networks = {{"127.0.0.0/8"}} }}',
                        zone={name: [{"A": "192.0.2.10"}] for name in ("plain.example.net", "rude.example.net")})
    instance.proxy_port = port
    instance.prepare()
    write_rules(instance, RULES)
    instance.launch()
    yield instance
    instance.stop()
    instance.remove()
    ports.give_back([port])


def test_proxy_is_asked_when_the_header_has_told_whom_it_speaks_for(server):
    for ip, refused in (("10.9.1.1", True), ("10.8.1.1", False)):
        with SmtpTalker(server.proxy_port, greeting=False) as client:
            client.send(f"PROXY TCP4 {ip} 198.51.100.9 40000 25\r\n")
            assert (client.reply().text == f"554 5.7.1 no {ip} by 198.51.100.9") == refused
    assert evidence(server, "10.9.1.1") == [("(connect)", "sql:proxy:1", "554 5.7.1 no 10.9.1.1 by 198.51.100.9")]


def test_proxy_is_asked_of_nobody_who_came_without_one(server):
    with server.talk() as client:
        client.ehlo()
    assert server.command("rules", "test", "proxy", "remote_ip=10.9.0.1", "local_ip=x").startswith("554")


def test_starttls_may_be_refused_and_the_session_goes_on_in_plain_text(server, source):
    with server.talk(source=source) as client:
        client.ehlo("plain.example.net")
        assert client.command("STARTTLS").text == "454 4.7.0 not you, plain.example.net"
        client.ehlo()
        client.starttls()


@pytest.mark.parametrize("body", ["", "line\r\n" * 40000], ids=["without_a_body", "with_a_large_one"])
def test_headers_answer_comes_at_the_end_of_data_and_nothing_is_stored(server, source, body):
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.mail("a@example.net", "coco@example.test", message("1", body, subject="later, please")).text == \
            "450 4.7.1 later, please of <coco@example.test> to 1, 0"
        assert client.mail("a@example.net", "coco@example.test", message("2", body, subject="never"), "SIZE=300000").text == \
            "550 5.7.1 not <2@client.example.net>"
        assert client.mail("a@example.net", "coco@example.test", message("3", body)) == 250
    assert evidence(server, source) == [("DATA", "sql:headers:2", "550 5.7.1 not <2@client.example.net>")]
    assert len(server.sql("select 1 from mails where remote_ip = ?", source)) == 1


def test_headers_answer_comes_with_the_chunk_that_completes_them(server, source):
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        client.send(b"BDAT 15\r\nSubject: never\r\n"[:-1])
        assert client.reply() == 250
        client.send(b"BDAT 25\r\n\nMessage-ID: <x>\r\n\r\nbody\r\n"[:9 + 25])
        assert client.reply().text == "550 5.7.1 not <x>"
        client.send(b"BDAT 4 LAST\r\nmore")
        assert client.reply() == 503
        client.expect(250, "NOOP")


def test_headers_refused_over_lmtp_are_refused_for_every_recipient(server):
    with SmtpTalker(server.lmtp_listener) as client:
        client.expect(250, "LHLO client.example.net")
        client.expect(250, "MAIL FROM:<a@example.net>")
        for user in ("coco", "mike"):
            client.expect(250, f"RCPT TO:<{user}@example.test>")
        client.expect(354, "DATA")
        client.send("Subject: never\r\nMessage-ID: <y>\r\n\r\nbody\r\n.\r\n")
        assert [client.reply().text for _ in range(2)] == [f"550 5.7.1 <{user}@example.test> not <y>" for user in ("coco", "mike")]


def test_an_unknown_command_is_answered_by_a_rule_or_with_500(server, source):
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.command("XHELLO my friend").text == "250 2.0.0 you XHELLO my friend"
        assert client.command("XOTHER").text.startswith('500 5.5.1 Unrecognized command "XOTHER"')
        assert client.command("xshell").text == "421 4.7.0 we are no xshell"
        client.expect_close()


def test_what_may_be_a_password_no_rule_sees(server, source):
    with server.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        client.expect(504, "AUTH X")
        assert client.command("XHELLO my secret").text.startswith('500 5.5.1 Unrecognized command "(not shown)"')


def test_disconnect_is_asked_after_the_end_and_its_5xx_is_evidence(server):
    for name, leave in (("rude.example.net", "QUIT"), ("rude.example.net", None), ("client.example.net", "QUIT")):
        source = fresh_source()
        with server.talk(source=source) as client:
            client.ehlo(name)
            if leave:
                assert client.command(leave) == 221
                client.expect_close()
        wanted = [("(disconnect)", "sql:disconnect:1", "550 5.7.1 rude.example.net left")] if name.startswith("rude") else []
        if wanted:
            wait_for(lambda: evidence(server, source) == wanted, "the evidence")
    with server.talk(source=source) as client:  # the 450 counted for nothing
        client.ehlo()
    assert evidence(server, source) == []
