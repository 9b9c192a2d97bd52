"""A whole server under the crash matrix's disk (tests/crash/machine/): stopped at one system call of one of its processes, or
with one allocation that fails there, then started again; and what must hold afterwards.

    with Series("agent", "forget") as series:
        for run in series.runs(every=7): …  run.call, run.callers, run.faults
"""
import collections
import os
import re
import signal
import sqlite3
import subprocess
import tempfile

from lib.background import Background, kill_session
from lib.fake_server import FakeServer
from lib.instance import NOBODY, Instance
from lib.milter import Milter
from lib.place import BUILD
from lib.talker import Closed, SmtpTalker, stuffed
from lib.traffic import BUSY, LOCAL, REFUSAL, REFUSED, REMOTE, Letter, collected, local_arrivals, sink_arrivals
from lib.waiting import wait_for

CONTROL = os.path.join(BUILD, "crash", "control")
ENDS_ALL = ("kill", "tear", "forget", "mix")  # the machine dies; with other ways one process does, or one call fails
POWER_FAILURE = ("forget", "mix")
PUT_OFF = (421, 451, 452)
SETTINGS = {"journal_max_message": 196608, "journal_segment_size": 1 << 20, "queue_minimum_free": 0, "retry_schedule": ["3600"],
            "max_failed_msgs_per_period": 1000000, "contact_connection_limit": 1000, "receiver_spare": 1, "delay_warning": 0}
# A receiver hands on what is small in its request, what is larger in sealed memory, the largest in queue/tmp.
LOAD = ((1_000, [LOCAL[0], REMOTE[0]]), (100_000, [LOCAL[1]]), (190_000, [LOCAL[0], REMOTE[1]]), (1_000, [REFUSED[0], LOCAL[1]]), (1_500, [BUSY[0]]))
STARTS = 5  # of a program for which one allocation fails


class Machine(Instance):
    """An instance in memory whose spool, databases and mailboxes are the disk. Everything runs as one user, without a sandbox."""

    def __init__(self, **options):
        super().__init__(directory=tempfile.mkdtemp(prefix="pp-", dir="/dev/shm"), root=False, sendmail_socket=False, **options)
        self.own_directory = True
        self.environment["CRASH_DISK"] = self.path("crash.disk")

    def path(self, *names):
        return os.path.join(self.directory, *(("disk",) if names and names[0] in ("queue", "state", "mail") else ()), *names)

    def control(self, *words):
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if self.drop else {}
        return subprocess.run([CONTROL, self.environment["CRASH_DISK"], *words], check=True, stdout=subprocess.PIPE, **user).stdout.decode().split()

    def prepare(self):
        super().prepare()
        self.control("new", self.path("disk"))

    def run_program(self, name, *words):
        """One of the programs that have the disk."""
        return Background([os.path.join(BUILD, "crash", name), "-c", self.configuration, *words], self.log, self.process_environment(),
                          NOBODY if self.drop else None, self.directory)

    def spawn(self):
        self.daemon = self.run_program("parcelpostd", "-f")
        return self

    def has_ended(self):
        return self.daemon.process.poll() is not None

    def empty_mailboxes(self):
        for where, _, names in os.walk(self.path("mail")):
            for name in names:
                os.unlink(os.path.join(where, name))


class Run:
    def __init__(self, number):
        self.number, self.call, self.callers, self.faults = number, None, (), []


