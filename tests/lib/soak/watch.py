"""What a server's processes hold: memory, descriptors, zombies, files. One look at all of them is a Look; median and growth compare looks."""
import collections
import os
import statistics

MIB = 1024 * 1024


def session_processes(leader):
    """[(pid, name, state)] of a session, zombies too."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as stream:
                    text = stream.read()
            except OSError:
                continue  # it has just ended
            fields = text.rpartition(b")")[2].split()
            if int(fields[3]) == leader:
                found.append((int(entry), text[text.index(b"(") + 1:text.rindex(b")")].decode("utf-8", "replace"), fields[0].decode()))
    return found


def memory_of(pid):
    """KiB of its share of the memory that it has mapped, and how much of that no file is behind; 0 when it has just ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as stream:
            fields = {line.split(":")[0]: int(line.split()[1]) for line in stream if line.startswith("Pss")}
    except OSError:
        return 0, 0
    return fields.get("Pss", 0), fields.get("Pss_Anon", 0) + fields.get("Pss_Shmem", 0)


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def tree_size(path):
    total = 0
    for where, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(where, name)).st_size
            except OSError:
                pass  # it has just been removed
    return total


def file_size(path):
    return os.stat(path).st_size if os.path.exists(path) else 0


def available_kib():
    with open("/proc/meminfo", encoding="ascii") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("MemAvailable:"))


class Look:
    """{role: …} of memory (KiB), own (KiB that no file is behind), held (descriptors), number (processes)."""

    def __init__(self, server):
        self.memory, self.own, self.held, self.number = (collections.Counter() for _ in range(4))
        self.zombies = 0
        for pid, name, state in session_processes(server.pid):
            if state in "ZX":
                self.zombies += 1
                continue
            self.number[name] += 1
            whole, own = memory_of(pid)
            self.memory[name] += whole
            self.own[name] += own
            self.held[name] += descriptors(pid)
        self.files = {"database": file_size(server.database), "log": file_size(server.database + "-wal"),
                      "journal": tree_size(os.path.join(server.queue, "journal")), "files": tree_size(os.path.join(server.queue, "mail"))}

    @property
    def total(self):
        return self.memory.total()

    @property
    def processes(self):
        return self.number.total()

    @property
    def descriptors(self):
        return self.held.total()


def middle(values, default=0):
    values = list(values)
    return statistics.median(values) if values else default


def percentile(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)] if values else 0
