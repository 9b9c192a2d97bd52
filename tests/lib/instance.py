"""A complete running server under one folder, on free loopback ports: what `tests/instance` and every system test use.

    with Instance(settings={"prohibited_seconds": 2}) as server:
        with server.talk(source=fresh_source()) as client: …
        server.sql("select …")

settings are configuration keys; extra is appended to the configuration as it stands; zone adds DNS names; local is
"maildir", "dovecot" or "HOST:PORT" (LMTP); lmtp: it listens for LMTP too, on the
port lmtp_listener and on the Unix socket lmtp_socket; dns and route are "HOST:PORT". root=False drops to nobody first.
"""
import contextlib
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile

from lib import background, certificates, ports, sanitizers
from lib.background import Background
from lib.dovecot import Dovecot
from lib.place import ROOT, program, shim
from lib.talker import SmtpTalker
from lib.waiting import start_time, wait_for
from lib.zone import default_zone

DOMAIN = "example.test"
SERVER_NAME = "mail.example.test"
USERS = ("coco@example.test", "mike@example.test")
PASSWORD = "my-password"
NOBODY = 65534
PORT_ROLES = ("mx", "internal", "submission")
READY_SOURCE = "127.255.255.254"  # who looks whether the ports answer: a contact of its own
TROUBLE = re.compile(sanitizers.REPORT.pattern + r"|^.*(?: panic |SIGSYS|SIGSEGV|SIGABRT).*$", re.M)


def literal(value):
    """A value as the configuration file wants it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(literal(item) for item in value) + "}"
    if value.startswith("{") or re.fullmatch(r"-?\d+", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def text_of(path):
    """A log's text; none when there is no such file."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()
    return ""


