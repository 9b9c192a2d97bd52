"""The kill -9 run: messages go in over many connections while processes of the server are killed at random moments, and in
the end every message that got its 250 must have arrived, whole.

A message may arrive twice for two reasons only. Its client never saw the 250 and sent it again: then the copies bear different
mail ids, no more of them than the client had unanswered tries. Or a process that a delivery's result passes through was
killed when the first copy had arrived: then no more than one successful attempt is recorded. Everything else is a fault.
"""
import collections
import os
import random
import re
import threading
import time

from lib.fake_server import FakeServer
from lib.instance import Instance
from lib.traffic import (BUSY, LOCAL, REFUSAL, REFUSED, REMOTE, Letter, Senders, collected, local_arrivals, sink_arrivals, state_faults,
                         unfinished)
from lib.waiting import wait_for

RESULT_PATH = {"agent", "runner", "ledger", "parcelpostd", "all"}  # whose death may make a delivery be repeated
BEFORE, AFTER = 5.0, 15.0  # seconds around an arrival in which its result may have been under way: an agent whose runner
# has died finishes its transaction, and on a busy machine the other server takes its time
RUNNER_DEATHS = 3  # then the listener would wait ever longer before the next start
DRAIN_STRIKES = 10  # kills after the last message is in


class Plan:
    """What a round does. victims: names of the processes that are killed, None for all of them and all at once; kills: no
    end before so many; mixed: some recipients are refused by the other server, some put off every other time."""

    def __init__(self, victims=None, kills=0, mixed=False):
        self.victims, self.kills, self.mixed = victims, kills, mixed

    def sink_behaviour(self):
        answers = {address: REFUSAL for address in REFUSED}
        answers.update({address: ["451 4.3.2 busy, come again", "250 2.1.5 ok"] * 10 + ["250 2.1.5 ok"] for address in BUSY})
        return {"on": {"RCPT": answers}} if self.mixed else {}


def random_letter(number, chance, mixed):
    size = chance.choice([1000] * 10 + [5000] * 6 + [50_000, 120_000, 1_200_000])
    count = chance.choice([1, 1, 1, 2, 2, 5, 12])
    recipients = chance.sample(LOCAL, chance.randrange(0, 3)) + chance.sample(REMOTE, count)
    if mixed:
        recipients += chance.sample(REFUSED, chance.choice([0, 0, 1, 3])) + chance.sample(BUSY, chance.choice([0, 0, 1, 2]))
    return Letter(number, size, recipients)


class Killer(threading.Thread):
    """Kills one process, or all, at random moments; starts the server again when the listener is gone."""

    def __init__(self, server, busy, chance, pause, victims):
        """busy(kills so far) is true while the storm goes on."""
        super().__init__(daemon=True)
        self.server, self.busy, self.chance, self.pause, self.victims = server, busy, chance, pause, victims
        self.kills, self.strikes, self.failure = collections.Counter(), [], None

    def run(self):
        try:
            while self.busy(sum(self.kills.values())):
                time.sleep(self.chance.uniform(0.005, self.pause))
                self.strike()
        except (AssertionError, OSError) as problem:
            self.failure = problem

    def victim(self):
        """(name, pid): by kind first, because there are many receivers and one ledger. The pid of all is None. (None, None)
        when there is none of the plan's just now."""
        kinds = collections.defaultdict(list)
        for pid, name, _ in self.server.processes():
            kinds[name].append(pid)
        if self.victims:
            name = self.chance.choice(self.victims)
            return (name, self.chance.choice(kinds[name])) if name in kinds else (None, None)
        name = self.chance.choice([*sorted(kinds), "all", "all"])
        return name, self.chance.choice(kinds[name]) if name in kinds else None

    def strike(self):
        name, pid = self.victim()
        if name is None:
            return
        if pid is None:
            self.server.kill_all()
        else:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                return
        self.strikes.append((time.time(), name))
        self.kills[name] += 1
        if self.victims and self.kills["runner"] % RUNNER_DEATHS == 0 and name == "runner":
            self.server.restart()
        elif not self.server.daemon.running() or (pid == self.server.pid and self.listener_ended()):
            self.server.launch()

    def listener_ended(self):
        self.server.daemon.process.wait(20)
        return True


def repeats_explained(letter, copies, strikes):
    """Faults of a letter that came more than once to one recipient."""
    faults, by_id = [], collections.defaultdict(list)
    for copy in copies:
        by_id[copy.mail_id].append(copy)
    if len(by_id) > 1 + letter.unanswered:
        faults.append(f"{len(by_id)} mail ids after {letter.unanswered} unanswered tries")
    for mail_id, same in by_id.items():
        for copy in same[:-1]:
            if not any(name in RESULT_PATH and copy.when - BEFORE <= when <= copy.when + AFTER for when, name in strikes):
                faults.append(f"{mail_id} delivered again, and nothing was killed when it had arrived")
    return faults


