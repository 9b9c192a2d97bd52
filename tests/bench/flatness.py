"""Whether Parcelpost's cost stays flat: with a million rows of history, and with ten times as much of something."""
import os
import sqlite3
import statistics

from cases import measure, run_client, settled_cpu
from servers import LOGIN, Parcelpost

ROWS = 1_000_000
# What a copied row must have of its own, and what makes it history.
CHANGES = {"contacts": {"id": "null", "remote_ip": "printf('10.%d.%d.%d', n >> 16, (n >> 8) & 255, n & 255)"},
           "mails": {"mail_id": "printf('1%010d-fill', n)", "place": "'gone'"},
           "parcels": {"id": "null", "mail_id": "printf('1%010d-fill', n)", "state": "'delivered'", "retry_at": "null"}}
# What grows tenfold: the client's words before and after.
TENFOLD = {
    "connections": (["--connections", "100", "--messages", "100"], ["--connections", "1000", "--messages", "1000"]),
    "recipients": (["--connections", "10", "--reuse", "--messages", "200", "--recipients", "10"],
                   ["--connections", "10", "--reuse", "--messages", "200", "--recipients", "100"]),
    "size of messages": (["--connections", "10", "--reuse", "--messages", "200", "--size", "65536"],
                         ["--connections", "10", "--reuse", "--messages", "200", "--size", "655360"]),
}


def grow(server, rows):
    """Copies of the one contact, message and parcel that are there, until there are so many; the server has halted."""
    with sqlite3.connect(server.database) as database:
        database.execute("pragma cache_size = -200000")
        for table, changes in CHANGES.items():
            names = [row[1] for row in database.execute(f"pragma table_info({table})")]
            values = ", ".join(changes.get(name, name) for name in names)
            database.execute(f"with recursive number(n) as (select 1 union all select n + 1 from number where n < {rows}) "
                             f"insert into {table} select {values} from number, (select * from {table} limit 1)")
            assert database.execute(f"select count(*) from {table}").fetchone()[0] > rows
    database.close()


def full_and_empty(folder, case, rounds, given, sinks):
    """The median ratio of the rate with a million rows to that with none."""
    ends = [sinks["smtp"].port, sinks["lmtp"].port]
    servers = []
    try:
        for name in ("full", "empty"):
            servers.append(Parcelpost(os.path.join(folder, name), "hold", ends, sessions=100))
            servers[-1].start()
            run_client(["--port", str(servers[-1].port), "--messages", "1"], servers[-1])
        full, empty = servers
        full.halted(lambda: grow(full.server, given.rows))
        ratios = []
        for server in servers:
            measure(server, case, 0.3, 1000, sinks)
        for turn in range(rounds):
            rates = {server: measure(server, case, given.seconds, given.most, sinks)["rate"] for server in (servers if turn % 2 else servers[::-1])}
            ratios.append(rates[full] / rates[empty])
        return statistics.median(ratios)
    finally:
        for server in servers:
            server.stop()


def tenfold(folder, rounds, sinks):
    """{what: the median of how many times as much processor time ten times as much of it takes}"""
    server = Parcelpost(os.path.join(folder, "tenfold"), "hold", [sinks["smtp"].port, sinks["lmtp"].port])
    try:
        server.start()
        port = ["--port", str(server.port), "--from", LOGIN]
        costs = {what: [] for what in TENFOLD}
        run_client([*port, "--messages", "50"], server)
        for _ in range(rounds):
            for what, both in TENFOLD.items():
                taken = []
                for words in both:
                    before = settled_cpu(server.house)
                    run_client([*port, *words], server)
                    taken.append(settled_cpu(server.house) - before)
                costs[what].append(taken[1] / taken[0])
        return {what: statistics.median(values) for what, values in costs.items()}
    finally:
        server.stop()
