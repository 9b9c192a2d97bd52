"""Starting: what is wrong gives one clear line and the right exit status, and nothing starts."""
import os
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import time

import pytest

from lib.place import ROOT, program

CONFIG, CANT_CREATE, UNAVAILABLE, USAGE = 78, 73, 69, 64


def start_fails(instance):
    """(exit status, output) of a server that must not start."""
    done = subprocess.run([program("parcelpostd"), "-c", instance.configuration, "-f"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


@pytest.mark.parametrize("line, words", [
    ("no_such_key = 1", ["no_such_key"]),
    ("recipient_maximum = many", ["recipient_maximum", "many"]),
    ("recipient_maximum = 5", ["recipient_maximum", "100"]),
    ("log_level = loud", ["log_level", "debug", "fatal"]),
    ("ehlo_domain_required = perhaps", ["ehlo_domain_required", "yes", "no"]),
    ('listen "999.9.9.9:99999" { role = mx }', ["999.9.9.9:99999"]),
    ('listen "127.0.0.1:2" { role = queen }', ["role", "mx", "submission"]),
    ('trusted_networks = {"10.0.0.0/99"}', ["trusted_networks", "10.0.0.0/99"]),
], ids=["an_unknown_key", "no_number", "a_number_out_of_bounds", "an_unknown_word", "no_switch", "an_impossible_address", "an_unknown_role",
        "no_network"])
def test_a_wrong_configuration_names_file_line_key_and_what_is_accepted(make_instance, line, words):
    key = line.split(" ")[0]
    instance = make_instance(start=False, extra=line, settings={key: None})  # None: not in the rest of the file
    instance.prepare_files()
    status, output = start_fails(instance)
    assert status == CONFIG, output
    number = open(instance.configuration, encoding="utf-8").read().split("\n").index(line) + 1
    assert f"{instance.configuration}:{number}" in output
    for word in words:
        assert word in output
    assert not os.path.exists(instance.database)


def test_a_missing_configuration_is_named(tmp_path):
    done = subprocess.run([program("parcelpostd"), "-c", str(tmp_path / "none.conf"), "-T"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, check=False)
    assert done.returncode == CONFIG and b"none.conf" in done.stdout


def test_an_unknown_option_is_named_and_says_where_help_is():
    done = subprocess.run([program("parcelpostd"), "--wrong"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    assert done.returncode == USAGE and b"--wrong" in done.stdout and b"--help" in done.stdout


def test_printed_configuration_reads_back_to_the_same(make_instance, tmp_path):
    instance = make_instance(start=False)
    instance.prepare_files()
    first = subprocess.run([program("parcelpostd"), "-c", instance.configuration, "-T"], stdout=subprocess.PIPE, check=True).stdout
    copy = tmp_path / "copy.conf"
    copy.write_bytes(first)
    assert subprocess.run([program("parcelpostd"), "-c", str(copy), "-T"], stdout=subprocess.PIPE, check=True).stdout == first


def test_a_taken_port_is_named(make_instance):
    instance = make_instance(start=False)
    instance.prepare_files()
    with socket.create_server(("127.0.0.1", instance.mx_port)):
        status, output = start_fails(instance)
    assert status == UNAVAILABLE and str(instance.mx_port) in output, output


@pytest.mark.parametrize("key", ["private_key", "dkim_private_key_file"])
def test_a_key_file_that_is_not_there_is_named(make_instance, key):
    instance = make_instance(start=False, settings={key: "/nowhere/key.pem"})
    instance.prepare_files()
    status, output = start_fails(instance)
    assert status != 0 and "/nowhere/key.pem" in output, output


@pytest.mark.parametrize("name", ["private_key.pem", "dkim.pem", "state/users.db", "state/srs.secret", "password"])
def test_a_secret_that_is_open_to_everybody_stops_the_start_with_its_name_and_mode(make_instance, name):
    instance = make_instance(start=False)
    instance.extra = f'route "far.test" {{\nhost = "127.0.0.1:9"\nuser = "us"\npassword_file = "{instance.path("password")}"\n}}'
    os.makedirs(instance.directory, exist_ok=True)
    with open(instance.path("password"), "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as stream:
        stream.write("a password\n")
    instance.start()
    instance.halt()
    path = instance.path(name)
    for mode in (0o604, 0o602):
        os.chmod(path, mode)
        status, output = start_fails(instance)
        assert status == CONFIG and f"{path} is open to everybody on this host (mode {mode:04o}); try: chmod o= {path}" in output, output
    os.chmod(path, 0o640)
    instance.launch()  # its group may read it


def test_the_first_start_makes_the_users_database(make_instance):
    """What the start itself has made by then does not mean that a server has run here."""
    server = make_instance(start=False)
    server.prepare_files()
    server.start_name_server()
    server.launch()
    assert "users.db was not there and is made" in server.log_text()


@pytest.mark.parametrize("name", ["private_key.pem", "certificate.pem", "dkim.pem", "authorities.pem", "parcelpost.conf"])
def test_at_sighup_a_key_file_that_is_a_pipe_is_refused_at_once(make_instance, name):
    server = make_instance(start=False, settings={"client_certificates": "ask"})
    server.settings["client_ca"] = server.path("authorities.pem")
    server.prepare_files()
    shutil.copy(server.path("certificate.pem"), server.path("authorities.pem"))
    server.start()
    os.rename(server.path(name), server.path(name + ".away"))
    os.mkfifo(server.path(name), 0o600)
    log, begin = len(server.log_text()), time.monotonic()
    server.reload()
    assert re.search(f"error .*the configuration in force stays: .*{name} is no regular file", server.log_text()[log:]) and time.monotonic() - begin < 20
    os.rename(server.path(name + ".away"), server.path(name))
    server.reload()


def test_at_sighup_a_key_that_is_open_to_everybody_is_refused(make_instance):
    server = make_instance()
    for name in ("private_key.pem", "dkim.pem"):
        log = len(server.log_text())
        os.chmod(server.path(name), 0o644)
        server.reload()
        assert re.search(f"error .*the configuration in force stays: .*{name} is open to everybody on this host", server.log_text()[log:])
        os.chmod(server.path(name), 0o600)


def test_without_a_certificate_the_server_warns_and_offers_no_starttls(make_instance, source):
    server = make_instance(settings={"certificate": "/nowhere/certificate.pem", "self_signed_certificate": False})
    assert re.search("warn .*/nowhere/certificate.pem.* does not exist: STARTTLS and AUTH are not offered", server.log_text())
    with server.talk(source=source) as client:
        assert "STARTTLS" not in client.ehlo().text


@pytest.mark.parametrize("settings", [{"certificate": "/nowhere/certificate.pem"}, {"certificate": None, "private_key": None}],
                         ids=["missing", "none"])
def test_without_a_certificate_a_self_signed_one_is_made_with_a_warning(make_instance, source, settings):
    server = make_instance(settings=settings)
    assert re.search("warn .*certificate.*: a self-signed one is made, for trying out: no client can verify it", server.log_text())
    with server.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        shown = ssl.DER_cert_to_PEM_cert(client.socket.getpeercert(True))
        assert client.login() == 235
    text = subprocess.run(["openssl", "x509", "-noout", "-subject", "-issuer", "-ext", "subjectAltName", "-checkend", "86400"], input=shown,
                          stdout=subprocess.PIPE, check=True, text=True).stdout
    assert "subject=CN = mail.example.test" in text and "issuer=CN = mail.example.test" in text and "DNS:mail.example.test" in text


def test_a_database_of_a_newer_version_stops_the_start(make_instance):
    instance = make_instance()
    instance.halt()
    connection = sqlite3.connect(instance.database)
    connection.execute("pragma user_version = 9999")
    connection.close()
    status, output = start_fails(instance)
    assert status != 0 and "newer" in output and instance.database in output, output


def test_a_second_server_under_another_lock_file_does_not_touch_the_spool(make_instance):
    first = make_instance()
    second = make_instance(start=False, settings={"queue": first.queue, "database": first.database, "users_database": first.path("state", "users.db")})
    second.prepare_files()
    status, output = start_fails(second)
    assert status == CANT_CREATE and f"{first.queue}: another server uses this queue" in output, output


def test_a_second_server_on_the_same_spool_does_not_start(make_instance):
    first = make_instance()
    status, output = start_fails(first)
    assert status == UNAVAILABLE and "already runs" in output and str(first.pid) in output, output


def test_directories_that_are_made_let_any_user_reach_sendmail_and_the_pid(make_instance):
    server = make_instance(start=False)
    server.extra = f'listen "{server.path("run", "sendmail")}" {{ role = sendmail\n mode = 0666 }}'
    server.start()
    reach = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({server.path('run', 'sendmail')!r}); assert s.recv(3) == b'220'; " \
            f"assert int(open({server.path('run', 'pid')!r}).read()) == {server.pid}"
    os.chmod(server.directory, 0o755)
    anybody = {"user": 65533, "group": 65533, "extra_groups": []} if os.geteuid() == 0 else {}
    subprocess.run(["/usr/bin/python3", "-c", reach], check=True, timeout=60, **anybody)


def test_an_installed_unit_starts_what_was_installed_and_lets_nft_run(tmp_path):
    subprocess.run(["make", "-s", "-C", ROOT, "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/mail"], check=True, timeout=600)
    unit = (tmp_path / "opt/mail/lib/systemd/system/parcelpost.service").read_text()
    started = re.findall("^ExecStart(?:Pre)?=([^ ]+)", unit, re.M)
    assert started and all(os.access(f"{tmp_path}{path}", os.X_OK) for path in started), started
    assert "CAP_NET_ADMIN" in re.search("^CapabilityBoundingSet=(.*)", unit, re.M)[1].split()
    assert "AF_NETLINK" in re.search("^RestrictAddressFamilies=(.*)", unit, re.M)[1].split()
