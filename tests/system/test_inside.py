"""Each process as somebody who has taken it: what he tries from inside (tests/lib/inside.py), and what comes of it. A wrong
outcome names process and act. What a filter forbids is shown once a process by a few calls, and call by call in
tests/unit/test_sandbox.c: each such try ends the process. OUTCOMES hold on every kernel, LANDLOCKED where it has Landlock."""
import os
import pwd
import socket
import stat
import struct
import subprocess

import pytest

from lib import inside, ports
from lib.fake_server import FakeServer
from lib.inside import ENDED, KILLED, Intruder
from lib.landlock import landlock_version
from lib.instance import Instance, can_be_root
from lib.messages import message
from lib.place import ROOT, SANITIZED
from lib.processes import receiver_of, status
from lib.talker import fresh_source
from lib.waiting import wait_for

pytestmark = [pytest.mark.skipif(not can_be_root(), reason="needs root: without it nothing is dropped"),
              pytest.mark.skipif(SANITIZED, reason="a sanitizer's build has no sandbox"),
              pytest.mark.skipif("PARCELPOST_WRAPPER" in os.environ, reason="the wrapper cannot be preloaded into")]
HERE, READ, WRITE, NEW, FOLDER = -100, os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT, 0o755
FD = object()  # what the step before gave
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
NO_SOCKETS = {"Unix socket": "EACCES", "network": KILLED}
NO_GIFTS = {"open the database to others": "EPERM"}
OUTCOMES = {
    "resolver": {**NO_FILES, **OWN_ROOT_ONLY, "raw socket": "EPERM", "network": YES, "MPTCP": KILLED, "become root": KILLED, **NO_PROGRAMS},
    "lookup": {**NO_SPOOL, **NO_SECRETS, **OWN_ROOT_ONLY, **NO_GIFTS, "read the database": YES, "read users.db": YES,
               **NO_SOCKETS, "become root": KILLED, **NO_PROGRAMS},
    "ledger": {**NO_SECRETS, **OWN_ROOT_ONLY, "read users.db": "EACCES", "write the database": YES, "read a message": YES,
               "open the database to others": YES, **NO_SOCKETS, "become root": KILLED, **NO_PROGRAMS},
    "runner": {**NO_SECRETS, **OWN_ROOT_ONLY, **NO_GIFTS, "read users.db": "EACCES", "read the database": YES,
               **NO_SOCKETS, "become root": KILLED, **NO_PROGRAMS},
    "agent for smtp": {**NO_FILES, **OWN_ROOT_ONLY, "raw socket": "EPERM", "network": YES, "MPTCP": KILLED, "become root": KILLED,
                       **NO_PROGRAMS},
    "agent for maildir": {**NO_SPOOL, **NO_SECRETS, **OWN_ROOT_ONLY, **NO_GIFTS, "read the database": "EACCES", "read users.db": "EACCES",
                          **NO_SOCKETS, "become root": KILLED, **NO_PROGRAMS},
    "receiver": {**dict.fromkeys([*NO_FILES, *NO_ROOT], KILLED), "network": KILLED, **NO_PROGRAMS},
    # One act a system call: each ends it, and the listener waits twice as long before it starts another.
    "nursery": dict.fromkeys(("TLS key", "become root", "network", *NO_PROGRAMS), KILLED),
    "signer": dict.fromkeys(("DKIM key", "read a message", "network", "become root", "signal the ledger"), KILLED),
    "connector": {"raw socket": "EPERM", "network": YES, "MPTCP": KILLED,
                  **dict.fromkeys(("DKIM key", "read a message", "become root", "signal the ledger"), KILLED)},
    # Root, so that what root owns is open to it; it parses nothing that comes from a network.
    "parcelpostd": {**NO_SPOOL, "read the database": "EACCES", "read users.db": "EACCES", "memory of the ledger": "EACCES",
                    "memory of a signer": "EACCES", "raw socket": "EPERM", "mount": "EPERM", "trace the ledger": "EPERM", "name spaces": "EPERM",
                    "program in the kernel": "EPERM", "module": "EPERM", "the clock": "EPERM"},
}
# What users and modes would give: others' files that everybody may read, and for the runner, who has the ledger's user, the spool.
NO_STRANGERS_FILES = {"/etc/passwd": "EACCES", "the configuration": "EACCES", "file in /tmp": "EACCES"}
NO_STRANGERS = {"TCP to this machine": "EACCES", "take TCP connections": "EACCES", "abstract socket": "EPERM"}
LANDLOCKED = {
    "resolver": {"TCP to the name server": YES, **NO_STRANGERS},
    "lookup": NO_STRANGERS_FILES,
    "ledger": {**NO_STRANGERS_FILES, "/etc/passwd": YES},
    "runner": {**NO_STRANGERS_FILES, **dict.fromkeys(("write the database", "write its log", "write its index", "list the queue", "read a message",
                                                     "write a message", "remove the database", "file beside the database"), "EACCES")},
    "agent for smtp": {"TCP to the next server": YES, **NO_STRANGERS},
    "agent for maildir": {**NO_STRANGERS_FILES, "file in the mailboxes": YES, "read a delivered message": "EACCES"},
    "connector": {"TCP to this machine": "EACCES", "TCP to the policy server": "ECONNREFUSED", "abstract socket": "EPERM"},
}


