"""Short forms of what make soak, make idle and make flood do for long: everything at once, and nothing lost; crowds, and no fork too many. No test
here measures time."""
import os

import pytest

from lib.place import SANITIZED
from lib.soak.crowd import Flood, Idle, at_rest, letters, new_processes, raise_descriptor_limit, sessions
from lib.soak.soak import Soak
from lib.soak.watch import Look
from lib.talker import SmtpTalker
from lib.waiting import wait_for

pytestmark = [pytest.mark.alone, pytest.mark.skipif("PARCELPOST_WRAPPER" in os.environ, reason="far too slow under a wrapper")]
SECONDS = 25
IDLE = 300
QUIET = {"local_transport": "null", "dkim_private_key_file": None, "log_level": "warn"}


def test_a_busy_half_minute_with_everything_happening_loses_doubles_and_changes_nothing():
    with Soak(seconds=SECONDS, processes=2, threads=5, hurry=6, row_seconds=10, history=False) as soak:
        soak.run()
        counts, done = soak.books.counts, soak.world.done
        assert not soak.faults, "\n".join(soak.faults[:30])
        assert counts["arrived"] > 50 and counts["bounced"] > 0, counts
        assert {"reload", "certificate", "rotate_log"} <= done.keys(), done


def heap_kib(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as stream:
        begin, end = next(line for line in stream if line.rstrip().endswith("[heap]")).split()[0].split("-")
    return (int(end, 16) - int(begin, 16)) // 1024


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has a heap of its own")
def test_reloads_leave_the_listeners_heap_as_it_was(make_instance):
    server = make_instance()

    def reload(times):
        for _ in range(times):
            server.reload()
            wait_for(lambda: len(server.processes("receiver")) >= 4 and len(server.processes("lookup")) == 2, "the new services")
        return heap_kib(server.pid)
    first = reload(5)
    assert reload(15) - first < 128


@pytest.fixture
def crowded(make_instance):
    if not raise_descriptor_limit(4 * IDLE):
        pytest.skip("too few descriptors")
    return make_instance(settings={**QUIET, "connection_limit": IDLE + 40, "contact_connection_limit": 20})


def test_idle_connections_hold_up_nobody_and_leave_nothing_behind(crowded):
    letters(crowded, 20), sessions(crowded, 5)
    before = at_rest(crowded)
    with Idle(crowded, IDLE):
        assert Look(crowded).number["receiver"] >= IDLE
        letters(crowded, 50), sessions(crowded, 10)
    after = at_rest(crowded)
    assert after.descriptors <= before.descriptors


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has a heap of its own")
def test_later_crowds_cost_no_more_than_the_first(crowded):
    costs = []
    for _ in range(2):
        before = at_rest(crowded).own.total()
        with Idle(crowded, IDLE):
            costs.append(Look(crowded).own.total() - before)
    assert costs[1] < costs[0] * 1.25, costs


def lock_out(server, addresses):
    """The listener knows of it behind that: a contact that it does not know is greeted."""
    def is_shut(address):
        with SmtpTalker(server.mx_port, source=address, greeting=False) as client:
            return not client.socket.recv(100)
    for address in addresses:
        server.command("contacts", "lock", address)
        wait_for(lambda address=address: is_shut(address), "the lockout", explain=server.log_tail)


def test_a_flood_of_those_who_are_locked_out_forks_nothing_and_others_are_served(crowded):
    addresses = [f"127.95.0.{number}" for number in range(1, 9)]
    lock_out(crowded, addresses)
    with Flood(crowded.mx_port, lambda number: addresses[number % len(addresses)]) as flood:
        wait_for(lambda: new_processes(crowded, lambda: flood.wait(2000)) == 0, "a time in which spares for earlier clients do not come")
        sessions(crowded, 10)
    assert flood.counts["greeted"] == flood.counts["421"] == 0, flood.counts
    at_rest(crowded)


def test_a_flood_of_fresh_addresses_ends_at_the_limit_and_leaves_nothing_behind(crowded):
    with Idle(crowded, 5), Flood(crowded.mx_port, lambda number: f"127.96.{number // 250 % 250}.{1 + number % 250}", keep=True) as flood:
        wait_for(lambda: flood.counts["421"] > 100, "connections above the limit", explain=lambda: str(flood.counts))
        assert Look(crowded).number["receiver"] <= IDLE + 40 + 4 + 16
        flood.ended.set()
        for thread in flood.threads:
            thread.join()
        for client in flood.held[:40]:
            client.close()
        wait_for(lambda: Look(crowded).number["receiver"] < IDLE + 20, "room for others")
        sessions(crowded, 5)
    at_rest(crowded)
