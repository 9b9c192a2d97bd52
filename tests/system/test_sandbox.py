"""What each process may do, seen from outside: strace of receivers, and what /proc says of everybody."""
import os
import pwd
import re
import signal
import subprocess

import dkim
import pytest

from lib.instance import Instance, can_be_root
from lib.key_memory import found
from lib.messages import message, odd_message
from lib.place import ROOT, SANITIZED
from lib.processes import descriptors, nursery_of, receiver_of, status
from lib.talker import fresh_source
from lib.waiting import wait_for

pytestmark = [pytest.mark.skipif(not can_be_root(), reason="needs root: without it nothing is dropped"),
              pytest.mark.skipif(SANITIZED, reason="a sanitizer's build has no sandbox"),
              pytest.mark.skipif("PARCELPOST_WRAPPER" in os.environ, reason="the wrapper makes system calls of its own")]
USERS = {"parcelpostd": "root", "receiver": "parcelpost-net", "ledger": "parcelpost", "lookup": "parcelpost-auth",
         "resolver": "parcelpost-net", "signer": "parcelpost-key", "runner": "parcelpost", "nursery": "parcelpost-net"}
FILTERS = {"parcelpostd": "1"}  # others have two of their own besides; receivers are born with their nursery's
LISTENER_CAPABILITIES = {5, 6, 7, 10, 18}  # KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_CHROOT
# What no receiver does once it is confined, whatever the list may say one day.
FORBIDDEN = {"open", "openat", "openat2", "creat", "socket", "socketpair", "connect", "bind", "accept", "accept4", "execve", "execveat", "fork",
             "vfork", "clone", "clone3", "ptrace", "kill", "unlink", "rename", "chmod", "setuid", "setresuid", "chroot", "mount"}


@pytest.fixture(scope="module")
def server():
    with Instance(root=True) as instance:
        yield instance


def allowed_calls():
    """The receiver's list, as src/base/sandbox.c has it."""
    with open(os.path.join(ROOT, "src", "base", "sandbox.c"), encoding="utf-8") as stream:
        tables = dict(re.findall(r"(common_calls|receiver_calls|limited_calls)\[\] = \{(.*?)\n?\};", stream.read(), re.S))
    return {name for table in tables.values() for name in re.findall(r"SCMP_SYS\((\w+)\)", table)}


class Trace:
    """strace -f on listener and nursery: every process that they fork from now on has a file of its own."""

    def __init__(self, server):
        self.server, self.folder = server, server.path("strace")
        os.makedirs(self.folder)
        self.log = open(os.path.join(self.folder, "log"), "w+", encoding="utf-8")
        pids = [word for pid in (server.pid, nursery_of(server)) for word in ("-p", str(pid))]
        self.process = subprocess.Popen(["strace", "-ff", "-o", os.path.join(self.folder, "trace"), *pids],
                                        stdin=subprocess.DEVNULL, stderr=self.log, start_new_session=True)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def __enter__(self):
        wait_for(lambda: "attached" in self.said() or self.process.poll() is not None, "strace", explain=self.said)
        if self.process.poll() is not None:
            pytest.skip("processes cannot be traced here: " + self.said())
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.log.close()

    def lines(self, pid):
        with open(os.path.join(self.folder, f"trace.{pid}"), encoding="utf-8", errors="replace") as stream:
            return stream.read().split("\n")

    def receivers_of_clients(self):
        pids = [int(name.partition(".")[2]) for name in os.listdir(self.folder) if name.startswith("trace.")]
        return [pid for pid in pids if any("EHLO client" in line for line in self.lines(pid))]

    def confined_calls(self, pid):
        """Names of the calls, all of them: a receiver is born confined."""
        return {name for line in self.lines(pid) for name in re.findall(r"^(\w+)\(", line)}


def signed_message(server, marker):
    data = message(marker, body="signed\r\n", sender="someone@example.net")
    with open(server.path("dkim.pem"), "rb") as stream:
        return dkim.sign(data, b"test", b"example.test", stream.read()) + data


def receivers(server):
    return {pid for pid, _, _ in server.processes("receiver")}


def one_of_everything(server, marker):
    """Sessions with each command and each way a message is stored."""
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        assert client.mail("someone@example.net", "coco@example.test", signed_message(server, marker + "-signed")) == 250
        client.starttls()
        assert client.mail("someone@example.net", ["coco@example.test", "mike@example.test"], odd_message(marker + "-memory", 3, 200_000)) == 250
        assert client.command("RCPT TO:<coco@example.test>").code == 503
        client.quit()
    with server.talk("submission", source=fresh_source()) as client:
        client.ehlo()
        client.starttls()
        assert client.login(password="wrong").code == 535
        assert client.login() == 235
        assert client.mail("coco@example.test", "mike@example.test", odd_message(marker + "-file", 4, 1_500_000)) == 250
        for line in ("NOOP", "HELP", "VRFY coco@example.test", "EXPN all", "RSET"):
            client.command(line)
        client.quit()
    with server.talk("submission", source=fresh_source()) as client:
        client.ehlo()  # and is gone without a word


