"""Starting: what is wrong gives one clear line and the right exit status, and nothing starts."""
import contextlib
import os
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import time

import pytest

from lib import ports
from lib.instance import can_be_root
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
    ("local_domains = {one.test}\nlocal_domains = {two.test, three.test}", ["local_domains: is set already"]),
    ('listen "127.0.0.1:2" { networks = {192.0.2.1}\nnetworks = {192.0.2.2} }', ["networks: is set already"]),
    ('route "Twice.test" {}\nroute "twice.test" {}', ['route "twice.test": is there already']),
    ('route "bücher.test" {}\nroute "xn--bcher-kva.test" {}', ['route "xn--bcher-kva.test": is there already']),
    ('route "a.test" { transport = lmtp }', ['route "a.test": the key lmtp says nowhere to go']),
    ('control_directory = ""', ["control_directory: is empty"]),
], ids=["an_unknown_key", "no_number", "a_number_out_of_bounds", "an_unknown_word", "no_switch", "an_impossible_address", "an_unknown_role",
        "no_network", "a_list_twice", "a_list_of_a_block_twice", "a_route_twice", "a_route_twice_in_two_forms", "a_route_to_no_lmtp", "no_directory"])
def test_a_wrong_configuration_names_file_line_key_and_what_is_accepted(make_instance, line, words):
    key = line.split(" ")[0]
    instance = make_instance(start=False, extra=line, settings={key: None})  # None: not in the rest of the file
    instance.prepare_files()
    status, output = start_fails(instance)
    assert status == CONFIG, output
    number = open(instance.configuration, encoding="utf-8").read().split("\n").index(line.split("\n")[-1]) + 1
    assert f"{instance.configuration}:{number}" in output
    for word in words:
        assert word in output
    assert not os.path.exists(instance.database)


def test_a_missing_configuration_is_named(tmp_path):
    done = subprocess.run([program("parcelpostd"), "-c", str(tmp_path / "none.conf"), "-T"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, check=False)
    assert done.returncode == CONFIG and b"none.conf" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="takes two users")