@pytest.fixture(scope="module")
def taken():
    """The server, and acts by their names."""
    with FakeServer() as sink, socket.socket(socket.AF_UNIX) as abstract, \
            Instance(root=True, route=sink.endpoint, extra=POLICY, settings={"alias_directories": ["/etc/parcelpost"]},
                     **inside.preparation()) as server:
        abstract.bind("")
        abstract.listen()
        server.abstract = abstract.getsockname()
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
    abstract = struct.pack("=H", socket.AF_UNIX) + server.abstract
    tcp = ("socket", socket.AF_INET, socket.SOCK_STREAM, 0)
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
        "MPTCP": ("socket", socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP),
        "Unix socket": ("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0),
        "TCP to this machine": [tcp, ("connect", FD, loopback(server.mx_port), 16)],
        "TCP to the name server": [tcp, ("connect", FD, loopback(server.dns_port), 16)],
        "TCP to the next server": [tcp, ("connect", FD, loopback(int(server.route.rpartition(":")[2])), 16)],
        "TCP to the policy server": [tcp, ("connect", FD, loopback(9), 16)],
        "take TCP connections": [tcp, ("bind", FD, loopback(ports.take(1)[0]), 16)],
        "abstract socket": [("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0), ("connect", FD, abstract, len(abstract))],
        "/etc/passwd": ("openat", HERE, "/etc/passwd", READ),
        "the configuration": ("openat", HERE, server.configuration, READ),
        "file in /tmp": ("openat", HERE, "/tmp/inside-was-here", NEW, 0o600),
        "write its log": ("openat", HERE, server.database + "-wal", WRITE),
        "write its index": ("openat", HERE, server.database + "-shm", WRITE),
        "write a message": ("openat", HERE, os.path.join(journal, sorted(os.listdir(journal))[0]), WRITE),
        "remove the database": ("unlinkat", HERE, server.database, 0),
        "file beside the database": ("openat", HERE, server.database + ".new", NEW, 0o600),
        "open the database to others": ("fchmodat", HERE, server.database, 0o640),
        "file in the mailboxes": ("openat", HERE, server.path("mail", "inside-was-here"), NEW, 0o600),
        "read a delivered message": ("openat", HERE, next((path for path, _ in delivered(server)), ""), READ),
        "program in the kernel": ("bpf", 0, 0, 0),
        "module": ("finit_module", 0, "", 0),
        "the clock": ("clock_settime", 0, struct.pack("=qq", 0, 0)),
        "become root": ("setuid", 0),
        "folder in /": ("mkdirat", HERE, "/inside-was-here", FOLDER),
        "mount": ("mount", "none", "/", "tmpfs", 0, 0),
        "name spaces": ("unshare", NEW_USER_SPACE),
        "start a process": ("clone", SIGCHLD, 0, 0, 0, 0),
        "start a program": ("execve", "/bin/true", 0, 0),
        "signal the ledger": ("kill", ledger, PROBE),
        "trace the ledger": ("ptrace", PTRACE_SEIZE, ledger, 0, 0),
    }


def loopback(port):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton("127.0.0.1") + bytes(8)


def delivered(server):
    return [(os.path.join(where, name), name) for where, _, names in os.walk(server.path("mail")) for name in names]


def agent_of(server, user, recipient):
    """A waiting agent that runs as this user, after a delivery of ours."""
    with server.talk("internal") as client:
        client.ehlo()
        assert client.mail("coco@example.test", recipient, message("inside")) == 250
    if recipient.endswith("@example.test"):
        wait_for(lambda: delivered(server), "a delivered message", explain=server.log_tail)
    number = pwd.getpwnam(user).pw_uid

    def found():
        return [pid for pid, _, _ in server.processes("agent") if confined(pid) and (status(pid) or {"Uid": ""})["Uid"].startswith(f"{number}\t")]
    return wait_for(found, f"an agent for {recipient}", explain=server.log_tail)[-1]


def victim(server, name):
    if name == "agent for smtp":
        return agent_of(server, "parcelpost-net", "someone@example.net")
    if name == "agent for maildir":
        return agent_of(server, "nobody", "mike@example.test")
    return wait_for(lambda: [pid for pid, _, _ in server.processes(name) if name == "parcelpostd" or confined(pid)], name, timeout=60,
                    explain=server.log_tail)[-1]


def confined(pid):
    """True once the listener's filter and its own are loaded: a process that was just started is still on its way there."""
    return (status(pid) or {}).get("Seccomp_filters") == "3"


def take_steps(intruder, act):
    result = None
    for step in act if isinstance(act, list) else [act]:
        result = intruder.call(*(result if word is FD else word for word in step))
        if not isinstance(result, int):
            return result
    return YES


def outcome(server, name, act):
    if name == "receiver":  # one with a client: who ends without one has its successor wait
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            return take_steps(Intruder(server, receiver_of(server, client.socket)), acts(server)[act])
    return take_steps(Intruder(server, victim(server, name)), acts(server)[act])


@pytest.mark.parametrize("name", OUTCOMES)
def test_who_has_taken_a_process_gets_no_further(taken, name):
    expected = OUTCOMES[name]
    found = {act: outcome(taken, name, act) for act in expected}
    assert found == expected
    assert ENDED not in found.values() and not os.path.exists("/inside-was-here")
    if name == "nursery":
        victim(taken, name)  # clients of the next test would not wait so long for another


@pytest.mark.skipif(landlock_version() < 6, reason="this kernel has no Landlock, or one that does not know signals")
@pytest.mark.parametrize("name", LANDLOCKED)
def test_who_has_taken_a_process_reaches_only_its_own_files_and_ports(taken, name):
    expected = LANDLOCKED[name]
    assert {act: outcome(taken, name, act) for act in expected} == expected


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
