"""The server as a process: options, pid file, signals, log files, mail ids, tables."""
import fcntl
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

from lib import certificates, ports
from lib.background import stop_pid
from lib.messages import as_crlf, body_of, message
from lib.place import program
from lib.talker import Closed, fresh_source, stuffed
from lib.waiting import start_time, wait_for
from lib.world import id_of

CONFIG = 78


def read(path):
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def run(*words):
    done = subprocess.run([program("parcelpostd"), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          timeout=60, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


# Options and pid file.


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """An instance whose start gives a warning, then an error."""
    from lib.instance import Instance
    instance = Instance(settings={"certificate": "/nowhere/certificate.pem"},
                        extra='route "*" {\nhost = "127.0.0.1:9"\nuser = "us"\npassword_file = "/nowhere/password"\n}')
    instance.drop = False
    instance.prepare_files()
    yield instance
    instance.stop(check=False)
    instance.remove()


@pytest.mark.parametrize("option, shown", [("--debug", "warn error"), ("--info", "warn error"), ("--warn", "warn error"), ("--error", "error"),
                                           ("--fatal", "")])
def test_an_option_sets_the_lowest_severity_that_is_logged(failing, option, shown):
    status, output = run("-c", failing.configuration, option)
    assert status == CONFIG, output
    assert sorted(set(re.findall(r"^\S+ \S+ (warn|error) ", output, re.M))) == sorted(shown.split()), output


def test_daemonize_leaves_a_server_with_a_pid_file_and_a_log(make_instance, marker):
    instance = make_instance(start=False)
    instance.settings["log_path_and_file"] = log = instance.path("log-folder", "server.log")
    os.makedirs(os.path.dirname(log))
    instance.prepare()
    user = {"user": 65534, "group": 65534, "extra_groups": []} if instance.drop else {}
    try:
        done = subprocess.run([program("parcelpostd"), "-c", instance.configuration, "--daemonize", "--debug"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False, cwd=instance.directory,
                              env={**os.environ, **instance.process_environment()}, **user)
        assert done.returncode == 0 and done.stdout == b"", done.stdout  # and nobody of it holds our pipe any more
        pid = int(read(instance.path("run", "pid")))
        with instance.talk(source=fresh_source()) as client:  # at once: the command has waited until all runs
            assert client.ehlo().code == 250
            client.mail("someone@example.net", "coco@example.test", message(marker))
        instance.wait_mail("coco@example.test", marker)
        assert os.getsid(pid) == pid != os.getsid(0)
        assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)} == {"/dev/null"}
        assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} debug receiver\[\d+\] \S+: state connected -> greeted$", read(log), re.M)
    finally:
        pid = int(read(instance.path("run", "pid")))
        stop_pid(pid, start_time(pid))
    assert not os.path.exists(instance.path("run", "pid"))
    assert "ended" in read(log)


def test_daemonize_without_a_log_file_is_refused(failing):
    status, output = run("-c", failing.configuration, "--daemonize")
    assert status == CONFIG and "log_path_and_file" in output


# Signals.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_stopping_server_finishes_the_message_in_hand(make_instance, marker, number):
    server = make_instance(settings={"runner": "cron"})  # delivery is for later
    idle, busy = server.talk(source=fresh_source()), server.talk(source=fresh_source())
    idle.ehlo()
    busy.ehlo()
    busy.expect(250, "MAIL FROM:<someone@example.net>")
    busy.expect(250, "RCPT TO:<coco@example.test>")
    busy.expect(354, "DATA")
    whole = stuffed(message(marker, body="The first half.\r\nThe second half.\r\n"))
    busy.send(whole[:-30])
    server.daemon.send(number)
    assert idle.reply().code == 421
    idle.expect_close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.mx_port), 5)
    assert server.daemon.running() and os.path.exists(server.path("run", "pid"))
    busy.send(whole[-30:])
    mail_id = id_of(busy.reply())
    try:
        assert busy.reply().code == 421
    except Closed:
        pass
    assert server.daemon.process.wait(20) == 0
    assert not os.path.exists(server.path("run", "pid")) and not server.mails("coco@example.test")
    server.settings["runner"] = "resident"
    server.write_configuration()
    server.launch()
    arrived = as_crlf(server.wait_mail("coco@example.test", marker))
    assert body_of(arrived) == b"The first half.\r\nThe second half.\r\n"
    assert server.wait_parcels(mail_id, "delivered")


def certificate_of(client):
    return ssl.DER_cert_to_PEM_cert(client.socket.getpeercert(True))


