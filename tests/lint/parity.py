"""tests/PARITY names a test for every behaviour, and each of them exists, as those of SECURITY.md do; src/README.md names only paths that exist;
every mutant's patch applies and names tests that exist."""
import glob
import os
import re
import subprocess


def test_exists(root, name):
    path, _, part = name.partition("::")
    if not os.path.isfile(os.path.join(root, path)):
        return False
    if not part:
        return path.endswith(".smtp")
    with open(os.path.join(root, path), encoding="utf-8") as stream:
        text = stream.read()
    if path.endswith(".py"):
        return re.search(rf"^def {re.escape(part)}\(", text, re.M) is not None
    return re.search(rf"\b{re.escape(part)}\b", text) is not None


def check_parity(root):
    """Findings as text."""
    with open(os.path.join(root, "tests", "PARITY"), encoding="utf-8") as stream:
        lines = stream.read().split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        behaviour, bar, tests = line.rpartition(" | ")
        if not bar or not tests.strip():
            yield f"tests/PARITY:{number}: want 'behaviour | test'"
        for name in re.split(r",\s*", tests.strip()):
            if name == "?":
                yield f"tests/PARITY:{number}: no test yet: {behaviour}"
            elif not test_exists(root, name):
                yield f"tests/PARITY:{number}: there is no test {name}"


def check_source_page(root):
    """Paths in backquotes of src/README.md's tables that look like files of this project."""
    with open(os.path.join(root, "src", "README.md"), encoding="utf-8") as stream:
        text = stream.read()
    for path in re.findall(r"`((?:src|tests|sql|man|etc|tools)/[\w./-]+\.\w+)`", text):
        if not re.search(r"\bx\b|NNNN|_x\.", path) and not os.path.exists(os.path.join(root, path)):
            yield f"src/README.md: there is no {path}"


def check_security_page(root):
    """Tests in backquotes of SECURITY.md."""
    with open(os.path.join(root, "SECURITY.md"), encoding="utf-8") as stream:
        lines = stream.read().split("\n")
    for number, line in enumerate(lines, 1):
        for name in re.findall(r"`(tests/(?:unit|system|session)/[\w./:]+)`", line):
            if not test_exists(root, name):
                yield f"SECURITY.md:{number}: there is no test {name}"


def check_mutants(root):
    for patch in sorted(glob.glob(os.path.join(root, "tests", "mutants", "*.patch"))):
        name = os.path.relpath(patch, root)
        if subprocess.run(["patch", "-p1", "--dry-run", "--force", "-s", "-i", patch], cwd=root, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode:
            yield f"{name}: does not apply any more"
        text = patch[:-len("patch")] + "txt"
        if not os.path.exists(text):
            yield f"{name}: there is no {os.path.basename(text)}"
            continue
        with open(text, encoding="utf-8") as stream:
            _, *tests = [line.strip() for line in stream if line.strip()]
        for test in tests or ["(none)"]:
            if not test_exists(root, re.sub(r"\[.*\]$", "", test)) and not os.path.isfile(os.path.join(root, test)):
                yield f"{os.path.relpath(text, root)}: there is no test {test}"
