"""A fast server that takes everything and counts: connections, how many at one time, messages by recipient's domain. No judge of what
is said to it, as fake_server.py is. With answer=False it accepts connections and never says a word.

    with Sink() as sink:
        … sink.endpoint … sink.connections, sink.most, sink.messages, sink.domains
"""
import asyncio
import collections
import re
import threading
import time

RECIPIENT = re.compile(rb"RCPT TO:<[^@>]*@([^>]*)>", re.I)


class Client(asyncio.Protocol):
    def __init__(self, sink):
        self.sink, self.unread, self.in_data, self.domain, self.transport = sink, b"", False, "", None

    def connection_made(self, transport):
        sink, self.transport = self.sink, transport
        sink.connections += 1
        sink.open.add(transport)
        sink.most = max(sink.most, len(sink.open))
        if sink.answer:
            transport.write(b"220 sink ESMTP\r\n")

    def connection_lost(self, _):
        self.sink.open.discard(self.transport)
        self.sink.closed += 1

    def data_received(self, data):
        self.unread += data
        while self.sink.answer:
            mark = b"\r\n.\r\n" if self.in_data else b"\n"
            if self.in_data and self.unread.startswith(b".\r\n"):
                mark = b".\r\n"
            part, found, rest = self.unread.partition(mark)
            if not found:
                return
            self.unread = rest
            self.transport.write(self.end_of_data() if self.in_data else self.reply_to(part))

    def end_of_data(self):
        self.in_data = False
        self.sink.count(self.domain)
        return b"250 2.0.0 taken\r\n"

    def reply_to(self, line):
        verb = line[:4].upper()
        if verb in (b"EHLO", b"LHLO"):
            return b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
        if verb == b"RCPT":
            self.domain = RECIPIENT.match(line).group(1).decode()
        if verb == b"DATA":
            self.in_data = True
            return b"354 go on\r\n"
        return b"221 2.0.0 bye\r\n" if verb == b"QUIT" else b"250 2.1.0 OK\r\n"


class Sink:
    def __init__(self, answer=True, host="127.0.0.1"):
        self.answer, self.host, self.port = answer, host, 0
        self.connections = self.most = self.messages = self.closed = self.connections_at_first = 0
        self.open, self.domains, self.order, self.times, self.reached = set(), collections.Counter(), [], [], threading.Condition()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.ready = threading.Event()

    def count(self, domain):
        with self.reached:
            self.messages += 1
            self.connections_at_first = self.connections_at_first or self.connections
            self.times.append(time.monotonic())
            self.domains[domain] += 1
            self.order.append(domain)
            self.reached.notify_all()

    def run(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(self.loop.create_server(lambda: Client(self), self.host, self.port, backlog=4096))
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()
        server.close()
        for transport in list(self.open):
            transport.abort()
        self.loop.run_until_complete(server.wait_closed())
        self.loop.close()

    @property
    def endpoint(self):
        return f"{self.host}:{self.port}"

    def wait(self, messages, timeout=30):
        """Until so many messages have come; False when they have not."""
        with self.reached:
            return self.reached.wait_for(lambda: self.messages >= messages, timeout)

    def __enter__(self):
        self.thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
