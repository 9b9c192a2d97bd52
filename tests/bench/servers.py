"""The servers that `make bench` compares, each with its production durability, its limits lifted and nothing to look up;
README.md says what is set and why. A server is started anew with an empty queue, in a house of its own (house.py).

mode: "deliver": dN.test by SMTP to 127.1.0.N, lmtp.test by LMTP; "hold": it takes mail and leaves it in its queue; "slow": the
same, and each flush takes longer (tests/shim/slow.c).
"""
import os
import shlex
import shutil
import socket
import sqlite3

from house import FIRST_ID, GROUPS, House, unpack
from lib import certificates, ports
from lib.instance import Instance
from lib.place import shim
from lib.waiting import wait_for

DESTINATIONS = 50
CONNECTIONS = 1100  # at one time, what no server may refuse
LOGIN, PASSWORD = "coco@example.test", "my-password"
HASH = "$6$bench$uw0Ij/zjvKHGpxx1OXI48XR8w4ItNTfmInLvx9bDcsEHbelc0U85XhFDNfv3Zmaa9Z6yJlAxkCSpXEeU78sT70"

POSTFIX_MAIN = """
compatibility_level = 3.6
queue_directory = /var/spool/postfix
maillog_file = /var/log/postfix.log
myhostname = postfix.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_restrictions = {hold}
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
default_process_limit = {connections}
message_size_limit = 0
smtpd_recipient_limit = 10000
smtpd_tls_chain_files = {rsa.key} {rsa.chain} {p256.key} {p256.chain}
smtpd_sasl_type = dovecot
smtpd_sasl_path = /run/dovecot-login
smtpd_tls_auth_only = yes
default_destination_concurrency_limit = 100
initial_destination_concurrency = 20
qmgr_message_active_limit = 100000
qmgr_message_recipient_limit = 100000
in_flow_delay = 0
alias_maps =
alias_database =
transport_maps = texthash:/etc/postfix/transport
"""
POSTFIX_MASTER = """
127.0.0.1:{port} inet n - n - {connections} smtpd
127.0.0.1:{tls_port} inet n - n - {connections} smtpd
  -o smtpd_tls_security_level=may -o smtpd_sasl_auth_enable=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
DOVECOT = """
base_dir = /run/dovecot
log_path = /var/log/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain
auth_cache_size = 0
passdb {
  driver = passwd-file
  args = /etc/bench-users
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
service auth {
  client_limit = 10000
  unix_listener /run/dovecot-login {
    mode = 0666
  }
}
service anvil {
  client_limit = 10000
}
"""
EXIM = r"""
primary_hostname = exim.test
daemon_smtp_ports = {port} : {tls_port}
local_interfaces = <; 127.0.0.1
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 1024
smtp_receive_timeout = 5m
recipients_max = 0
message_size_limit = 0
queue_only = {queue_only}
queue_run_max = 0
remote_max_parallel = 10
split_spool_directory = true
log_file_path = /var/log/exim-%slog
tls_advertise_hosts = ${{if eq{{$received_port}}{{{tls_port}}}{{*}}}}
tls_certificate = {rsa.chain} : {p256.chain}
tls_privatekey = {rsa.key} : {p256.key}
keep_environment =
acl_smtp_rcpt = acl_all
begin acl
acl_all:
  accept
begin routers
lmtp:
  driver = manualroute
  domains = lmtp.test
  route_data = 127.1.0.1
  self = send
  transport = lmtp
smtp:
  driver = manualroute
  route_data = ${{sg{{$domain}}{{\N^d(\d+)\.test$\N}}{{127.1.0.\$1}}}}
  self = send
  transport = smtp
begin transports
smtp:
  driver = smtp
  port = {smtp_sink}
  hosts_try_dane =
lmtp:
  driver = smtp
  protocol = lmtp
  port = {lmtp_sink}
begin retry
* * F,2h,15m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_advertise_condition = $tls_in_cipher
  server_condition = ${{if and{{{{eq{{$auth2}}{{{login}}}}}{{crypteq{{$auth3}}{{\N{hash}\N}}}}}}}}
  server_set_id = $auth2
"""
OPENSMTPD = """
smtp max-message-size 1G
smtp limit max-mails 1000000
smtp limit max-rcpt 10000
mta limit session-mail-max 1000000
mta limit reconn-delay-route 0
mta limit session-transaction-delay 0
mta limit max-conn-per-domain 100
mta limit max-conn-per-route 100
mta limit max-conn-per-host 100
listen on 127.0.0.1 port {port}
{actions}
{matches}
"""


class Pair:
    """A certificate and its key, which every server's own user can read."""

    def __init__(self, folder, name, kind):
        self.chain, self.key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
        made = certificates.certificate(folder, "bench.example.test", kind)
        for path, copy in zip(made, (self.chain, self.key)):
            os.rename(path, copy)
            os.chmod(copy, 0o644)


def greets(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as probe:
            probe.settimeout(5)
            return probe.recv(200)[:3] == b"220" and (probe.sendall(b"QUIT\r\n") or bool(probe.recv(200)))
    except OSError:
        return False


class Peer:
    """A server of Debian's. Subclasses say which packages, and write and start it."""
    packages, name, has_tls, greets_all = (), "", True, True
    deliveries = 1  # of the messages of a run that delivers: less for those that would take a minute over it

    def __init__(self, folder, mode, sinks):
        """sinks: the ports of the one that speaks SMTP and the one that speaks LMTP."""
        self.folder, self.mode, self.sinks = folder, mode, sinks
        for name in ("etc", "var", "var/spool"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
            os.chmod(os.path.join(folder, name), 0o755)
        os.chmod(folder, 0o755)
        self.package = unpack(self.name, self.packages)
        self.house = House(folder)
        self.ports = ports.take(2)
        self.port, self.tls_port = self.ports
        self.submission_port = self.tls_port
        self.facts = {"port": self.port, "tls_port": self.tls_port, "connections": CONNECTIONS, "login": LOGIN, "hash": HASH, "smtp_sink": sinks[0], "lmtp_sink": sinks[1], "rsa": Pair(folder, "rsa", "rsa"),
                      "p256": Pair(folder, "p256", "p256")}

    def write(self, name, text, **more):
        path = os.path.join(self.folder, "etc", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text.format(**self.facts, **more) if "{port}" in text or "{hold}" in text else text)
        os.chmod(path, 0o644)

    def start(self):
        self.configure()
        if self.mode == "slow":
            shutil.copyfile(shim("slow"), os.path.join(self.folder, "etc", "slow.so"))
            self.write("ld.so.preload", "/etc/slow.so\n")
        self.house.settle(self.package)
        self.launch()
        wait_for(lambda: greets(self.port), self.name, explain=self.house.output)
        return self

    def stop(self):
        self.house.clear()
        ports.give_back(self.ports)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self):
        return self.house.output()


class Postfix(Peer):
    name, packages = "postfix", ("postfix", "libnsl2")

    def configure(self):
        hold = "" if self.mode == "deliver" else "check_client_access static:HOLD"
        self.write("postfix/main.cf", POSTFIX_MAIN, hold=hold)
        self.write("postfix/master.cf", POSTFIX_MASTER)
        rows = [f"d{number}.test smtp:[127.1.0.{number}]:{self.sinks[0]}" for number in range(1, DESTINATIONS + 1)]
        self.write("postfix/transport", "\n".join([*rows, f"lmtp.test lmtp:inet:127.1.0.1:{self.sinks[1]}", ""]))
        self.write("bench-users", f"{LOGIN}:{{CRYPT}}{HASH}\n")
        self.write("bench-dovecot.conf", DOVECOT)

    def launch(self):
        for place in ("spool/postfix", "lib/postfix"):
            os.makedirs(os.path.join(self.folder, "var", place), mode=0o755)
        self.house.run("chown", "postfix", "/var/lib/postfix")
        self.house.run("mkdir", "-p", "/run/dovecot")
        self.house.run("/usr/sbin/dovecot", "-c", "/etc/bench-dovecot.conf")
        self.house.run("/usr/sbin/postfix", "start")


class Exim(Peer):
    name, deliveries, packages = "exim", 0.3, ("exim4-daemon-light", "exim4-base", "exim4-config", "libnsl2")

    def configure(self):
        self.write("exim4/exim4.conf", EXIM, queue_only="false" if self.mode == "deliver" else "true")

    def launch(self):
        for place in ("spool/exim4", "log"):
            os.makedirs(os.path.join(self.folder, "var", place), mode=0o755, exist_ok=True)
        self.house.run("chown", "-R", "Debian-exim:Debian-exim", "/var/spool/exim4", "/var/log")
        self.house.run("/usr/sbin/exim4", "-bd")


class OpenSmtpd(Peer):
    """It never flushes what it has accepted: a bound on the others, and no rival. Without TLS: as a bound it is not worth finding
    out why its handshakes end with an alert."""
    name, deliveries, packages = "opensmtpd", 0.1, ("opensmtpd", "libevent-2.1-7")
    has_tls = greets_all = False  # the latter: its backlog of 5 connections loses some

    def configure(self):
        rows = [(f"d{number}.test", f"smtp://127.1.0.{number}:{self.sinks[0]}") for number in range(1, DESTINATIONS + 1)]
        rows.append(("lmtp.test", f"lmtp://127.1.0.1:{self.sinks[1]}"))
        actions = "\n".join(f'action "{domain}" relay host {host}' for domain, host in rows)
        matches = "\n".join(f'match from any for domain "{domain}" action "{domain}"' for domain, _ in rows)
        self.write("smtpd.conf", OPENSMTPD, actions=actions, matches=matches)

    def launch(self):
        os.makedirs(os.path.join(self.folder, "var", "lib", "opensmtpd", "empty"), mode=0o755)
        os.makedirs(os.path.join(self.folder, "var", "spool", "smtpd"), mode=0o711)
        control = os.path.join(self.package, "usr", "sbin", "smtpctl")  # the group that its package's script would have set
        os.chown(control, 0, FIRST_ID + GROUPS.index("opensmtpq"))
        os.chmod(control, 0o2755)
        self.house.run("/usr/sbin/smtpd")
        if self.mode != "deliver":
            wait_for(lambda: greets(self.port), self.name, explain=self.house.output)
            self.house.run("/usr/sbin/smtpctl", "pause", "mta")


class Parcelpost:
    """Ours. sessions: connections that a receiver serves."""
    has_tls, greets_all, deliveries = True, True, 1

    def __init__(self, folder, mode, sinks, sessions=1):
        self.name = f"parcelpost {sessions}"
        os.makedirs(folder, exist_ok=True)
        self.house = House(folder)
        settings = {"runner": None if mode == "deliver" else "cron", "receiver_sessions": sessions, "dkim_private_key_file": None, "reverse_lookup": False,
                    "connection_limit": CONNECTIONS, "contact_connection_limit": CONNECTIONS, "recipient_maximum": 10000, "outbound_tls": False,
                    "destination_limit": 100}
        routes = [f'route "d{number}.test" {{ host = "127.1.0.{number}:{sinks[0]}" }}\n' for number in range(1, DESTINATIONS + 1)]
        routes.append(f'route "lmtp.test" {{ host = "127.1.0.1:{sinks[1]}"\n lmtp = yes }}\n')
        self.server = Instance(folder, settings=settings, dns="127.0.0.1:9", extra="".join(routes), preload="slow" if mode == "slow" else None, sendmail_socket=False)
        self.folder = folder
        self.port = self.server.internal_port
        self.tls_port = self.port
        self.submission_port = self.server.submission_port

    def start(self):
        pairs = [Pair(self.folder, kind, kind) for kind in ("rsa", "p256")]
        for pair in pairs:
            os.chmod(pair.key, 0o600)
        self.server.settings.update(certificate=[pair.chain for pair in pairs], private_key=[pair.key for pair in pairs])
        self.server.prepare()
        path = self.server.path("state", "users.db")
        with sqlite3.connect(path) as users:
            users.execute("update users set hash = ?", (HASH,))
        users.close()
        self.launch()
        return self

    def launch(self):
        os.environ["PARCELPOST_WRAPPER"] = shlex.join(self.house.wrapper())
        try:
            self.server.launch()
        finally:
            del os.environ["PARCELPOST_WRAPPER"]

    def halted(self, work):
        """work() is done while the server does not run."""
        self.server.halt()
        work()
        self.launch()

    def stop(self):
        try:
            self.server.stop(check=False)
        finally:
            self.house.clear()
            shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self):
        return self.server.log_tail()
