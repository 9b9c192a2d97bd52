"""BINARYMIME (RFC 3030): a body of any bytes is kept as it is, and goes on only to servers that take it."""
import os
import random
import tempfile

import dkim
import pytest

from lib.fake_server import KEYWORDS, FakeServer
from lib.messages import message
from lib.postfix import Postfix
from lib.waiting import wait_for
from lib.world import World, id_of

BINARY = [*KEYWORDS, "CHUNKING", "BINARYMIME"]
ODD = b"\n.\nQUIT\r\r\n\x00\xff lone CR \r lone LF \n.\r\n.\r\n"


@pytest.fixture(scope="module")
def world():
    with World() as made:
        yield made


def binary_message(marker, size, sender="coco@example.test"):
    head = message(marker, body="", sender=sender, fields="MIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n")
    return head + ODD + random.Random(size).randbytes(size)


def send(server, source, recipient, text, role="internal", sender="coco@example.test", body="BINARYMIME"):
    """In two chunks; gives the mail's id."""
    half = len(text) // 2
    with server.talk(role, source) as client:
        assert "BINARYMIME" in client.ehlo().lines
        client.expect(250, f"MAIL FROM:<{sender}> BODY={body}")
        client.expect(250, f"RCPT TO:<{recipient}>")
        client.send(f"BDAT {half}\r\n".encode() + text[:half])
        assert client.reply().code == 250
        client.send(f"BDAT {len(text) - half} LAST\r\n".encode() + text[half:])
        return id_of(client.reply())


@pytest.mark.parametrize("size", [100, 200_000, 3_000_000], ids=["in the request", "in memory", "in a file"])
def test_a_mailbox_gets_it_byte_for_byte(world, source, marker, size):
    text = binary_message(marker, size)
    send(world.server, source, "mike@example.test", text)
    mail = world.server.wait_mail("mike@example.test", marker)
    assert mail.endswith(b"\r\n" + text) and b"\n" not in mail[:-len(text)].replace(b"\r\n", b"")


def test_a_program_gets_it_byte_for_byte(make_instance, source, marker):
    server = make_instance(settings={"local_transport": "keep"}, start=False)
    server.extra = f'transport "keep" {{\n kind = pipe\n target = "/bin/dd of={server.path("mail", "kept")} status=none"\n}}'
    server.start()
    text = binary_message(marker, 5000)
    server.wait_parcels(send(server, source, "mike@example.test", text), "delivered")
    with open(server.path("mail", "kept"), "rb") as kept:
        assert kept.read().endswith(b"\r\n" + text)


def test_it_goes_on_as_a_chunk_and_its_signature_holds_at_the_next_server(make_instance, source, marker):
    other = make_instance(settings={"local_domains": ["second.test"], "server_name": "mail.second.test"}, start=False)
    other.prepare_files()
    other.start_name_server()
    other.launch()
    other.add_user("kim@second.test")
    first = make_instance(route=f"127.0.0.1:{other.mx_port}")
    text = binary_message(marker, 300_000)
    mail_id = send(first, source, "kim@second.test", text)
    first.wait_parcels(mail_id, "delivered")
    mail = other.wait_mail("kim@second.test", marker)
    assert mail.endswith(b"\r\n" + text)
    assert b"dkim=pass" in mail[:-len(text)], mail[:2000]


def test_it_is_returned_where_the_next_server_takes_lines_only(world, source, marker):
    sink = world.exchanger(ehlo=[*KEYWORDS, "CHUNKING"])
    mail_id = send(world.server, source, f"friend@{world.domain([10, sink])}", binary_message(marker, 300))
    [row] = world.parcels(mail_id, "failed").values()
    assert row["delivery_msg"].startswith("554 5.6.3 ") and not sink.messages and not sink.faults
    notice = world.server.wait_mail("coco@example.test", marker)
    assert b"\nStatus: 5.6.3" in notice and b"\0" not in notice


