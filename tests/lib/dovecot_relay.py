"""A real Dovecot that keeps nothing: its submission server hands on to ours, and its LMTP server is a proxy for ours."""
import os

from lib import ports
from lib.dovecot import DovecotProcess, people

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


class DovecotRelay(DovecotProcess):
    """DovecotRelay(folder, submission port of ours, LMTP port of ours, login there).start(): .port .lmtp_port"""

    def __init__(self, folder, submission, lmtp, user="coco@example.test", password="my-password"):
        self.folder, self.submission, self.lmtp, self.user, self.password = folder, submission, lmtp, user, password
        self.port, self.lmtp_port = ports.take(2)

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
        return self.run(path, [self.port, self.lmtp_port])
