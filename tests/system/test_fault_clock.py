"""The machine's clock set back and forward, by hours and days, while mail waits and contacts are locked out: what waits keeps the time
that it still had to wait. Nothing expires early, nothing is tried in a storm, nobody is locked out for ever."""
import os
import signal
import time

import pytest

from lib.fake_server import FakeServer
from lib.faults import Fault, fault, matrix
from lib.instance import Instance
from lib.messages import message
from lib.set_clock import SetClock
from lib.talker import fresh_source
from lib.waiting import wait_for

HOUR, DAY = 3600, 86400
LATER = {"GREETING": "421 4.3.2 later|CLOSE"}


class Place:
    """A server whose clock can be set, with a parcel that waits an hour for its next attempt and expires after two days."""

    def __init__(self, pause=HOUR, lifetime=None):
        """lifetime: that of a route block's own."""
        self.sink = FakeServer(on=LATER).start()
        own = f'route "remote.test" {{ host = "{self.sink.endpoint}"\n queue_lifetime = {lifetime} }}' if lifetime else ""
        self.server = Instance(route=self.sink.endpoint, extra=own, preload="clock", settings={
            "retry_schedule": [str(pause)], "queue_lifetime": 2 * DAY, "delay_warning": 0, "prohibited_seconds": HOUR, "max_failed_msgs_per_period": 1})
        self.clock = SetClock(self.server)
        self.set = self.clock.set

    def jump(self, seconds):
        """To so many seconds from the true time, and waits until the server has noticed it."""
        before = len(self.server.log_text())
        self.set(seconds)
        self.server.wait_log(r"the clock was set by -?\d+ s: what waits, and lockouts, were moved with it", after=before)

    def submit(self, marker):
        with self.server.talk("internal", fresh_source()) as client:
            client.ehlo()
            assert client.mail("coco@example.test", "friend@remote.test", message(marker)) == 250
        self.server.wait_rows("select 1 from parcels where state = 'deferred'")

    def pause(self):
        """(seconds until the parcel's next attempt, seconds until it expires), by the clock of the server; None: it waits no more."""
        rows = self.server.sql("select strftime('%s', retry_at) - strftime('%s', 'now') pause, strftime('%s', expires_at) - strftime('%s', 'now') life "
                               "from parcels where state = 'deferred'")
        offset = self.clock.offset()
        return (rows[0]["pause"] - offset, rows[0]["life"] - offset) if rows else None


@pytest.fixture
def place():
    made = Place()
    try:
        made.server.start()
        yield made
        made.server.stop()
    finally:
        made.server.stop(check=False)
        made.server.remove()
        made.sink.stop()


KEPT = "the next attempt and the end of patience stay as far away as they were; one line in the log"
JUMPS = [
    Fault("set forward by an hour", "mail waits in the queue", KEPT, jumps=(HOUR,)),
    Fault("set forward by ten days", "mail waits in the queue", KEPT + "; nothing expires", jumps=(10 * DAY,)),
    Fault("set back by an hour", "mail waits in the queue", KEPT, jumps=(-HOUR,)),
    Fault("set back by ten days", "mail waits in the queue", KEPT + "; it does not wait for ten days", jumps=(-10 * DAY,)),
    Fault("set back and forward by ten days", "mail waits in the queue", KEPT + "; nothing expires", jumps=(-10 * DAY, 0)),
    Fault("set forward and back by ten days", "mail waits in the queue", KEPT, jumps=(10 * DAY, 0)),
]


@matrix("Clock", JUMPS)
def test_mail_that_waits_keeps_its_pause_and_its_time_when_the_clock_is_set(place, marker, row):
    place.submit(marker)
    for offset in row.jumps:
        place.jump(offset)
        pause, life = place.pause()
        assert HOUR - 120 <= pause <= 1.1 * HOUR + 5 and 2 * DAY - 120 <= life <= 2 * DAY + 5, (offset, pause, life)
    assert len(place.server.sql("select 1 from attempts")) == 1
    place.sink.behaviour["on"] = {}
    place.server.command("queue", "retry", place.server.sql("select mail_id from mails")[0][0])
    wait_for(lambda: place.sink.messages, "the mail", explain=place.server.log_tail)


@fault("Clock", "two years slow after the machine was started again, then set right", "mail waits in the queue", "what was written by the right clock stays as it is")
def test_a_machine_that_starts_without_a_clock_does_not_move_what_was_written_by_a_right_one(place, marker):
    place.submit(marker)
    place.server.halt()
    with open(os.path.join(place.server.queue, "journal", "clock"), "w", encoding="ascii") as stream:
        stream.write("another start of the machine 0\n")
    place.set(-730 * DAY)
    place.server.launch()
    place.jump(0)
    pause, life = place.pause()
    assert HOUR - 120 <= pause <= 1.1 * HOUR + 5 and 2 * DAY - 120 <= life <= 2 * DAY + 5, (pause, life)


@matrix("Clock", [Fault("set forward by ten days, while no server runs", "mail waits in the queue", KEPT + "; nothing expires", offset=10 * DAY),
                  Fault("set back by ten days, while no server runs", "mail waits in the queue", KEPT + "; it does not wait for ten days", offset=-10 * DAY)])
