"""What the listen blocks say of their ports: TLS and logins that are forbidden, optional or required, TLS from the first
byte, networks."""
import re
import smtplib
import ssl
import subprocess

import pytest

from lib import ports
from lib.haproxy import Haproxy
from lib.instance import Instance
from lib.messages import message
from lib.place import program
from lib.talker import SmtpTalker, fresh_source

NAMES = ("required", "forbidden", "implicit", "mx_login", "mx_must", "lmtp_must", "internal_must", "near", "near_implicit", "behind",
         "behind_near")
PASSWORD = "my-password"
BLOCKS = """
listen "127.0.0.1:{required}" {{ role = mx
 tls = required }}
listen "127.0.0.1:{forbidden}" {{ role = mx
 tls = forbidden }}
listen "127.0.0.1:{implicit}" {{ role = submission
 tls = implicit }}
listen "127.0.0.1:{mx_login}" {{ role = mx
 auth = optional }}
listen "127.0.0.1:{mx_must}" {{ role = mx
 auth = required }}
listen "127.0.0.1:{lmtp_must}" {{ role = lmtp
 tls = required
 auth = required }}
listen "127.0.0.1:{internal_must}" {{ role = internal
 auth = required }}
listen "127.0.0.1:{near}" {{ role = mx
 networks = {{"127.99.0.0/16"}} }}
listen "127.0.0.1:{near_implicit}" {{ role = submission
 tls = implicit
 networks = {{"127.99.0.0/16"}} }}
listen "127.0.0.1:{behind}" {{ role = submission
 tls = implicit
 proxy = yes
 proxy_networks = {{"127.0.0.0/8"}} }}
listen "127.0.0.1:{behind_near}" {{ role = mx
 proxy = yes
 proxy_networks = {{"127.0.0.0/8"}}
 networks = {{"10.99.0.0/16"}} }}
"""


@pytest.fixture(scope="module")
def server():
    taken = ports.take(len(NAMES))
    at = dict(zip(NAMES, taken))
    with Instance(extra=BLOCKS.format(**at), settings={"contact_connection_limit": 1000}) as instance:
        instance.at = at
        yield instance
    ports.give_back(taken)


def talk(server, name, source, **options):
    return SmtpTalker(server.at[name], source=source, **options)


# ---- TLS required, forbidden ----

STARTTLS_FIRST = "530 5.7.0 Must issue a STARTTLS command first"


def test_where_tls_is_required_nothing_is_done_before_it(server, source, marker):
    with talk(server, "required", source) as client:
        assert "250-STARTTLS" in client.ehlo().text
        for command, code in (("NOOP", 250), ("RSET", 250), ("HELP", 214)):
            assert client.command(command).code == code
        assert client.command("MAIL FROM:<a@example.net>").text == STARTTLS_FIRST
        assert client.command("VRFY coco").text == STARTTLS_FIRST
        client.quit()
    with talk(server, "required", fresh_source()) as client:
        client.ehlo()
        client.starttls()
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
        client.quit()
    server.wait_mail("coco@example.test", marker)


def test_where_tls_is_forbidden_it_is_neither_offered_nor_begun(server, source):
    with talk(server, "forbidden", source) as client:
        assert "STARTTLS" not in client.ehlo().text
        assert client.command("STARTTLS").text == "502 5.5.1 STARTTLS is not offered on this port"
        client.expect(250, "MAIL FROM:<a@example.net>")
        client.quit()


# ---- TLS from the first byte ----

def test_a_submission_port_begins_with_tls(server, source, marker):
    with talk(server, "implicit", source, tls="mail.example.test") as client:
        assert client.greeting.text.startswith("220 mail.example.test ESMTP Parcelpost ")
        offered = client.ehlo().text
        assert "250-AUTH " in offered and "STARTTLS" not in offered
        assert client.command("STARTTLS").code == 503
        refused = client.command("MAIL FROM:<coco@example.test>").text
        assert refused == f"530 5.7.0 Traffic on port {server.at['implicit']} must be authenticated (i.e., Example client)"
        assert client.login() == 235
        assert client.mail("coco@example.test", "mike@example.test", message(marker)) == 250
        client.quit()
    assert b"with ESMTPSA id" in server.wait_mail("mike@example.test", marker)
    row = server.wait_rows("select tls, account from mails where remote_ip = ?", source)[0]
    assert row["tls"].startswith("TLSv1.3 ") and row["account"] == "coco@example.test"