def can_be_root():
    """True as root on a machine where the system users exist or can be made."""
    return os.geteuid() == 0 and subprocess.run([os.path.join(ROOT, "tools", "make-users")], check=False,
                                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


class Instance:
    def __init__(self, directory=None, settings=None, local="maildir", dns=None, route=None, root=None, extra="", zone=None,
                 environment=None, preload=None, sendmail_socket=True, lmtp=False):
        self.own_directory = directory is None
        self.directory = os.path.abspath(directory or tempfile.mkdtemp(prefix="parcelpost-"))
        self.settings, self.local, self.dns, self.route = dict(settings or {}), local, dns, route
        self.root = can_be_root() if root is None else root and can_be_root()
        self.drop = os.geteuid() == 0 and not self.root
        self.extra, self.zone, self.sendmail_socket = extra, {**default_zone(), **(zone or {})}, sendmail_socket
        self.environment = dict(environment or {})
        if preload:
            self.environment["LD_PRELOAD"] = shim(preload)
        self.ports = ports.take(6 if lmtp else 5)
        self.mx_port, self.internal_port, self.submission_port, self.lmtp_port, self.dns_port = self.ports[:5]
        self.lmtp_listener, self.lmtp_socket = (self.ports[5], self.path("lmtp.sock")) if lmtp else (None, None)
        self.imap_port = None
        self.daemon = self.name_server = self.dovecot = None

    # Where things lie.

    def path(self, *names):
        return os.path.join(self.directory, *names)

    @property
    def configuration(self):
        return self.path("parcelpost.conf")

    @property
    def database(self):
        return self.path("state", "parcelpost.db")

    @property
    def queue(self):
        return self.path("queue")

    @property
    def log(self):
        return self.path("log")

    @property
    def pid(self):
        return self.daemon.pid

    # Up.

    def start(self):
        self.prepare()
        return self.launch()

    __enter__ = start

    def __exit__(self, kind, *_):
        self.stop(check=kind is None)
        self.remove()

    def prepare_files(self):
        """Folders, keys, configuration: what a start that is to fail needs."""
        for name in ("", "state", "mail"):
            os.makedirs(self.path(name), exist_ok=True)
            os.chmod(self.path(name), 0o755)
        certificates.certificate(self.directory)
        _, record = certificates.dkim_key(self.directory)
        self.zone[f"test._domainkey.{DOMAIN}"] = [{"TXT": record}]
        self.write_zone()
        self.write_configuration()
        self.give_away()

    def prepare(self):
        """Everything but the server itself: files, DNS, Dovecot, users."""
        if self.local == "dovecot":
            self.dovecot = Dovecot(self.path("dovecot"), USERS, PASSWORD).start()
            self.lmtp_port, self.imap_port = self.dovecot.lmtp_port, self.dovecot.imap_port
        elif ":" in self.local:
            self.lmtp_port = int(self.local.rpartition(":")[2])
        self.prepare_files()
        self.start_name_server()
        for user in USERS:
            self.add_user(user)
        self.give_away()

    def give_away(self):
        """As root: the folders to those who must write them."""
        if self.drop:
            for where, folders, files in os.walk(self.directory):
                for name in ["", *folders, *files]:
                    if not where.startswith(self.path("dovecot")):
                        os.chown(os.path.join(where, name), NOBODY, NOBODY)
        elif self.root:
            user = pwd.getpwnam("parcelpost")
            os.chown(self.path("state"), user.pw_uid, user.pw_gid)
            os.chown(self.path("mail"), NOBODY, NOBODY)

    def add_user(self, address, password=PASSWORD):
        self.command("user", "add", address, "--stdin", input=password + "\n")

    def start_name_server(self):
        if self.dns is None and self.name_server is None:
            self.name_server = Background(
                ["/usr/bin/python3", os.path.join(ROOT, "tests", "lib", "dns_server.py"), "--listen", f"127.0.0.1:{self.dns_port}",
                 "--zone", self.path("zone.json"), "--log", self.path("dns.log")], self.path("dns.output"))

    def write_zone(self, changes=None):
        """What the instance's own DNS server answers from now on."""
        self.zone.update(changes or {})
        with open(self.path("zone.json.new"), "w", encoding="utf-8") as stream:
            json.dump(self.zone, stream)
        os.rename(self.path("zone.json.new"), self.path("zone.json"))

    def default_settings(self):
        local = {"local_transport": "maildir", "maildir": self.path("mail", "%d", "%u")}
        if self.local != "maildir":
            local = {"local_transport": "lmtp", "lmtp": f"127.0.0.1:{self.lmtp_port}" if self.local == "dovecot" else self.local}
        user = {"maildir_user": "nobody"} if self.root else {}
        return {
            "server_title": "Example", "server_name": SERVER_NAME, "postmaster": USERS[0], "local_domains": [DOMAIN],
            "trusted_networks": ["127.0.0.0/8", "::1"], "dns_servers": [self.dns or f"127.0.0.1:{self.dns_port}"],
            "database": self.database, "users_database": self.path("state", "users.db"), "queue": self.queue,
            "certificate": self.path("certificate.pem"), "private_key": self.path("private_key.pem"),
            "dkim_private_key_file": self.path("dkim.pem"), "dkim_selector": "test",
            "chroot_directory": self.path("empty"), "rules_directory": self.path("rules"), "control_directory": self.path("run"),
            "lock_file_path": self.path("run", "lock"), "pid_path": self.path("run", "pid"), "log_path_and_file": "-",
            "remote_smtp_port": 25, "auth_failure_delay_ms": 0, **local, **user,
        }

    def write_configuration(self):
        settings = {**self.default_settings(), **self.settings}
        lines = [f"{key} = {literal(value)}" for key, value in settings.items() if value is not None]
        for role, port in zip(PORT_ROLES, self.ports):
            lines.append(f'listen "127.0.0.1:{port}" {{ role = {role} }}')
        if self.sendmail_socket:
            lines.append(f'listen "{self.path("sendmail.sock")}" {{ role = sendmail\n mode = 0666 }}')
        if self.lmtp_listener:
            lines.append(f'listen "127.0.0.1:{self.lmtp_listener}" {{ role = lmtp }}')
            lines.append(f'listen "{self.lmtp_socket}" {{ role = lmtp\n mode = 0660 }}')
        if self.route:
            lines.append(f'route "*" {{ host = "{self.route}" }}')
        with open(self.configuration, "w", encoding="utf-8") as stream:
            stream.write("\n".join([*lines, self.extra, ""]))

    def wrapped(self, *words):
        """The command, under what PARCELPOST_WRAPPER says (valgrind); {dir} in it is the instance's folder."""
        wrapper = os.environ.get("PARCELPOST_WRAPPER", "").replace("{dir}", self.directory)
        return [*shlex.split(wrapper), *words]

    def process_environment(self):
        return {**sanitizers.SERVER, **self.environment}

    def spawn(self):
        """The server, without waiting for its ports."""
        self.daemon = Background(self.wrapped(program("parcelpostd"), "-c", self.configuration, "-f"), self.log,
                                 self.process_environment(), NOBODY if self.drop else None, self.directory)
        return self

    def launch(self):
        self.spawn()
        try:
            for port in self.ports[:3]:
                wait_for(lambda port=port: self.answers(port), f"port {port}", explain=self.log_tail)
        except AssertionError:
            self.stop(check=False)
            raise
        return self

    def answers(self, port):
        """True when the port greets; fails at once when the server has ended."""
        assert self.daemon.running(), f"the server ended with status {self.daemon.process.returncode}\n{self.log_tail()}"
        try:
            with socket.create_connection(("127.0.0.1", port), 5, source_address=(READY_SOURCE, 0)) as probe:
                probe.settimeout(5)
                greeting = probe.recv(200)
                probe.sendall(b"QUIT\r\n")
                return greeting[:3] in (b"220", b"421") and bool(probe.recv(200))
        except OSError:
            return False

    # Down.

    def halt(self, number=signal.SIGTERM):
        """Stops the server alone; gives its exit status."""
        return self.daemon.stop(number) if self.daemon else None

    def stop(self, check=True):
        """Stops everything. check: the server ended well, and nothing in its log tells of a bug; a sanitizer's report never goes unseen."""
        status = None
        try:
            if self.daemon and (self.daemon.running() or check):
                was_running = self.daemon.running()
                status = self.halt() if was_running else 0
        finally:
            if self.name_server:
                self.name_server.stop()
            if self.dovecot:
                self.dovecot.stop()
            ports.give_back(self.ports)
        if check:
            assert status in (None, 0), f"the server ended with status {status}\n{self.log_tail()}"
        self.check_log(TROUBLE if check else sanitizers.REPORT)

    def remove(self):
        if self.own_directory and not os.environ.get("PARCELPOST_TEST_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)

    def check_log(self, trouble=TROUBLE, after=0):
        elsewhere = self.settings.get("log_path_and_file")
        found = trouble.findall(self.log_text()[after:] + (text_of(elsewhere) if elsewhere else ""))
        assert not found, "a bug in the server:\n" + "\n".join(found[:10]) + "\n" + self.log_tail()
        for name in os.listdir(self.directory) if os.path.isdir(self.directory) else ():
            if name.startswith("valgrind."):
                with open(self.path(name), encoding="utf-8", errors="replace") as stream:
                    text = stream.read()
                assert "MEMCHECK" not in text, text[text.index("MEMCHECK"):][:5000]

    def restart(self):
        self.halt()
        return self.launch()

    def reload(self):
        """SIGHUP, and waits until the log says how it went."""
        before = len(self.log_text())
        self.daemon.send(signal.SIGHUP)
        self.wait_log("the configuration was read again|the configuration in force stays", before)  # ledger and runner say so of themselves, at their time

    # Its processes.

    def processes(self, name=None):
        """(pid, name, parent) of the server's processes; only those of this name."""
        return [row for row in background.session_members(self.daemon.pid) if name in (None, row[1])]

    def kill(self, name):
        """SIGKILL to every process of this name; gives their pids once they are gone."""
        pids = [pid for pid, _, _ in self.processes(name)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has just ended by itself
        wait_for(lambda: all(start_time(pid) is None for pid in pids), f"the end of every {name}")
        return pids

    def kill_all(self):
        """SIGKILL to all in one call: they are one process group."""
        os.killpg(self.daemon.pid, signal.SIGKILL)
        background.kill_session(self.daemon.pid)
        self.daemon.process.wait()

    # Asking and looking.

    def talk(self, role="mx", source=None, **options):
        port = {"mx": self.mx_port, "internal": self.internal_port, "submission": self.submission_port, "lmtp": self.lmtp_listener}[role]
        return SmtpTalker(port, source=source, **options)

    def command(self, *words, input="", check=True, name="parcelpost"):
        """Runs one of the project's programs with this configuration; gives its output."""
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if self.drop else {}
        done = subprocess.run([program(name), "-c", self.configuration, *words], input=input.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, cwd=self.directory, env={**os.environ, **self.process_environment()},
                              timeout=120, **user)
        output = done.stdout.decode("utf-8", "replace")
        assert not sanitizers.REPORT.search(output) and done.returncode != sanitizers.BUG, f"a bug in {name} {' '.join(words)}:\n{output}"
        assert not check or done.returncode == 0, f"{name} {' '.join(words)} ended with {done.returncode}:\n{output}"
        return output if check else (done.returncode, output)

    def settle(self):
        """Waits until the rows of all that was answered are written, which a running ledger does for whoever connects."""
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) as operator, contextlib.suppress(OSError):
            operator.settimeout(2)
            operator.connect(self.path("run", "ledger.sock"))
            operator.shutdown(socket.SHUT_WR)
            operator.recv(1)

    def sql(self, query, *values):
        """Rows of parcelpost.db, read-only."""
        self.settle()
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)
        try:
            connection.row_factory = sqlite3.Row
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def edit(self, statement, *values):
        """What an operator does with sqlite3: a short write to parcelpost.db."""
        self.settle()
        connection = sqlite3.connect(self.database, timeout=10)
        try:
            with connection:
                connection.execute(statement, values)
        finally:
            connection.close()

    def contact(self, ip):
        """The contact's row, or None."""
        rows = self.sql("select * from contacts where remote_ip = ?", ip)
        return rows[0] if rows else None

    def wait_rows(self, query, *values, what=None):
        """Waits until the query gives at least one row; gives the rows."""
        return wait_for(lambda: self.sql(query, *values), what or query, explain=self.log_tail)

    def wait_parcels(self, mail_id, *states, timeout=None):
        """Waits until every parcel of the mail is in one of the states; gives the rows."""
        def settled():
            rows = self.sql("select * from parcels where mail_id = ?", mail_id)
            return rows if rows and all(row["state"] in states for row in rows) else None
        return wait_for(settled, f"parcels of {mail_id} to be {' or '.join(states)}", timeout=timeout, explain=lambda: self.parcels_text() + self.log_tail())

    def parcels_text(self):
        rows = self.sql("select mail_id, to_url, state, attempts, delivery_msg from parcels order by id desc limit 20")
        return "\n".join(" | ".join(map(str, row)) for row in rows) + "\n"

    def mails(self, address):
        """The messages delivered to a local user, in Maildir or Dovecot."""
        if self.dovecot:
            return self.dovecot.mails(address)
        local, domain = address.split("@")
        messages = []
        for folder in ("new", "cur"):
            where = self.path("mail", domain, local, folder)
            for name in sorted(os.listdir(where)) if os.path.isdir(where) else ():
                with open(os.path.join(where, name), "rb") as stream:
                    messages.append(stream.read())
        return messages

    def wait_mail(self, address, marker, count=1):
        """Waits for the message that holds these bytes; with count, for that many, and gives a list."""
        marker = marker.encode() if isinstance(marker, str) else marker

        def found():
            matching = [message for message in self.mails(address) if marker in message]
            return matching if len(matching) >= count else None
        matching = wait_for(found, f"{marker!r} in the mailbox of {address}", explain=lambda: self.parcels_text() + self.log_tail())
        return matching[0] if count == 1 else matching

    def log_text(self):
        return text_of(self.log)

    def wait_log(self, pattern, after=0):
        return wait_for(lambda: re.search(pattern, self.log_text()[after:], re.M), f"{pattern!r} in the log", explain=self.log_tail)

    def log_tail(self, lines=40):
        return "--- log\n" + "\n".join(self.log_text().split("\n")[-lines:])

    # For tests/instance.

    def write_environment(self):
        mail = self.path("dovecot", "mail") if self.dovecot else self.path("mail")
        values = {
            "SMTP_PORT": self.mx_port, "INTERNAL_PORT": self.internal_port, "SUBMISSION_PORT": self.submission_port,
            "LMTP_PORT": self.lmtp_port, "DNS_PORT": self.dns.rpartition(":")[2] if self.dns else self.dns_port,
            "IMAP_PORT": self.imap_port or "", "DB": self.database, "QUEUE": self.queue, "CONF": self.configuration, "LOG": self.log,
            "MAILDIR": mail, "PID": self.daemon.pid, "USERS_DB": self.path("state", "users.db"), "SENDMAIL_SOCKET": self.path("sendmail.sock"),
        }
        running = [one for one in (self.daemon, self.name_server, self.dovecot and self.dovecot.background) if one]
        values["STARTED"] = " ".join(f"{one.pid}:{one.born}" for one in running)
        taken = self.ports + ([self.dovecot.lmtp_port, self.dovecot.imap_port] if self.dovecot else [])
        values["PORTS"] = " ".join(map(str, taken))
        with open(self.path("env"), "w", encoding="utf-8") as stream:
            stream.writelines(f"{key}={shlex.quote(str(value))}\n" for key, value in values.items())


def take_down(directory):
    """Ends what `tests/instance up` started there, by the pids in its env file."""
    path = os.path.join(directory, "env")
    with open(path, encoding="utf-8") as stream:
        values = dict(shlex.split(line)[0].split("=", 1) for line in stream if "=" in line)
    for entry in values["STARTED"].split():
        pid, born = entry.split(":")
        background.stop_pid(int(pid), int(born))
    ports.give_back(values["PORTS"].split())
    os.rename(path, path + ".down")
