"""kill -9 of any process, or of all at once, loses no message that got its 250 (make crash does more of the same)."""
import os

import pytest

from lib.crash import play_round


@pytest.mark.alone
@pytest.mark.parametrize("number", range(1, 6))
def test_no_message_is_lost_when_processes_are_killed_at_random(number):
    seed = int(os.environ.get("PARCELPOST_CRASH_SEED") or os.getpid())
    lines = []
    faults = play_round(number, 200, seed, local="dovecot" if number % 2 else "maildir", say=lines.append)
    assert not faults, "\n".join([f"seed {seed}", *lines, *faults[:20]])
