"""A real Dovecot that keeps nothing: its submission server hands on to ours, and its LMTP server is a proxy for ours."""
import os

from lib import ports
from lib.background import Background
from lib.dovecot import answers, people
from lib.waiting import wait_for

CONFIGURATION = """
protocols = submission lmtp
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
hostname = relay.example.test
mail_location = maildir:{folder}/mail/%d/%n
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
ssl = no
ssl_client_require_valid_cert = no
disable_plaintext_auth = no
auth_mechanisms = plain login
submission_max_mail_size = 100M
submission_relay_host = 127.0.0.1
submission_relay_port = {submission}
submission_relay_ssl = starttls
submission_relay_ssl_verify = no
submission_relay_user = {user}
submission_relay_password = {password}
lmtp_proxy = yes
lmtp_rcpt_check_quota = no
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/passwd.%s
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    address = 127.0.0.1
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
}}
"""


class DovecotRelay:
    """DovecotRelay(folder, submission port of ours, LMTP port of ours, login there).start(): .port .lmtp_port"""

    def __init__(self, folder, submission, lmtp, user="coco@example.test", password="my-password"):
        self.folder, self.submission, self.lmtp, self.user, self.password = folder, submission, lmtp, user, password
        self.port, self.lmtp_port = ports.take(2)
        self.background = None

    def start(self):
        who = people()
        for name in ("", "run", "state", "mail"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
            os.chmod(os.path.join(self.folder, name), 0o755)
        os.chown(os.path.join(self.folder, "mail"), who["uid"], who["gid"])
        for service, more in (("submission", ""), ("lmtp", f"proxy=y host=127.0.0.1 port={self.lmtp}")):
            with open(os.path.join(self.folder, "passwd." + service), "w", encoding="utf-8") as stream:
                for user in ("coco@example.test", "mike@example.test"):
                    stream.write(f"{user}:{{PLAIN}}{self.password}::::::{more}\n")
        path = os.path.join(self.folder, "dovecot.conf")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(CONFIGURATION.format(folder=self.folder, submission=self.submission, user=self.user, password=self.password,
                                              port=self.port, lmtp_port=self.lmtp_port, **who))
        self.background = Background(["/usr/sbin/dovecot", "-F", "-c", path], os.path.join(self.folder, "output"))
        for port in (self.port, self.lmtp_port):
            wait_for(lambda port=port: answers(port), "Dovecot as a relay", explain=self.log_text)
        return self

    def stop(self):
        if self.background and self.background.running():
            self.background.stop()
        ports.give_back([self.port, self.lmtp_port])

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