def test_a_receiver_makes_only_the_calls_of_its_list_and_opens_nothing(server, marker):
    before = receivers(server)
    with Trace(server) as trace:
        server.reload()  # a new generation of receivers, all of them traced
        wait_for(lambda: receivers(server) and not receivers(server) & before, "new spare receivers", explain=server.log_tail)
        one_of_everything(server, marker)
        for part in ("signed", "memory", "file"):
            delivered = server.wait_mail("coco@example.test" if part != "file" else "mike@example.test", f"{marker}-{part}")
            if part == "signed":
                assert b"dkim=pass" in delivered.partition(b"Date: ")[0]
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in trace.receivers_of_clients()), "the receivers that served to end")
        served = trace.receivers_of_clients()
    seen = set().union(*[trace.confined_calls(pid) for pid in served])
    assert len(served) == 3, served
    assert {"recvmsg", "sendmsg", "memfd_create", "exit_group"} <= seen, sorted(seen)
    assert seen <= allowed_calls(), sorted(seen - allowed_calls())
    assert not seen & FORBIDDEN and allowed_calls() & FORBIDDEN == {"socketpair"}  # the nursery's, with the same filter; it leads nowhere


def ids(fields, name):
    return {int(word) for word in fields[name].split()}


def capabilities(fields, name):
    bits = int(fields[name], 16)
    return {number for number in range(64) if bits >> number & 1}


@pytest.fixture
def session(server):
    """A connection that is past EHLO; gives its receiver's pid."""
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        yield receiver_of(server, client.socket)


def test_a_receiver_has_no_root_no_groups_no_capabilities_and_no_way_back(server, session):
    fields, user = status(session), pwd.getpwnam("parcelpost-net")
    assert ids(fields, "Uid") == {user.pw_uid} and ids(fields, "Gid") == {user.pw_gid}
    assert ids(fields, "Groups") <= {user.pw_gid}
    assert not any(capabilities(fields, name) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"))
    assert fields["NoNewPrivs"] == "1" and fields["Seccomp_filters"] == "3"
    assert os.readlink(f"/proc/{session}/root") == server.path("empty") and not os.listdir(server.path("empty"))


def secret_of(nursery):
    """What lies in the page of its that the kernel empties in whom it forks: first of all, the number it forks by."""
    with open(f"/proc/{nursery}/smaps", encoding="ascii", errors="replace") as stream:
        regions = re.findall(r"^([0-9a-f]+)-[0-9a-f]+ (?:.+\n)+?VmFlags:(.*)", stream.read(), re.M)
    place, = [int(begin, 16) for begin, flags in regions if "wf" in flags.split()]
    with open(f"/proc/{nursery}/mem", "rb", buffering=0) as memory:
        return os.pread(memory.fileno(), 8, place)


def test_a_receiver_has_not_the_number_by_which_its_nursery_forks(server, session):
    nursery = nursery_of(server)
    number = secret_of(nursery)
    # Filters have it in halves. One alone may lie there by chance.
    secrets = {"number": number, "first half": number[:4], "second half": number[4:]}
    assert found(nursery, secrets) == set(secrets)
    assert len(found(session, secrets)) <= 1


def test_a_receiver_holds_its_client_its_channels_and_the_log_alone(server, session):
    targets = descriptors(session)
    assert sum(target.startswith("socket:") for target in targets.values()) == 6, targets  # client, hub, ledger, lookup, resolver, signer
    others = {target for target in targets.values() if not target.startswith("socket:")}
    assert others <= {"/dev/null", server.log}, targets


@pytest.mark.parametrize("name", USERS)
def test_every_process_runs_as_its_user(server, session, name):
    found = [server.pid] if name == "parcelpostd" else [pid for pid, _, _ in server.processes(name)]  # whom it has just forked bears its name, too
    user = pwd.getpwnam(USERS[name])
    known = [fields for fields in map(status, found) if fields]
    assert known
    for fields in known:
        assert ids(fields, "Uid") == {user.pw_uid}, fields
        if name == "parcelpostd":
            assert capabilities(fields, "CapEff") == LISTENER_CAPABILITIES
            assert fields["NoNewPrivs"] == "1" and fields["Seccomp_filters"] == FILTERS[name]
            continue
        assert not capabilities(fields, "CapEff") and not capabilities(fields, "CapPrm") and fields["NoNewPrivs"] == "1"
        assert 0 not in ids(fields, "Gid") | (ids(fields, "Groups") if fields["Groups"].strip() else set())
        assert fields["Seccomp_filters"] == FILTERS.get(name, "3")


@pytest.mark.parametrize("name", ["receiver", "nursery", "resolver", "signer", "runner"])
def test_who_needs_neither_database_nor_keys_has_none_open(server, session, name):
    for pid, _, _ in server.processes(name):
        opened = [target for target in descriptors(pid).values() if re.search(r"users\.db|\.pem|/queue/", target)]
        assert not opened and (name == "runner" or not any("parcelpost.db" in target for target in descriptors(pid).values()))


def test_an_agent_for_maildir_is_the_configured_user(server, marker):
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        assert client.mail("someone@example.net", "coco@example.test", message(marker)) == 250
    agents = wait_for(lambda: [pid for pid, _, _ in server.processes("agent")], "an agent")
    nobody = pwd.getpwnam("nobody")
    fields = wait_for(lambda: [fields for fields in map(status, agents) if fields and ids(fields, "Uid") == {nobody.pw_uid}], "its drop")[0]
    assert not capabilities(fields, "CapEff") and fields["NoNewPrivs"] == "1"
