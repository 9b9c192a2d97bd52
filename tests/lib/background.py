"""Processes that a test starts and ends: by pid and start time, never by name."""
import contextlib
import os
import signal
import subprocess

from lib.waiting import start_time, wait_exit, wait_for


class Background:
    """A program in a session of its own; its output goes to a file."""

    def __init__(self, command, log, environment=None, user=None, directory=None):
        with open(log, "ab") as output:
            extra = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=directory,
                                            start_new_session=True, env={**os.environ, **(environment or {})}, **extra)
        self.pid = self.process.pid
        self.born = start_time(self.pid)

    def running(self):
        return self.process.poll() is None

    def send(self, number):
        if self.running():
            os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, timeout=20):
        """Asks it to end, waits, and returns its exit status; kills the whole session when it does not."""
        self.send(number)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            kill_session(self.pid)
            self.process.wait()
            raise AssertionError(f"process {self.pid} did not end within {timeout} s of signal {number}") from None
        kill_session(self.pid)
        return status


def send(pids, number):
    """The signal to each of them that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def stop_pid(pid, born, timeout=20):
    """Ends a process that an earlier command started, if it is still the same one."""
    if start_time(pid) == born and born is not None:
        os.kill(pid, signal.SIGTERM)
        if not wait_exit(pid, timeout):
            os.kill(pid, signal.SIGKILL)
    kill_session(pid)


def session_members(leader):
    """(pid, name, parent) of every process in the session."""
    members = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as stream:
                text = stream.read()
        except OSError:
            continue
        fields = text.rpartition(b")")[2].split()
        if int(fields[3]) == leader and fields[0] not in (b"Z", b"X"):
            members.append((int(entry), text[text.index(b"(") + 1:text.rindex(b")")].decode("utf-8", "replace"), int(fields[1])))
    return members


def kill_session(leader):
    """Kills what is left of a session, and returns whether there was anything."""
    left = session_members(leader)
    for pid, _, _ in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    if left:
        wait_for(lambda: not session_members(leader), f"the end of session {leader}")
    return bool(left)
