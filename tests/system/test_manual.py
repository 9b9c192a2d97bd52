"""Every example of the manual pages is run. An example is a .Bd -literal block or a run of .Dl lines; its kind is said by
a comment line before it, `.\\" example: KIND`, unless it begins with a prompt, which makes it `shell`:

  shell [STATUS]  commands behind "$ " or "# ", each with what it prints: the lines must come in that order, "..." stands
                  for anything, and times, spans and numbers may be others
  server          the command starts a server in the foreground, which must answer
  crontab         a line of crontab(5), whose command is run
  conf            lines that a configuration takes; conf-whole: a configuration of their own
  rule VERB       statements for rules/VERB.sql

One instance serves them all: example.org is its own domain, example.net has a server that says 450 to friend@example.net
and takes everything else. The message 1vMcGX-3kTz9Q-a7 of the pages is a new one for each example, to friend@example.net.
"""
import glob
import os
import re
import subprocess

import pytest

from lib.instance import Instance
from lib.messages import message
from lib.place import ROOT, program
from lib.waiting import wait_for
from lib.world import World

PAGES = sorted(glob.glob(os.path.join(ROOT, "man", "*.[1-9]")))
DEMANDED = ("parcelpost.8", "parcelpost-queue.8", "sendmail.8", "parcelpost-spool.5", "parcelpostd.8", "parcelpost.conf.5")
EXAMPLE_ID, CONTACT = "1vMcGX-3kTz9Q-a7", "192.0.2.7"
KINDS = ("shell", "server", "crontab", "conf", "conf-whole", "rule", "dovecot")


class Example:
    def __init__(self, page, line, mark, lines):
        self.page, self.line, self.lines = page, line, lines
        words = mark.split() if mark else ["shell"] if re.match(r"[$#] ", lines[0]) else [None]
        self.kind, self.words = words[0], words[1:]

    def __str__(self):
        return f"{self.page}:{self.line}"


def literal(text):
    """A line of the source as it is printed."""
    text = text.replace("\\&", "").replace("\\e", "\\").replace("\\-", "-").replace("\\(dq", '"')
    return text


def examples(path):
    """Every example of a page, whatever its kind."""
    page, mark, block = os.path.basename(path), None, None
    with open(path, encoding="utf-8") as stream:
        source = stream.read().split("\n")
    found = []
    for number, line in enumerate(source, 1):
        if block is not None and line != ".Ed":
            block[1].append(literal(line))
        elif line == ".Ed" and block is not None:
            found.append(Example(page, *block[0], block[1]))
            mark = block = None
        elif line.startswith(".Bd -literal"):
            block = ((number, mark), [])
        elif line.startswith(".Dl "):
            if found and source[number - 2].startswith(".Dl ") and not mark:
                found[-1].lines.append(literal(line[4:]))
            else:
                found.append(Example(page, number, mark, [literal(line[4:])]))
            mark = None
        elif line.startswith('.\\" example: '):
            mark = line[len('.\\" example: '):]
        elif not line.startswith((".Pp", '.\\"')):
            assert mark is None, f"{page}:{number}: an example's mark without an example"
    return found


ALL = [example for path in PAGES for example in examples(path)]