def test_swaks_and_smtplib_submit_where_tls_comes_first(server, source, marker):
    done = subprocess.run(["swaks", "-tlsc", "--server", f"127.0.0.1:{server.at['implicit']}", "--local-interface", source, "--ehlo", "client",
                           "--auth", "PLAIN", "--auth-user", "coco@example.test", "--auth-password", PASSWORD, "--from", "coco@example.test",
                           "--to", "mike@example.test", "--body", marker], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                          check=False, text=True)
    assert done.returncode == 0, done.stdout
    server.wait_mail("mike@example.test", marker)
    context = ssl.create_default_context(cafile=server.path("certificate.pem"))
    context.check_hostname = False
    with smtplib.SMTP_SSL("127.0.0.1", server.at["implicit"], source_address=(fresh_source(), 0), timeout=60, context=context) as client:
        client.login("coco@example.test", PASSWORD)
        client.sendmail("coco@example.test", ["mike@example.test"], message(marker + "-smtplib"))
    server.wait_mail("mike@example.test", marker + "-smtplib")


def test_plain_text_where_tls_comes_first_is_logged_closed_and_a_violation(server, source):
    before = len(server.log_text())
    with talk(server, "implicit", source, greeting=False) as client:
        client.send("EHLO client.example.net\r\n")
        client.expect_close()
    server.wait_log(rf"violation by {re.escape(source)}: \(TLS\), rule talk: plain text on a port that begins with TLS", before)
    assert server.wait_rows("select 1 from contacts where remote_ip = ? and violations = 1", source)


def test_a_handshake_that_fails_is_logged_and_closed(server, source):
    before = len(server.log_text())
    with talk(server, "implicit", source, greeting=False) as client:
        client.send(b"\x16\x03\x01\x00\x05hello")
        try:
            client.socket.recv(1000)  # an alert
        except ConnectionResetError:
            pass
    server.wait_log(rf"TLS with {re.escape(source)} failed: ", before)


def test_the_handshake_has_the_sessions_deadline(make_instance, source):
    port, = ports.take(1)
    server = make_instance(settings={"receiver_timeout": 1}, extra=f'listen "127.0.0.1:{port}" {{ role = submission\n tls = implicit }}')
    for sent in (b"", b"\x16\x03\x01\x02\x00\x01"):
        before = len(server.log_text())
        with SmtpTalker(port, source=source, greeting=False) as client:
            client.send(sent)
            client.expect_close()
        server.wait_log(rf"{re.escape(source)} (was silent for too long before the TLS handshake|failed: the peer is too slow)", before)
    ports.give_back([port])


def test_lockouts_are_told_within_tls(server, source):
    with talk(server, "implicit", source, tls="mail.example.test") as client:
        for _ in range(3):
            assert client.command("EHLO").code == 501
    with talk(server, "implicit", source, tls="mail.example.test") as client:
        assert client.greeting.text.startswith("421 4.7.1 mail.example.test Access TEMPORARILY denied")
        client.expect_close()


def test_submissions_port_is_a_port_with_tls_from_the_first_byte(make_instance, source):
    port, = ports.take(1)
    server = make_instance(settings={"submissions_port": port}, extra=f'listen "127.0.0.1:{port}" {{ }}')
    with SmtpTalker(port, source=source, tls="mail.example.test") as client:
        assert "AUTH" in client.ehlo().text
    assert re.search(rf"listening on 127.0.0.1:{port} \(submission\)", server.log_text())
    ports.give_back([port])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_behind_a_real_haproxy_the_header_comes_before_the_handshake(server, marker, version):
    source = fresh_source()
    with Haproxy(server.directory, server.at["behind"]) as haproxy:
        with SmtpTalker(getattr(haproxy, version), source=source, tls="mail.example.test") as client:
            assert f"at {source}" in client.ehlo().text
            assert client.login() == 235
            assert client.mail("coco@example.test", "mike@example.test", message(marker)) == 250
            client.quit()
    assert server.wait_rows("select 1 from mails where remote_ip = ? and tls <> ''", source)


