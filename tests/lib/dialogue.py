"""Dialogue scripts, tests/session/NAME.smtp: an SMTP session as a reader of the RFCs would write it down.

    # What this shows.
    C: EHLO client.example.net
    S: 250-mail.example.test Hello client.example.net at {ip}
    S: 250…

C: what the client sends (CRLF is added); C: lines with no S: between them are sent together. S: the next line of the
server; … stands for any text. {server} {title} {ip} {port} {domain} stand for the instance's values.

Directives:
  @port mx|internal|submission|lmtp  before the first line; mx when it is absent
  @config KEY=VALUE               a configuration key of the instance; {here} is the script's folder
  @listen KEY=VALUE               a key of a listen block of the script's own, whose port it then talks to
  @connect                        a (new) connection; the first one may be left out
  @close                          the client closes, without QUIT
  @starttls                       the TLS handshake, behind the line with 220
  @send-raw BYTES                 exactly these bytes; C escapes
  @expect-close                   the server closes, and has sent nothing more
"""
import codecs
import os
import re

from lib.talker import SmtpTalker

DIRECTIVES = ("port", "config", "listen", "connect", "close", "starttls", "send-raw", "expect-close")


class ScriptError(Exception):
    """The script itself is wrong."""


class DialogueFailure(Exception):
    """The server said something else."""


class Step:
    def __init__(self, number, kind, text):
        self.number, self.kind, self.text = number, kind, text


class Script:
    """A parsed file: .shows .port .settings .steps"""

    def __init__(self, path):
        self.path, self.shows, self.port, self.settings, self.steps = path, "", "mx", {}, []
        with open(path, encoding="utf-8") as stream:
            for number, line in enumerate(stream.read().split("\n"), 1):
                self._take(number, line)
        if not self.shows:
            raise ScriptError(f"{path}:1: a script begins with '# what it shows'")

    def _take(self, number, line):
        if line.startswith("#"):
            self.shows += "" if self.steps else line[1:].strip() + " "
        elif line.startswith("@"):
            name, _, argument = line[1:].strip().partition(" ")
            if name not in DIRECTIVES:
                raise ScriptError(f"{self.path}:{number}: no directive @{name}; there are @{', @'.join(DIRECTIVES)}")
            if name == "port":
                self.port = argument.strip()
            elif name == "listen":
                self.port = "own"
                self.settings["listen"] = (self.settings.get("listen", "") + "\n" + argument.replace("=", " = ", 1)).strip()
            elif name == "config":
                key, _, value = argument.partition("=")
                self.settings[key.strip()] = value.strip().strip('"').replace("{here}", os.path.dirname(self.path))
            else:
                self.steps.append(Step(number, name, argument))
        elif line[:2] in ("C:", "S:"):
            self.steps.append(Step(number, line[0], line[3:] if line[2:3] == " " else line[2:]))
        elif line.strip():
            raise ScriptError(f"{self.path}:{number}: want 'C: ', 'S: ', '@directive' or '#'")


def matches(wanted, line):
    return re.fullmatch(".*".join(re.escape(part) for part in wanted.split("…")), line, re.S) is not None


class Player:
    """Plays one script against an instance, from one source address."""

    def __init__(self, script, instance, source):
        self.script, self.instance, self.source = script, instance, source
        self.client = None
        self.unsent = b""
        port = {"mx": instance.mx_port, "internal": instance.internal_port, "submission": instance.submission_port,
                "lmtp": instance.lmtp_listener, "own": instance.own_port}[script.port]
        self.port = port
        self.values = {"server": "mail.example.test", "title": "Example", "domain": "example.test", "ip": source, "port": str(port)}

    def fill_in(self, text):
        return re.sub(r"\{(\w+)\}", lambda found: self.values.get(found.group(1), found.group(0)), text)

    def connect(self):
        if self.client:
            self.client.close()
        self.client = SmtpTalker(self.port, source=self.source, greeting=False)

    def flush(self):
        if self.unsent:
            data, self.unsent = self.unsent, b""
            self.client.send(data)

    def play(self):
        try:
            for step in self.script.steps:
                if self.client is None and step.kind != "connect":
                    self.connect()
                if step.kind != "C":
                    self.flush()
                try:
                    getattr(self, "do_" + step.kind.replace("-", "_").lower())(step)
                except AssertionError as problem:
                    raise DialogueFailure(f"{self.script.path}:{step.number}: at '{step.kind} {step.text}'\n{problem}") from problem
            self.flush()
        finally:
            if self.client:
                self.client.close()

    def do_c(self, step):
        self.unsent += self.fill_in(step.text).encode("utf-8", "surrogateescape") + b"\r\n"

    def do_s(self, step):
        line, wanted = self.client.read_line(), self.fill_in(step.text)
        if not matches(wanted, line):
            raise DialogueFailure(f"{self.script.path}:{step.number}:\nwanted  {wanted}\ngot     {line}\n\n{self.client.transcript()}")

    def do_connect(self, _):
        self.connect()

    def do_close(self, _):
        self.client.close()
        self.client = None

    def do_starttls(self, _):
        self.client.handshake()

    def do_send_raw(self, step):
        self.client.send(codecs.escape_decode(self.fill_in(step.text).encode())[0])

    def do_expect_close(self, _):
        self.client.expect_close()
        self.client = None
