"""Fixtures of the system tests. `server` is one instance that all tests of a worker share: they tell their contacts
apart by fresh_source() and their messages by a marker. A test that stops, kills or configures makes its own with
make_instance(...), which takes what Instance takes. Mark what must not run beside others with @pytest.mark.alone."""
import itertools
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import sanitizers  # noqa: E402
from lib.instance import Instance  # noqa: E402
from lib.talker import fresh_source  # noqa: E402

_marks = itertools.count(1)


def pytest_configure(config):
    config.addinivalue_line("markers", "xdist_group(name): tests of one group run in one worker")
    config.addinivalue_line("markers", "alone: runs by itself, after all others, because it measures or needs the whole machine")
    sanitizers.begin()


def pytest_unconfigure():
    sanitizers.end()


@pytest.fixture(autouse=True)
def sanitizer_reports():
    """A program that reported a bug fails the test that ran it, whatever the test itself looks at."""
    yield
    sanitizers.check()


@pytest.fixture(scope="session")
def shared_server():
    with Instance() as instance:
        yield instance


@pytest.fixture
def server(shared_server, request):
    """The worker's shared instance; a failing test shows the log from where it began."""
    before = len(shared_server.log_text())
    yield shared_server
    report = getattr(request.node, "report_call", None)
    if report and report.failed:
        report.sections.append(("server log", shared_server.log_text()[before:][-8000:]))
    shared_server.check_log(after=before)


@pytest.fixture
def make_instance(request):
    made = []

    def make(*, start=True, **options):
        instance = Instance(**options)
        made.append(instance)
        return instance.start() if start else instance

    yield make
    report = getattr(request.node, "report_call", None)
    failed = report is None or report.failed
    problems = []
    for instance in made:
        if failed and report:
            report.sections.append((f"log of {instance.directory}", instance.log_text()[-8000:]))
        try:
            instance.stop(check=not failed)
        except AssertionError as problem:
            problems.append(str(problem))
        instance.remove()
    assert not problems, "\n".join(problems)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.report_call = outcome.get_result()


@pytest.fixture
def source():
    """A client address of this test's own."""
    return fresh_source()


@pytest.fixture
def marker(request):
    """Text that no other message of this run holds."""
    return f"{request.node.name}-{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}-{os.getpid()}-{next(_marks)}"