def test_lines_without_an_end_are_signed_too(world, source, marker):
    """BDAT may end within a line; RFC 6376 3.4.3 counts that as a whole one."""
    sink = world.exchanger()
    text = message(marker, body="the last line has no end")
    world.parcels(send(world.server, source, f"friend@{world.domain([10, sink])}", text, body="8BITMIME"), "delivered")
    key = world.server.zone["test._domainkey.example.test"][0]["TXT"]
    assert dkim.verify(sink.messages[0].data, dnsfunc=lambda *_, **__: key.encode())


def test_another_exchanger_may_take_it(world, source, marker):
    lines, binary = world.exchanger(), world.exchanger(ehlo=BINARY)
    text = binary_message(marker, 300)
    mail_id = send(world.server, source, f"friend@{world.domain([10, lines], [20, binary])}", text)
    world.parcels(mail_id, "delivered")
    assert not lines.messages and binary.messages[0].data.endswith(b"\r\n" + text) and not binary.faults
    assert "BODY=BINARYMIME" in binary.messages[0].parameters


def test_what_is_lines_goes_to_anybody_whatever_it_is_called(world, source, marker):
    sink = world.exchanger(ehlo=BINARY)
    mail_id = send(world.server, source, f"friend@{world.domain([10, sink])}", message(marker, body="Grüße\r\n"))
    world.parcels(mail_id, "delivered")
    assert "BODY=8BITMIME" in sink.messages[0].parameters and not sink.faults


def test_dovecot_gets_only_what_its_lmtp_takes(make_instance, source, marker):
    """Its LMTP has CHUNKING, and no BINARYMIME."""
    server = make_instance(local="dovecot")
    mail_id = send(server, source, "mike@example.test", binary_message(marker, 300))
    [row] = server.wait_parcels(mail_id, "failed")
    assert row["delivery_msg"].startswith("554 5.6.3 ")
    other = send(server, source, "mike@example.test", message(marker + "-lines"))
    server.wait_parcels(other, "delivered")


def test_an_lmtp_server_that_takes_it_gets_it(source, marker):
    with FakeServer(lmtp=True, ehlo=BINARY) as store, World(local=f"127.0.0.1:{store.port}") as world:
        text = binary_message(marker, 300)
        mail_id = send(world.server, source, "mike@example.test", text)
        world.parcels(mail_id, "delivered")
        assert store.messages[0].data.endswith(b"\r\n" + text) and not store.faults


@pytest.mark.skipif(os.geteuid() != 0, reason="Postfix wants to be started as root")
def test_postfix_gets_only_what_it_takes(make_instance, source, marker):
    """It has CHUNKING, and no BINARYMIME."""
    with tempfile.TemporaryDirectory(prefix="parcelpost-postfix-", ignore_cleanup_errors=True) as folder, Postfix(folder) as postfix:
        server = make_instance(route=postfix.endpoint)
        [row] = server.wait_parcels(send(server, source, "friend@remote.test", binary_message(marker, 300)), "failed")
        assert row["delivery_msg"].startswith("554 5.6.3 ")
        server.wait_parcels(send(server, source, "friend@remote.test", message(marker, body="Grüße\r\n")), "delivered")
        wait_for(lambda: any("Grüße".encode() in mail for mail in postfix.mails()), "the mail in Postfix's mailbox")


@pytest.mark.parametrize("off", ["8BITMIME", "CHUNKING", "BINARYMIME"])
def test_it_is_not_announced_without_what_it_stands_on(make_instance, source, off):
    """RFC 3030 3: it is a value of the parameter that 8BITMIME brings. Who believed the announcement would return the mail."""
    server = make_instance(settings={"extensions_off": [off]})
    with server.talk(source=source) as client:
        assert "BINARYMIME" not in client.ehlo().lines
        assert client.command("MAIL FROM:<a@example.net> BODY=BINARYMIME").code in (501, 555)
