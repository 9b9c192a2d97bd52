"""kill -9 of any process, or of all at once, loses no message that got its 250 (make crash does more of the same)."""
import os
import subprocess

import pytest

from lib.crash import Plan, play_round
from lib.place import BUILD, ROOT


def assert_sound(number, messages, **options):
    seed = int(os.environ.get("PARCELPOST_CRASH_SEED") or os.getpid())
    lines = []
    faults = play_round(number, messages, seed, local="dovecot" if number % 2 else "maildir", say=lines.append, **options)
    assert not faults, "\n".join([f"seed {seed}", *lines, *faults[:20]])


@pytest.mark.alone
@pytest.mark.parametrize("number", range(1, 6))
def test_no_message_is_lost_when_processes_are_killed_at_random(number):
    assert_sound(number, 200)


@pytest.mark.alone
def test_rows_stay_true_and_nothing_is_lost_when_runner_and_agents_are_killed_100_times():
    """Local and remote mail, large and small, some recipients refused for good, some put off every other time."""
    assert_sound(7, 500, pause=0.25, plan=Plan(victims=["runner", "agent"], kills=100, mixed=True))


@pytest.mark.alone
@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "crash/matrix")), reason="not made for sanitizers, whose own calls it would count")
def test_no_message_is_lost_whatever_happens_at_a_system_call_of_the_ledger():
    """Every 29th call of each scenario, in each of nine ways (make crash does every call)."""
    done = subprocess.run([os.path.join(ROOT, "tests/crash/matrix/run"), "--every", "29"], capture_output=True, text=True, check=False,
                          env={**os.environ, "BUILD": BUILD})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.alone
@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "crash/control")), reason="not made for sanitizers, whose own calls it would count")
def test_no_message_is_lost_wherever_the_machine_stops_in_a_process_of_the_server():
    """Every 80th call of each process, and the power fails (make crash does every call, in three ways)."""
    done = subprocess.run([os.path.join(ROOT, "tests/crash/machine/run"), "--way", "forget", "--every", "80", "--first", "15"], capture_output=True, text=True, check=False,
                          env={**os.environ, "BUILD": BUILD})
    assert done.returncode == 0, done.stdout + done.stderr
