"""The older systems' ways of losing or damaging mail (PARITY.md 1, "Lost or damaged mail"), each shown not to recur."""
import os
import subprocess
import tempfile

import pytest

from lib.dovecot import Dovecot
from lib.instance import Instance
from lib.messages import as_crlf, message
from lib.talker import fresh_source, stuffed
from lib.waiting import wait_for
from lib.world import World, id_of


@pytest.fixture(scope="module")
def world():
    with World(settings={"dns_timeout_ms": 1000}) as made:
        yield made


def nothing_from(server, source):
    """True when no mail and no parcel of this client is on record."""
    return not server.sql("select 1 from mails where remote_ip = ?", source) and not server.sql(
        "select 1 from parcels join contacts on contacts.id = contact_id where remote_ip = ?", source)


def begin_data(client, *recipients):
    client.ehlo()
    client.expect(250, "MAIL FROM:<someone@example.net>")
    for recipient in recipients or ("coco@example.test",):
        client.expect(250, f"RCPT TO:<{recipient}>")
    client.expect(354, "DATA")


@pytest.mark.parametrize("sent", ["half a line", "a line\r\n", "a line\r\n.", "a line\r\n.\r", "a line\r\n..\r\n"],
                         ids=["in_a_line", "after_a_line", "after_the_dot", "after_the_dots_cr", "after_a_stuffed_dot"])
def test_a_connection_cut_inside_data_queues_nothing(server, source, sent):
    client = server.talk(source=source)
    begin_data(client)
    client.send("Subject: cut\r\n\r\n" + sent)
    client.close()
    server.wait_rows("select 1 from violations join contacts on contacts.id = contact_id where remote_ip = ?", source)
    assert nothing_from(server, source)


def test_no_parcel_is_visible_before_the_message_is_safe(make_instance, source, marker):
    """Before the end of the data there is no row; when the flush fails there is none either, and the client reads 451."""
    server = make_instance(start=False, preload="flush")
    server.environment["FLUSH_COUNTER"] = server.path("flushes")
    server.start()
    with server.talk(source=source) as client:
        begin_data(client)
        assert nothing_from(server, source)
        with open(server.path("flushes"), "r+b") as words:
            words.seek(16)
            words.write((1).to_bytes(8, "little"))  # the journal's next flush fails
        client.send(stuffed(message(marker + "-1")))
        assert client.reply().text.startswith("451 4.3.0")
        assert nothing_from(server, source)
        id_of(client.mail("someone@example.net", "coco@example.test", message(marker + "-2")))
    server.wait_mail("coco@example.test", marker + "-2")
    assert len(server.sql("select 1 from mails where remote_ip = ?", source)) == 1
    server.restart()
    id_of_third = from_stranger(server, marker + "-3")
    server.wait_parcels(id_of_third, "delivered")
    assert not [mail for mail in server.mails("coco@example.test") if f"{marker}-1".encode() in mail], "the unanswered record happened after all"


def from_stranger(server, marker, recipients="coco@example.test"):
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        return id_of(client.mail("someone@example.net", recipients, message(marker)))


def test_two_messages_of_one_connection_have_two_ids_pipelined_or_not(server, source, marker):
    envelope = "MAIL FROM:<someone@example.net>\r\nRCPT TO:<coco@example.test>\r\nDATA\r\n"
    ids = []
    with server.talk(source=source) as client:
        client.ehlo()
        ids.append(id_of(client.mail("someone@example.net", "coco@example.test", message(marker + "-0"))))
        for number in (1, 2):
            client.send(envelope)
            assert [client.reply().code for _ in range(3)] == [250, 250, 354]
            client.send(stuffed(message(f"{marker}-{number}")))
            ids.append(id_of(client.reply()))
    assert len(set(ids)) == 3
    for number, mail_id in enumerate(ids):
        assert f"id {mail_id}".encode() in server.wait_mail("coco@example.test", f"{marker}-{number}")


