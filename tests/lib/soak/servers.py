"""Other people's servers in a soak, all in one process of asyncio: one that takes everything, some that fail and return, one that refuses
every recipient. A copy counts as taken when its 250 is written; what was taken goes to the parent as ("arrived", marker, recipient, digest).
"""
import asyncio
import re
import time

from lib.soak.letters import events_of

ADDRESS = re.compile(rb"<([^>]*)>")
# What a failing server does, and for how many seconds; then from the beginning.
PHASES = [("well", 25), ("rcpt", 8), ("well", 15), ("data", 8), ("gone", 12), ("well", 20), ("silent", 12), ("drops", 8), ("greeting", 8)]


def phase_at(now):
    place = now % sum(seconds for _, seconds in PHASES)
    for name, seconds in PHASES:
        if place < seconds:
            return name
        place -= seconds
    return "well"


class Client(asyncio.Protocol):
    def __init__(self, server):
        self.server, self.unread, self.searched, self.in_data, self.recipients, self.transport = server, bytearray(), 0, False, [], None

    def connection_made(self, transport):
        self.transport = transport
        self.server.open.add(self)
        if self.server.phase == "greeting":
            transport.write(b"421 4.3.2 come back later\r\n")
            transport.close()
        elif self.server.phase != "silent":
            transport.write(b"220 sink ESMTP\r\n")

    def connection_lost(self, _):
        self.server.open.discard(self)

    def data_received(self, data):
        self.unread += data
        while self.server.phase != "silent" and self.take_one():
            pass

    def take_one(self):
        """One command, or the end of a message; False when more must come first."""
        mark = b"\r\n.\r\n" if self.in_data else b"\n"
        at = self.unread.find(mark, max(self.searched - 5, 0))
        if at < 0:
            self.searched = len(self.unread)
            return False
        part = bytes(self.unread[:at + (2 if self.in_data else 0)])
        del self.unread[:at + len(mark)]
        self.searched = 0
        reply = self.end_of_data(part) if self.in_data else self.reply_to(part)
        if reply is None:
            self.transport.abort()
            return False
        self.transport.write(reply)
        return not self.transport.is_closing()

    def end_of_data(self, data):
        self.in_data = False
        if self.server.phase == "drops":
            return None
        if self.server.phase == "data":
            return b"452 4.3.1 no room now\r\n"
        data = data.replace(b"\r\n..", b"\r\n.")
        for recipient in self.recipients:
            self.server.taken += events_of(recipient, data)
        return b"250 2.0.0 taken\r\n"

    def reply_to(self, line):
        verb = line[:4].upper()
        if verb == b"EHLO":
            return b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
        if verb == b"MAIL":
            self.recipients = []
        if verb == b"RCPT":
            if self.server.refuses:
                return b"550 5.1.1 nobody of that name\r\n"
            if self.server.phase == "rcpt":
                return b"451 4.2.1 not now\r\n"
            self.recipients.append(ADDRESS.search(line).group(1).decode())
        if verb == b"DATA":
            self.in_data = bool(self.recipients)
            return b"354 go on\r\n" if self.recipients else b"554 5.5.1 for whom?\r\n"
        return b"221 2.0.0 bye\r\n" if verb == b"QUIT" else b"250 2.1.0 OK\r\n"


class Server:
    """One port. begins: seconds into PHASES at the start; None: it is always well."""

    def __init__(self, port, begins=None, refuses=False):
        self.port, self.begins, self.refuses, self.phase, self.open, self.taken, self.listener = port, begins, refuses, "well", set(), [], None

    async def keep(self):
        """Listens, or does not, as the phase says."""
        while True:
            former, self.phase = self.phase, "well" if self.begins is None else phase_at(time.monotonic() + self.begins)
            if self.phase == "gone" and self.listener:
                self.listener.close()
                self.listener = None
            if self.phase != "gone" and self.listener is None:
                self.listener = await asyncio.get_running_loop().create_server(lambda: Client(self), "127.0.0.1", self.port, backlog=1000, reuse_address=True)
            if former == "silent" != self.phase:
                for client in list(self.open):
                    client.transport.abort()
            await asyncio.sleep(0.1)


async def serve(rows, events, stop):
    servers = [Server(*row) for row in rows]
    tasks = [asyncio.create_task(server.keep()) for server in servers]
    while not stop.is_set():
        await asyncio.sleep(0.2)
        batch = [row for server in servers for row in server.taken]
        for server in servers:
            server.taken = []
        if batch:
            events.put(batch)
        failed = [task for task in tasks if task.done()]
        assert not failed, failed[0].exception()
    events.put(None)


def work(rows, events, stop):
    asyncio.run(serve(rows, events, stop))
