"""Servers that break off, fall silent, drip, or talk nonsense, at every step of a delivery: the message is put off, returned or delivered
as their words say, the log says why, and once they are well again it arrives; once, unless they had it and did not say so. All rows
at once, against one server of ours."""
import os
import re
import shutil
import socket
import tempfile

import pytest

from lib.certificates import certificate
from lib.faults import Fault, matrix
from lib.messages import message
from lib.together import Crowd, chosen_rows
from lib.waiting import wait_for
from lib.world import World

pytestmark = pytest.mark.xdist_group("faults of servers")
SECONDS = 3  # queue_runner_timeout
BUSY = "451 4.4.2 timeout|451 4.7.5 TLS handshake failed: the peer is too slow"  # also on a machine that has much else to do
LATE = "timeout while waiting for the reply after the mail data"
LARGE = 2 << 20  # more than fits between two sockets

# Where: the verb whose reply is the fault, what the log calls it, a reply that would be right.
STEPS = {
    "at the greeting": ("GREETING", "the greeting", "220 hi"),
    "at EHLO": ("EHLO", "the reply to EHLO", "250 mx"),
    "at STARTTLS": ("STARTTLS", "the reply to EHLO", "220 go"),
    "at AUTH": ("AUTH", "the reply to AUTH", "235 welcome"),
    "at MAIL": ("MAIL", "the reply to MAIL", "250 ok"),
    "at RCPT": ("RCPT", "the reply to RCPT", "250 ok"),
    "at DATA": ("DATA", "the reply to DATA", "354 go on"),
    "after the dot": ("EOD", "the reply after the mail data", "250 taken"),
    "at LHLO": ("LHLO", "the reply to EHLO", "250 mx"),
    "at MAIL over LMTP": ("MAIL", "the reply to MAIL", "250 ok"),
    "at RCPT over LMTP": ("RCPT", "the reply to RCPT", "250 ok"),
    "at DATA over LMTP": ("DATA", "the reply to DATA", "354 go on"),
    "after the dot over LMTP": ("EOD", "the reply after the mail data", "250 taken"),
}
LATER = "put off, arrives later"
# What: the reply, by the right one; what the log says of it.
FAULTS = {
    "closes": (lambda right: "CLOSE", "451 4.4.2 connection (closed|lost) while waiting for {}"),
    "resets": (lambda right: "RESET", "451 4.4.2 connection (closed|lost) while waiting for {}|451 4.4.1 cannot connect to .*reset by peer"),
    "is silent": (lambda right: "HANG", "451 4.4.2 timeout while waiting for {}"),
    "drips its reply": (lambda right: f"DRIP {right[:3]}-{'x' * 100}", "451 4.4.2 timeout while waiting for {}"),
    "breaks off in its reply": (lambda right: f"{right[:3]}-first|CLOSE", "451 4.4.2 connection (closed|lost) while waiting for {}"),
    "talks nonsense": (lambda right: "RAW \xff\xfe\0\x01 %s\r\n\r\n", "451 4.5.0 the server sent no reply"),
    "says 999": (lambda right: "999 what", "451 4.5.0 the server sent no reply"),
    "changes the code in its reply": (lambda right: f"{right[:3]}-first\n{'550' if right[0] == '2' else '250'} last", "451 4.5.0 the server sent no reply"),
    "sends lines without end": (lambda right: f"FOREVER {right[:3]}-more", "451 4.5.0 more than 256 lines in {}"),
    "sends a line without end": (lambda right: "FOREVER RAW x", "451 4.5.0 line too long in {}"),
    "sends a line of 5000 bytes": (lambda right: f"{right} {'x' * 5000}", "451 4.5.0 line too long in {}"),
    "says 421": (lambda right: "421 4.3.2 closing", "421 4.3.2 closing"),
    "says 4xx": (lambda right: "451 4.3.0 not now", "451 4.3.0 not now"),
    "says 5xx": (lambda right: "554 5.7.1 never", "554 5.7.1 never"),
    "says the wrong code": (lambda right: "250 what" if right[0] == "3" else "354 what", "(250|354) what"),
    "sends a NUL": (lambda right: f"{right} \0 and goes on", ""),
}


class Row(Fault):
    """on: the exchanger's replies; state: of the parcel after the first attempt; says: its reply, as the log has it; copies: that arrive in the end."""

    def __init__(self, fault, place, outcome, on, state="deferred", says="", copies=1, **needs):
        super().__init__(f"a server {fault}", place, outcome, on=on, state=state, says=says, copies=copies, **{"size": 0, **needs})
        self.lmtp, self.auth = "LMTP" in place or place == "at LHLO", place == "at AUTH"
        self.tls = self.auth or "TLS" in place


