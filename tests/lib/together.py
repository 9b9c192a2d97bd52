"""Rows of a fault test that run all at once against one server, beside a client that means well, with an eye on every process.

    @pytest.fixture(scope="module")
    def crowd(request):
        with Instance(…) as server, Crowd(server, chosen_rows(request), act) as crowd:
            yield crowd

    def test_x(crowd, row): crowd.outcome(row)          # what act(crowd, row) gave, or the assertion that failed
    def test_others_are_served(crowd): crowd.check()    # once all rows are through
"""
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from lib.background import session_members
from lib.messages import message
from lib.place import SANITIZED
from lib.talker import fresh_source
from lib.waiting import stat

TICKS = os.sysconf("SC_CLK_TCK")
SERVICES = ("parcelpostd", "ledger", "resolver", "signer", "lookup", "runner", "connector")
# Seconds of processor time: what a session may use up, a handshake and a full socket included, and a service for each row.
SESSION_SECONDS, SERVICE_SECONDS = (10, 2) if SANITIZED else (0.5, 0.1)
LOOK_SECONDS = 0.1


def chosen_rows(request):
    """The rows of this module that are to run."""
    specs = [item.callspec for item in request.session.items if getattr(item, "module", None) is request.module and hasattr(item, "callspec")]
    return [spec.params["row"] for spec in specs if "row" in spec.params]


def processor_seconds(pid):
    """What the process has used so far; 0 when it is gone."""
    return sum(map(int, stat(pid)[11:13])) / TICKS


class Watch(threading.Thread):
    """What each process of the server has used of the processor."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.used, self.done = server, {}, threading.Event()
        # A process that the listener has just forked has its name for a moment.
        self.before = {row[:2] for row in session_members(server.daemon.pid) if row[1] in SERVICES and row[1] != "parcelpostd"}

    def look(self):
        for pid, name, _ in session_members(self.server.daemon.pid):
            self.used[pid, name] = max(self.used.get((pid, name), 0), processor_seconds(pid))

    def run(self):
        while not self.done.wait(LOOK_SECONDS):
            self.look()


class Witness(threading.Thread):
    """A client that sends one message after the other meanwhile, each over a connection of its own."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.done = server, threading.Event()
        self.replies, self.markers, self.longest = [], [], 0

    def run(self):
        while not self.done.is_set():
            began = time.monotonic()
            marker = f"witness-{os.getpid()}-{len(self.replies)}."
            try:
                with self.server.talk("internal", source=fresh_source()) as client:
                    client.ehlo()
                    reply = client.mail("coco@example.test", "mike@example.test", message(marker))
                    client.quit()
                self.replies.append(reply.text)
                if reply.code == 250:
                    self.markers.append(marker)
            except (AssertionError, OSError) as problem:
                self.replies.append(str(problem))
            self.longest = max(self.longest, time.monotonic() - began)
            self.done.wait(0.1)


class Crowd:
    def __init__(self, server, rows, act, workers=40):
        self.server, self.rows, self.act, self.workers = server, rows, act, workers
        self.futures, self.floods = {}, set()  # floods: addresses of clients who keep a session at work

    def __enter__(self):
        self.watch, self.witness = Watch(self.server), Witness(self.server)
        self.watch.start()
        self.witness.start()
        self.pool = ThreadPoolExecutor(self.workers)
        self.futures = {row: self.pool.submit(self.act, self, row) for row in self.rows}
        return self

    def __exit__(self, *_):
        self.pool.shutdown(wait=True)
        self.end()

    def end(self):
        for thread in (self.watch, self.witness):
            thread.done.set()
            thread.join()

    def outcome(self, row):
        return self.futures[row].result(timeout=120)

    def check(self):
        """Everybody else was served, no service ended, and nobody who only waited used the processor."""
        for future in self.futures.values():
            future.exception(timeout=120)
        self.end()
        self.watch.look()
        server, witness = self.server, self.witness
        assert witness.replies and all(reply.startswith("250 ") for reply in witness.replies), witness.replies
        server.wait_mail("mike@example.test", "witness-", count=len(witness.markers))
        arrived = b"".join(server.mails("mike@example.test"))
        for marker in witness.markers:
            assert arrived.count(f"X-Marker: {marker}".encode()) == 1, marker
        gone = self.watch.before - {row[:2] for row in session_members(server.daemon.pid)}
        assert not gone, f"{gone} ended\n{server.log_tail()}"
        limits = {key: SERVICE_SECONDS * (20 + len(self.rows)) if key[1] in SERVICES else SESSION_SECONDS for key in self.watch.used}
        at_work = {int(pid) for pid, source in re.findall(r"receiver\[(\d+)\].*: connection from (\S+) to", server.log_text()) if source in self.floods}
        busy = {key: used for key, used in self.watch.used.items() if used > limits[key] and key[0] not in at_work}
        assert not busy, f"processor seconds: {busy}\n{server.log_tail()}"
