"""Many connections that do nothing, and floods of those that come and go, beside a client that only wants its mail taken.

What is measured of that client: `letters`, the seconds of a message over open connections; `sessions`, of a whole session of one message on a new
connection. Rounds with and without the crowd take turns, and medians are compared, so that what else the machine does falls on both.
"""
import errno
import itertools
import resource
import select
import socket
import statistics
import threading
import time

from lib.load import Load, LoadClient, small_message
from lib.soak.watch import Look, available_kib
from lib.talker import SmtpTalker
from lib.waiting import wait_for

SIZE = 3000
SPARE = 4  # receiver_spare by default
_serial = itertools.count(1)


def raise_descriptor_limit(wanted):
    """True when this process may have so many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard >= wanted


def letters(server, count=2000, connections=5):
    """Seconds a message over open connections."""
    with Load(server.internal_port, connections, count, small_message(SIZE)) as load:
        began = time.monotonic()
        load.send()
        return (time.monotonic() - began) / load.accepted


def sessions(server, count=150):
    """Seconds of one session with one message, the middle of so many."""
    data, times = small_message(SIZE), []
    for _ in range(count):
        began = time.monotonic()
        client = LoadClient(server.internal_port, 1, data, f"127.76.0.{1 + next(_serial) % 250}")
        client.wait_replies()
        while client.send_next():
            client.wait_replies()
        times.append(time.monotonic() - began)
        client.socket.close()
    return statistics.median(times)


class Idle:
    """number connections past EHLO, with TLS when that is wanted; each from an address that few share."""

    def __init__(self, server, number, tls=False):
        self.server, self.number, self.tls, self.clients = server, number, tls, []

    def __enter__(self):
        for number in range(self.number):
            source = f"127.78.{number // 250}.{1 + number % 250}"
            if self.tls:
                client = SmtpTalker(self.server.mx_port, source=source, timeout=60)
                client.dialogue = []
                client.ehlo()
                client.starttls()
            else:
                client = LoadClient(self.server.mx_port, 0, b"", source)
                client.wait_replies()
                client.send_next()
                client.wait_replies()
            self.clients.append(client)
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.socket.close()
        wait_for(lambda: len(self.server.processes("receiver")) < 100 + self.number // 50, "the end of their receivers", timeout=300)


def rests(server):
    """A look, when nobody is served, the spare receivers of a busy time have gone, and those that belong there have come; else None."""
    look = Look(server)
    return look if look.number["agent"] == 0 and look.number["receiver"] == SPARE and not look.zombies else None


def at_rest(server):
    return wait_for(lambda: rests(server), "an end of agents and receivers", timeout=120, explain=lambda: str(Look(server).number))


def idle_rounds(server, number, tls, pairs, say=print):
    """Rounds with and without idle connections: {"letters": [(without, with)], "sessions": …, "memory": KiB, "available": KiB lost}."""
    found = {"letters": [], "sessions": [], "memory": [], "available": []}
    letters(server, 100), sessions(server, 30)  # so that everything has run once
    for pair in range(pairs):
        memory, available = Look(server).total, available_kib()
        without = letters(server), sessions(server)
        with Idle(server, number, tls):
            look = Look(server)
            assert look.number["receiver"] >= number, look.number
            found["memory"].append(look.total - memory)
            found["available"].append(available - available_kib())
            having = letters(server), sessions(server)
        for name, one, other in zip(("letters", "sessions"), without, having):
            found[name].append((one, other))
        say(f"round {pair + 1}: {found['memory'][-1] / 1024:.0f} MiB, MemAvailable {found['available'][-1] / 1024:.0f} MiB; a message {without[0] * 1000:.2f} ms, "
            f"{having[0] * 1000:.2f} ms; a session {without[1] * 1000:.2f} ms, {having[1] * 1000:.2f} ms")
    return found


def ratio(pairs):
    """Of the medians: with the crowd, to without."""
    return statistics.median(having for _, having in pairs) / statistics.median(without for without, _ in pairs)


def new_processes(server, action):
    """How many processes there are behind it that were not there before."""
    before = {pid for pid, _, _ in server.processes()}
    action()
    return len({pid for pid, _, _ in server.processes()} - before)


class Flood:
    """Threads that connect as fast as they can, from sources(n), and close once the server has said something or closed; counts what they met."""

    def __init__(self, port, source, threads=2, keep=False):
        self.port, self.source, self.keep, self.ended = port, source, keep, threading.Event()
        self.counts, self.lock, self.held = {"closed": 0, "greeted": 0, "421": 0, "failed": 0}, threading.Lock(), []
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]

    def once(self):
        client = socket.socket()
        client.settimeout(30)
        try:
            client.bind((self.source(next(_serial)), 0))
            client.connect(("127.0.0.1", self.port))
            said = b"" if self.keep and not select.select([client], [], [], 0.5)[0] else client.recv(100)
        except ConnectionResetError:
            said = b""
        except OSError as problem:
            client.close()
            return "failed" if problem.errno != errno.EADDRINUSE else "closed"
        kind = "greeted" if said.startswith(b"220") else "421" if said.startswith(b"421") else "closed"
        if self.keep and kind == "greeted":
            self.held.append(client)
        else:
            client.close()
        return kind

    def run(self):
        while not self.ended.is_set():
            kind = self.once()
            with self.lock:
                self.counts[kind] += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        for client in self.held:
            client.close()

    @property
    def total(self):
        return sum(self.counts.values())

    def wait(self, connections):
        """Until so many more have been made."""
        goal = self.total + connections
        wait_for(lambda: self.total >= goal, f"{connections} connections of a flood", timeout=300)
