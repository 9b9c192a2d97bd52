"""The kill -9 run: messages go in over many connections while processes of the server are killed at random moments, and in
the end every message that got its 250 must have arrived, whole.

A message may arrive twice for two reasons only: its client never saw the 250 and sent it again, or a process was killed
between its two arrivals (the delivery's last reply was not recorded). Everything else is a fault.
"""
import collections
import hashlib
import os
import random
import re
import subprocess
import threading
import time

from lib.fake_server import FakeServer
from lib.instance import Instance
from lib.messages import odd_message
from lib.talker import SmtpTalker
from lib.waiting import wait_for

LOCAL = ["coco@example.test", "mike@example.test"]
REMOTE = [f"friend{number}@remote.test" for number in range(20)]
SLACK = 1.0  # seconds by which the clocks of files and of this process may differ


class Letter:
    """One message on its way in."""

    def __init__(self, number, chance):
        self.marker = f"letter-{number:05d}-{chance.randrange(10 ** 12):012d}"
        size = chance.choice([1000] * 10 + [5000] * 6 + [50_000, 80_000, 1_200_000])
        count = chance.choice([1, 1, 1, 2, 2, 5, 12])
        self.recipients = chance.sample(LOCAL, chance.randrange(0, 3)) + chance.sample(REMOTE, count)
        self.data = odd_message(self.marker, number, size)
        self.digest = hashlib.sha256(self.data).hexdigest()
        self.mail_id, self.tries = None, 0


class Senders:
    """Threads that send letters until each has its 250."""

    def __init__(self, port, letters, connections, seed):
        self.port, self.todo, self.lock = port, collections.deque(letters), threading.Lock()
        self.accepted, self.problems = [], collections.Counter()
        self.threads = [threading.Thread(target=self.work, args=(random.Random(seed + number),), daemon=True) for number in range(connections)]
        for thread in self.threads:
            thread.start()

    def take(self):
        with self.lock:
            return self.todo.popleft() if self.todo else None

    def running(self):
        return any(thread.is_alive() for thread in self.threads)

    def work(self, chance):
        client = None
        letter = self.take()
        while letter:
            try:
                if client is None:
                    client = SmtpTalker(self.port, timeout=60)
                    assert client.greeting.code == 220, client.greeting.text
                    client.ehlo()
                letter.tries += 1
                reply = client.mail(LOCAL[0], letter.recipients, letter.data)
                assert reply.code == 250, reply.text
                letter.mail_id = re.search(r"id=(\S+)", reply.text).group(1)
                with self.lock:
                    self.accepted.append(letter)
                letter = self.take()
            except (AssertionError, OSError) as problem:
                with self.lock:
                    self.problems[re.sub(r"[^ -~].*|letter-\S+|id=\S+", "", str(problem).split("\n")[0])[:80]] += 1
                if client:
                    client.close()
                client = None
                time.sleep(chance.uniform(0.01, 0.1))  # a client that comes back after a while
        if client:
            client.close()


class Killer(threading.Thread):
    """Kills one process, or all, at random moments; starts the server again when the listener is gone."""

    def __init__(self, server, senders, chance, pause):
        super().__init__(daemon=True)
        self.server, self.senders, self.chance, self.pause = server, senders, chance, pause
        self.kills, self.times, self.failure = collections.Counter(), [], None

    def run(self):
        try:
            while self.senders.running():
                time.sleep(self.chance.uniform(0.02, self.pause))
                self.strike()
        except (AssertionError, OSError) as problem:
            self.failure = problem

    def strike(self):
        processes = self.server.processes()
        if not processes:
            return
        self.times.append(time.time())
        if self.chance.randrange(4) == 0:
            self.kills["all"] += 1
            self.server.kill_all()
        else:
            # By kind first: there are many receivers and one ledger.
            name = self.chance.choice(sorted({name for _, name, _ in processes}))
            pid = self.chance.choice([pid for pid, other, _ in processes if other == name])
            self.kills[name] += 1
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        self.times.append(time.time())
        if not self.server.daemon.running() or self.listener_ended():
            self.server.launch()

    def listener_ended(self):
        """After a strike at the listener its end may take a moment to show."""
        try:
            self.server.daemon.process.wait(0.02)
            return True
        except subprocess.TimeoutExpired:
            return False


def maildir_arrivals(server):
    """(address, marker, digest, time) of everything in the local mailboxes."""
    for address in LOCAL:
        local, domain = address.split("@")
        base = server.path("dovecot", "mail", domain, local) if server.dovecot else server.path("mail", domain, local)
        for folder in ("new", "cur"):
            where = os.path.join(base, folder)
            for name in os.listdir(where) if os.path.isdir(where) else ():
                path = os.path.join(where, name)
                with open(path, "rb") as stream:
                    data = stream.read()
                data = data if b"\r\n" in data else data.replace(b"\n", b"\r\n")
                yield address, data, os.stat(path).st_mtime


