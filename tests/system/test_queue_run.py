"""parcelpost-queue, as cron runs it: with the daemon up and down, with runner = cron and resident; its exit status; two
runs at once; and `parcelpost queue rebuild`, after which nobody gets anything twice."""
import os
import subprocess

import pytest

from lib.fake_server import FakeServer
from lib.instance import Instance
from lib.messages import message
from lib.place import program
from lib.talker import fresh_source
from lib.waiting import wait_for

NOTHING_LEFT, AN_ERROR, DEFERRED = 0, 1, 75
SETTINGS = {"retry_schedule": ["3600"]}


class Place:
    """An instance whose remote mail goes to a sink that puts off later@remote.test."""

    def __init__(self, runner):
        self.sink = FakeServer(on={"RCPT": {"later@remote.test": "450 4.2.0 later"}}).start()
        self.server = Instance(settings={**SETTINGS, "runner": runner}, route=self.sink.endpoint).start()
        self.down = False

    def close(self, check):
        self.server.stop(check=check)
        self.server.remove()
        self.sink.stop()

    def submit(self, marker, *recipients):
        with self.server.talk("internal", fresh_source()) as client:
            client.ehlo()
            return client.mail("coco@example.test", recipients, message(marker)).text.rpartition("id=")[2]

    def run(self, *mail_ids, status=None):
        got, output = self.server.command(*mail_ids, check=False, name="parcelpost-queue")
        assert status is None or got == status, f"{got}: {output}\n{self.server.parcels_text()}{self.server.log_tail()}"
        return got

    def states(self, mail_id):
        return {row["to_url"]: row["state"] for row in self.server.sql("select to_url, state from parcels where mail_id = ?", mail_id)}

    def arrived(self, marker):
        """The recipients at the sink, one for each time they got it."""
        return sorted(name for taken in list(self.sink.messages) if marker.encode() in taken.data for name in taken.accepted_for)


@pytest.fixture(scope="module", params=["cron", "resident"])
def place(request):
    made = Place(request.param)
    yield made
    made.close(check=not request.session.testsfailed)


@pytest.fixture(params=["up", "down"])
def daemon(place, request):
    """Says after which preparations the daemon goes down, and brings it back."""
    def ready():
        if request.param == "down":
            place.server.halt()
    yield ready
    if not place.server.daemon.running():
        place.server.launch()


def test_a_run_delivers_what_is_due_and_its_status_says_what_is_left(place, daemon, marker):
    resident = place.server.settings["runner"] == "resident"
    mail_id = place.submit(marker, "mike@example.test", "friend@remote.test", "later@remote.test")
    if resident:  # at once, and later@ waits for an hour
        place.server.wait_parcels(mail_id, "delivered", "deferred")
    else:
        assert set(place.states(mail_id).values()) == {"queued"}
    daemon()
    place.run(status=NOTHING_LEFT if resident else DEFERRED)
    assert place.states(mail_id) == {"mike@example.test": "delivered", "friend@remote.test": "delivered", "later@remote.test": "deferred"}
    assert place.arrived(marker) == ["friend@remote.test"]
    # Its hour has not come: nothing is due. Named, it is tried whatever its time.
    place.run(status=NOTHING_LEFT)
    place.run(mail_id, status=DEFERRED)
    place.sink.behaviour["on"]["RCPT"].clear()
    try:
        place.run(mail_id, status=NOTHING_LEFT)
    finally:
        place.sink.behaviour["on"]["RCPT"]["later@remote.test"] = "450 4.2.0 later"
    assert place.arrived(marker) == ["friend@remote.test", "later@remote.test"]
    assert len([mail for mail in place.server.mails("mike@example.test") if marker.encode() in mail]) == 1


