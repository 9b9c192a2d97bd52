"""Milters, policy servers and a Dovecot that break off, fall silent, drip, or talk nonsense at every stage: the client is put off with the
right code, the log says who did what, and nobody else waits. All rows at once, against one server; each knows its row by the
client's address."""
import os
import re
import socketserver
import threading

import pytest

from lib import misbehave as m
from lib.faults import Fault, matrix
from lib.instance import Instance
from lib.messages import message
from lib.milter import Milter
from lib.policy_server import PolicyServer
from lib.talker import Closed, fresh_source
from lib.together import Crowd, chosen_rows
from lib.waiting import wait_for

pytestmark = pytest.mark.xdist_group("faults of those outside")
OPTIONS = b"O" + bytes(12)
PROGRESS = b"\0\0\0\1p"

# A milter. What it does, and what the log says of that.
MILTER_FAULTS = {
    "closes": (m.closes, "it closed the connection|the connection is lost"),
    "resets": (m.resets, "it closed the connection|the connection is lost"),
    "is silent": (m.is_silent, "it does not answer in time"),
    "drips its answer": (m.drips(b"\0\0\0\x64y" + b"x" * 100), "it does not answer in time"),
    "breaks off in its answer": (m.says(b"\0\0\0\x64y550 5."), "it closed the connection"),
    "says a packet of 4 GiB": (m.says_and_waits(b"\xff\xff\xff\xffx"), "it sent a packet of no possible length"),
    "says an empty packet": (m.says_and_waits(b"\0\0\0\0"), "it sent a packet of no possible length"),
    "says an unknown command": (m.says_and_waits(b"\0\0\0\1\x07"), "its answer 0x07 is none, or malformed"),
    "says it goes on without end": (m.floods(PROGRESS), "it does not come to an end in time|it does not answer in time"),
}
# Its stages, and what the client reads where.
MILTER_STAGES = {"CONNECT": ("connect", 421), "HELO": ("MAIL", 451), "MAIL": ("MAIL", 451), "RCPT": ("RCPT", 451), "DATA": ("DATA", 451),
                 "HEADER": ("end", 451), "EOH": ("end", 451), "BODY": ("end", 451), "END": ("end", 451)}
MILTER_ROWS = [Fault(f"a milter {fault}", f"at {stage}", f"{code} to the client", peer="milter", stage=stage, act=act, says=f'milter "m": ({says})', reads=reads,
                     code=code, size=0)
               for stage, (reads, code) in MILTER_STAGES.items() for fault, (act, says) in MILTER_FAULTS.items()]
MILTER_ROWS.append(Fault("a milter reads no more", "at BODY of a large message", "451 to the client", peer="milter", stage="BODY", act=m.reads_no_more, reads="end", code=451,
                         says='milter "m": (it does not read what it is sent|it does not answer in time|the connection is lost)', size=9_000_000))

# A policy server.
POLICY_FAULTS = {
    "closes": (m.closes, "it closes the connection without an answer"),
    "resets": (m.resets, "it closes the connection without an answer"),
    "is silent": (m.is_silent, "it does not answer in time"),
    "drips its answer": (m.drips(b"action=" + b"x" * 100), "it does not answer in time"),
    "breaks off in its answer": (m.says(b"action=DUN"), "it closes the connection without an answer"),
    "talks nonsense": (m.says_and_waits(b"\xff\0\xfe\n\n"), "its answer has no action"),
    "sends lines without end": (m.floods(b"action=DUNNO\n"), "its answer is too long"),
    "sends a line without end": (m.floods(b"x"), "its answer is too long"),
    "sends bytes behind its answer": (m.says_and_waits(b"action=DUNNO\n\naction=REJECT\n\n"), "talks without being asked"),
}
POLICY_STAGES = {"CONNECT": ("connect", 421), "MAIL": ("MAIL", 451), "RCPT": ("RCPT", 451), "DATA": ("DATA", 451), "END-OF-MESSAGE": ("end", 451)}
POLICY_ROWS = [Fault(f"a policy server {fault}", f"at {stage}", f"{code} to the client", peer="policy", stage=stage, act=act, says=f'policy "p" .*({says})', reads=reads,
                     code=code, size=0)
               for stage, (reads, code) in POLICY_STAGES.items() for fault, (act, says) in POLICY_FAULTS.items() if fault != "sends bytes behind its answer"]
