"""A soak: clients of every kind, servers that fail and return, an operator who changes things, for so many seconds; then everything ends, and
the books must balance. tests/soak/run is the long one, tests/system/test_soak.py a short one.

    with Soak(seconds=60) as soak:
        soak.run(say=print)
        soak.faults, soak.rows
"""
import collections
import multiprocessing
import shutil
import tempfile
import threading
import time

from lib.soak import clients, mailboxes, servers
from lib.soak.letters import Books
from lib.soak.watch import Look, middle
from lib.soak.world import SPARE, SoakWorld
from lib.waiting import wait_for

RESTS = 5, 10, 20  # minutes after which everybody pauses, so that memory can be compared at the same load: none
STEADY = 60  # seconds under load before a rest without a reload: services are of the same age each time
OUTSTANDING = 1500  # copies on their way above which clients wait: the slowest neighbour sets the pace
LOOKS_EVERY = 4
STILL, STILL_FOR = 16, 3  # KiB, seconds


class Row:
    """One minute: counters, seconds of acceptance, looks."""

    def __init__(self):
        self.counts, self.from_connect, self.from_dot, self.looks, self.seconds = collections.Counter(), [], [], [], 0.0

    def memory(self, *roles):
        return middle(sum(look.memory[role] for role in roles) if roles else look.total for look in self.looks)


class StandsStill:
    """True once no process has taken memory or given it back for a while, as services do a second after their last request."""

    def __init__(self, server):
        self.server, self.own, self.since = server, 0, 0.0

    def __call__(self):
        own = Look(self.server).own.total()
        if abs(own - self.own) > STILL:
            self.own, self.since = own, time.monotonic()
        return time.monotonic() > self.since + STILL_FOR