def test_header_and_hello_in_one_packet(server):
    """The client's first bytes stand behind the header in one read: they are the handshake's."""
    header, ours, theirs = b"PROXY TCP4 10.4.5.6 198.51.100.9 40000 465\r\n", ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    session = context.wrap_bio(theirs, ours, server_hostname="mail.example.test")
    with talk(server, "behind", fresh_source(), greeting=False) as client:
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        client.send(header + ours.read())
        greeting = b""
        while b"\r\n" not in greeting:
            data = client.socket.recv(65536)
            assert data, "closed"
            theirs.write(data)
            for step in (session.do_handshake, lambda: session.read(65536)):
                try:
                    greeting += step() or b""
                except ssl.SSLWantReadError:
                    break
            if ours.pending:
                client.socket.sendall(ours.read())
        assert greeting.startswith(b"220 mail.example.test ESMTP")


# ---- logins ----

def test_a_login_on_the_strangers_port_makes_a_member(server, source, marker):
    with talk(server, "mx_login", source) as client:
        client.ehlo()
        assert "250-AUTH " in client.starttls().text
        assert client.command("MAIL FROM:<coco@example.test>").code == 550  # a member's name, but no login
        assert client.login() == 235
        assert client.command("MAIL FROM:<mike@example.test>").code == 553
        client.expect(250, "MAIL FROM:<coco@example.test>")
        assert client.command("RCPT TO:<friend@remote.test>").code != 550 or "relaying" not in client.transcript()
        client.expect(250, "RSET")
        assert client.mail("coco@example.test", "mike@example.test", message(marker)) == 250
    with talk(server, "mx_login", fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<stranger@example.net>")
        assert client.command("RCPT TO:<friend@remote.test>").text == "550 5.7.1 This server does not support relaying"


@pytest.mark.parametrize("name", ["mx_must", "internal_must"])
def test_where_a_login_is_required_there_is_no_mail_before_it(server, source, name, marker):
    with talk(server, name, source) as client:
        client.ehlo("nobody.nxdomain.example" if name == "mx_must" else "client.example.net")  # no rules for strangers
        client.starttls()
        assert client.command("MAIL FROM:<coco@example.test>").text == "530 5.7.0 Authentication required"
        assert client.login() == 235
        assert client.mail("coco@example.test", "mike@example.test", message(marker)) == 250
        client.quit()


def test_lmtp_may_want_tls_and_a_login(server, source, marker):
    with talk(server, "lmtp_must", source) as client:
        client.expect(250, "LHLO client.example.net")
        assert client.command("MAIL FROM:<a@example.net>").text == STARTTLS_FIRST
        client.expect(220, "STARTTLS")
        client.handshake()
        assert "250-AUTH " in client.expect(250, "LHLO client.example.net").text
        assert client.command("MAIL FROM:<a@example.net>").code == 530
        assert client.login() == 235
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
        client.quit()
    assert b"with LMTPSA id" in server.wait_mail("coco@example.test", marker)


# ---- networks ----

def test_a_port_is_for_its_networks_alone(server, source):
    before = len(server.log_text())
    with talk(server, "near", source) as client:
        assert client.greeting.text == "554 5.7.1 mail.example.test this port is not for you"
        client.expect_close()
    server.wait_log(rf"connection from {re.escape(source)} to the port \S+ closed: it is not in its networks", before)
    assert server.contact(source) is None  # no fork, no contact
    with talk(server, "near_implicit", source, greeting=False) as client:
        client.expect_close()
    with talk(server, "near", "127.99.0.7") as client:
        assert client.greeting == 220
    with talk(server, "near_implicit", "127.99.0.7", tls="mail.example.test") as client:
        assert client.greeting == 220


def test_behind_a_proxy_the_networks_are_those_of_the_client(server, source):
    for ip, code in (("10.98.0.1", 554), ("10.99.0.1", 220)):
        with talk(server, "behind_near", source, greeting=False) as client:
            client.send(f"PROXY TCP4 {ip} 198.51.100.9 40000 25\r\n")
            assert client.reply() == code


def test_tls_that_cannot_be_is_no_start(make_instance):
    port, = ports.take(1)
    instance = make_instance(start=False, settings={"certificate": None, "private_key": None, "self_signed_certificate": False},
                             extra=f'listen "127.0.0.1:{port}" {{ role = submission\n tls = implicit }}')
    instance.prepare_files()
    done = subprocess.run([program("parcelpostd"), "-c", instance.configuration, "-f"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, check=False, text=True)
    ports.give_back([port])
    assert done.returncode == 78 and re.search(rf'listen "127.0.0.1:{port}": .*certificate', done.stdout), done.stdout
