"""Many messages at once: over 50 connections, to a server with a real Dovecot and a remote Postfix behind it, each arrives
exactly once for each of its recipients, byte for byte but for the fields that servers add on top.

A small number for every day; PARCELPOST_VOLUME=2000 (make volume) for the whole.
"""
import os
import random
import shutil
import tempfile
import time

import pytest

from lib.instance import DOMAIN, Instance
from lib.postfix import Postfix
from lib.traffic import Letter, Senders, collected, folder_arrivals, local_arrivals, state_faults, unfinished
from lib.waiting import wait_for

COUNT = int(os.environ.get("PARCELPOST_VOLUME") or 60)
CONNECTIONS = 50
LOCAL = [f"{name}@{DOMAIN}" for name in ("coco", "mike", "anna", "bert", "cleo", "dora", "emil", "fred", "gina", "hans")]
REMOTE = [f"friend{number}@remote.test" for number in range(90)]
KIB = 1024


def size_and_count(number, chance):
    """Most messages are small, most large ones go to few; the extremes are always among them."""
    extremes = [(1 * KIB, 100), (5 * KIB * KIB, 100 if COUNT >= 1000 else 5), (1 * KIB, 1), (64 * KIB, 10), (KIB * KIB, 3), (KIB * KIB + 9000, 3)]
    if number < len(extremes):
        return extremes[number]
    low, high, most = chance.choice([(1, 64, 100)] * 16 + [(64, 1024, 25)] * 3 + [(1024, 5 * 1024, 8)])
    return int(KIB * low * (high / low) ** chance.random()), int(most ** chance.random())


def make_letter(number, chance):
    size, count = size_and_count(number, chance)
    local = min(chance.randrange(0, count + 1), len(LOCAL))
    local = max(local, count - len(REMOTE))
    recipients = chance.sample(LOCAL, local) + chance.sample(REMOTE, count - local)
    chance.shuffle(recipients)
    return Letter(number, size, recipients)


@pytest.fixture
def postfix():
    if os.geteuid() != 0 or not os.path.exists("/usr/sbin/postfix"):
        pytest.skip("needs root and the package postfix")
    folder = tempfile.mkdtemp(prefix="parcelpost-postfix-")  # not pytest's, which is closed to the user who delivers
    try:
        with Postfix(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def served(postfix):
    with Instance(local="dovecot", route=postfix.endpoint, settings={"retry_schedule": ["2"], "contact_connection_limit": 1000}) as server:
        with open(server.path("dovecot", "passwd"), encoding="utf-8") as stream:
            model = stream.readline()
        with open(server.path("dovecot", "passwd"), "a", encoding="utf-8") as stream:
            stream.writelines(model.replace(LOCAL[0], address, 1) for address in LOCAL[2:])
        for address in LOCAL[2:]:
            server.add_user(address)
        yield server


def faults_of(letters, found):
    faults = []
    for letter in letters:
        for recipient in letter.recipients:
            copies = found.pop((letter.marker, recipient), [])
            what = f"{letter.marker} {letter.mail_id} of {letter.size} bytes for {recipient}"
            if len(copies) != 1:
                faults.append(f"{what} came {len(copies)} times")
            for copy in copies:
                if copy.digest != letter.digest:
                    faults.append(f"{what} was changed")
                if copy.strange_fields():
                    faults.append(f"{what} has odd added fields {copy.strange_fields()}")
                if copy.mail_id != letter.mail_id:
                    faults.append(f"{what} bears the id {copy.mail_id}")
    return faults + [f"{marker} came for {recipient}, whom nobody named" for marker, recipient in found]


@pytest.mark.alone
def test_every_message_arrives_once_and_unchanged(served, postfix,):
    chance = random.Random(COUNT)
    letters = [make_letter(number, chance) for number in range(COUNT)]
    parcels, size = sum(len(letter.recipients) for letter in letters), sum(letter.size for letter in letters)
    began = time.monotonic()
    senders = Senders(served.internal_port, letters, CONNECTIONS)
    wait_for(lambda: not senders.running(), "all messages to be accepted", timeout=60 + COUNT, explain=lambda: f"{senders.problems}\n{served.log_tail()}")
    accepted = time.monotonic() - began
    assert not senders.problems, f"{senders.problems}\n{served.log_tail()}"
    ids = [letter.mail_id for letter in letters]
    assert len(set(ids)) == len(letters)
    wait_for(lambda: not unfinished(served, ids), "every parcel to end", timeout=60 + COUNT, explain=lambda: served.parcels_text() + served.log_tail())
    delivered = time.monotonic() - began
    # Postfix has its queue still; its Maildir fills.
    remote = sum(recipient.endswith("@remote.test") for letter in letters for recipient in letter.recipients)
    new = os.path.join(postfix.folder, "mail", "new")
    wait_for(lambda: os.path.isdir(new) and len(os.listdir(new)) >= remote, f"{remote} messages in Postfix's mailbox", timeout=60 + COUNT,
             explain=lambda: postfix.log_text()[-3000:])
    print(f"{COUNT} messages, {size / 1e6:.0f} MB, {parcels} parcels ({remote} remote): accepted in {accepted:.1f} s, delivered in {delivered:.1f} s, "
          f"in Postfix's mailbox after {time.monotonic() - began:.1f} s")
    found = collected(local_arrivals(served, LOCAL), folder_arrivals(os.path.join(postfix.folder, "mail")))
    faults = faults_of(letters, found) + state_faults(served, letters)
    assert not faults, "\n".join([f"{len(faults)} faults", *faults[:30]])
    states = {(row[0], row[1]): row[2] for row in served.sql("select state, delivery, count(*) from parcels group by 1, 2")}
    assert states == {("delivered", "local"): parcels - remote, ("delivered", "remote"): remote}


