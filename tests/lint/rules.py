"""What the source must look like: one function a rule, each yields (file, line, kind, subject, message).

Called by tests/lint/run. The rules read the text itself, after clang-format has given it one shape; they know no
compiler. Exceptions are lines of tests/lint/exceptions.
"""
import os
import re

# Which folder of src/ may include which: everything of a lower layer, and itself. src/README.md has the same table.
LAYERS = {
    "programs": 8,
    "listener": 7, "nursery": 7, "receiver": 7, "connector": 7, "ledger": 7, "lookup": 7, "resolver": 7, "signer": 7, "runner": 7, "agent": 7,
    "control": 7,
    "ipc": 6, "orders": 6,
    "spool": 5,
    "store": 4, "config": 4, "dkim": 4,
    "tls": 3, "dns": 3, "smtp": 3, "milter": 3, "spf": 3,
    "mail": 2,
    "base": 1,
}
ONLY = {"ipc": {"base", "mail"}}  # less than their layer would allow
# A third-party library's headers are included in one folder (OpenSSL's: tls/, and dkim/ for making keys).
LIBRARIES = {
    r"openssl/.*": "tls dkim", r"sqlite3\.h": "store", r"xxhash\.h": "spool", r"ares.*\.h": "dns", r"(opendkim/)?dkim\.h": "dkim",
    r"crypt\.h": "lookup", r"confuse\.h": "config", r"seccomp\.h": "base", r"cap-ng\.h": "base", r"idn2\.h": "mail", r"libpsl\.h": "spf", r"stringprep\.h": "mail",
}
PRIVATE = r"[^/]*/[a-z_]*_private\.h|store/(statements|known)\.h"  # only the folder itself includes these
BANNED = ("strcpy strcat sprintf vsprintf strncpy strncat strtok atoi atol atoll atof gets system popen alloca tmpnam mktemp "
          "sqlite3_exec").split()
FUNCTION_MAXIMUM = 60
FILE_MAXIMUM = 500


def read(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def blank(match):
    """A comment or literal, with its line breaks kept so that line numbers stay right."""
    text = match.group(0)
    return ('""' if text[0] == '"' else " ") + "\n" * text.count("\n")


def without_comments(text):
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def head(path, text):
    """A file opens with its licence and says what it is."""
    end = text.find("*/")
    if not text.startswith("/* SPDX-License-Identifier: MIT\n"):
        yield path, 1, "head", path, "does not begin with '/* SPDX-License-Identifier: MIT'"
    elif not 1 <= text[:end].count("\n") <= 16:
        yield path, 1, "head", path, "the first comment should say in a few lines what the file is"


def length(path, text):
    lines = text.count("\n")
    if lines >= FILE_MAXIMUM:
        yield path, lines, "file", path, f"{lines} lines; at most {FILE_MAXIMUM - 1}"


def functions(text):
    """(name, first line, last line) of each function of clang-formatted text."""
    start = name = None
    for number, line in enumerate(without_comments(text).split("\n"), 1):
        if start is None and re.match(r"[A-Za-z_]", line) and not line.endswith(";") and "=" not in line.split("(")[0]:
            found = re.search(r"(\w+)\(", re.sub(r"__attribute__\(\(.*?\)\)+", "", line))
            start, name = (number, found.group(1)) if found else (None, None)
        if start is not None:
            if line == "}":
                yield name, start, number
                start = None
            elif line.endswith(";") and not line.startswith((" ", "\t")):
                start = None  # it was a declaration
            elif line.endswith(";") and number - start < 8 and "{" not in "".join(text.split("\n")[start - 1:number]):
                start = None


def function_length(path, text):
    for name, first, last in functions(text):
        if last - first + 1 > FUNCTION_MAXIMUM:
            yield path, first, "function", f"{path} {name}", f"{name}: {last - first + 1} lines; at most {FUNCTION_MAXIMUM}"


def no_conditionals_in_functions(path, text):
    lines = text.split("\n")
    for name, first, last in functions(text):
        for number in range(first, last):
            if re.match(r"\s*#\s*(if|else|elif)", lines[number - 1]):
                yield path, number, "conditional", f"{path} {name}", f"#if inside {name}"


def banned(path, text):
    for number, line in enumerate(without_comments(text).split("\n"), 1):
        for found in re.finditer(r"\b(" + "|".join(BANNED) + r")\s*\(", line):
            name = found.group(1)
            yield path, number, "banned", f"{path} {name}", f"{name}() is not used here"


def layers(path, text):
    folder = path.split("/")[1]
    if folder not in LAYERS:
        yield path, 1, "layer", path, f"src/{folder} has no layer; add it to tests/lint/rules.py and src/README.md"
        return
    for number, line in enumerate(text.split("\n"), 1):
        found = re.match(r'#\s*include\s*"([^"]+)"', line)
        if not found:
            continue
        header = found.group(1)
        other = header.split("/")[0] if "/" in header else folder
        if header == "sql_embedded.h" or other == folder:
            continue
        if other not in LAYERS:
            yield path, number, "include", f"{path} {header}", f'"{header}" is not of this source tree'
        elif re.fullmatch(PRIVATE, header):
            yield path, number, "include", f"{path} {header}", f'"{header}" is private to src/{other}/'
        elif LAYERS[other] >= LAYERS[folder] or other not in ONLY.get(folder, {other}):
            yield path, number, "include", f"{path} {header}", f"{folder}/ (layer {LAYERS[folder]}) must not include {other}/"


def libraries(path, text):
    folder = path.split("/")[1]
    for number, line in enumerate(text.split("\n"), 1):
        found = re.match(r"#\s*include\s*<([^>]+)>", line)
        for pattern, home in LIBRARIES.items():
            if found and re.fullmatch(pattern, found.group(1)) and folder not in home.split():
                header = found.group(1)
                yield path, number, "header", f"{header} {folder}", f"<{header}> is included in src/{home.replace(' ', ' and src/')} only"


SOURCE_RULES = (head, length, function_length, no_conditionals_in_functions, banned, layers, libraries)
TEST_RULES = (head, length, function_length, banned)


def c_files(root, *folders):
    for folder in folders:
        for where, _, names in sorted(os.walk(os.path.join(root, folder))):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(where, name), root)


def check_sources(root):
    for path in c_files(root, "src"):
        text = read(os.path.join(root, path))
        for rule in SOURCE_RULES:
            yield from rule(path, text)
    for path in c_files(root, "tests"):
        text = read(os.path.join(root, path))
        for rule in TEST_RULES:
            yield from rule(path, text)


def read_exceptions(path):
    """{(kind, subject): line number} of tests/lint/exceptions."""
    rows = {}
    for number, line in enumerate(read(path).split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            what, colon, reason = line.partition(": ")
            kind, _, subject = what.partition(" ")
            if not colon or not reason.strip() or not subject:
                raise SystemExit(f"{path}:{number}: want 'KIND SUBJECT: reason'")
            rows[kind, subject] = number
    return rows
