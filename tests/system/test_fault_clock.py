"""The machine's clock set back and forward, by hours and days, while mail waits and contacts are locked out: what waits keeps the time
that it still had to wait. Nothing expires early, nothing is tried in a storm, nobody is locked out for ever."""
import contextlib
import os
import signal
import sqlite3
import time

import pytest

from lib.fake_server import FakeServer
from lib.faults import Fault, fault, matrix
from lib.instance import Instance
from lib.messages import message
from lib.processes import switches
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


@contextlib.contextmanager
def running(**options):
    made = Place(**options)
    try:
        with made.server:
            yield made
    finally:
        made.sink.stop()


@pytest.fixture(name="place")
def place_fixture():
    with running() as made:
        yield made


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
    with running(lifetime=DAY) as place:
        server = place.server
        place.submit(marker)
        place.jump(10 * DAY)
        server.restart()  # so that all is read from rows
        server.command("queue", "retry", server.sql("select mail_id from mails")[0][0])
        server.wait_rows("select 1 from attempts where rowid = 2")
        server.wait_rows("select 1 from parcels where attempts = 2 or state = 'expired'")
        assert server.sql("select state from parcels")[0][0] == "deferred", server.parcels_text()


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


@pytest.mark.parametrize("lifetime", [None, DAY], ids=["everybody's lifetime", "a route's own lifetime"])
def test_time_in_hold_does_not_count_what_is_released_is_tried_and_goes_on_waiting(marker, lifetime):
    with running(lifetime=lifetime) as place:
        server = place.server
        place.submit(marker)
        mail_id = server.sql("select mail_id from mails")[0][0]
        server.command("queue", "hold", mail_id)
        place.set(0, slept=10 * DAY)
        server.wait_log("the machine slept for")
        server.command("queue", "release", mail_id)
        server.wait_rows("select 1 from attempts where rowid = 2")
        server.wait_rows("select 1 from parcels where attempts = 2 or state = 'expired'")
        assert server.sql("select state from parcels")[0][0] == "deferred", server.parcels_text()


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


@contextlib.contextmanager
def unnoticed(server):
    """What happens inside, and mail that falls due behind it, the ledger hears of too late: when the runner has looked for it."""
    ledger, runner = (server.processes(name)[0][0] for name in ("ledger", "runner"))
    due = int(server.sql("select strftime('%s', retry_at) from parcels")[0][0])
    os.kill(ledger, signal.SIGSTOP)
    try:
        yield
        wait_for(lambda: time.time() >= due, "the mail to fall due")
        before = switches(runner)
        wait_for(lambda: time.time() > due + 1 and switches(runner) > before, "the runner to wake")  # its timer is whole seconds
    finally:
        os.kill(ledger, signal.SIGCONT)


@fault("Clock", "set forward by ten days", "mail falls due before the ledger has noticed it", "it is tried when its row has been moved, and put off, not returned")
def test_mail_is_not_read_before_it_was_moved_with_the_clock(marker):
    with running(pause=5) as place:
        server = place.server
        place.submit(marker)
        before = len(server.log_text())
        with unnoticed(server):
            place.set(10 * DAY)
        server.wait_log("the clock was set by", after=before)
        server.wait_rows("select 1 from attempts where rowid = 2")
        assert server.sql("select state from parcels")[0][0] == "deferred", server.parcels_text()


LONG_QUEUE = """with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
    insert into mails (mail_id, place, received_at, size, role, local_port, remote_ip, remote_name, ehlo, from_url, protocol, tls, account, verdicts, message_id)
    select printf('1aBcDe-%06d-Zz', i), 'file', datetime('now'), 1, 'mx', 25, '', '', '', '', '', '', '', '', '' from n;
    insert into parcels (mail_id, recipient, from_url, to_url, target, domain, delivery, state, retry_at, expires_at, created_at, updated_at)
    select mail_id, 0, '', '', 'a@other.test', 'other.test', 'remote', 'deferred', datetime('now', '+1 hour'), datetime('now', '+2 days'), '', ''
    from mails where mail_id < '1aBcDe-1'"""


def lengthen_queue(server):
    """By so many rows, in front of the others, that moving them takes seconds."""
    with contextlib.closing(sqlite3.connect(server.database)) as connection:
        connection.executescript(LONG_QUEUE)


@fault("Clock", "set forward by ten days", "mail falls due in a long queue, and its rows were edited by hand in the same second",
       "it is tried when its row has been moved, and put off, not returned")
def test_an_edit_by_hand_does_not_have_mail_read_before_it_was_moved_with_the_clock(marker):
    with running(pause=5) as place:
        server = place.server
        place.submit(marker)
        before = len(server.log_text())
        with unnoticed(server):
            place.set(10 * DAY)
            lengthen_queue(server)
        server.wait_log("what waits, and lockouts, were moved with it", after=before)
        server.wait_rows("select 1 from attempts where rowid = 2")
        assert server.sql("select state from parcels where domain = 'remote.test'")[0][0] == "deferred"


@fault("Clock", "set forward by ten days", "parcelpost-queue names mail whose row is still to be moved", "it is not read before, and not returned: 75, and why")
def test_mail_that_is_named_is_not_read_before_it_was_moved_with_the_clock(place, marker):
    server = place.server
    place.submit(marker)
    mail_id = server.sql("select mail_id from mails")[0][0]
    lengthen_queue(server)
    before = len(server.log_text())
    place.set(10 * DAY)
    server.wait_log("what waits is moved with the clock", after=before)
    status, output = server.command(mail_id, name="parcelpost-queue", check=False)
    server.wait_log("what waits, and lockouts, were moved with it", after=before)
    assert server.sql("select state from parcels where mail_id = ?", mail_id)[0][0] == "deferred"
    assert status == 75 and "try again in a moment" in output, output
    assert len(server.sql("select 1 from attempts")) == 1


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