class Place:
    """What the pages' names stand for."""

    def __init__(self):
        self.world = World(settings={"local_domains": ["example.test", "example.org"]})
        self.server = self.world.server

    def start(self):
        exchanger = self.world.exchanger(on={"RCPT": {"friend@example.net": "450 4.2.1 mailbox busy", "*": "250 ok"}})
        self.world.set_domain("example.net", [10, exchanger])
        self.server.write_zone({"mail.example.org": [{"A": "127.0.0.1"}]})
        os.makedirs(self.server.path("etc"), exist_ok=True)
        os.link(self.server.configuration, self.server.path("etc", "parcelpost.conf"))  # a symbolic link is not gone by
        with open(self.server.path("message"), "w", encoding="utf-8") as stream:
            stream.write("Subject: from a file\n\nHello.\n")
        self.server.add_user("mike@example.org")
        return self

    def fresh_message(self):
        """A new message of coco's to friend@example.net that has been deferred once, from a contact of its own."""
        for row in self.server.sql("select mail_id from parcels where state in ('queued', 'deferred', 'held')"):
            self.server.command("queue", "remove", row["mail_id"], check=False)
        self.contact = "127.0.0.77"
        self.mail_id = self.world.submit("friend@example.net", message(self.contact, sender="coco@example.test"), source=self.contact)
        self.server.wait_parcels(self.mail_id, "deferred")

    def translate(self, text):
        for name, value in ((EXAMPLE_ID, self.mail_id), ("/var/lib/parcelpost/parcelpost.db", self.server.database), ("/var/lib/parcelpost/queue", self.server.queue),
                            ("/etc/parcelpost/", self.server.path("etc", "")), (CONTACT, self.contact), ("coco@example.org", "coco@example.test"),
                            ("mail.example.org", "mail.example.test")):
            text = text.replace(name, value)
        return text

    def run(self, command, input="my-password\n"):
        """A line of the shell, in a folder whose etc/parcelpost.conf is the server's."""
        path = os.path.dirname(program("parcelpost")) + ":" + os.environ["PATH"]
        done = subprocess.run(["/bin/bash", "-c", command], input=input.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.server.directory,
                              env={**os.environ, **self.server.process_environment(), "PATH": path}, check=False, timeout=60)
        return done.returncode, done.stdout.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def place():
    one = Place()
    with one.world:
        yield one.start()


def plain(line):
    """Without what differs from run to run."""
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", "TIME", line)
    line = re.sub(r"\((in )?\d+ (s|min|h|days)( ago)?\)", "(SPAN)", line)
    line = re.sub(r"\b\d+\.\d+\.\d+\.\d+(:\d+)?", "IP", line)
    line = re.sub(r"(?<![\w.-])\d+(\.\d)?(?![\w.-])", "N", line)
    return " ".join(line.split())


def check_output(example, command, claimed, output):
    """What the page claims, line by line, in this order, among what was printed."""
    lines = [plain(line) for line in output.split("\n")]
    at = 0
    for claim in claimed:
        if not claim.strip() or claim.strip() == "...":
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in plain(claim).split("...")))
        while at < len(lines) and not pattern.fullmatch(lines[at]):
            at += 1
        assert at < len(lines), f"{example}: {command}\nclaims    {plain(claim)}\nbut prints\n{output}\nwhich is\n" + "\n".join(lines)
        at += 1


def commands(example):
    """[(command, the lines it is claimed to print)]"""
    found = []
    for line in example.lines:
        if re.match(r"[$#] ", line):
            found.append((line[2:], []))
        else:
            assert found, f"{example}: output before a command"
            found[-1][1].append(line)
    for number, (command, claimed) in enumerate(found):
        while claimed and claimed[0].startswith("> "):  # the shell's second prompt
            command += "\n" + claimed.pop(0)[2:]
        found[number] = (command, claimed)
    return found


def run_shell(place, example):
    statuses = {int(word) for word in example.words} or {0}
    for command, claimed in commands(example):
        status, output = place.run(place.translate(command))
        assert status in statuses, f"{example}: {command} ended with {status}:\n{output}"
        check_output(example, command, [place.translate(line) for line in claimed], output)


def run_crontab(place, example):
    for line in example.lines:
        fields = line.split(None, 6)
        assert len(fields) == 7 and re.fullmatch(r"[\d*/,-]+", fields[0]), f"{example}: not a line of crontab(5)"
        status, output = place.run(fields[6])
        assert status in (0, 75), f"{example}: {fields[6]} ended with {status}:\n{output}"


def check_configuration(place, example, text):
    path = place.server.path("etc", "example.conf")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    status, output = place.run(f"parcelpostd -T -c {path}")
    assert status == 0, f"{example}: {output}"