class Soak:
    def __init__(self, seconds, processes=3, threads=8, hurry=1, row_seconds=60, with_postfix=True, history=True):
        self.seconds, self.processes, self.threads, self.hurry, self.row_seconds, self.history = seconds, processes, threads, hurry, row_seconds, history
        self.folder = tempfile.mkdtemp(prefix="parcelpost-soak-")
        self.world = SoakWorld(self.folder, with_postfix)
        self.books, self.rows, self.strange, self.refused = Books(), [Row()], collections.Counter(), collections.Counter()
        self.faults, self.lock, self.rests = [], threading.Lock(), []  # rests: (when, Look)
        self.context = multiprocessing.get_context("fork")
        self.stop_clients, self.hold, self.stop_rest = self.context.Event(), self.context.Event(), self.context.Event()
        self.events, self.children, self.readers, self.held_seconds, self.drained = [], [], [], 0.0, 0.0

    def __enter__(self):
        try:
            self.world.__enter__()
            if self.history:
                self.world.make_history(int(self.seconds))
            self.rest("before")
        except BaseException:
            self.__exit__(AssertionError)
            raise
        return self

    def __exit__(self, kind, *rest):
        self.stop_clients.set()
        self.stop_rest.set()
        for child in self.children:
            child.join(20)
            if child.is_alive():
                child.kill()
        try:
            self.world.__exit__(kind, *rest)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # Other processes.

    def child(self, work, *arguments):
        """A process that puts batches of events into a queue, and None at its end."""
        events = self.context.Queue()
        self.events.append(events)
        self.children.append(self.context.Process(target=work, args=[events if one is self.events else one for one in arguments], daemon=True))

    def make_children(self):
        world = self.world
        weights = {**clients.GOOD, **clients.BAD}
        self.child(servers.work, world.server_rows(), self.events, self.stop_rest)
        self.child(mailboxes.work, world.folders(), self.events, self.stop_rest)
        for number in range(1, self.processes + 1):
            self.child(clients.work, number, self.threads, world.client_ports(), world.server.configuration, world.fates(), weights, self.events, self.stop_clients,
                       self.hold)
        for child in self.children:
            child.start()  # before this process has threads of its own
        self.readers = [threading.Thread(target=self.read, args=(events,), daemon=True) for events in self.events]
        for reader in self.readers:
            reader.start()

    def read(self, events):
        for batch in iter(events.get, None):
            with self.lock:
                for event in batch:
                    self.take(*event)

    def take(self, kind, *rest):
        row = self.rows[-1]
        if kind == "accepted":
            marker, digest, fates, from_connect, from_dot = rest
            self.books.accepted(marker, digest, fates)
            row.from_dot.append(from_dot)
            if from_connect is not None:
                row.from_connect.append(from_connect)
        elif kind == "uncertain":
            self.books.uncertain(*rest)
        elif kind in ("refused", "strange"):
            (self.refused if kind == "refused" else self.strange)[rest[0]] += 1
        elif kind in ("arrived", "bounced", "warned"):
            self.books.event(kind, *rest)
        row.counts[kind] += 1

    # The run.

    def run(self, say=lambda row, number: None):
        self.make_children()
        stop = threading.Event()
        operator = self.world.operator(stop, self.hurry)
        end = time.monotonic() + self.seconds
        rests = [minute for minute in RESTS if minute * 60 < self.seconds]
        row_began = time.monotonic()
        due = row_began + (rests[0] * 60 if rests else self.seconds)  # the next rest
        try:
            while time.monotonic() < end:
                turn = time.monotonic()
                self.rows[-1].looks.append(Look(self.world.server))
                while time.monotonic() < turn + LOOKS_EVERY / self.hurry:
                    self.keep_pace()
                if time.monotonic() >= row_began + self.row_seconds:
                    row_began = self.next_row(row_began, say)
                if time.monotonic() > due - STEADY and self.seconds > 3 * STEADY and not self.world.steady.is_set():
                    self.world.hold_still()
                if rests and len(self.rows) > rests[0]:
                    end += self.pause(f"after {rests[0]} minutes")
                    row_began = time.monotonic()
                    due = min(row_began + (rests[1] - rests[0]) * 60, end) if len(rests) > 1 else end
                    rests.pop(0)
        finally:
            stop.set()
        operator.join(120)
        if time.monotonic() > row_began + 1:
            self.next_row(row_began, say)
        self.end()
        return self

    def pause(self, when):
        """Clients and the operator wait until nobody is served; the seconds that it took."""
        began = time.monotonic()
        with self.world.quiet:
            self.hold.set()
            self.rest(when)
            self.hold.clear()
        self.world.steady.clear()
        return time.monotonic() - began

    def rest(self, when):
        """A look at the server with nothing to do; the queue may hold what is put off."""
        try:
            wait_for(self.rests_now, "the end of agents and spare receivers", timeout=120, explain=lambda: str(Look(self.world.server).number))
            wait_for(StandsStill(self.world.server), "memory that stands still", timeout=120, explain=lambda: str(Look(self.world.server).own))
        except AssertionError as problem:
            self.faults.append(f"{when}: {problem}")
        self.rests.append((when, Look(self.world.server)))

    def rests_now(self):
        number = Look(self.world.server).number
        return number["agent"] == 0 and number["receiver"] == SPARE and number["lookup"] == 2 and number["resolver"] == 1

    def keep_pace(self):
        with self.lock:
            outstanding = self.books.outstanding
        if outstanding > OUTSTANDING:
            self.hold.set()
        elif outstanding < OUTSTANDING * 0.8:
            self.hold.clear()
        self.held_seconds += 0.05 * self.hold.is_set()
        time.sleep(0.05)

    def next_row(self, began, say):
        now = time.monotonic()
        put_off = self.world.server.sql("select count(*) from attempts where reply like '4%' and started_at >= datetime('now', ?)", f"-{int(now - began)} seconds")[0][0]
        waiting = self.world.server.sql("select count(*) from parcels where state = 'deferred'")[0][0]
        with self.lock:
            row = self.rows[-1]
            row.seconds = now - began
            row.counts["put off"], row.counts["waiting"] = put_off, waiting
            self.rows.append(Row())
        say(row, len(self.rows) - 1)
        return now

    def clients_are_gone(self):
        return not any(child.is_alive() for child in self.children[2:])

    def end(self):
        """Clients finish; what is on its way arrives; processes go; then the books."""
        self.stop_clients.set()
        wait_for(self.clients_are_gone, "the clients' end", timeout=300)
        began = time.monotonic()
        try:
            wait_for(self.settled, "everything that was accepted", timeout=300, explain=self.world.server.parcels_text)
        except AssertionError as problem:
            self.faults.append(str(problem)[:1500])
        self.drained = time.monotonic() - began
        self.stop_rest.set()
        for thread in self.readers:
            thread.join(60)
        self.check()

    def settled(self):
        with self.lock:
            left = self.books.outstanding
        return left == 0 and not self.world.server.sql("select 1 from parcels where state in ('queued', 'deferred', 'held') limit 1")

    def check(self):
        world = self.world
        self.faults += self.books.close() + world.faults + [f"STRANGE {count} times: {what}" for what, count in self.strange.items()]
        self.rest("after everything")
        if world.server.sql("pragma integrity_check")[0][0] != "ok":
            self.faults.append("the database is damaged")
        world.read_log(world.log)
