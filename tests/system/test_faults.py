"""Disks that are full, fail or must not be written, and databases that are busy: the peer reads the right reply, the
operator one clear line, and nothing that got its 250 is lost."""
import contextlib
import errno
import mmap
import os
import signal
import sqlite3
import struct
import subprocess
import tempfile
import threading

import pytest

from lib.fake_server import FakeServer
from lib.faults import fault, faults
from lib.place import program
from lib.talker import fresh_source
from lib.waiting import wait_for

CANT_CREATE = 73


@pytest.fixture
def small_disk():
    """A file system of 24 MiB of its own, which the server's users can reach."""
    where = tempfile.mkdtemp(prefix="parcelpost-disk-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0777", "tmpfs", where], check=False, stderr=subprocess.DEVNULL)
    if mounted.returncode != 0:
        os.rmdir(where)
        pytest.skip("only root can mount a small disk")
    os.chmod(where, 0o777)
    yield where
    subprocess.run(["umount", "-l", where], check=True)
    os.rmdir(where)


def send(instance, marker, size=400, source=None):
    """The reply to one message for coco that holds the marker; TEXT of the first reply that is no 2xx or 3xx."""
    with instance.talk(source=source or fresh_source()) as client:
        client.ehlo()
        message = f"From: <a@example.net>\r\nSubject: {marker}.\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72)
        reply = client.mail("a@example.net", "coco@example.test", message)
        client.quit()
        return reply


@fault("Database and spool", "ENOSPC", "the spool's file system", "452 4.3.1; what had its 250 arrives, and new mail is taken when there is room")
def test_a_full_disk_is_a_452_and_everything_accepted_arrives_later(make_instance, small_disk, marker):
    sink = FakeServer(lmtp=True, on={"GREETING": "421 4.3.2 not now|CLOSE"}).start()
    settings = {"queue": os.path.join(small_disk, "queue"), "queue_minimum_free": 0, "journal_segment_size": 4 << 20, "retry_schedule": [1]}
    server = make_instance(settings=settings, local=f"127.0.0.1:{sink.port}")
    replies = [send(server, f"{marker}-{number}", 600_000) for number in range(60)]
    accepted = [f"{marker}-{number}." for number, reply in enumerate(replies) if reply.code == 250]
    refused = [reply for reply in replies if reply.code != 250]
    assert accepted and refused
    assert all(reply.text.startswith("452 4.3.1") for reply in refused), refused
    assert server.daemon.running()

    sink.behaviour["on"] = {}
    def arrived():
        return [name for name in accepted if any(f"Subject: {name}\r\n".encode() in message.data for message in sink.messages)]
    wait_for(lambda: len(arrived()) == len(accepted), "every accepted message", timeout=60, explain=server.log_tail)
    assert len(sink.messages) == len(accepted)
    wait_for(lambda: send(server, f"{marker}-after", 600_000).code == 250, "room for new mail", explain=server.log_tail)
    sink.stop()


def start_status(instance):
    done = subprocess.run(instance.wrapped(program("parcelpostd"), "-c", instance.configuration, "-f"), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60, check=False, cwd=instance.directory,
                          user=65534 if instance.drop else None)
    return done.returncode, done.stdout.decode("utf-8", "replace")


@fault("Database and spool", "a file in its place", "queue/, at the start", "no start: the line names it")
def test_a_queue_that_is_no_folder_stops_the_start(make_instance):
    instance = make_instance(start=False)
    instance.prepare_files()
    with open(instance.queue, "w", encoding="utf-8"):
        pass
    status, output = start_status(instance)
    assert status == CANT_CREATE and instance.queue in output and "is no directory" in output, output


@faults("Database and spool", *[("EACCES", f"the folder of {what}, at the start", "no start: the line names it") for what in ("the queue", "the database")])
@pytest.mark.parametrize("what", ["queue", "state"])
def test_a_folder_that_must_not_be_written_stops_the_start(make_instance, what):
    instance = make_instance(start=False, root=False)
    instance.prepare_files()
    os.makedirs(instance.path(what), exist_ok=True)
    os.chmod(instance.path(what), 0o555)
    instance.give_away()
    if not instance.drop and os.geteuid() == 0:
        pytest.skip("nothing is unwritable for root")
    status, output = start_status(instance)
    os.chmod(instance.path(what), 0o755)
    assert status == CANT_CREATE and instance.path(what) in output and os.strerror(errno.EACCES) in output, output


class Flushes:
    """The words of tests/shim/flush.c, as every process of the instance maps them."""

    def __init__(self, path):
        with open(path, "a+b") as stream:
            stream.truncate(24)
            os.chmod(path, 0o666)
            self.words = mmap.mmap(stream.fileno(), 24)

    def fail_next(self, count):
        self.words[16:24] = struct.pack("=Q", count)

    def failures_left(self):
        return struct.unpack("=Q", self.words[16:24])[0]


