"""Clients that break off, fall silent, drip, or talk nonsense, at every place of a session: each reads a correct reply or the end of
its connection, the log says what happened, and what was not accepted is stored nowhere. All rows at once, against one server."""
import os
import random
import re
import select
import socket
import ssl
import struct
import time

import pytest

from lib.faults import Fault, matrix
from lib.instance import Instance
from lib.messages import message
from lib.talker import Closed, SmtpTalker, fresh_source, stuffed
from lib.together import Crowd, chosen_rows
from lib.waiting import wait_for

pytestmark = pytest.mark.xdist_group("faults of clients")
SECONDS = 4  # receiver_timeout: two hundred clients have one interpreter
HELLO = bytes.fromhex("160301020001")  # the beginning of a ClientHello's record
SUBJECT = "Subject: {}\r\n\r\nA body.\r\n"


class Client:
    """One of them, on its way to the place where it goes wrong."""

    def __init__(self, server, row):
        self.server, self.row, self.source = server, row, fresh_source()
        self.marker, self.log_begins, self.pause = f"fault-{row.name}.", os.path.getsize(server.log), 0
        self.talker = SmtpTalker({"mx": server.mx_port, "submission": server.submission_port, "lmtp": server.lmtp_listener}[row.role], source=self.source, greeting=False)

    def __getattr__(self, name):
        return getattr(self.talker, name)

    def greeting(self):
        assert self.reply().code == 220

    def hello(self):
        self.greeting()
        self.expect(250, "LHLO client.example.net" if self.row.role == "lmtp" else "EHLO client.example.net")

    def encrypted(self):
        self.hello()
        self.starttls()

    def mail_from(self):
        self.hello()
        self.expect(250, "MAIL FROM:<someone@example.net>")

    def recipient(self):
        self.mail_from()
        self.expect(250, "RCPT TO:<coco@example.test>")

    def prompt(self):
        self.recipient()
        self.expect(354, "DATA")

    def text(self):
        return stuffed(SUBJECT.format(self.marker))

    def encrypted_now(self):
        return isinstance(self.socket, ssl.SSLSocket)

    def codes(self):
        """Of every reply until the server closes; none where what comes is TLS."""
        codes = []
        try:
            while self.row.phase == "handshake" or self.encrypted_now() and self.socket.version() is None:
                if not self.socket.recv(65536):
                    return []
            while True:
                codes.append(self.reply().code)
        except (Closed, OSError):
            return codes

    def log(self):
        """Its own lines. Forty clients look again and again: none reads what was there before it."""
        with open(self.server.log, "rb") as stream:
            stream.seek(self.log_begins)
            lines = stream.read().decode("utf-8", "replace").split("\n")
        return "\n".join(line for line in lines if self.source in line and re.search(rf"\b{re.escape(self.source)}\b", line))

    def expected(self):
        """(what the log says, the codes). Whom the machine kept from talking for so long may have been cut off as silent."""
        late = self.pause > SECONDS / 2
        return (f"{self.row.says}|{LATE}", self.row.codes | {421}) if late else (self.row.says, self.row.codes)


# Where. Each leaves the client at the place; what is said there is one of the phases of WHAT_THE_LOG_SAYS.

def then(before, data):
    def reach(client):
        getattr(client, before)()
        client.send(data)
    return reach


def expecting(before, code, line):
    def reach(client):
        getattr(client, before)()
        client.expect(code, line)
    return reach