def row_of(fault, place):
    verb, waiting, right = STEPS[place]
    make, says = FAULTS[fault]
    reply, state, outcome, copies = make(right), "deferred", LATER, 1
    on = {verb: reply}
    if fault == "sends a NUL":
        state, outcome = "delivered", "delivered; the NUL is shown as ?"
    if place == "at STARTTLS" and fault in ("says 4xx", "says 5xx", "says the wrong code"):
        state, outcome, says = "delivered", "delivered without TLS", ""
    elif place == "at AUTH" and fault in ("says 4xx", "says 5xx", "says the wrong code"):
        says = f"454 4.7.0 the login as user was refused: {says}"
    elif place == "at EHLO" and fault == "says 5xx":
        state, outcome, says = "delivered", "HELO is tried; delivered", ""
    elif place == "at the greeting" and fault == "says 5xx":
        says = f"451 4.3.2 greeted with: {says}"
    elif fault == "says 5xx":
        state, outcome = "failed", "returned to its sender"
    if verb == "EOD" and reply[0] == "2" and state == "deferred":
        outcome, copies = "put off, arrives later; twice, since it had it and did not say so", 2
    return Row(fault, place, outcome, on, state, says.format(waiting), copies)


PLAIN = "TLS handshake failed: .*; trying without TLS"
ROWS = [row_of(fault, place) for place in STEPS for fault in FAULTS] + [
    Row("closes", "in the TLS handshake", "delivered without TLS", {"STARTTLS": "220 go|CLOSE"}, "delivered", log=PLAIN),
    Row("resets", "in the TLS handshake", "delivered without TLS", {"STARTTLS": "220 go|RESET"}, "delivered", log=PLAIN),
    Row("is silent", "in the TLS handshake", "delivered without TLS", {"STARTTLS": "220 go|HANG"}, "delivered", log=PLAIN),
    Row("talks nonsense", "in the TLS handshake", "delivered without TLS", {}, "delivered", log=PLAIN, garbage=True),
    Row("closes", "in the body", LATER, {"BODY": "CLOSE"}, says="451 4.4.2 connection (closed|lost)"),
    Row("resets", "in the body", LATER, {"BODY": "RESET"}, says="451 4.4.2 connection (closed|lost)"),
    Row("is silent", "in the body", LATER, {"BODY": "HANG"}, says="451 4.4.2 timeout while waiting for the reply after the mail data"),
    Row("closes", "in the body of a large message", LATER, {"BODY": "CLOSE"}, says="451 4.4.2 connection (closed|lost)", size=LARGE),
    Row("resets", "in the body of a large message", LATER, {"BODY": "RESET"}, says="451 4.4.2 connection (closed|lost)", size=LARGE),
    Row("reads no more", "in the body of a large message", LATER, {"BODY": "DEAF"}, says="451 4.4.2 timeout while waiting for (room for the mail data|the reply after the mail data)", size=5 << 20),
    Row("says 552 and closes", "in the body of a large message", "returned to its sender, or put off when the reply was lost with the connection",
        {"BODY": "552 5.3.4 too large|CLOSE"}, ("failed", "deferred"), says="552 5.3.4 too large|451 4.4.2 connection (closed|lost)", size=LARGE),
    Row("says 521", "at the greeting", "returned to its sender", {"GREETING": "521 5.3.2 no mail here"}, "failed", says="521 5.3.2 no mail here"),
    Row("greets twice", "at the greeting", LATER, {"GREETING": "220 hi\n220 hi again"}, says="451 4.5.0 the server spoke out of turn|250 "),
    Row("answers twice", "at MAIL", LATER, {"MAIL": "250 ok\n250 ok again"}, says="451 4.5.0 the server spoke out of turn|250 "),
    Row("answers twice", "at RCPT", LATER, {"RCPT": "250 ok\n250 ok again"}, says="451 4.5.0 the server spoke out of turn|250 "),
    Row("says 250 for the message", "at DATA already", LATER, {"DATA": "354 go on\n250 2.0.0 taken", "EOD": "554 5.7.1 not taken"},
        says="451 4.5.0 the server spoke out of turn"),
    Row("says 250 for the message", "at DATA over LMTP already", LATER, {"DATA": "354 go on\n250 2.0.0 taken", "EOD": "554 5.7.1 not taken"},
        says="451 4.5.0 the server spoke out of turn"),
    Row("says 552", "at DATA already", "returned to its sender", {"DATA": "354 go on\n552 5.3.4 too large"}, "failed", says="552 5.3.4 too large"),
    Row("closes", "at QUIT", "delivered", {"QUIT": "CLOSE"}, "delivered"),
    Row("is silent", "at QUIT", "delivered", {"QUIT": "HANG"}, "delivered"),
    Row("is not there", "at the connection", LATER, {}, says="451 4.4.1 cannot connect to .*Connection refused", absent="refused"),
    Row("does not answer", "at the connection", LATER, {}, says="451 4.4.1 cannot connect to .*timed out", absent="full"),
]


