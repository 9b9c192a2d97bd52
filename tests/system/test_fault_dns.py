"""A DNS server that lies, hangs, truncates, loops, or answers nonsense: a sender whose domain it hides is put off and never refused for good, mail for
such a domain waits and arrives once the truth is told, and nothing that was not asked for is believed. All rows at once."""
import random
import re
import socket
import struct

import pytest

from lib import misbehave as m
from lib.dns_server import TYPES, DnsServer, Question, encode_name
from lib.faults import Fault, matrix
from lib.messages import message
from lib.talker import fresh_source
from lib.together import Crowd, chosen_rows
from lib.waiting import wait_for
from lib.world import World
from lib.zone import default_zone

pytestmark = pytest.mark.xdist_group("faults of DNS")
NOWHERE = "127.254.254.254"  # nobody listens there


def record(name, kind, data, ttl=60):
    return (name if isinstance(name, bytes) else encode_name(name)) + struct.pack("!HHIH", TYPES[kind], 1, ttl, len(data)) + data


def built(packet, flags=0x8580, answers=(), authority=(), additional=(), counts=None):
    """An answer to this packet, record by record."""
    question = Question(packet)
    head = struct.pack("!HHH", question.id, flags, 1) + struct.pack("!HHH", *(counts or map(len, (answers, authority, additional))))
    return head + question.wire + b"".join((*answers, *authority, *additional))


# Lies: what goes back over UDP for a packet of the row's, given the truth.

def code(number):
    return lambda truth, packet: [built(packet, 0x8180 | number)]


def changed(at, value):
    return lambda truth, packet: [truth[:at] + bytes([truth[at] ^ value]) + truth[at + 1:]]


def other_question(truth, packet):
    return [truth[:12] + encode_name("another.lies.test") + truth[12 + len(encode_name(Question(packet).name)):]]


def other_owner(truth, packet):
    return [built(packet, answers=[record("another.lies.test", "A", socket.inet_aton(NOWHERE)), record("another.lies.test", "MX", b"\0\1" + encode_name("another.lies.test"))])]


def forged_address(name):
    return record(name, "A", socket.inet_aton(NOWHERE))


def forged(section):
    """The truth, and in this section addresses of hosts that nobody asked about."""
    def lie(truth, packet):
        question = Question(packet)
        if question.type != "MX":
            return [truth]
        name = question.name.lower()
        more = [forged_address(f"mx.{name}"), forged_address(f"mx.victim-{name}"), record(f"victim-{name}", "MX", b"\0\1" + encode_name("nowhere.lies.test"))]
        return [built(packet, **{"answers": [record(name, "MX", b"\0\x0a" + encode_name(f"mx.{name}"))], section: more,
                                 **({"answers": more + [record(name, "MX", b"\0\x0a" + encode_name(f"mx.{name}"))]} if section == "answers" else {})})]
    return lie


def loop(length):
    """CNAMEs in a ring of this many names; each answer has all of them."""
    def lie(truth, packet):
        name = Question(packet).name
        names = [name] + [f"c{number}.{name}" for number in range(1, length)]
        return [built(packet, answers=[record(one, "CNAME", encode_name(names[(place + 1) % length])) for place, one in enumerate(names)])]
    return lie


def chain(length):
    """CNAMEs that lead on and on, and at the end nowhere."""
    def lie(truth, packet):
        name = Question(packet).name
        names = [name] + [f"c{number}.{name}" for number in range(1, length + 1)]
        return [built(packet, answers=[record(one, "CNAME", encode_name(after)) for one, after in zip(names, names[1:])])]
    return lie


def truncated(truth, packet):
    return [built(packet, 0x8780)]


def pointers(truth, packet):
    return [built(packet, answers=[record(b"\xc0\x0c", "MX", b"\0\1\xc0" + bytes([12 + len(Question(packet).wire) + 14]))])]


def noise(length):
    return lambda truth, packet: [packet[:2] + random.Random(length).randbytes(length)]


def many(truth, packet):
    return [built(packet, answers=[record(Question(packet).name, "MX", b"\0\1" + encode_name(f"h{number}.lies.test")) for number in range(500)])]


# Over TCP: what is done with the connection once the question has come.

def framed(data, length=None):
    return struct.pack("!H", len(data) if length is None else length) + data


def truth_over_tcp(connection, truth, packet):
    connection.sendall(framed(truth))


def tells(act):
    return lambda connection, truth, packet: act(connection)


def tells_truth(make):
    return lambda connection, truth, packet: make(truth)(connection)


class Row(Fault):
    """udp: packets instead of the truth; tcp: what is done with a connection, or None: the same lies; sender: the code at MAIL; state: of mail there before the truth is told."""

    def __init__(self, fault, place, outcome, udp=None, tcp=None, sender=451, state="deferred", poisons=False):
        super().__init__(fault, place, outcome, udp=udp, tcp=tcp, sender=sender, state=state, poisons=poisons, true=False)


