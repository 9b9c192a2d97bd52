"""When mail is tried again: by parcel and by destination, per domain, what the rows say meanwhile."""
import datetime

import pytest

from lib.messages import message
from lib.waiting import wait_for
from lib.world import World

LATER = "451 4.3.0 later|CLOSE"
DOMAINS = """
route "patient.test" { retry_schedule = {2h, 5h} }
route "hasty.test" { retry_schedule = {1s}
 queue_lifetime = 8s }
"""


@pytest.fixture(scope="module")
def world():
    with World(settings={"max_failed_msgs_per_period": 1000}, extra=DOMAINS) as made:
        yield made


def seconds_until(text):
    at = datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return (at - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def destination(world, domain):
    return world.server.sql("select * from destinations where destination = ?", domain)[0]


def dead_domain(world):
    """A domain whose exchanger refuses connections, one message already deferred; (exchanger, domain, its mail id)."""
    nobody = world.exchanger(start=False)
    domain = world.domain([10, nobody])
    first = world.submit(f"first@{domain}", message("first"))
    world.parcels(first, "deferred")
    return nobody, domain, first


def wake_up(world, one):
    world.exchangers.append(one.start())


def put_off(world, domain, name="other"):
    mail_id = world.submit(f"{name}@{domain}", message(name))
    row, = world.parcels(mail_id, "deferred").values()
    return mail_id, row


def test_a_destination_that_is_not_reached_rests_and_its_other_mail_is_put_off_without_an_attempt(world):
    _, domain, first = dead_domain(world)
    rests = destination(world, domain)
    assert rests["failures"] == 1 and 3500 < seconds_until(rests["retry_at"]) < 4000 and rests["reason"]
    assert len(world.attempts(first)) == 1
    for name in ("second", "third"):
        mail_id, row = put_off(world, domain, name)
        assert row["attempts"] == 0 and not world.attempts(mail_id)
        assert row["retry_at"] == rests["retry_at"]
        assert f"not tried before {rests['retry_at']} UTC" in row["delivery_msg"] and rests["reason"] in row["delivery_msg"]
    assert destination(world, domain)["failures"] == 1


def test_a_good_probe_lets_everything_go_that_waits_for_the_destination(world):
    exchanger, domain, first = dead_domain(world)
    others = [put_off(world, domain, f"other{number}")[0] for number in range(5)]
    wake_up(world, exchanger)
    world.server.command("queue", "retry", others[2])
    for mail_id in [first, *others]:
        world.parcels(mail_id, "delivered")
    assert len(exchanger.messages) == 6
    row = destination(world, domain)
    assert row["failures"] == 0 and row["retry_at"] is None and row["reason"] == ""


def test_an_operators_retry_is_tried_at_once_although_the_destination_rests(world):
    _, domain, _ = dead_domain(world)
    mail_id, _ = put_off(world, domain)
    world.retry(mail_id)
    assert destination(world, domain)["failures"] == 2
    row, = world.parcels(mail_id, "deferred").values()
    assert row["attempts"] == 1 and row["retry_at"] == destination(world, domain)["retry_at"]


def test_what_is_known_of_a_destination_survives_a_restart(world):
    _, domain, _ = dead_domain(world)
    world.server.restart()
    mail_id, row = put_off(world, domain)
    assert row["attempts"] == 0 and not world.attempts(mail_id) and row["retry_at"] == destination(world, domain)["retry_at"]


def test_a_server_that_answers_is_no_reason_to_spare_its_other_mail(world):
    busy = world.exchanger(on={"MAIL": LATER})
    domain = world.domain([10, busy])
    for name in ("one", "two"):
        row, = world.parcels(world.submit(f"{name}@{domain}", message(name)), "deferred").values()
        assert row["attempts"] == 1 and row["delivery_msg"].startswith("451 4.3.0 later")
    assert not [row for row in world.server.sql("select * from destinations where destination = ?", domain) if row["failures"]]


def test_a_domain_has_its_own_retry_times(world):
    nobody = world.exchanger(start=False)
    world.set_domain("patient.test", [10, nobody])
    mail_id = world.submit("friend@patient.test", message("patient"))
    row, = world.parcels(mail_id, "deferred").values()
    assert 7100 < seconds_until(row["retry_at"]) < 7950, row["retry_at"]
    world.retry(mail_id)
    row, = world.parcels(mail_id, "deferred").values()
    assert 17900 < seconds_until(row["retry_at"]) < 19850, row["retry_at"]


def test_a_domain_has_its_own_lifetime(world):
    busy = world.exchanger(on={"MAIL": LATER})
    world.set_domain("hasty.test", [10, busy])
    row, = world.parcels(world.submit("friend@hasty.test", message("hasty")), "failed", "expired").values()
    assert row["delivery_msg"].startswith("554 4.4.7 delivery time expired; last: 451 4.3.0 later") and row["attempts"] >= 2


def test_mail_put_off_until_its_time_is_over_is_returned_without_an_attempt(world):
    _, domain, _ = dead_domain(world)
    mail_id, _ = put_off(world, domain)
    world.server.edit("update parcels set expires_at = '2020-01-01 00:00:00', retry_at = '2020-01-01 00:00:00' where mail_id = ?", mail_id)
    row, = world.parcels(mail_id, "failed", "expired").values()
    assert "4.4.7" in row["delivery_msg"] and row["attempts"] == 0 and not world.attempts(mail_id)
    wait_for(lambda: world.server.sql("select 1 from mails where role = 'notice' and mail_id in (select mail_id from parcels where to_url = ?"
                                      " and created_at >= ?)", "coco@example.test", row["created_at"]), "the notice",
             explain=world.server.log_tail)


def test_a_sender_is_told_of_the_delay_of_mail_that_was_only_put_off(world):
    _, domain, _ = dead_domain(world)
    mail_id, _ = put_off(world, domain)
    world.server.edit("update mails set received_at = datetime('now', '-5 hours') where mail_id = ?", mail_id)
    world.server.edit("update parcels set retry_at = '2020-01-01 00:00:00' where mail_id = ?", mail_id)
    row, = world.server.wait_rows("select * from parcels where mail_id = ? and delayed_at is not null", mail_id)
    assert row["state"] == "deferred" and row["attempts"] == 0 and row["retry_at"] == destination(world, domain)["retry_at"]
