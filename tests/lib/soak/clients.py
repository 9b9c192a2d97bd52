"""The clients of a soak: kinds of sessions, each a method; `work` is the main of one process with several threads of them.

What they did goes to the parent in batches of tuples: ("accepted", marker, digest, fates, seconds from connecting, seconds from the
dot), ("uncertain", marker, digest, fates), ("refused", why), ("strange", what): a reply that nobody with these manners should get.
"""
import queue
import random
import ssl
import subprocess
import threading
import time

from lib.place import program
from lib.sasl import Scram
from lib.soak.letters import KIB, Letter, seeded
from lib.talker import Closed, Reply, SmtpTalker, stuffed

STRANGER, MEMBER = "someone@example.net", "coco@example.test"
PASSWORD = "my-password"
GOOD = {"plain": 20, "pipelined": 16, "starttls": 8, "login_plain": 8, "login_scram": 4, "implicit_tls": 8, "resumed_tls": 8, "chunks": 10, "lmtp": 8,
        "sendmail": 1}
BAD = {"breaks_rules": 6, "too_large": 1, "disconnects": 6, "slow": 1}
OVERSIZE = 9 * 1024 * KIB
PATIENCE = 180


class ResumingTalker(SmtpTalker):
    """TLS from the start, with the session of the connection before where there is one."""

    context, session = None, None

    def handshake(self, server_name="mail.example.test"):
        kind = type(self)
        if kind.context is None:
            kind.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            kind.context.check_hostname, kind.context.verify_mode = False, ssl.CERT_NONE
        self.socket = kind.context.wrap_socket(self.socket, server_hostname=server_name, session=kind.session)

    def keep_session(self):
        type(self).session = self.socket.session