def test_two_runs_at_once_deliver_once(place, daemon, marker):
    mail_ids = [place.submit(f"{marker}-{number}", "friend@remote.test", "mike@example.test") for number in range(5)]
    daemon()
    runs = [subprocess.Popen([program("parcelpost-queue"), "-c", place.server.configuration], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             cwd=place.server.directory, env={**os.environ, **place.server.process_environment()},
                             **({"user": 65534, "group": 65534, "extra_groups": []} if place.server.drop else {}))
            for _ in range(2)]
    ended = [(one.communicate(timeout=60)[0], one.returncode) for one in runs]
    assert {status for _, status in ended} <= {NOTHING_LEFT, DEFERRED} and NOTHING_LEFT in {status for _, status in ended}, ended
    place.run()
    for number, mail_id in enumerate(mail_ids):
        place.server.wait_parcels(mail_id, "delivered")
        assert place.arrived(f"{marker}-{number}") == ["friend@remote.test"]
    assert len([mail for mail in place.server.mails("mike@example.test") if marker.encode() in mail]) == len(mail_ids)


def test_an_unreadable_queue_file_is_kept_and_does_not_stop_a_run(place, daemon, marker):
    broken = place.submit(f"{marker}-broken", "later@remote.test")
    place.run(broken, status=DEFERRED)
    path = os.path.join(place.server.queue, "mail", broken)
    good = place.submit(f"{marker}-good", "friend@remote.test")
    with open(path, "r+b") as stream:
        stream.truncate(50)
    daemon()
    place.run(broken, good, status=AN_ERROR)
    assert place.states(good) == {"friend@remote.test": "delivered"} and place.arrived(f"{marker}-good") == ["friend@remote.test"]
    assert place.states(broken) == {"later@remote.test": "deferred"} and os.path.exists(path)
    place.server.command("queue", "remove", broken)
    wait_for(lambda: place.states(broken) == {"later@remote.test": "removed"}, "its removal")


def test_an_error_is_status_1(place, daemon):
    daemon()
    assert place.server.command("-c", "/nowhere/parcelpost.conf", check=False, name="parcelpost-queue")[0] == AN_ERROR


def test_rebuilding_the_database_repeats_no_finished_recipient(place, marker):
    """The database is deleted, wal and all; journal and files say who has had what."""
    mixed = place.submit(f"{marker}-mixed", "friend@remote.test", "later@remote.test", "mike@example.test")
    place.run(mixed, status=DEFERRED)
    whole = place.submit(f"{marker}-whole", "friend@remote.test", "mike@example.test")
    place.run(whole)
    place.server.wait_parcels(whole, "delivered")
    held = place.submit(f"{marker}-held", "later@remote.test")
    place.run(held, status=DEFERRED)
    place.server.command("queue", "hold", held)
    wait_for(lambda: set(place.states(held).values()) == {"held"}, "the hold")
    # What has not been tried at all, if this place has a runner that waits to be asked.
    waiting = place.submit(f"{marker}-waiting", "friend@remote.test")
    assert place.server.command("queue", "rebuild", check=False)[0] != 0, "the server runs: its database stays"
    place.server.halt()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(place.server.database + suffix):
            os.unlink(place.server.database + suffix)
    place.server.command("queue", "rebuild")
    assert place.states(mixed)["later@remote.test"] in ("queued", "deferred") and set(place.states(held).values()) == {"held"}
    place.sink.behaviour["on"]["RCPT"].clear()
    place.server.launch()
    place.run()
    place.run(mixed)
    wait_for(lambda: place.arrived(f"{marker}-mixed") == ["friend@remote.test", "later@remote.test"], "the rest", explain=place.server.parcels_text)
    wait_for(lambda: place.arrived(f"{marker}-waiting") == ["friend@remote.test"], "the mail that waited", explain=place.server.parcels_text)
    assert place.arrived(f"{marker}-whole") == ["friend@remote.test"] and not place.arrived(f"{marker}-held")
    assert len([mail for mail in place.server.mails("mike@example.test") if marker.encode() in mail]) == 2
    place.server.wait_parcels(waiting, "delivered")
    place.sink.behaviour["on"]["RCPT"]["later@remote.test"] = "450 4.2.0 later"
    place.server.command("queue", "remove", held)
