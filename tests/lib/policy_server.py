"""A policy server (Postfix's SMTPD_POLICY_README): keeps every request, answers what the test says.

    with PolicyServer(lambda request: "DUNNO") as policy:
        … policy.endpoint … policy.requests[-1]["protocol_state"] … policy.connections

answer(request) gives an action; bytes are sent as they are; None closes the connection without a word; ... says nothing, ever; a
function gets the connection, which ends after it. Called for each request with its attributes as a dictionary. path: a Unix socket instead of a port.
"""
import os
import socket
import threading


class PolicyServer:
    def __init__(self, answer=lambda request: "DUNNO", path=None, close_after=False):
        self.answer, self.path, self.close_after = answer, path, close_after
        self.requests, self.raw, self.connections, self.clients = [], [], 0, set()
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
            os.chmod(path, 0o666)
            self.socket.listen(64)
            self.endpoint = path
        else:
            self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
            self.endpoint = "127.0.0.1:%d" % self.socket.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for one in [self.socket, *self.clients]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
        if self.path:
            os.unlink(self.path)

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            self.clients.add(client)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client, client.makefile("rb") as lines:
                while self.one(client, lines):
                    pass
        except OSError:
            pass
        finally:
            self.clients.discard(client)

    def one(self, client, lines):
        raw = []
        for line in lines:
            raw.append(line)
            if line == b"\n":
                break
        else:
            return False
        self.raw.append(b"".join(raw))
        request = {}
        for line in raw[:-1]:
            name, _, value = line.decode("utf-8", "replace").rstrip("\n").partition("=")
            request[name] = value
        self.requests.append(request)
        action = self.answer(request)
        if action is None:
            return False
        if callable(action):
            action(client)
            return False
        if action is ...:
            return bool(client.recv(1)) and False
        client.sendall(action if isinstance(action, bytes) else f"action={action}\n\n".encode())
        return not self.close_after