def arrivals(server, sink):
    """{(marker, recipient): [(time, digest)]}"""
    found = collections.defaultdict(list)

    def note(address, data, when):
        mark = re.search(rb"X-Marker: (letter-\d+-\d+)\r\n", data)
        start = data.find(b"Date: Sun, 22 Nov 2026 01:02:03 +0000\r\n")  # our own fields stand before it
        if mark and start >= 0:
            found[mark.group(1).decode(), address].append((when, hashlib.sha256(data[start:]).hexdigest()))
    for address, data, when in maildir_arrivals(server):
        note(address, data, when)
    for message in list(sink.messages):
        for address in message.accepted_for:
            note(address, message.data, message.arrived)
    return found


def judge(letters, found, times):
    """(faults, allowed duplicates)"""
    faults, duplicates = [], 0
    for letter in letters:
        for recipient in letter.recipients:
            came = sorted(found.get((letter.marker, recipient), []))
            if not came:
                faults.append(f"LOST {letter.marker} {letter.mail_id} for {recipient}, after its 250")
            if any(digest != letter.digest for _, digest in came):
                faults.append(f"CHANGED {letter.marker} {letter.mail_id} for {recipient}")
            if len(came) > 1:
                duplicates += len(came) - 1
                killed = any(came[0][0] - SLACK <= when <= came[-1][0] + SLACK for when in times)
                if letter.tries == 1 and not killed:
                    faults.append(f"TWICE {letter.marker} {letter.mail_id} for {recipient}, without a reason")
    return faults, duplicates


def play_round(number, messages, seed, connections=10, local="maildir", pause=0.6, say=print):
    """One round with a server of its own; gives a list of faults. After a fault the server's folder stays."""
    chance = random.Random(f"{seed}-{number}")
    letters = [Letter(index, chance) for index in range(messages)]
    settings = {"retry_schedule": ["1"], "max_failed_msgs_per_period": 1000000, "contact_connection_limit": 1000}
    with FakeServer() as sink:
        server = Instance(local=local, route=sink.endpoint, settings=settings)
        try:
            server.start()
            killer = storm(server, letters, connections, seed, chance, pause)
            faults, duplicates = judge(letters, arrivals(server, sink), killer.times)
            faults += state_faults(server, letters) + [f"CLIENT {fault}" for fault in sorted(set(sink.faults))]
            server.stop(check=not faults)
        except BaseException:
            server.stop(check=False)
            raise
        if faults:
            faults.append(f"the server's folder is {server.directory}")
        else:
            server.remove()
    say(f"round {number}: {messages} messages, {sum(len(letter.recipients) for letter in letters)} recipients, "
        f"kills {dict(killer.kills)}, tries {sum(letter.tries for letter in letters)}, {duplicates} duplicates, {len(faults)} faults")
    return faults


def storm(server, letters, connections, seed, chance, pause):
    """Sends everything while processes die; returns when every parcel has ended."""
    senders = Senders(server.internal_port, letters, connections, seed)
    killer = Killer(server, senders, chance, pause)
    killer.start()
    wait_for(lambda: killer.failure or not senders.running(), "all messages to be accepted", timeout=900,
             explain=lambda: f"{senders.problems}\n{server.log_tail()}")
    killer.join()
    if killer.failure:
        raise killer.failure
    ids = [letter.mail_id for letter in letters]
    wait_for(lambda: not unfinished(server, ids), "every parcel to end", timeout=300, explain=lambda: server.parcels_text() + server.log_tail())
    return killer


def state_faults(server, letters):
    """What the database says against a good end."""
    faults = [f"ROW {row['mail_id']} {row['to_url']} {row['state']} {row['delivery_msg']}" for row in
              not_delivered(server, [letter.mail_id for letter in letters])]
    check = [row[0] for row in server.sql("pragma integrity_check")]
    return faults if check == ["ok"] else [*faults, f"DATABASE {check[:3]}"]


def unfinished(server, ids):
    """Parcels of these mails that still wait, or mails without rows."""
    rows = server.sql("select mail_id, sum(state in ('queued', 'deferred', 'held')) waiting from parcels where recipient >= 0 group by mail_id")
    waiting = {row["mail_id"]: row["waiting"] for row in rows}
    return [mail_id for mail_id in ids if waiting.get(mail_id, 1)]


def not_delivered(server, ids):
    wanted = set(ids)
    return [row for row in server.sql("select * from parcels where state != 'delivered'") if row["mail_id"] in wanted]
