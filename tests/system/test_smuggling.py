"""Smuggling through the real server, over TCP and from local programs: no end of data but CRLF.CRLF, no second message."""
import re
import socket
import subprocess

import pytest

from lib.instance import Instance
from lib.messages import as_crlf, message
from lib.place import program
from lib.world import World

NO_END = (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r.\r", b"\r\n.\r", b"\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\n\n.\r\n", b"\r\r\n.\n",
          b"\r\0\n.\r\n", b"\r\n.\r\0\n", b"\r\n. \r\n", b"\r\n .\r\n", b"\r\n..\r\n", b"\r\n.\x85", b"\xc2\x85.\xc2\x85", b"\x0b.\x0b", b"\r.\r\n.\n")
SMUGGLED = b"\r\nMAIL FROM:<smuggled@example.net>\r\nRCPT TO:<coco@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\n"
END = b"\r\n.\r\n"


@pytest.fixture(scope="module", params=["refuse", "normalise"], name="strict")
def a_server_of_each_mode(request):
    with Instance(settings={"max_failed_msgs_per_period": 1000, "bare_line_ends": request.param}) as made:
        yield made


def is_normalised(server):
    return server.settings["bare_line_ends"] == "normalise"


def reading(data, normalise):
    """What RFC 5321 makes of data that ends in CRLF.CRLF: (the reply's beginning, the message) from all of it at once."""
    assert (b"\r\n" + data).find(END) + len(END) == len(data) + 2, "the true end stands elsewhere"
    data = data[:-3]
    bare = re.search(rb"(?<!\r)\n|\r(?!\n)", data)
    if b"\0" in data and (normalise or not bare or data.index(b"\0") < bare.start()):
        return "550 5.6.0 ", None
    if bare and not normalise:
        return "550 5.6.11 ", None
    lines = [line[1:] if line.startswith(b".") else line for line in data.split(b"\r\n")]
    return "250 2.0.0 OK id=", b"\r\n".join(re.sub(rb"[\r\n]", b"\r\n", line) for line in lines)


def send_in_packets(client, data, size):
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(data), size):
        client.send(data[at:at + size])


@pytest.mark.parametrize("size", [1, 7, 100000], ids=["bytes", "packets", "whole"])
def test_no_end_of_data_but_the_true_one_lets_a_second_message_in(strict, source, marker, size):
    """Each with a whole transaction behind it; the next command is answered as the next command."""
    wanted = {}
    with strict.talk("mx", source) as client:
        client.ehlo()
        for number, end in enumerate(NO_END):
            name = f"{marker}-{number}-"
            data = b"X-Marker: " + name.encode() + b"\r\n\r\nfirst" + end + SMUGGLED + END
            reply, text = reading(data, is_normalised(strict))
            client.expect(250, "MAIL FROM:<stranger@example.net>")
            client.expect(250, "RCPT TO:<coco@example.test>")
            client.expect(354, "DATA")
            send_in_packets(client, data + b"NOOP\r\n", size)
            assert client.reply().text.startswith(reply), repr(end)
            assert client.reply() == "250 2.0.0 OK", repr(end)
            if text is not None:
                wanted[name] = text
        client.quit()
    for name, text in wanted.items():
        assert as_crlf(strict.wait_mail("coco@example.test", name)).endswith(text), name
    assert not strict.sql("select * from mails where from_url like '%smuggled%'")
    assert len(strict.sql("select * from mails where remote_ip = ?", source)) == len(wanted)


@pytest.mark.parametrize("line", [b"NOOP\nMAIL FROM:<smuggled@example.net>\r\n", b"NOOP\rMAIL FROM:<smuggled@example.net>\r\n", b"NOOP\r\rRSET\r\n",
                                  b"NOOP\n\rRSET\r\n", b"NOOP\r\n\nRSET\r\n"])
def test_a_bare_cr_or_lf_ends_no_command(strict, source, line):
    with strict.talk("mx", source) as client:
        client.ehlo()
        client.send(line)
        replies = [client.reply().text for _ in range(1 + line.startswith(b"NOOP\r\n"))]
        assert replies[-1].startswith("550 5.6.11 "), replies
        assert client.command("RCPT TO:<coco@example.test>") == 503  # nothing has begun a transaction
        client.quit()


def test_talk_before_the_354_is_a_violation_and_no_message(strict, source, marker):
    with strict.talk("mx", source) as client:
        client.ehlo()
        client.send(b"MAIL FROM:<stranger@example.net>\r\nRCPT TO:<coco@example.test>\r\nDATA\r\n" + message(marker) + b".\r\nQUIT\r\n")
        assert [client.reply().code for _ in range(3)] == [250, 250, 554]
        client.expect_close()
    row, = strict.sql("select * from violations join contacts on contacts.id = contact_id where remote_ip = ?", source)
    assert row["verb"] == "DATA" and row["reply"].startswith("554 5.5.1 ") and row["counted"] == 1
    assert not strict.sql("select * from mails where remote_ip = ?", source)


@pytest.fixture(scope="module", name="world")
def one_that_sends_on():
    with World(settings={"bare_line_ends": "normalise"}) as made:
        made.sink = made.exchanger()
        made.far = made.domain([10, made.sink])
        yield made


BODY = b"first\n.\nMAIL FROM:<smuggled@example.net>\rRCPT TO:<x@example.net>\r\n.\rDATA\n\r.\r\n..\r\n\r.\n.\r\r\nlast"


@pytest.mark.parametrize("way", ["-t", "-i", "-bs", "smtp"])
def test_what_is_sent_on_holds_no_bare_line_end_and_one_end_of_data(world, marker, way):
    """Whoever handed it to us: the next server gets one message, with a CRLF at each line's end and no other CR or LF."""
    friend, head = f"friend@{world.far}", f"From: <coco@example.test>\r\nTo: <friend@{world.far}>\r\nX-Marker: {marker}\r\n\r\n".encode()
    dialogue = f"EHLO localhost\r\nMAIL FROM:<coco@example.test>\r\nRCPT TO:<{friend}>\r\nDATA\r\n".encode()
    wire = head + BODY.replace(b"\r\n.", b"\r\n..") + END
    if way == "smtp":
        world.submit(friend, head + BODY)
    else:
        words, data = {"-t": (["-t", "-i"], head + BODY), "-i": (["-i", "-f", "coco@example.test", friend], head + BODY), "-bs": (["-bs"], dialogue + wire + b"QUIT\r\n")}[way]
        done = subprocess.run([program("sendmail"), "-C", world.server.configuration, *words], input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout
    row, = world.server.sql("select mail_id from parcels where to_url = ? order by id desc limit 1", friend)
    world.parcels(row["mail_id"], "delivered")
    taken = [one for one in world.sink.messages if marker.encode() in one.data]
    assert len(taken) == 1 and taken[0].recipients == [friend]
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", taken[0].data) and not world.sink.faults
    assert [line for line in taken[0].data.split(b"\r\n\r\n", 1)[1].split(b"\r\n") if line][-1] == b"last"
    assert not [one for one in world.sink.messages if "smuggled" in one.sender]
