"""A raw SMTP or LMTP client: it sends exactly the bytes it is told, and keeps the dialogue for a failure's text."""
import base64
import itertools
import os
import socket
import ssl

from lib.waiting import TIMEOUT

_serial = itertools.count(1)


def fresh_source():
    """A loopback address that nothing else in this run uses: a contact of its own, with no history."""
    number = next(_serial)
    worker = int((os.environ.get("PYTEST_XDIST_WORKER") or "gw0")[2:])
    return f"127.{50 + worker}.{1 + number // 250}.{1 + number % 250}"


class Closed(AssertionError):
    """The server closed the connection; the text is the dialogue so far."""


class Reply:
    """code, the lines after the code, and text: the lines joined with newlines."""

    def __init__(self, lines):
        self.raw = lines
        self.code = int(lines[-1][:3]) if lines[-1][:3].isdigit() else 0
        self.lines = [line[4:] for line in lines]
        self.text = "\n".join(lines)

    def __repr__(self):
        return self.text

    def __eq__(self, other):
        return self.code == other if isinstance(other, int) else self.text == other

    __hash__ = None


class SmtpTalker:
    """One connection. source: the client's own address (loopback), None for the kernel's choice. tls: it begins with the
    handshake, for this server name."""

    def __init__(self, port, host="127.0.0.1", source=None, timeout=None, greeting=True, tls=None):
        self.timeout = timeout or TIMEOUT
        self.dialogue, self.unread = [], b""
        if isinstance(port, str):  # a Unix socket
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(port)
        else:
            self.socket = socket.create_connection((host, port), self.timeout, source_address=(source, 0) if source else None)
        self.socket.settimeout(self.timeout)
        if tls:
            self.handshake(tls)
        self.greeting = self.reply() if greeting else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        """Exactly these bytes; text is encoded as UTF-8, and nothing is added."""
        data = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        self.dialogue.append(f"C: {data[:300]!r}{'…' if len(data) > 300 else ''}")
        try:
            self.socket.sendall(data)
        except OSError as problem:
            raise Closed(f"{problem}\n" + self.transcript()) from problem

    def read_line(self):
        """The next line without its CRLF."""
        while b"\n" not in self.unread:
            try:
                data = self.socket.recv(65536)
            except socket.timeout:
                raise AssertionError(f"no reply within {self.timeout:g} s\n" + self.transcript()) from None
            except OSError as problem:
                raise Closed(f"{problem}\n" + self.transcript()) from problem
            if not data:
                raise Closed("closed by the server\n" + self.transcript())
            self.unread += data
        line, self.unread = self.unread.split(b"\n", 1)
        text = line.decode("utf-8", "replace")
        self.dialogue.append("S: " + text)
        assert text.endswith("\r"), "a reply line that does not end in CRLF\n" + self.transcript()
        return text[:-1]

    def reply(self):
        lines = [self.read_line()]
        while lines[-1][3:4] == "-":
            lines.append(self.read_line())
        return Reply(lines)

    def command(self, line):
        self.send(line + "\r\n" if isinstance(line, str) else line + b"\r\n")
        return self.reply()

    def expect(self, code, line):
        """Sends a command and checks the reply's code; gives the reply."""
        reply = self.command(line)
        assert reply.code == code, f"wanted {code} to {line!r}\n" + self.transcript()
        return reply

    def ehlo(self, name="client.example.net"):
        return self.expect(250, "EHLO " + name)

    def starttls(self, server_name="mail.example.test"):
        """STARTTLS and the handshake, with any certificate; then EHLO again."""
        self.expect(220, "STARTTLS")
        self.handshake(server_name)
        return self.ehlo()

    def handshake(self, server_name="mail.example.test"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket, server_hostname=server_name)
        self.dialogue.append(f"-- {self.socket.version()}")

    def login(self, user="coco@example.test", password="my-password"):
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command("AUTH PLAIN " + secret)

    def mail(self, sender, recipients, message, parameters=""):
        """A whole transaction; the message has CRLF line ends; dots are doubled here. Gives the last reply."""
        recipients = [recipients] if isinstance(recipients, str) else recipients
        self.expect(250, f"MAIL FROM:<{sender}>{' ' + parameters if parameters else ''}")
        for recipient in recipients:
            self.expect(250, f"RCPT TO:<{recipient}>")
        return self.data(message)

    def data(self, message):
        self.expect(354, "DATA")
        self.send(stuffed(message))
        return self.reply()

    def quit(self):
        reply = self.command("QUIT")
        self.expect_close()
        return reply

    def expect_close(self):
        """The server closes, and has sent nothing more."""
        try:
            data = self.unread or self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLError):
            data = b""
        except socket.timeout:
            raise AssertionError("the server did not close\n" + self.transcript()) from None
        assert not data, f"wanted the end of the connection, got {data!r}\n" + self.transcript()
        self.close()

    def transcript(self):
        return "\n".join(self.dialogue[-60:])


def stuffed(message):
    """The wire form of a message: leading dots doubled, final CRLF.CRLF."""
    data = message.encode("utf-8", "surrogateescape") if isinstance(message, str) else message
    data = data.replace(b"\r\n.", b"\r\n..")
    data = b"." + data if data.startswith(b".") else data
    return data + (b"" if data.endswith(b"\r\n") or not data else b"\r\n") + b".\r\n"