PLACES = {
    "before the greeting": ("mx", "idle", lambda client: None),
    "after the greeting": ("mx", "idle", Client.greeting),
    "after EHLO": ("mx", "idle", Client.hello),
    "in the middle of a line": ("mx", "idle", then("hello", "MAIL FROM:<some")),
    "before the TLS handshake": ("mx", "handshake", expecting("hello", 220, "STARTTLS")),
    "in the TLS handshake": ("mx", "handshake", lambda client: (expecting("hello", 220, "STARTTLS")(client), client.send(HELLO))),
    "within TLS": ("mx", "idle", Client.encrypted),
    "in an AUTH exchange": ("submission", "idle", expecting("encrypted", 334, "AUTH PLAIN")),
    "in the middle of an AUTH line": ("submission", "idle", lambda client: (expecting("encrypted", 334, "AUTH LOGIN")(client), client.send("Y29jb0"))),
    "after MAIL": ("mx", "transaction", Client.mail_from),
    "after RCPT": ("mx", "transaction", Client.recipient),
    "after DATA": ("mx", "transaction", Client.prompt),
    "in the body": ("mx", "transaction", then("prompt", "Subject: cut\r\n\r\nhalf a li")),
    "in the end of the data": ("mx", "transaction", then("prompt", "Subject: cut\r\n\r\nlines\r\n.")),
    "in a chunk": ("mx", "transaction", then("recipient", "BDAT 1000000\r\nSubject: cut\r\n\r\n")),
    "between chunks": ("mx", "transaction", lambda client: (client.recipient(), client.send("BDAT 16\r\nSubject: cut\r\n\r\n"), client.reply())),
    "after RCPT over LMTP": ("lmtp", "transaction", Client.recipient),
    "in the body over LMTP": ("lmtp", "transaction", then("prompt", "Subject: cut\r\n\r\nhalf a li")),
}
STORED = {
    "after the dot": ("mx", "stored", lambda client: (client.prompt(), client.send(client.text()))),
    "after the last chunk": ("mx", "stored", lambda client: (client.recipient(), client.send("BDAT %d LAST\r\n" % len(client.text()[:-3])),
                                                            client.send(client.text()[:-3]))),
    "after the dot over LMTP": ("lmtp", "stored", lambda client: (client.prompt(), client.send(client.text()))),
    "after the dot within TLS": ("submission", "stored", lambda client: (
        client.encrypted(), client.login(), client.expect(250, "MAIL FROM:<coco@example.test>"), client.expect(250, "RCPT TO:<coco@example.test>"),
        client.expect(354, "DATA"), client.send(b"From: <coco@example.test>\r\n" + client.text()))),
}


# What goes wrong there. Each gives the codes that the client read.

def closes(client):
    client.close()
    return []


def resets(client):
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    return []


def half_closes(client):
    client.socket.shutdown(socket.SHUT_WR)
    return client.codes()


def is_silent(client):
    return client.codes()


def drips(client):
    """A byte now and then, which never end a line, until the server says something."""
    codes = []
    try:
        while True:
            if select.select([client.socket], [], [], SECONDS / 10)[0]:
                codes.append(client.reply().code)
            if codes[-1:] not in ([], [220]):
                break
            client.send("x")
    except (Closed, ssl.SSLError):
        return codes
    return codes + client.codes()


def talks_nonsense(client):
    chance = random.Random(client.row.name)
    try:
        client.send(b"\xff\x00" + chance.randbytes(600) + b"\r\n" + chance.randbytes(600) + b"\r\n.\r\n\r\nQUIT\r\n")
        if not client.encrypted_now():
            client.socket.shutdown(socket.SHUT_WR)
    except (Closed, OSError):
        pass
    return client.codes()


LEFT, BROKE, SHOOK = "(closed|lost) the connection (without QUIT|before the greeting)", "rule broken: (closed|lost) the connection", "TLS with .* failed: "
LATE = "rule timeout: (silent for too long|too slow|took too long over one line) in state"
# fault: (act, what the client may read, {phase: what the log says of it})
FAULTS = {
    "closes": (closes, set(), {"idle": LEFT, "transaction": BROKE, "handshake": SHOOK, "stored": LEFT}),
    "resets": (resets, set(), {"idle": LEFT, "transaction": BROKE, "handshake": SHOOK, "stored": f"{LEFT}|{BROKE}"}),
    "closes its side": (half_closes, {220, 250}, {"idle": LEFT, "transaction": BROKE, "handshake": SHOOK, "stored": LEFT}),
    "is silent": (is_silent, {220, 421}, {"idle": LATE, "transaction": LATE, "handshake": SHOOK}),
    "drips": (drips, {220, 421}, {"idle": LATE, "transaction": LATE, "handshake": SHOOK}),
    "talks nonsense": (talks_nonsense, {220, 221, 250, 421, 500, 501, 502, 503, 550, 554},
                       {"idle": "violation by", "transaction": "violation by", "handshake": SHOOK}),
}
OUTCOMES = {
    "closes": "nothing stored", "resets": "nothing stored", "closes its side": "our end closes too; nothing stored",
    "is silent": "421 4.4.2 after receiver_timeout; nothing stored", "drips": "421 4.4.2 when the time for a line, or the minimum rate, is over; nothing stored",
    "talks nonsense": "5xx, or the lockout's 421; nothing stored",
}
STORED_OUTCOMES = {"closes": "stored, delivered once", "resets": "stored and delivered once, or refused as cut off",
                   "closes its side": "250; stored, delivered once"}
