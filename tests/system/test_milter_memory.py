"""However large a message is, a receiver holds less than 4 MiB of it: while it comes by DATA or in chunks, while a milter is
told of it, while it changes its header, and while it puts another body in its place. PARCELPOST_HUGE says how many MiB
(64; make huge: 1024)."""
import hashlib
import os
import threading

import pytest

from lib import milter as m
from lib.instance import Instance
from lib.milter import Milter
from lib.place import SANITIZED
from lib.talker import fresh_source

MIB = 1024 * 1024
SIZE = int(os.environ.get("PARCELPOST_HUGE") or 64) * MIB
MAXIMUM = 4 * MIB
LINE = b"0123456789abcdefghijklmnopqrstuvwxyz 0123456789abcdefghijklmn.\r\n"
PIECE = LINE * (MIB // len(LINE))  # 1 MiB: its lines have 64 bytes
HEADER = b"Subject: huge\r\nX-Filler: " + b"x" * 900 + b"\r\n\r\n"


class Watch:
    """The most memory of its own that any receiver had while this was open."""

    def __init__(self, server):
        self.server, self.largest, self.done = server, 0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.done.wait(0.01):
            for pid, _, _ in self.server.processes("receiver"):
                try:
                    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
                        fields = dict(line.split(":", 1) for line in stream if ":" in line)
                    self.largest = max(self.largest, 1024 * sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem")))
                except (OSError, KeyError):
                    pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


@pytest.fixture(scope="module")
def scene():
    with Milter("huge", keep=False) as milter, \
            Instance(settings={"message_maximum": 2_000_000_000, "local_transport": "null", "queue_minimum_free": 0},
                     extra=milter.block(content_timeout="10m")) as server:
        yield server, milter


def by_data(client):
    client.expect(354, "DATA")
    client.socket.sendall(HEADER)
    for _ in range(SIZE // MIB):
        client.socket.sendall(PIECE)
    client.send(b".\r\n")
    return client.reply()


def by_chunks(client):
    client.send(b"BDAT %d\r\n" % len(HEADER) + HEADER)
    assert client.reply() == 250
    for _ in range(SIZE // (16 * MIB)):
        client.send(b"BDAT %d\r\n" % (16 * MIB))
        for _ in range(16):
            client.socket.sendall(PIECE)
        assert client.reply() == 250
    return client.command("BDAT 0 LAST")


@pytest.mark.parametrize("way, answers", (
    (by_data, [b"c"]),
    (by_chunks, [m.insert_header(0, "X-First", "y" * 500), m.add_header("X-Last", "z" * 500), b"c"]),
    (by_data, [m.change_header(1, "X-Filler", ""), b"c"]),
    (by_chunks, [m.add_header("X-A", "b"), *[m.replace_body(PIECE[:MIB // 16])] * (SIZE // MIB * 16), b"c"]),
), ids=("read", "larger header", "smaller header", "another body"))
@pytest.mark.alone
def test_a_huge_message_passes_a_receiver_and_a_milter_in_little_memory(scene, way, answers):
    server, milter = scene
    milter.play(END=answers)
    milter.body_length, milter.body_hash = 0, hashlib.sha256()
    with Watch(server) as watch, server.talk(source=fresh_source(), timeout=60 if SIZE < 256 * MIB else 900) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@client.example.net>")
        client.expect(250, "RCPT TO:<mike@example.test>")
        reply = way(client)
        assert reply.code == 250, reply
    wanted = hashlib.sha256()
    for _ in range(SIZE // MIB):
        wanted.update(PIECE)
    assert milter.body_length == SIZE and milter.body_hash.digest() == wanted.digest()
    row = server.wait_rows("select size from mails where mail_id = ?", reply.text.rpartition("id=")[2])[0]
    assert row["size"] >= SIZE
    server.wait_parcels(reply.text.rpartition("id=")[2], "delivered")
    print(f"\n{SIZE // MIB} MiB, {way.__name__}: a receiver had {watch.largest / MIB:.2f} MiB")
    if not SANITIZED:
        assert watch.largest < MAXIMUM, f"{watch.largest / MIB:.1f} MiB"