def test_every_byte_that_is_not_a_line_end_goes_through_unchanged(world, marker):
    """Into a mailbox and to another server: UTF-8 and Latin-1 in the header, every byte from 1 to 255 in the body."""
    sent = message(marker, body="", subject="Grüße, 日本") + b"".join(
        bytes(value for value in range(first, first + 32) if value not in (0, 10, 13)) + b"\r\n" for first in range(0, 256, 32))
    sent = sent.replace(b"\r\n\r\n", b"\r\nX-Latin-1: caf\xe9\r\n\r\n", 1)
    sink = world.exchanger()
    mail_id = world.submit(["mike@example.test", f"friend@{world.domain([10, sink])}"], sent)
    world.parcels(mail_id, "delivered")
    assert as_crlf(world.server.wait_mail("mike@example.test", marker)).endswith(sent)
    assert sink.messages[0].data.endswith(sent) and "BODY=8BITMIME" in sink.messages[0].parameters and not sink.faults


def test_one_refused_recipient_changes_only_its_own_parcel(world, marker):
    """And the 250 at the end of the data does not mark the refused ones delivered."""
    sink = world.exchanger(on={"RCPT": {"no@{}": None}})
    domain = world.domain([10, sink])
    sink.behaviour["on"]["RCPT"] = {f"no@{domain}": "550 5.1.1 never heard of", f"later@{domain}": "450 4.2.1 busy"}
    names = [f"{name}@{domain}" for name in ("first", "no", "later", "last")]
    mail_id = world.submit(names, message(marker))
    rows = world.parcels(mail_id, "delivered", "failed", "deferred")
    assert [rows[name]["state"] for name in names] == ["delivered", "failed", "deferred", "delivered"]
    assert rows[names[1]]["delivery_msg"] == "550 5.1.1 never heard of"
    assert rows[names[2]]["delivery_msg"] == "450 4.2.1 busy" and rows[names[2]]["retry_at"]
    assert all(rows[name]["delivery_msg"].startswith("250 2.0.0 taken") for name in (names[0], names[3]))
    assert [sent.accepted_for for sent in sink.messages] == [[names[0], names[3]]]
    world.retry(mail_id)
    world.parcels(mail_id, "delivered", "failed", "deferred")
    assert len(sink.messages) == 1, "the delivered ones were sent again"


