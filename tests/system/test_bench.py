"""The harness of make bench works: with Parcelpost itself, and no figure is a result."""
import os
import subprocess
import sys

import pytest

from lib.instance import Instance, can_be_root
from lib.place import BUILD, ROOT, SANITIZED

BENCH = os.path.join(ROOT, "tests", "bench")
sys.path.insert(0, BENCH)
import house  # noqa: E402
import report  # noqa: E402
from cases import CASES  # noqa: E402

CASE = {case.key: case for case in CASES}


def got(rate, cpu=1):
    return {"rate": rate, "cpu": cpu, "median": 1, "p99": 1}


def results(key, **rates):
    """One round in which each server had this rate."""
    made = report.Results()
    for name, rate in rates.items():
        made.add(CASE[key], name.replace("_", " "), 0, got(rate))
    return made


@pytest.mark.skipif(SANITIZED, reason="the bench's client frees nothing at its end, which is a leak to a sanitizer")
@pytest.mark.skipif(not can_be_root() or not house.control_groups(), reason="only root counts processor time by control groups")
def test_the_bench_measures_parcelpost_accepting_within_tls_and_delivering():
    words = ["--only", "accept-4-50-reused", "submission", "smtp-1", "lmtp", "--servers", "parcelpost", "--rounds", "1", "--seconds", "0.1", "--most", "20"]
    done = subprocess.run([os.path.join(BENCH, "compare"), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    for title in ("accept 4 KiB, 50 reused", "submission, STARTTLS and AUTH, 10", "delivered by SMTP, one destination", "delivered by LMTP"):
        rows = [line for line in done.stdout.splitlines() if line.startswith(f"| {title} |")]
        assert len(rows) == 4 and all(float(row.split("|")[2].replace(",", "")) > 0 for row in rows), done.stdout + done.stderr


def test_a_ratio_is_to_the_better_of_those_that_flush():
    made = results("accept-4-50", postfix=100, exim=50, opensmtpd=1000, parcelpost_1=250)
    assert made.ratio("accept-4-50", "parcelpost 1", "rate") == 2.5


def test_a_goal_is_judged_by_the_case_that_is_farthest_from_it():
    made = results("accept-4-10", postfix=100, parcelpost_1=300)
    made.add(CASE["accept-4-50"], "postfix", 0, got(100))
    made.add(CASE["accept-4-50"], "parcelpost 1", 0, got(150))
    goal = next(goal for goal in report.GOALS if goal.text == "4 KiB over 10 and 50")
    assert goal.judged(made) == ("1.50 (accept 4 KiB, 50)", False)
    assert "| 4 KiB over 10 and 50 | ≥ 2 | 1.50 (accept 4 KiB, 50) | missed |" in report.text(made, 1, 60)


def test_the_load_generator_ends_at_the_first_refusal():
    with Instance() as server:
        words = ["--port", str(server.internal_port), "--messages", "1", "--from", "coco@example.test", "--domain", "example.test"]
        done = subprocess.run([os.path.join(BUILD, "bench", "client"), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "client: refused: 550" in done.stderr, done
