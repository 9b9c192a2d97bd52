"""The ways of delivering local mail: pipe (programs) and maildir with what they put on top; the filter before them."""
import json
import os
import pwd
import re
import shutil
import subprocess
import tempfile

import pytest

from lib import ports
from lib.background import Background
from lib.instance import Instance
from lib.landlock import landlock_version
from lib.messages import as_crlf, message
from lib.place import SANITIZED
from lib.waiting import running, wait_for
from lib.world import id_of

# Notes what it got, then does what the message's X-Do field says.
PROGRAM = r"""#!/usr/bin/python3 -SE
import json, os, sys, time
folder = sys.argv[1]
def note(name, **what):
    what.update(arguments=sys.argv[2:], environment=dict(os.environ), uid=os.getuid(), groups=os.getgroups(), here=os.getcwd(),
                descriptors=sorted(os.listdir("/proc/self/fd"))[:-1], session=os.getsid(0) == os.getpid())
    path = os.path.join(folder, os.environ["MAIL_ID"] + " " + name)
    with open(path + ".new", "w") as out:
        json.dump(what, out)
    os.rename(path + ".new", path)
text = sys.stdin.buffer.read(4000)
do, _, rest = text.decode("utf-8", "replace").partition("X-Do: ")[2].partition("\n")[0].partition(" ")
if do != "unread":
    text += sys.stdin.buffer.read()
if do == "say":
    print(rest.replace("\\n", "\n").replace("\\0", "\0"))
    sys.exit(5)
if do == "grow":
    try:
        bytearray(400 << 20)
    except MemoryError:
        sys.exit(75)
if do == "kill":
    os.kill(os.getpid(), 9)
if do == "signal":
    def signal(pid):
        try:
            os.kill(pid, 0)
            return "reached"
        except PermissionError:
            return "EPERM"
    do = [signal(int(rest)), signal(os.getppid()), signal(os.getpid())]
if do == "flood":
    for _ in range(3000):
        print("x" * 1000)
if do == "child" and os.fork() == 0:
    time.sleep(1000)
note(os.environ["RECIPIENT"], message=text.decode("latin-1"), child=do)
if do == "hang":
    time.sleep(1000)
sys.exit(int(rest) if do == "exit" else 0)
"""


class Place:
    """An instance whose local mail goes to the program."""

    def __init__(self, keys="timeout = 20", target="%a %u %e %d --", usual="program", **options):
        self.server = server = Instance(**options)
        self.folder = server.path("notes")
        os.makedirs(self.folder)
        os.chmod(server.directory, 0o755)
        os.chmod(self.folder, 0o777)
        with open(server.path("program"), "w", encoding="ascii") as stream:
            stream.write(PROGRAM)
        os.chmod(server.path("program"), 0o755)
        user = 'user = "games"' if server.root else ""
        server.settings["local_transport"] = usual
        server.extra += f'\ntransport "program" {{\n kind = pipe\n target = "{server.path("program")} {self.folder} {target}"\n {user}\n {keys}\n}}'

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, kind, *_):
        self.server.stop(check=kind is None)
        self.server.remove()

    def receive(self, recipients, marker, do="", **options):
        with self.server.talk() as client:
            client.ehlo()
            return id_of(client.mail("someone@example.net", recipients, message(marker, fields=f"X-Do: {do}\r\n" if do else "", **options)))

    def note(self, mail_id, name):
        path = os.path.join(self.folder, f"{mail_id} {name}")
        wait_for(lambda: os.path.exists(path), f"the program's note of {name}", explain=self.server.log_tail)
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)

    def outcome(self, recipients, marker, do, *states):
        return self.server.wait_parcels(self.receive(recipients, marker, do), *states)[0]


@pytest.fixture(scope="module")
def place():
    with Place(settings={"retry_schedule": ["3600"], "dangerous_recipients": "allow"}, keys="timeout = 60\n memory_maximum = 200M") as made:
        yield made


# What the program gets.

def test_a_program_gets_the_message_with_line_feeds_and_our_fields_on_top(place, marker):
    mail_id = place.receive("coco@example.test", marker, body="One.\r\n.\r\n..\r\nöäü \r\n")
    note = place.note(mail_id, "coco@example.test")
    lines = note["message"].split("\n")
    assert "\r" not in note["message"] and lines[:2] == ["Return-Path: <someone@example.net>", "Delivered-To: coco@example.test"]
    assert lines[2].startswith("Received: ") or lines[2].startswith("Authentication-Results: "), lines[:4]
    assert note["message"].endswith("\n\nOne.\n.\n..\n" + "öäü \n".encode().decode("latin-1"))
    row, = place.server.wait_parcels(mail_id, "delivered")
    assert row["delivery_msg"] == "250 2.0.0 program: delivered"


