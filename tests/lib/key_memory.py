"""Looking for a private key in the memory of processes: secrets_of(key file) gives the bytes that only its holder has, in
the forms in which files and OpenSSL have them, pieces_of(password) likewise, and found(pid, secrets) the names of those that a
process has anywhere."""
import base64
import os
import re
import subprocess

import pytest

from lib.place import SANITIZED

FIELDS = {"privateExponent": "exponent", "prime1": "prime", "prime2": "other prime", "priv": "scalar"}


def _numbers(text):
    """{field: bytes} of what `openssl pkey -text` prints as lines of hexadecimal pairs."""
    rows = re.findall(r"^(\w+):.*\n((?: +[0-9a-f:]+\n)+)", text, re.M)
    return {name: bytes.fromhex(re.sub(r"[\s:]", "", digits)).lstrip(b"\0") for name, digits in rows}


def secrets_of(path, form="PEM"):
    """{name: bytes}. A number lies in memory as files have it, or the other way round, as OpenSSL computes with it."""
    def run(*words):
        return subprocess.run(["openssl", "pkey", "-inform", form, "-in", path, *words], stdout=subprocess.PIPE, check=True).stdout
    secrets = {}
    for field, number in _numbers(run("-noout", "-text").decode()).items():
        if field in FIELDS:
            secrets[FIELDS[field]], secrets[FIELDS[field] + " reversed"] = number, number[::-1]
    with open(path, "rb") as stream:
        lines = stream.read().split(b"\n") if form == "PEM" else []
    secrets.update({f"line {number} of the file": line for number, line in enumerate(lines) if len(line) == 64})
    assert len(secrets) >= 2 and all(len(value) >= 28 for value in secrets.values()), secrets.keys()
    return secrets


PIECE = 8  # bytes: as many are no accident


def _swapped(data, size):
    """As words of this many bytes, the highest first, lie in memory: digests are computed of them."""
    return b"".join(data[at:at + size][::-1] for at in range(0, len(data), size))


def pieces_of(password):
    """{name: bytes} of what is left when a part of a password is: as it was said, in base64 at any place of a message, as words,
    and as the key of an HMAC."""
    pieces = {}
    for place in range(0, len(password) - PIECE + 1, 4):
        part = password[place:place + PIECE]
        pieces[f"bytes from {place} on"] = part
        for size in (4, 8):
            pieces[f"words of {size} from {place} on"] = _swapped(part, size)
        for mask in (0x36, 0x5c):
            masked = bytes(byte ^ mask for byte in part)
            pieces[f"HMAC {mask:x} from {place} on"], pieces[f"HMAC {mask:x}, words, from {place} on"] = masked, _swapped(masked, 4)
    for before in range(3):
        text = base64.b64encode(b"-" * before + password)[4:-4]
        pieces.update({f"base64 behind {before}, from {place} on": text[place:place + PIECE] for place in range(0, len(text) - PIECE + 1, 4)})
    return pieces


def _written(data):
    """Without the pages that nobody has written to."""
    return b"".join(page for page in (data[at:at + 4096] for at in range(0, len(data), 4096)) if page.count(0) < len(page))


def places(pid, secrets, rights="r"):
    """{(name, where)} of the secrets that are anywhere in what the process has mapped with these rights; where: "[stack]",
    "[heap]", a file, or "" for what it has mapped itself. None when the process has ended."""
    if SANITIZED:
        pytest.skip("a sanitizer maps terabytes")
    there = set()
    try:
        with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as stream:
            regions = [(line.split(None, 5) + [""])[:6] for line in stream if not line.rstrip().endswith(("[vvar]", "[vsyscall]"))]
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for place, allowed, _, _, _, where in regions:
                begin, end = (int(number, 16) for number in place.split("-"))
                if not allowed.startswith(rights):
                    continue
                try:
                    data = os.pread(memory.fileno(), end - begin, begin)
                except OSError:
                    continue  # a part of a file that is no longer there
                data = _written(data)
                there |= {(name, where.strip()) for name, value in secrets.items() if value in data}
    except (FileNotFoundError, ProcessLookupError):
        return None
    return there


def found(pid, secrets):
    """The names of the secrets that are anywhere in what the process has mapped; None when it has ended."""
    there = places(pid, secrets)
    return there if there is None else {name for name, _ in there}


def left_behind(server, secrets):
    """{process: [(secret, where)]} of all processes of a server in whose own memory a secret is."""
    rows = [(pid, name, places(pid, secrets, "rw")) for pid, name, _ in server.processes()]
    assert {"ledger", "lookup", "receiver"} <= {name for _, name, there in rows if there is not None}
    return {f"{name} {pid}": sorted(there) for pid, name, there in rows if there}
