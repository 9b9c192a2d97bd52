"""The server of a soak and what its operator does all the time: reloads with other settings, other certificates, another log, an old history
to purge, lists and questions. Each of these looks whether it had the effect it should, and says what is wrong in `faults`."""
import collections
import contextlib
import datetime
import os
import re
import shutil
import signal
import sqlite3
import ssl
import socket
import subprocess
import threading
import time

from lib import ports
from lib.instance import DOMAIN, TROUBLE, Instance
from lib.postfix import Postfix
from lib.waiting import WaitTimeout, wait_for

NAMES = ["coco", "mike", "anna", "bert", "cleo", "dora", "emil", "fred"]
FAILING = 4
OLD_ROWS_A_SECOND = 200  # what the purge takes of each table, once a second
DEAD_LIFETIME = 15
SPARE = 4


def friends(domain, count=20):
    return [f"friend{number}@{domain}" for number in range(count)]


class SoakWorld:
    """server, its neighbours' ports, fates: where letters may go; postfix is None where it cannot run."""

    def __init__(self, folder, with_postfix=True):
        self.folder, self.faults, self.done = folder, [], collections.Counter()
        self.postfix = Postfix(os.path.join(folder, "postfix")) if with_postfix and os.geteuid() == 0 and os.path.exists("/usr/sbin/postfix") else None
        self.sink, self.refusing, *self.failing = ports.take(2 + FAILING)
        self.submissions, self.dead = ports.take(2)
        self.server = Instance(local="dovecot", lmtp=True, settings=self.settings(), extra=self.blocks(folder))
        self.log = os.path.join(self.server.directory, "server.log")
        self.server.settings["log_path_and_file"] = self.log
        self.server.settings["submissions_port"] = self.submissions
        self.server.extra += f'listen "127.0.0.1:{self.submissions}" {{ }}\n'
        self.changes, self.logs = 0, 0
        self.quiet, self.steady = threading.Lock(), threading.Event()  # nothing is changed while it is held; nothing is reloaded while it is set

    def settings(self):
        return {"local_domains": [DOMAIN, "folder.test"], "contact_connection_limit": 900, "retry_schedule": ["4", "8", "12"], "message_maximum": 8500 * 1024 + 8192,
                "prohibited_seconds": 8, "lockout_maximum": 60, "history_days": 30, "receiver_spare": SPARE, "delay_warning": 30, "scram_iterations": 4096}

    def blocks(self, folder):
        lines = [f'transport "folders" {{ kind = maildir\n target = "{folder}/folders/%u"\n user = "nobody" }}' if os.geteuid() == 0 else
                 f'transport "folders" {{ kind = maildir\n target = "{folder}/folders/%u" }}', 'route "folder.test" { transport = "folders" }']
        hosts = {"sink.test": self.sink, "refusing.test": self.refusing, **{f"failing{n}.test": port for n, port in enumerate(self.failing)}}
        hosts.update({"remote.test": self.postfix.port} if self.postfix else {})
        lines += [f'route "{domain}" {{ host = "127.0.0.1:{port}" }}' for domain, port in hosts.items()]
        lines.append(f'route "dead.test" {{ host = "127.0.0.1:{self.dead}"\n queue_lifetime = {DEAD_LIFETIME} }}')
        return "\n".join(lines) + "\n"

    def fates(self):
        """{"local": rows, "all": rows}; a row is (addresses, fate, weight)."""
        local = [([f"{name}@{DOMAIN}" for name in NAMES], "arrives", 50), ([f"{name}@folder.test" for name in NAMES], "arrives", 22)]
        remote = [(friends("sink.test"), "arrives", 18), (friends("refusing.test"), "bounces", 3), (friends("dead.test"), "bounces", 1)]
        remote += [(friends(f"failing{number}.test"), "arrives", 3) for number in range(FAILING)]
        remote += [(friends("remote.test"), "arrives", 5)] if self.postfix else []
        return {"local": local, "all": local + remote}

    def client_ports(self):
        server = self.server
        return {"mx": server.mx_port, "internal": server.internal_port, "submission": server.submission_port, "submissions": self.submissions,
                "lmtp": server.lmtp_listener}

    def server_rows(self):
        """What lib.soak.servers is told: (port, begins, refuses)."""
        return [(self.sink,), (self.refusing, None, True), *((port, 29 * number) for number, port in enumerate(self.failing))]

    def folders(self):
        found = [(self.server.path("dovecot", "mail", DOMAIN, name), f"{name}@{DOMAIN}") for name in NAMES]
        found += [(os.path.join(self.folder, "folders", name), f"{name}@folder.test") for name in NAMES]
        return found + ([(os.path.join(self.postfix.folder, "mail"), None)] if self.postfix else [])

    # Up and down.

    def __enter__(self):
        os.chmod(self.folder, 0o755)
        os.makedirs(os.path.join(self.folder, "folders"))
        if os.geteuid() == 0:
            os.chown(os.path.join(self.folder, "folders"), 65534, 65534)
        if self.postfix:
            self.postfix.start()
        self.server.prepare()
        with open(self.server.path("dovecot", "passwd"), encoding="utf-8") as stream:
            model = stream.readline()
        with open(self.server.path("dovecot", "passwd"), "a", encoding="utf-8") as stream:
            stream.writelines(model.replace("coco", name, 1) for name in NAMES[2:])
        for name in NAMES:
            for domain in (DOMAIN, "folder.test"):
                if f"{name}@{domain}" not in self.server.dovecot.users:
                    self.server.add_user(f"{name}@{domain}")
        self.server.give_away()
        self.server.launch()
        return self

    def __exit__(self, kind, *_):
        try:
            self.server.stop(check=kind is None)
        finally:
            if self.postfix:
                self.postfix.stop()
            ports.give_back([self.sink, self.refusing, *self.failing, self.submissions, self.dead])
            self.server.remove()

    def make_history(self, seconds):
        """Finished mail of long ago, enough for the purge to be at work all the time."""
        self.server.halt()
        count = OLD_ROWS_A_SECOND * seconds
        old = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=60)).strftime("%Y-%m-%d %H:%M:%S")
        with contextlib.closing(sqlite3.connect(self.server.database)) as connection, connection:
            connection.executemany(
                "insert into mails (mail_id, place, received_at, size, role, local_port, remote_ip, remote_name, ehlo, from_url, protocol, tls, account,"
                " verdicts, message_id) values (?, 'gone', ?, 1000, 'mx', 25, '127.9.9.9', '', 'old', 'someone@example.net', 'ESMTP', '', '', '', '')",
                ((f"0old{number:08d}", old) for number in range(count)))
            first = connection.execute("select coalesce(max(id), 0) + 1 from parcels").fetchone()[0]
            connection.executemany(
                "insert into parcels (id, mail_id, recipient, from_url, to_url, target, domain, delivery, state, delivery_at, created_at, updated_at)"
                " values (?, ?, 0, 'someone@example.net', 'coco@example.test', 'coco@example.test', 'example.test', 'local', 'delivered', ?2, ?2, ?2)"
                .replace("?2", f"'{old}'"), ((first + number, f"0old{number:08d}") for number in range(count)))
            connection.executemany("insert into attempts (parcel_id, started_at, route, host, address, tls, reply, milliseconds)"
                                   " values (?, ?, 'lmtp', 'old', '127.9.9.9', '', '250 2.0.0 OK', 5)", ((first + number, old) for number in range(count)))
        self.server.launch()

    def old_rows(self):
        return self.server.sql("select count(*) from mails where mail_id like '0old%'")[0][0]

    # What the operator does.

    def log_tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as stream:
            return stream.read()[-3000:]

    def log_has(self, words, position):
        with open(self.log, encoding="utf-8", errors="replace") as stream:
            stream.seek(position)
            return words in stream.read()

    def reload(self):
        self.changes += 1
        self.server.settings["server_title"] = f"Example {self.changes}"
        self.server.settings["dns_cache_size"] = 9000 + self.changes % 2
        self.server.write_configuration()
        position = os.path.getsize(self.log)
        self.server.daemon.send(signal.SIGHUP)
        wait_for(lambda: self.log_has("the configuration was read again", position), "the reload", explain=self.log_tail)

    def shown_certificate(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.submissions), 60, source_address=("127.94.0.1", 0)) as plain, \
                context.wrap_socket(plain, server_hostname="mail.example.test") as client:
            return client.getpeercert(binary_form=True)

    def certificate(self):
        """Another key and certificate in place of the former, and who connects afterwards sees it."""
        self.changes += 1
        key, chain = self.server.path("private_key.pem"), self.server.path("certificate.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key + ".new", "-out",
                        chain + ".new", "-days", "30", "-subj", "/CN=mail.example.test", "-set_serial", str(1000 + self.changes)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.copystat(key, key + ".new")
        os.rename(key + ".new", key)
        os.rename(chain + ".new", chain)
        self.reload()
        with open(chain, encoding="ascii") as stream:
            wanted = ssl.PEM_cert_to_DER_cert(stream.read())
        wait_for(lambda: self.shown_certificate() == wanted, "the new certificate")
        if any(self.shown_certificate() != wanted for _ in range(3)):
            self.faults.append("a handshake showed the former certificate after the new one had been seen")

    def rotate_log(self):
        """As logrotate does it; the former file is read for what should not be there, and removed."""
        self.logs += 1
        former = f"{self.log}.{self.logs}"
        os.rename(self.log, former)
        self.server.daemon.send(signal.SIGUSR1 if self.logs % 2 or self.steady.is_set() else signal.SIGHUP)
        wait_for(lambda: os.path.exists(self.log) and os.path.getsize(self.log) > 0, "a line in the new log")
        if self.logs > 1:
            self.read_log(f"{self.log}.{self.logs - 1}")  # receivers of before may have written into it until now

    def read_log(self, path):
        with open(path, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        self.faults += [f"LOG {line[:200]}" for line in TROUBLE.findall(text)]
        found = collections.Counter(re.sub(r"\d+|127\.\S+|letter-\S+", "N", line.split("] ", 1)[-1])[:100] for line in re.findall(r"^.* error .*$", text, re.M))
        self.done.update({f"log: {line}": count for line, count in found.items()})
        os.unlink(path)

    def look_into_tables(self):
        self.server.command("queue", "list", "limit=20")
        self.server.command("stats", "--json")
        self.server.command("contacts", "list")
        self.server.command("why", "coco@example.test")

    def run_queue(self):
        status, output = self.server.command(check=False, name="parcelpost-queue")
        if status not in (0, 75):
            self.faults.append(f"parcelpost-queue ended with {status}: {output[-200:]}")

    def read_slowly(self):
        """An operator's sqlite3 with an open transaction: the log cannot be folded back behind it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.server.database}?mode=ro", uri=True)) as connection:
            connection.execute("begin")
            connection.execute("select count(*) from mails where place <> 'gone'").fetchone()
            time.sleep(4)
            connection.execute("select max(id) from parcels").fetchone()

    def edit(self):
        self.server.edit("update contacts set violations = 0 where remote_ip like '127.91.%'")

    TASKS = [("reload", 20), ("certificate", 50), ("rotate_log", 30), ("look_into_tables", 10), ("run_queue", 25), ("read_slowly", 40), ("edit", 35)]

    def hold_still(self):
        """One more reload, and no further until steady is cleared."""
        with self.quiet:
            self.steady.set()
            self.reload()

    def operate(self, stop, hurry=1):
        """Until stop is set: every task each time its seconds (divided by hurry) have passed, one after the other."""
        due = {name: time.monotonic() + seconds / hurry for name, seconds in self.TASKS}
        while not stop.wait(0.2):
            for name, seconds in self.TASKS:
                if time.monotonic() < due[name] or (self.steady.is_set() and name in ("reload", "certificate")):
                    continue
                try:
                    with self.quiet:
                        getattr(self, name)()
                    self.done[name] += 1
                except (AssertionError, OSError, sqlite3.Error, subprocess.SubprocessError, WaitTimeout) as problem:
                    self.faults.append(f"{name}: {str(problem)[:600]}")
                due[name] = time.monotonic() + seconds / hurry

    def operator(self, stop, hurry=1):
        thread = threading.Thread(target=self.operate, args=(stop, hurry), daemon=True)
        thread.start()
        return thread
