"""Each process as somebody who has taken it: what he tries from inside (tests/lib/inside.py), and what comes of it. A wrong
outcome names process and act. What a filter forbids is shown once a process by a few calls, and call by call in
tests/unit/test_sandbox.c: each such try ends the process."""
import os
import pwd
import socket
import stat
import struct
import subprocess

import pytest

from lib import inside
from lib.fake_server import FakeServer
from lib.inside import ENDED, KILLED, Intruder
from lib.instance import Instance, can_be_root
from lib.messages import message
from lib.place import ROOT, SANITIZED
from lib.talker import fresh_source
from lib.waiting import wait_for

pytestmark = [pytest.mark.skipif(not can_be_root(), reason="needs root: without it nothing is dropped"),
              pytest.mark.skipif(SANITIZED, reason="a sanitizer's build has no sandbox"),
              pytest.mark.skipif("PARCELPOST_WRAPPER" in os.environ, reason="the wrapper cannot be preloaded into")]
HERE, READ, WRITE, FOLDER = -100, os.O_RDONLY, os.O_RDWR, 0o755
PTRACE_SEIZE, NEW_USER_SPACE, SIGCHLD, PROBE = 0x4206, 0x10000000, 17, 0
POLICY = 'policy "p" { endpoint = "127.0.0.1:9"\n stages = {mail_from}\n when_down = accept }'
YES = "succeeds"
NO_ROOT = {"become root": "EPERM", "mount": "EPERM", "raw socket": "EPERM", "folder in /": "EACCES"}
NO_FILES = dict.fromkeys(("write the database", "read the database", "read users.db", "list the queue", "read a message", "TLS key",
                          "DKIM key", "/etc/shadow", "memory of the ledger",
                          "memory of a signer"), "ENOENT")  # its root is an empty folder
NO_SECRETS = dict.fromkeys(("TLS key", "DKIM key", "/etc/shadow", "memory of the ledger", "memory of a signer"), "EACCES")
NO_SPOOL = dict.fromkeys(("write the database", "list the queue", "read a message"), "EACCES")
NO_PROGRAMS = dict.fromkeys(("start a program", "start a process", "signal the ledger", "trace the ledger", "name spaces"), KILLED)
OWN_ROOT_ONLY = {"folder in /": "EACCES"}
# What ends the process comes last: the others are tried in the process that is there.
OUTCOMES = {
    "resolver": {**NO_FILES, **OWN_ROOT_ONLY, "raw socket": "EPERM", "network": YES, "become root": KILLED, **NO_PROGRAMS},
    "lookup": {**NO_SPOOL, **NO_SECRETS, **OWN_ROOT_ONLY, "read the database": YES, "read users.db": YES,
               "network": KILLED, "become root": KILLED, **NO_PROGRAMS},
    "ledger": {**NO_SECRETS, **OWN_ROOT_ONLY, "read users.db": "EACCES", "write the database": YES, "read a message": YES,
               "network": KILLED, "become root": KILLED, **NO_PROGRAMS},
    "runner": {**NO_SECRETS, **OWN_ROOT_ONLY, "read users.db": "EACCES", "write the database": YES, "read a message": YES,
               "network": KILLED, "become root": KILLED, **NO_PROGRAMS},
    "agent for smtp": {**NO_FILES, **OWN_ROOT_ONLY, "raw socket": "EPERM", "network": YES, "become root": KILLED, **NO_PROGRAMS},
    "agent for maildir": {**NO_SPOOL, **NO_SECRETS, **OWN_ROOT_ONLY, "read the database": "EACCES", "read users.db": "EACCES",
                          "network": KILLED, "become root": KILLED, **NO_PROGRAMS},
    "receiver": {**dict.fromkeys([*NO_FILES, *NO_ROOT], KILLED), "network": KILLED, **NO_PROGRAMS},
    "signer": dict.fromkeys(("DKIM key", "read a message", "network", "become root", "signal the ledger"), KILLED),
    "connector": {"raw socket": "EPERM", "network": YES,
                  **dict.fromkeys(("DKIM key", "read a message", "become root", "signal the ledger"), KILLED)},
    # Root, so that what root owns is open to it; it parses nothing that comes from a network.
    "parcelpostd": {**NO_SPOOL, "read the database": "EACCES", "read users.db": "EACCES", "memory of the ledger": "EACCES",
                    "memory of a signer": "EACCES", "raw socket": "EPERM", "mount": "EPERM", "trace the ledger": "EPERM"},
}


@pytest.fixture(scope="module")
def taken():
    """The server, and acts by their names."""
    with FakeServer() as sink, Instance(root=True, route=sink.endpoint, extra=POLICY, **inside.preparation()) as server:
        try:
            yield server
        finally:
            # Its log is full of SIGSYS, and its folder goes with it.
            server.stop(check=False)
            os.unlink(server.environment["INSIDE_ORDERS"])
            server.remove()


