"""Messages in chunks (RFC 3030)."""
import random

import pytest

from lib.instance import Instance
from lib.messages import message, odd_message


@pytest.fixture(scope="module")
def server():
    with Instance(lmtp=True) as made:
        yield made


def send_chunks(client, data, sizes, pipelined):
    """The message in chunks of these sizes over and over; gives the last reply."""
    count, wire, at = 0, b"", 0
    while at < len(data):
        size = sizes[count % len(sizes)]
        chunk = data[at:at + size]
        at += size
        wire += f"BDAT {len(chunk)}{' LAST' if at >= len(data) else ''}\r\n".encode() + chunk
        count += 1
        if not pipelined:
            client.send(wire)
            wire = b""
            assert at >= len(data) or client.reply().code == 250
    if pipelined:
        client.send(wire)
        assert [client.reply().code for _ in range(count - 1)] == [250] * (count - 1)
    return client.reply()


@pytest.mark.parametrize("pipelined", [False, True], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("size", [3000, 200_000, 3_000_000])
def test_a_message_in_chunks_arrives_byte_for_byte(server, source, marker, pipelined, size):
    text = odd_message(marker, size, size)
    sizes = [random.Random(size).randrange(1, size // 10) for _ in range(7)]
    with server.talk(source=source) as client:
        assert "CHUNKING" in client.ehlo().text
        client.expect(250, "MAIL FROM:<stranger@example.net> BODY=8BITMIME")
        client.expect(250, "RCPT TO:<coco@example.test>")
        reply = send_chunks(client, text, sizes, pipelined)
        assert reply.code == 250, reply.text
        client.expect(221, "QUIT")
    mail = server.wait_mail("coco@example.test", marker)
    assert mail.replace(b"\r\n", b"\n").endswith(text.replace(b"\r\n", b"\n"))


def test_a_chunk_that_is_cut_is_not_queued(server, source, marker):
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<stranger@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        client.send(f"BDAT 100000 LAST\r\nX-Marker: {marker}\r\n")
    server.wait_log(f"violation by {source}: BDAT, rule broken")
    assert not server.sql("select * from mails m join contacts c on c.id = m.contact_id where c.remote_ip = ?", source)


def test_chunks_above_the_maximum_are_refused_and_taken_off(make_instance, source):
    server = make_instance(settings={"message_maximum": 2000})
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<stranger@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        client.send(b"BDAT 1500\r\n" + b"x" * 1500 + b"BDAT 1500\r\n" + b"x" * 1500 + b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
        assert [client.reply().code for _ in range(4)] == [250, 552, 503, 250]


def test_an_end_without_crlf_is_no_end_of_the_next_line(server, source, marker):
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<stranger@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        text = message(marker, body="the last line has no end")
        client.send(f"BDAT {len(text)} LAST\r\n".encode() + text)
        assert client.reply().code == 250
    assert server.wait_mail("coco@example.test", marker).rstrip(b"\r\n").endswith(b"\nthe last line has no end")
