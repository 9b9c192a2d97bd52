"""Protocol and dialogue where a script of tests/session is not enough: the log, the database, the bytes that arrive."""
import os
import struct

import pytest

from lib.fake_server import FakeServer
from lib.messages import body_of, message
from lib.processes import frozen
from lib.talker import SmtpTalker, fresh_source
from lib.waiting import wait_for


def violations(server, source):
    return server.sql("select * from violations join contacts on contacts.id = contact_id where remote_ip = ? order by violations.id", source)


def wait_violation(server, source):
    return wait_for(lambda: violations(server, source), f"a violation of {source}", explain=server.log_tail)[-1]


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"post /cgi-bin/x HTTP/1.0\r\n", b"Host: mail.example.test\r\n", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_another_protocol_is_logged_closed_and_a_violation(server, source, first):
    with server.talk(source=source) as client:
        client.send(first)
        client.expect_close()
    row = wait_violation(server, source)
    assert (row["rule"], row["counted"]) == ("talk", 1) and server.contact(source)["violations"] == 1
    server.wait_log(f"violation by {source}: .*, rule talk: ")


def test_a_failed_handshake_is_logged_and_closed(server, source):
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(220, "STARTTLS")
        client.send(b"MAIL FROM:<stranger@example.net>\r\n" * 20)
        client.socket.recv(65536)  # an alert, perhaps
        assert client.socket.recv(65536) == b""
    server.wait_log(f"TLS with {source} failed: ")


def test_talking_before_the_greeting_is_a_violation(make_instance, source):
    server = make_instance(settings={"receiver_spare": 1})
    with frozen(server.pid):  # so that the client's words are there before anybody can greet
        client = SmtpTalker(server.mx_port, source=source, greeting=False)
        client.send(b"EHLO client.example.net\r\n")
    assert client.reply().text.startswith("554 5.5.1 ")
    client.expect_close()
    row = wait_violation(server, source)
    assert row["reply"].startswith("554 5.5.1 ") and row["counted"] == 1


def test_a_domain_is_ours_in_any_case_and_a_senders_too(server, marker):
    with server.talk(source=fresh_source()) as client:
        client.ehlo("CLIENT.Example.NET")
        assert client.mail("Stranger@EXAMPLE.net", ["coco@EXAMPLE.TEST", "mike@Example.Test"], message(marker)) == 250
    for user in ("coco@example.test", "mike@example.test"):
        server.wait_mail(user, marker)
    with server.talk("submission", fresh_source()) as client:
        client.ehlo()
        client.starttls()
        assert client.login("coco@EXAMPLE.TEST") == 235
        assert client.mail("coco@Example.TEST", "mike@EXAMPLE.test", message(marker + "-back")) == 250
    server.wait_mail("mike@example.test", marker + "-back")


def test_every_esmtp_parameter_of_the_offer_is_taken(server, source, marker):
    with server.talk(source=source) as client:
        offered = " ".join(client.ehlo().lines)
        assert "SIZE " in offered and "8BITMIME" in offered and "SMTPUTF8" in offered and "DSN" in offered
        body = "gr\u00fc\u00dfe\r\n"
        assert client.mail("stranger@example.net", "coco@example.test", message(marker, body=body), "SIZE=600 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x") == 250
    assert body_of(server.wait_mail("coco@example.test", marker)).replace(b"\r\n", b"\n") == body.replace("\r\n", "\n").encode()


def test_dots_are_taken_away_once_and_put_back_once(make_instance, source, marker):
    body = ".\r\n..\r\n.a\r\n...b\r\nc.\r\n\r\n.\r\n"
    with FakeServer() as sink:
        server = make_instance(route=sink.endpoint)
        with server.talk("internal", source) as client:
            client.ehlo()
            assert client.mail("coco@example.test", ["mike@example.test", "friend@remote.test"], message(marker, body=body)) == 250
        assert body_of(server.wait_mail("mike@example.test", marker)).replace(b"\r\n", b"\n") == body.replace("\r\n", "\n").encode()
        wait_for(lambda: sink.messages, "the message at the other server", explain=server.log_tail)
        assert body_of(sink.messages[0].data) == body.encode() and not sink.faults


def test_a_failed_flush_is_answered_with_451_and_nothing_is_kept(make_instance, marker):
    server = make_instance(start=False, preload="flush")
    counter = server.environment["FLUSH_COUNTER"] = server.path("flushes")
    with open(counter, "wb") as stream:
        stream.write(bytes(24))
    os.chmod(counter, 0o666)
    server.start()
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        with open(counter, "r+b") as stream:
            stream.seek(16)
            stream.write(struct.pack("=Q", 1))
        reply = client.mail("stranger@example.net", "coco@example.test", message(marker + "-lost"))
        assert reply.text.startswith("451 4.3.0 mail.example.test error: unable to save ") and "id=" in reply.text
        assert client.mail("stranger@example.net", "coco@example.test", message(marker + "-kept")) == 250
    server.wait_mail("coco@example.test", marker + "-kept")
    assert not [data for data in server.mails("coco@example.test") if marker.encode() + b"-lost" in data]


def test_quotes_make_no_other_address(server, source, marker):
    """RFC 5321 4.1.2: all quoted forms are equivalent. Nobody is reached less by them, nor gets past a rule."""
    with server.talk(source=source) as client:
        client.ehlo()
        for sender in ('"coco"@example.test', '"c\\oco"@example.test'):
            assert client.command(f"MAIL FROM:<{sender}>").text.startswith("550 5.7.1 ")
        assert client.mail("friend@example.net", ['"coco"@example.test', '"co\\co"@example.test'], message(marker)) == 250
        client.quit()
    assert b"Delivered-To: coco@example.test" in server.wait_mail("coco@example.test", marker)