class Series:
    """The runs of one role and way, on one machine. role: the name of a process, or "queue run" for parcelpost-queue with the
    daemon down, where every process counts. local: "maildir", or "lmtp" to a sink; milter: a milter is asked, so that there
    is a connector; reloads: each run begins with SIGHUP, without which the listener allocates nothing."""

    def __init__(self, role, way, local="maildir", milter=False, reloads=False):
        self.role, self.way, self.is_queue_run, self.reloads = role, way, role == "queue run", reloads
        behaviour = {"on": {"RCPT": {**{one: REFUSAL for one in REFUSED}, **{one: ["451 4.3.2 busy", "250 2.1.5 ok"] * 5000 for one in BUSY}}}}
        self.sinks = [FakeServer(**behaviour).start()] + [FakeServer(lmtp=True).start()] * (local == "lmtp")
        settings = {**SETTINGS, "runner": "cron"} if self.is_queue_run else SETTINGS
        self.milter = Milter() if milter else None
        extra = self.milter.block() + f'milters = {{"{self.milter.name}"}}' if milter else ""
        self.server = Machine(route=self.sinks[0].endpoint, settings=settings, local="maildir" if local == "maildir" else self.sinks[1].endpoint, extra=extra)
        self.letters, self.serial, self.run = [], 0, None

    def __enter__(self):
        if self.milter:
            self.milter.__enter__()
        self.server.prepare()
        self.up()
        return self

    def __exit__(self, kind, *_):
        try:
            if not self.server.has_ended():
                self.server.control("arm", "-", "kill", "0", "all")
            self.server.stop(check=False)
        finally:
            for sink in self.sinks:
                sink.stop()
            if self.milter:
                self.milter.__exit__()
            if kind is None:
                self.server.remove()

    # A run.

    def runs(self, every=1, first=1):
        """One after the other, until the load ends before the call is reached."""
        number, reached = first, True
        while reached:
            self.run = Run(number)
            try:
                self.one_run()
            except (AssertionError, OSError, sqlite3.Error, subprocess.SubprocessError) as problem:
                self.run.faults.append(f"STUCK {type(problem).__name__} {str(problem)[:1000]}\n{self.server.log_tail()}")
            reached = self.run.call is not None
            if reached or self.run.faults:
                yield self.run
            if self.run.faults:
                return
            number += every

    def one_run(self):
        self.letters = [Letter(self.serial + index, size, recipients) for index, (size, recipients) in enumerate(LOAD)]
        self.serial += len(LOAD)
        before = len(self.server.log_text())
        if not self.is_queue_run:
            self.arm()
            self.reload()
        self.submit()
        if self.is_queue_run:
            self.server.halt()
            self.sync()
            self.arm()
            self.queue_runs()
        else:
            self.drain()
        told = self.server.control("tell")
        self.run.call, self.run.callers = (told[1], told[2:]) if told[1] != "-" else (None, ())
        self.recover()
        self.judge()
        died = "it is started again in" in self.server.log_text()[before:]  # who dies often is started later and later
        if not self.is_queue_run and (self.way in POWER_FAILURE or died):
            self.server.halt()
        if self.server.has_ended():
            self.server.empty_mailboxes()
            self.up()

    def arm(self):
        role = "-" if self.is_queue_run else self.role
        self.server.control("arm", role, self.way, str(self.run.number), "all" if self.way in ENDS_ALL else "one")

    def reload(self):
        if not self.reloads:
            return
        before = len(self.server.log_text())
        os.kill(self.server.pid, signal.SIGHUP)
        wait_for(lambda: self.server.has_ended() or "configuration" in self.server.log_text()[before:], "the reload", explain=self.server.log_tail)
        if self.server.has_ended() and self.way not in ENDS_ALL:
            self.server.launch()

    def sync(self):
        if self.way in POWER_FAILURE:
            self.server.control("sync")
            self.server.control("arm", "-", self.way, "0", "one")

    def up(self):
        self.sync()
        self.server.launch()

    def over(self):
        """The machine has died."""
        return self.way in ENDS_ALL and self.server.has_ended()

    def submit(self):
        """Each letter until it has its 250, or the machine is dead."""
        client = None
        for letter in self.letters:
            while letter.mail_id is None and not self.over():
                try:
                    client = client or SmtpTalker(self.server.internal_port, timeout=20)
                    self.offer(client, letter)
                except (Closed, OSError):
                    self.after_close(client)
                    client = None
        if client:
            client.close()

    def after_close(self, client):
        if client:
            client.close()
        wait_for(lambda: self.server.has_ended() or self.is_served(), "another receiver, or the end", explain=self.server.log_tail)
        if self.server.has_ended() and self.way not in ENDS_ALL:
            self.server.launch()

    def is_served(self):
        try:
            with SmtpTalker(self.server.internal_port, timeout=20) as client:
                return client.greeting == 220
        except (Closed, OSError):
            return False

    def offer(self, client, letter):
        letter.tries += 1
        if not getattr(client, "greeted", False):
            self.expect(client, client.greeting, 220)
            self.expect(client, client.command("EHLO client.example.net"), 250)
            client.greeted = True
        self.expect(client, client.command(f"MAIL FROM:<{LOCAL[0]}>"), 250)
        for recipient in letter.recipients:
            self.expect(client, client.command(f"RCPT TO:<{recipient}>"), 250)
        self.expect(client, client.command("DATA"), 354)
        letter.unanswered += 1
        client.send(stuffed(letter.data()))
        reply = client.reply()
        self.expect(client, reply, 250)
        letter.unanswered -= 1
        letter.mail_id = re.search(r"id=(\S+)", reply.text).group(1)

    def expect(self, client, reply, code):
        if reply == code:
            return
        if reply.code not in PUT_OFF:
            self.run.faults.append(f"REPLY {reply.text}\n{client.transcript()}")
        client.greeted = False
        raise Closed(reply.text)

    def waiting(self):
        """(mails that wait to be tried again, parcels that are not over) of this run."""
        accepted = [letter.mail_id for letter in self.letters if letter.mail_id]
        try:
            rows = self.server.sql("select mail_id, state from parcels where state in ('queued', 'deferred')")
            known = {row[0] for row in self.server.sql("select mail_id from parcels")}
        except sqlite3.OperationalError:  # nobody is there who could open it
            return set(), 1
        unknown = [] if self.way in POWER_FAILURE else [one for one in accepted if one not in known]
        return {row["mail_id"] for row in rows if row["state"] == "deferred"}, len(rows) + len(unknown)

    def drain(self):
        """Until every parcel has ended, or the machine. What was put off is tried again."""
        def done():
            if self.server.has_ended():
                if self.way in ENDS_ALL:
                    return True
                self.server.launch()
            deferred, count = self.waiting()
            for mail_id in deferred:
                self.server.command("queue", "retry", mail_id, check=False)
            return count == 0
        wait_for(done, "every parcel to end", timeout=60, explain=lambda: self.server.parcels_text() + self.server.log_tail())

    def queue_runs(self):
        """parcelpost-queue until nothing is left, the first runs with what is armed: by turns of these mails and of notices that were put
        off, whatever their time, and of what is due."""
        for turn in range(STARTS):
            named = sorted({letter.mail_id for letter in self.letters} | self.waiting()[0]) if turn % 2 == 0 else []
            one = self.server.run_program("parcelpost-queue", *named)
            wait_for(lambda one=one: one.process.poll() is not None, "parcelpost-queue", timeout=60, explain=self.server.log_tail)
            status = one.process.returncode
            kill_session(one.pid)
            if status < 0 and self.way in ENDS_ALL:
                return
            if status == 0 and self.waiting()[1] == 0:
                return

    def recover(self):
        """What was armed is over. After the machine's death it starts again; what waits is delivered."""
        self.server.control("arm", "-", self.way, "0", "one")
        if self.run.call and self.way in ENDS_ALL and not self.is_queue_run:
            self.server.kill_all()
        if self.run.call and self.way in POWER_FAILURE:
            self.server.control("forget")
        if self.is_queue_run:
            self.sync()
            self.queue_runs()
            deferred, left = self.waiting()
            if left:
                self.run.faults.append(f"LEFT {left} parcels, {sorted(deferred)} put off\n{self.server.log_tail()}")
            return
        if self.server.has_ended():
            self.up()
        self.drain()

    # What must hold.

    def judge(self):
        here = list(local_arrivals(self.server, LOCAL))
        there = [arrival for sink in self.sinks for arrival in sink_arrivals(sink)]
        found = collected([arrival for arrival in here + there if not arrival.is_notice])
        for letter in self.letters:
            for recipient in letter.recipients:
                if recipient not in REFUSED:
                    self.judge_copies(letter, recipient, found.get((letter.marker, recipient), []))
        self.judge_notices([arrival for arrival in here + there if arrival.is_notice])
        check = [row[0] for row in self.server.sql("pragma integrity_check")]
        if check != ["ok"]:
            self.run.faults.append(f"DATABASE {check[:3]}")

    def judge_copies(self, letter, recipient, copies):
        what = f"{letter.marker} {letter.mail_id} for {recipient}"
        counts = collections.Counter(copy.mail_id for copy in copies)
        faults = [f"CHANGED {what}" for copy in copies if copy.digest != letter.digest]
        if letter.mail_id and not counts[letter.mail_id]:
            faults.append(f"LOST {what}, after its 250\n{self.server.parcels_text()}{self.server.log_tail()}")
        if len(counts) > bool(letter.mail_id) + letter.unanswered:
            faults.append(f"TWICE {what}: {len(counts)} mail ids after {letter.unanswered} unanswered tries")
        faults += [f"TWICE {what}: {count} copies of {mail_id}" for mail_id, count in counts.items() if count > 2]
        self.run.faults += faults

    def judge_notices(self, notices):
        for letter in self.letters:
            told = {notice.mail_id for notice in notices if notice.marker == letter.marker}
            wanted = bool(letter.mail_id) and bool(set(letter.recipients) & set(REFUSED))
            if not wanted <= len(told) <= wanted + letter.unanswered:
                self.run.faults.append(f"NOTICE {letter.marker} {letter.mail_id}: {len(told)} notices, {letter.unanswered} unanswered tries")