def acts(server):
    ledger, signer = (wait_for(lambda name=name: [pid for pid, _, _ in server.processes(name)], name, explain=server.log_tail)[0]
                      for name in ("ledger", "signer"))
    loopback = struct.pack("=H", socket.AF_INET) + struct.pack("!H", server.mx_port) + socket.inet_aton("127.0.0.1") + bytes(8)
    journal = server.path("queue", "journal")
    return {
        "write the database": ("openat", HERE, server.database, WRITE),
        "read the database": ("openat", HERE, server.database, READ),
        "read users.db": ("openat", HERE, server.path("state", "users.db"), READ),
        "list the queue": ("openat", HERE, server.path("queue", "mail"), READ),
        "read a message": ("openat", HERE, os.path.join(journal, sorted(os.listdir(journal))[0]), READ),
        "TLS key": ("openat", HERE, server.path("private_key.pem"), READ),
        "DKIM key": ("openat", HERE, server.path("dkim.pem"), READ),
        "/etc/shadow": ("openat", HERE, "/etc/shadow", READ),
        "memory of the ledger": ("openat", HERE, f"/proc/{ledger}/mem", READ),
        "memory of a signer": ("openat", HERE, f"/proc/{signer}/mem", READ),
        "network": ("socket", socket.AF_INET, socket.SOCK_STREAM, 0),
        "raw socket": ("socket", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "connect": ("connect", 0, loopback, len(loopback)),
        "become root": ("setuid", 0),
        "folder in /": ("mkdirat", HERE, "/inside-was-here", FOLDER),
        "mount": ("mount", "none", "/", "tmpfs", 0, 0),
        "name spaces": ("unshare", NEW_USER_SPACE),
        "start a process": ("clone", SIGCHLD, 0, 0, 0, 0),
        "start a program": ("execve", "/bin/true", 0, 0),
        "signal the ledger": ("kill", ledger, PROBE),
        "trace the ledger": ("ptrace", PTRACE_SEIZE, ledger, 0, 0),
    }


def agent_of(server, user, recipient):
    """A waiting agent that runs as this user, after a delivery of ours."""
    with server.talk("internal") as client:
        client.ehlo()
        assert client.mail("coco@example.test", recipient, message("inside")) == 250
    number = pwd.getpwnam(user).pw_uid

    def found():
        return [pid for pid, _, _ in server.processes("agent") if user_of(pid) == number and confined(pid)]
    return wait_for(found, f"an agent for {recipient}", explain=server.log_tail)[-1]


def user_of(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
            return int(next(line for line in stream if line.startswith("Uid:")).split()[1])
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return None


def receiver_of(server, client):
    """The pid at the other end of a client's connection."""
    address, port = client.socket.getsockname()
    peer = f"{struct.unpack('=I', socket.inet_aton(address))[0]:08X}:{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as stream:
        inode = next(row[9] for row in map(str.split, stream) if row[2] == peer)
    for pid, _, _ in server.processes("receiver"):
        try:
            if f"socket:[{inode}]" in [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]:
                return pid
        except FileNotFoundError:
            pass  # it served another client, and has ended
    raise AssertionError(f"no receiver has the connection\n{server.log_tail()}")


def victim(server, name):
    if name == "agent for smtp":
        return agent_of(server, "parcelpost-net", "someone@example.net")
    if name == "agent for maildir":
        return agent_of(server, "nobody", "mike@example.test")
    return wait_for(lambda: [pid for pid, _, _ in server.processes(name) if name == "parcelpostd" or confined(pid)], name, timeout=60,
                    explain=server.log_tail)[-1]


def confined(pid):
    """True once both of its filters are loaded: a process that was just started is still on its way there."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
            return "Seccomp_filters:\t2\n" in stream.read()
    except (FileNotFoundError, ProcessLookupError):
        return False


def outcome(server, name, act):
    if name == "receiver":  # one with a client: who ends without one has its successor wait
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            result = Intruder(server, receiver_of(server, client)).call(*acts(server)[act])
    else:
        result = Intruder(server, victim(server, name)).call(*acts(server)[act])
    return YES if isinstance(result, int) else result


@pytest.mark.parametrize("name", OUTCOMES)
def test_who_has_taken_a_process_gets_no_further(taken, name):
    expected = OUTCOMES[name]
    found = {act: outcome(taken, name, act) for act in expected}
    assert found == expected
    assert ENDED not in found.values() and not os.path.exists("/inside-was-here")


def test_whoever_else_is_on_the_machine_can_open_neither_mail_nor_state(taken):
    """No file of spool and state has a bit for the world; control sockets neither."""
    opened = []
    for folder in (taken.queue, taken.path("state"), taken.path("run"), taken.path("mail")):
        for where, _, files in os.walk(folder):
            opened += [os.path.join(where, name) for name in files if os.stat(os.path.join(where, name)).st_mode & 0o007]
    assert [os.path.relpath(name, taken.directory) for name in opened if os.path.basename(name) not in ("pid", "lock")] == []


def test_no_program_of_ours_gives_rights_to_whoever_runs_it(tmp_path):
    installed = subprocess.run(["make", "--no-print-directory", "install", f"DESTDIR={tmp_path}"], cwd=ROOT, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, check=False, text=True)
    assert installed.returncode == 0, installed.stdout
    files = [os.path.join(where, name) for where, _, names in os.walk(tmp_path) for name in names]
    assert any(os.path.basename(name) == "sendmail" for name in files)
    assert not [name for name in files if os.lstat(name).st_mode & (stat.S_ISUID | stat.S_ISGID)]
