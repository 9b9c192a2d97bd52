"""Collects the dialogue scripts: each NAME.smtp is one test. Scripts with the same @config share an instance; each
plays from a loopback address of its own, so that the violations of one never lock out another."""
import atexit

import pytest

from lib import ports
from lib.dialogue import DialogueFailure, Player, Script
from lib.instance import Instance
from lib.talker import fresh_source

KEPT = 3  # instances that a worker keeps running at a time
_running = {}


def instance_for(settings):
    key = tuple(sorted(settings.items()))
    if key in _running:
        _running[key] = _running.pop(key)  # the last used is the last to go
        return _running[key]
    while len(_running) >= KEPT:
        stop(next(iter(_running)))
    _running[key] = start(**settings)
    return _running[key]


def start(listen=None, **settings):
    """listen: the keys of a listen block for a port of its own."""
    own_port = ports.take(1)[0] if listen else None
    server = Instance(settings=settings, lmtp=True, extra=f'listen "127.0.0.1:{own_port}" {{ {listen} }}' if listen else "")
    server.own_port = own_port
    return server.start()


def stop(key, check=True):
    server = _running.pop(key)
    try:
        server.stop(check)
    finally:
        server.remove()
        ports.give_back([server.own_port] if server.own_port else [])


@atexit.register
def stop_what_is_left():
    for key in list(_running):
        stop(key, check=False)


def pytest_sessionfinish(session):
    for key in list(_running):
        try:
            stop(key)
        except AssertionError as problem:
            session.exitstatus = 1
            session.config.get_terminal_writer().line(f"after the dialogues with {dict(key)}: {problem}")
            raise


def pytest_collect_file(parent, file_path):
    if file_path.suffix == ".smtp":
        return DialogueFile.from_parent(parent, path=file_path)
    return None


class DialogueFile(pytest.File):
    def collect(self):
        script = Script(str(self.path))
        item = DialogueItem.from_parent(self, name=self.path.stem, script=script)
        if script.settings:
            item.add_marker(pytest.mark.xdist_group("dialogue " + " ".join(f"{k}={v}" for k, v in sorted(script.settings.items()))))
        yield item


class DialogueItem(pytest.Item):
    def __init__(self, *, script, **options):
        super().__init__(**options)
        self.script = script

    def runtest(self):
        server = instance_for(self.script.settings)
        Player(self.script, server, fresh_source()).play()
        server.check_log()

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, DialogueFailure):
            return f"{self.script.shows.strip()}\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, 0, f"dialogue {self.name}"