def test_a_clock_that_is_set_while_no_server_runs_is_noticed_at_the_start(place, marker, row):
    place.submit(marker)
    place.server.halt()
    place.set(row.offset)
    before = len(place.server.log_text())
    place.server.launch()
    place.server.wait_log("the clock was set by", after=before)
    pause, life = place.pause()
    assert HOUR - 120 <= pause <= 1.1 * HOUR + 5 and 2 * DAY - 120 <= life <= 2 * DAY + 5, (pause, life)
    assert len(place.server.sql("select 1 from attempts")) == 1


@fault("Clock", "put right by 40 seconds, twice, and the server started again", "mail waits in the queue", "a clock that is kept right was not set: nothing is moved")
def test_small_steps_of_the_clock_add_up_to_no_jump_at_the_next_start(place, marker):
    place.submit(marker)
    before = len(place.server.log_text())
    for offset in (40, 80):
        place.set(offset)
        time.sleep(2.5)  # the ledger looks each second
    place.server.halt()
    place.server.launch()
    time.sleep(1.5)
    assert "the clock was set by" not in place.server.log_text()[before:]


@fault("Clock", "set forward by ten days", "mail waits, and its route has a queue_lifetime of its own", "it is tried again and put off, not returned")
def test_a_routes_own_lifetime_is_no_shorter_when_the_clock_is_set(marker):
    place = Place(lifetime=DAY)
    server = place.server
    try:
        server.start()
        place.submit(marker)
        place.jump(10 * DAY)
        server.restart()  # so that all is read from rows
        server.command("queue", "retry", server.sql("select mail_id from mails")[0][0])
        server.wait_rows("select 1 from attempts where rowid = 2")
        server.wait_rows("select 1 from parcels where attempts = 2 or state = 'expired'")
        assert server.sql("select state from parcels")[0][0] == "deferred", server.parcels_text()
        server.stop()
    finally:
        server.stop(check=False)
        server.remove()
        place.sink.stop()


@fault("Clock", "the machine sleeps for eight hours", "mail waits in the queue",
       "time has passed: what fell due is tried at once, and nothing is moved; a line in the log")
def test_mail_that_fell_due_while_the_machine_slept_is_tried_when_it_wakes(place, marker):
    place.submit(marker)
    expires = place.server.sql("select expires_at from parcels")[0][0]
    place.sink.behaviour["on"] = {}
    place.set(0, slept=8 * HOUR)
    place.server.wait_log(r"the machine slept for 288\d\d s")
    wait_for(lambda: place.sink.messages, "the mail", explain=place.server.log_tail)
    assert "the clock was set" not in place.server.log_text()
    assert place.server.sql("select expires_at from parcels")[0][0] == expires


@fault("Clock", "set forward by ten days", "an agent has the mail in hand", "it is put off, not returned; then it has its pause and its time")
def test_mail_in_hand_does_not_expire_when_the_clock_is_set(place, marker):
    place.sink.behaviour["on"] = {"MAIL": "DRIP 451 4.3.2 later"}
    with place.server.talk("internal", fresh_source()) as client:
        client.ehlo()
        assert client.mail("coco@example.test", "friend@remote.test", message(marker)) == 250
    wait_for(lambda: "C: MAIL" in str(place.sink.sessions), "the agent to be at it", explain=place.server.log_tail)
    place.jump(10 * DAY)
    place.server.wait_rows("select 1 from parcels where state <> 'queued'")
    assert place.server.sql("select state from parcels")[0][0] == "deferred"
    pause, life = place.pause()
    assert HOUR - 120 <= pause <= 1.1 * HOUR + 5 and 2 * DAY - 120 <= life <= 2 * DAY + 5, (pause, life)


@fault("Clock", "set forward by ten days", "mail falls due before the ledger has noticed it", "it is tried when its row has been moved, and put off, not returned")
def test_mail_is_not_read_before_it_was_moved_with_the_clock(marker):
    place = Place(pause=5)
    server = place.server
    try:
        server.start()
        place.submit(marker)
        ledger = server.processes("ledger")[0][0]
        os.kill(ledger, signal.SIGSTOP)
        try:
            before = len(server.log_text())
            place.set(10 * DAY)
            time.sleep(7)  # the pause
        finally:
            os.kill(ledger, signal.SIGCONT)
        server.wait_log("the clock was set by", after=before)
        server.wait_rows("select 1 from attempts where rowid = 2")
        assert server.sql("select state from parcels")[0][0] == "deferred", server.parcels_text()
        server.stop()
    finally:
        server.stop(check=False)
        server.remove()
        place.sink.stop()


LOCKED = [
    Fault("set back by ten days", "a contact is locked out", "its lockout is no longer than it was", jumps=(-10 * DAY,)),
    Fault("set forward by ten days", "a contact is locked out", "its lockout is no shorter than it was", jumps=(10 * DAY,)),
]


@matrix("Clock", LOCKED)
def test_a_lockout_is_neither_longer_nor_shorter_when_the_clock_is_set(place, source, row):
    server = place.server
    server.command("contacts", "lock", source)
    wait_for(lambda: server.contact(source)["expires_at"], "the lockout")
    for offset in row.jumps:
        place.jump(offset)
        left, = server.sql("select strftime('%s', expires_at) - strftime('%s', 'now') from contacts where remote_ip = ?", source)[0]
        assert HOUR - 120 <= left - offset <= HOUR + 5
    server.command("contacts", "forgive", source)
    def greeted():
        try:
            with server.talk(source=source) as client:
                return client.greeting == 220
        except (AssertionError, OSError):
            return False
    wait_for(greeted, "the contact to be let in", explain=server.log_tail)