ROWS = [Fault(f"a client {fault}", place, "the connection is closed" if phase == "handshake" else OUTCOMES[fault], role=role, phase=phase, reach=reach,
              act=act, codes=codes, says=says[phase])
        for place, (role, phase, reach) in PLACES.items() for fault, (act, codes, says) in FAULTS.items()]
ROWS += [Fault(f"a client {fault}", place, outcome, role=STORED[place][0], phase="stored", reach=STORED[place][2], act=FAULTS[fault][0],
               codes=FAULTS[fault][1], says=FAULTS[fault][2]["stored"]) for place in STORED for fault, outcome in STORED_OUTCOMES.items()]


@pytest.fixture(scope="module")
def server():
    with Instance(lmtp=True, settings={"receiver_timeout": SECONDS, "data_minimum_rate": 1000, "message_maximum": 1 << 20, "recipient_maximum": 100}) as made:
        yield made


@pytest.fixture(scope="module")
def crowd(server, request):
    with Crowd(server, chosen_rows(request), run) as made:
        yield made


def run(crowd, row):
    """(the client's messages as they arrived, how many were stored), once the log has said what was wrong."""
    server = crowd.server
    client = Client(server, row)
    if row.phase == "endless":
        crowd.floods.add(client.source)
    row.reach(client)
    codes = row.act(client)
    says, allowed = client.expected()
    wait_for(lambda: re.search(says, client.log()), f"{says!r} in the log", explain=lambda: client.log() + client.transcript())
    stored = len(server.sql("select 1 from mails where remote_ip = ?", client.source))
    assert set(codes) <= allowed, codes
    if row.act in (is_silent, drips) and row.phase != "handshake" and not client.encrypted_now():
        assert codes[-1] == 421, codes
    if row.phase != "stored":
        assert not stored, client.log()
    elif row.act is not resets:
        assert stored == 1, client.log()
    if stored:
        server.wait_mail("coco@example.test", client.marker)
    return [mail for mail in server.mails("coco@example.test") if client.marker.encode() in mail], stored


# Without end: each is sent until the server has had enough, or `enough` of it.

def flood(client, piece, enough=1 << 30, reads=False):
    """Sends it again and again; the codes that came, read at the end, or meanwhile."""
    client.socket.settimeout(60)
    sent, codes, last = 0, [], time.monotonic()
    try:
        while sent < enough:
            client.pause, last = max(client.pause, time.monotonic() - last), time.monotonic()
            client.send(piece)
            sent += len(piece)
            client.dialogue.clear()
            while reads and select.select([client.socket], [], [], 0)[0]:
                codes.append(client.reply().code)
    except (Closed, OSError):
        pass
    client.pause = max(client.pause, time.monotonic() - last)
    return codes + client.codes()


def never_reads(client):
    """Nothing is read before the server has closed; the window is small, so that its words have nowhere to go."""
    client.socket.settimeout(60)
    try:
        while True:
            client.send(b"NOOP\r\n" * 1000)
            client.dialogue.clear()
    except (Closed, OSError):
        return []


def floods(piece, enough=1 << 30):
    return lambda client: flood(client, piece, enough)


