"""FUTURERELEASE (RFC 4865): a message that its sender wants delivered later stays until then, whatever happens meanwhile."""
import datetime
import os
import re

import pytest

from lib.messages import message
from lib.waiting import wait_for
from lib.world import World, id_of

HOUR = 3600


@pytest.fixture(scope="module")
def world():
    with World(settings={"future_release_maximum": 86400, "queue_lifetime": 7200, "delay_warning": 1800}) as made:
        yield made


def submit(world, source, recipient, data, parameters):
    with world.server.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        assert client.login() == 235
        return id_of(client.mail("coco@example.test", recipient, data, parameters))


def at(text):
    return datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S")


def only_row(world, mail_id, *states):
    [row] = world.parcels(mail_id, *states).values()
    return row


def check_waits(world, mail_id):
    row = only_row(world, mail_id, "queued")
    received = at(world.server.sql("select received_at from mails where mail_id = ?", mail_id)[0]["received_at"])
    assert HOUR - 1 <= (at(row["retry_at"]) - received).total_seconds() <= HOUR + 1
    assert (at(row["expires_at"]) - at(row["retry_at"])).total_seconds() == 7200, "its time begins when it is released"
    assert row["delivery_msg"] == f"its sender asked for it to be released at {row['retry_at']} UTC"
    assert row["attempts"] == 0


def test_it_waits_for_its_time_also_after_a_restart_and_a_rebuild(world, source, marker):
    mail_id = submit(world, source, "mike@example.test", message(marker), f"HOLDFOR={HOUR}")
    check_waits(world, mail_id)
    world.server.restart()
    check_waits(world, mail_id)
    world.server.halt()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(world.server.database + suffix):
            os.unlink(world.server.database + suffix)
    world.server.command("queue", "rebuild")
    world.server.launch()
    check_waits(world, mail_id)
    world.server.command("queue", "retry", mail_id)
    only_row(world, mail_id, "delivered")
    assert world.server.wait_mail("mike@example.test", marker)


def test_operators_see_until_when(world, source, marker):
    mail_id = submit(world, source, "mike@example.test", message(marker), f"HOLDFOR={HOUR}")
    row = only_row(world, mail_id, "queued")
    assert mail_id in world.server.command("queue", "list")
    assert "asked for it to be released at" in world.server.command("queue", "show", mail_id)
    assert f"Its sender asked for it to be released at {row['retry_at']}" in world.server.command("why", mail_id)
    world.server.command("queue", "remove", mail_id)


@pytest.mark.parametrize("more", [[], ["state=queued"]])
def test_an_operator_s_filters_find_it(world, source, marker, more):
    """What is ordered for a domain is ordered for all that waits for it: it would leave hours later all the same."""
    domain = world.domain([10, world.exchanger()])
    mail_id = submit(world, source, f"friend@{domain}", message(marker), f"HOLDFOR={HOUR}")
    check_waits(world, mail_id)
    assert mail_id in world.server.command("queue", "list", f"domain={domain}", *more)
    assert mail_id in world.server.command("queue", "list", f"recipient=friend@{domain}", *more)
    assert world.server.command("queue", "hold", f"domain={domain}", *more) == "1 parcel held\n"
    assert world.server.command("queue", "remove", f"domain={domain}") == "1 parcel removed\n"


def test_released_from_an_operator_s_hold_it_waits_on_for_its_time(world, source, marker):
    """The operator has nothing against it any more; its sender still wants it later. `queue retry` lets it go at once."""
    mail_id = submit(world, source, "mike@example.test", message(marker), f"HOLDFOR={HOUR}")
    check_waits(world, mail_id)
    world.server.command("queue", "hold", mail_id)
    only_row(world, mail_id, "held")
    assert world.server.command("queue", "release", "recipient=mike@example.test") == "1 parcel released\n"
    check_waits(world, mail_id)
    world.server.command("queue", "retry", mail_id)
    only_row(world, mail_id, "delivered")


def test_it_leaves_at_its_time_and_not_before(world, source, marker):
    then = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)).astimezone(datetime.timezone(datetime.timedelta(hours=2)))
    mail_id = submit(world, source, "mike@example.test", message(marker), "HOLDUNTIL=" + then.isoformat(timespec="seconds"))
    row = only_row(world, mail_id, "delivered")
    assert at(row["delivery_at"]) >= then.astimezone(datetime.timezone.utc).replace(tzinfo=None, microsecond=0)


@pytest.mark.parametrize("then", ["1960-01-01T00:00:00Z", "2001-01-01T00:00:00Z"])
def test_a_time_that_has_passed_is_now(world, source, marker, then):
    """Its time in the queue begins with its arrival: nobody is told of a delay, and a first deferral is not the last."""
    sink = world.exchanger(on={"RCPT": "450 4.2.1 later"})
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker), f"HOLDUNTIL={then}")
    row = only_row(world, mail_id, "deferred")
    world.server.restart()
    world.server.command("queue", "retry", mail_id)
    [again] = wait_for(lambda: world.server.sql("select * from parcels where mail_id = ? and attempts > 1", mail_id), "the second attempt")
    assert (again["state"], again["expires_at"], again["delayed_at"]) == ("deferred", row["expires_at"], None)
    assert world.server.sql("select hold_until from mails where mail_id = ?", mail_id)[0]["hold_until"] is None


def test_its_notice_says_what_was_asked_and_no_delay_is_told(world, source, marker):
    sink = world.exchanger(on={"RCPT": "550 5.1.1 nobody"})
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker), f"HOLDFOR={HOUR}")
    world.server.command("queue", "retry", mail_id)
    only_row(world, mail_id, "failed")
    notice = world.server.wait_mail("coco@example.test", marker).decode()
    assert f"\nFuture-Release-Request: for;{HOUR}\n" in notice.replace("\r\n", "\n")
    arrived = re.search(r"\nArrival-Date: (.*)", notice).group(1)
    assert datetime.datetime.strptime(arrived.strip(), "%a, %d %b %Y %H:%M:%S %z") < datetime.datetime.now(datetime.timezone.utc)
