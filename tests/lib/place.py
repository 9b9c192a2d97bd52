"""Where things are: the checkout, the build, and the programs under test."""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD") or "build")
SHARED = os.path.join(os.path.dirname(ROOT), "shared")  # test data of others; tests that read it skip without it
SANITIZED = bool(os.environ.get("SANITIZE"))


def program(name):
    return os.path.join(BUILD, "bin", name)


def shim(name):
    """A library to preload, from tests/shim."""
    return os.path.join(BUILD, "shim", name + ".so")
