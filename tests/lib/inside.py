"""An attacker who has taken one of a server's processes, by tests/shim/inside.c: Intruder(server, pid).call("socket", …)
has that process make the system call, with the rights and filters that it has, and gives what came of it.

    with Instance(root=True, **preparation()) as server: …

An outcome is a number (the call succeeded), the name of an errno, or KILLED: a filter ended the process."""
import ctypes
import errno
import mmap
import os
import signal
import struct
import tempfile

from lib.waiting import stat, wait_for

KILLED = "killed"   # by SIGSYS
ENDED = "ended"     # the process is gone otherwise: an execve that succeeded
ORDERED, BEGUN, DONE = 1, 2, 3
WORDS = struct.Struct("@11l")
SIZE = WORDS.size + 4096
seccomp = ctypes.CDLL("libseccomp.so.2")


def preparation():
    """What an Instance needs to be given."""
    fd, path = tempfile.mkstemp(prefix="inside-")
    os.truncate(path, SIZE)
    os.close(fd)
    return {"preload": "inside", "environment": {"INSIDE_ORDERS": path}}


def call_number(name):
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    assert number >= 0, name
    return number


class Intruder:
    def __init__(self, server, pid):
        self.server, self.pid = server, pid

    def call(self, name, *arguments):
        """Arguments are numbers, text (a path), or bytes (a structure)."""
        words, pointers, data = [], 0, bytearray()
        for place, value in enumerate(arguments):
            if isinstance(value, (str, bytes)):
                pointers |= 1 << place
                words.append(len(data))
                data += (value.encode() if isinstance(value, str) else value) + b"\0" * 16
                data += b"\0" * (-len(data) % 8)
            else:
                words.append(value)
        words += [0] * (6 - len(words))
        log_length = len(self.server.log_text())
        with open(self.server.environment["INSIDE_ORDERS"], "r+b") as stream, mmap.mmap(stream.fileno(), SIZE) as orders:
            orders[WORDS.size:WORDS.size + len(data)] = bytes(data)
            WORDS.pack_into(orders, 0, ORDERED, self.pid, call_number(name), *words, pointers, 0)
            os.kill(self.pid, signal.SIGRTMIN + 5)
            wait_for(lambda: WORDS.unpack_from(orders)[0] == DONE or not self.alive(), f"{name} in process {self.pid}", explain=self.server.log_tail)
            state, result = WORDS.unpack_from(orders)[0], WORDS.unpack_from(orders)[-1]
        if state == DONE:
            return result if result >= 0 else errno.errorcode[-result]
        assert state == BEGUN, "the process ended before the call"
        line = self.server.wait_log(rf"\b{self.pid}\b.*(ended|killed|exit|signal|SIGSYS).*$", after=log_length)
        return KILLED if "SIGSYS" in line.group(0) or "Bad system call" in line.group(0) else ENDED

    def alive(self):
        return stat(self.pid)[0] not in "ZX"