def test_each_recipient_has_a_run_of_its_own_and_sees_only_itself(place, marker):
    mail_id = place.receive(["coco@example.test", "mike@example.test"], marker)
    for name, other in (("coco", "mike"), ("mike", "coco")):
        note = place.note(mail_id, f"{name}@example.test")
        assert note["environment"]["RECIPIENT"] == f"{name}@example.test"
        assert f"{other}@" not in json.dumps(note["environment"]) and f"Delivered-To: {other}@" not in note["message"]


def test_the_envelope_is_in_the_environment_and_nothing_else_of_ours(place, marker):
    mail_id = place.receive("coco+shop@example.test", marker)
    row, = place.server.wait_parcels(mail_id, "delivered")
    note = place.note(mail_id, row["target"])
    environment = note["environment"]
    environment.pop("LC_CTYPE", None)  # Python's own
    home = pwd.getpwnam("games").pw_dir if place.server.root else os.environ["HOME"]
    assert environment.pop("PATH") and environment == {
        "SENDER": "someone@example.net", "RECIPIENT": row["target"], "ORIGINAL_RECIPIENT": "coco+shop@example.test", "LOCAL_PART": "coco",
        "EXTENSION": "shop" if "+" in row["target"] else "", "DOMAIN": "example.test", "MAIL_ID": mail_id, "HOME": home}
    assert ("X-Original-To: coco+shop@example.test\n" in note["message"]) == (row["target"] != "coco+shop@example.test")


def test_a_program_runs_as_the_transports_user_without_anything_of_ours(place, marker):
    note = place.note(place.receive("coco@example.test", marker), "coco@example.test")
    if place.server.root:
        assert note["uid"] == pwd.getpwnam("games").pw_uid and note["groups"] == []
    assert note["descriptors"] == ["0", "1", "2"] and note["session"] and os.path.isdir(note["here"])


@pytest.mark.skipif(landlock_version() < 6 or SANITIZED, reason="this kernel's Landlock, or this build, does not know signals")
def test_a_program_signals_neither_its_agent_nor_anybody_else_of_its_user(place, marker):
    with subprocess.Popen(["sleep", "600"], user="games" if place.server.root else None) as other:
        note = place.note(place.receive("coco@example.test", marker, f"signal {other.pid}"), "coco@example.test")
        other.kill()
    assert note["child"] == ["EPERM", "EPERM", "reached"]


def test_placeholders_are_one_word_each_whatever_is_in_them(place, marker):
    """No shell ever sees them."""
    place.server.edit("insert into domains (domain) values ('x.example.test')")
    place.server.add_user('"a b;$(id)"@example.test')
    mail_id = place.receive('"a b;$(id)"@example.test', marker)
    row, = place.server.wait_parcels(mail_id, "delivered")
    assert place.note(mail_id, row["target"])["arguments"] == [row["target"], row["target"].rpartition("@")[0], "", "example.test", "--"]


def test_a_mailbox_that_a_program_could_take_for_an_option_is_refused(place, marker):
    place.server.add_user("-rf@example.test")
    row = place.outcome("-rf@example.test", marker, "", "failed", "delivered")
    assert (row["state"], row["delivery_msg"]) == ("failed", "553 5.1.3 this address cannot be given to a program")


def test_the_null_sender_is_an_empty_return_path(place, marker):
    with place.server.talk() as client:
        client.ehlo()
        mail_id = id_of(client.mail("", "coco@example.test", message(marker)))
    note = place.note(mail_id, "coco@example.test")
    assert note["message"].startswith("Return-Path: <>\n") and note["environment"]["SENDER"] == ""