class Sessions:
    """One thread's clients. ports: mx, internal, submission, submissions, lmtp; configuration: for the program sendmail."""

    def __init__(self, number, ports, configuration, fates, tell):
        self.number, self.ports, self.configuration, self.fates, self.tell = number, ports, configuration, fates, tell
        self.chance = seeded("soak", number, time.time_ns())
        self.serial, self.began, self.first = number * 10_000_000, 0.0, None
        self.letter, self.ended = None, False

    # A letter, and where it goes.

    def next_letter(self, places, largest=8 * 1024 * KIB):
        self.serial += 1
        fates = {}
        for _ in range(self.chance.choice([1, 1, 1, 2, 3])):
            addresses, fate, _ = self.chance.choices(self.fates[places], [row[2] for row in self.fates[places]])[0]
            fates[self.chance.choice(addresses)] = fate
        self.letter, self.ended = Letter(self.serial, self.chance, fates, largest), False
        return self.letter

    def source(self, net, hosts):
        return f"127.{net}.0.{1 + self.chance.randrange(hosts)}"

    def connect(self, port, kind=SmtpTalker, net=77, hosts=60, **options):
        self.began = self.first = time.monotonic()
        return kind(self.ports[port], source=self.source(net, hosts), timeout=PATIENCE, **options)

    def accepted(self, dot):
        now, letter = time.monotonic(), self.letter
        self.tell("accepted", letter.marker, letter.digest, letter.fates, now - self.first if self.first else None, now - dot)
        self.first, self.letter = None, None

    def judge(self, reply, dot):
        """The reply to the end of a good client's message."""
        if reply.code == 250:
            self.accepted(dot)
            return
        self.ended = False
        self.tell("refused" if reply.code // 100 == 4 else "strange", f"end of data: {reply.lines[0] if reply.lines else ''}"[:90])

    def envelope(self, letter, sender, parameters=""):
        return [f"MAIL FROM:<{sender}>{parameters}", *(f"RCPT TO:<{recipient}>" for recipient in letter.fates)]

    # Ways of handing over.

    def by_data(self, client, sender, places):
        letter = self.next_letter(places)
        for line in self.envelope(letter, sender):
            client.expect(250, line)
        client.expect(354, "DATA")
        wire = stuffed(letter.data)
        self.ended = True
        client.send(wire)
        dot = time.monotonic()
        self.judge(client.reply(), dot)

    def by_group(self, client, sender, places):
        letter = self.next_letter(places)
        lines = [*self.envelope(letter, sender), "DATA"]
        client.send("".join(line + "\r\n" for line in lines))
        for line in lines:
            code = client.reply().code
            assert code == (354 if line == "DATA" else 250), f"wanted another reply to {line!r}\n" + client.transcript()
        self.ended = True
        client.send(stuffed(letter.data))
        dot = time.monotonic()
        self.judge(client.reply(), dot)

    def by_chunks(self, client, sender, places):
        letter = self.next_letter(places)
        pieces = [letter.data[at:at + 100_000] for at in range(0, len(letter.data), 100_000)]
        for line in self.envelope(letter, sender, f" SIZE={len(letter.data)}"):
            client.expect(250, line)
        self.ended = True
        for number, piece in enumerate(pieces, 1):
            client.send(f"BDAT {len(piece)}{' LAST' if number == len(pieces) else ''}\r\n".encode() + piece)
            dot = time.monotonic()
            if number < len(pieces):
                assert client.reply().code == 250, client.transcript()
        self.judge(client.reply(), dot)

    def several(self, client, way, sender, places):
        with client:
            for _ in range(self.chance.randrange(1, 8)):
                way(client, sender, places)
            client.quit()

    # Sessions with manners.

    def plain(self):
        client = self.connect("mx")
        client.ehlo()
        self.several(client, self.by_data, STRANGER, "local")

    def pipelined(self):
        client = self.connect("internal")
        client.ehlo()
        self.several(client, self.by_group, MEMBER, "all")

    def chunks(self):
        client = self.connect("internal")
        client.ehlo()
        self.several(client, self.by_chunks, MEMBER, "all")

    def starttls(self):
        client = self.connect("mx")
        client.ehlo()
        client.starttls()
        self.several(client, self.by_group, STRANGER, "local")

    def login_plain(self):
        client = self.connect("submission")
        client.ehlo()
        client.starttls()
        assert client.login().code == 235, client.transcript()
        self.several(client, self.by_data, MEMBER, "all")

    def login_scram(self):
        client = self.connect("submission")
        client.ehlo()
        client.starttls()
        assert Scram(client).login().code == 235, client.transcript()
        self.several(client, self.by_group, MEMBER, "all")

    def implicit_tls(self):
        client = self.connect("submissions", tls="mail.example.test")
        client.ehlo()
        assert client.login().code == 235, client.transcript()
        self.several(client, self.by_data, MEMBER, "all")

    def resumed_tls(self):
        client = self.connect("submissions", ResumingTalker, tls="mail.example.test")
        self.tell("resumed" if client.socket.session_reused else "not resumed")
        client.ehlo()
        client.keep_session()
        assert client.login().code == 235, client.transcript()
        self.several(client, self.by_chunks, MEMBER, "all")

    def lmtp(self):
        with self.connect("lmtp") as client:
            client.expect(250, "LHLO client.example.net")
            for _ in range(self.chance.randrange(1, 6)):
                letter = self.next_letter("local")
                for line in self.envelope(letter, STRANGER):
                    client.expect(250, line)
                client.expect(354, "DATA")
                self.ended = True
                client.send(stuffed(letter.data))
                dot = time.monotonic()
                replies = [client.reply() for _ in letter.fates]
                codes = {reply.code for reply in replies}
                self.judge(replies[0] if len(codes) == 1 else Reply(["500 the replies for its recipients differ"]), dot)
            client.quit()

    def sendmail(self):
        letter = self.next_letter("all", 256 * KIB)
        self.ended = True
        dot = time.monotonic()
        done = subprocess.run([program("sendmail"), "-c", self.configuration, "-i", "-f", MEMBER, *letter.fates],
                              input=letter.data.replace(b"\r\n", b"\n"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode == 0:
            self.first = None
            self.accepted(dot)
        else:
            self.tell("uncertain", letter.marker, letter.digest, letter.fates)
            self.tell("refused" if done.returncode == 75 else "strange", f"sendmail ended with {done.returncode}: {done.stdout.decode()[:80]}")

    # Sessions without.

    def breaks_rules(self):
        line = self.chance.choice(["RCPT TO:<friend@far.example>", "RCPT TO:<nobody-here@example.test>", "GET / HTTP/1.0", "MAIL FROM:<..@x>", "\0\1\2\3",
                                   "EHLO " + "x" * 5000, "bare"])
        with self.connect("mx", net=90, hosts=24) as client:
            client.ehlo()
            client.expect(250, f"MAIL FROM:<{STRANGER}>")
            if line == "bare":
                client.expect(250, "RCPT TO:<mike@example.test>")
                client.expect(354, "DATA")
                client.send(b"Subject: x\r\n\r\nsome\nmore\r\n.\r\n")
                reply = client.reply()
            else:
                reply = client.command(line)
            self.tell("refused" if reply.code // 100 in (4, 5) else "strange", "rules: " + str(reply.code))

    def too_large(self):
        with self.connect("mx", net=91, hosts=200) as client:
            client.ehlo()
            if self.chance.random() < 0.7:
                reply = client.command(f"MAIL FROM:<{STRANGER}> SIZE=99999999")
            else:
                client.expect(250, f"MAIL FROM:<{STRANGER}>")
                client.expect(250, "RCPT TO:<mike@example.test>")
                client.expect(354, "DATA")
                client.send((b"x" * 900 + b"\r\n") * (OVERSIZE // 900) + b".\r\n")
                reply = client.reply()
            self.tell("refused" if reply.code == 552 else "strange", "size: " + str(reply.code))

    def disconnects(self):
        """Anywhere: at the greeting, in the dialogue, in the data, or behind the dot."""
        client = self.connect("internal", net=92, hosts=200)
        with client:
            letter, where = self.next_letter("local", 512 * KIB), self.chance.randrange(5)
            wire = stuffed(letter.data)
            if where > 0:
                client.ehlo()
            if where > 1:
                for line in self.envelope(letter, MEMBER):
                    client.expect(250, line)
                client.expect(354, "DATA")
            if where == 3:
                client.send(wire[:-5 - self.chance.randrange(len(wire) // 2)])
            if where == 4:
                self.ended = True
                client.send(wire)
                raise Closed("by the client")
        self.tell("refused", "the client went")

    def slow(self):
        with self.connect("mx", net=93, hosts=60) as client:
            client.ehlo()
            letter = self.next_letter("local", 32 * KIB)
            for line in [*self.envelope(letter, STRANGER), "DATA"]:
                for letter_of_line in line + "\r\n":
                    client.send(letter_of_line)
                    time.sleep(0.02)
                assert client.reply().code in (250, 354), client.transcript()
            wire = stuffed(letter.data)
            for at in range(0, len(wire), 1500):
                self.ended = at + 1500 >= len(wire)
                client.send(wire[at:at + 1500])
                time.sleep(0.3)
            self.first = None
            self.judge(client.reply(), time.monotonic())
            client.quit()

    def run(self, name):
        """One session. A message whose end was sent and that has no reply may come or not."""
        self.letter = None
        try:
            getattr(self, name)()
        except (AssertionError, OSError) as problem:
            if self.letter and self.ended:
                self.tell("uncertain", self.letter.marker, self.letter.digest, self.letter.fates)
            said = [line[3:] for line in str(problem).split("\n") if line.startswith("S: ")]
            last = said[-1][:3] if said else "closed before the greeting" if "closed" in str(problem) else type(problem).__name__
            if name in BAD or last[0] == "4":
                self.tell("refused", f"{name}: {last}")
            else:
                self.tell("strange", f"{name}: {problem}"[:80] + " … " + " / ".join(said[-3:])[:200])


def work(number, threads, ports, configuration, fates, weights, events, stop, hold):
    """A process of clients. events: a multiprocessing queue; stop, hold: events of the same kind (hold: nothing new is begun)."""
    random.seed(number)
    told = queue.SimpleQueue()

    def thread(place):
        sessions = Sessions(number * 100 + place, ports, configuration, fates, lambda *row: told.put(row))
        names, chances = list(weights), list(weights.values())
        while not stop.is_set():
            if hold.is_set():
                time.sleep(0.05)
                continue
            sessions.run(sessions.chance.choices(names, chances)[0])

    running = [threading.Thread(target=thread, args=(place,), daemon=True) for place in range(threads)]
    for one in running:
        one.start()
    while any(one.is_alive() for one in running) or not told.empty():
        batch = []
        while not told.empty():
            batch.append(told.get())
        if batch:
            events.put(batch)
        time.sleep(0.2)
    events.put(None)
