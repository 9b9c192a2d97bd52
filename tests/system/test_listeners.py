"""Where the server listens, how many it serves at a time, what an idle one costs, and its look at who is there."""
import os
import signal
import socket
import subprocess

import pytest

from lib import ports
from lib.dovecot import answers
from lib.messages import message
from lib.place import program
from lib.processes import switches, wait_accepted
from lib.talker import SmtpTalker, fresh_source
from lib.waiting import wait_for


def test_several_addresses_and_ports_and_all_addresses_of_a_host_name(make_instance, source, marker):
    """The name is asked of the system, at the start and at a reload."""
    one, other, named = ports.take(3)
    wanted = ("127.0.0.3", "127.0.0.4", "127.9.0.5")
    server = make_instance(start=False, preload="names", extra=f'listen "127.0.0.1:{one}" {{ role = mx }}\nlisten "127.0.0.2:{other}" {{ role = mx }}\n'
                           f'listen "ports.example.test:{named}" {{ role = mx }}')
    server.environment["HOST_NAMES"] = "ports.example.test=" + ",".join(wanted)
    server.start()
    for host, port in (("127.0.0.1", one), ("127.0.0.2", other)):
        with SmtpTalker(port, host, source) as client:
            client.expect(250, "EHLO client.example.net")
    assert all(answers(named, host) for host in wanted), server.log_tail()
    assert not answers(named, "127.7.7.7"), "an address that the name does not have"
    with SmtpTalker(named, wanted[-1], source) as client:
        client.ehlo()
        assert client.mail("stranger@example.net", "coco@example.test", message(marker)) == 250
    server.reload()
    assert all(answers(named, host) for host in wanted)
    ports.give_back([one, other, named])


def test_a_host_name_without_an_address_stops_the_start(make_instance):
    port, = ports.take(1)
    instance = make_instance(start=False, preload="names", extra=f'listen "nowhere.example.test:{port}" {{ role = mx }}')
    instance.prepare_files()
    done = subprocess.run([program("parcelpostd"), "-c", instance.configuration, "-f"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env={**os.environ, **instance.environment})
    assert done.returncode != 0 and f'listen "nowhere.example.test:{port}": no addresses of that name: '.encode() in done.stdout, done.stdout
    ports.give_back([port])


def test_who_connects_above_the_sessions_waits_and_above_the_connections_reads_421(make_instance):
    """session_limit and connection_limit: those that wait are greeted in their order as others leave."""
    server = make_instance(settings={"session_limit": 2, "connection_limit": 4})
    wait_for(lambda: "ready" in server.log_text(), "the start")
    talking = [greeted(server) for _ in range(2)]
    waiting = [server.talk(source=fresh_source(), greeting=False) for _ in range(2)]
    wait_for(lambda: refused(server), "an end of the places")  # a probe that waits leaves its place when it goes
    for client in waiting:
        client.socket.settimeout(0.2)
        with pytest.raises(socket.timeout):
            client.socket.recv(1)
        client.socket.settimeout(client.timeout)
    talking[0].quit()
    assert waiting[0].reply().code == 220
    waiting[0].expect(250, "EHLO client.example.net")
    talking[1].close()
    assert waiting[1].reply().code == 220
    for client in waiting:
        client.quit()
    greeted(server).quit()


def greeted(server):
    """A session of one's own; the start's own connections may still be there at first."""
    def talk():
        client = server.talk(source=fresh_source())
        if client.greeting.code == 220:
            return client
        client.close()
        return None
    return wait_for(talk, "a place")


def refused(server):
    with server.talk(source=fresh_source(), greeting=False) as client:
        client.socket.settimeout(0.3)
        try:
            return b"421 4.7.0 mail.example.test too many connections" in client.socket.recv(200)
        except socket.timeout:
            return False


def test_who_waits_reads_421_when_the_server_stops(make_instance):
    server = make_instance(settings={"session_limit": 1, "connection_limit": 4})
    held = greeted(server)
    waiting = server.talk(source=fresh_source(), greeting=False)
    wait_accepted(server, waiting.socket)
    os.kill(server.pid, signal.SIGTERM)
    assert waiting.reply() == "421 4.3.2 mail.example.test not serving now, try again later"
    waiting.expect_close()
    assert held.reply().code == 421


def test_nobody_polls_while_nothing_happens(make_instance, source):
    """A session that waits for its client, and everybody else, sleep; the listener alone looks round once a second."""
    server = make_instance()
    with server.talk(source=source) as client:
        client.ehlo()
        pids = wait_for(lambda: stable(server), "no process coming or going")
        before = {pid: count for pid, _, _ in pids if (count := switches(pid)) is not None}
        wait_for(lambda: switches(server.pid) >= before[server.pid] + 4, "four seconds of the listener")
        rounds = switches(server.pid) - before[server.pid]
        woken = {pid: later - count for pid, count in before.items() if (later := switches(pid)) is not None}
        assert not {pid: count for pid, count in woken.items() if count > 6 * rounds}, woken
        client.expect(250, "NOOP")


def stable(server):
    first = server.processes()
    return first if first == server.processes() else None


@pytest.mark.parametrize("wanted", [True, False], ids=["on", "off"])
def test_the_reverse_lookup_can_be_switched_off(make_instance, source, marker, wanted):
    name = ".".join(reversed(source.split("."))) + ".in-addr.arpa"
    server = make_instance(settings={"reverse_lookup": wanted}, zone={name: [{"PTR": "named.example.net"}], "named.example.net": [{"A": source}]})
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.mail("stranger@example.net", "coco@example.test", message(marker)) == 250
    assert (f"(named.example.net [{source}])".encode() in server.wait_mail("coco@example.test", marker)) == wanted
    with open(server.path("dns.log"), encoding="utf-8") as stream:
        assert (name in stream.read()) == wanted
