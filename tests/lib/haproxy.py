"""A real HAProxy in front of a server's port: one listening port for each version of the PROXY protocol."""
import os
import socket

from lib import ports
from lib.background import Background
from lib.waiting import wait_for

CONFIGURATION = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen version1
    bind 127.0.0.1:{v1}
    server behind 127.0.0.1:{port} send-proxy
listen version2
    bind 127.0.0.1:{v2}
    server behind 127.0.0.1:{port} send-proxy-v2
"""


class Haproxy:
    """.v1 and .v2: the ports to connect to. port: where its connections go."""

    def __init__(self, directory, port):
        self.directory, self.port = directory, port
        self.v1, self.v2 = ports.take(2)
        self.background = None

    def __enter__(self):
        path = os.path.join(self.directory, "haproxy.cfg")
        with open(path, "w", encoding="ascii") as stream:
            stream.write(CONFIGURATION.format(v1=self.v1, v2=self.v2, port=self.port))
        self.background = Background(["/usr/sbin/haproxy", "-db", "-f", path], os.path.join(self.directory, "haproxy.log"))
        for port in (self.v1, self.v2):
            wait_for(lambda port=port: self.listens(port), f"HAProxy's port {port}")
        return self

    def __exit__(self, *_):
        self.background.stop()
        ports.give_back([self.v1, self.v2])

    def listens(self, port):
        """True once it accepts; fails when it has ended."""
        assert self.background.running(), open(os.path.join(self.directory, "haproxy.log"), encoding="utf-8").read()
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            return True
        except OSError:
            return False
