"""rspamd as a milter: its proxy worker, which scans by itself, with a configuration of its own and without a network. Scores
come from the GTUBE patterns alone: GTUBE is rejected, GTUBE_HEADER gets a field X-Spam, GTUBE_SUBJECT a new subject."""
import os
import socket

from lib import ports
from lib.background import Background
from lib.waiting import wait_for

PROGRAM = "/usr/bin/rspamd"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
GTUBE_HEADER, GTUBE_SUBJECT = "Y" + GTUBE[1:], "Z" + GTUBE[1:]
CONFIGURATION = """
options {
    pidfile = "%(directory)s/rspamd.pid"; tempdir = "%(directory)s"; control_socket = "%(directory)s/rspamd.control";
    cache_file = "%(directory)s/rspamd.cache"; url_tld = "%(directory)s/tld"; filters = "";
    enable_test_patterns = true; dns { nameserver = ["127.0.0.1:%(dns)d"]; timeout = 1s; retransmits = 1; }
}
logging { type = "console"; level = "info"; }
actions { reject = 15; rewrite_subject = 8; add_header = 6; subject = "[spam] %%s"; }
worker "rspamd_proxy" {
    bind_socket = "127.0.0.1:%(port)d"; milter = yes; timeout = 60s; count = 1;
    upstream "local" { default = yes; self_scan = yes; }
}
"""


class Rspamd:
    def __init__(self, directory, dns):
        self.directory, self.dns = directory, dns
        self.port, = ports.take(1)
        self.background = None

    @property
    def block(self):
        return f'milter "rspamd" {{ endpoint = "127.0.0.1:{self.port}" }}\n'

    def start(self):
        os.makedirs(self.directory, exist_ok=True)
        os.chmod(self.directory, 0o777)
        with open(os.path.join(self.directory, "tld"), "w", encoding="ascii") as stream:
            stream.write("com\nnet\ntest\n")  # the list of all takes half a minute to compile
        path = os.path.join(self.directory, "rspamd.conf")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(CONFIGURATION % {"directory": self.directory, "port": self.port, "dns": self.dns})
        user = ["-u", "nobody", "-g", "nogroup"] if os.geteuid() == 0 else ["-i"]
        self.background = Background([PROGRAM, "-c", path, "-f", *user], self.log)
        wait_for(self.listens, "rspamd's port", explain=self.log_tail)
        return self

    def listens(self):
        assert self.background.running(), self.log_tail()
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        except OSError:
            return False

    @property
    def log(self):
        return os.path.join(self.directory, "rspamd.log")

    def log_tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as stream:
            return stream.read()[-4000:]

    def stop(self):
        if self.background:
            self.background.stop()
        ports.give_back([self.port])
