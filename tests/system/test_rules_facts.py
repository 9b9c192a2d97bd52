"""Facts that rules name: each says what it is said to say, at every verb where it is known."""
import re
import time

import pytest

from lib import ports
from lib.instance import Instance
from lib.messages import message
from lib.rules import write_rules
from lib.talker import SmtpTalker, fresh_source

SESSION = ("time", "weekday", "session_seconds", "proxied", "proxy_ip", "remote_ip", "port")
LATER = SESSION + ("ehlo", "ehlo_is_literal", "extended", "protocol", "commands", "errors", "mails_sent", "rcpt_refused", "account")
TRANSACTION = LATER + ("from", "utf8", "body", "rcpt_count", "rcpt_tried", "size")
HEADER = TRANSACTION + ("subject", "header_from", "header_to", "reply_to", "list_id", "content_type", "auto_submitted", "header_count",
                        "header_size", "received_count")
TOLD = {"connect": SESSION, "proxy": SESSION, "ehlo": LATER, "data": TRANSACTION, "headers": HEADER, "message": HEADER, "disconnect": LATER}


def telling(stage):
    """A rule that logs every fact of its stage, and another for the whole header."""
    words = " || '|' || ".join(f"'{name}=' || ifnull(:{name}, 'null')" for name in TOLD[stage])
    more = ";\nSELECT NULL, :header AS log" if stage == "headers" else ""
    return f"SELECT NULL, '{stage} ' || {words} AS log{more};"


@pytest.fixture(scope="module")
def telltale():
    port, = ports.take(1)
    instance = Instance(extra=f'listen "127.0.0.1:{port}" {{ role = mx\n proxy = yes\n proxy_networks = {{"127.0.0.0/8"}} }}')
    instance.proxy_port = port
    instance.prepare()
    write_rules(instance, {stage: telling(stage) for stage in TOLD})
    instance.launch()
    yield instance
    instance.stop()
    instance.remove()
    ports.give_back([port])


def told(server, stage, source):
    """What the last rule of this stage said of this client."""
    line = server.wait_log(rf"rule sql:{stage}:1: {stage} (.*remote_ip={re.escape(source)}\|.*)").group(1)
    return dict(part.split("=", 1) for part in line.split("|"))


def test_time_and_weekday_are_now_in_utc(telltale, source):
    before = time.time()
    with telltale.talk(source=source):
        facts = told(telltale, "connect", source)
    after = time.time()
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(before)) <= facts["time"] <= time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(after))
    assert facts["weekday"] in {str(time.gmtime(when).tm_wday + 1) for when in (before, after)}
    assert int(facts["session_seconds"]) <= after - before + 1 and (facts["proxied"], facts["proxy_ip"]) == ("0", "")


def test_the_proxy_is_named_beside_the_client_it_speaks_for(telltale, source):
    ip = "10." + fresh_source().partition(".")[2]
    with SmtpTalker(telltale.proxy_port, source=source, greeting=False) as client:
        client.send(f"PROXY TCP4 {ip} 198.51.100.9 40000 2525\r\n")
        client.reply()
        for stage in ("proxy", "connect"):
            facts = told(telltale, stage, ip)
            assert (facts["proxied"], facts["proxy_ip"], facts["port"]) == ("1", source, "2525")


@pytest.mark.parametrize("hello, literal, extended, protocol", [
    ("HELO client.example.net", "0", "0", "SMTP"), ("EHLO [192.0.2.1]", "1", "1", "ESMTP")])
def test_how_the_client_says_hello(telltale, source, hello, literal, extended, protocol):
    with telltale.talk(source=source) as client:
        client.expect(250, hello)
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        client.expect(354, "DATA")
        client.send(b"\r\n.\r\n")
        client.reply()
    facts = told(telltale, "data", source)
    assert (facts["ehlo_is_literal"], facts["extended"], facts["protocol"]) == (literal, extended, protocol)


def test_what_the_session_has_done_is_counted(telltale, source, marker):
    with telltale.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        client.login()
        client.expect(250, "MAIL FROM:<coco@example.test> BODY=8BITMIME SMTPUTF8")
        client.expect(550, "RCPT TO:<nobody@example.test>")
        client.expect(250, "RCPT TO:<mike@example.test>")
        assert client.data(message(marker)) == 250
        client.expect(500, "NONSENSE")
        client.quit()
    facts = told(telltale, "data", source)
    assert (facts["utf8"], facts["body"], facts["rcpt_count"], facts["rcpt_tried"], facts["protocol"]) == ("1", "8BITMIME", "1", "2", "UTF8SMTPSA")
    facts = told(telltale, "disconnect", source)
    assert facts["account"] == "coco@example.test"
    assert (facts["commands"], facts["errors"], facts["mails_sent"], facts["rcpt_refused"]) == ("10", "2", "1", "1")


FIELDS = (b"Received: from a\r\nReceived: from b\r\nFrom: Ann <ann@example.net>\r\nTo: a@example.test,\r\n\tb@example.test\r\nSubject: news\r\n"
          b"Reply-To: r@example.net\r\nList-Id: <l.example.net>\r\nContent-Type: text/plain;\r\n charset=utf-8\r\nAuto-Submitted: no\r\n"
          b"X-Flag: YES\r\n")


@pytest.mark.parametrize("stage, size", [("headers", "0"), ("message", str(len(FIELDS) + 2 + 4))])
def test_the_header_is_known_field_by_field_and_as_a_whole(telltale, source, stage, size):
    with telltale.talk(source=source) as client:
        client.ehlo()
        assert client.mail("a@example.net", "coco@example.test", FIELDS + b"\r\nhi\r\n") == 250
    facts = told(telltale, stage, source)
    assert {name: facts[name] for name in HEADER[len(TRANSACTION):] + ("size",)} == {
        "subject": "news", "header_from": "Ann <ann@example.net>", "header_to": "a@example.test,\\x09b@example.test", "reply_to": "r@example.net",
        "list_id": "<l.example.net>", "content_type": "text/plain; charset=utf-8", "auto_submitted": "no", "header_count": "10",
        "header_size": str(len(FIELDS)), "received_count": "2", "size": size}
    assert telltale.wait_log(r"rule sql:headers:2: Received: from a\\x0aReceived: from b\\x0a.*\\x0aContent-Type: text/plain; charset=utf-8\\x0a"
                             r"Auto-Submitted: no\\x0aX-Flag: YES\\x0a")


def test_of_a_large_header_a_bounded_part_is_shown(telltale, source):
    with telltale.talk(source=source) as client:
        client.ehlo()
        fields = b"".join(b"X-%d: %s\r\n" % (i, b"x" * 900) for i in range(200))
        assert client.mail("a@example.net", "coco@example.test", b"Subject: large\r\n" + fields + b"\r\nhi\r\n") == 250
    assert told(telltale, "headers", source)["header_count"] == "201"
    assert len(telltale.wait_log(r"rule sql:headers:2: Subject: large(.*)").group(1)) < 2100
