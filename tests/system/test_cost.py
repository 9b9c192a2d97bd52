"""What messages and connections cost: flushes, files, memory. No test here measures time."""
import os
import resource

import pytest

from lib.instance import Instance
from lib.load import FlushCounter, Load, memory_kib, small_message
from lib.place import SANITIZED
from lib.waiting import wait_for

pytestmark = [pytest.mark.alone, pytest.mark.skipif(SANITIZED, reason="a sanitizer's build costs what the sanitizer costs"),
              pytest.mark.skipif("PARCELPOST_WRAPPER" in os.environ, reason="under a wrapper, costs are the wrapper's")]
CLIENTS, MESSAGES = 50, 1000
FLUSH_MS = 100  # far longer than any machine needs until all clients have sent another message
IDLE = int(os.environ.get("PARCELPOST_IDLE_CONNECTIONS") or 250)  # with fewer, the spare receivers of the rush weigh more
PLAIN_KIB, TLS_KIB = 190, 220


def spool_files(server):
    """Everything in queue/ but the journal's segments, which are there before the message."""
    return {os.path.join(where, name) for where, _, names in os.walk(server.queue) for name in names}


@pytest.fixture(scope="module")
def counted():
    """(instance, flush counter): mail for local users is thrown away, and not signed."""
    server = Instance(settings={"local_transport": "null", "contact_connection_limit": 1000, "dkim_private_key_file": None}, preload="flush")
    counter = FlushCounter(server.path("flushes"))
    server.environment["FLUSH_COUNTER"] = counter.path
    with server:
        yield server, counter


def all_delivered(server, count):
    wait_for(lambda: server.sql("select count(*) from parcels where state = 'delivered'")[0][0] >= count, f"{count} deliveries", timeout=120,
             explain=server.log_tail)


def test_fifty_clients_share_flushes_and_nothing_becomes_a_file(counted):
    server, counter = counted
    data = small_message(500)
    before = server.sql("select count(*) from parcels")[0][0]
    with Load(server.internal_port, CLIENTS, MESSAGES, data) as load:
        folders = [os.path.join(server.queue, name) for name in ("mail", "tmp")]
        changed = [os.stat(folder).st_mtime_ns for folder in folders]
        files = spool_files(server)
        counter.delay(FLUSH_MS)
        start = counter.flushes
        load.send()
        all_delivered(server, before + load.accepted)
        flushes = counter.flushes - start
        counter.delay(0)
        assert load.accepted == MESSAGES
    assert flushes / MESSAGES < 0.1, f"{flushes} flushes for {MESSAGES} messages"
    assert [os.stat(folder).st_mtime_ns for folder in folders] == changed, "a file was made for a message"
    assert {name for name in spool_files(server) - files if "/journal/" not in name} == set()


def test_one_client_alone_is_answered_after_one_flush(counted):
    """Nothing waits for company: each message is flushed by itself, and its result again."""
    server, counter = counted
    before = server.sql("select count(*) from parcels")[0][0]
    start = counter.flushes
    with Load(server.internal_port, 1, 20, small_message(500)) as load:
        load.send()
        all_delivered(server, before + load.accepted)
    assert 20 <= counter.flushes - start <= 20 * 2 + 5  # and what the once-a-second checkpoint flushes


def idle_cost(server, tls):
    """KiB that each of IDLE connections past EHLO adds, with the spare receivers that the rush calls for."""
    before, clients = memory_kib(server), []
    try:
        for number in range(IDLE):
            client = server.talk(source=f"127.78.{number // 250}.{1 + number % 250}")
            clients.append(client)
            client.ehlo()
            if tls:
                client.starttls()
        return (memory_kib(server) - before) / IDLE
    finally:
        for client in clients:
            client.close()


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * IDLE:
        pytest.skip(f"{hard} descriptors are too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("tls, limit", [(False, PLAIN_KIB), (True, TLS_KIB)], ids=["plain", "tls"])
def test_an_idle_connection_costs_little_memory(many_descriptors, make_instance, tls, limit):
    cost = idle_cost(make_instance(), tls)
    print(f"{IDLE} idle connections, {'TLS' if tls else 'plain'}: {cost:.1f} KiB each")
    assert cost < limit
