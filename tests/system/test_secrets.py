"""What a user of the host sees of processes that hold keys and passwords: no core file, no memory, no secret in /proc."""
import base64
import os
import re
import subprocess

import pytest

from lib.instance import Instance, can_be_root
from lib.messages import message
from lib.talker import fresh_source
from lib.waiting import wait_for

AS_ROOT = pytest.mark.parametrize("server", ["root"], indirect=True)
PASSWORD, ROUTE_PASSWORD = "Kaninchen-7531", "Ameise-4242"
SERVICES = {"parcelpostd", "ledger", "lookup", "resolver", "signer", "runner", "nursery", "receiver"}
LOOK = ["/usr/bin/python3", "-c", "import os, sys\ntry:\n    os.close(os.open(f'/proc/{sys.argv[1]}/mem', os.O_RDONLY))\n    print('opened')\n"
        "except PermissionError:\n    print('refused')\n"]


def write_secret(path, text):
    with open(path, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
        stream.write(text + "\n")


def started(root):
    instance = Instance(root=root)
    os.makedirs(instance.directory, exist_ok=True)
    write_secret(instance.path("password"), ROUTE_PASSWORD)
    instance.extra = f'route "far.test" {{\nhost = "127.0.0.1:9"\nuser = "us"\npassword_file = "{instance.path("password")}"\n}}'
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


def read(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as stream:
        return stream.read()


def memory(pid):
    """All that a process may write to."""
    held = []
    with open(f"/proc/{pid}/mem", "rb", 0) as stream:
        for begin, end in re.findall(rb"^([0-9a-f]+)-([0-9a-f]+) rw", read(pid, "maps"), re.M):
            held.append(os.pread(stream.fileno(), int(end, 16) - int(begin, 16), int(begin, 16)))
    return b"".join(held)


def processes(server):
    """{pid: name}, once each service is there and is who it means to be."""
    def ready():
        found = {pid: name for pid, name, _ in server.processes()}
        try:
            waiting = server.root and any(name != "parcelpostd" and b"\nUid:\t0\t" in read(pid, "status") for pid, name in found.items())
        except (FileNotFoundError, ProcessLookupError):
            return None  # a receiver that has ended by now
        return found if set(found.values()) >= SERVICES and not waiting else None
    return wait_for(ready, "all processes", explain=server.log_tail)


def look(pid, *before, **user):
    """What becomes of somebody's attempt to open a process's memory."""
    return subprocess.run([*before, *LOOK, str(pid)], stdout=subprocess.PIPE, check=True, text=True, **user).stdout.strip()


def test_no_process_may_leave_a_core_file(server):
    for pid, name in processes(server).items():
        assert re.search(rb"^Max core file size +0 +0 ", read(pid, "limits"), re.M), name


@AS_ROOT
def test_nobody_of_the_same_user_looks_into_a_process(server):
    looked = set()
    for pid, name in processes(server).items():
        try:
            ids = [int(re.search(rb"^%s:\t\d+\t(\d+)" % kind, read(pid, "status"), re.M)[1]) for kind in (b"Uid", b"Gid")]
        except (FileNotFoundError, ProcessLookupError):
            continue  # a receiver that has ended by now
        if ids[0] == 0:
            continue  # the next test
        user = {"user": ids[0], "group": ids[1], "extra_groups": []}
        with subprocess.Popen(["sleep", "600"], **user) as other:
            try:
                assert look(other.pid, **user) == "opened"  # nothing else is in the way
                assert look(pid, **user) == "refused" or not os.path.exists(f"/proc/{pid}"), name
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
            wait_for(lambda: b"sleep" in read(other.pid, "comm"), "sleep")
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
            shown = b"\n".join(read(pid, part) for part in ("cmdline", "environ", "comm"))
            assert b"parcelpost" in shown
            assert not any(secret.encode("ascii") in shown for secret in secrets), name


@AS_ROOT
def test_a_password_is_nowhere_in_its_receiver_once_the_login_is_over(server):
    """It came in a TLS record, and what is read of that lies in OpenSSL's buffer, too."""
    said = base64.b64encode(f"secret@example.test\0secret@example.test\0{PASSWORD}".encode("ascii"))
    with server.talk("submission", fresh_source()) as client:
        client.ehlo()
        client.starttls()
        assert client.command(f"AUTH PLAIN {said.decode('ascii')}") == 235
        pid = int(re.findall(r"receiver\[(\d+)\] \S+ login of secret@example.test succeeded", server.log_text())[-1])
        held = memory(pid)
        found = [secret for secret in (b"secret@example.test", PASSWORD.encode("ascii"), said[-16:]) if secret in held]
        assert found == [b"secret@example.test"]  # who has logged in is known: it is the right process
