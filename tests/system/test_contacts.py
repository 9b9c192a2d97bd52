"""Violations, the warning, the lockout: the row of a contact goes through exactly the sequence that PARITY names."""
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
    wait_counts(server, source, (4, 1))
    return source


def is_closed_silently(server, source):
    with SmtpTalker(server.mx_port, source=source, greeting=False) as client:
        client.expect_close()


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


def test_a_locked_out_connection_costs_no_fork(make_instance):
    server = make_instance(settings={"receiver_spare": 1})
    source = locked_out(server)
    is_closed_silently(server, source)
    wait_for(lambda: len(server.processes("receiver")) == 1, "one spare receiver")
    before = {pid for pid, _, _ in server.processes()}
    for _ in range(50):
        is_closed_silently(server, source)
    assert {pid for pid, _, _ in server.processes()} == before


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
