"""Each process of the server killed, stopped and continued, and without memory or descriptors, while mail flows: every client
reads a proper reply or the end of its connection, the operator one line, nothing that had its 250 is lost, and the service goes on."""
import itertools
import os
import signal
import subprocess
import time

import pytest

from lib.fake_server import FakeServer
from lib.faults import Fault, matrix
from lib.flow import Flow
from lib.instance import NOBODY, Instance, can_be_root
from lib.waiting import wait_for

POLICY = 'policy "p" { endpoint = "127.0.0.1:9"\n stages = {vrfy}\n when_down = accept }'
MILTER = 'milter "m" { endpoint = "127.0.0.1:9"\n when_down = accept }\nmilters = {"m"}'
SERVICES = ("ledger", "lookup", "resolver", "signer", "connector", "nursery", "runner")
REPLACED = r"{name}\[{pid}\] ended with signal {number}"
RETURNS = {
    "ledger": "451, 421 or the end of the connection to who is at it; a new ledger, runner and spare receivers",
    "lookup": "451 to who asks it just then; a new one", "resolver": "451 to who asks it just then, or a verdict less; a new one",
    "signer": "451 to who wants a signature just then; a new one", "connector": "another one for the next session",
    "nursery": "sessions go on, who comes just then waits for a receiver; a new one",
    "runner": "agents end after the result in hand; a new one goes on", "receiver": "its one client's connection ends",
    "agent": "its mail is put off and tried again", "guard": "mail flows; no lock_command until the next start, and the log says so",
}
SAID = {"guard": r"the guard has ended"}


@pytest.fixture(scope="module")
def place():
    """A server of every process, and what takes its remote mail."""
    yield from running(None, {"lock_command": "/bin/true", "unlock_command": "/bin/true"} if can_be_root() else {})


@pytest.fixture(scope="module")
def equal_place():
    """The same with all processes as one user, who may change their limits."""
    yield from running(False, {})


@pytest.fixture(scope="module")
def full_place():
    """The same on a machine that has no file left for who is named in `lacking`."""
    yield from running(False, {"journal_max_message": 81920}, outside=MILTER, preload="enfile")


def running(root, settings, outside=POLICY, **options):
    with FakeServer() as sink:
        server = Instance(route=sink.endpoint, extra=outside, root=root, **options,
                          settings={"retry_schedule": ["1"], "contact_connection_limit": 1000, "prohibited_seconds": 1, **settings})
        server.environment["LACKING"] = server.path("lacking")
        os.makedirs(server.directory, exist_ok=True)
        lack(server, "")
        try:
            server.start()
            yield server, sink
        finally:
            server.stop(check=False)  # its log tells of signals
            server.remove()


def pids_of(server, name):
    return wait_for(lambda: [pid for pid, _, _ in server.processes(name)], f"a {name}", explain=server.log_tail)


KILLED = [Fault(f"{word}", name, RETURNS[name], number=number, process=name)
          for name in (*SERVICES, "receiver", "agent", "guard") for number, word in ((signal.SIGKILL, "kill -9"), (signal.SIGSEGV, "a crash (SIGSEGV)"))
          if (name, number) != ("guard", signal.SIGSEGV)]


def strike(server, name, number):
    """Sends the signal to one process of this name; gives its pid."""
    while True:
        pid = pids_of(server, name)[-1]
        try:
            os.kill(pid, number)
            return pid
        except ProcessLookupError:
            continue  # it has just ended by itself


@matrix("Processes", KILLED)
def test_a_process_that_dies_costs_no_mail_and_is_replaced(place, row):
    server, sink = place
    if row.process == "guard" and not server.processes("guard"):
        pytest.skip("only root's server has a guard, and only once")
    before = len(server.log_text())
    with Flow(server, sink) as flow:
        pid = strike(server, row.process, row.number)
        server.wait_log(SAID.get(row.process) or REPLACED.format(name=row.process, pid=pid, number=int(row.number)), after=before)
        flow.goes_on()
    flow.check()
    if row.process != "guard":
        pids_of(server, row.process)


STOPPED = [Fault("stopped and continued (SIGSTOP, SIGCONT)", name, "who needs it waits, and is answered when it goes on; nothing is lost", process=name)
           for name in (*SERVICES, "receiver", "agent", "parcelpostd")]


STOPPED_SECONDS = 1
NEEDED = ("ledger", "lookup")


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # it has just ended by itself


