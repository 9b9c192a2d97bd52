"""Rows of tests/FAULTS.md, the table of faults: what goes wrong, where, and what comes of it.

A test that has a table of its own gets one run a row, in the argument `row`:

    ROWS = [Fault("silence", "after MAIL", "421 in receiver_timeout", act=silent, after="MAIL"), …]

    @matrix("Clients", ROWS)
    def test_a_client_that_misbehaves(row): …  row.act, row.after

and one that is a single row says so:

    @fault("Database and spool", "no space left", "the journal", "452 4.3.1 to the client; what had its 250 arrives")
    def test_a_full_disk_is_a_452(…): …

`tests/lint/faults.py --write` makes the page from them, and `make lint` checks that it is what they say."""
import re

import pytest

SECTIONS = ("Clients", "Servers", "Milters and policy servers", "DNS", "Processes", "Clock", "Certificates", "Database and spool", "System calls")

# What a test in C or a dialogue script shows: (section, fault, place, outcome, "tests/unit/test_x.c::name").
ELSEWHERE = ()


class Fault:
    """One row; what its test needs beside the words are attributes."""

    def __init__(self, fault, place, outcome, **needs):
        self.fault, self.place, self.outcome = fault, place, outcome
        vars(self).update(needs)

    @property
    def name(self):
        return re.sub(r"\W+", "_", f"{self.fault} {self.place}").strip("_")

    def __repr__(self):
        return self.name


def note(test, section, rows):
    assert section in SECTIONS, section
    test.fault_rows = [(section, row) for row in rows] + getattr(test, "fault_rows", [])


def matrix(section, rows):
    """Decorates a test that takes `row`: one run for each of them."""
    names = [row.name for row in rows]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)

    def decorate(test):
        note(test, section, rows)
        return pytest.mark.parametrize("row", rows, ids=names)(test)
    return decorate


def faults(section, *rows):
    """Decorates a test that is these rows of the page, each (what, place, outcome)."""
    def decorate(test):
        note(test, section, [Fault(*row) for row in rows])
        return test
    return decorate


def fault(section, what, place, outcome):
    """Decorates a test that is one row of the page. May stand several times."""
    return faults(section, (what, place, outcome))