def judge(letters, found, strikes):
    """(faults, duplicates by a repeated delivery, duplicates by a repeated submission)"""
    faults, repeated, resubmitted = [], 0, 0
    for letter in letters:
        for recipient in letter.recipients:
            if recipient in REFUSED:
                continue
            what = f"{letter.marker} {letter.mail_id} for {recipient}"
            copies = found.pop((letter.marker, recipient), [])
            ids = {copy.mail_id for copy in copies}
            if letter.mail_id not in ids:
                faults.append(f"LOST {what}, after its 250")
            faults += [f"CHANGED {what}" for copy in copies if copy.digest != letter.digest]
            faults += [f"TWICE {what}: {fault}" for fault in repeats_explained(letter, copies, strikes)]
            repeated, resubmitted = repeated + len(copies) - max(len(ids), 1), resubmitted + max(len(ids), 1) - 1
    faults += [f"STRAY {marker} for {recipient}" for marker, recipient in found]
    return faults, max(repeated, 0), resubmitted


def notice_faults(letters, notices):
    """Each refused recipient is told of once. Notices that came twice have one mail id."""
    faults, told = [], collections.defaultdict(set)
    for notice in notices:
        named = set(re.findall(rb"^Final-Recipient: rfc822; ?(\S+)\r\n", notice.data, re.M))
        for address in named:
            told[notice.marker, address.decode()].add(notice.mail_id)
    for letter in letters:
        for recipient in set(letter.recipients) & set(REFUSED):
            # every copy that a client without its answer sent again is a message of its own
            count = len(told.pop((letter.marker, recipient), ()))
            if not 1 <= count <= 1 + letter.unanswered:
                faults.append(f"NOTICE {letter.marker} {letter.mail_id}: {count} about {recipient}, {letter.unanswered} unanswered tries")
    return faults + [f"NOTICE about nobody: {key}" for key in told]


def play_round(number, messages, seed, connections=10, local="maildir", pause=0.6, say=print, plan=Plan()):
    """One round with a server of its own; gives a list of faults. After a fault the server's folder stays."""
    chance = random.Random(f"{seed}-{number}")
    letters = [random_letter(index, chance, plan.mixed) for index in range(messages)]
    settings = {"retry_schedule": ["1"], "max_failed_msgs_per_period": 1000000, "contact_connection_limit": 1000}
    begun = time.monotonic()
    with FakeServer(**plan.sink_behaviour()) as sink:
        server = Instance(local=local, route=sink.endpoint, settings=settings)
        try:
            server.start()
            killer = storm(server, letters, connections, chance, pause, plan)
            here = list(local_arrivals(server, LOCAL))
            notices = [arrival for arrival in here if arrival.is_notice]
            found = collected([arrival for arrival in here if not arrival.is_notice], sink_arrivals(sink))
            faults, repeated, resubmitted = judge(letters, found, killer.strikes)
            faults += notice_faults(letters, notices)
            faults += state_faults(server, letters) + [f"CLIENT {fault}" for fault in sorted(set(sink.faults))]
            faults += left_over(server)
            server.stop(check=not faults)
        except BaseException as problem:
            problem.add_note(f"the server's folder is {server.directory}") if hasattr(problem, "add_note") else None
            server.stop(check=False)
            raise
        if faults:
            faults.append(f"the server's folder is {server.directory}")
        else:
            server.remove()
    say(f"round {number}: {messages} messages, {sum(len(letter.recipients) for letter in letters)} recipients, {time.monotonic() - begun:.0f} s, "
        f"kills {dict(sorted(killer.kills.items()))}, tries {sum(letter.tries for letter in letters)}, duplicates {repeated} by deliveries and "
        f"{resubmitted} by submissions, {len(faults)} faults")
    return faults


def storm(server, letters, connections, chance, pause, plan):
    """Sends everything while processes die; returns when every parcel has ended."""
    patience = random.Random(chance.random())
    senders = Senders(server.internal_port, letters, connections, again=lambda: patience.uniform(0.01, 0.1))
    after_all = [DRAIN_STRIKES]

    def busy(kills):
        if senders.running() or kills < plan.kills:
            return True
        after_all[0] -= 1
        return after_all[0] >= 0 and bool(unfinished(server, ids()))

    def ids():
        return [letter.mail_id for letter in letters]

    killer = Killer(server, busy, chance, pause, plan.victims)
    killer.start()
    wait_for(lambda: killer.failure or not senders.running(), "all messages to be accepted", timeout=900,
             explain=lambda: f"{senders.problems}\n{server.log_tail()}")
    wait_for(lambda: not killer.is_alive(), "the last kill", timeout=120)
    if killer.failure:
        raise killer.failure
    wait_for(lambda: not unfinished(server, ids()), "every parcel to end", timeout=300, explain=lambda: server.parcels_text() + server.log_tail())
    return killer


def left_over(server):
    """What is still in the spool although every parcel has ended: files go a moment after the last result."""
    def files():
        return [os.path.join(folder, name) for folder in ("mail", "tmp") for name in os.listdir(os.path.join(server.queue, folder))]
    try:
        wait_for(lambda: not files(), "the spool to be empty", timeout=10)
    except AssertionError:
        return [f"LEFT {name}" for name in files()]
    return []
