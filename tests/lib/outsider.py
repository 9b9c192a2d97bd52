"""Clients with any address, by a PROXY header: strangers of whole networks, IPv4 and IPv6, from one machine."""
import socket

from lib import ports
from lib.instance import Instance
from lib.talker import SmtpTalker


class OutsideInstance(Instance):
    """An instance with one more mx port, where a client says its address; nothing else connects to it."""

    def __init__(self, extra="", **options):
        self.outside_port, = ports.take(1)
        listen = f'listen "127.0.0.1:{self.outside_port}" {{ role = mx\n proxy = yes\n proxy_networks = {{"127.0.0.0/8"}} }}\n'
        super().__init__(extra=listen + extra, **options)

    def stop(self, check=True):
        try:
            super().stop(check)
        finally:
            ports.give_back([self.outside_port])

    def outsider(self, ip, **options):
        return Outsider(self, ip, **options)


class Outsider(SmtpTalker):
    def __init__(self, server, ip, greeting=True, says=b""):
        super().__init__(server.outside_port, greeting=False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        family, local = ("TCP6", "2001:db8:ffff::1") if ":" in ip else ("TCP4", "198.51.100.1")
        self.send(f"PROXY {family} {ip} {local} 40000 25\r\n".encode() + says)
        self.greeting = self.reply() if greeting else None

    def offer(self, sender="someone@example.net", recipient="coco@example.test"):
        """The answer to the first of EHLO, MAIL and RCPT that is refused, or to RCPT."""
        reply = None
        for line in ("EHLO client.example.net", f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"):
            reply = self.command(line)
            if reply.code >= 400:
                break
        return reply
