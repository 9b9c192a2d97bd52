"""A scriptable SMTP and LMTP server: a sink, a next hop that misbehaves on demand, and a judge of its client's manners.

FakeServer(**behaviour).start() gives .port; .messages are what it took, .faults the client's breaches of the standards,
.sessions the dialogues. Behaviour, all optional:
  ehlo=[keyword, ...]   what EHLO offers
  lmtp=True             LHLO, and after the data one reply a recipient
  on={"MAIL": [...], "RCPT": {...}, "DATA": ..., "EOD": ..., "STARTTLS": ..., "GREETING": ..., "EHLO": ...}
                        replies; a list's items are used once each, the last one for ever; for RCPT and EOD (the end of
                        the data) a dict {address: reply or list, "*": …}. A reply is text, an action, or "TEXT|ACTION":
                        CLOSE (drop the connection), RESET (drop it with RST), HANG (never say a word, read what comes), DEAF (nor
                        read anything). What TEXT begins with may be "DRIP " (a byte now and then), "FOREVER " (again and again),
                        "RAW " (no line end, Latin-1). "BODY" answers in the middle of the data
  no_ehlo=True          500 to EHLO; HELO works
  line_end="\\n"        of a sloppy server
  auth=("user", "password")             offers AUTH (auth_mechanisms="PLAIN LOGIN") within TLS and wants it before MAIL; .logins
  window=BYTES          of data that may wait to be read
  certificate=(chain file, key file)    offers STARTTLS; tls_garbage=True answers the handshake with nonsense
"""
import base64
import re
import select
import socket
import ssl
import struct
import threading
import time
import weakref

from lib import ports

KEYWORDS = ["PIPELINING", "8BITMIME", "SIZE 100000000", "ENHANCEDSTATUSCODES"]
NEEDS_KEYWORD = {"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN", "AUTH": "AUTH", "REQUIRETLS": "REQUIRETLS", "SOLICIT": "NO-SOLICITING",
                 "NOTIFY": "DSN", "ORCPT": "DSN"}


ACTIONS = ("CLOSE", "RESET", "HANG", "DEAF")


class Drop(Exception):
    """The connection ends."""


class Message:
    """One message that was accepted: sender, parameters, recipients, data (dots removed), and how it came."""

    def __init__(self, session, data):
        self.sender, self.parameters = session.sender, session.parameters
        self.recipients = [address for address, _ in session.recipients]
        self.recipient_parameters = dict(session.recipients)
        self.accepted_for = []
        self.data, self.tls, self.ehlo, self.peer = data, session.tls, session.ehlo, session.peer
        self.server_name = session.server_name
        self.arrived = time.time()


class FakeServer:
    def __init__(self, host="127.0.0.1", port=0, name="sink.test", path=None, **behaviour):
        self.path = path  # of a Unix socket instead
        self.host, self.port, self.name, self.behaviour = host, port, name, behaviour
        self.messages, self.sessions, self.faults, self.logins = [], [], [], []
        self.lock = threading.Lock()
        self.used = {}
        self.listener = None
        self.open = set()

    def start(self):
        if not self.path and not self.port:  # one that the kernel gives to nobody else while this server is stopped
            self.port, = ports.take()
            weakref.finalize(self, ports.give_back, [self.port])
        family = socket.AF_UNIX if self.path else socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.behaviour.get("window"):
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.behaviour["window"])
        self.listener.bind(self.path or (self.host, self.port))
        self.listener.listen(256)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def stop(self):
        """Closes the port and every connection; start() opens the same port again."""
        for one in [self.listener, *self.open]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def endpoint(self):
        return f"{self.host}:{self.port}"

    def received_by(self, address):
        """The messages that were accepted for this recipient."""
        return [message for message in list(self.messages) if address in message.accepted_for]

    def _accept(self, listener):
        while True:
            try:
                client, peer = listener.accept()
            except OSError:
                return
            if not self.path:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client, peer), daemon=True).start()

    def _serve(self, client, peer):
        session = Session(self, client, peer)
        with self.lock:
            self.sessions.append(session.dialogue)
            self.open.add(client)
        try:
            session.run()
        except (Drop, OSError, ValueError) as end:
            session.dialogue.append(f"-- {type(end).__name__} {end}")
        finally:
            session.socket.close()
            with self.lock:
                self.open.discard(client)
                self.faults += session.faults

    def reply_for(self, verb, address=None):
        """What the behaviour says to this verb now, or None."""
        item, key = self.behaviour.get("on", {}).get(verb), verb
        if isinstance(item, dict):
            key = (verb, address)
            item = item.get(address, item.get("*"))
        if isinstance(item, list):
            with self.lock:
                count = self.used[key] = self.used.get(key, 0) + 1
            return item[min(count, len(item)) - 1] if item else None
        return item


