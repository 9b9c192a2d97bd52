"""Many messages over many connections, and what became of each: for the volume test and the kill -9 run.

A letter's bytes are made from its number whenever they are needed, so that thousands of them cost no memory. What arrives
is compared by its digest from the Date field on, which is the first one the client wrote: the fields of the servers
on the way stand above it.
"""
import collections
import hashlib
import os
import re
import sqlite3
import threading
import time

from lib.messages import message, odd_body
from lib.talker import SmtpTalker, stuffed

LOCAL = [f"{name}@example.test" for name in ("coco", "mike")]
REMOTE = [f"friend{number}@remote.test" for number in range(100)]
REFUSED = [f"nobody{number}@remote.test" for number in range(20)]  # of a mixed load: refused for good
REFUSAL = "550 5.1.1 no such user here"
BUSY = [f"busy{number}@remote.test" for number in range(20)]  # put off every other time
FIRST_FIELD = b"Date: Sun, 22 Nov 2026 01:02:03 +0000\r\n"
ADDED_FIELDS = {"return-path", "delivered-to", "x-original-to", "received", "dkim-signature", "authentication-results"}
PIECE = 60_000


class Letter:
    """One message on its way in. tries: how often it was begun; unanswered: how often its end went out and no 250 came."""

    def __init__(self, number, size, recipients):
        self.number, self.size, self.recipients = number, size, recipients
        self.marker = f"letter-{number:05d}-{os.urandom(6).hex()}"
        self.mail_id, self.tries, self.unanswered = None, 0, 0
        self.digest = hashlib.sha256(self.data()).hexdigest()

    def data(self):
        """The message: dots, 8-bit bytes, lines of 998 bytes. A long one repeats a piece, with the piece's number between."""
        head = message(self.marker, body="", recipient="everybody@example.test")
        pieces, missing = [head], self.size - len(head)
        piece = odd_body(self.number, min(max(missing, 1), PIECE))
        while missing > 0:
            mark = b"piece %d\r\n" % len(pieces)
            pieces += [mark, piece]
            missing -= len(mark) + len(piece)
        return b"".join(pieces)


class Client:
    """One connection after the other; several letters on each."""

    def __init__(self, port, letters_a_connection):
        self.port, self.most, self.talker, self.sent = port, letters_a_connection, None, 0

    def connect(self):
        if self.talker is None:
            self.talker, self.sent = SmtpTalker(self.port, timeout=120, greeting=False), 0
            greeting = self.talker.reply()
            assert greeting.code == 220, greeting.text
            self.talker.ehlo()

    def send(self, letter):
        self.connect()
        letter.tries += 1
        self.talker.expect(250, f"MAIL FROM:<{LOCAL[0]}>")
        for recipient in letter.recipients:
            self.talker.expect(250, f"RCPT TO:<{recipient}>")
        self.talker.expect(354, "DATA")
        # Without a 250 nobody knows whether the server has it: a 451 says that the ledger died before it answered.
        letter.unanswered += 1
        self.talker.send(stuffed(letter.data()))
        reply = self.talker.reply()
        assert reply.code == 250, reply.text
        letter.unanswered -= 1
        letter.mail_id = re.search(r"id=(\S+)", reply.text).group(1)
        self.sent += 1

    def rest(self):
        """Between two letters: the connection ends after some."""
        if self.talker is not None and self.sent >= self.most:
            self.talker.quit()
            self.talker = None

    def close(self):
        if self.talker is not None:
            self.talker.close()
            self.talker = None


class Senders:
    """Threads that send letters until each has its 250. All connections stand before the first letter goes."""

    def __init__(self, port, letters, connections, again=None, letters_a_connection=10):
        """again: called with no argument after a failure, and gives the seconds to wait; None: a failure ends it all."""
        self.todo, self.lock, self.again = collections.deque(letters), threading.Lock(), again
        self.problems, self.begun = collections.Counter(), time.monotonic()
        self.together = threading.Barrier(connections)
        self.threads = [threading.Thread(target=self.work, args=(Client(port, letters_a_connection),), daemon=True) for _ in range(connections)]
        for thread in self.threads:
            thread.start()

    def take(self):
        with self.lock:
            return self.todo.popleft() if self.todo else None

    def running(self):
        return any(thread.is_alive() for thread in self.threads)

    def attempt(self, action, *arguments):
        """True when it went well; else the problem is counted."""
        try:
            action(*arguments)
            return True
        except (AssertionError, OSError, AttributeError) as problem:
            with self.lock:
                self.problems[re.sub(r"[^ -~].*|letter-\S+|id=\S+", "", str(problem).split("\n")[0])[:80]] += 1
            return False

    def work(self, client):
        letter = self.take()
        self.attempt(client.connect)
        self.together.wait()
        while letter:
            if self.attempt(client.send, letter):
                letter = self.take()
                if self.attempt(client.rest):
                    continue
            client.close()
            if self.again is None:
                break  # the letters that are left are missed by whoever counts
            time.sleep(self.again())
        client.close()