def run_conf(place, example):
    with open(place.server.configuration, encoding="utf-8") as stream:
        keys = {line.split("=")[0].strip() for line in example.lines}
        kept = [line for line in stream.read().split("\n") if line.split("=")[0].strip() not in keys]
    check_configuration(place, example, "\n".join(kept + example.lines) + "\n")


def run_conf_whole(place, example):
    text = "\n".join(example.lines) + "\n"
    text = re.sub(r'"[^"]*fullchain\.pem"', f'"{place.server.path("certificate.pem")}"', text)
    check_configuration(place, example, re.sub(r'"[^"]*privkey\.pem"', f'"{place.server.path("private_key.pem")}"', text))


def run_rule(place, example):
    verb, = example.words
    folder = place.server.path("etc", "rules")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{verb}.sql"), "w", encoding="utf-8") as stream:
        stream.write("\n".join(example.lines) + "\n")
    with open(place.server.configuration, encoding="utf-8") as stream:
        text = "\n".join(line for line in stream.read().split("\n") if not line.startswith("rules_directory"))
    check_configuration(place, example, text + f'\nrules_directory = "{folder}"\n')


def run_dovecot(place, example):
    """Dovecot reads it."""
    path = place.server.path("etc", "dovecot.conf")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("\n".join(["ssl = no", *example.lines, ""]))
    done = subprocess.run(["doveconf", "-n", "-c", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, f"{example}: {done.stdout.decode()}"


def run_server(place, example):
    command = example.lines[0][2:]
    with Instance() as other:
        other.halt()
        os.rename(other.configuration, other.path("my.conf"))
        server = subprocess.Popen(["/bin/bash", "-c", "exec " + command], cwd=other.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env={**os.environ, **other.process_environment(), "PATH": os.path.dirname(program("parcelpostd")) + ":" + os.environ["PATH"]})
        def answers():
            assert server.poll() is None, f"{example}: it ended with {server.returncode}"
            try:
                other.talk().close()
                return True
            except OSError:
                return False
        wait_for(answers, f"{example}: the server")
        server.terminate()
        assert server.wait(30) == 0


RUN = {"shell": run_shell, "server": run_server, "crontab": run_crontab, "conf": run_conf, "conf-whole": run_conf_whole, "rule": run_rule, "dovecot": run_dovecot}


@pytest.mark.xdist_group("manual")
@pytest.mark.parametrize("example", ALL, ids=str)
def test_the_example_does_what_the_page_says(place, example):
    assert example.kind in KINDS, f"{example}: say what it is with a line before it: .\\\" example: {'|'.join(KINDS)}"
    place.fresh_message()
    RUN[example.kind](place, example)


def test_the_pages_are_there_and_right():
    names = [os.path.basename(path) for path in PAGES]
    assert not [name for name in DEMANDED if name not in names]
    for path in PAGES:
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert not [line for line in done.stdout.decode().split("\n") if line and "new sentence" not in line], done.stdout.decode()


def test_every_page_that_is_demanded_has_examples_and_each_literal_block_is_one():
    for name in DEMANDED:
        assert [example for example in ALL if example.page == name], name
    for path in PAGES:
        with open(path, encoding="utf-8") as stream:
            blocks = len(re.findall(r"^\.(?:Bd|D1|Dl)\b", stream.read(), re.M))
        lines = sum(len(example.lines) if example.lines and f".Dl {example.lines[0]}" else 1 for example in examples(path))
        assert blocks <= lines, path


def test_every_subcommand_is_in_the_page_of_parcelpost():
    listed = subprocess.run([program("parcelpost"), "--help"], stdout=subprocess.PIPE, check=True).stdout.decode()
    names = re.findall(r"^  ([a-z-]+(?: [a-z]+)?)(?= |$)", listed, re.M)
    with open(os.path.join(ROOT, "man", "parcelpost.8"), encoding="utf-8") as stream:
        page = stream.read()
    missing = [name for name in names if not name.startswith("parcelpost ") and not re.search(rf"Ic {re.escape(name)}\b", page)]
    assert len(names) > 30 and not missing, missing
