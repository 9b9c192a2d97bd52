"""A small policy program for `|command`: rejects whom its first argument names as sender, and tells who it is.

    policy "mine" { endpoint = "|/usr/bin/python3 /path/policy_program.py bad@example.net FILE" }

FILE gets a line with its pid, its user, its arguments and its environment. --stubborn: it ignores the end of its input and SIGTERM.
"""
import json
import os
import signal
import sys

descriptors = sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}"))
refused, path, options = sys.argv[1], sys.argv[2], sys.argv[3:]
with open(path, "a", encoding="utf-8") as stream:
    print(json.dumps({"pid": os.getpid(), "uid": os.geteuid(), "arguments": sys.argv[1:], "environment": dict(os.environ), "cwd": os.getcwd(),
                      "descriptors": descriptors}), file=stream)
print("here I am", file=sys.stderr, flush=True)
attributes = {}
for line in sys.stdin:
    name, _, value = line.rstrip("\n").partition("=")
    if name:
        attributes[name] = value
        continue
    print("action=REJECT not from you" if attributes.get("sender") == refused else "action=DUNNO", end="\n\n", flush=True)
    attributes = {}
if "--stubborn" in options:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()
