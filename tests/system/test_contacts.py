"""Violations, the warning, the lockout: the row of a contact goes through exactly the sequence that PARITY names."""
import os
import re
import signal
import socket
import sqlite3

import pytest

from lib.instance import can_be_root, text_of
from lib.messages import message
from lib.talker import SmtpTalker, fresh_source
from lib.waiting import wait_for


def relay_attempt(server, source):
    """One connection, one refused relay: one violation."""
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        reply = client.command("RCPT TO:<victim@remote.test>")
        assert reply.text == "550 5.7.1 This server does not support relaying"
        client.expect(250, "RSET")
        client.quit()


def counts(server, source):
    row = server.contact(source)
    return (row["violations"], row["locks"]) if row else None


def wait_counts(server, source, wanted):
    wait_for(lambda: counts(server, source) == wanted, f"violations and locks {wanted}", explain=lambda: f"they are {counts(server, source)}")


def locked_out(server):
    """A contact that has had its warning."""
    source = fresh_source()
    for number in range(1, 4):
        relay_attempt(server, source)
        wait_counts(server, source, (number, 0))
    with SmtpTalker(server.mx_port, source=source) as client:
        assert client.greeting.text.startswith(f"421 4.7.1 mail.example.test Access TEMPORARILY denied to {source}: you may try again after ")
        client.expect_close()
    wait_for(lambda: counts(server, source) in ((4, 1), (0, 1)), "the lockout in its row")  # a short one may be over by now
    return source


def is_closed_silently(server, source):
    with SmtpTalker(server.mx_port, source=source, greeting=False) as client:
        client.expect_close()


def test_a_server_starts_with_ten_thousand_contacts_locked_out(make_instance):
    server = make_instance()
    server.halt()
    connection = sqlite3.connect(server.database)
    with connection:
        connection.executemany(
            "insert into contacts (remote_ip, locks, violations, expires_at, locked_at, created_at, updated_at)"
            " values (?, 1, 4, datetime('now', '+1 hour'), datetime('now'), datetime('now'), datetime('now'))",
            [(f"127.200.{number // 250}.{1 + number % 250}",) for number in range(10000)])
    connection.close()
    server.launch()
    is_closed_silently(server, "127.200.0.1")
    is_closed_silently(server, "127.200.39.250")
    relay_attempt(server, "127.201.0.1")


def test_repeated_relay_attempts_lead_to_a_warning_then_to_silence(server):
    source = locked_out(server)
    hits = server.contact(source)["hits"]
    for _ in range(5):
        is_closed_silently(server, source)
    wait_for(lambda: server.contact(source)["hits"] == hits + 5, "the hits to be counted")
    assert counts(server, source) == (4, 1)


def test_each_violation_has_a_row_of_evidence(server):
    source = fresh_source()
    relay_attempt(server, source)
    rows = server.wait_rows("select violations.* from violations join contacts on contacts.id = contact_id where remote_ip = ?", source)
    assert len(rows) == 1 and rows[0]["verb"] == "RCPT" and rows[0]["port"] == server.mx_port
    assert rows[0]["reply"] == "550 5.7.1 This server does not support relaying" and rows[0]["counted"] == 1


def test_a_locked_out_connection_costs_no_fork(server):
    source = locked_out(server)
    is_closed_silently(server, source)

    def new_processes():
        before = {pid for pid, _, _ in server.processes()}
        for _ in range(100):
            is_closed_silently(server, source)
        return {pid for pid, _, _ in server.processes()} - before
    assert not new_processes() or not new_processes()  # the first time, spares for earlier clients may still come


def test_the_lockout_ends_after_prohibited_seconds_without_an_attempt(make_instance):
    server = make_instance(settings={"prohibited_seconds": 1})
    source = locked_out(server)
    wait_for(lambda: counts(server, source) == (0, 1), "the end of the lockout")
    with server.talk(source=source) as client:
        assert client.greeting.code == 220


def test_an_operator_forgives_a_contact_with_sqlite3(server):
    source = locked_out(server)
    server.edit("update contacts set violations = 0, expires_at = null where remote_ip = ?", source)

    def greeted():
        with SmtpTalker(server.mx_port, source=source, greeting=False) as client:
            return client.socket.recv(3) == b"220"
    wait_for(greeted, "the edit to take effect")


def test_an_accepted_message_clears_the_count_and_an_accepted_recipient_does_not(server, marker):
    source = fresh_source()
    relay_attempt(server, source)
    wait_counts(server, source, (1, 0))
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        assert counts(server, source) == (1, 0)
        assert client.data(message(marker)) == 250
    wait_counts(server, source, (0, 0))