class Arrival:
    """One copy of a letter in a mailbox or at the other server."""

    def __init__(self, recipient, data, when):
        self.recipient, self.when = recipient, when
        start = data.find(FIRST_FIELD)
        self.is_notice = b"report-type=delivery-status" in data[:max(start, 0)]
        self.data = data if self.is_notice else None
        self.added = data[:max(start, 0)]
        mark = re.search(rb"^X-Marker: (letter-\d+-\w+)\r\n", data, re.M)
        self.marker = mark.group(1).decode() if mark and start >= 0 else None
        self.digest = hashlib.sha256(data[start:]).hexdigest()
        ours = re.search(rb"by mail\.example\.test \(Parcelpost\) with \w+ id ([^\s;]+)", self.added)
        self.mail_id = ours.group(1).decode() if ours else None

    def strange_fields(self):
        """Names of fields above the letter that no server on the way should write."""
        names = re.findall(rb"^([^\s:]+):", self.added, re.M)
        return sorted({name.decode("utf-8", "replace").lower() for name in names} - ADDED_FIELDS)


def folder_arrivals(folder, recipient=None):
    """From a Maildir; without a recipient it is what Delivered-To on top says (Postfix)."""
    for name in ("new", "cur"):
        where = os.path.join(folder, name)
        for entry in os.listdir(where) if os.path.isdir(where) else ():
            path = os.path.join(where, entry)
            with open(path, "rb") as stream:
                data = stream.read()
            # The inode's change is the rename into new/: Dovecot sets the other times as it likes.
            when = os.stat(path).st_ctime
            data = data if b"\r\n" in data else data.replace(b"\n", b"\r\n")
            told = re.search(rb"^Delivered-To: (\S+)\r\n", data, re.M)
            yield Arrival(recipient or (told.group(1).decode() if told else ""), data, when)


def local_arrivals(server, addresses):
    for address in addresses:
        local, domain = address.split("@")
        yield from folder_arrivals(server.path("dovecot", "mail", domain, local) if server.dovecot else server.path("mail", domain, local), address)


def sink_arrivals(sink):
    for taken in list(sink.messages):
        for address in taken.accepted_for:
            yield Arrival(address, taken.data, taken.arrived)


def collected(*sources):
    """{(marker, recipient): [Arrival, …]}, in the order of time."""
    found = collections.defaultdict(list)
    for source in sources:
        for arrival in source:
            found[arrival.marker, arrival.recipient].append(arrival)
    for arrivals in found.values():
        arrivals.sort(key=lambda arrival: arrival.when)
    return found


def unfinished(server, mail_ids):
    """Mails of these that have no rows yet, or with parcels that still wait."""
    try:
        if server.sql("select 1 from parcels where state in ('queued', 'deferred') limit 1"):
            return ["some"]  # found by an index: asked often
        rows = server.sql("select mail_id, sum(state = 'held') held from parcels where recipient >= 0 group by mail_id")
    except sqlite3.OperationalError:
        return ["the database is not there"]
    held = {row["mail_id"]: row["held"] for row in rows}
    return [mail_id for mail_id in mail_ids if held.get(mail_id, 1)]


def row_faults(server):
    """Rows that do not say what became of their recipients: who is refused has failed with the other server's words."""
    rows = server.sql("select mail_id, to_url, state, delivery, delivery_msg, retry_at from parcels where recipient >= 0")
    for row in rows:
        refused = row["to_url"] in REFUSED
        told = row["delivery_msg"].startswith(REFUSAL) if refused else row["delivery_msg"].startswith("2")
        if row["state"] != ("failed" if refused else "delivered") or row["delivery"] == "none" or not told or row["retry_at"]:
            yield f"ROW {' '.join(map(str, row))}"


def state_faults(server, letters):
    """What the database says against a good end."""
    expected = {letter.mail_id: len(letter.recipients) for letter in letters}
    faults = list(row_faults(server))
    counts = {row[0]: row[1] for row in server.sql("select mail_id, count(*) from parcels where recipient >= 0 group by mail_id")}
    faults += [f"ROWS {mail_id}: {counts.get(mail_id, 0)} parcels for {count} recipients" for mail_id, count in expected.items()
               if counts.get(mail_id) != count]
    again = server.sql("select mail_id, to_url, count(*) from parcels join attempts on parcel_id = parcels.id where attempts.reply like '2%' "
                       "group by parcels.id having count(*) > 1")
    faults += [f"AGAIN {' '.join(map(str, row))}: delivered after its delivery was recorded" for row in again]
    check = [row[0] for row in server.sql("pragma integrity_check")]
    return faults if check == ["ok"] else [*faults, f"DATABASE {check[:3]}"]
