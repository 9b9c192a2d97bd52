"""How many connections, to whom, at one time: counted at sinks that take everything, or never say a word."""
import time

from lib.filler import fill, stopped
from lib.instance import Instance
from lib.messages import message
from lib.sink import Sink
from lib.talker import fresh_source
from lib.waiting import wait_for

QUICK_END = {"stop_timeout": 1}


def due(server, messages, domain):
    with stopped(server):
        return fill(server, messages, 1, domain, state="queued", retry=lambda number: -1)


def delivered(server):
    return server.sql("select count(*) from parcels where state = 'delivered'")[0][0]


def test_many_messages_to_one_destination_need_no_more_connections_than_its_limit():
    with Sink() as sink, Instance(route=sink.endpoint, settings={"destination_limit": 3}) as server:
        due(server, 200, lambda number: "one.test")
        assert sink.wait(200), server.log_tail()
        assert sink.connections <= 3 and sink.most <= 3
        assert sink.connections_at_first == 1  # it begins with one
        assert sink.most > 1  # and gets more as they succeed


def test_a_destination_with_a_limit_of_its_own():
    with Sink() as sink, Instance(extra=f'route "one.test" {{ host = "{sink.endpoint}"\n limit = 1 }}') as server:
        due(server, 30, lambda number: "one.test")
        assert sink.wait(30), server.log_tail()
        assert sink.most == 1


def test_destinations_that_never_answer_leave_room_for_all_others():
    names = [f"d{number}.dead.test" for number in range(30)] + [f"d{number}.alive.test" for number in range(40)]
    with Sink() as sink, Sink(answer=False) as silence:
        extra = f'route ".dead.test" {{ host = "{silence.endpoint}" }}'
        with Instance(route=sink.endpoint, settings={"agent_limit": 12, "destination_limit": 2, **QUICK_END}, extra=extra) as server:
            due(server, 2 * len(names), lambda number: names[number % len(names)])
            assert sink.wait(80), server.log_tail()
            assert set(sink.domains) == set(names[30:]) and not silence.closed
            assert len(silence.open) <= 7  # three quarters of those that are not for local mail alone


def test_local_mail_and_a_new_destination_are_served_beside_a_large_mailing():
    with Sink() as sink, Instance(route=sink.endpoint, settings={"agent_limit": 6, "destination_limit": 2}) as server:
        due(server, 600, lambda number: f"d{number}.mailing.test")
        with server.talk("internal", source=fresh_source()) as client:
            client.ehlo()
            client.mail("coco@example.test", ["mike@example.test", "friend@new.test"], message("between"))
        server.wait_mail("mike@example.test", "between")
        assert sink.wait(601), server.log_tail()
        assert sink.order.index("new.test") < 599  # not behind everybody who was there before


def test_messages_a_minute_are_spaced_evenly():
    with Sink() as sink, Instance(extra=f'route "one.test" {{ host = "{sink.endpoint}"\n rate = 120 }}') as server:
        began = time.monotonic()
        due(server, 5, lambda number: "one.test")
        assert sink.wait(5), server.log_tail()
        assert all(came - began > number * 0.499 for number, came in enumerate(sink.times)), (began, sink.times)  # each may be late, none early


def test_what_a_destination_has_no_room_for_is_read_from_the_database_in_time():
    with Sink() as sink, Instance(route=sink.endpoint, settings={"log_level": "warn"}) as server:
        due(server, 1500, lambda number: "one.test")  # memory holds 1,000 of one destination
        assert sink.wait(1500, 60), (sink.messages, server.log_tail())
        server.wait_rows("select 1 where (select count(*) from parcels where state = 'delivered') = 1500")


def send(server, *recipients):
    with server.talk("internal", source=fresh_source()) as client:
        client.ehlo()
        client.mail("coco@example.test", list(recipients), message("sent"))


def test_after_a_reload_no_agent_goes_on_with_the_former_routes():
    with Sink() as former, Sink() as sink, Instance(route=former.endpoint) as server:
        send(server, "friend@one.test")
        assert former.wait(1), server.log_tail()
        server.wait_rows("select 1 from parcels where state = 'delivered'")  # its agent waits for more mail to one.test
        server.route = sink.endpoint
        server.write_configuration()
        before = len(server.log_text())
        server.reload()
        server.wait_log("runner.*new configuration", before)
        send(server, "friend@one.test", "friend@two.test")
        assert sink.wait(2) and former.messages == 1, (former.order, server.log_tail())


def test_a_rate_holds_although_nothing_was_sent_there_for_a_while():
    with Sink() as sink, Instance(extra=f'route "one.test" {{ host = "{sink.endpoint}"\n rate = 8 }}') as server:
        began = time.monotonic()
        send(server, "friend@one.test")
        assert sink.wait(1), server.log_tail()
        wait_for(lambda: not server.processes("agent"), "the end of the agent that waited for more", 15)
        send(server, "friend@one.test")
        assert sink.wait(2), server.log_tail()
        assert sink.times[1] - began > 7.499, (began, sink.times)  # however late the first one came


def test_mail_that_is_put_off_uses_up_nothing_of_its_accounts_rate():
    extra = 'route "dead.test" { host = "127.0.0.1:1" }'
    with Sink() as sink, Instance(route=sink.endpoint, settings={"account_rate": 20}, extra=extra) as server:
        with server.talk("submission", source=fresh_source()) as client:
            client.ehlo()
            client.starttls()
            client.login()
            for number in range(20):
                client.mail("coco@example.test", [f"friend{number}@dead.test"], message("dead"))
            server.wait_rows("select 1 where (select count(*) from parcels where state = 'deferred') = 20")
            client.mail("coco@example.test", ["friend@alive.test"], message("alive"))
        assert sink.wait(1, 20), server.log_tail()


def test_destinations_that_are_slow_leave_memory_for_all_others():
    with Sink() as sink, Sink() as slow:
        extra = f'route ".slow.test" {{ host = "{slow.endpoint}"\n rate = 1 }}'
        with Instance(route=sink.endpoint, settings={"log_level": "warn"}, extra=extra) as server:
            with stopped(server):  # more than memory holds goes before the mail of the others
                fill(server, 180, 100, lambda number: f"d{number % 18}.slow.test", state="queued", retry=lambda number: -100)
                fill(server, 20, 1, lambda number: f"other{number}.test", state="queued", retry=lambda number: -50, series=2)
            assert sink.wait(20), (sink.messages, slow.messages, server.log_tail())


def test_an_operator_hears_that_the_mail_he_named_found_no_room():
    """Not that nothing is left: it has not been tried."""
    with Sink() as sink:
        extra = f'route "slow.test" {{ host = "{sink.endpoint}"\n rate = 1 }}'
        with Instance(settings={"log_level": "warn"}, extra=extra) as server:
            with stopped(server):
                *_, last = fill(server, 12, 100, lambda number: "slow.test", state="queued", retry=lambda number: -100)
            assert sink.wait(1), server.log_tail()
            status, said = server.command(last, name="parcelpost-queue", check=False)
            assert (status, said) == (75, "something was deferred\n"), server.log_tail()


def test_no_agent_is_forked_for_mail_that_its_accounts_rate_keeps_waiting():
    with Sink() as sink, Instance(route=sink.endpoint, settings={"account_rate": 60}) as server:
        with server.talk("submission", source=fresh_source()) as client:
            client.ehlo()
            client.starttls()
            client.login()
            client.mail("coco@example.test", [f"friend@d{number}.test" for number in range(20)], message("many"))
        assert sink.wait(3), server.log_tail()
        assert len(server.processes("agent")) <= 3, server.processes("agent")
