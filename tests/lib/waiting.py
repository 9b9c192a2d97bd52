"""Waiting for events: never a fixed sleep, always a condition and a limit."""
import os
import select
import time

TIMEOUT = float(os.environ.get("PARCELPOST_TEST_TIMEOUT") or 30)


class WaitTimeout(AssertionError):
    """What was waited for did not come."""


def wait_for(condition, what="the condition", timeout=None, explain=None):
    """Calls condition until it gives something true, and returns that. explain() adds to the failure's text."""
    limit = time.monotonic() + (timeout or TIMEOUT)
    pause = 0.002
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > limit:
            detail = "\n" + explain() if explain else ""
            raise WaitTimeout(f"waited {timeout or TIMEOUT:g} s for {what}{detail}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def stat(pid):
    """The fields of a process's stat (proc(5)) behind its command, the state's letter first; X alone when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].decode().split()
    except (FileNotFoundError, ProcessLookupError):
        return ["X"]


def start_time(pid):
    """When a process began, in clock ticks; None when there is no such process, or it is a zombie."""
    fields = stat(pid)
    return None if fields[0] in "ZX" else int(fields[19])


def wait_exit(pid, timeout=None):
    """True when the process has ended before the timeout. Works for processes that are not ours, too."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout or TIMEOUT)[0])
    finally:
        os.close(descriptor)


def running(words):
    """True while any process, of whatever session, has these words in its command line."""
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as stream:
                if name.isdigit() and words.encode() in stream.read().replace(b"\0", b" "):
                    return True
        except OSError:
            continue  # it has just ended
    return False