def test_an_alias_leads_to_a_program_and_the_address_stays_the_recipient(marker):
    with Place(usual="maildir") as place:
        place.server.edit("insert into aliases (address, target, created_at) values ('support@example.test', '|program', datetime('now'))")
        mail_id = place.receive(["support@example.test", "mike@example.test"], marker)
        note = place.note(mail_id, "support@example.test")
        assert note["message"].split("\n")[1] == "Delivered-To: support@example.test" and "X-Original-To" not in note["message"]
        assert note["arguments"][0] == note["environment"]["ORIGINAL_RECIPIENT"] == "support@example.test"
        assert b"\nDelivered-To: mike@example.test\n" in place.server.wait_mail("mike@example.test", marker)
        place.server.wait_parcels(mail_id, "delivered")
        routes = place.server.sql("select route from attempts join parcels on parcels.id = parcel_id where mail_id = ? order by to_url", mail_id)
        assert [row[0] for row in routes] == ["maildir", "pipe program"]


# What its end means.

@pytest.mark.parametrize("status, state, reply", [
    (0, "delivered", "250 2.0.0 program: delivered"), (64, "deferred", "451 4.3.5 program: command line usage error"),
    (65, "failed", "554 5.6.0 program: data format error"), (67, "failed", "550 5.1.1 program: user unknown"),
    (69, "failed", "554 5.3.0 program: service unavailable"), (70, "failed", "554 5.3.0 program: internal software error"),
    (71, "deferred", "451 4.3.0 program: system resource problem"), (73, "deferred", "451 4.2.0 program: cannot create the output file"),
    (74, "deferred", "451 4.3.0 program: input or output error"), (75, "deferred", "451 4.3.0 program: temporary failure"),
    (76, "failed", "554 5.5.0 program: remote error in protocol"), (77, "failed", "550 5.7.0 program: permission denied"),
    (78, "deferred", "451 4.3.5 program: local configuration error"), (127, "deferred", "451 4.3.5 program: command not found"),
    (1, "failed", "554 5.3.0 program: ended with status 1")])
def test_the_exit_status_is_the_verdict(place, marker, status, state, reply):
    row = place.outcome("coco@example.test", marker, f"exit {status}", "delivered", "deferred", "failed")
    assert (row["state"], row["delivery_msg"]) == (state, reply)


def test_the_first_line_of_its_output_is_told(place, marker):
    row = place.outcome("coco@example.test", marker, r"say quota: \0 10 of 10 MB\nand more", "failed")
    assert row["delivery_msg"] == r"554 5.3.0 program: ended with status 5: quota: \x00 10 of 10 MB"


def test_a_program_that_leaves_its_input_unread_delivers_all_the_same(place, marker):
    mail_id = place.receive("coco@example.test", marker, "unread", body="A line of text.\r\n" * 60_000)
    row, = place.server.wait_parcels(mail_id, "delivered")
    assert row["delivery_msg"].startswith("250 ") and len(place.note(mail_id, "coco@example.test")["message"]) == 4000


def test_a_program_that_takes_too_long_is_killed_and_the_mail_put_off(marker):
    with Place(settings={"retry_schedule": ["3600"]}, keys="timeout = 3") as impatient:
        row = impatient.outcome("coco@example.test", marker, "hang", "deferred")
        assert row["delivery_msg"] == "451 4.3.0 program: took longer than 3 s"
        wait_for(lambda: not running(impatient.server.path("program")), "the program's end")


def test_a_killed_program_puts_the_mail_off(place, marker):
    assert place.outcome("coco@example.test", marker, "kill", "deferred")["delivery_msg"] == "451 4.3.0 program: ended by signal 9"


def test_a_program_gets_no_more_memory_than_it_may(place, marker):
    assert place.outcome("coco@example.test", marker, "grow", "deferred")["delivery_msg"] == "451 4.3.0 program: temporary failure"


def test_too_much_output_is_dropped(place, marker):
    row = place.outcome("coco@example.test", marker, "flood", "delivered")
    assert row["delivery_msg"].startswith("250 2.0.0 program: delivered: xxxx") and len(row["delivery_msg"]) < 300


def test_children_that_a_program_leaves_behind_are_killed(place, marker):
    place.outcome("coco@example.test", marker, "child", "delivered")
    wait_for(lambda: not running(place.server.path("program")), "the child's end", timeout=5)


def test_a_program_that_is_not_there_puts_the_mail_off(make_instance, marker):
    server = make_instance(settings={"local_transport": "gone"}, extra='transport "gone" {\n kind = pipe\n target = "/nowhere/program -d %u"\n}')
    with server.talk() as client:
        client.ehlo()
        mail_id = id_of(client.mail("someone@example.net", "coco@example.test", message(marker)))
    row, = server.wait_parcels(mail_id, "deferred")
    assert row["delivery_msg"] == "451 4.3.5 gone: cannot be started: No such file or directory"


