"""What AddressSanitizer and UndefinedBehaviorSanitizer report of the programs under test, so that no test overlooks it.

A server of an Instance writes reports into its log: most of its processes can open no file. Programs that a test starts by itself write
them into files of a folder of this run, into which conftest.py looks after each test (UndefinedBehaviorSanitizer knows no files). What
neither shows (a daemon has /dev/null) the exit status tells, which the listener logs and tests of programs look at."""
import os
import re
import shutil
import tempfile

from lib.place import SANITIZED

BUG = 70  # base/exit_status.h
REPORT = re.compile(rf"^.*(?:AddressSanitizer|LeakSanitizer|runtime error:|Sanitizer:|with status {BUG} ).*$", re.M)
_folders = []


def options(address):
    """Each of the two has a library of its own, with options of its own."""
    return {"ASAN_OPTIONS": f"{address}:exitcode={BUG}", "UBSAN_OPTIONS": f"print_stacktrace=1:exitcode={BUG}"}


LEAKS = os.geteuid() != 0  # those that root's server starts are somebody else's, without /proc: they cannot look for any
SERVER = options(f"detect_leaks={LEAKS:d}:strict_string_checks=1:abort_on_error=0") if SANITIZED else {}


def begin():
    """From now on programs report into files. Whoever they run as may make them."""
    if SANITIZED:
        folder = tempfile.mkdtemp(prefix="parcelpost-reports-")
        os.chmod(folder, 0o1777)
        _folders.append(folder)
        os.environ.update(options(f"log_path={folder}/report"))


def check():
    """Fails when a program has reported something since the last time."""
    texts = []
    for folder in _folders:
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as stream:
                texts.append(stream.read())
            os.remove(os.path.join(folder, name))
    assert not texts, "a bug in a program:\n" + "\n".join(texts)[:20000]


def end():
    while _folders:
        shutil.rmtree(_folders.pop(), ignore_errors=True)
