"""Each process of the server killed, stopped and continued, and without memory or descriptors, while mail flows: every client
reads a proper reply or the end of its connection, the operator one line, nothing that had its 250 is lost, and the service goes on."""
import itertools
import os
import re
import signal
import subprocess
import time

import pytest

from lib import sanitizers
from lib.background import send
from lib.fake_server import FakeServer
from lib.faults import Fault, matrix
from lib.flow import Flow
from lib.instance import NOBODY, Instance, can_be_root
from lib.messages import message
from lib.place import SANITIZED
from lib.processes import nursery_of
from lib.talker import fresh_source
from lib.waiting import start_time, stat, wait_for

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
    yield from running(False, {"journal_max_message": 196608}, outside=MILTER, preload="enfile")


def running(root, settings, outside=POLICY, **options):
    with FakeServer() as sink:
        server = Instance(route=sink.endpoint, extra=outside, root=root, **options,
                          settings={"retry_schedule": ["1"], "contact_connection_limit": 1000, "prohibited_seconds": 1, **settings})
        server.environment.update(sanitizers.options("detect_leaks=0"), LACKING=server.path("lacking"))  # they lack what is needed for that
        os.makedirs(server.directory, exist_ok=True)
        lack(server, "")
        try:
            server.start()
            yield server, sink
        finally:
            server.stop(check=False)  # its log tells of signals
            server.remove()


def pids_of(server, name):
    if name == "nursery":
        return [nursery_of(server)]
    return wait_for(lambda: [pid for pid, _, _ in server.processes(name)], f"a {name}", explain=server.log_tail)


KILLED = [Fault(f"{word}", name, RETURNS[name], number=number, process=name)
          for name in (*SERVICES, "receiver", "agent", "guard") for number, word in ((signal.SIGKILL, "kill -9"), (signal.SIGSEGV, "a crash (SIGSEGV)"))
          if (name, number) != ("guard", signal.SIGSEGV)]


def strike(server, name, number):
    """The signal to one process of this name; gives its pid."""
    while True:
        pid = pids_of(server, name)[-1]
        send([pid], signal.SIGSTOP)  # who is on his way out by himself, or already out, would take no notice of the signal
        wait_for(lambda: is_at_rest(pid), f"a stopped or ended {name}")
        if stat(pid)[0] == "T":
            send([pid], number)
            send([pid], signal.SIGCONT)
            return pid


def is_at_rest(pid):
    """Stopped, or ended."""
    return stat(pid)[0] in "TZX"


@matrix("Processes", KILLED)
def test_a_process_that_dies_costs_no_mail_and_is_replaced(place, row):
    server, sink = place
    if SANITIZED and row.number == signal.SIGSEGV:
        pytest.skip("a sanitizer takes it for a finding")
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


@matrix("Processes", STOPPED)
def test_a_process_that_is_stopped_for_a_while_goes_on_where_it_was(place, row):
    server, sink = place
    with Flow(server, sink) as flow:
        chosen = pids_of(server, row.process)
        send(chosen, signal.SIGSTOP)
        try:
            wait_for(lambda: all(map(is_at_rest, chosen)), f"{row.process} to stop")
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


RETIRED = [Fault("stopped, and replaced by a reload (SIGSTOP, SIGHUP)", name, "killed after service_timeout; its successor has taken over at once", process=name)
           for name in ("lookup", "resolver", "signer", "connector", "nursery", "receiver")]
TOLD = r"{name}\[({pids})\] was told to end and has not done so for \d+ s: killed"


def spare_receivers_of(server):
    """Those who have served nobody: one that is just ending has its client."""
    return wait_for(lambda: [pid for pid in pids_of(server, "receiver") if f"receiver[{pid}]" not in server.log_text()], "spare receivers")


def stop_and_replace(server, name):
    """SIGSTOP to all of this name, and a reload; gives their pids. Only from then on service_timeout is short."""
    chosen = spare_receivers_of(server) if name == "receiver" else pids_of(server, name)
    send(chosen, signal.SIGSTOP)
    wait_for(lambda: all(map(is_at_rest, chosen)), f"{name} to stop")
    chosen = [pid for pid in chosen if stat(pid)[0] == "T"]  # a receiver too many may just have ended
    assert chosen
    server.settings["service_timeout"] = 2
    server.write_configuration()
    server.reload()
    return chosen


@matrix("Processes", RETIRED)
def test_who_is_stopped_when_it_is_replaced_is_killed_after_its_time(make_instance, row):
    server = make_instance(extra=POLICY)
    chosen = stop_and_replace(server, row.process)
    try:
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
        for pid in chosen:
            server.wait_log(TOLD.format(name=row.process, pids=pid))
            wait_for(lambda pid=pid: start_time(pid) is None, f"the end of {pid}")
    finally:
        send(chosen, signal.SIGCONT)


def test_a_session_keeps_whom_it_asks_although_others_of_its_time_are_killed(make_instance, marker):
    server = make_instance(extra=POLICY, settings={"lookup_workers": 1, "signer_workers": 1})
    asked = [pid for name in ("lookup", "resolver", "signer") for pid in pids_of(server, name)]
    with server.talk("internal", source=fresh_source()) as client:
        client.ehlo()
        before = []
        for _ in range(2):  # what the first one's end made due would have been killed before the second
            wait_for(lambda: set(pids_of(server, "nursery")) - set(before), "a new nursery")
            before += stop_and_replace(server, "nursery")
            server.wait_log(TOLD.format(name="nursery", pids=before[-1]))
        assert all(map(start_time, asked)), server.log_tail()
        assert client.mail("coco@example.test", "mike@example.test", message(marker)) == 250
        client.quit()
    server.wait_mail("mike@example.test", marker)
    wait_for(lambda: not any(map(start_time, asked)), "the end of those whom the session asked", explain=server.log_tail)
    assert not re.search(TOLD.format(name=r"\w+", pids="|".join(map(str, asked))), server.log_text())


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
    except (FileNotFoundError, PermissionError):
        taken = set()  # it has just ended by itself, or is about to
    return next(number for number in itertools.count() if number not in taken)


def lacks(server, row, limited, before):
    """Who had all open that he ever needs when he was limited has less by now, and agents may have ended."""
    if not any(map(start_time, limited)):
        limited += pids_of(server, row.process)
    limit(server, limited, descriptors)
    return re.search(row.log, server.log_text()[before:])


@matrix("System calls", NO_DESCRIPTORS)
def test_a_process_without_descriptors_puts_off_what_it_cannot_do(equal_place, row):
    server, sink = equal_place
    before = len(server.log_text())
    with Flow(server, sink, clients=1, size=100_000) as flow:
        limited = pids_of(server, row.process)
        limit(server, limited, descriptors)
        late = Flow(server, sink, clients=1, size=100_000, one_each=True).begin()
        try:
            wait_for(lambda: lacks(server, row, limited, before), "a lack of descriptors", explain=server.log_tail)
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
    Fault("ENFILE", "the ledger", "451 to who sends a message that becomes a file; the others go on", process="ledger", size=250_000),
    Fault("ENFILE", "the resolver", "verdicts are missing, or 451; the others go on", process="resolver", size=0),
    Fault("ENFILE", "the connector", "sessions without what is asked outside; the others go on", process="connector", size=0),
    Fault("ENFILE", "receivers", "451 to who sends large mail, which needs memory to hand on", process="receiver", size=120_000),
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