@fault("System calls", "EIO", "the flush of the journal", "451 4.3.0; the message never happened, also not after the next start")
def test_a_flush_that_fails_is_a_451_and_the_message_never_happened(make_instance, marker):
    sink = FakeServer(lmtp=True).start()
    server = make_instance(start=False, preload="flush", local=f"127.0.0.1:{sink.port}")
    server.environment["FLUSH_COUNTER"] = server.path("counter")
    flushes = Flushes(server.path("counter"))
    server.start()
    assert send(server, f"{marker}-before").code == 250
    wait_for(lambda: len(sink.messages) == 1, "the first message", explain=server.log_tail)
    server.wait_rows("select 1 from parcels where state = 'delivered'")
    flushes.fail_next(1)
    refused = send(server, f"{marker}-refused")
    assert refused.text.startswith("451 4.3.0 mail.example.test error: unable to save"), refused
    assert flushes.failures_left() == 0
    assert send(server, f"{marker}-after").code == 250
    server.kill_all()
    server.launch()
    assert send(server, f"{marker}-last").code == 250
    # the one before the kill may come twice: its result was perhaps not recorded
    wait_for(lambda: all(any(f"{marker}-{name}".encode() in message.data for message in sink.messages) for name in ("before", "after", "last")),
             "the other messages", explain=server.log_tail)
    assert not any(f"{marker}-refused".encode() in message.data for message in sink.messages)
    assert not server.sql("select 1 from parcels where mail_id = ?", refused.text.split("id=")[1].split()[0])
    sink.stop()


@fault("System calls", "EIO", "a flush of what an operator has ordered", "the operator reads that it may not last")
@pytest.mark.parametrize("order", ["queue retry MAIL", "contacts lock 192.0.2.1", "alias add info@example.test coco@example.test"])
def test_an_operator_is_not_told_that_something_is_done_which_may_not_last(make_instance, marker, order):
    server = make_instance(start=False, preload="flush", settings={"runner": "cron"})
    server.environment.update(FLUSH_COUNTER=server.path("counter"), FLUSH_FAILING=server.database + "-wal")
    flushes = Flushes(server.path("counter"))
    server.start()
    assert send(server, marker).code == 250
    words = order.replace("MAIL", server.sql("select mail_id from mails")[0][0]).split()

    def refused():
        flushes.fail_next(1)  # a checkpoint may take it
        status, output = server.command(*words, check=False)
        return status == 1 and "that could not be written, or may not last: see the log" in output
    wait_for(refused, "the order to be refused", explain=server.log_tail)
    server.wait_log(f"an operator's {' '.join(words[:2])} {words[2]}.* could not be flushed")
    assert "that could not" not in server.command(*words)


@fault("Database and spool", "locked for a moment by another program", "parcelpost.db", "it is waited for; 250")
def test_a_database_that_an_operator_holds_for_a_moment_is_waited_for(make_instance, marker):
    server = make_instance()
    holder = sqlite3.connect(server.database, isolation_level=None)
    assert send(server, f"{marker}-before").code == 250
    holder.execute("begin immediate")
    replies = []
    client = threading.Thread(target=lambda: replies.append(send(server, f"{marker}-held")))
    client.start()
    holder.execute("update contacts set hits = hits")
    holder.execute("commit")
    client.join()
    assert replies[0].code == 250
    server.wait_mail("coco@example.test", f"{marker}-held")


@faults("Processes", *[("hangs longer than service_timeout", name, "killed and replaced; the log says so")
                       for name in ("lookup", "resolver", "signer", "runner", "ledger")])
@pytest.mark.parametrize("name", ["lookup", "resolver", "signer", "runner", "ledger"])
def test_a_service_that_hangs_is_ended_and_replaced(make_instance, marker, name):
    server = make_instance(settings={"service_timeout": 2})
    hung = {pid for pid, _, _ in server.processes(name)}
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    server.wait_log(f"{name}\\[\\d+\\] has not reacted for \\d+ s: killed")
    wait_for(lambda: hung.isdisjoint(pid for pid, _, _ in server.processes(name)) and server.processes(name), f"another {name}",
             explain=server.log_tail)
    wait_for(lambda: send(server, marker).code == 250, "an accepted message", explain=server.log_tail)
    server.wait_mail("coco@example.test", marker)


@fault("Processes", "hangs in its start", "a signer", "killed and replaced; the log says so")
def test_a_service_that_hangs_in_its_start_is_ended_and_replaced(make_instance, marker):
    """Stopped before it was ready, when nobody asks it anything yet."""
    server = make_instance(settings={"service_timeout": 1, "signer_workers": 1, "log_level": "debug"})

    def signers():
        return {pid for pid, _, _ in server.processes("signer")}

    def caught():
        known = signers()
        server.daemon.send(signal.SIGHUP)
        pid = wait_for(lambda: next(filter(None, (signers() - known for _ in range(100))), None), "a new signer").pop()
        os.kill(pid, signal.SIGSTOP)
        try:
            return server.wait_log(rf"signer\[{pid}\] (is ready|has not become ready for \d+ s: killed)").group(1) != "is ready"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    wait_for(caught, "a signer that is stopped in its start", timeout=90, explain=server.log_tail)
    wait_for(lambda: send(server, marker).code == 250, "an accepted message", explain=server.log_tail)
    server.wait_mail("coco@example.test", marker)