LATER = "451 to a sender there; mail for it waits, and arrives later"
GOOD = dict(sender=250, state="delivered")
RIGHT = "passed over for the right answer; mail is delivered"
UDP, TCP = "over UDP", "over TCP, after a truncated answer"
ROWS = [
    Row("DNS does not answer", UDP, LATER, lambda truth, packet: []),
    Row("DNS answers SERVFAIL", UDP, LATER, code(2)),
    Row("DNS answers FORMERR", UDP, LATER, code(1)),
    Row("DNS answers FORMERR to EDNS alone", UDP, "asked again without EDNS; mail is delivered", lambda truth, packet: code(1)(truth, packet) if Question(packet).edns else [truth], **GOOD),
    Row("DNS answers NOTIMP", UDP, LATER, code(4)),
    Row("DNS answers REFUSED", UDP, LATER, code(5)),
    Row("DNS answers with result 15", UDP, LATER, code(15)),
    Row("DNS answers with another id", UDP, LATER, changed(0, 1)),
    Row("DNS answers with another id, then truly", UDP, RIGHT, lambda truth, packet: changed(0, 1)(truth, packet) + [truth], **GOOD),
    Row("DNS answers another question", UDP, LATER, other_question),
    Row("DNS answers another question, then truly", UDP, RIGHT, lambda truth, packet: other_question(truth, packet) + [truth], **GOOD),
    Row("DNS answers about another name", UDP, LATER, other_owner),
    Row("DNS sends the question back", UDP, LATER, lambda truth, packet: [packet]),
    Row("DNS answers with another opcode", UDP, LATER, changed(2, 0x28)),
    Row("DNS forges additional records", UDP, "not believed, nor remembered; mail is delivered where it should", forged("additional"), poisons=True, **GOOD),
    Row("DNS forges authority records", UDP, "not believed, nor remembered; mail is delivered where it should", forged("authority"), poisons=True, **GOOD),
    Row("DNS forges records of others in the answer", UDP, "not believed, nor remembered; mail is delivered where it should", forged("answers"), poisons=True, **GOOD),
    Row("DNS has a CNAME that leads to itself", UDP, LATER, loop(1)),
    Row("DNS has CNAMEs in a circle of 3", UDP, LATER, loop(3)),
    Row("DNS has CNAMEs in a circle of 30", UDP, LATER, loop(30)),
    Row("DNS has a chain of 100 CNAMEs", UDP, LATER, chain(100)),
    Row("DNS answers with nothing in it", UDP, "no such mailbox domain: 550 to the sender; mail for it is returned", lambda truth, packet: [built(packet)], sender=550, state="failed"),
    Row("DNS answers with no more than a header", UDP, LATER, lambda truth, packet: [packet[:2] + b"\x85\x80" + bytes(8)]),
    Row("DNS answers with an empty packet", UDP, LATER, lambda truth, packet: [b""]),
    Row("DNS answers with one byte", UDP, LATER, lambda truth, packet: [b"x"]),
    Row("DNS answers with noise", UDP, LATER, noise(200)),
    Row("DNS answers with 9000 bytes of noise", UDP, LATER, noise(9000)),
    Row("DNS announces records that are not there", UDP, LATER, lambda truth, packet: [built(packet, counts=(65535, 65535, 65535))]),
    Row("DNS cuts its answer in the middle of a record", UDP, LATER, lambda truth, packet: [built(packet, answers=[record(Question(packet).name, "MX", b"\0\1" + encode_name("x.test"))])[:-3]]),
    Row("DNS has names that point at themselves", UDP, LATER, pointers),
    Row("DNS answers NXDOMAIN with records", UDP, LATER, lambda truth, packet: [built(packet, 0x8583, [record(Question(packet).name, "MX", b"\0\1" + encode_name("x.test"))])]),
    Row("DNS answers from another port", UDP, LATER, "elsewhere"),
    Row("DNS answers with 500 exchangers in one packet", UDP, "taken as far as it goes: 250 to a sender there, or 451; mail for it is returned, no host has an address, or waits", many, sender=(250, 451), state=("failed", "deferred")),
    Row("DNS truncates", "over UDP, and answers over TCP", "asked over TCP; mail is delivered", truncated, truth_over_tcp, **GOOD),
    Row("DNS closes", TCP, LATER, truncated, tells(m.closes)),
    Row("DNS resets", TCP, LATER, truncated, tells(m.resets)),
    Row("DNS does not answer", TCP, LATER, truncated, tells(m.is_silent)),
    Row("DNS drips", TCP, LATER, truncated, tells_truth(lambda truth: m.drips(framed(truth, 2000)))),
    Row("DNS breaks off in its answer", TCP, LATER, truncated, tells_truth(lambda truth: m.says(framed(truth)[:-5]))),
    Row("DNS announces 65535 bytes and sends noise", TCP, LATER, truncated, tells(m.says_and_waits(b"\xff\xff" + bytes(1000)))),
    Row("DNS announces no bytes", TCP, LATER, truncated, tells(m.says_and_waits(b"\0\0"))),
    Row("DNS sends answers to others without end", TCP, LATER, truncated, tells_truth(lambda truth: m.floods(framed(changed(0, 1)(truth, b"")[0])))),
    Row("DNS truncates", "over TCP as over UDP", LATER, truncated),
]
for number, one in enumerate(ROWS):
    one.domain = f"l{number}.lies.test"


