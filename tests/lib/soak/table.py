"""The table of a soak, as Markdown."""
from lib.soak.watch import MIB, middle, percentile

COLUMNS = ["minute", "accepted", "a second", "delivered", "bounced", "put off, waiting", "refused", "connect to 250: median, p99 (ms)", "dot to 250 (ms)", "PSS (MiB)",
           "ledger", "runner", "listener", "other services", "receivers", "agents", "processes", "descriptors", "zombies", "database, log, journal, files (MiB)"]
HEAD = "| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS)
SERVICES = ("resolver", "signer", "lookup", "connector")
ONE_OF = {"the ledger": "ledger", "the runner": "runner", "the listener": "parcelpostd", "a receiver": "receiver", "an agent": "agent"}
SETTLED, COMPARED = 5, 5  # minutes before the comparison, and in each of its halves


def times(values):
    return f"{percentile(values, 0.5) * 1000:.0f}, {percentile(values, 0.99) * 1000:.0f}"


def line_of(row, number):
    counts, looks = row.counts, row.looks
    sizes = ", ".join(f"{middle(look.files[name] for look in looks) / MIB:.0f}" for name in ("database", "log", "journal", "files"))
    memory = [f"{row.memory(*roles) / 1024:.1f}" for roles in ((), ("ledger",), ("runner",), ("parcelpostd",), SERVICES)]
    memory += [f"{row.memory(role) / 1024:.1f} ({middle(look.number[role] for look in looks):.0f})" for role in ("receiver", "agent")]
    cells = [number, counts["accepted"], f"{counts['accepted'] / max(row.seconds, 1):.0f}", counts["arrived"], counts["bounced"],
             f"{counts['put off']}, {counts['waiting']}", counts["refused"], times(row.from_connect), times(row.from_dot), *memory,
             f"{middle(look.processes for look in looks):.0f}", f"{middle(look.descriptors for look in looks):.0f}",
             f"{middle(look.zombies for look in looks):.0f}", sizes]
    return "| " + " | ".join(map(str, cells)) + " |"


def halves(soak):
    """The first minutes once it has settled, and the last."""
    rows = [row for row in soak.rows if row.looks and row.seconds > 1]
    first = rows[SETTLED:SETTLED + COMPARED]
    return (first, rows[-COMPARED:]) if len(rows) >= SETTLED + 2 * COMPARED else (rows[:max(len(rows) // 2, 1)], rows[len(rows) // 2:])


def busy(soak):
    """Medians of many looks under load: what is in hand differs from one to the next, so that the sum is no measure of leaks."""
    first, last = halves(soak)
    measures = {"memory of all, MiB": lambda look: look.total / 1024,
                **{f"memory of {name}, MiB": lambda look, role=role: look.memory[role] / max(look.number[role], 1) / 1024 for name, role in ONE_OF.items()},
                "processes": lambda look: look.processes, "descriptors": lambda look: look.descriptors, "zombies": lambda look: look.zombies}
    lines = ["| | first | last |\n| --- | --- | --- |"]
    for label, measure in measures.items():
        values = [middle(measure(look) for row in rows for look in row.looks) for rows in (first, last)]
        lines.append(f"| {label} | {values[0]:.2f} | {values[1]:.2f} |")
    return "\n".join(lines)


ROLES = [("ledger",), ("runner",), ("parcelpostd",), SERVICES, ("receiver",)]


def resting(soak):
    """One row a rest, and the growth from the first one under load to the last."""
    lines = ["| | PSS of all, MiB | of that without a file behind | ledger | runner | listener | other services | spare receivers | processes | descriptors | zombies |",
             "|" + " --- |" * 11]
    for when, look in soak.rests:
        parts = " | ".join(f"{sum(look.own[role] for role in roles) / 1024:.2f}" for roles in ROLES)
        lines.append(f"| {when} | {look.total / 1024:.2f} | {look.own.total() / 1024:.2f} | {parts} | {look.processes} | {look.descriptors} | {look.zombies} |")
    first, last = soak.rests[1 if len(soak.rests) > 2 else 0][1], soak.rests[-1][1]
    lines.append(f"\nGrowth from {soak.rests[1 if len(soak.rests) > 2 else 0][0]} to the end: PSS {(last.total / first.total - 1) * 100:+.2f}%, without files "
                 f"{(last.own.total() / first.own.total() - 1) * 100:+.2f}%.")
    return "\n".join(lines)


def report(soak, machine):
    rows = [row for row in soak.rows if row.looks and row.seconds > 1]
    books, done = soak.books.counts, soak.world.done
    accepted = sum(row.counts["accepted"] for row in rows)
    operator = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in sorted(done.items()) if not name.startswith("log: "))
    errors = [f"- {count} times: `{name[5:]}`" for name, count in sorted(done.items()) if name.startswith("log: ")]
    refused = "; ".join(f"{what} {count}" for what, count in soak.refused.most_common(12))
    seconds = sum(row.seconds for row in rows)
    return "\n".join([
        "# Soak\n",
        f"Made by `make soak` ({seconds / 60:.0f} minutes; {machine}, shared with other work, the clients and the other servers among it): {soak.processes * soak.threads} clients at a time",
        "of every kind, servers that fail and return, an operator who changes things. `tests/lib/soak/` says what each does. Memory is the proportional set",
        "size of all processes of the server.\n",
        f"{accepted} messages accepted, {books['expected']} copies of them expected: {books['arrived']} arrived, {books['bounced']} bounced as they should,",
        f"{books['warned']} warnings of a delay; {books['uncertain']} copies were of clients that went behind the dot, and might come or not. {len(soak.faults)} faults:",
        "lost, doubled, changed, a reply that should not be. " + f"The queue was empty {soak.drained:.0f} s after the last client. "
        f"Clients waited for deliveries {soak.held_seconds / max(seconds, 1) * 100:.0f}% of the time.\n",
        f"The operator: {operator}. Old mails left to purge: {soak.world.old_rows()}.\n",
        f"Refused: {refused}.\n",
        HEAD, *(line_of(row, number) for number, row in enumerate(rows, 1)), "",
        "## At rest\n\nClients and operator pause until no agent is left, and no receiver but the spare ones.\n", resting(soak), "",
        f"## Under load\n\nMinutes {SETTLED + 1} to {SETTLED + COMPARED} and the last {COMPARED}, medians. What is in hand differs from look to look.\n", busy(soak), "",
        *(["Lines of the severity error in the log:\n", *errors, ""] if errors else []),
    ])
