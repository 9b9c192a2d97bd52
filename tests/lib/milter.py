"""A scripted milter: for every action of the protocol, and for faults that no real one shows.

    with Milter(MAIL=b"r", END=[add_header("X-A", "1"), b"c"]) as milter:
        Instance(extra=milter.block("m")) …
        milter.names()  →  ["OPTNEG", "CONNECT", "HELO", …]

Each command (a name of COMMANDS) has what it is answered: one answer or a list of them, made by the functions below or
a command byte alone; what is not named is continued. An answer may be HANG (silence until the end), CLOSE (the connection
is closed), a raw(...) run of bytes, or a function of the command's data that gives one of these. Commands that a milter
never answers (MACRO, ABORT, QUIT) and those that `quiet` steps cover get none.
"""
import hashlib
import itertools
import os
import socket
import struct
import threading

from lib.instance import READY_SOURCE

COMMANDS = {"A": "ABORT", "B": "BODY", "C": "CONNECT", "D": "MACRO", "E": "END", "H": "HELO", "L": "HEADER",
            "M": "MAIL", "N": "EOH", "O": "OPTNEG", "Q": "QUIT", "R": "RCPT", "T": "DATA", "U": "UNKNOWN"}
SILENT = ("MACRO", "ABORT", "QUIT")
HANG, CLOSE = "HANG", "CLOSE"
ACTIONS = 0x1ff
# Names of the steps as mfdef.h has them.
NOCONNECT, NOHELO, NOMAIL, NORCPT, NOBODY, NOHDRS, NOEOH, NR_HDR = (1 << bit for bit in range(8))
NOUNKNOWN, NODATA, SKIP, RCPT_REJ, NR_CONN, NR_HELO, NR_MAIL, NR_RCPT = (1 << bit for bit in range(8, 16))
NR_DATA, NR_UNKN, NR_EOH, NR_BODY, HDR_LEADSPC = (1 << bit for bit in range(16, 21))
QUIET = {"HEADER": NR_HDR, "CONNECT": NR_CONN, "HELO": NR_HELO, "MAIL": NR_MAIL, "RCPT": NR_RCPT, "DATA": NR_DATA,
         "UNKNOWN": NR_UNKN, "EOH": NR_EOH, "BODY": NR_BODY}


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def _strings(*texts):
    return b"".join(_bytes(text) + b"\0" for text in texts)


def add_header(name, value):
    return b"h" + _strings(name, value)


def insert_header(place, name, value):
    return b"i" + struct.pack(">I", place) + _strings(name, value)


def change_header(number, name, value):
    return b"m" + struct.pack(">I", number) + _strings(name, value)


def change_sender(address, *arguments):
    return b"e" + _strings(address, *arguments)


def add_recipient(address, *arguments):
    return (b"2" if arguments else b"+") + _strings(address, *arguments)


def remove_recipient(address):
    return b"-" + _strings(address)


def replace_body(piece):
    return b"b" + _bytes(piece)


def quarantine(reason):
    return b"q" + _strings(reason)


def reply(text):
    return b"y" + _strings(text)


class raw(bytes):
    """Bytes as they are, without a packet's head."""


class forever(list):
    """These answers again and again, as long as anybody reads them."""

    def __iter__(self):
        return itertools.cycle(tuple(super().__iter__()))


def _is_probe(session):
    """Whoever looks whether the ports answer (lib/instance.py)."""
    return any(name == "CONNECT" and READY_SOURCE.encode() in data for name, data in session)


class Milter:
    def __init__(self, name="m", path=None, steps=0, actions=ACTIONS, version=6, macros=b"", keep=True, **answers):
        self.name, self.path, self.steps, self.actions = name, path, steps, actions
        self.version, self.macros, self.answers = version, macros, answers
        self.keep = keep  # or of the body nothing but its length and its hash
        self.body_length, self.body_hash = 0, hashlib.sha256()
        self.sessions = []  # of each connection: a list of (command, data)
        self.reads = []  # how many commands came with each read of a connection: what was pipelined
        self.lock = threading.Condition()
        self.open = set()
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen(64)
        if path:
            os.chmod(path, 0o666)  # the connector is another user
        self.endpoint = path or "127.0.0.1:%d" % self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Nobody is answered any more, and whoever connects is refused."""
        with self.lock:
            connections = list(self.open)
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def block(self, **keys):
        """The configuration's block."""
        lines = "".join(f" {key} = {value}\n" for key, value in keys.items())
        return f'milter "{self.name}" {{ endpoint = "{self.endpoint}"\n{lines} }}\n'

    def play(self, **answers):
        """Another script, and nothing seen yet."""
        with self.lock:
            self.answers = answers
            self.sessions, self.reads = [], []
        return self

    # What it saw.

    def commands(self, *names):
        """Data of all commands of these names, in order; of every one but MACRO, as pairs, without names."""
        with self.lock:
            seen = [pair for session in self.sessions if not _is_probe(session) for pair in session]
        if names:
            return [data for name, data in seen if name in names]
        return [pair for pair in seen if pair[0] != "MACRO"]

    def names(self):
        return [name for name, _ in self.commands()]

    def macros_of(self, letter):
        """A dict of all macros that were sent for commands of this letter."""
        found = {}
        for data in self.commands("MACRO"):
            if data[:1] == letter.encode():
                words = data[1:].split(b"\0")[:-1]
                found.update(zip((word.decode() for word in words[::2]), (word.decode() for word in words[1::2])))
        return found

    def wait(self, name, count=1, timeout=30):
        """Until that many commands of the name have come."""
        def there():
            return sum(word == name for session in self.sessions for word, _ in session) >= count
        with self.lock:
            assert self.lock.wait_for(there, timeout), f"no {name} among {self.sessions}"

    def text(self):
        """Header fields and body of the last message, as the milter saw them."""
        header = b"".join(data.replace(b"\0", b": ", 1).rstrip(b"\0") + b"\n" for data in self.commands("HEADER"))
        return header, b"".join(self.commands("BODY"))

    # Serving.

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.open.add(connection)
                session = []
                self.sessions.append(session)
            threading.Thread(target=self._serve, args=(connection, session), daemon=True).start()

    def _serve(self, connection, session):
        unread = b""
        try:
            while True:
                more = connection.recv(1 << 20)
                if not more:
                    return
                unread += more
                self.reads.append(0)
                while len(unread) >= 4 and len(unread) >= 4 + struct.unpack(">I", unread[:4])[0]:
                    length = struct.unpack(">I", unread[:4])[0]
                    packet, unread = unread[4:4 + length], unread[4 + length:]
                    self.reads[-1] += 1
                    if not self._take(connection, session, COMMANDS[chr(packet[0])], packet[1:]):
                        return
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(connection)
            connection.close()

    def _take(self, connection, session, name, data):
        if name == "BODY" and not self.keep:
            self.body_length += len(data)
            self.body_hash.update(data)
            data = b""
        with self.lock:
            session.append((name, data))
            self.lock.notify_all()
        if name in SILENT or self.steps & QUIET.get(name, 0):
            return True
        answers = self.answers.get(name)
        if answers is None and name == "OPTNEG":
            answers = b"O" + struct.pack(">III", self.version, self.actions, self.steps) + self.macros
        if callable(answers):
            answers = answers(data)
        if answers is None:
            answers = b"c"
        for answer in answers if isinstance(answers, list) else [answers]:
            if answer == CLOSE:
                return False
            if answer == HANG:
                with self.lock:
                    self.lock.wait_for(lambda: False, 60)
                return False
            connection.sendall(answer if isinstance(answer, raw) else struct.pack(">I", len(answer)) + answer)
        return True