POLICY_ROWS.append(Fault("a policy server sends bytes behind its answer", "at MAIL", "taken for no answer; asked anew over another connection", peer="policy", stage="MAIL",
                         act=POLICY_FAULTS["sends bytes behind its answer"][0], says='policy "p" talks without being asked', reads="", code=250, size=0))

# A Dovecot that is asked about logins.
GONE = "Dovecot cannot be asked about a login: it closes the connection, or does not answer"
ODD = "Dovecot cannot be asked about a login: it does not begin as its protocol 1.1 says"
LOST = "Dovecot cannot be asked about a login: (it does not begin as its protocol 1.1 says|Broken pipe|Connection reset by peer)"  # before or behind our own words
UNCHECKED = "login of .* could not be checked"
HELLO = b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nDONE\n"
DOVECOT_FAULTS = {
    "closes": (m.closes, GONE), "resets": (m.resets, GONE), "is silent": (m.is_silent, GONE), "drips its answer": (m.drips(b"OK\t1\tuser=coco" + b"x" * 100), GONE),
    "breaks off in its answer": (m.says(b"OK\t1\tuser=coco@example.test"), GONE), "talks nonsense": (m.says_and_waits(b"\xff\0\xfe\n\n\n"), GONE),
    "sends lines without end": (m.floods(b"OK\t77\tuser=coco@example.test\n"), GONE), "sends a line without end": (m.floods(b"x"), GONE),
    "answers for another": (m.says_and_waits(b"OK\t77\tuser=coco@example.test\n"), GONE), "says OK to nobody": (m.says_and_waits(b"OK\t1\n"), UNCHECKED),
    "says OK to an empty user": (m.says_and_waits(b"OK\t1\tuser=\n"), UNCHECKED), "says it may be right later": (m.says_and_waits(b"FAIL\t1\ttemp\n"), UNCHECKED),
    "asks for what is no base64": (m.says_and_waits(b"CONT\t1\t!!!\n"), "its challenge is no base64, or too long"),
    "says OK with a number that is none": (m.says_and_waits(b"OK\t1x\tuser=coco@example.test\n"), GONE),
}
HELLO_FAULTS = {
    "closes": (m.closes, LOST), "resets": (m.resets, LOST), "is silent": (m.is_silent, ODD), "drips": (m.drips(b"VERSION\t1\t1\n" + b"x" * 100), ODD),
    "breaks off": (m.says(HELLO[:20]), LOST), "talks nonsense": (m.says(b"\xff\0\xfe\r\n" * 3), LOST), "has another version": (m.says(b"VERSION\t2\t0\nDONE\n"), LOST),
    "sends lines without end": (m.floods(b"MECH\tPLAIN\n"), ODD), "sends a line without end": (m.floods(b"x"), ODD),
}
DOVECOT_ROWS = [Fault(f"a Dovecot {fault}", "at the beginning of its connection", "454 4.7.0 to the client; nobody is let in", peer="dovecot", stage="hello", act=act,
                      says=says) for fault, (act, says) in HELLO_FAULTS.items()]
DOVECOT_ROWS += [Fault(f"a Dovecot {fault}", "asked about a login", "454 4.7.0 to the client; nobody is let in", peer="dovecot", stage="AUTH", act=act, says=says)
                 for fault, (act, says) in DOVECOT_FAULTS.items()]
ROWS = MILTER_ROWS + POLICY_ROWS + DOVECOT_ROWS


class OddMilter(Milter):
    """Does what the client's row says at its stage, and else what any other does."""

    def _take(self, connection, session, name, data):
        if name == "CONNECT":
            session.append(("ROW", self.rows.get(data.split(b"\0")[1][3:].decode())))
        row = next((value for word, value in session if word == "ROW"), None)
        if row is not None and row.peer == "milter" and row.stage == name:
            row.act(connection)
            return False
        return super()._take(connection, session, name, data)


class OddDovecot(socketserver.ThreadingTCPServer):
    """Speaks the beginning of the authentication protocol; then does what the row of the client (rip=) says."""
    daemon_threads = True
    allow_reuse_address = True
    at_hello = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), None)
        self.rows = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address):
        try:
            if self.at_hello:
                self.at_hello(request)
                return
            request.sendall(HELLO)
            asked = request.makefile("rb")
            for line in asked:
                address = re.search(rb"\trip=([^\t\n]+)", line)
                if line.startswith(b"AUTH\t") and address:
                    self.rows[address.group(1).decode()].act(request)
                    return
        except OSError:
            pass  # it has heard enough


