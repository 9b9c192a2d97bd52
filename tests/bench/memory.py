"""What connections that idle after EHLO cost a server in memory, and what it takes when nobody is there."""
import subprocess
import time

from cases import CLIENT

COUNTS = (200, 1000)


def available_kib():
    with open("/proc/meminfo", encoding="ascii") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("MemAvailable:"))


def own_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("Pss:"))


def idle(server, tls):
    """{0: PSS of the idle server, 200: (PSS, loss of MemAvailable) of each of so many connections, 1000: …}, all KiB. The server is
    just started: what it keeps of earlier connections would hide what these take. What the clients take is not counted."""
    base, free = server.house.memory_kib(), available_kib()
    got = {0: base}
    for count in COUNTS:
        words = ["--port", str(server.tls_port if tls else server.port), "--connections", str(count), "--idle", *(["--starttls"] if tls else [])]
        client = subprocess.Popen([CLIENT, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert client.stdout.readline() == b"ready\n", f"{server.name} does not hold {count} connections\n{server.log_tail()}"
            time.sleep(0.5)  # what was freed behind the greeting comes back
            loss = free - available_kib() - own_kib(client.pid)
            got[count] = ((server.house.memory_kib() - base) / count, loss / count)
        finally:
            client.stdin.close()
            client.wait()
    return got