def is_stopped(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].split()[0] in (b"T", b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return True


@matrix("Processes", STOPPED)
def test_a_process_that_is_stopped_for_a_while_goes_on_where_it_was(place, row):
    server, sink = place
    with Flow(server, sink) as flow:
        chosen = pids_of(server, row.process)
        send(chosen, signal.SIGSTOP)
        try:
            wait_for(lambda: all(map(is_stopped, chosen)), f"{row.process} to stop")
            late, before = Flow(server, sink, clients=1).begin(), len(flow.accepted)
            time.sleep(STOPPED_SECONDS)
            if row.process in NEEDED:
                assert len(flow.accepted) <= before + 2 and not late.accepted  # 2: whose answer was under way
        finally:
            send(chosen, signal.SIGCONT)
        with late:
            flow.goes_on()
    flow.check()
    late.check()


# ---- no more descriptors ----

LACKING = r"a descriptor sent to this process is lost: it has too many open|Too many open files|takes no further askers now"
NO_DESCRIPTORS = [
    Fault("EMFILE", "the listener", "new connections wait until there are descriptors again", process="parcelpostd", log=LACKING),
    Fault("EMFILE", "the ledger", "451, or a connection that ends, to who is new; the others go on", process="ledger", log=LACKING),
    Fault("EMFILE", "lookup", "421 or 451 to who is new; the others go on", process="lookup", log=LACKING),
    Fault("EMFILE", "the resolver", "verdicts are missing, or 451; the others go on", process="resolver", log=LACKING),
    Fault("EMFILE", "the signer", "451 to who is new; the others go on", process="signer", log=LACKING),
    Fault("EMFILE", "the connector", "421 or 451 to who is new; the others go on", process="connector", log=LACKING),
    Fault("EMFILE", "the runner", "no new agents: mail waits in the queue", process="runner", log=LACKING),
    Fault("EMFILE", "receivers", "451 to who sends large mail, which needs memory to hand on", process="receiver", log=LACKING),
    Fault("EMFILE", "agents", "the mail is put off with 451 and tried again", process="agent", log=LACKING),
]


def limit(server, pids, most):
    """The number of descriptors that each may have. Only who has the same ids may say so."""
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if server.drop else {}
    for pid in pids:
        done = subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={most(pid)}:"], check=False, stderr=subprocess.PIPE, **user)
        assert done.returncode == 0 or not os.path.exists(f"/proc/{pid}"), done.stderr


def descriptors(pid):
    """The number of its next one, which is one too many."""
    try:
        taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    except FileNotFoundError:
        taken = set()  # it has just ended by itself
    return next(number for number in itertools.count() if number not in taken)


@matrix("System calls", NO_DESCRIPTORS)
def test_a_process_without_descriptors_puts_off_what_it_cannot_do(equal_place, row):
    server, sink = equal_place
    before = len(server.log_text())
    with Flow(server, sink, clients=1, size=120_000) as flow:
        limited = pids_of(server, row.process)
        limit(server, limited, descriptors)
        late = Flow(server, sink, clients=1, size=120_000, one_each=True).begin()
        try:
            server.wait_log(row.log, after=before)
        finally:
            limit(server, limited, lambda pid: 1024)
        flow.goes_on()
        with late:
            pass  # its first message
    flow.check()
    late.check()


# ---- the machine has no more files ----

def lack(server, name):
    """What is written in place is what every process has mapped."""
    path = server.path("lacking")
    with open(path, "r+b" if os.path.exists(path) else "w+b") as stream:
        stream.write(name.encode().ljust(16, b"\0"))


NO_FILES = [
    Fault("ENFILE", "the listener", "new connections wait until there are files again", process="parcelpostd", size=0),
    Fault("ENFILE", "the ledger", "451 to who sends a message that becomes a file; the others go on", process="ledger", size=120_000),
    Fault("ENFILE", "the resolver", "verdicts are missing, or 451; the others go on", process="resolver", size=0),
    Fault("ENFILE", "the connector", "sessions without what is asked outside; the others go on", process="connector", size=0),
    Fault("ENFILE", "agents", "the mail is put off with 451 and tried again", process="agent", size=0),
]


@matrix("System calls", NO_FILES)
def test_a_machine_without_files_puts_off_what_it_cannot_do(full_place, row):
    server, sink = full_place
    before = len(server.log_text())
    with Flow(server, sink, clients=1, size=row.size) as flow:
        lack(server, row.process)
        late = Flow(server, sink, clients=1, size=row.size, one_each=True).begin()
        try:
            server.wait_log("Too many open files in system", after=before)
        finally:
            lack(server, "")
        flow.goes_on()
        with late:
            pass  # its first message
    flow.check()
    late.check()