def test_unknown_recipients_count_once_a_transaction(server):
    source = fresh_source()
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        for number in range(5):
            assert client.command(f"RCPT TO:<nobody-{number}@example.test>").text.startswith("550 5.1.1 ")
        client.expect(250, "RSET")
        client.quit()
    wait_counts(server, source, (1, 0))
    rows = server.sql("select counted from violations join contacts on contacts.id = contact_id where remote_ip = ?", source)
    assert sum(row["counted"] for row in rows) == 1


def test_networks_in_allow_are_never_locked_out(make_instance):
    source = "127.99.0.1"
    server = make_instance(settings={"allow": ["127.99.0.0/16"]})
    for _ in range(6):
        relay_attempt(server, source)


# What counts, and what does not.

def evidence(server, source):
    rows = server.sql("select verb, rule, counted from violations join contacts on contacts.id = contact_id where remote_ip = ? "
                      "order by violations.id", source)
    return [tuple(row) for row in rows]


def begun(server, source, role="mx"):
    """A connection within a transaction."""
    client = server.talk(role, source)
    client.ehlo()
    client.expect(250, "MAIL FROM:<someone@example.net>")
    client.expect(250, "RCPT TO:<coco@example.test>")
    return client


def leave_in_data(client):
    client.expect(354, "DATA")
    client.send(b"Subject: half\r\n\r\nno end")
    client.close()


LEAVING = {
    "a close within a transaction": (lambda client: client.close(), "RCPT", "broken"),
    "a close within the data": (leave_in_data, "DATA", "broken"),
    "QUIT in the middle of a message": (lambda client: client.quit(), "QUIT", "broken"),
}


@pytest.mark.parametrize("how", LEAVING)
def test_leaving_in_the_middle_is_a_violation(server, source, how):
    leave, verb, rule = LEAVING[how]
    leave(begun(server, source))
    wait_counts(server, source, (1, 0))
    assert evidence(server, source) == [(verb, rule, 1)]


