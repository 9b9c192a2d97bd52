"""Mail that flows while something goes wrong: clients that send one message after the other, and note what each reply was.

    with Flow(server, sink) as flow:
        …
        flow.goes_on()      # more is accepted than before
    flow.check()            # every reply was a proper one, and what had its 250 arrived, whole

Each message goes into a mailbox and to another server. A client that is put off or cut off tries again with another message."""
import itertools
import os
import re
import threading

from lib.messages import message
from lib.talker import Closed, SmtpTalker, fresh_source, stuffed
from lib.waiting import wait_for

_serial = itertools.count(1)
PUT_OFF = (421, 450, 451, 452, 454)
LARGE = "x" * 70 + "\r\n"


def markers(messages):
    return {found.group(1).decode() for found in (re.search(rb"^X-Marker: (\S+)\r?$", data, re.M) for data in messages) if found}


class Flow:
    def __init__(self, server, sink, clients=2, mailbox="coco@example.test", size=0, one_each=False):
        """size: about how many bytes a message has; one_each: a connection for each message."""
        self.server, self.sink, self.mailbox, self.size, self.one_each = server, sink, mailbox, size, one_each
        self.name = f"flow-{os.getpid()}-{next(_serial)}"
        self.accepted, self.faults, self.put_off = [], [], []
        self.stopping, self.lock, self.numbers = False, threading.Lock(), itertools.count(1)
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(clients)]

    def begin(self):
        """Without waiting for the first message."""
        for thread in self.threads:
            thread.start()
        return self

    def __enter__(self):
        if not self.threads[0].is_alive():
            self.begin()
        self.goes_on(2)
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()

    def work(self):
        client = None
        while not self.stopping:
            try:
                client = client or self.connect()
                self.send(client, f"{self.name}-{next(self.numbers)}.")
                if self.one_each:
                    client = client.quit() and None
            except Closed as end:
                with self.lock:
                    self.put_off.append(str(end).split("\n")[0])
                client = client and client.close()
            except (AssertionError, OSError) as problem:  # OSError: nobody listens
                self.fail(f"{type(problem).__name__} {problem}")
                client = client and client.close()
        if client:
            client.close()

    def fail(self, text):
        with self.lock:
            self.faults.append(text)
        self.stopping = self.stopping or len(self.faults) > 20

    def connect(self):
        client = SmtpTalker(self.server.internal_port, source=fresh_source(), timeout=60)
        self.expect(client, client.greeting, 220)
        self.expect(client, client.command("EHLO client.example.net"), 250)
        return client

    def send(self, client, marker):
        self.expect(client, client.command("MAIL FROM:<coco@example.test>"), 250)
        for recipient in (self.mailbox, "friend@remote.test"):
            self.expect(client, client.command(f"RCPT TO:<{recipient}>"), 250)
        self.expect(client, client.command("DATA"), 354)
        client.send(stuffed(message(marker, body=LARGE * (self.size // len(LARGE) + 1))))
        self.expect(client, client.reply(), 250)
        with self.lock:
            self.accepted.append(marker)

    @staticmethod
    def expect(client, reply, code):
        if reply == code:
            return
        assert reply.code in PUT_OFF and len(reply.text.split()) > 2, f"{reply.text}\n{client.transcript()}"
        raise Closed(reply.text)

    def goes_on(self, count=4):
        """Waits until so many more messages have their 250; fails at the first wrong reply."""
        before = len(self.accepted)
        wait_for(lambda: self.faults or len(self.accepted) >= before + count, "more accepted messages", timeout=90,
                 explain=lambda: f"{self.put_off[-5:]}\n{self.server.log_tail()}")
        assert not self.faults, "\n".join(self.faults)

    def check(self):
        """What had its 250 is in the mailbox and at the other server."""
        assert not self.faults, "\n".join(self.faults)
        def missing():
            here, there = markers(self.server.mails(self.mailbox)), markers(taken.data for taken in list(self.sink.messages))
            return [f"{marker} {what}" for marker in self.accepted for what, found in (("here", here), ("there", there)) if marker not in found]
        try:
            wait_for(lambda: not missing(), "every accepted message", timeout=90)
        except AssertionError:
            raise AssertionError(f"LOST {missing()[:10]}\n{self.server.parcels_text()}{self.server.log_tail(80)}") from None
