"""Where things are: the checkout, the build, and the programs under test."""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD") or "build")
SHARED = os.path.join(os.path.dirname(ROOT), "shared")  # test data of others; tests that read it skip without it
SANITIZED = bool(os.environ.get("SANITIZE"))


def program(name):
    return os.path.join(BUILD, "bin", name)


def shim(name):
    """What LD_PRELOAD must be for a library from tests/shim; a sanitizer's own library wants to be the first."""
    own = os.path.join(BUILD, "shim", name + ".so")
    if not SANITIZED:
        return own
    compiler = os.environ.get("CC") or "gcc"
    sanitizer = subprocess.run([compiler, "-print-file-name=libasan.so"], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    return f"{os.path.realpath(sanitizer)}:{own}"