class Session:
    def __init__(self, server, client, peer):
        self.server, self.socket, self.behaviour, self.peer = server, client, server.behaviour, peer
        self.dialogue, self.faults, self.unread = [], [], b""
        self.tls, self.server_name, self.ehlo, self.extended = "", None, None, False
        self.sender, self.parameters, self.recipients = None, "", []
        self.logged_in = False

    def fault(self, text):
        self.faults.append(text)
        self.dialogue.append("!! " + text)

    def keywords(self):
        words = list(self.behaviour.get("ehlo", KEYWORDS))
        if self.behaviour.get("auth") and self.tls:
            words.append("AUTH " + self.behaviour.get("auth_mechanisms", "PLAIN LOGIN"))
        return words + ["STARTTLS"] if self.behaviour.get("certificate") and not self.tls else words

    def offers(self, keyword):
        return self.extended and any(word.split()[0].upper() == keyword for word in self.keywords())

    def send(self, reply):
        text, _, then = reply.partition("|")
        if text in ACTIONS:
            self.act(text)
        self.dialogue.append("S: " + text[:500])
        self.say(text)
        if then:
            self.act(then)

    def say(self, text):
        drips, text = text.startswith("DRIP "), text.removeprefix("DRIP ")
        forever, text = text.startswith("FOREVER "), text.removeprefix("FOREVER ")
        raw, text = text.startswith("RAW "), text.removeprefix("RAW ")
        end = self.behaviour.get("line_end", "\r\n")
        data = text.encode("latin-1") if raw else (text.replace("\n", end) + end).encode("utf-8", "surrogateescape")
        while forever:
            self.socket.sendall(data * 100)
        for piece in [data[at:at + 1] for at in range(len(data))] if drips else [data]:
            self.socket.sendall(piece)
            if drips:
                time.sleep(0.2)

    def act(self, action):
        if action == "RESET":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if action == "HANG":
            while self.socket.recv(65536):
                pass
        if action == "DEAF":
            hung_up = select.poll()
            hung_up.register(self.socket, 0)
            hung_up.poll(60_000)
        raise Drop(f"{action}, as told")

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise Drop("closed by the client")
        self.unread += data

    def line(self):
        while b"\n" not in self.unread:
            self.fill()
        line, self.unread = self.unread.split(b"\n", 1)
        if not line.endswith(b"\r"):
            self.fault(f"a command ends with a bare LF: {line[:60]!r}")
        line = line.rstrip(b"\r")
        self.dialogue.append("C: " + line.decode("utf-8", "replace")[:500])
        return line.decode("utf-8", "surrogateescape")

    def read_data(self):
        if self.server.reply_for("BODY"):
            while len(self.unread) < 100:
                self.fill()
            self.send(self.server.reply_for("BODY"))
        pieces, tail = [], b"\r\n" + self.unread  # a large message comes in many pieces, to one of many servers in this interpreter
        while b"\r\n.\r\n" not in tail:
            pieces.append(tail[:-4])
            self.unread = b""
            self.fill()
            tail = tail[-4:] + self.unread
        wire, _, self.unread = tail.partition(b"\r\n.\r\n")
        wire = (b"".join(pieces) + wire + b"\r\n")[2:]
        if not wire.count(b"\n") == wire.count(b"\r") == wire.count(b"\r\n"):
            self.fault("a bare CR or LF in the data")
        if b"\n." not in b"\n" + wire:
            dotted = wire
        else:
            dotted = re.sub(rb"(^|\n)\.", rb"\1", wire)
            if re.search(rb"(?m)^\.[^.]", wire):
                self.fault("a line that begins with one dot")
        if not wire.isascii() and not self.offers("8BITMIME"):
            self.fault("8-bit data, though 8BITMIME was not offered")
        return dotted

    def run(self):
        self.send(self.server.reply_for("GREETING") or f"220 {self.server.name} ESMTP")
        while True:
            if self.unread and not self.offers("PIPELINING"):
                self.fault("a pipelined command, though PIPELINING was not offered")
            verb, _, argument = self.line().partition(" ")
            verb = verb.upper()
            handler = getattr(self, "verb_" + verb.lower(), None)
            if handler:
                handler(verb, argument)
            else:
                self.send("502 5.5.1 unknown")

    def verb_ehlo(self, verb, argument):
        self.reset()
        self.ehlo, self.extended = argument, verb != "HELO"
        if not re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9a-fA-F:.IPv]+\]", argument):
            self.fault(f"an odd {verb} argument {argument!r}")
        if (verb == "LHLO") != bool(self.behaviour.get("lmtp")):
            self.send("500 5.5.1 the wrong protocol")
        elif verb == "EHLO" and self.behaviour.get("no_ehlo"):
            self.send("500 5.5.1 what?")
        elif self.server.reply_for(verb):
            self.send(self.server.reply_for(verb))
        elif verb == "HELO":
            self.send(f"250 {self.server.name}")
        else:
            lines = [self.server.name] + self.keywords()
            self.send("\n".join(f"250{'-' if line is not lines[-1] else ' '}{line}" for line in lines))

    verb_lhlo = verb_helo = verb_ehlo

    def verb_starttls(self, verb, _):
        if not self.offers("STARTTLS"):
            self.fault("STARTTLS, though it was not offered")
        if self.unread:
            self.fault("commands behind STARTTLS")
        reply = self.server.reply_for(verb) or "220 2.0.0 go"
        self.send(reply)
        if not reply.startswith("220"):
            return
        if self.behaviour.get("tls_garbage"):
            self.socket.sendall(b"this is no TLS\r\n" * 20)
            raise Drop("garbage instead of a handshake")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.behaviour["certificate"])
        context.sni_callback = self.note_server_name
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.tls, self.unread = self.socket.version(), b""
        self.reset()
        self.ehlo, self.extended = None, False

    def ask_secret(self, challenge):
        self.send("334 " + base64.b64encode(challenge).decode())
        return base64.b64decode(self.line())

    def verb_auth(self, verb, argument):
        """RFC 4954: PLAIN with or without an initial response, LOGIN with challenges."""
        mechanism, _, initial = argument.partition(" ")
        if not self.offers("AUTH") or mechanism not in self.behaviour.get("auth_mechanisms", "PLAIN LOGIN").split():
            self.fault(f"AUTH {mechanism}, though it was not offered" + ("" if self.tls else ", and without TLS"))
        if mechanism == "PLAIN":
            login = tuple(part.decode() for part in (base64.b64decode(initial) if initial else self.ask_secret(b"")).split(b"\0")[1:])
        else:
            login = self.ask_secret(b"Username:").decode(), self.ask_secret(b"Password:").decode()
        self.server.logins.append((mechanism, *login))
        self.logged_in = login == self.behaviour["auth"]
        self.send(self.server.reply_for(verb) or ("235 2.7.0 welcome" if self.logged_in else "535 5.7.8 wrong user or password"))

    def note_server_name(self, _, name, __):
        self.server_name = name

    def check_parameters(self, verb, text):
        for parameter in text.split():
            keyword = NEEDS_KEYWORD.get(parameter.split("=")[0].upper())
            if parameter.upper() == "BODY=BINARYMIME":
                keyword = "BINARYMIME"
            if keyword and not self.offers(keyword):
                self.fault(f"{verb} parameter {parameter}, though {keyword} was not offered")

    def verb_mail(self, verb, argument):
        found = re.match(r"FROM:<(.*?)>(?: (.*))?$", argument, re.I)
        if not found:
            self.fault(f"odd MAIL syntax {argument!r}")
            self.send("501 5.5.4 syntax")
            return
        if self.ehlo is None:
            self.fault("MAIL before EHLO")
        self.check_parameters(verb, found.group(2) or "")
        reply = self.server.reply_for(verb) or "250 2.1.0 ok"
        if self.behaviour.get("auth") and not self.logged_in:
            reply = "530 5.7.0 authentication required"
        if reply.startswith("2"):
            self.sender, self.parameters = found.group(1), found.group(2) or ""
        self.send(reply)

    def verb_rcpt(self, verb, argument):
        found = re.match(r"TO:<(.*?)>(?: (.*))?$", argument, re.I)
        if not found:
            self.fault(f"odd RCPT syntax {argument!r}")
            self.send("501 5.5.4 syntax")
            return
        self.check_parameters(verb, found.group(2) or "")
        reply = self.server.reply_for(verb, found.group(1)) or "250 2.1.5 ok"
        if self.sender is None:
            reply = "503 5.5.1 MAIL first"
        if reply.startswith("2"):
            self.recipients.append((found.group(1), found.group(2) or ""))
        self.send(reply)

    def verb_data(self, verb, _):
        if not self.recipients:
            self.send("554 5.5.1 no valid recipients")
            return
        reply = self.server.reply_for(verb) or "354 go on"
        self.send(reply)
        if reply.startswith("354"):
            self.finish(Message(self, self.read_data()))

    def verb_bdat(self, verb, argument):
        """RFC 3030; all of it as one chunk is what is expected of a client."""
        size, _, last = argument.partition(" ")
        if not self.offers("CHUNKING"):
            self.fault("BDAT, though CHUNKING was not offered")
        while len(self.unread) < int(size):
            self.fill()
        chunk, self.unread = self.unread[:int(size)], self.unread[int(size):]
        if not self.recipients or last.upper() != "LAST":
            self.fault(f"BDAT {argument} for {len(self.recipients)} recipients")
            self.send("503 5.5.1 not now")
            return
        self.finish(Message(self, chunk))

    def finish(self, message):
        asked = message.recipients if self.behaviour.get("lmtp") else message.recipients[:1]
        replies = [self.server.reply_for("EOD", address) or "250 2.0.0 taken" for address in asked]
        verdicts = replies if len(asked) > 1 else replies * len(message.recipients)
        message.accepted_for = [address for address, reply in zip(message.recipients, verdicts) if reply.startswith("2")]
        if message.accepted_for:
            with self.server.lock:
                self.server.messages.append(message)
        self.reset()
        for reply in replies:
            self.send(reply)

    def verb_rset(self, verb, _):
        self.reset()
        self.send(self.server.reply_for(verb) or "250 2.0.0 ok")

    def verb_noop(self, verb, _):
        self.send(self.server.reply_for(verb) or "250 2.0.0 ok")

    def verb_quit(self, verb, _):
        self.send(self.server.reply_for(verb) or "221 2.0.0 bye")
        raise Drop("QUIT")

    def reset(self):
        self.sender, self.parameters, self.recipients = None, "", []