class Scene:
    def __init__(self, rows):
        self.rows = {}
        # Of a connection that has just begun nobody knows whose it is: these rows come one by one, and before the others.
        self.one_at_a_time, self.beginnings = threading.Lock(), [row for row in rows if row.stage == "hello"]
        self.milter = OddMilter("m", keep=False)
        self.milter.rows = self.rows
        self.policy = PolicyServer(self.decide)
        self.dovecot = OddDovecot()
        self.dovecot.rows = self.rows
        self.server = Instance(
            settings={"auth_backend": "dovecot", "dovecot_auth": "127.0.0.1:%d" % self.dovecot.server_address[1], "auth_timeout": 2},
            extra=self.milter.block(connect_timeout=5, command_timeout=2, content_timeout=2) + 'milters = {"m"}\n' +
            f'policy "p" {{ endpoint = "{self.policy.endpoint}"\n stages = {{connect, mail_from, rcpt_to, data, message}}\n timeout = 2 }}\n')

    def decide(self, request):
        row = self.rows.get(request["client_address"])
        if row is None or row.peer != "policy" or request["protocol_state"] != row.stage or getattr(row, "asked", False):
            return "DUNNO"
        row.asked = row.code == 250
        return row.act


@pytest.fixture(scope="module")
def crowd(request):
    rows = chosen_rows(request)
    scene = Scene(rows)
    with scene.milter, scene.policy, scene.server, Crowd(scene.server, rows, lambda made, row: run(scene, made, row), workers=24) as made:
        yield made
    scene.dovecot.shutdown()
    scene.dovecot.server_close()


def log_of(server, source, begins):
    """The lines of the receiver that had this client; begins: what was there before the client is not read again and again."""
    with open(server.log, "rb") as stream:
        stream.seek(begins)
        text = stream.read().decode("utf-8", "replace")
    found = re.search(rf"receiver\[(\d+)\] \S+ connection from {re.escape(source)} ", text)
    return "\n".join(line for line in text.split("\n") if found and f"receiver[{found.group(1)}]" in line)


def dialogue(client, row):
    """(where, reply) of the first one that is not as it should be, or ("", the last)."""
    greeting = client.reply()
    if greeting.code != 220:
        return "connect", greeting
    client.ehlo()
    for where, line in (("MAIL", "MAIL FROM:<sender@client.example.net>"), ("RCPT", "RCPT TO:<coco@example.test>"), ("DATA", "DATA")):
        reply = client.command(line)
        if reply.code not in (250, 354):
            return where, reply
    client.send(message(f"fault-{row.name}.") + b"One more line of the body.\r\n" * (row.size // 28) + b".\r\n")
    reply = client.reply()
    return "" if reply.code == 250 else "end", reply


def log_in(server, source):
    with server.talk("submission", source=source) as client:
        client.ehlo()
        client.starttls()
        return client.login()


def run(scene, crowd, row):
    source, server = fresh_source(), scene.server
    begins = os.path.getsize(server.log)
    scene.rows[source] = row
    if "without end" in row.fault:
        crowd.floods.add(source)  # reading it all is work
    if row.stage == "hello":
        with scene.one_at_a_time:
            scene.dovecot.at_hello = row.act
            try:
                outcome = log_in(server, source)
            finally:
                scene.dovecot.at_hello = None
                scene.beginnings.remove(row)
    elif row.peer == "dovecot":
        wait_for(lambda: not scene.beginnings, "the other rows", timeout=100)
        outcome = log_in(server, source)
    else:
        with server.talk(source=source, greeting=False) as client:
            outcome = dialogue(client, row)
    wait_for(lambda: re.search(row.says, log_of(server, source, begins)), f"{row.says!r} in the log", explain=lambda: log_of(server, source, begins))
    return outcome, len(server.sql("select 1 from mails where remote_ip = ?", source))


@matrix("Milters and policy servers", MILTER_ROWS + POLICY_ROWS)
def test_one_outside_that_goes_wrong_puts_the_client_off(crowd, row):
    (where, reply), stored = crowd.outcome(row)
    assert (where, reply.code) == (row.reads, row.code), (where, reply.text)
    assert stored == (1 if row.code == 250 else 0)


@matrix("Milters and policy servers", DOVECOT_ROWS)
def test_a_dovecot_that_goes_wrong_lets_nobody_in(crowd, row):
    reply, _ = crowd.outcome(row)
    assert reply.text == "454 4.7.0 Temporary authentication failure"


def test_others_are_served_and_nobody_spins_meanwhile(crowd):
    crowd.check()
