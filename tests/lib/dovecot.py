"""A real Dovecot with LMTP and IMAP on loopback ports, all of it under one folder; as root or as anybody."""
import getpass
import grp
import imaplib
import os

from lib import ports
from lib.background import Background
from lib.waiting import wait_for

CONFIGURATION = """
protocols = imap lmtp
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
mail_location = maildir:{folder}/mail/%d/%n
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
default_client_limit = 200
default_process_limit = 50
ssl = no
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
{extra}
lmtp_rcpt_check_quota = no
recipient_delimiter = +
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/passwd
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/passwd
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
  unix_listener {folder}/lmtp.sock {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener auth-userdb {{
    mode = 0666
  }}
  unix_listener {folder}/auth.sock {{
    mode = 0666
  }}
}}
"""

QUOTA = """
mail_plugins = quota
plugin {
  quota = maildir:User quota
  quota_grace = 0
}
"""


def people():
    """Whom a Dovecot of this user runs as, for a configuration's fields."""
    root, me = os.geteuid() == 0, getpass.getuser()
    uid, gid = (65534, 65534) if root else (os.getuid(), os.getgid())
    return {"uid": uid, "gid": gid, "internal": "dovecot" if root else me, "login": "dovenull" if root else me,
            "internal_group": "dovecot" if root else grp.getgrgid(gid).gr_name}


class DovecotProcess:
    """One that runs in self.folder: what every Dovecot of the tests has."""

    background, taken = None, ()

    def run(self, configuration, taken):
        """Starts it and waits until its ports answer; they are given back by stop."""
        self.taken = taken
        self.background = Background(["/usr/sbin/dovecot", "-F", "-c", configuration], os.path.join(self.folder, "output"))
        for port in taken:
            wait_for(lambda port=port: answers(port), "Dovecot", explain=self.log_text)
        return self

    def stop(self):
        if self.background and self.background.running():
            self.background.stop()
        ports.give_back(self.taken)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def log_text(self):
        text = ""
        for name in ("output", "log"):
            path = os.path.join(self.folder, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as stream:
                    text += stream.read()
        return text


class Dovecot(DovecotProcess):
    """Dovecot(folder).start(): .lmtp_port .imap_port .socket .auth_socket (for Postfix and for us); mails(user) reads them back by IMAP. quota={user: bytes}"""

    def __init__(self, folder, users=("coco@example.test", "mike@example.test"), password="my-password", quota=None, mechanisms="plain login", extra=""):
        self.folder, self.users, self.password, self.quota = folder, list(users), password, quota or {}
        self.mechanisms, self.extra = mechanisms, extra
        self.lmtp_port, self.imap_port = ports.take(2)
        self.socket, self.auth_socket = os.path.join(folder, "lmtp.sock"), os.path.join(folder, "auth.sock")

    def configure(self):
        who = people()
        uid, gid = who["uid"], who["gid"]
        for name in ("", "run", "state", "mail"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
            os.chmod(os.path.join(self.folder, name), 0o755)
        os.chown(os.path.join(self.folder, "mail"), uid, gid)
        with open(os.path.join(self.folder, "passwd"), "w", encoding="utf-8") as stream:
            for user in self.users:
                stream.write(f"{user}:{{PLAIN}}{self.password}:{uid}:{gid}::{self.folder}/mail::{self.quota_rule(user)}\n")
        path = os.path.join(self.folder, "dovecot.conf")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(CONFIGURATION.format(
                folder=self.folder, mechanisms=self.mechanisms, extra=self.extra, imap_port=self.imap_port, lmtp_port=self.lmtp_port, **who) + (QUOTA if self.quota else ""))
        return path

    def quota_rule(self, user):
        return f"userdb_quota_rule=*:bytes={self.quota[user]}" if user in self.quota else ""

    def start(self):
        return self.run(self.configure(), [self.lmtp_port, self.imap_port])

    def mails(self, user, mailbox="INBOX"):
        """Every message of a mailbox, as IMAP gives it."""
        return imap_mails(self.imap_port, user, self.password, mailbox)

    def wait_mails(self, user, count=1):
        return wait_for(lambda: (lambda found: found if len(found) >= count else None)(self.mails(user)),
                        f"{count} mails for {user} in Dovecot", explain=self.log_text)


def imap_mails(port, user, password, mailbox="INBOX"):
    with imaplib.IMAP4("127.0.0.1", port) as client:
        client.login(user, password)
        client.select(mailbox, readonly=True)
        numbers = client.search(None, "ALL")[1][0].split()
        return [client.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in numbers]


def answers(port, host="127.0.0.1"):
    """True when a server greets on the port."""
    import socket
    try:
        with socket.create_connection((host, port), 5) as probe:
            probe.settimeout(5)
            return bool(probe.recv(1))
    except OSError:
        return False