class LyingServer(DnsServer):
    """Tells the truth about everything but the names of rows, as long as they are not true."""

    def row_of(self, packet):
        """Of a question; None also when it is none."""
        if len(packet) < 12 or packet[2] & 0x80:
            return None
        found = re.search(r"(?:^|\.)l(\d+)\.lies\.test$", Question(packet).name.lower())
        row = ROWS[int(found.group(1))] if found else None
        return None if row is None or row.true else row

    def serve_packet(self, listener, packet, client):
        row = self.row_of(packet)
        if row is None:
            super().serve_packet(listener, packet, client)
        elif row.udp == "elsewhere":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(self.answer(packet, False), client)
        else:
            for data in row.udp(self.answer(packet, False), packet):
                listener.sendto(data, client)

    def serve_client(self, client):
        try:
            with client, client.makefile("rb") as stream:
                while True:
                    packet = stream.read(struct.unpack("!H", stream.read(2))[0])
                    row, truth = self.row_of(packet), self.answer(packet, True)
                    if row and row.tcp and row.tcp is not truth_over_tcp:
                        row.tcp(client, truth, packet)
                        return
                    lies = row.udp(truth, packet) if row and not row.tcp and callable(row.udp) else [truth]
                    client.sendall(b"".join(map(framed, lies)))
        except (ValueError, struct.error, OSError):
            pass


class Scene:
    def __init__(self, rows):
        self.rows, self.dns = rows, LyingServer()
        self.dns.start()
        self.world = World(dns=f"127.0.0.1:{self.dns.port}", settings={"dns_timeout_ms": 700, "dns_tries": 2, "dns_cache_size": 1000, "retry_schedule": [1]})
        self.exchanger = self.world.exchanger()
        zone = default_zone()
        for row in rows:
            for name in (row.domain, f"victim-{row.domain}"):
                zone[name] = [{"MX": [10, f"mx.{name}"]}]
                zone[f"mx.{name}"] = [{"A": self.exchanger.host}]
        self.dns.set_zone(zone)


@pytest.fixture(scope="module")
def crowd(request):
    rows = chosen_rows(request)
    scene = Scene(rows)
    with scene.world as world, Crowd(world.server, rows, lambda _, row: run(scene, row), workers=24) as made:
        yield made
    scene.dns.stop()


def codes(row):
    return row.sender if isinstance(row.sender, tuple) else (row.sender,)


def asked_as_sender(scene, row):
    """The reply to MAIL, and the log's lines about the client. Again when a busy machine was late with the truth."""
    for _ in range(5):
        source = fresh_source()
        with scene.world.server.talk(source=source) as client:
            client.ehlo()
            reply = client.command(f"MAIL FROM:<somebody@{row.domain}>")
        if reply.code in codes(row) or reply.code != 451:
            break
    return reply, [line for line in scene.world.server.log_text().split("\n") if f" {source}" in line]


def deliver(scene, domain, marker):
    """The mail id of a message for a friend there, which is on its way."""
    alias = f"to-{domain}@example.test"  # which is followed without a question about the domain
    scene.world.server.command("alias", "add", alias, f"friend@{domain}")
    return scene.world.submit(alias, message(marker))


def answers_over_tcp(row):
    """Whatever it says there, each question has its answer."""
    return row.udp is truncated and row.tcp in (truth_over_tcp, None)


def run(scene, row):
    try:
        return outcome(scene, row)
    finally:
        row.true = True


def outcome(scene, row):
    world, states = scene.world, (row.state,) if isinstance(row.state, str) else row.state
    if row.udp is truncated and not answers_over_tcp(row):  # the resolver has one connection: who closes it disturbs those that answer
        wait_for(lambda: all(one.true for one in scene.rows if answers_over_tcp(one)), "the rows that answer over TCP", timeout=100)
    reply, log = asked_as_sender(scene, row)
    assert reply.code in codes(row), f"{row}: {reply.text}"
    if reply.code != 250:
        assert any(reply.text in line for line in log), log
    mail_id = deliver(scene, row.domain, f"fault-{row.name}.")
    parcel, = world.server.wait_parcels(mail_id, *states)
    if parcel["state"] != "delivered":
        assert re.search(rf"{mail_id}: to <friend@{row.domain}> {parcel['state']}.*: [45]\d\d .*(DNS|domain|address|exchanger)", world.server.log_text()), world.server.log_tail()
    if row.poisons:
        world.parcels(deliver(scene, f"victim-{row.domain}", "victim"), "delivered")
    row.true = True
    if parcel["state"] == "deferred":
        world.server.wait_parcels(mail_id, "delivered", timeout=100)  # an agent waits a minute for a resolver that is late
    return len(scene.exchanger.received_by(f"friend@{row.domain}")), parcel["state"]


@matrix("DNS", ROWS)
def test_dns_that_goes_wrong(crowd, row):
    arrived, state = crowd.outcome(row)
    assert arrived == (0 if state == "failed" else 1)


def test_others_are_served_and_nobody_spins_meanwhile(crowd):
    crowd.check()