def test_a_recipient_refused_at_reception_is_a_row_with_delivery_none(server, source, marker):
    with server.talk(source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        client.expect(550, "RCPT TO:<nobody@example.test>")
        mail_id = id_of(client.data(message(marker)))
    server.wait_mail("coco@example.test", marker)
    rows = {row["to_url"]: row for row in server.wait_parcels(mail_id, "delivered", "refused")}
    assert (rows["coco@example.test"]["delivery"], rows["coco@example.test"]["state"]) == ("local", "delivered")
    assert (rows["nobody@example.test"]["delivery"], rows["nobody@example.test"]["state"]) == ("none", "refused")
    assert rows["nobody@example.test"]["delivery_msg"].startswith("550 5.1.1")


@pytest.fixture(scope="module")
def full_dovecot():
    """A server whose Dovecot knows coco, mike, and somebody whose quota is used up; only-here is unknown to it."""
    users = ("coco@example.test", "mike@example.test", "full@example.test")
    with tempfile.TemporaryDirectory(prefix="parcelpost-dovecot-") as folder:
        os.chmod(folder, 0o755)
        with Dovecot(folder, users, quota={"full@example.test": 100}) as dovecot, Instance(local=f"127.0.0.1:{dovecot.lmtp_port}") as server:
            for user in ("full@example.test", "only-here@example.test"):
                server.add_user(user)
            yield server, dovecot


def test_dovecots_reply_for_each_recipient_is_that_recipients(full_dovecot, source, marker):
    """Unknown at RCPT, over quota after the data, and good ones before, between and behind."""
    server, dovecot = full_dovecot
    names = [f"{name}@example.test" for name in ("coco", "only-here", "full", "mike")]
    with server.talk(source=source) as client:
        client.ehlo()
        mail_id = id_of(client.mail("", names, message(marker)))
    rows = {row["to_url"]: row for row in server.wait_parcels(mail_id, "delivered", "failed", "deferred")}
    assert [rows[name]["state"] for name in names] == ["delivered", "failed", "failed", "delivered"], server.parcels_text() + dovecot.log_text()
    assert rows[names[1]]["delivery_msg"].startswith("550 5.1.1 ") and rows[names[2]]["delivery_msg"].startswith("552 5.2.2 ")
    for name in (names[0], names[3]):
        assert rows[name]["delivery_msg"].startswith("250 2.0.0 <" + name)
        assert [mail for mail in dovecot.mails(name) if marker.encode() in mail]
    assert not dovecot.mails("full@example.test")


def test_lmtp_replies_are_read_for_accepted_recipients_only(world, make_instance, source, marker):
    """Five recipients, two refused at RCPT: the three replies after the data belong to the other three, in order."""
    lmtp = world.exchanger(lmtp=True, on={
        "RCPT": {"a@example.test": "550 5.1.1 no a", "d@example.test": "450 4.2.0 d later"},
        "EOD": {"b@example.test": "250 2.0.0 for b", "c@example.test": "452 4.2.2 c is full", "e@example.test": "554 5.6.0 e dislikes it"}})
    server = make_instance(local=lmtp.endpoint, settings={"retry_schedule": ["3600"]})
    names = [f"{name}@example.test" for name in "abcde"]
    for name in names:
        server.add_user(name)
    with server.talk(source=source) as client:
        client.ehlo()
        mail_id = id_of(client.mail("", names, message(marker)))
    rows = {row["to_url"][0]: row for row in server.wait_parcels(mail_id, "delivered", "failed", "deferred")}
    assert {name: (row["state"], row["delivery_msg"]) for name, row in rows.items()} == {
        "a": ("failed", "550 5.1.1 no a"), "b": ("delivered", "250 2.0.0 for b"), "c": ("deferred", "452 4.2.2 c is full"),
        "d": ("deferred", "450 4.2.0 d later"), "e": ("failed", "554 5.6.0 e dislikes it")}
    assert not lmtp.faults


SILENCES = {
    "an_empty_greeting": {"GREETING": "|"}, "no_greeting": {"GREETING": "CLOSE"}, "an_empty_reply_to_ehlo": {"EHLO": "|"},
    "an_empty_reply_to_mail": {"MAIL": "|"}, "an_end_at_mail": {"MAIL": "CLOSE"}, "an_empty_reply_to_rcpt": {"RCPT": "|"},
    "an_end_at_data": {"DATA": "CLOSE"}, "an_empty_reply_to_the_message": {"EOD": "|"}, "an_end_at_the_message": {"EOD": "CLOSE"},
    "a_reply_that_is_none": {"MAIL": "what do you mean?"}, "half_a_reply": {"RCPT": "250-2.1.5 and more|CLOSE"},
}


@pytest.mark.parametrize("replies", SILENCES.values(), ids=SILENCES)
def test_no_proper_reply_is_a_temporary_failure(world, marker, replies):
    sink = world.exchanger(on=replies)
    mail_id = world.submit(f"friend@{world.domain([10, sink])}", message(marker))
    row, = world.parcels(mail_id, "deferred", "failed", "delivered").values()
    assert row["state"] == "deferred" and row["delivery_msg"].startswith("4") and row["retry_at"] and row["attempts"] == 1


def test_a_timeout_is_a_temporary_failure(marker):
    with World(settings={"queue_runner_timeout": 1}) as world:
        for verb in ("GREETING", "RCPT", "EOD"):
            sink = world.exchanger(on={verb: "HANG"})
            mail_id = world.submit(f"friend@{world.domain([10, sink])}", message(f"{marker}-{verb}"))
            row, = world.parcels(mail_id, "deferred", "failed", "delivered").values()
            assert row["state"] == "deferred" and row["delivery_msg"].startswith("4") and row["retry_at"], (verb, tuple(row))


def test_a_failure_is_written_and_not_tried_again_before_its_time(world, marker):
    sink = world.exchanger(on={"MAIL": "451 4.7.1 greylisted"})
    domain = world.domain([10, sink])
    mail_id = world.submit(f"friend@{domain}", message(marker))
    row, = world.parcels(mail_id, "deferred").values()
    assert (row["delivery_msg"], row["attempts"]) == ("451 4.7.1 greylisted", 1)
    assert world.server.sql("select retry_at > datetime('now', '+3500 seconds') as far, delivery_at <= datetime('now') as past "
                            "from parcels where mail_id = ?", mail_id)[0][:] == (1, 1)
    other = world.exchanger()
    for number in range(3):  # the runner wakes for these, and leaves the deferred one alone
        world.parcels(world.submit(f"x@{world.domain([10, other])}", message(f"{marker}-{number}")), "delivered")
    assert world.server.command("queue", "list").count(mail_id) == 1
    assert len(sink.sessions) == 1 and [tuple(one)[5:6] + (one["reply"],) for one in world.attempts(mail_id)][0][1] == "451 4.7.1 greylisted"
    assert len(world.attempts(mail_id)) == 1
    world.server.restart()
    world.parcels(world.submit(f"x@{world.domain([10, other])}", message(f"{marker}-after")), "delivered")
    assert len(sink.sessions) == 1, "a start of the server is no reason to try again"


GONE = {
    "no_such_domain": (None, "550 5.1.2"), "neither_exchanger_nor_address": ([{"TXT": "nothing"}], "550 5.1.2"),
    "a_null_mx": ([{"MX": [0, "."]}], "556 5.1.10"), "our_own_name_as_the_best_exchanger": ([{"MX": [10, "mail.example.test"]}], "554 5.4.6"),
    "exchangers_without_an_address": ([{"MX": [10, "nowhere.example.test"]}], "550 5.4.4"),
}


@pytest.mark.parametrize("records, reply", GONE.values(), ids=GONE)
def test_a_domain_that_takes_no_mail_ends_the_parcel_and_tells_the_sender(world, marker, records, reply):
    """The domain was good when the message came, and its server said 4xx; then its records change."""
    sink = world.exchanger(on={"MAIL": "451 4.3.0 later|CLOSE"})
    domain = world.domain([10, sink])
    mail_id = world.submit(f"friend@{domain}", message(marker))
    world.parcels(mail_id, "deferred")
    if records is None:
        del world.server.zone[domain]
        for name in [name for name in world.server.zone if name.endswith("." + domain)]:
            del world.server.zone[name]
        world.server.write_zone()
    else:
        world.server.write_zone({domain: records})
    world.retry(mail_id)
    row, = world.parcels(mail_id, "failed").values()
    assert row["delivery_msg"].startswith(reply) and row["attempts"] == 2 and len(sink.sessions) == 1
    notice = world.server.wait_mail("coco@example.test", f"@{domain}")
    assert f"Diagnostic-Code: X-Parcelpost; {reply}".encode() in notice and b"Action: failed" in notice


@pytest.mark.parametrize("fault", ["SERVFAIL", "REFUSED", "TIMEOUT"])
def test_a_failing_dns_defers(world, marker, fault):
    sink = world.exchanger(on={"MAIL": ["451 4.3.0 later|CLOSE", "250 2.1.0 ok"]})
    domain = world.domain([10, sink])
    mail_id = world.submit(f"friend@{domain}", message(marker))
    world.parcels(mail_id, "deferred")
    records = world.server.zone[domain]
    world.server.write_zone({domain: [fault]})
    world.retry(mail_id)
    row, = world.parcels(mail_id, "deferred", "failed").values()
    assert row["state"] == "deferred" and row["delivery_msg"].startswith("451 4.4.3") and row["retry_at"]
    world.server.write_zone({domain: records})
    world.retry(mail_id)
    world.parcels(mail_id, "delivered")


def test_a_domain_without_an_exchanger_gets_mail_at_its_own_address(world, marker):
    sink = world.exchanger()
    domain = world.domain(extra=[{"A": sink.host}])
    world.parcels(world.submit(f"friend@{domain}", message(marker)), "delivered")
    assert sink.messages[0].recipients == [f"friend@{domain}"]


def deferred_file(world, marker, sink):
    mail_id = world.submit(f"friend@{world.domain([10, sink])}", message(marker))
    world.parcels(mail_id, "deferred")
    path = os.path.join(world.server.queue, "mail", mail_id)
    wait_for(lambda: os.path.exists(path), "the file of a deferred message")
    return mail_id, path


def test_one_unreadable_queue_file_does_not_stop_the_others(world, marker):
    """While the server runs, and at its next start."""
    sink = world.exchanger(on={"MAIL": ["451 4.3.0 later|CLOSE"] * 4 + ["250 2.1.0 ok"]})
    broken = [deferred_file(world, f"{marker}-broken-{number}", sink) for number in range(2)]
    good = [deferred_file(world, f"{marker}-good-{number}", sink)[0] for number in range(2)]
    with open(broken[0][1], "r+b") as stream:
        stream.truncate(100)
    with open(broken[1][1], "r+b") as stream:
        stream.seek(40)
        stream.write(b"\0garbage\0")
    for mail_id, _ in broken:
        world.server.command("queue", "retry", mail_id)
    world.retry(good[0])
    world.parcels(good[0], "delivered")
    world.server.restart()
    world.retry(good[1])
    world.parcels(good[1], "delivered")
    for mail_id, path in broken:
        assert world.parcels(mail_id, "deferred") and os.path.exists(path), "what cannot be read is kept for the operator"
    assert sorted(sent.data.partition(b"X-Marker: ")[2].split(b"\r\n")[0].decode() for sent in sink.messages) == [
        f"{marker}-good-0", f"{marker}-good-1"]
    for mail_id, _ in broken:
        world.server.command("queue", "remove", mail_id)


def test_what_a_message_says_is_never_run(world, marker, tmp_path):
    """Shell, Ruby and SQL in addresses, EHLO name, header and body stay text."""
    trap = tmp_path / "trap"
    evil = f"`touch {trap}` $(touch {trap}) #{{system('touch {trap}')}} '); DROP TABLE parcels; --"
    sender = '"\'); drop table parcels; -- `touch x` $(id)"@example.net'
    mail_id = world.receive("coco@example.test", message(marker, body=evil + "\r\n", subject=evil), sender=sender)
    world.parcels(mail_id, "delivered")
    delivered = as_crlf(world.server.wait_mail("coco@example.test", marker))
    assert delivered.startswith(b"Return-Path: <" + sender.encode() + b">\r\n") and delivered.endswith(evil.encode() + b"\r\n")
    sink = world.exchanger(on={"MAIL": ["451 4.3.0 later|CLOSE", "250 2.1.0 ok"]})
    queued = world.submit(f"\"'; drop table parcels; --\"@{world.domain([10, sink])}", message(marker, body=evil + "\r\n", subject=evil))
    world.parcels(queued, "deferred")
    world.retry(queued)
    world.parcels(queued, "delivered")
    assert sink.messages[0].data.endswith(evil.encode() + b"\r\n")
    assert not trap.exists() and world.server.sql("select count(*) from parcels")[0][0] > 0


def test_the_queue_file_goes_after_its_last_recipient(world, marker):
    sink = world.exchanger()
    domain = world.domain([10, sink])
    names = [f"{name}@{domain}" for name in ("one", "two", "three")]
    sink.behaviour["on"] = {"RCPT": {names[0]: ["450 4.2.1 busy", "250 2.1.5 ok"], names[1]: ["450 4.2.1 busy", "450 4.2.1 busy", "550 5.2.1 gone"]}}
    mail_id = world.submit(names, message(marker))
    path = os.path.join(world.server.queue, "mail", mail_id)
    assert [row["state"] for row in world.parcels(mail_id, "deferred", "delivered").values()] == ["deferred", "deferred", "delivered"]
    assert os.path.exists(path) and world.server.sql("select place from mails where mail_id = ?", mail_id)[0][0] == "file"
    world.retry(mail_id)
    assert [row["state"] for row in world.parcels(mail_id, "deferred", "delivered").values()] == ["delivered", "deferred", "delivered"]
    assert os.path.exists(path)
    world.retry(mail_id)
    assert [row["state"] for row in world.parcels(mail_id, "delivered", "failed").values()] == ["delivered", "failed", "delivered"]
    wait_for(lambda: not os.path.exists(path), "the file to go")
    wait_for(lambda: world.server.sql("select place from mails where mail_id = ?", mail_id)[0][0] == "gone", "the row to say so")


def test_finished_rows_are_purged_by_age_and_what_waits_stays(make_instance, source, marker):
    server = make_instance(settings={"history_days": 1, "retry_schedule": ["3600"]}, route="127.0.0.1:1")
    with server.talk("internal", source) as client:
        client.ehlo()
        done = id_of(client.mail("coco@example.test", "mike@example.test", message(marker)))
        waiting = id_of(client.mail("coco@example.test", "friend@remote.test", message(marker)))
        client.command("BOGUS")
        client.quit()
    server.wait_parcels(done, "delivered")
    server.wait_parcels(waiting, "deferred")
    server.wait_rows("select 1 from violations")
    server.halt()
    aged = {"mails": "received_at", "parcels": "created_at", "attempts": "started_at", "violations": "created_at", "contacts": "updated_at"}
    for table, column in aged.items():
        server.edit(f"update {table} set {column} = datetime({column}, '-3 days')")
    server.edit("update parcels set delivery_at = datetime(delivery_at, '-3 days'), updated_at = datetime(updated_at, '-3 days')")
    server.edit("update contacts set created_at = datetime(created_at, '-3 days'), accepted_at = datetime(accepted_at, '-3 days')")
    server.launch()
    wait_for(lambda: not server.sql("select 1 from mails where mail_id = ?", done), "the purge of an old mail", explain=server.log_tail)
    wait_for(lambda: not server.sql("select 1 from violations"), "the purge of old violations")
    assert not server.sql("select 1 from parcels where mail_id = ?", done)
    assert server.sql("select state from parcels where mail_id = ?", waiting)[0][0] == "deferred"
    assert server.sql("select place from mails where mail_id = ?", waiting)[0][0] == "file"


def test_a_failing_signer_never_empties_the_message(make_instance, source, marker):
    """What stands between reception and spool may fail: the message is whole, or it is put off."""
    server = make_instance()
    with server.talk("internal", source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<coco@example.test>")
        client.expect(250, "RCPT TO:<mike@example.test>")
        client.expect(354, "DATA")
        assert server.kill("signer")
        client.send(stuffed(message(marker)))
        assert client.reply().text.startswith("451 4.3.0")

    def goes_through():
        with server.talk("internal", fresh_source()) as again:
            again.ehlo()
            return again.mail("coco@example.test", "mike@example.test", message(marker)).code == 250
    wait_for(goes_through, "a new signer")
    assert as_crlf(server.wait_mail("mike@example.test", marker)).endswith(message(marker))
    assert b"DKIM-Signature: " in server.wait_mail("mike@example.test", marker)


def test_a_spool_below_its_free_space_puts_mail_off(make_instance, source, marker):
    server = make_instance(settings={"queue_minimum_free": 1 << 50, "journal_max_message": 1 << 16})
    with server.talk(source=source) as client:
        client.ehlo()
        assert client.mail("someone@example.net", "coco@example.test", message(marker, body="x\r\n" * 40000)).text.startswith("452 4.3.1 ")
    assert nothing_from(server, source)


def mounted(folder, size):
    return os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=False,
                                                stderr=subprocess.DEVNULL).returncode == 0


def test_a_full_disk_is_temporary_at_reception_and_at_delivery(make_instance, marker):
    """A small tmpfs holds the spool, another one the mailboxes: 452 to the client, deferred in the queue, then all is delivered."""
    server = make_instance(start=False, settings={"queue_minimum_free": 0, "journal_segment_size": 1 << 17, "journal_max_message": 1 << 16,
                                                  "retry_schedule": ["3600"]})
    folders = [server.queue, server.path("mail")]
    for folder in folders:
        os.makedirs(folder, exist_ok=True)
    if not all([mounted(folder, "1m") for folder in folders]):
        pytest.skip("needs root and mount(2)")
    try:
        for folder in folders:
            os.chmod(folder, 0o755)
        os.chown(server.queue, *os.stat(server.path("state"))[4:6] if os.path.exists(server.path("state")) else (0, 0))
        server.start()
        body = ("x" * 70 + "\r\n") * 9000  # 648000 bytes
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            small = id_of(client.mail("", "coco@example.test", message(marker)))
            assert client.mail("", "coco@example.test", message(marker, body=body * 2)).text.startswith("452 4.3.1 ")
            first = id_of(client.mail("", "coco@example.test", message(marker + "-1", body=body)))
            server.wait_parcels(first, "delivered")
            second = id_of(client.mail("", "mike@example.test", message(marker + "-2", body=body)))
        server.wait_parcels(small, "delivered")
        row, = server.wait_parcels(second, "deferred", "failed", "delivered")
        assert (row["state"], row["delivery_msg"][:9]) == ("deferred", "452 4.3.1")
        assert subprocess.run(["mount", "-o", "remount,size=8m", folders[1]], check=True).returncode == 0
        server.command("queue", "retry", second)
        server.wait_parcels(second, "delivered")
        assert as_crlf(server.wait_mail("mike@example.test", marker + "-2")).endswith(message(marker + "-2", body=body))
    finally:
        server.halt()
        for folder in folders:
            subprocess.run(["umount", "-l", folder], check=False)
