"""kill -9 of any process, or of all at once, loses no message that got its 250 (make crash does more of the same)."""
import os
import subprocess

import pytest

from lib.crash import Plan, play_round
from lib.faults import faults
from lib.place import BUILD, ROOT


def assert_sound(number, messages, **options):
    seed = int(os.environ.get("PARCELPOST_CRASH_SEED") or os.getpid())
    lines = []
    faults = play_round(number, messages, seed, local="dovecot" if number % 2 else "maildir", say=lines.append, **options)
    assert not faults, "\n".join([f"seed {seed}", *lines, *faults[:20]])


@faults("Processes", *[("kill -9 at random", name, "clients are cut off; started again, nothing is lost, and twice comes only what had no answer yet")
                       for name in ("parcelpostd", "all at once")])
@pytest.mark.alone
@pytest.mark.parametrize("number", range(1, 6))
def test_no_message_is_lost_when_processes_are_killed_at_random(number):
    assert_sound(number, 200)


@pytest.mark.alone
def test_rows_stay_true_and_nothing_is_lost_when_runner_and_agents_are_killed_100_times():
    """Local and remote mail, large and small, some recipients refused for good, some put off every other time."""
    assert_sound(7, 500, pause=0.25, plan=Plan(victims=["runner", "agent"], kills=100, mixed=True))


@faults("System calls", *[(fault, "each call of the ledger that changes a file, and delivery into a Maildir folder", "refused with 4xx, or tried again; what had its 250 is there, once; held is what an operator was told")
                          for fault in ("EIO", "ENOSPC", "EMFILE", "EINTR", "a short write")])
@pytest.mark.alone
@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "crash/matrix")), reason="not made for sanitizers, whose own calls it would count")
def test_no_message_is_lost_whatever_happens_at_a_system_call_of_the_ledger():
    """Every 29th call of each scenario, in each of nine ways (make crash does every call)."""
    done = subprocess.run([os.path.join(ROOT, "tests/crash/matrix/run"), "--every", "29"], capture_output=True, text=True, check=False,
                          env={**os.environ, "BUILD": BUILD})
    assert done.returncode == 0, done.stdout + done.stderr


def assert_matrix_holds(*words):
    done = subprocess.run([os.path.join(ROOT, "tests/crash/machine/run"), *words], capture_output=True, text=True, check=False,
                          env={**os.environ, "BUILD": BUILD})
    assert done.returncode == 0, done.stdout + done.stderr


@faults("Processes", *[("the power fails at one of its system calls", name, "at the next start what had its 250 is there, once; database and spool agree")
                       for name in ("receiver", "agent", "runner", "lookup", "ledger", "parcelpostd", "a run of parcelpost-queue with the daemon down")])
@pytest.mark.alone
@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "crash/control")), reason="not made for sanitizers, whose own calls it would count")
def test_no_message_is_lost_wherever_the_machine_stops_in_a_process_of_the_server():
    """Every 80th call of each process, and the power fails (make crash does every call, in three ways)."""
    assert_matrix_holds("--way", "forget", "--every", "80", "--first", "15")


@faults("System calls", *[("ENOMEM", name, "that process ends, or refuses with 4xx what it cannot do; nothing with its 250 is lost")
                          for name in ("receiver", "agent", "runner", "lookup", "ledger", "resolver", "signer", "connector")],
        ("ENOMEM", "parcelpostd, at SIGHUP", "it ends, or the configuration in force stays; started again, nothing with its 250 is lost"))
@pytest.mark.alone
@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "crash/control")), reason="not made for sanitizers, whose own calls it would count")
@pytest.mark.parametrize("first, roles", [(150, ("receiver", "agent", "runner", "lookup", "ledger")),
                                          (1, ("resolver", "connector", "signer", "parcelpostd at SIGHUP"))])
def test_no_message_is_lost_when_a_process_runs_out_of_memory(first, roles):
    """Some allocations of each (make crash does every 50th)."""
    assert_matrix_holds("--way", "enomem", "--every", "20", "--first", str(first), *[word for name in roles for word in ("--role", name)])
