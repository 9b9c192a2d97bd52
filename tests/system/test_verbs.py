"""Every verb in every state, allowed and refused: tests/session/verbs.table, each cell on a connection of its own."""
import os
import re

import pytest

from lib.dialogue import matches
from lib.instance import Instance
from lib.place import ROOT
from lib.talker import SmtpTalker, fresh_source

TABLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "session", "verbs.table")
CELL = re.compile(r"(?P<reply>\d{3}[a-z]?)(?:>(?P<state>\w+)|(?P<closed>!))?")


class Role:
    """One [role] of the table: .states {name: (former, command, tls)} .probes {name: [(command, code)]} .cells [(command, state, cell)]"""

    def __init__(self, name):
        self.name, self.states, self.probes, self.columns, self.cells = name, {}, {}, [], []

    def take(self, where, line):
        if found := re.fullmatch(r"state (\w+) *=(?: (\w+): (.+?)( \(TLS\))?)?", line):
            self.states[found[1]] = found.group(2, 3, 4)
        elif found := re.fullmatch(r"probe (\w+): (.+)", line):
            self.probes[found[1]] = [item.rsplit(" ", 1) for item in found[2].split(", ")]
        else:
            command, bar, rest = line.partition("|")
            assert bar, f"{where}: want a state, a probe or a row"
            if command.strip() == "COMMAND":
                self.columns = rest.split()
                return
            cells = [CELL.fullmatch(cell) for cell in rest.split()]
            assert len(cells) == len(self.columns) and all(cells), f"{where}: want a cell for each of {' '.join(self.columns)}"
            self.cells += [(command.strip(), state, cell) for state, cell in zip(self.columns, cells)]


def read_table():
    roles, legend, elsewhere = {}, {}, {}
    role = None
    with open(TABLE, encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            line = line.rstrip("\n")
            if found := re.fullmatch(r"legend (\w+) +(.+)", line):
                legend[found[1]] = found[2]
            elif found := re.fullmatch(r"elsewhere (\w+) +(\S+)", line):
                elsewhere[found[1]] = found[2]
            elif found := re.fullmatch(r"\[(\w+)\]", line):
                role = roles[found[1]] = Role(found[1])
            elif line.strip() and not line.startswith("#"):
                role.take(f"{TABLE}:{number}", line)
    return roles, legend, elsewhere


ROLES, LEGEND, ELSEWHERE = read_table()


@pytest.fixture(scope="module", name="patient")
def server_that_locks_nobody_out():
    with Instance(lmtp=True, settings={"max_failed_msgs_per_period": 1000}) as made:
        yield made


def port_of(server, role):
    return server.lmtp_listener if role == "lmtp" else getattr(server, role + "_port")


def reach(client, role, state):
    """Brings a session into this state."""
    if role.states[state][0] is None:
        return
    former, command, tls = role.states[state]
    reach(client, role, former)
    client.command(command)
    if tls:
        client.handshake()


def check_reply(reply, wanted, values):
    pattern = LEGEND.get(wanted, wanted[:3] + " …")
    for name, value in values.items():
        pattern = pattern.replace("{" + name + "}", value)
    line = reply.raw[0][:3] + " " + reply.raw[0][4:]
    assert reply.code == int(wanted[:3]) and (matches(pattern, line) or pattern == f"{reply.code}…"), f"wanted {pattern}, got {reply}"


def play(server, role, command, state, cell):
    port = port_of(server, role.name)
    with SmtpTalker(port, source=fresh_source()) as client:
        reach(client, role, state)
        reply = client.command(command)
        check_reply(reply, cell["reply"], {"verb": command.split()[0], "server": "mail.example.test"})
        if cell["closed"]:
            client.expect_close()
            return
        if reply.code == 220:
            client.handshake()
        if reply.code == 354:
            assert client.command(".") == 250
        for said, code in role.probes[cell["state"] or state]:
            answer = client.command(said)
            assert answer.code == int(code), f"not in state {cell['state'] or state} afterwards: {said} gave {answer}\n{client.transcript()}"


@pytest.mark.parametrize("name, state", [(role.name, state) for role in ROLES.values() for state in role.columns])
def test_each_verb_in_each_state_gets_the_reply_of_the_table(patient, name, state):
    role, wrong = ROLES[name], []
    for command, where, cell in role.cells:
        if where == state:
            try:
                play(patient, role, command, state, cell)
            except AssertionError as problem:
                wrong.append(f"{name}, {state}: {command}: {problem}")
    assert not wrong, "\n".join(wrong)


def test_every_row_of_the_command_table_is_a_verb_of_some_port():
    """Also those that HELP hides: they stand in the table, or it says which tests have them."""
    with open(os.path.join(ROOT, "src", "receiver", "commands", "command.c"), encoding="utf-8") as stream:
        verbs = set(re.findall(r'\.verb = "(\w+)"', stream.read()))
    rows = {command.split()[0] for role in ROLES.values() for command, _, _ in role.cells}
    assert len(verbs) > 10 and not verbs - rows - set(ELSEWHERE), f"{TABLE} has no row for {', '.join(sorted(verbs - rows - set(ELSEWHERE)))}"
    assert all(os.path.exists(os.path.join(ROOT, path)) for path in ELSEWHERE.values()) and not set(ELSEWHERE) - verbs


@pytest.mark.parametrize("name", ROLES)
def test_every_verb_of_the_command_table_has_its_rows(patient, name):
    """HELP lists the rows of src/receiver/commands/command.c that this port speaks."""
    role = ROLES[name]
    with SmtpTalker(port_of(patient, name), source=fresh_source()) as client:
        spoken = set(client.expect(214, "HELP").lines[-1].split()[1:])
    rows = {command.split()[0] for command, _, _ in role.cells}
    assert spoken and not spoken - rows, f"[{name}] of {TABLE} has no row for {', '.join(sorted(spoken - rows))}"


@pytest.mark.parametrize("name", ROLES)
def test_every_state_is_reached_and_told_apart(patient, name):
    role = ROLES[name]
    assert set(role.columns) <= set(role.states) == set(role.probes)
    for state in role.states:
        with SmtpTalker(port_of(patient, name), source=fresh_source()) as client:
            reach(client, role, state)
            assert [client.command(said).code for said, _ in role.probes[state]] == [int(code) for _, code in role.probes[state]], state