def test_an_ordinary_user_delivers_to_programs_too(marker):
    with Place(root=False) as place:
        note = place.note(place.receive("coco@example.test", marker), "coco@example.test")
        assert note["uid"] == (65534 if os.geteuid() == 0 else os.getuid())


# Maildir.

def test_delivered_to_is_the_mailbox_and_x_original_to_the_address_as_given(server, marker):
    with server.talk() as client:
        client.ehlo()
        client.mail("someone@example.net", ["postmaster@example.test", "mike@example.test"], message(marker))
    top = server.wait_mail("coco@example.test", marker).split(b"\n")[:3]
    assert top == [b"Return-Path: <someone@example.net>", b"Delivered-To: coco@example.test", b"X-Original-To: postmaster@example.test"]
    assert b"X-Original-To" not in server.wait_mail("mike@example.test", marker)


# The worked example of local_filter: SpamAssassin's spamc.

SPAMC = shutil.which("spamc")


@pytest.mark.skipif(SPAMC is None, reason="needs the package spamc")
def test_spamc_without_a_spamd_leaves_the_message_intact(make_instance, marker):
    server = make_instance(settings={"local_filter": f"{SPAMC} -x -d 127.0.0.1 -p 9 --connect-retries=1", "local_filter_timeout": 20})
    with server.talk() as client:
        client.ehlo()
        client.mail("someone@example.net", "mike@example.test", message(marker))
    assert as_crlf(server.wait_mail("mike@example.test", marker)).endswith(message(marker))
    assert re.search(r"local_filter \S+spamc .*: ended with status \d+; the message is delivered unfiltered", server.log_text())


RULES = {"init.pre": "loadplugin Mail::SpamAssassin::Plugin::Check\n", "test.cf": """
header MARKED Subject =~ /spam/
score MARKED 10
required_score 5
report_safe 0
add_header spam Flag _YESNOCAPS_
add_header all Status _YESNO_
"""}


@pytest.fixture
def spamd():
    """The port of a spamd with one rule of its own: the real daemon, without the rules of Debian's package, which take
    long to load."""
    daemon = shutil.which("spamd", path="/usr/sbin:/usr/bin")
    if daemon is None or SPAMC is None:
        pytest.skip("needs the packages spamassassin, spamd and spamc")
    port, = ports.take(1)
    folder = tempfile.mkdtemp(prefix="parcelpost-spamd-")  # not pytest's, which is closed to the user it becomes
    os.chmod(folder, 0o755)
    for name, text in RULES.items():
        with open(os.path.join(folder, name), "w", encoding="ascii") as stream:
            stream.write(text)
    log = os.path.join(folder, "log")
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    one = Background([daemon, "--local", "--nouser-config", "-m", "1", "--listen", "127.0.0.1", "-p", str(port), "-C", folder, "--siteconfigpath",
                      folder, "--helper-home-dir", folder, "-s", "stderr", *user], log)
    ask = [SPAMC, "-K", "-d", "127.0.0.1", "-p", str(port)]
    try:
        wait_for(lambda: subprocess.run(ask, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        check=False).returncode == 0, "spamd", explain=lambda: open(log, encoding="utf-8").read())
        yield port
    finally:
        one.stop()
        ports.give_back([port])
        shutil.rmtree(folder, ignore_errors=True)


def test_spamc_marks_mail_that_spamd_takes_for_spam(make_instance, spamd, marker):
    server = make_instance(settings={"local_filter": f"{SPAMC} -x -d 127.0.0.1 -p {spamd}"})
    for subject in ("spam", "ham"):
        with server.talk() as client:
            client.ehlo()
            client.mail("someone@example.net", "mike@example.test", message(f"{marker}-{subject}").replace(b"Subject: ", f"Subject: {subject} ".encode()))
    spam, ham = (as_crlf(server.wait_mail("mike@example.test", f"{marker}-{subject}")) for subject in ("spam", "ham"))
    assert b"\r\nX-Spam-Flag: YES\r\n" in spam and b"X-Spam-Flag" not in ham and b"\r\nX-Spam-Status: No" in ham
    assert spam.startswith(b"Return-Path:") and "unfiltered" not in server.log_text()
