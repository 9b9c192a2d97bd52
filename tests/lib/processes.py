"""What /proc says of processes that may end, and close what they have open, while somebody looks. Who is on his way out
has handed back what he is asked about, and counts as gone."""
import contextlib
import os
import signal
import socket
import sys

from lib.background import send
from lib.waiting import stat, wait_for

EXITING = 4  # PF_EXITING of proc(5)'s flags


def is_there(pid):
    """False also of a process that is ending."""
    fields = stat(pid)
    return fields[0] not in "ZX" and not int(fields[6]) & EXITING


def read(pid, name):
    """The bytes of /proc/PID/name; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as stream:
            data = stream.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return data if is_there(pid) else None


def status(pid):
    """The fields of /proc/PID/status; None when the process is gone."""
    text = read(pid, "status")
    return text and dict(line.split(":\t", 1) for line in text.decode("utf-8", "replace").splitlines() if ":\t" in line)


def switches(pid):
    """How often a process has been given a processor; None when it is gone."""
    fields = status(pid)
    return fields and sum(int(count) for name, count in fields.items() if "ctxt_switches" in name)


def descriptors(pid):
    """{number: where it leads} of what it has open all the while; of a process that is gone, nothing."""
    found = {}
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return found


def server_end(client):
    """The inode of the server's end of a client's TCP socket over IPv4; "0" as long as nobody has accepted it, None when it is gone."""
    address, port = client.getsockname()
    peer = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as stream:
        return next((fields[9] for fields in map(str.split, stream) if fields[2] == peer), None)


def wait_accepted(server, client):
    wait_for(lambda: server_end(client) not in (None, "0"), "the listener to accept", explain=server.log_tail)


def receiver_of(server, client):
    """The pid of the receiver that has the other end of a client's socket, as soon as one has."""
    def found():
        inode = server_end(client)
        return next((pid for pid, _, _ in server.processes("receiver") if f"socket:[{inode}]" in descriptors(pid).values()), None)
    return wait_for(found, "the client's receiver", explain=server.log_tail)


def nursery_of(server):
    """Its pid: a receiver that it has just forked bears its name for a moment."""
    def alone():
        pids = [pid for pid, _, _ in server.processes("nursery")]
        return pids[0] if len(pids) == 1 else None
    return wait_for(alone, "the nursery alone", explain=server.log_tail)


@contextlib.contextmanager
def frozen(*pids):
    """They stand still within; who has ended by himself counts as standing."""
    send(pids, signal.SIGSTOP)
    try:
        wait_for(lambda: all(stat(pid)[0] in "TZX" for pid in pids), "processes to stop")
        yield
    finally:
        send(pids, signal.SIGCONT)
