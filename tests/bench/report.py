"""What `make bench` prints: figures of each case, ratios to the best durable peer, and each goal with its figure."""
import datetime
import json
import os
import platform
import statistics
from typing import NamedTuple

import picture
from memory import COUNTS

FOLDER = os.path.dirname(os.path.abspath(__file__))
KEPT = 3  # runs
OURS = ("parcelpost 1", "parcelpost 100")
RIVALS = ("postfix", "exim")  # those that flush what they have accepted
SERVERS = ("postfix", "exim", "opensmtpd", *OURS)
MEASURES = {"rate": "Messages (handshakes) a second", "cpu": "Processor time, seconds for 1,000", "median": "Latency, median, ms",
            "p99": "Latency, 99th percentile, ms"}


class Results:
    """figures[case key][server name][round] is what cases.measure gave."""

    def __init__(self):
        self.titles, self.figures, self.failures = {}, {}, []
        self.memory = {}  # {server name: {False: what memory.idle gave, True: the same with TLS}}
        self.full = self.tenfold = None

    def add(self, case, server, turn, got):
        self.titles[case.key] = case.title
        self.figures.setdefault(case.key, {}).setdefault(server, {})[turn] = got

    def failed(self, case, server, turn):
        self.failures.append(f"{case.title}: {server} failed in round {turn + 1}")

    def values(self, key, server, measure):
        return [got[measure] for got in self.figures.get(key, {}).get(server, {}).values()]

    def ratio(self, key, server, measure, rivals=RIVALS):
        """The median over the rounds of this server's figure to the best rival's in the same round; None where one has none."""
        ratios = []
        for turn, got in self.figures.get(key, {}).get(server, {}).items():
            others = [self.figures[key][rival][turn][measure] for rival in rivals if turn in self.figures[key].get(rival, {})]
            if others:
                best = max(others) if measure == "rate" else min(others)
                ratios.append(got[measure] / best)
        return statistics.median(ratios) if ratios else None


class Goal(NamedTuple):
    text: str
    cases: tuple
    server: str
    measure: str
    limit: float
    rivals: tuple = RIVALS

    def judged(self, results):
        """(figure, met) or None: the case farthest from its goal."""
        ratios = [(results.ratio(key, self.server, self.measure, self.rivals), key) for key in self.cases]
        ratios = [one for one in ratios if one[0] is not None]
        if not ratios:
            return None
        high = self.measure == "rate"
        ratio, key = min(ratios) if high else max(ratios)
        met = ratio >= self.limit if high else ratio <= self.limit
        return f"{ratio:.2f} ({results.titles[key]})" if len(self.cases) > 1 else f"{ratio:.2f}", met


PLAIN = ("accept-4-1", "accept-4-10", "accept-4-50", "accept-64-1", "accept-64-10", "accept-64-50", "smtp-1", "smtp-50", "lmtp")
REUSED = ("accept-4-50-reused", "accept-64-50-reused")
ACCEPT_EACH = PLAIN[:6]
GOALS = (
    Goal("4 KiB over one connection, receiver_sessions = 1", ("accept-4-1",), OURS[0], "rate", 1.7),
    Goal("4 KiB over 10 and 50", ("accept-4-10", "accept-4-50"), OURS[0], "rate", 2),
    Goal("4 KiB over one connection, receiver_sessions = 100", ("accept-4-1",), OURS[1], "rate", 2),
    Goal("4 KiB over 10 and 50, receiver_sessions = 100", ("accept-4-10", "accept-4-50"), OURS[1], "rate", 3.5),
    Goal("4 KiB over 50 reused", ("accept-4-50-reused",), OURS[0], "rate", 5),
    Goal("64 KiB over 50", ("accept-64-50",), OURS[0], "rate", 2),
    Goal("64 KiB over 50 reused", ("accept-64-50-reused",), OURS[0], "rate", 3.5),
    Goal("slow disk, 50", ("slow",), OURS[0], "rate", 2),
    Goal("delivered by SMTP to one destination, to Postfix", ("smtp-1",), OURS[0], "rate", 3, ("postfix",)),
    Goal("delivered by SMTP to 50 domains, to Postfix", ("smtp-50",), OURS[0], "rate", 3, ("postfix",)),
    Goal("delivered by LMTP, to Postfix", ("lmtp",), OURS[0], "rate", 3, ("postfix",)),
    Goal("processor time, every plain case", PLAIN, OURS[0], "cpu", 0.5),
    Goal("processor time, reused", REUSED, OURS[0], "cpu", 0.25),
    Goal("processor time, receiver_sessions = 100", ACCEPT_EACH, OURS[1], "cpu", 0.25),
    Goal("processor time with TLS or AUTH", ("submission", "tls-rsa", "tls-p256"), OURS[0], "cpu", 1),
    Goal("latency, median", (*PLAIN, *REUSED), OURS[0], "median", 0.7),
    Goal("latency, 99th percentile", (*PLAIN, *REUSED), OURS[0], "p99", 0.7),
    Goal("TLS handshakes, RSA-2048, to Postfix", ("tls-rsa",), OURS[0], "rate", 1.2, ("postfix",)),
    Goal("TLS handshakes, P-256, to Postfix", ("tls-p256",), OURS[0], "rate", 1.2, ("postfix",)),
    Goal("submission with STARTTLS and AUTH", ("submission",), OURS[0], "rate", 1.5),
)


