"""Databases that are gone, torn or no databases, at the start and under a running server; and a file system that becomes read-only:
a clear line, a refusal to start, or 451 to clients, `parcelpost queue rebuild`, and no mail that had its 250 is lost."""
import errno
import os
import random
import re
import sqlite3
import subprocess
import tempfile
import time

import pytest

from lib.fake_server import FakeServer
from lib.faults import Fault, fault, matrix
from lib.instance import USERS, Instance
from lib.messages import message
from lib.talker import fresh_source
from lib.waiting import wait_for

CANT_CREATE, BUSY_SECONDS = 73, 5
PUT_OFF = (421, 451, 452)
LATER = {"GREETING": "421 4.3.2 later|CLOSE"}


def gone(path):
    for end in ("", "-wal", "-shm"):
        if os.path.exists(path + end):
            os.unlink(path + end)


def no_database(path):
    with open(path, "r+", encoding="ascii") as stream:
        stream.truncate()
        stream.write("this is no database\n" * 500)


def empty(path):
    os.truncate(path, 0)


def half(path):
    os.truncate(path, os.path.getsize(path) // 2 // 4096 * 4096)


def flipped(path):
    """Forty bytes of each page but the first."""
    chance = random.Random(5)
    with open(path, "r+b") as stream:
        for page in range(1, os.path.getsize(path) // 4096):
            stream.seek(page * 4096 + chance.randrange(100))
            stream.write(chance.randbytes(40))


def no_header(path):
    with open(path, "r+b") as stream:
        stream.write(os.urandom(100))


def submit(server, marker):
    """The first reply that is no 2xx or 3xx, or the last one."""
    with server.talk("internal", fresh_source()) as client:
        client.ehlo()
        for line in ("MAIL FROM:<coco@example.test>", "RCPT TO:<friend@remote.test>", "RCPT TO:<mike@example.test>"):
            reply = client.command(line)
            if reply.code != 250:
                return reply
        return client.data(message(marker))


def arrived(sink, marker):
    return [taken for taken in list(sink.messages) if f"X-Marker: {marker}\r\n".encode() in taken.data]


@pytest.fixture
def waiting(marker):
    """(server, sink, what lets the sink take mail): one parcel has its 250, is in a mailbox, and waits for the sink."""
    sink = FakeServer(on=LATER).start()
    server = Instance(route=sink.endpoint, settings={"retry_schedule": ["1"]})
    try:
        server.start()
        assert submit(server, marker) == 250
        for state in ("deferred", "delivered"):
            server.wait_rows("select 1 from parcels where state = ?", state)
        yield server, sink
    finally:
        server.stop(check=False)
        server.remove()
        sink.stop()


def users_anew(server):
    gone(server.path("state", "users.db"))
    for user in USERS:
        server.add_user(user)
    server.give_away()


REFUSES, GOES_ON = "no start: the log names the file and says what mends it; rebuilt, it starts, and the mail arrives", "made anew from the journal; the mail arrives"
LACKS = "no start, for its users would be refused for good: the log names the file and says what mends it; the mail in the queue arrives when it is there"
AT_THE_START = [
    Fault("gone", "parcelpost.db, at the start", GOES_ON, damage=gone, file="parcelpost.db", starts=True),
    Fault("empty", "parcelpost.db, at the start", GOES_ON, damage=empty, file="parcelpost.db", starts=True),
    Fault("no database", "parcelpost.db, at the start", REFUSES, damage=no_database, file="parcelpost.db", starts=False),
    Fault("cut in half", "parcelpost.db, at the start", REFUSES, damage=half, file="parcelpost.db", starts=False),
    Fault("bytes flipped in its pages", "parcelpost.db, at the start", REFUSES, damage=flipped, file="parcelpost.db", starts=False),
    Fault("its header overwritten", "parcelpost.db, at the start", REFUSES, damage=no_header, file="parcelpost.db", starts=False),
    Fault("gone", "users.db, at the start", LACKS, damage=gone, file="users.db", starts=False, said="is gone, and this server has run with one: put it back"),
    Fault("empty", "users.db, at the start", LACKS, damage=empty, file="users.db", starts=False, said="is gone, and this server has run with one: put it back"),
    Fault("no database", "users.db, at the start", "no start: the log names the file; the mail in the queue arrives when it is mended", damage=no_database,
          file="users.db", starts=False),
    Fault("cut in half", "users.db, at the start", "no start: the log names the file; the mail in the queue arrives when it is mended", damage=half,
          file="users.db", starts=False),
]


@matrix("Database and spool", AT_THE_START)
def test_a_damaged_database_at_the_start_costs_no_mail(waiting, marker, row):
    server, sink = waiting
    server.halt()
    path, before = server.path("state", row.file), len(server.log_text())
    row.damage(path)
    server.spawn()
    if not row.starts:
        assert server.daemon.process.wait(60) == CANT_CREATE
        said = server.log_text()[before:]
        assert getattr(row, "said", f"{path}: cannot be opened: ") in said and path in said, said
        if row.file == "parcelpost.db":
            assert "; parcelpost queue rebuild makes it anew" in said, said
            server.command("queue", "rebuild")
        else:
            users_anew(server)
        server.spawn()
    server.wait_log("is ready", after=before)
    sink.behaviour["on"] = {}
    wait_for(lambda: arrived(sink, marker), "the mail that waited", explain=server.log_tail)
    assert len(server.mails("mike@example.test")) == 1


IN_THE_RUN = [
    Fault("gone", "parcelpost.db, while the server runs", "451, and a line in the log; after the next start all goes on", damage=gone, file="parcelpost.db"),
    Fault("no database", "parcelpost.db, while the server runs", "451, and a line in the log; rebuilt, all goes on", damage=no_database, file="parcelpost.db"),
    Fault("empty", "parcelpost.db, while the server runs", "451, and a line in the log; after the next start all goes on", damage=empty, file="parcelpost.db"),
    Fault("bytes flipped in its pages", "parcelpost.db, while the server runs", "451 to whom it concerns, and a line in the log; rebuilt, all goes on",
          damage=flipped, file="parcelpost.db"),
    Fault("gone", "users.db, while the server runs", "451, and a line in the log: nobody is refused for good", damage=gone, file="users.db"),
    Fault("no database", "users.db, while the server runs", "451, and a line in the log: nobody is refused for good", damage=no_database, file="users.db"),
    Fault("empty", "users.db, while the server runs", "451, and a line in the log: nobody is refused for good", damage=empty, file="users.db"),
]


@matrix("Database and spool", IN_THE_RUN)
def test_a_database_that_is_damaged_under_a_running_server_costs_no_mail(waiting, marker, row):
    server, sink = waiting
    path, before, accepted = server.path("state", row.file), len(server.log_text()), [marker]
    row.damage(path)
    replies = [submit(server, f"{marker}-{number}") for number in range(4)]
    accepted += [f"{marker}-{number}" for number, reply in enumerate(replies) if reply.code == 250]
    assert all(reply.code == 250 or reply.code in PUT_OFF for reply in replies) and len(accepted) < 5, replies
    server.wait_log(rf"error \w+\[\d+\].*({row.file}|cannot be read)", after=before)
    sink.behaviour["on"] = {}
    server.halt()
    server.spawn()
    if row.file == "users.db":
        assert server.daemon.process.wait(60) == CANT_CREATE
        users_anew(server)
        server.spawn()
    elif row.damage in (no_database, flipped):
        assert server.daemon.process.wait(60) == CANT_CREATE
        server.command("queue", "rebuild")
        server.spawn()
    wait_for(lambda: all(arrived(sink, one) for one in accepted), "every accepted message", explain=server.log_tail)
    wait_for(lambda: len(server.mails("mike@example.test")) >= len(accepted), "every accepted message in the mailbox", explain=server.log_tail)


@fault("Database and spool", "locked for long by another program", "parcelpost.db", "waited for once; then 451 or 452 at once, and a line in the log; when it is free all goes on, and what had its 250 arrives")
def test_a_database_that_stays_locked_puts_mail_off_and_goes_on_when_it_is_free(waiting, marker):
    server, sink = waiting
    before, accepted = len(server.log_text()), [marker]
    holder = sqlite3.connect(server.database, isolation_level=None)
    holder.execute("begin immediate")
    replies = []
    while not replies or replies[-1].code == 250:
        replies.append(submit(server, f"{marker}-{len(replies)}"))
        assert len(replies) < 50
    accepted += [f"{marker}-{number}" for number in range(len(replies) - 1)]
    assert replies[-1].code in PUT_OFF, replies
    server.wait_log(r"error ledger\[\d+\].*database is locked", after=before)
    begin = time.monotonic()
    assert submit(server, f"{marker}-once-more").code in PUT_OFF and time.monotonic() - begin < BUSY_SECONDS  # it is not waited for again
    holder.execute("rollback")
    holder.close()
    wait_for(lambda: submit(server, f"{marker}-after") == 250, "new mail", explain=server.log_tail)
    sink.behaviour["on"] = {}
    wait_for(lambda: all(arrived(sink, one) for one in [*accepted, f"{marker}-after"]), "every accepted message", explain=server.log_tail)


@fault("Database and spool", "locked for long by another program", "parcelpost.db, at a SIGHUP that brings a domain",
       "a line in the log; when it is free the domain's mail is taken, where it would have been refused for good")
def test_a_domain_that_could_not_be_written_at_a_reload_is_ours_when_the_database_is_free(waiting):
    server, _ = waiting
    holder = sqlite3.connect(server.database, isolation_level=None)
    holder.execute("begin immediate")
    server.settings["local_domains"] = ["example.test", "new.test"]
    server.write_configuration()
    server.reload()
    server.wait_log("local_domains cannot be written: database is locked")
    holder.execute("rollback")
    holder.close()
    server.wait_rows("select 1 from domains where domain = 'new.test'")
    with server.talk("mx", fresh_source()) as client:
        client.ehlo()
        assert client.command("MAIL FROM:<someone@example.net>") == 250
        assert client.command("RCPT TO:<postmaster@new.test>") == 250


@fault("Database and spool", "EROFS", "the spool's file system, at the start", "no start: the line says so; when it is writable again, what had its 250 arrives")
def test_a_spool_that_has_become_read_only_stops_the_start(marker):
    where = tempfile.mkdtemp(prefix="parcelpost-disk-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0777", "tmpfs", where], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        os.rmdir(where)
        pytest.skip("only root can mount a disk")
    sink = FakeServer(on=LATER).start()
    server = Instance(route=sink.endpoint, settings={"retry_schedule": ["1"], "queue": os.path.join(where, "queue"), "queue_minimum_free": 0,
                                                     "journal_segment_size": 1 << 20, "journal_max_message": 1 << 16})
    try:
        server.start()
        assert submit(server, marker) == 250
        server.wait_rows("select 1 from parcels where state = 'deferred'")
        before = len(server.log_text())
        server.halt()
        subprocess.run(["mount", "-o", "remount,ro", where], check=True)
        server.spawn()
        assert server.daemon.process.wait(60) == CANT_CREATE
        assert os.strerror(errno.EROFS) in server.log_text()[before:]
        subprocess.run(["mount", "-o", "remount,rw", where], check=True)
        sink.behaviour["on"] = {}
        server.spawn()
        wait_for(lambda: arrived(sink, marker), "the mail that waited", explain=server.log_tail)
    finally:
        server.stop(check=False)
        server.remove()
        sink.stop()
        subprocess.run(["umount", "-l", where], check=True)
        os.rmdir(where)


def segment_of(server, marker):
    """(path, contents, where the marker lies) of the journal's segment that holds it."""
    folder = os.path.join(server.queue, "journal")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as stream:
            bytes_of = stream.read()
        if name.isdigit() and marker.encode() in bytes_of:
            return os.path.join(folder, name), bytes_of, bytes_of.index(marker.encode())
    raise AssertionError(f"{marker} is in no segment")


def overwrite(path, at, data):
    with open(path, "r+b") as stream:
        stream.seek(at)
        stream.write(data)


TOLD = r"error ledger\[\d+\]: journal segment \d+, bytes \d+ to \d+, mail {}: damaged, .* kept in (\S+\.damaged)$"
DAMAGED_MAIL = [
    Fault("bytes flipped in a message", "a record of the journal, at the start, with rows that are gone", "the log names mail and place, its bytes are kept aside; all other mail arrives",
          rows=False, front=False),
    Fault("bytes flipped in a message", "a record of the journal, at the start, with its rows", "the log names the mail, which stays in the queue; all other mail arrives", rows=True, front=False),
    Fault("its beginning overwritten", "a segment of the journal, at the start", "the log names it, it is kept aside; what lies in others arrives", rows=False, front=True),
]


@matrix("Database and spool", DAMAGED_MAIL)
def test_damage_in_the_journal_costs_no_mail_but_what_it_hit(marker, row):
    with FakeServer() as sink, Instance(route=sink.endpoint, settings={"runner": "cron"}) as server:
        names = [f"{marker}-{letter}." for letter in "abc"]
        ids = [re.search(r"id=(\S+)", submit(server, name).text).group(1) for name in names]
        server.kill_all()
        path, _, at = segment_of(server, names[1])
        if row.front:
            overwrite(path, 0, os.urandom(40))
            server.launch()
            ids.append(re.search(r"id=(\S+)", submit(server, names[0].replace("-a", "-d")).text).group(1))
            server.kill_all()
        else:
            overwrite(path, at, b"?" * 8)
        if not row.rows:
            gone(server.database)
        before = len(server.log_text())
        server.launch()
        wanted = [f"{marker}-d."] if row.front else [names[0], names[2]]
        server.command(name="parcelpost-queue", check=False)
        wait_for(lambda: all(arrived(sink, name) for name in wanted), "what is whole", explain=server.log_tail)
        if row.front:
            kept = server.wait_log(r"error ledger\[\d+\]: journal segment \d+: its beginning is damaged, .* kept as (\S+\.damaged)$").group(1)
            with open(kept, "rb") as stream:
                assert names[0].encode() in stream.read()
        elif row.rows:
            server.wait_log(f"error .*{ids[1]}.*cannot be read", after=before)
            assert server.sql("select count(*) from parcels where mail_id = ? and state in ('queued', 'deferred')", ids[1])[0][0] == 2
        else:
            kept = server.wait_log(TOLD.format(ids[1]), after=before).group(1)
            with open(kept, "rb") as stream:
                assert b"friend@remote.test" in stream.read()
        assert not arrived(sink, names[1])