def test_sighup_renews_certificates_and_ports_while_sessions_go_on(make_instance, marker):
    server = make_instance()
    old = server.talk("submission", fresh_source())
    old.ehlo()
    old.starttls()
    plain = server.talk(source=fresh_source())
    plain.ehlo()
    plain.expect(250, "MAIL FROM:<someone@example.net>")
    chain, _ = certificates.certificate(server.directory, "renewed.example.test")
    former, server.mx_port = server.mx_port, ports.take(1)[0]
    server.ports[0] = server.mx_port
    server.settings["server_title"] = "Renewed"
    server.write_configuration()
    server.give_away()
    server.reload()
    try:
        wait_for(lambda: server.answers(server.mx_port), "the new port")
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", former), 5)
        with server.talk("submission", fresh_source()) as new:
            new.ehlo()
            new.starttls()
            assert certificate_of(new) == read(chain) != certificate_of(old)
            assert "Renewed members" not in new.expect(250, "NOOP").text
        assert old.login().code == 235  # the sessions from before go on with what they began with
        id_of(old.mail("coco@example.test", "mike@example.test", message(marker + "-old")))
        plain.expect(250, "RCPT TO:<mike@example.test>")
        id_of(plain.data(message(marker + "-plain")))
        for name in ("-old", "-plain"):
            server.wait_mail("mike@example.test", marker + name)
        assert old.quit().code == 221 and plain.quit().code == 221
    finally:
        ports.give_back([former])


def test_sighup_gives_a_socket_its_new_mode_and_names_an_own_port_in_the_way(make_instance):
    server = make_instance(start=False)
    path, port = server.path("mx.sock"), ports.take(1)[0]
    listens = 'listen "{path}" {{ role = mx\n mode = {mode} }}\nlisten "{address}:{port}" {{ role = mx }}'
    server.extra = listens.format(path=path, mode="0600", address="0.0.0.0", port=port)
    server.start()
    assert os.stat(path).st_mode & 0o777 == 0o600
    server.extra = listens.format(path=path, mode="0666", address="0.0.0.0", port=port)
    server.write_configuration()
    server.reload()
    wait_for(lambda: os.stat(path).st_mode & 0o777 == 0o666, "the socket's new mode", explain=server.log_tail)
    server.extra = listens.format(path=path, mode="0666", address="127.0.0.1", port=port)
    server.write_configuration()
    server.daemon.send(signal.SIGHUP)
    server.wait_log(f"the configuration in force stays: .*127.0.0.1:{port}: this server has the port under another address")
    ports.give_back([port])


def test_sighup_with_a_wrong_certificate_keeps_the_old_one(make_instance):
    server = make_instance()
    with server.talk("submission", fresh_source()) as client:
        client.ehlo()
        client.starttls()
        before = certificate_of(client)
    with open(server.path("certificate.pem"), "w", encoding="ascii") as stream:
        stream.write("this is no certificate\n")
    server.reload()
    assert re.search("error .*the configuration in force stays: .*certificate.pem", server.log_text())
    with server.talk("submission", fresh_source()) as client:
        client.ehlo()
        client.starttls()
        assert certificate_of(client) == before


def kept(server, words):
    """A reload that is refused with these words, after which the server serves as before."""
    before = len(server.log_text())
    server.reload()
    assert re.search(f"error .*the configuration in force stays: {words}", server.log_text()[before:]), server.log_tail()
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        client.expect(250, "RSET")
        client.quit()


def test_sighup_with_a_certificate_that_is_gone_keeps_the_old_one(make_instance):
    server = make_instance()
    with server.talk("submission", fresh_source()) as client:
        client.ehlo()
        client.starttls()
        before = certificate_of(client)
    os.unlink(server.path("certificate.pem"))
    kept(server, 'certificate "[^"]*/certificate.pem" does not exist')
    with server.talk("submission", fresh_source()) as client:
        client.ehlo()
        client.starttls()
        assert certificate_of(client) == before


def test_sighup_checks_what_services_need_before_they_are_replaced(make_instance, source):
    """Each of these left a server that greeted nobody, put every recipient off, or deferred all local mail."""
    server = make_instance()
    settings = dict(server.settings)
    with open(server.path("file"), "w", encoding="ascii"):
        pass
    wrong = [({"users_database": server.path("state", "other.db")}, "users_database: .* needs a new start"),
             ({"srs_secret_file": server.path("state", "other.secret")}, "srs_secret_file .* cannot be read: No such file")]
    if server.root:
        wrong += [({"chroot_directory": server.path("file")}, "chroot_directory: .*/file is no directory"),
                  ({"auth_user": "nobody"}, ".*users.db: cannot be opened"),
                  ({"maildir": server.path("mail2", "%d", "%u")}, "maildir: the directory .*/mail2 cannot be written by the user who needs it; try: chown"),
                  ({"maildir_user": "nosuchuser"}, 'maildir_user: the system user "nosuchuser" does not exist')]
    for changes, words in wrong:
        server.settings = {**settings, **changes}
        server.write_configuration()
        kept(server, words)
    server.settings = {**settings, "chroot_directory": server.path("another")}
    server.write_configuration()
    server.reload()
    with server.talk(source=source) as client:
        client.ehlo()
        client.quit()