REFUSED = {
    "MAIL, for the moment": ("a@servfail.example", ["coco@example.test"], (0, 0)),
    "MAIL, for good": ("a@nxdomain.example", ["coco@example.test", "mike@example.test"], (1, 0)),
    "every RCPT, for the moment": ("a@example.net", ["coco@example.test", "mike@example.test"], (0, 0)),
    "every RCPT, for good": ("a@example.net", ["nobody@example.test", "nothing@example.test"], (1, 0)),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("end", ("DATA", "BDAT 3 LAST\r\n1"))
def test_what_was_sent_before_the_refusal_could_be_read_counts_no_further(make_instance, source, what, end):
    """RFC 2920: servers such as Postfix send MAIL, RCPT and DATA in one piece, and leave with QUIT when they read that nothing is taken."""
    server = make_instance(settings={"greylisting": what == "every RCPT, for the moment"})
    sender, recipients, wanted = REFUSED[what]
    with server.talk(source=source) as client:
        client.ehlo()
        client.send("".join(f"{line}\r\n" for line in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{one}>" for one in recipients), end)).encode())
        for _ in range(len(recipients) + 2):
            client.reply()
        client.quit()
    assert (counts(server, source) or (0, 0)) == wanted, evidence(server, source)


def test_a_timeout_is_a_violation_of_strangers_and_not_of_those_with_accepted_mail(make_instance, source, marker):
    server = make_instance(settings={"receiver_timeout": 3})
    for known in (False, True):
        client = begun(server, source)
        if known:
            assert client.data(message(marker)) == 250
            client.expect(250, "MAIL FROM:<someone@example.net>")
        assert client.reply().text.startswith("421 4.4.2 ")
        wait_for(lambda known=known: evidence(server, source)[-1:] == [("MAIL" if known else "RCPT", "timeout", 0 if known else 1)],
                 "the evidence", explain=lambda: evidence(server, source))
    assert counts(server, source) == (0, 0)


def test_broken_connections_of_a_contact_with_accepted_mail_are_noted_and_not_counted(server, source, marker):
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.mail("someone@example.net", "coco@example.test", message(marker)) == 250
        client.quit()
    for _ in range(5):
        begun(server, source).close()
    wait_for(lambda: len(evidence(server, source)) == 5, "the evidence")
    assert counts(server, source) == (0, 0) and {row[2] for row in evidence(server, source)} == {0}


def test_a_failed_login_is_a_violation_and_a_good_one_clears(server, source):
    with server.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        for _ in range(3):
            assert client.login(password="wrong") == 535
        assert counts(server, source) == (3, 0)
        assert client.login() == 235
        assert counts(server, source) == (0, 0)
        client.quit()
    with server.talk(source=source) as client:
        assert client.greeting.code == 220
    assert [row[0] for row in evidence(server, source)] == ["AUTH"] * 3


def test_a_transient_refusal_is_no_violation(server, source):
    with server.talk(source=source) as client:
        assert client.command("EHLO servfail.example") == 450
        client.ehlo()
        assert client.command("MAIL FROM:<a@servfail.example>") == 451
        client.quit()
    assert counts(server, source) == (0, 0) and not evidence(server, source)


def test_the_listener_reports_a_receivers_death_by_signal_and_no_other_end(make_instance):
    server = make_instance(settings={"receiver_spare": 1})
    polite, abrupt, killed = fresh_source(), fresh_source(), fresh_source()
    with server.talk(source=polite) as client:
        client.quit()
    server.talk(source=abrupt).close()
    with server.talk(source=killed) as client:  # its own receiver alone: those of the others may still be ending
        os.kill(int(server.wait_log(rf"receiver\[(\d+)\].*: connection from {killed} ").group(1)), signal.SIGKILL)
        client.expect_close()
    wait_for(lambda: evidence(server, killed), "the evidence", explain=server.log_tail)
    assert [row[1:] for row in evidence(server, killed)] == [("receiver died", 1)] and counts(server, killed) == (1, 0)
    assert not evidence(server, polite) and not evidence(server, abrupt)


# Lockouts.

def is_greeted(server, source):
    with SmtpTalker(server.mx_port, source=source, greeting=False) as client:
        return client.socket.recv(3) == b"220"


def test_several_violations_of_one_connection_lock_out_within_it(server, source):
    other = server.talk(source=source)
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        for _ in range(3):
            assert client.command("RCPT TO:<victim@remote.test>") == 550
        assert client.command("RCPT TO:<victim@remote.test>").text.startswith("421 4.7.1 ")
        client.expect_close()
    assert counts(server, source) == (4, 1)
    is_closed_silently(server, source)
    assert other.command("EHLO nxdomain.example").text.startswith("421 4.7.1 ")  # a connection that was open already
    other.expect_close()
    assert counts(server, source) == (5, 1)


def test_attempts_never_extend_a_lockout_past_its_maximum(make_instance):
    server = make_instance(settings={"prohibited_seconds": 2, "lockout_maximum": 3})
    source = locked_out(server)
    wait_for(lambda: is_greeted(server, source), "the end of a lockout that is knocked at all the time")
    assert counts(server, source) == (0, 1) and server.contact(source)["hits"] > 10


def test_parcelpost_forgives_and_locks(server):
    source = locked_out(server)
    server.command("contacts", "forgive", source)
    wait_for(lambda: is_greeted(server, source), "the pardon to take effect")
    assert counts(server, source) == (0, 1)
    server.command("contacts", "lock", source)
    wait_for(lambda: not is_greeted(server, source), "the lock to take effect")
    assert counts(server, source) == (4, 2)
    server.command("contacts", "forgive", source)


@pytest.mark.skipif(not can_be_root(), reason="needs root: its descriptors are shown to nobody else")
def test_the_guard_hears_the_listener_alone(make_instance):
    server = make_instance(root=True, settings={"lock_command": "/bin/true"})
    [guard] = wait_for(lambda: [pid for pid, _, _ in server.processes("guard")], "the guard")

    def sockets():
        names = [os.readlink(f"/proc/{guard}/fd/{name}") for name in os.listdir(f"/proc/{guard}/fd")]
        return [name for name in names if name.startswith("socket:")]
    wait_for(lambda: len(sockets()) == 1, "what is not its own to be closed")


def test_a_lock_command_without_a_path_is_found_as_other_programs_are(make_instance):
    """As the page has it: nft."""
    server = make_instance(settings={"lock_command": "ban --now %i"})
    server.halt()
    os.mkdir(server.path("programs"))
    with open(server.path("programs", "ban"), "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o755)) as stream:
        stream.write(f'#!/bin/sh\necho "$*" > {server.path("state", "banned")}\n')
    server.environment["PATH"] = server.path("programs") + ":" + os.environ["PATH"]
    server.launch()
    server.command("contacts", "lock", "192.0.2.7")
    wait_for(lambda: text_of(server.path("state", "banned")) == "--now 192.0.2.7\n", "the command", explain=server.log_tail)


def test_commands_run_when_a_contact_is_locked_out_and_when_that_ends(make_instance):
    server = make_instance(start=False, settings={"prohibited_seconds": 1})
    script = server.path("ban")
    with open(script, "w", encoding="ascii") as stream:
        stream.write('#!/bin/sh\necho "$*" $(id -u) $(grep CapEff /proc/self/status) >> "$0.done"\n')
    os.chmod(script, 0o755)
    with open(script + ".done", "w", encoding="ascii"):
        os.chmod(script + ".done", 0o666)
    server.settings.update(lock_command=f"{script} lock", unlock_command=f"{script} unlock")
    server.start()
    source = locked_out(server)

    def told():
        with open(script + ".done", encoding="ascii") as stream:
            return stream.read().split("\n")[:-1]
    wait_for(lambda: len(told()) >= 2, "both commands", explain=server.log_tail)
    with open(f"/proc/{server.pid}/status", encoding="ascii") as stream:
        listener = dict(line.split(":\t") for line in stream.read().splitlines() if ":\t" in line)
    for line, what in zip(told(), ("lock", "unlock")):
        words = line.split()
        assert words[:3] == [what, source, listener["Uid"].split()[0]]
        if server.root:  # a firewall takes no orders from anybody less
            assert int(words[-1], 16) & (1 << 12), "without CAP_NET_ADMIN"
    assert len(told()) == 2
    # locked out again, then forgiven while no server runs: the next start has the firewall open
    server.command("contacts", "lock", source, "3600")
    wait_for(lambda: len(told()) >= 3, "the second lock_command", explain=server.log_tail)
    server.halt()
    server.command("contacts", "forgive", source)
    assert len(told()) == 3
    server.launch()
    wait_for(lambda: len(told()) >= 4, "unlock_command", explain=server.log_tail)
    assert [line.split()[0] for line in told()] == ["lock", "unlock"] * 2


def test_an_unlock_that_a_crash_cut_short_runs_at_the_next_start(make_instance, tmp_path):
    bans = tmp_path / "bans"
    bans.mkdir()
    bans.chmod(0o777)
    tmp_path.chmod(0o755)
    server = make_instance(settings={"lock_command": f"/bin/mkdir {bans}/%i", "unlock_command": f"/bin/rmdir {bans}/%i"})
    server.command("contacts", "lock", "10.9.9.9", "3600")
    wait_for(lambda: os.listdir(bans) == ["10.9.9.9"], "lock_command", explain=server.log_tail)
    (guard, _, _), = server.processes("guard")
    os.kill(guard, signal.SIGSTOP)
    server.command("contacts", "forgive", "10.9.9.9")
    server.kill_all()
    assert os.listdir(bans) == ["10.9.9.9"]
    server.launch()
    wait_for(lambda: not os.listdir(bans), "unlock_command", explain=server.log_tail)
    server.wait_rows("select 1 from contacts where remote_ip = '10.9.9.9' and locked_at is null", what="the unlock's end in the row")
    server.restart()
    assert server.halt() == 0 and "rmdir" not in server.log_text(), "a second unlock_command"


def test_commands_run_in_order_and_for_every_contact_however_many_there_are(make_instance, tmp_path):
    """rmdir works only behind mkdir: what is left over was locked and not unlocked, or the other way round."""
    bans, many = tmp_path / "bans", 1500
    bans.mkdir()
    bans.chmod(0o777)
    tmp_path.chmod(0o755)
    server = make_instance(settings={"lock_command": f"/bin/mkdir {bans}/%i", "unlock_command": f"/bin/rmdir {bans}/%i"})
    server.edit("with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ?) "
                "insert into contacts (remote_ip, locks, violations, expires_at, locked_at, created_at, updated_at) "
                "select '10.7.' || (i / 200) || '.' || (i % 200), 1, 4, datetime('now', '+1 hour'), datetime('now'), datetime('now'), "
                "datetime('now') from n", many)

    def wait_commands(count):
        """Thousands of processes take a slow machine long; each comes soon after the other."""
        while (there := len(os.listdir(bans))) != count:
            wait_for(lambda there=there: len(os.listdir(bans)) != there, "another command", explain=lambda: f"{len(os.listdir(bans))} of {count}\n{server.log_tail()}")
    wait_commands(many)
    server.command("contacts", "forgive", "all")
    wait_commands(0)
    server.command("contacts", "lock", "10.9.9.9", "3600")
    server.command("contacts", "forgive", "10.9.9.9")  # at once: the commands must not overtake each other
    assert server.halt() == 0
    assert not os.listdir(bans) and not re.search("rmdir .* ended with|mkdir .* ended with", server.log_text())


def test_ipv6_contacts_count_per_prefix(make_instance):
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("needs IPv6 on the loopback interface")
    server = make_instance(start=False, settings={"contact_prefix_v6": 64})
    server.extra = f'listen "[::1]:{server.mx_port}" {{ role = mx }}'
    server.start()
    with SmtpTalker(server.mx_port, host="::1") as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        assert client.command("RCPT TO:<victim@remote.test>") == 550
        client.expect(250, "RSET")
        client.quit()
    wait_counts(server, "::/64", (1, 0))
    assert server.contact("::1") is None
