#!/usr/bin/python3
"""tests/FAULTS.md is what the rows of the fault tests say (tests/lib/faults.py). `tests/lint/faults.py --write` makes it anew;
what stands above its first section stays as it is. Called by tests/lint/run."""
import glob
import importlib
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join("tests", "FAULTS.md")
sys.dont_write_bytecode = True


def rows_of_tests(root):
    """(section, fault, place, outcome, test) of every row."""
    sys.path[:0] = [os.path.join(root, "tests"), os.path.join(root, "tests", "system")]
    faults = importlib.import_module("lib.faults")
    for path in sorted(glob.glob(os.path.join(root, "tests", "system", "test_*.py"))):
        with open(path, encoding="utf-8") as stream:
            if "from lib.faults import" not in stream.read():
                continue
        module = importlib.import_module(os.path.basename(path)[:-3])
        for name, test in vars(module).items():
            for section, row in getattr(test, "fault_rows", ()) if name.startswith("test_") else ():
                yield section, row.fault, row.place, row.outcome, f"{os.path.relpath(path, root)}::{name}"
    yield from faults.ELSEWHERE


def page(head, rows):
    """The page's text; under each section the rows of one test stand together."""
    parts = [head.rstrip("\n") + "\n"]
    for section in importlib.import_module("lib.faults").SECTIONS:
        chosen = [row for row in rows if row[0] == section]
        if not chosen:
            continue
        parts.append(f"\n## {section}\n\n{len(chosen)} rows.\n")
        for test in dict.fromkeys(row[-1] for row in chosen):
            parts.append(f"\n`{test}`\n\n| fault | place | what comes of it |\n| --- | --- | --- |\n")
            parts += ["| " + " | ".join(word.replace("|", "\\|") for word in row[1:4]) + " |\n" for row in chosen if row[-1] == test]
    return "".join(parts)


def made(root):
    """(the page as it is, the page as it should be)."""
    with open(os.path.join(root, PAGE), encoding="utf-8") as stream:
        text = stream.read()
    return text, page(text.partition("\n## ")[0], list(rows_of_tests(root)))


def check_faults(root):
    """Findings as text."""
    there, wanted = made(root)
    if there != wanted:
        yield f"{PAGE}: is not what the tests say; run tests/lint/faults.py --write"


if __name__ == "__main__":
    if "--write" in sys.argv:
        _, text = made(ROOT)
        with open(os.path.join(ROOT, PAGE), "w", encoding="utf-8") as stream:
            stream.write(text)
    else:
        problems = list(check_faults(ROOT))
        print("\n".join(problems), end="\n" if problems else "")
        sys.exit(1 if problems else 0)