ENDLESS = [
    Fault("a line without end", "after EHLO", "421 4.4.2 when the time for a line is over", role="mx", reach=Client.hello, act=floods(b"x" * 65536), codes={421},
          says="rule timeout: took too long over one line"),
    Fault("a line without end", "in an AUTH exchange", "421 4.4.2 when the time for a line is over, or closed", role="submission", reach=PLACES["in an AUTH exchange"][2],
          act=floods(b"x" * 65536), codes={421}, says="rule timeout: took too long over one line"),
    Fault("a body without end", "after DATA", "552 5.3.4 and closed at twice message_maximum", role="mx", reach=Client.prompt, act=floods(b"line\r\n" * 10000),
          codes={552}, says="552 5.3.4 Message size exceeds the maximum of 1048576 bytes by far"),
    Fault("a line without end", "in the body", "552 5.3.4 and closed at twice message_maximum", role="mx", reach=Client.prompt, act=floods(b"x" * 65536),
          codes={552}, says="552 5.3.4 Message size exceeds the maximum of 1048576 bytes by far"),
    Fault("a header section without end", "after DATA", "552 5.3.4 and closed at twice message_maximum", role="mx", reach=Client.prompt, act=floods(b"X-Field: of many\r\n" * 5000),
          codes={552}, says="552 5.3.4 Message size exceeds the maximum of 1048576 bytes by far"),
    Fault("a chunk of 2^62 bytes", "after RCPT", "552 5.3.4 and closed at twice message_maximum", role="mx", reach=then("recipient", "BDAT 4611686018427387904\r\n"),
          act=floods(b"line\r\n" * 10000), codes={552}, says="552 5.3.4 Message size exceeds the maximum of 1048576 bytes by far"),
    Fault("a chunk of 2^62 bytes", "before MAIL", "503, or 552 and closed at twice message_maximum", role="mx", reach=then("hello", "BDAT 4611686018427387904\r\n"),
          act=floods(b"line\r\n" * 10000), codes={552}, says="552 5.3.4 Message size exceeds the maximum of 1048576 bytes by far"),
    Fault("chunks without end", "after RCPT", "552 5.3.4 from message_maximum on, then the lockout's 421", role="mx", reach=Client.recipient,
          act=floods(b"BDAT 60000\r\n" + b"line\r\n" * 10000), codes={250, 552, 503, 421}, says="violation by"),
    Fault("recipients without end", "after MAIL", "452 4.5.3 above recipient_maximum, then the client may go on", role="mx", reach=Client.mail_from,
          act=floods(b"RCPT TO:<coco@example.test>\r\n" * 10, 20000), codes={250, 452, 421}, says=LATE),
    Fault("unknown commands without end", "after EHLO", "500, then the lockout's 421", role="mx", reach=Client.hello, act=floods(b"NONSENSE\r\n" * 100), codes={500, 421},
          says="rule protocol: 500 5.5.1"),
    Fault("a client that reads no reply", "after EHLO", "closed after receiver_timeout", role="mx", reach=Client.hello, act=never_reads, codes=set(),
          says="rule timeout: does not read what it is told"),
    Fault("a client that reads no reply", "within TLS", "closed after receiver_timeout", role="mx", reach=Client.encrypted, act=never_reads, codes=set(),
          says="rule timeout: does not read what it is told"),
    Fault("a client that reads no reply", "over LMTP", "closed after receiver_timeout", role="lmtp", reach=Client.hello, act=never_reads, codes=set(),
          says="rule timeout: does not read what it is told"),
]
for one in ENDLESS:
    one.phase = "endless"


@matrix("Clients", ROWS + ENDLESS)
def test_a_client_that_goes_wrong(crowd, row):
    arrived, stored = crowd.outcome(row)
    assert len(arrived) == stored


def test_others_are_served_and_nobody_spins_meanwhile(crowd):
    crowd.check()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_who_goes_on_behind_quit_reads_the_last_reply_and_the_end(server, tls):
    """Closed with bytes unread, a connection is reset, and what was on its way to the client is thrown away."""
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        if tls:
            client.starttls()
        client.send(b"QUIT\r\n" + b"NOOP\r\n" * 20000)
        assert client.reply() == 221
        assert client.socket.recv(1) == b""