class Scene:
    """One server of ours, and an exchanger for each row, on an address of its own."""

    def __init__(self, rows):
        self.folder = tempfile.mkdtemp(prefix="parcelpost-faults-")
        os.chmod(self.folder, 0o755)
        with open(os.path.join(self.folder, "password"), "w", encoding="ascii") as stream:
            stream.write("secret\n")
        os.chmod(stream.name, 0o600)
        chain = certificate(self.folder, "sink.test")
        self.world = World(settings={"queue_runner_timeout": SECONDS, "destination_limit": 2})
        self.exchangers, self.fillers = {}, []
        for number, row in enumerate(rows):
            row.domain = f"f{number}.fault.test"
            self.exchangers[row] = self.make(row, chain)
            if row.lmtp or row.auth:
                keys = "lmtp = yes" if row.lmtp else f'tls = required\n user = "user"\n password_file = "{stream.name}"'
                self.world.server.extra += f'route "{row.domain}" {{ host = "{self.exchangers[row].host}:{self.world.port}"\n {keys} }}\n'
            self.world.server.zone.update({row.domain: [{"MX": [10, f"mx.{row.domain}"]}], f"mx.{row.domain}": [{"A": self.exchangers[row].host}]})

    def make(self, row, chain):
        needs = {"on": dict(row.on), "lmtp": row.lmtp, "window": 65536 if row.size else None}
        if row.tls or "STARTTLS" in row.place:
            needs["certificate"] = chain
        if row.auth:
            needs["auth"] = ("user", "secret")
        one = self.world.exchanger(start=not hasattr(row, "absent"), **needs)
        if hasattr(row, "garbage"):
            one.behaviour["tls_garbage"] = True
        if getattr(row, "absent", "") == "full":
            self.fill(one)
        return one

    def fill(self, one):
        """A port whose backlog is full: the kernel answers nobody."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((one.host, one.port))
        listener.listen(0)
        self.fillers.append(listener)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((one.host, one.port))
            self.fillers.append(filler)

    def heal(self, row):
        one = self.exchangers[row]
        one.behaviour.update(on={}, tls_garbage=False)
        if hasattr(row, "absent"):
            for filler in self.fillers if row.absent == "full" else ():
                filler.close()
            self.world.exchangers.append(one.start())


@pytest.fixture(scope="module")
def crowd(request):
    rows = chosen_rows(request)
    scene = Scene(rows)
    try:
        with scene.world as world, Crowd(world.server, rows, lambda _, row: run(scene, row), workers=30) as made:
            yield made
    finally:
        for filler in scene.fillers:
            filler.close()
        shutil.rmtree(scene.folder, ignore_errors=True)


def log_of(server, mail_id):
    return "\n".join(line for line in server.log_text().split("\n") if mail_id in line)


def run(scene, row):
    world, recipient = scene.world, f"friend@{row.domain}"
    server, one = world.server, scene.exchangers[row]
    marker = f"fault-{row.name}."
    mail_id = world.submit(recipient, message(marker) + b"Another line of the message.\r\n" * (row.size // 30))
    parcel = world.parcels(mail_id, "deferred", "failed", "delivered")[recipient]
    for _ in range(5):
        if not re.match(BUSY, parcel["delivery_msg"]) or (parcel["state"] in row.state and re.match(row.says, parcel["delivery_msg"])):
            break
        world.retry(mail_id)
        parcel = world.parcels(mail_id, "deferred", "failed", "delivered")[recipient]
    assert parcel["state"] in row.state, (parcel["state"], parcel["delivery_msg"], one.sessions)
    assert re.match(row.says, parcel["delivery_msg"]), (parcel["delivery_msg"], one.sessions)
    assert re.search(rf"to <{re.escape(recipient)}> {parcel['state']}.*{row.says}", log_of(server, mail_id)), log_of(server, mail_id)
    if hasattr(row, "log"):
        assert re.search(rf"mx\.{row.domain}.*{row.log}", server.log_text()), server.log_tail()
    if parcel["state"] == "failed":
        assert b"multipart/report" in server.wait_mail("coco@example.test", marker)
        return not one.received_by(recipient)
    if parcel["state"] == "deferred":
        scene.heal(row)
        wait_for(lambda: arrives(world, mail_id), f"the delivery of {mail_id}", timeout=90, explain=lambda: log_of(server, mail_id))
    late = [attempt for attempt in world.attempts(mail_id) if LATE in attempt["reply"]]  # of a busy machine, which may have had it
    return row.copies <= len(one.received_by(recipient)) <= row.copies + len(late)


def arrives(world, mail_id):
    """Tries again, since a busy machine may be later than SECONDS."""
    def delivered():
        return all(row["state"] == "delivered" for row in world.server.sql("select state from parcels where mail_id = ?", mail_id))
    before = len(world.attempts(mail_id))
    if not delivered():
        world.server.command("queue", "retry", mail_id, check=False)  # it may have gone just now
        wait_for(lambda: delivered() or len(world.attempts(mail_id)) > before, f"another attempt of {mail_id}", explain=world.server.log_tail)
    return delivered()


@matrix("Servers", ROWS)
def test_a_server_that_goes_wrong(crowd, row):
    assert crowd.outcome(row), "too few copies, or too many"


def test_mail_is_taken_and_nobody_spins_meanwhile(crowd):
    crowd.check()
