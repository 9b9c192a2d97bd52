"""A real Postfix as another site's mail server: takes mail for one domain on a loopback port, into one Maildir. Root only."""
import os
import pwd
import subprocess

from lib import ports
from lib.dovecot import answers
from lib.waiting import wait_exit, wait_for

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mx.{domain}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_tls_security_level = {tls_level}
smtpd_tls_chain_files = {key} {certificate}
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}
virtual_mailbox_maps = static:mail/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_mailbox_limit = 0
message_size_limit = 0
smtpd_recipient_limit = 2000
bounce_queue_lifetime = 0
alias_maps =
alias_database =
transport_maps = {transport_maps}
relay_domains = {relay_domains}
"""
MASTER = """
127.0.0.1:{port} inet n - n - 100 smtpd
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
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# A relay host: everything for whoever logs in within TLS, as a Dovecot's auth socket says.
RELAY = """
mynetworks =
virtual_mailbox_domains =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_tls_auth_only = yes
smtpd_tls_loglevel = 1
smtpd_relay_restrictions = permit_sasl_authenticated, reject
default_transport = discard:
"""


class Postfix:
    """Postfix(folder, domain, (certificate, key)).start(): .port .endpoint .mails(). sasl: it is a relay host instead, with
    logins by that socket. others={domain: port or "lmtp:unix:PATH"}: where it sends
    mail for these, in the second case also what strangers send it"""

    def __init__(self, folder, domain="remote.test", certificate=None, sasl=None, others=None):
        self.folder, self.domain, self.certificate, self.sasl, self.others = folder, domain, certificate, sasl, others or {}
        self.port = ports.take(1)[0]

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"

    def transport_maps(self):
        rows = [f"{{{domain} = {port if isinstance(port, str) else f'smtp:[127.0.0.1]:{port}'}}}" for domain, port in self.others.items()]
        return "inline:{" + ", ".join(rows) + "}" if rows else ""

    def run(self, verb):
        return subprocess.run(["/usr/sbin/postfix", "-c", os.path.join(self.folder, "etc"), verb], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def start(self):
        for name in ("", "etc", "queue", "data", "mail"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
            os.chmod(os.path.join(self.folder, name), 0o755)
        os.chown(os.path.join(self.folder, "mail"), 65534, 65534)
        certificate, key = self.certificate or ("", "")
        text = MAIN.format(folder=self.folder, domain=self.domain, certificate=certificate, key=key, tls_level="may" if certificate else "none",
                           transport_maps=self.transport_maps(),
                           relay_domains=" ".join(domain for domain, port in self.others.items() if isinstance(port, str)))
        text += RELAY.format(sasl=self.sasl) if self.sasl else ""
        for name, content in (("main.cf", text), ("master.cf", MASTER.format(port=self.port))):
            with open(os.path.join(self.folder, "etc", name), "w", encoding="utf-8") as stream:
                stream.write(content)

        os.chown(os.path.join(self.folder, "data"), pwd.getpwnam("postfix").pw_uid, -1)
        done = self.run("start")
        assert done.returncode == 0, done.stdout.decode() + self.log_text()
        wait_for(lambda: answers(self.port), "Postfix", explain=self.log_text)
        return self

    def stop(self):
        try:
            with open(os.path.join(self.folder, "queue", "pid", "master.pid"), encoding="ascii") as stream:
                master = int(stream.read())
            self.run("stop")
            wait_exit(master)
        except FileNotFoundError:
            pass
        ports.give_back([self.port])

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def log_text(self):
        path = os.path.join(self.folder, "log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def mails(self):
        """Everything that was delivered, one message a recipient, with LF line ends as Postfix stores them."""
        where = os.path.join(self.folder, "mail", "new")
        messages = []
        for name in sorted(os.listdir(where)) if os.path.isdir(where) else ():
            with open(os.path.join(where, name), "rb") as stream:
                messages.append(stream.read())
        return messages
