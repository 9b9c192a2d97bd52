"""What `make bench` does to each server, and how one such run is measured."""
import base64
import json
import mmap
import os
import statistics
import struct
import subprocess
import time
from typing import NamedTuple

from lib import ports
from lib.place import BUILD
from lib.waiting import wait_for
from servers import DESTINATIONS, LOGIN, PASSWORD

CLIENT = os.path.join(BUILD, "bench", "client")
SINK = os.path.join(BUILD, "bench", "sink")
PLAIN = base64.b64encode(f"\0{LOGIN}\0{PASSWORD}".encode()).decode()
SIGNATURES = {"rsa": "RSA-PSS+SHA256", "p256": "ECDSA+SHA256"}


class Case(NamedTuple):
    key: str
    title: str
    words: tuple        # of the client
    mode: str = "hold"  # which of a server's two configurations
    port: str = "port"
    quick: bool = False

    @property
    def tls(self):
        return self.port != "port"


def accept(size, connections, *more, quick=False):
    title = f"accept {size // 1024} KiB, {connections}" + (" reused" if more else "")
    return Case(f"accept-{size // 1024}-{connections}{'-reused' if more else ''}", title,
                ("--size", str(size), "--connections", str(connections), *more), quick=quick)


def deliver(key, title, *words, quick=False):
    return Case(key, title, ("--connections", "50", "--reuse", *words), "deliver", quick=quick)


def encrypted(key, title, port, kind, *words, quick=False):
    return Case(key, title, ("--connections", "10", "--sigalgs", SIGNATURES[kind], *words), "hold", port, quick)


CASES = (
    accept(4096, 1, quick=True), accept(4096, 10, quick=True), accept(4096, 50, quick=True), accept(4096, 50, "--reuse", quick=True),
    accept(65536, 1), accept(65536, 10), accept(65536, 50, quick=True), accept(65536, 50, "--reuse", quick=True),
    encrypted("submission", "submission, STARTTLS and AUTH, 10", "submission_port", "p256", "--starttls", "--login", PLAIN, quick=True),
    encrypted("tls-rsa", "TLS handshakes, RSA-2048, 10", "tls_port", "rsa", "--handshakes"),
    encrypted("tls-p256", "TLS handshakes, P-256, 10", "tls_port", "p256", "--handshakes", quick=True),
    deliver("smtp-1", "delivered by SMTP, one destination", quick=True),
    deliver("smtp-50", "delivered by SMTP, 50 domains", "--domains", str(DESTINATIONS)),
    deliver("lmtp", "delivered by LMTP", "--domain", "lmtp.test", quick=True),
)
SLOW = accept(4096, 50)._replace(key="slow", title="accept 4 KiB, 50, slow disk", mode="slow")


class Sink:
    """The process that takes what servers deliver; counts and latencies stand in a file that it shares."""
    WORDS = 5

    def __init__(self, folder, protocol):
        path = os.path.join(folder, protocol + ".counts")
        self.port = ports.take(1)[0]
        self.process = subprocess.Popen([SINK, path, str(self.port), str(DESTINATIONS), protocol], stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n", "the sink did not start"
        with open(path, "rb") as stream:
            self.memory = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)

    def counts(self):
        """messages, recipients, when the last came (nanoseconds), connections, latencies"""
        return struct.unpack_from(f"{self.WORDS}Q", self.memory)

    def latencies(self, first, last):
        return struct.unpack_from(f"{last - first}I", self.memory, 8 * self.WORDS + 4 * first)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        ports.give_back([self.port])


def settled_cpu(house):
    """The processor time once nothing more is used: what a server does behind its last reply is its cost, too."""
    before, limit = house.cpu(), time.monotonic() + 5
    while time.monotonic() < limit:
        time.sleep(0.1)
        now = house.cpu()
        if now - before < 0.001:
            return now
        before = now
    return before


def run_client(words, server):
    done = subprocess.run([CLIENT, "--from", LOGIN, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, text=True)
    assert done.returncode == 0, f"{server.name}: {done.stderr}\n{server.log_tail()}"
    return json.loads(done.stdout)


def measure(server, case, seconds, most, sinks):
    """One run: a dict of rate (a second), cpu (seconds for 1,000), median and p99 (milliseconds)."""
    sink = sinks["lmtp" if case.key == "lmtp" else "smtp"]
    words = ["--port", str(getattr(server, case.port)), "--seconds", str(seconds), *case.words]
    if not server.greets_all:
        words.append("--redial")
    if case.mode == "deliver":
        words += ["--messages", str(int(most * server.deliveries))]
    cpu, before = settled_cpu(server.house), sink.counts()
    got = run_client(words, server)
    median, high, elapsed = got["median_us"], got["p99_us"], got["seconds"]
    if case.mode == "deliver":
        wait_for(lambda: sink.counts()[0] - before[0] >= got["messages"], f"deliveries of {server.name}", timeout=120, explain=server.log_tail)
        after = sink.counts()
        elapsed = (after[2] - got["start_ns"]) / 1e9
        times = sorted(sink.latencies(before[4], after[4]))
        median, high = statistics.median(times), times[len(times) * 99 // 100]
    cpu = settled_cpu(server.house) - cpu
    return {"rate": got["messages"] / elapsed, "cpu": cpu / got["messages"] * 1000, "median": median / 1000, "p99": high / 1000}
