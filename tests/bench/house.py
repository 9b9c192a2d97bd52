"""Where a server lives while `make bench` measures it: Debian's package unpacked into a folder of its own, laid over /usr and
/etc in a mount namespace that nobody else sees, and a control group that counts the processor time of every process it
ever has, however short. Root only. Nothing of the machine's own mail system is read or written.
"""
import contextlib
import os
import shutil
import subprocess

from lib.place import BUILD
from lib.waiting import wait_for

PACKAGES = os.path.join(BUILD, "bench", "packages")
USERS = ("postfix", "Debian-exim", "opensmtpd", "opensmtpq")
GROUPS = (*USERS, "postdrop")
FIRST_ID = 64100

# What a server in its own house sees: its package over /usr, its configuration and users over /etc, nothing that is to be
# looked up, and folders of its own for everything it writes.
MOUNTS = """
mount -t overlay -o lowerdir={package}/usr:/usr overlay /usr
mount -t overlay -o lowerdir={folder}/etc:{package}/etc:/etc overlay /etc
for place in spool lib log; do mkdir -p {folder}/var/$place; mount --bind {folder}/var/$place /var/$place; done
mount -t tmpfs -o mode=755 tmpfs /run
"""


def unpack(name, packages):
    """The folder with these Debian packages, and those of them the machine lacks, downloaded once a build directory by apt."""
    folder = os.path.join(PACKAGES, name)
    if not os.path.exists(folder):
        made = folder + ".new"
        shutil.rmtree(made, ignore_errors=True)
        os.makedirs(os.path.join(made, "etc"))
        done = subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages], cwd=made, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, f"apt-get download: {done.stdout}"
        for archive in [entry for entry in os.listdir(made) if entry.endswith(".deb")]:
            subprocess.run(["dpkg", "-x", archive, "."], cwd=made, check=True)
            os.unlink(os.path.join(made, archive))
        os.rename(made, folder)
    return folder


def control_groups():
    """Where control groups (version 2) can be made, or None."""
    with open("/proc/mounts", encoding="utf-8") as stream:
        for line in stream:
            words = line.split()
            if words[2] == "cgroup2" and os.access(words[1], os.W_OK):
                return words[1]
    return None


@contextlib.contextmanager
def weight(times):
    """This process, and all that it starts, has so many times an ordinary control group's share of the processors (version 1's cpu
    controller; without it, nothing is changed)."""
    root = "/sys/fs/cgroup/cpu"
    if not os.path.exists(os.path.join(root, "cpu.shares")):
        yield
        return
    group = os.path.join(root, f"parcelpost-bench.{os.getpid()}")
    os.mkdir(group)
    write_word(group, "cpu.shares", 1024 * times)
    write_word(group, "cgroup.procs", os.getpid())
    try:
        yield
    finally:
        write_word(root, "cgroup.procs", os.getpid())
        os.rmdir(group)


def write_word(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="ascii") as stream:
        stream.write(str(value))


def system_files(folder):
    """The machine's users and groups, those that packages would have made, and no name server."""
    with open("/etc/passwd", encoding="utf-8") as stream:
        users = stream.read()
    with open("/etc/group", encoding="utf-8") as stream:
        groups = stream.read()
    for number, name in enumerate(GROUPS, FIRST_ID):
        if f"\n{name}:" not in groups:
            groups += f"{name}:x:{number}:\n"
        if name in USERS and f"\n{name}:" not in users:
            users += f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n"
    hosts = "127.0.0.1 localhost\n" + "".join(f"127.77.0.{number} client{number}.test\n" for number in range(1, 251))
    for name, text in (("passwd", users), ("group", groups), ("hosts", hosts), ("resolv.conf", "lookup file\n")):
        with open(os.path.join(folder, "etc", name), "w", encoding="utf-8") as stream:
            stream.write(text)


class House:
    """A control group, and commands that run in it."""

    def __init__(self, folder):
        self.folder, self.namespace = folder, None
        root = control_groups()
        assert root, "no control group can be made here, and so no processor time be counted"
        self.group = os.path.join(root, f"parcelpost-bench.{os.getpid()}.{os.path.basename(folder)}")
        os.mkdir(self.group)

    def wrapper(self):
        """The words before a command that make it a process of this house."""
        return ["/bin/sh", "-c", f'echo $$ > {self.group}/cgroup.procs; exec "$@"', "sh"]

    def settle(self, package):
        """Mounts; from then on run() happens behind them."""
        for name in ("etc", "var"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        system_files(self.folder)
        script = "set -eu\n" + MOUNTS.format(package=package, folder=self.folder) + "echo settled\nexec sleep infinity\n"
        with open(os.path.join(self.folder, "output"), "ab") as output:
            self.namespace = subprocess.Popen([*self.wrapper(), "unshare", "-m", "--propagation", "private", "/bin/sh", "-c", script],
                                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output)
        assert self.namespace.stdout.readline() == b"settled\n", f"no namespace:\n{self.output()}"

    def run(self, *words, check=True):
        """A command in the house; its output is in the file output. Those that stay must become daemons."""
        with open(os.path.join(self.folder, "output"), "ab") as output:
            done = subprocess.run([*self.wrapper(), "nsenter", "-m", "-t", str(self.namespace.pid), *words], check=False, cwd="/",
                                  stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        assert done.returncode == 0 or not check, f"{words}:\n{self.output()}"

    def output(self):
        with open(os.path.join(self.folder, "output"), encoding="utf-8", errors="replace") as stream:
            return stream.read()[-4000:]

    def cpu(self):
        """Seconds of processor time that all processes have used, also those that are gone."""
        with open(os.path.join(self.group, "cpu.stat"), encoding="ascii") as stream:
            return int(dict(line.split() for line in stream)["usage_usec"]) / 1e6

    def pids(self):
        with open(os.path.join(self.group, "cgroup.procs"), encoding="ascii") as stream:
            return [int(line) for line in stream]

    def memory_kib(self):
        """The proportional set size of all processes."""
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as stream:
                    total += sum(int(line.split()[1]) for line in stream if line.startswith("Pss:"))
            except OSError:
                pass  # it has just ended
        return total

    def clear(self):
        """Kills whatever is left, and the group goes."""
        write_word(self.group, "cgroup.kill", 1)
        if self.namespace:
            self.namespace.wait()
        wait_for(lambda: not self.pids(), "the end of all processes")
        os.rmdir(self.group)
