"""What a user of the host sees of processes that hold keys and passwords: no core file, no memory, no secret in /proc."""
import contextlib
import os
import re
import subprocess

import pytest

from lib.instance import Instance, can_be_root
from lib.key_memory import left_behind, pieces_of, places
from lib.messages import message
from lib.milter import Milter, add_header
from lib.processes import is_there, read, status
from lib.sasl import Scram, login, plain, plain_in_turn, said
from lib.talker import fresh_source
from lib.waiting import wait_for

AS_ROOT = pytest.mark.parametrize("server", ["root"], indirect=True)
PASSWORD, ROUTE_PASSWORD = "Kaninchen-7531-Wolkenbruch", "Ameise-4242"
SERVICES = {"parcelpostd", "ledger", "lookup", "resolver", "signer", "runner", "nursery", "receiver"}
LOOK = ["/usr/bin/python3", "-c", "import os, sys\ntry:\n    os.close(os.open(f'/proc/{sys.argv[1]}/mem', os.O_RDONLY))\n    print('opened')\n"
        "except PermissionError:\n    print('refused')\nexcept OSError:\n    pass\n"]


def write_secret(path, text):
    with open(path, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        stream.write(text + "\n")


def started(root, extra="", **settings):
    instance = Instance(root=root, settings={"max_failed_msgs_per_period": 1000, "account_failures_maximum": 0, **settings})
    os.makedirs(instance.directory, exist_ok=True)
    write_secret(instance.path("password"), ROUTE_PASSWORD)
    instance.extra = f'route "far.test" {{\nhost = "127.0.0.1:9"\nuser = "us"\npassword_file = "{instance.path("password")}"\n}}\n{extra}'
    instance.start()
    instance.add_user("secret@example.test", PASSWORD)
    return instance


@pytest.fixture(scope="module", params=["root", "user"])
def server(request):
    if request.param == "root" and not can_be_root():
        pytest.skip("needs root: without it every process is its user's own")
    instance = started(request.param == "root")
    yield instance
    instance.stop()
    instance.remove()


def processes(server):
    """{pid: name}, once each service is there and is who it means to be."""
    def ready():
        found = {pid: name for pid, name, _ in server.processes()}
        waiting = server.root and any(name != "parcelpostd" and b"\nUid:\t0\t" in (read(pid, "status") or b"") for pid, name in found.items())
        return found if set(found.values()) >= SERVICES and not waiting else None
    return wait_for(ready, "all processes", explain=server.log_tail)


def look(pid, *before, **user):
    """What becomes of somebody's attempt to open a process's memory; "" when there is no such process."""
    return subprocess.run([*before, *LOOK, str(pid)], stdout=subprocess.PIPE, check=True, text=True, **user).stdout.strip()


def test_no_process_may_leave_a_core_file(server):
    for pid, name in processes(server).items():
        limits = read(pid, "limits")
        assert limits is None or re.search(rb"^Max core file size +0 +0 ", limits, re.M), name


@AS_ROOT
def test_nobody_of_the_same_user_looks_into_a_process(server):
    looked = set()
    for pid, name in processes(server).items():
        fields = status(pid)
        if fields is None:
            continue  # a receiver that has ended by now
        ids = [int(fields[kind].split()[1]) for kind in ("Uid", "Gid")]
        if ids[0] == 0:
            continue  # the next test
        user = {"user": ids[0], "group": ids[1], "extra_groups": []}
        with subprocess.Popen(["sleep", "600"], **user) as other:
            try:
                assert look(other.pid, **user) == "opened"  # nothing else is in the way
                assert look(pid, **user) == "refused" or not is_there(pid), name
            finally:
                other.kill()
        looked.add(name)
    assert looked >= SERVICES - {"parcelpostd"}


@AS_ROOT
def test_root_without_sys_ptrace_does_not_look_into_the_listener(server):
    """It holds the certificates' keys. What looks is root with all the listener has, as a taken child of root's might be."""
    weak = ["setpriv", "--bounding-set=-sys_ptrace"]

    with subprocess.Popen([*weak, "sleep", "600"]) as other:
        try:
            wait_for(lambda: b"sleep" in (read(other.pid, "comm") or b""), "sleep")
            assert look(other.pid, *weak) == "opened"
            assert look(server.pid, *weak) == "refused"
        finally:
            other.kill()


def test_no_secret_stands_in_titles_arguments_or_environment(server, marker):
    with open(server.path("dkim.pem"), encoding="ascii") as dkim, open(server.path("private_key.pem"), encoding="ascii") as key, \
            open(server.path("state", "srs.secret"), encoding="ascii") as srs:
        secrets = [PASSWORD, ROUTE_PASSWORD, srs.read().strip(), dkim.read().split("\n")[2], key.read().split("\n")[2]]
    assert all(len(secret) > 10 for secret in secrets)
    with server.talk("submission", fresh_source()) as client:
        client.ehlo()
        client.starttls()
        assert client.login("secret@example.test", PASSWORD) == 235
        assert client.mail("secret@example.test", "coco@example.test", message(marker, sender="secret@example.test")) == 250
        found = processes(server)
        for pid, name in found.items():
            shown = b"\n".join(read(pid, part) or b"" for part in ("cmdline", "environ", "comm"))
            assert b"parcelpost" in shown or not is_there(pid)
            assert not any(secret.encode("ascii") in shown for secret in secrets), name


def behind_others(client, user, password):
    """In two pieces, the first of which has other commands before it: what is left of the line moves."""
    line = f"AUTH PLAIN {said(user, password)}\r\n"
    client.send("NOOP\r\n" * 100 + line[:-10])
    for _ in range(100):
        assert client.reply() == 250
    client.send(line[-10:])
    return client.reply()


def without_a_blank(client, user, password):
    return client.command("AUTHPLAIN " + said(user, password))


def no_base64(client, user, password):
    return client.command(f"AUTH PLAIN {said(user, password)}!")


def unknown_mechanism(client, user, password):
    return client.command("AUTH CLEAR " + said(user, password))


def scram(client, user, password):
    return Scram(client, user=user, password=password).login()


WAYS = {plain: 235, plain_in_turn: 235, login: 235, behind_others: 235, scram: 235, without_a_blank: 500, no_base64: 501,
        unknown_mechanism: 504}


def served(server):
    """The receiver that has taken the last connection."""
    return int(re.findall(r"receiver\[(\d+)\] \S+ connection from", server.log_text())[-1])


def logged_in(server, way, user, password, expected):
    """Whose session goes on, in a receiver that waits for the next command."""
    client = server.talk("submission", fresh_source())
    client.ehlo()
    client.starttls()
    assert way(client, user, password) == expected, client.transcript()
    client.expect(250, "NOOP")
    return client


@AS_ROOT
def test_a_password_is_in_no_process_once_the_login_is_answered(server):
    """Neither its bytes nor what is computed of them first, in no stack, heap, or variable; right or wrong, and however it was said.
    Registers were seen to hold it, which the dynamic linker then saved on a stack: so each login looks for those before it, too."""
    user, pieces = "secret@example.test", pieces_of(PASSWORD.encode())
    assert len(pieces) > 40
    processes(server)
    for way, code in WAYS.items():
        tries = [(user, PASSWORD, code)]
        if code == 235:
            tries += [(user, PASSWORD + "!", 535), ("nobody@example.test", PASSWORD, 535)][:2 if way is plain else 1]
        for name, password, expected in tries:
            with logged_in(server, way, name, password, expected):
                assert left_behind(server, pieces) == {}, (way.__name__, name, password)
    with server.talk("submission", fresh_source()) as client:  # what is there is found
        client.send("EHLO " + PASSWORD)
        wait_for(lambda: left_behind(server, pieces), "the password in the receiver that reads it", explain=server.log_tail)


@AS_ROOT
@pytest.mark.parametrize("lines, changed", [(400, False), (400, True), (4000, True)], ids=["alone", "told to a milter", "moved for a milter's field"])
def test_the_next_client_of_a_receiver_finds_neither_login_nor_mail_of_the_one_before(server, marker, lines, changed):
    """With receiver_sessions. What SECURITY.md says remains is addresses, and names of clients."""
    header, body = f"Subject: {marker}-header\r\n", "".join(f"{marker}-line-{number}\r\n" for number in range(lines))
    secrets = {"header": f"{marker}-header".encode(), **pieces_of(PASSWORD.encode())}
    secrets.update({f"line {number} of the body": f"{marker}-line-{number}\r".encode() for number in range(0, lines, lines // 60)})

    def seen_again(reused):
        """Its next client may come before it waits for one, and then reads another receiver; or it was one too many."""
        with logged_in(reused, plain, "secret@example.test", PASSWORD, 235) as client:
            mail = f"From: secret@example.test\r\nTo: coco@example.test\r\n{header}\r\n{body}"
            assert client.mail("secret@example.test", "coco@example.test", mail) == 250
            client.quit()
        first = served(reused)
        with contextlib.ExitStack() as clients:
            for _ in range(5):
                clients.enter_context(reused.talk("submission", fresh_source())).ehlo()
                if served(reused) == first:
                    assert not places(first, secrets, "rw")
                    return True
        return False
    with Milter(END=[add_header("X-Seen", "yes"), b"c"]) as milter:
        reused = started(True, milter.block() if changed else "", receiver_sessions=100, receiver_spare=1)
        try:
            processes(reused)
            wait_for(lambda: seen_again(reused), "a receiver's second client", explain=reused.log_tail)
            reused.stop()
            assert ("END" in milter.names()) == changed
        finally:
            reused.stop(check=False)
            reused.remove()