def test_sighup_and_sigusr1_while_a_server_starts_do_not_end_it(make_instance):
    """logrotate and whoever renews certificates do not know that it has just been started."""
    server = make_instance()
    server.halt()
    with open(server.path("run", "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = len(server.log_text())
        server.spawn()
        server.wait_log("waiting for the lock")
        server.settings["server_title"] = "Renamed"
        server.write_configuration()
        for number in (signal.SIGUSR1, signal.SIGHUP):
            server.daemon.send(number)
    server.wait_log("the configuration was read again", before)
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        assert "Renamed" in client.command("MAIL FROM:<coco@example.test>").text


def test_sighup_does_not_move_the_spool_under_a_running_server(make_instance, marker):
    server = make_instance()
    kept = dict(server.settings)
    server.settings.update(database=server.path("state", "other.db"), queue=server.path("other"))
    server.write_configuration()
    server.daemon.process.send_signal(signal.SIGHUP)
    server.wait_log('the configuration in force stays: database: "[^"]*other.db" in place of "[^"]*" needs a new start')
    server.wait_log("the configuration in force stays: queue: ")
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        assert client.mail("a@example.net", "coco@example.test", message(marker)).code == 250
    server.settings.clear()
    server.settings.update(kept)
    server.write_configuration()
    server.reload()
    server.wait_mail("coco@example.test", marker)


def test_mail_that_comes_while_the_configuration_is_read_again_is_delivered_at_once(make_instance, marker):
    server = make_instance()
    for number in range(12):
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            assert client.mail("a@example.net", "coco@example.test", message(f"{marker}-{number}.")).code == 250
            server.daemon.send(signal.SIGHUP)
        server.wait_mail("coco@example.test", f"{marker}-{number}.")
    assert "askers now" not in server.log_text() and "no delivery agent" not in server.log_text()


# Log files.


def test_log_files_begin_anew_by_signal_and_by_the_day(make_instance, source):
    server = make_instance(start=False)
    log = server.path("server.log")
    server.settings["log_path_and_file"] = log
    server.start()
    receivers = dict.fromkeys(pid for pid, _, _ in server.processes("receiver"))
    os.rename(log, log + ".1")
    server.daemon.send(signal.SIGUSR1)
    wait_for(lambda: os.path.exists(log), "the new log")
    wait_for(lambda: not receivers.keys() & {pid for pid, _, _ in server.processes("receiver")}, "receivers with the new log")
    with server.talk(source=source) as client:
        client.ehlo()
        client.quit()
    wait_for(lambda: f"connection from {source}" in read(log), "the session in the new log")
    assert source not in read(log + ".1") and "is ready" in read(log + ".1")
    server.halt()
    past = time.mktime((2020, 2, 29, 12, 0, 0, 0, 0, -1))
    os.utime(log, (past, past))
    server.settings["log_file_life"] = "daily"
    server.write_configuration()
    server.launch()
    wait_for(lambda: os.path.exists(log + ".2020-02-29"), "the log of that day")
    assert f"connection from {source}" in read(log + ".2020-02-29")
    server.halt()
    assert source not in read(log) and "ended" in read(log)
    os.utime(log, (past, past))  # the same day again, as after a clock that was set back
    server.launch()
    wait_for(lambda: os.path.exists(log + ".2020-02-29.1"), "the log of that day's second time")
    assert "ended" in read(log + ".2020-02-29.1") and f"connection from {source}" in read(log + ".2020-02-29")


# Mail ids and tables.


def test_mail_ids_are_unique_across_processes(server, marker):
    ids = []
    clients = [server.talk(source=fresh_source()) for _ in range(8)]
    for client in clients:
        client.ehlo()
    for number in range(3):
        for one in clients:
            ids.append(id_of(one.mail("someone@example.net", "coco@example.test", message(f"{marker}-{number}"))))
    for client in clients:
        client.close()
    assert len(set(ids)) == len(ids) == 24
    assert all(re.fullmatch(r"[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}", one) for one in ids)


@pytest.mark.parametrize("table, columns", [
    ("contacts", "id remote_ip hits locks violations expires_at created_at updated_at"),
    ("parcels", "id contact_id mail_id from_url to_url delivery delivery_at delivery_msg retry_at created_at updated_at"),
])
def test_tables_have_the_columns_of_rubymta(server, table, columns):
    assert set(columns.split()) <= {row["name"] for row in server.sql(f"pragma table_info({table})")}


def test_refused_recipients_are_rows_with_delivery_none(server, source, marker):
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(550, "RCPT TO:<nobody@example.test>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        mail_id = id_of(client.data(message(marker)))
    rows = {row["to_url"]: row for row in server.wait_parcels(mail_id, "delivered", "refused")}
    assert (rows["nobody@example.test"]["delivery"], rows["nobody@example.test"]["state"]) == ("none", "refused")
    assert rows["nobody@example.test"]["delivery_msg"].startswith("550 5.1.1") and rows["coco@example.test"]["delivery"] == "local"
    assert rows["nobody@example.test"]["contact_id"] == server.contact(source)["id"]


def test_a_message_is_delivered_at_once(server, source, marker):
    with server.talk(source=source) as client:
        client.ehlo()
        mail_id = id_of(client.mail("someone@example.net", "coco@example.test", message(marker)))
    [row] = server.wait_parcels(mail_id, "delivered")
    [mail] = server.sql("select received_at from mails where mail_id = ?", mail_id)
    [attempt] = server.sql("select * from attempts where parcel_id = ?", row["id"])
    assert row["attempts"] == 1 and attempt["started_at"] >= mail["received_at"]
