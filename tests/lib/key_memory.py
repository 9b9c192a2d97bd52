"""Looking for a private key in the memory of processes: secrets_of(key file) gives the bytes that only its holder has, in
the forms in which files and OpenSSL have them, and found(pid, secrets) the names of those that a process has anywhere."""
import os
import re
import subprocess

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


def found(pid, secrets):
    """The names of the secrets that are anywhere in what the process has mapped; None when it has ended."""
    there = set()
    try:
        with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as stream:
            regions = [line.split()[:2] for line in stream if not line.rstrip().endswith(("[vvar]", "[vsyscall]"))]
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for place, rights in regions:
                begin, end = (int(number, 16) for number in place.split("-"))
                if not rights.startswith("r"):
                    continue
                try:
                    data = os.pread(memory.fileno(), end - begin, begin)
                except OSError:
                    continue  # a part of a file that is no longer there
                there |= {name for name, value in secrets.items() if value in data}
    except (FileNotFoundError, ProcessLookupError):
        return None
    return there
