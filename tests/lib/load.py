"""Load and measuring: many connections from this one process, flush counts, memory. A client judges no replies: it knows
how many it waits for, and whether they are good."""
import mmap
import os
import selectors
import socket
import struct

from lib.messages import message
from lib.talker import stuffed

GOOD = b"250 2.0.0 OK id="
EHLO = b"EHLO client.example.net\r\n"
ENVELOPE = b"MAIL FROM:<coco@example.test>\r\nRCPT TO:<mike@example.test>\r\nDATA\r\n"


def small_message(size):
    return stuffed(message("load", body=("x" * 70 + "\r\n") * (size // 72)))


class LoadClient:
    """One connection that sends messages one behind the other; the commands of each in one group (RFC 2920)."""

    def __init__(self, port, messages, data, source):
        self.socket = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread, self.accepted = b"", 0
        self.steps = iter([(EHLO, 1)] + [(ENVELOPE, 3), (data, 1)] * messages)
        self.wanted = 1

    def take_replies(self):
        """Reads what is there; true when no reply is missing."""
        data = self.socket.recv(65536)
        assert data, "a connection was closed"
        self.unread += data
        while b"\n" in self.unread:
            line, self.unread = self.unread.split(b"\n", 1)
            assert line[:1] in b"23", f"refused: {line!r}"
            self.accepted += line.startswith(GOOD)
            self.wanted -= line[3:4] != b"-"
        return self.wanted == 0

    def wait_replies(self):
        while not self.take_replies():
            pass

    def send_next(self):
        """False when everything has been sent."""
        data, self.wanted = next(self.steps, (b"", 0))
        self.socket.sendall(data)
        return bool(data)


class Load:
    """connections that have had their reply to EHLO; send() sends each its share of the messages, all at once."""

    def __init__(self, port, connections, messages=0, data=b""):
        share = -(-messages // connections)
        self.clients = [LoadClient(port, share, data, f"127.77.{number // 250}.{1 + number % 250}") for number in range(connections)]
        for client in self.clients:
            client.wait_replies()
            client.send_next()
        for client in self.clients:
            client.wait_replies()

    @property
    def accepted(self):
        return sum(client.accepted for client in self.clients)

    def send(self):
        with selectors.DefaultSelector() as waiting:
            for client in self.clients:
                if client.send_next():
                    waiting.register(client.socket, selectors.EVENT_READ, client)
            while waiting.get_map():
                for key, _ in waiting.select():
                    if key.data.take_replies() and not key.data.send_next():
                        waiting.unregister(key.fileobj)
        return self

    def close(self):
        for client in self.clients:
            client.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class FlushCounter:
    """path: in the instance's folder. The words that tests/shim/flush.c shares with every process of an instance; made before the instance starts."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as stream:
            stream.write(bytes(4096))
        os.chmod(path, 0o666)
        with open(path, "r+b") as stream:
            self.words = mmap.mmap(stream.fileno(), 24)

    @property
    def flushes(self):
        return struct.unpack("Q", self.words[:8])[0]

    def delay(self, milliseconds):
        self.words[8:16] = struct.pack("Q", milliseconds)


def memory_kib(server, field="Pss"):
    """The sum over all processes of a field of /proc/PID/smaps_rollup."""
    total = 0
    for pid, _, _ in server.processes():
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as stream:
                total += sum(int(line.split()[1]) for line in stream if line.startswith(field + ":"))
        except OSError:
            pass  # it has just ended
    return total
