"""A real postgrey (Debian's): asks strangers to come back after `delay` seconds."""
import os
import pwd
import socket

from lib import ports
from lib.background import Background
from lib.waiting import wait_for


class Postgrey:
    def __init__(self, folder, delay=1):
        self.folder, self.delay, self.port = folder, delay, ports.take()[0]
        self.endpoint = f"127.0.0.1:{self.port}"

    def __enter__(self):
        os.makedirs(self.folder)
        os.chmod(os.path.dirname(self.folder), 0o755)
        user = pwd.getpwuid(65534 if os.geteuid() == 0 else os.geteuid())
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.server = Background(["/usr/sbin/postgrey", f"--inet={self.endpoint}", f"--delay={self.delay}", f"--dbdir={self.folder}",
                                  f"--user={user.pw_name}", "--group=nogroup" if user.pw_uid == 65534 else f"--group={os.getegid()}",
                                  "--whitelist-clients=/dev/null", "--whitelist-recipients=/dev/null"], os.path.join(self.folder, "log"))
        wait_for(self.answers, "postgrey", explain=self.log_text)
        return self

    def __exit__(self, *_):
        self.server.stop()
        ports.give_back([self.port])

    def answers(self):
        assert self.server.running(), self.log_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def log_text(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as stream:
            return stream.read()
