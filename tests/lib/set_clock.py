"""The clock of an instance's machine, which a test may set (tests/shim/clock.c): Instance(preload="clock"), and before its start SetClock(server)."""
import os
import struct


class SetClock:
    def __init__(self, server):
        self.path = server.environment["CLOCK_OFFSET"] = server.path("offset")
        os.makedirs(server.directory, exist_ok=True)
        self.set(0)

    def set(self, seconds, slept=0):
        """So many seconds from the true time. What is written in place is what every process has mapped."""
        with open(self.path, "r+b" if os.path.exists(self.path) else "w+b") as stream:
            stream.write(struct.pack("=qq", seconds, slept))

    def offset(self):
        with open(self.path, "rb") as stream:
            return sum(struct.unpack("=qq", stream.read()))
