"""Real DNS servers with the same zones as our own: unbound (a resolver with local data) and nsd (authoritative)."""
import os
import shutil

from lib import ports
from lib.background import Background
from lib.waiting import wait_for


def record_lines(zone):
    """(name, type, data) in the master file's form; faults cannot be said there and are left out."""
    for name, records in zone.items():
        for record in records:
            for kind, data in record.items() if isinstance(record, dict) else ():
                if kind == "MX":
                    data = f"{data[0]} {data[1].rstrip('.')}."
                elif kind in ("PTR", "CNAME", "NS"):
                    data = data.rstrip(".") + "."
                elif kind == "TXT":
                    data = " ".join(f'"{data[at:at + 255]}"' for at in range(0, max(len(data), 1), 255))
                yield name.rstrip(".") + ".", kind, data


class NameServer:
    """Common to both: a folder, a port, a process."""

    def __init__(self, folder, zone):
        self.folder, self.zone = folder, zone
        self.port = ports.take(1)[0]
        self.background = None

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        os.makedirs(self.folder, exist_ok=True)
        log = os.path.join(self.folder, "log")
        self.background = Background(self.command(), log)
        wait_for(self.responds, type(self).__name__, explain=lambda: open(log, encoding="utf-8", errors="replace").read())
        return self

    def stop(self):
        if self.background and self.background.running():
            self.background.stop()
        ports.give_back([self.port])

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def responds(self):
        import dns.exception
        import dns.message
        import dns.query
        try:
            dns.query.udp(dns.message.make_query("mail.example.test", "A"), "127.0.0.1", timeout=1, port=self.port)
            return True
        except (dns.exception.DNSException, OSError):
            return False

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        return path


class Unbound(NameServer):
    """Answers from local data, and NXDOMAIN for everything else under the top-level names of the zone."""

    def command(self):
        tops = sorted({name.rstrip(".").rsplit(".", 1)[-1] for name in self.zone} | {"example", "test", "net", "arpa"})
        lines = [f'local-zone: "{top}." static' for top in tops]
        for name, kind, data in record_lines(self.zone):
            lines.append(f"local-data: '{name} {kind} {data}'")
        configuration = self.write("unbound.conf", "\n    ".join([
            "server:", f"interface: 127.0.0.1@{self.port}", "do-ip6: no", "do-daemonize: no", "use-syslog: no", 'chroot: ""',
            'username: ""', f'directory: "{self.folder}"', f'pidfile: "{self.folder}/pid"', "module-config: iterator",
            "access-control: 127.0.0.0/8 allow", "do-not-query-localhost: no", "num-threads: 1", *lines]) +
            "\nremote-control:\n    control-enable: no\n")
        return [shutil.which("unbound", path="/usr/sbin:/usr/bin"), "-d", "-c", configuration]


class Nsd(NameServer):
    """One authoritative zone "." that holds everything."""

    def command(self):
        master = self.write("zone", "\n".join([
            "$ORIGIN .", "$TTL 1", ". SOA ns.invalid. root.invalid. 1 3600 600 86400 1", ". NS ns.invalid.", "ns.invalid. A 127.0.0.1",
            *(f"{name} {kind} {data}" for name, kind, data in record_lines(self.zone))]) + "\n")
        configuration = self.write("nsd.conf", "\n    ".join([
            "server:", f"ip-address: 127.0.0.1@{self.port}", "do-ip6: no", 'username: ""', 'chroot: ""', f'zonesdir: "{self.folder}"',
            f'pidfile: "{self.folder}/pid"', 'database: ""', f'xfrdfile: "{self.folder}/xfrd"', f'zonelistfile: "{self.folder}/list"',
            f'cookie-secret-file: "{self.folder}/cookie"', f'logfile: "{self.folder}/nsd.log"', f'xfrdir: "{self.folder}"',
            "server-count: 1"]) +
            f'\nremote-control:\n    control-enable: no\nzone:\n    name: "."\n    zonefile: "{master}"\n')
        return [shutil.which("nsd", path="/usr/sbin:/usr/bin"), "-d", "-c", configuration]
