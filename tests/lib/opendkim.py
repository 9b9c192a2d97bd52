"""OpenDKIM as a milter: signs what our own clients send (mode s), verifies what others send (mode v), on a Unix socket.
Keys of signers are given as {"selector._domainkey.domain": record}; it asks no name server."""
import os
import shutil
import socket

from lib.background import Background
from lib.waiting import wait_for

PROGRAM = "/usr/sbin/opendkim"


class OpenDkim:
    def __init__(self, directory, name, keys, sign=None):
        """sign: (domain, selector, private key file), or None."""
        self.directory, self.name, self.keys, self.sign = directory, name, keys, sign
        self.socket, self.log = os.path.join(directory, name + ".sock"), os.path.join(directory, name + ".log")
        self.background = None

    def block(self, **keys):
        lines = "".join(f" {key} = {value}\n" for key, value in keys.items())
        return f'milter "{self.name}" {{ endpoint = "{self.socket}"\n{lines} }}\n'

    def configuration(self):
        lines = ["Background no", "AutoRestart no", f"Socket local:{self.socket}", f"Mode {'s' if self.sign else 'v'}", "UMask 000",
                 "Canonicalization relaxed/simple", "OversignHeaders From", f"TestPublicKeys {self.directory}/{self.name}.keys",
                 "AuthservID mail.example.test", "AlwaysAddARHeader yes", "RequireSafeKeys no", "Syslog no", "InternalHosts 127.0.0.1"]
        if self.sign:
            key = os.path.join(self.directory, self.name + ".pem")
            shutil.copyfile(self.sign[2], key)
            os.chmod(key, 0o600)
            lines += [f"Domain {self.sign[0]}", f"Selector {self.sign[1]}", f"KeyFile {key}"]
        return "\n".join([*lines, ""])

    def start(self):
        os.makedirs(self.directory, exist_ok=True)
        with open(os.path.join(self.directory, self.name + ".keys"), "w", encoding="ascii") as stream:
            stream.writelines(f"{name} {record}\n" for name, record in self.keys.items())
        path = os.path.join(self.directory, self.name + ".conf")
        with open(path, "w", encoding="ascii") as stream:
            stream.write(self.configuration())
        self.background = Background([PROGRAM, "-f", "-x", path], self.log)
        wait_for(self.listens, f"the socket of {self.name}", explain=self.log_tail)
        return self

    def listens(self):
        assert self.background.running(), self.log_tail()
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.socket) == 0

    def log_tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as stream:
            return stream.read()[-4000:]

    def stop(self):
        if self.background:
            self.background.stop()