def figure(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(values, spread):
    if not values:
        return "–"
    middle = figure(statistics.median(values))
    return f"{middle} ({figure(min(values))}–{figure(max(values))})" if spread and len(values) > 1 else middle


def table(results, measure):
    here = [name for name in SERVERS if any(name in by for by in results.figures.values())]
    ours = [name for name in OURS if name in here]
    lines = [f"| {MEASURES[measure]} | " + " | ".join(here) + " | " + " | ".join(f"{name}: ratio" for name in ours) + " |",
             "| --- |" + " --- |" * (len(here) + len(ours))]
    for key, title in results.titles.items():
        ratios = [results.ratio(key, name, measure) for name in ours]
        cells = [cell(results.values(key, name, measure), measure == "rate") for name in here]
        cells += ["–" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict(value, limit, most=True):
    return "met" if (value <= limit if most else value >= limit) else "missed"


def goal_rows(results):
    """(goal, wanted, measured, met or missed) of each goal that was measured."""
    rows = []
    for goal in GOALS:
        got = goal.judged(results)
        sign = "≥" if goal.measure == "rate" else "≤"
        if got:
            rows.append((goal.text, f"{sign} {goal.limit}", got[0], "met" if got[1] else "missed"))
    for name in OURS:
        for tls, limit in ((False, 120), (True, 200)):
            got = results.memory.get(name, {}).get(tls)
            if got:
                most = max(got[count][0] for count in COUNTS)
                rows.append((f"KiB per idle connection{', TLS' if tls else ''}, {name}", f"≤ {limit}", f"{most:.0f}", verdict(most, limit)))
        if name in results.memory:
            whole = results.memory[name][False][0] / 1024
            rows.append((f"MiB of the whole idle server, {name}", "< 16", f"{whole:.1f}", verdict(whole, 16)))
    if results.full is not None:
        rows.append(("accept rate with a million rows, to empty tables", "≥ 0.9", f"{results.full:.2f}", verdict(results.full, 0.9, most=False)))
    for what, times in (results.tenfold or {}).items():
        rows.append((f"processor time of ten times the {what}", "≤ 11", f"{times:.1f}", verdict(times, 11)))
    return rows


def goals(results):
    return "\n".join(["| Goal (ratio to the best durable peer) | wanted | measured | |", "| --- | --- | --- | --- |",
                      *("| " + " | ".join(row) + " |" for row in goal_rows(results))])


def memory_table(results):
    lines = ["| KiB per idle connection: PSS (loss of MemAvailable) | idle server, MiB | "
             + " | ".join(f"{count:,}{kind}" for kind in ("", ", TLS") for count in COUNTS) + " |", "| --- |" + " --- |" * (1 + 2 * len(COUNTS))]
    for name, got in results.memory.items():
        cells = [f"{got[tls][count][0]:.0f} ({got[tls][count][1]:.0f})" if tls in got else "–" for tls in (False, True) for count in COUNTS]
        lines.append(f"| {name} | {got[False][0] / 1024:.1f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as stream:
        model = next((line.partition(":")[2].strip() for line in stream if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, load average {os.getloadavg()[2]:.1f}"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def text(results, rounds, seconds):
    parts = [f"{now()}, {machine()}; {rounds} rounds, {seconds / 60:.0f} minutes. Medians, in brackets the least and the most. A ratio is "
             "the median over the rounds of Parcelpost's figure to that of the better of Postfix and Exim in the same round; parcelpost N: "
             "receiver_sessions = N.",
             *(table(results, measure) for measure in MEASURES if results.figures)]
    if results.memory:
        parts.append(memory_table(results))
    parts.append(goals(results))
    if results.failures:
        parts.append("\n".join(results.failures))
    return "\n\n".join(parts)


def remember(rows):
    """The last runs, this one included: [{"when", "load", "goals": {goal: [wanted, measured, met or missed]}}], kept in results.json."""
    path = os.path.join(FOLDER, "results.json")
    runs = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            runs = json.load(stream)
    runs.append({"when": now(), "load": round(os.getloadavg()[2], 1), "goals": {row[0]: row[1:] for row in rows}})
    runs = runs[-KEPT:]
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(runs, stream, indent=1, ensure_ascii=False)
        stream.write("\n")
    return runs


def runs_table(runs):
    lines = ["| The last runs | wanted | " + " | ".join(f"{run['when']}, load {run['load']}" for run in runs) + " |", "| --- |" + " --- |" * (1 + len(runs))]
    for name, (wanted, *_) in runs[-1]["goals"].items():
        cells = [f"{run['goals'][name][1]}, {run['goals'][name][2]}" if name in run["goals"] else "–" for run in runs]
        lines.append(f"| {name} | {wanted} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(figures, results):
    """RESULTS.md and results.svg: this run, and what the ones before said of each goal."""
    wanted = {}
    for goal in GOALS:
        for key in goal.cases if goal.measure == "rate" else ():
            wanted.setdefault(key, []).append((goal.server, goal.limit))
    drawing = picture.svg(results.titles, lambda key, name: results.ratio(key, name, "rate"), wanted)
    parts = ["# What `make bench` said last", figures, "![rates as ratios to the best durable peer](results.svg)",
             runs_table(remember(goal_rows(results))), ""]
    for name, content in (("RESULTS.md", "\n\n".join(parts)), ("results.svg", drawing)):
        with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as stream:
            stream.write(content)
