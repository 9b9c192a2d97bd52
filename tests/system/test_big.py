"""A message of 50 MiB: it passes with a receiver of a few MiB, arrives byte for byte, and leaves nothing half behind when
processes are killed in the middle of it."""
import contextlib
import os
import signal
import time

import pytest

from lib.instance import Instance
from lib.messages import message
from lib.place import SANITIZED
from lib.talker import fresh_source, stuffed
from lib.traffic import LOCAL, Letter, collected, local_arrivals, state_faults, unfinished
from lib.waiting import TIMEOUT, wait_for

MIB = 1024 * 1024
SIZE = 50 * MIB - 128 * 1024  # message_maximum is 50M; a letter is a piece longer than it says
RECEIVER_MAXIMUM = 8 * MIB
SETTINGS = {"retry_schedule": ["1"]}


@pytest.fixture(scope="module", params=["maildir", "dovecot"])
def server(request):
    with Instance(local=request.param, settings=SETTINGS) as instance:
        yield instance


@pytest.fixture(scope="module")
def letter():
    return Letter(1, SIZE, LOCAL)


def memory(pid):
    """Bytes of memory that are the process's own: neither its program's pages nor files in the cache."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
        fields = dict(line.split(":", 1) for line in stream if ":" in line)
    return sum(int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssShmem"))


def largest(server, name):
    sizes = [0]
    for pid, _, _ in server.processes(name):
        try:
            sizes.append(memory(pid))
        except (OSError, KeyError):
            pass
    return max(sizes)


def begin(client, recipients):
    client.ehlo()
    client.expect(250, "MAIL FROM:<someone@example.net> BODY=8BITMIME")
    for recipient in recipients:
        client.expect(250, f"RCPT TO:<{recipient}>")
    client.expect(354, "DATA")


def send_part(client, wire, begin_at, end_at, watch=lambda: None):
    for start in range(begin_at, end_at, MIB):
        client.socket.sendall(wire[start:min(start + MIB, end_at)])
        watch()


def spool_files(server):
    return [name for folder in ("tmp", "mail") for name in os.listdir(os.path.join(server.queue, folder))]


def copies_of(server, letter):
    return {recipient: copies for (marker, recipient), copies in collected(local_arrivals(server, LOCAL)).items() if marker == letter.marker}


def test_fifty_mebibytes_pass_through_a_receiver_of_a_few_and_arrive_unchanged(server, letter):
    wire, seen = stuffed(letter.data()), {"receiver": [0], "ledger": [0]}

    def watch():
        for name, sizes in seen.items():
            sizes.append(largest(server, name))
    with server.talk(source=fresh_source(), timeout=120) as client:
        begin(client, letter.recipients)
        send_part(client, wire, 0, len(wire), watch)
        reply = client.reply()
        watch()
    assert reply.code == 250, reply.text
    letter.mail_id = reply.text.rpartition("id=")[2]
    peaks = {name: max(sizes) for name, sizes in seen.items()}
    print({name: f"{size / MIB:.1f} MiB" for name, size in peaks.items()})
    assert SANITIZED or MIB // 16 < peaks["receiver"] < RECEIVER_MAXIMUM, peaks
    wait_for(lambda: not unfinished(server, [letter.mail_id]), "its delivery", timeout=120, explain=lambda: server.parcels_text() + server.log_tail())
    arrived = copies_of(server, letter)
    assert {recipient: [copy.digest for copy in copies] for recipient, copies in arrived.items()} == {name: [letter.digest] for name in LOCAL}
    assert not [copy.strange_fields() for copies in arrived.values() for copy in copies if copy.strange_fields()]
    assert not state_faults(server, [letter])
    wait_for(lambda: not spool_files(server), "the spool to be empty")


@pytest.mark.parametrize("victim", ["receiver", "ledger", "all"])
def test_a_kill_in_the_middle_of_a_big_message_leaves_nothing_of_it(server, victim):
    if server.dovecot:
        pytest.skip("what happens before the 250 is the same for every way of delivery")
    letter = Letter(2, 6 * MIB, LOCAL)
    wire, source = stuffed(letter.data()), fresh_source()
    with server.talk(source=source, timeout=120) as client:
        begin(client, letter.recipients)
        send_part(client, wire, 0, 3 * MIB)
        wait_for(lambda: spool_files(server), "the file under way")
        if victim == "all":
            server.kill_all()
            server.launch()
        else:
            server.kill(victim)
        client.socket.close()
    wait_for(lambda: not spool_files(server), "the file under way to go", explain=lambda: f"{spool_files(server)}\n{server.log_tail()}")
    # Whatever comes now comes after it.
    with server.talk(source=source) as client:
        client.ehlo()
        later = client.mail("someone@example.net", LOCAL[0], message(f"after-{letter.marker}")).text.rpartition("id=")[2]
    server.wait_parcels(later, "delivered")
    assert not copies_of(server, letter)
    assert [row[0] for row in server.sql("select mail_id from mails where remote_ip = ?", source)] == [later]


def half_written(server):
    """Files that a delivery has begun and not finished."""
    folder = server.path("dovecot" if server.dovecot else ".", "mail", "example.test", LOCAL[0].split("@")[0], "tmp")
    return [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []


@pytest.mark.parametrize("victim", ["agent", "runner", "ledger", "all"])
def test_a_kill_in_the_middle_of_a_big_delivery_leaves_no_half_message(server, victim):
    """A mailbox never shows a part of it; in the end it is there, whole."""
    if server.dovecot and victim in ("runner", "ledger"):
        pytest.skip("to these the way of delivery makes no difference")
    letter = Letter(3, 20 * MIB, [LOCAL[0]])
    for path in half_written(server):  # by an agent that was killed before
        with contextlib.suppress(FileNotFoundError):  # Dovecot removes its own
            os.unlink(path)
    with server.talk(source=fresh_source(), timeout=120) as client:
        begin(client, letter.recipients)
        client.socket.sendall(stuffed(letter.data()))
        letter.mail_id = client.reply().text.rpartition("id=")[2]
    limit = time.monotonic() + TIMEOUT
    while not half_written(server) and unfinished(server, [letter.mail_id]):
        assert time.monotonic() < limit, server.log_tail()  # without a pause: it takes a few milliseconds
    if victim == "all":
        server.kill_all()
        server.launch()
    else:
        for pid, _, _ in server.processes(victim):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    wait_for(lambda: not unfinished(server, [letter.mail_id]), "its delivery", timeout=120, explain=lambda: server.parcels_text() + server.log_tail())
    copies = copies_of(server, letter)[LOCAL[0]]
    assert 1 <= len(copies) <= 2 and {copy.digest for copy in copies} == {letter.digest}
    assert not state_faults(server, [letter])
