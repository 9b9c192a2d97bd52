"""The client's side of SASL mechanisms over an SmtpTalker, one step at a time, so that each step can be made wrong."""
import base64
import hashlib
import hmac
import itertools

_serial = itertools.count(1)


def encoded(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def decoded(reply):
    """What a 334 says."""
    assert reply.code == 334, reply.text
    return base64.b64decode(reply.lines[0]).decode()


def said(user, password):
    return encoded(f"\0{user}\0{password}")


def plain(client, user, password):
    return client.command("AUTH PLAIN " + said(user, password))


def plain_in_turn(client, user, password):
    client.expect(334, "AUTH PLAIN")
    return client.command(said(user, password))


def login(client, user, password):
    client.expect(334, "AUTH LOGIN")
    client.expect(334, encoded(user))
    return client.command(encoded(password))


def keyed(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


class Scram:
    """One SCRAM-SHA-256 exchange (RFC 5802): first(), then final(), then accept()."""

    def __init__(self, client, user="coco@example.test", password="my-password", header="n,,", binding=b"", plus=False):
        self.client, self.user, self.password, self.header, self.binding = client, user, password, header, binding
        self.mechanism = "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256"
        self.nonce = f"nonce{next(_serial)}of-a-test"
        self.server_first = self.signature = None

    def bare(self):
        return f"n={self.user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"

    def first(self, initial=True):
        """The reply to the client's first message."""
        message = encoded(self.header + self.bare())
        if initial:
            return self.client.command(f"AUTH {self.mechanism} {message}")
        self.client.expect(334, f"AUTH {self.mechanism}")
        return self.client.command(message)

    def facts(self, reply):
        self.server_first = decoded(reply)
        return dict(part.split("=", 1) for part in self.server_first.split(","))

    def final(self, reply, nonce=None):
        """The reply to the proof."""
        facts = self.facts(reply)
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(facts["s"]), int(facts["i"]))
        key = keyed(salted, b"Client Key")
        bare = f"c={encoded(self.header.encode() + self.binding)},r={nonce or facts['r']}"
        words = f"{self.bare()},{self.server_first},{bare}".encode()
        proof = bytes(a ^ b for a, b in zip(key, keyed(hashlib.sha256(key).digest(), words)))
        self.signature = encoded(keyed(keyed(salted, b"Server Key"), words))
        return self.client.command(encoded(f"{bare},p={encoded(proof)}"))

    def accept(self, reply):
        """The reply to the empty message behind the server's signature, which is checked."""
        assert decoded(reply) == "v=" + self.signature
        return self.client.command("=")

    def login(self, initial=True):
        """The whole exchange; the last reply."""
        reply = self.first(initial)
        if reply.code == 334:
            reply = self.final(reply)
        return self.accept(reply) if reply.code == 334 else reply


def end_point_binding(client):
    """tls-server-end-point (RFC 5929) of a certificate that is signed with SHA-256."""
    return hashlib.sha256(client.socket.getpeercert(binary_form=True)).digest()