@pytest.mark.parametrize("strange", [".", "etc", "etc/parcelpost.conf", "a link", None])
@pytest.mark.parametrize("name", ["parcelpostd", "parcelpost", "sendmail", "parcelpost-queue"])
def test_a_configuration_in_somebody_else_s_directory_is_not_read(tmp_path, name, strange):
    """Whoever made it would say what root's programs do there."""
    os.makedirs(tmp_path / "etc")
    (tmp_path / "etc" / "parcelpost.conf").write_text("no_such_key = 1\n")
    if strange == "a link":
        os.rename(tmp_path / "etc" / "parcelpost.conf", tmp_path / "elsewhere")
        os.symlink(tmp_path / "elsewhere", tmp_path / "etc" / "parcelpost.conf")
    elif strange is not None:
        os.chown(tmp_path / strange, 65534, 65534)
    words = {"parcelpostd": ["-T"], "parcelpost": ["check"], "sendmail": ["coco"], "parcelpost-queue": []}[name]
    done = subprocess.run([program(name), *words], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    output = done.stdout.decode()
    assert ("./etc/parcelpost.conf can be another user's: not used" in output) == (strange is not None), output
    assert ("no_such_key" in output) == (strange is None), output


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


@pytest.mark.parametrize("what, name", [("configuration", "parcelpost.conf"), ("rules_directory", "rules"), ("queue", "queue"), ("chroot_directory", "empty"),
                                        ("database", "state/parcelpost.db"), ("control_directory", "run")])
def test_what_the_server_goes_by_and_everybody_may_write_stops_the_start(make_instance, what, name):
    instance = make_instance()
    instance.halt()
    os.makedirs(instance.path("rules"), exist_ok=True)
    path, mode = instance.path(*name.split("/")), os.stat(instance.path(*name.split("/"))).st_mode & 0o777
    os.chmod(path, mode | 0o002)
    status, output = start_fails(instance)
    assert status == CONFIG and f"{what} {path} can be written by everybody on this host (mode {mode | 0o002:04o}); try: chmod o-w {path}" in output, output
    os.chmod(path, mode)
    instance.launch()


@pytest.mark.skipif(not can_be_root(), reason="without root everything is one user's")
@pytest.mark.parametrize("name, words", [("users.db", "cannot be opened"), ("srs.secret", "cannot be read: Permission denied")])
def test_what_lookup_cannot_read_stops_the_start(make_instance, name, words):
    """Put back by root, from a backup: every recipient would be put off, or what is forwarded bear no SRS sender."""
    instance = make_instance()
    instance.halt()
    path = instance.path("state", name)
    owner = os.stat(path)
    os.chown(path, 0, 0)
    os.chmod(path, 0o600)
    status, output = start_fails(instance)
    assert status == CONFIG and f"{path}" in output and words in output and "parcelpost-auth must be able to" in output, output
    os.chown(path, owner.st_uid, owner.st_gid)
    instance.launch()


@pytest.mark.parametrize("name, mode, words", [("parcelpost.conf", 0o646, "configuration .*parcelpost.conf can be written by everybody"),
                                               ("state/users.db", 0o604, "users_database .*users.db is open to everybody")])
def test_check_names_what_the_start_would_refuse(make_instance, name, mode, words):
    instance = make_instance()
    assert instance.command("check", check=False)[0] == 0
    path = instance.path(*name.split("/"))
    former = os.stat(path).st_mode & 0o777
    os.chmod(path, mode)
    status, output = instance.command("check", check=False)
    os.chmod(path, former)
    assert status == 1 and re.search(f"^BAD .*{words}", output, re.M), output


def test_check_names_a_database_of_users_that_cannot_be_read(make_instance):
    instance = make_instance()
    instance.halt()
    with contextlib.closing(sqlite3.connect(instance.path("state", "users.db"))) as connection:
        connection.execute("pragma user_version = 999")
    status, output = instance.command("check", check=False)
    assert status == 1 and re.search("^BAD .*users_database: .*was made by a newer Parcelpost", output, re.M), output


def test_an_empty_srs_secret_is_made_anew(make_instance):
    """A first start that was cut short, or found a full disk, left it."""
    server = make_instance()
    server.halt()
    path = server.path("state", "srs.secret")
    owner = os.stat(path)
    os.truncate(path, 0)
    server.launch()
    made = os.stat(path)
    assert made.st_size == 49 and (made.st_uid, made.st_gid, made.st_mode & 0o777) == (owner.st_uid, owner.st_gid, 0o600)


@pytest.mark.skipif(not can_be_root(), reason="without root everything is one user's")
@pytest.mark.parametrize("settings, extra, words", [
    ({"maildir_user": "nosuchuser"}, "", 'maildir_user: the system user "nosuchuser" does not exist'),
    ({"maildir_user": "root"}, "", 'maildir_user: "root" is root'),
    ({}, 'transport "t" { kind = pipe\n target = "/bin/cat"\n user = "nosuchuser" }', 'transport "t": user: the system user "nosuchuser" does not exist'),
])
def test_a_user_who_cannot_deliver_stops_the_start(make_instance, settings, extra, words):
    instance = make_instance(start=False, settings=settings, extra=extra)
    instance.prepare_files()
    status, output = start_fails(instance)
    assert status == 67 and words in output, output


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


@pytest.mark.skipif(not can_be_root(), reason="without root everything is one user's")
@pytest.mark.parametrize("name", ["private_key.pem", "certificate.pem", "dkim.pem", "password"])
def test_a_file_of_another_user_s_is_refused_at_the_start_as_at_sighup(make_instance, name):
    """The listener, signers and agents are root without its rights over other users' files."""
    instance = make_instance(start=False)
    instance.extra = f'route "far.test" {{\nhost = "127.0.0.1:9"\nuser = "us"\npassword_file = "{instance.path("password")}"\n}}'
    os.makedirs(instance.directory, exist_ok=True)
    with open(instance.path("password"), "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as stream:
        stream.write("a password\n")
    instance.start()
    path, log = instance.path(name), len(instance.log_text())
    os.chmod(path, 0o600)
    shutil.chown(path, "nobody")
    instance.reload()
    said = instance.log_text()[log:]
    checked = instance.command("check", check=False)[1]
    instance.halt()
    status, output = start_fails(instance)
    wanted = rf"{re.escape(path)}.*: Permission denied; try: chown root {re.escape(path)}$"
    assert status == CONFIG and re.search(wanted, output, re.M), output
    assert re.search("the configuration in force stays: .*" + wanted, said, re.M), said
    assert name == "password" or re.search("^BAD .*" + wanted, checked, re.M), checked


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


def test_nobody_else_can_hold_the_lock(make_instance):
    """Whoever may read a file may lock it: a start would wait for him for ever."""
    server = make_instance()
    server.halt()
    lock = server.path("run", "lock")
    os.unlink(lock)  # as after a boot
    server.command("alias", "add", "somebody@example.test", "coco@example.test")
    assert os.stat(lock).st_mode & 0o007 == 0
    os.chmod(lock, 0o644)  # an earlier version's
    server.launch()
    assert os.stat(lock).st_mode & 0o007 == 0


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


def test_make_run_makes_what_it_says_and_delivers_whatever_the_umask_is():
    """In a copy of its own, on other ports."""
    copy = tempfile.mkdtemp(prefix="parcelpost-")
    taken = ports.take(3)
    try:
        os.chmod(copy, 0o755)
        for name in ("etc", "tools"):
            shutil.copytree(os.path.join(ROOT, name), os.path.join(copy, name))
        path = os.path.join(copy, "etc", "parcelpost.conf")
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        for key, port in zip(("standard_mail_port", "internal_submit_port", "submission_port"), taken):
            text = re.sub(f"^{key} = .*", f"{key} = {port}", text, flags=re.M)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        done = subprocess.run(["sh", "-c", "umask 077; exec tools/run-demo"], cwd=copy, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                              env={**os.environ, "PARCELPOST_RUN_ONCE": "1", "BUILD": os.path.dirname(os.path.dirname(program("parcelpostd")))}, check=False)
        output = done.stdout.decode("utf-8", "replace")
        assert done.returncode == 0 and " error " not in output, output
        assert "made a self-signed certificate" in output and "made a DKIM key" in output, output
    finally:
        ports.give_back(taken)
        shutil.rmtree(copy)
