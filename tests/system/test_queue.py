"""The older systems' mistakes in the queue and in the server's life (PARITY.md 1, "Queue and server"), and how it is here."""
import concurrent.futures
import contextlib
import datetime
import os
import re
import sqlite3

import pytest

from lib.background import Background
from lib.certificates import certificate
from lib.messages import message
from lib.place import program
from lib.processes import frozen
from lib.talker import SmtpTalker, fresh_source
from lib.waiting import stat, wait_for
from lib.world import World, id_of

LATER = "451 4.3.0 later|CLOSE"


@pytest.fixture(scope="module")
def world():
    """In a time zone far from UTC, which nothing here may notice."""
    with World(settings={"max_failed_msgs_per_period": 1000}, environment={"TZ": "Pacific/Auckland"}) as made:
        yield made


def test_a_message_to_more_than_the_runner_has_room_for_reaches_everybody_at_once(make_instance, marker):
    """Rows are written a moment after it has been told of the message: what it has no room for, it does not look for before."""
    server = make_instance(settings={"recipient_maximum": 2500, "local_transport": "null"})
    with contextlib.closing(sqlite3.connect(server.path("state", "users.db"))) as users, users:
        users.execute("with recursive n(i) as (select 1 union all select i + 1 from n where i < 2500) insert into users"
                      " select 'u' || i || '@example.test', hash, created_at, updated_at, scram from users, n where address = 'coco@example.test'")
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        assert client.mail("a@example.net", [f"u{number}@example.test" for number in range(1, 2501)], message(marker)).code == 250
    wait_for(lambda: [tuple(row) for row in server.sql("select state, count(*) from parcels group by state")] == [("delivered", 2500)],
             "every recipient's delivery", explain=server.log_tail)


def test_exchangers_are_looked_up_at_each_attempt(world, marker):
    old, new = world.exchanger(on={"MAIL": LATER}), world.exchanger()
    domain = world.domain([10, old])
    mail_id = world.submit(f"friend@{domain}", message(marker))
    world.parcels(mail_id, "deferred")
    world.set_domain(domain, [10, new])
    world.retry(mail_id)
    world.parcels(mail_id, "delivered")
    assert len(old.sessions) == 1 and len(new.messages) == 1
    assert [row["host"] for row in world.attempts(mail_id)] == [f"mx0.{domain}"] * 2
    assert [row["address"].split(":")[0] for row in world.attempts(mail_id)] == [old.host, new.host]


TROUBLES = {
    "a_4xx_greeting": {"GREETING": "421 4.3.2 too busy|CLOSE"}, "a_5xx_greeting": {"GREETING": "554 5.3.2 not here|CLOSE"},
    "a_4xx_to_ehlo": {"EHLO": "421 4.3.2 no|CLOSE"}, "a_4xx_to_mail": {"MAIL": "451 4.7.1 no"}, "a_4xx_to_rcpt": {"RCPT": "450 4.2.1 no"},
    "a_4xx_to_data": {"DATA": "451 4.3.0 no"}, "a_4xx_to_the_message": {"EOD": "451 4.3.0 no"}, "a_cut_connection": {"MAIL": "CLOSE"},
}


@pytest.mark.parametrize("replies", TROUBLES.values(), ids=TROUBLES)
def test_the_next_exchanger_is_tried_after(world, marker, replies):
    bad, good = world.exchanger(on=replies), world.exchanger()
    mail_id = world.submit(f"friend@{world.domain([10, bad], [20, good])}", message(marker))
    row, = world.parcels(mail_id, "delivered", "deferred", "failed").values()
    assert row["state"] == "delivered" and row["attempts"] == 1, row["delivery_msg"]
    assert len(bad.sessions) >= 1 and not bad.messages and len(good.messages) == 1 and not good.faults


def test_exchangers_that_all_greet_with_554_are_tried_again(world, marker):
    """RFC 5321 3.1 has it in place of 220, for whatever reason, also for a while; only 521 means never (RFC 7504)."""
    one, other = (world.exchanger(on={"GREETING": ["554 5.7.1 your network is listed|CLOSE", "220 hi"]}) for _ in range(2))
    mail_id = world.submit(f"friend@{world.domain([10, one], [20, other])}", message(marker))
    row, = world.parcels(mail_id, "deferred", "failed").values()
    assert row["delivery_msg"] == "451 4.3.2 greeted with: 554 5.7.1 your network is listed" and row["state"] == "deferred", row["delivery_msg"]
    world.retry(mail_id)
    world.parcels(mail_id, "delivered")
    assert len(one.messages) + len(other.messages) == 1


LACKS = {"room": (["PIPELINING", "8BITMIME", "SIZE 100"], "552 5.3.4"), "8bitmime": (["PIPELINING", "SIZE 1000000"], "554 5.6.3")}


@pytest.mark.parametrize("keywords, reply", LACKS.values(), ids=LACKS)
def test_an_exchanger_that_lacks_what_the_message_needs_is_no_reason_to_give_up(world, marker, keywords, reply):
    """Another may have it; it is final when all lack it, and not while one of them could not be asked."""
    letter = message(marker, body="gr\u00fc\u00df\r\n")
    poor, poorer, good, nobody = (world.exchanger(ehlo=keywords), world.exchanger(ehlo=keywords), world.exchanger(),
                                  world.exchanger(start=False))
    row, = world.parcels(world.submit(f"friend@{world.domain([10, poor], [20, good])}", letter), "delivered", "deferred", "failed").values()
    assert row["state"] == "delivered" and row["attempts"] == 1 and len(good.messages) == 1, row["delivery_msg"]
    row, = world.parcels(world.submit(f"friend@{world.domain([10, poor], [20, poorer])}", letter), "deferred", "failed").values()
    assert row["state"] == "failed" and row["delivery_msg"].startswith(reply), row["delivery_msg"]
    for pair in ([10, poor], [20, nobody]), ([10, nobody], [20, poor]):
        row, = world.parcels(world.submit(f"friend@{world.domain(*pair)}", letter), "deferred", "failed").values()
        assert row["state"] == "deferred", row["delivery_msg"]
    assert not poor.messages and not poorer.messages and not poor.faults


@pytest.mark.parametrize("behaviour", [{"on": {"GREETING": "521 5.3.2 takes no mail|CLOSE"}}, {"ehlo": ["PIPELINING", "SIZE 100"]}], ids=["takes_no_mail", "lacks_room"])
def test_what_one_exchanger_refuses_is_not_final_while_dns_fails_for_another(world, marker, behaviour):
    world.server.write_zone({"unknown.far.test": ["SERVFAIL"]})
    for preference in 10, 30:
        domain = world.domain([20, world.exchanger(**behaviour)], extra=[{"MX": [preference, "unknown.far.test"]}])
        row, = world.parcels(world.submit(f"friend@{domain}", message(marker)), "deferred", "failed").values()
        assert row["state"] == "deferred" and row["delivery_msg"] == "451 4.4.3 DNS failure for the address of unknown.far.test", row["delivery_msg"]


def test_the_next_exchanger_is_tried_after_a_refused_connection(world, marker):
    nobody, good = world.exchanger(start=False), world.exchanger()
    mail_id = world.submit(f"friend@{world.domain([10, nobody], [20, good])}", message(marker))
    world.parcels(mail_id, "delivered")
    assert len(good.messages) == 1


def test_the_next_exchanger_is_tried_after_an_exchanger_without_an_address(world, marker):
    good = world.exchanger()
    domain = world.domain([20, good], extra=[{"MX": [10, "gone.far.test"]}, {"MX": [15, "nullmx.example"]}])
    world.parcels(world.submit(f"friend@{domain}", message(marker)), "delivered")
    assert len(good.messages) == 1


def test_the_next_exchanger_is_tried_after_a_tls_error(world, marker, tmp_path):
    """Once more without TLS (RFC 7435), and when that does not work either, the next one."""
    good = world.exchanger()
    bad = world.exchanger(certificate=certificate(str(tmp_path)), tls_garbage=True,
                          on={"GREETING": ["220 bad.test ESMTP", "421 4.3.2 not without TLS|CLOSE"]})
    world.parcels(world.submit(f"friend@{world.domain([10, bad], [20, good])}", message(marker)), "delivered")
    assert len(bad.sessions) == 2 and not bad.messages and len(good.messages) == 1


def test_a_server_that_takes_two_messages_over_a_connection_gets_the_third_over_another(world, marker):
    sink = world.exchanger(on={"MAIL": ["250 2.1.0 ok", "250 2.1.0 ok", "421 4.7.0 too many messages|CLOSE", "250 2.1.0 ok"]})
    domain = world.domain([10, sink])
    for number in range(4):
        world.parcels(world.submit(f"friend@{domain}", message(f"{marker}-{number}")), "delivered")
    assert len(sink.messages) == 4 and len(sink.sessions) == 2 and not sink.faults


def test_a_5xx_to_a_recipient_is_final_and_asks_no_other_exchanger(world, marker):
    bad, other = world.exchanger(on={"RCPT": "550 5.1.1 never"}), world.exchanger()
    row, = world.parcels(world.submit(f"friend@{world.domain([10, bad], [20, other])}", message(marker)), "failed").values()
    assert row["delivery_msg"] == "550 5.1.1 never" and not other.sessions


@pytest.mark.parametrize("keywords", [["8BITMIME"], ["PIPELINING", "8BITMIME"]], ids=["one_by_one", "pipelined"])
@pytest.mark.parametrize("reply, state", [("550 5.1.1 no", "failed"), ("450 4.2.1 no", "deferred")], ids=["5xx", "4xx"])
def test_no_data_is_sent_when_every_recipient_was_refused(world, marker, keywords, reply, state):
    sink = world.exchanger(ehlo=keywords, on={"RCPT": reply})
    domain = world.domain([10, sink])
    rows = world.parcels(world.submit([f"a@{domain}", f"b@{domain}"], message(marker)), "failed", "deferred")
    assert {row["state"] for row in rows.values()} == {state} and not sink.messages and not sink.faults
    dialogue = [line for session in sink.sessions for line in session]
    assert dialogue.count("C: DATA") <= ("PIPELINING" in keywords) and not [line for line in dialogue if marker in line]


@pytest.mark.parametrize("order", [0, 1], ids=["local_first", "remote_first"])
def test_local_and_remote_are_decided_for_each_recipient(world, marker, order):
    one, two = world.exchanger(), world.exchanger()
    names = ["mike@example.test", f"a@{world.domain([10, one])}", "coco@example.test", f"b@{world.domain([10, two])}"]
    mail_id = world.submit(names[order:] + names[:order], message(marker))
    rows = world.parcels(mail_id, "delivered")
    assert [rows[name]["delivery"] for name in names] == ["local", "remote", "local", "remote"]
    assert [sink.messages[0].recipients for sink in (one, two)] == [[names[1]], [names[3]]]
    for name in (names[0], names[2]):
        world.server.wait_mail(name, marker)


def test_a_failure_on_one_side_leaves_the_other_alone(world, marker):
    sink = world.exchanger(on={"RCPT": "550 5.1.1 no"})
    name = f"a@{world.domain([10, sink])}"
    rows = world.parcels(world.submit([name, "mike@example.test"], message(marker)), "delivered", "failed")
    assert (rows[name]["state"], rows["mike@example.test"]["state"]) == ("failed", "delivered")


def test_a_permanent_failure_comes_back_to_the_sender_as_a_delivery_status_notification(world, marker):
    sink = world.exchanger(on={"RCPT": {}})
    domain = world.domain([10, sink])
    sink.behaviour["on"]["RCPT"] = {f"gone@{domain}": "550-5.1.1 it is\n550 5.1.1 gone"}
    mail_id = world.submit([f"gone@{domain}", f"here@{domain}"], message(marker, subject="for somebody"))
    world.parcels(mail_id, "delivered", "failed")
    notice = world.server.wait_mail("coco@example.test", f"gone@{domain}").replace(b"\r\n", b"\n").decode()
    head = notice[:notice.index("\n\n")]
    assert head.startswith("Return-Path: <>\nDelivered-To: coco@example.test\n")
    assert "\nAuto-Submitted: auto-replied" in head and f"\nIn-Reply-To: <{marker}@client.example.net>" in head
    assert re.search(r"\nContent-Type: multipart/report; report-type=delivery-status;\n\s+boundary=", head)
    assert "\nReporting-MTA: dns; mail.example.test\n" in notice
    assert re.search(rf"\nFinal-Recipient: rfc822; ?gone@{domain}\nAction: failed\nStatus: 5\.1\.1\n", notice)
    assert re.search(r"\nDiagnostic-Code: smtp; 550 5\.1\.1 ", notice)
    assert "\nSubject: for somebody\n" in notice and f"here@{domain}" not in notice
    assert len([mail for mail in world.server.mails("coco@example.test") if f"gone@{domain}".encode() in mail]) == 1


def test_no_notice_answers_the_null_sender(world, marker):
    """A message from <> fails at the local delivery; nothing is made, and nothing loops."""
    lmtp = world.exchanger(lmtp=True, on={"RCPT": "550 5.1.1 unknown after all"})
    with World(local=lmtp.endpoint) as other:
        mail_id = other.receive("coco@example.test", message(marker), sender="")
        other.parcels(mail_id, "failed")
        assert [row["mail_id"] for row in other.server.sql("select mail_id from mails")] == [mail_id]
        other.server.halt()
        assert [row["mail_id"] for row in other.server.sql("select mail_id from mails")] == [mail_id]


@pytest.fixture(scope="module")
def cron():
    """A daemon that leaves the queue to parcelpost-queue."""
    with World(settings={"runner": "cron"}) as made:
        yield made


def test_a_queue_run_says_what_became_of_it(cron, marker):
    """Exit status 0: nothing left that was due; 75: something was deferred."""
    sink = cron.exchanger(on={"MAIL": [LATER, "250 2.1.0 ok"]})
    mail_id = cron.submit(f"friend@{cron.domain([10, sink])}", message(marker))
    assert cron.server.command(name="parcelpost-queue", check=False)[0] == 75
    cron.parcels(mail_id, "deferred")
    assert cron.server.command(name="parcelpost-queue", check=False)[0] == 0, "what is not due is left alone"
    assert len(sink.sessions) == 1
    assert cron.server.command(mail_id, name="parcelpost-queue", check=False)[0] == 0, "a message named is tried at once"
    cron.parcels(mail_id, "delivered")


@pytest.mark.parametrize("daemon", ["up", "down"])
def test_two_queue_runs_at_once_deliver_everything_once(cron, marker, daemon):
    """Without the daemon one of them takes the lock, and the other asks it or is told to come again."""
    if not cron.server.daemon.running():
        cron.server.launch()
    sink = cron.exchanger()
    domain = cron.domain([10, sink])
    ids = [cron.submit(f"r{number}@{domain}", message(f"{marker}-{number}")) for number in range(8)]
    assert not sink.sessions, "runner = cron delivers nothing by itself"
    if daemon == "down":
        cron.server.halt()
    log = cron.server.path("runs")
    runs = [Background([program("parcelpost-queue"), "-c", cron.server.configuration], log, cron.server.process_environment()) for _ in range(3)]
    statuses = [run.process.wait(60) for run in runs]
    assert set(statuses) <= {0, 75} and 0 in statuses, open(log, encoding="utf-8").read()
    for mail_id in ids:
        cron.parcels(mail_id, "delivered")
    sent = [re.search(rb"X-Marker: (\S+)", one.data).group(1).decode() for one in sink.messages]
    assert sorted(sent) == [f"{marker}-{number}" for number in range(8)]


def rewrite(server, **settings):
    server.settings.update(settings)
    server.write_configuration()


def offered_size(client):
    return int(re.search(r"SIZE (\d+)", client.ehlo().text).group(1))


def test_sighup_reloads_keeps_sessions_and_refuses_a_wrong_file(make_instance, marker):
    server = make_instance(settings={"message_maximum": 1000000})
    source = fresh_source()
    with server.talk(source=source) as old:
        assert offered_size(old) == 1000000
        old.expect(250, "MAIL FROM:<someone@example.net>")
        rewrite(server, message_maximum=2000000)
        certificate(server.directory, "renewed.example.test")
        server.give_away()
        server.reload()
        wait_for(lambda: new_size(server) == 2000000, "the new size", explain=server.log_tail)
        old.expect(250, "RCPT TO:<coco@example.test>")  # the session of before goes on
        id_of(old.data(message(marker)))
    server.wait_mail("coco@example.test", marker)
    with server.talk() as client:
        client.ehlo()
        client.starttls()
        assert b"renewed.example.test" in client.socket.getpeercert(True)
    before = len(server.log_text())
    with open(server.configuration, "a", encoding="utf-8") as stream:
        stream.write("message_maximum = many\n")
    server.reload()
    server.wait_log(r"parcelpost\.conf:\d+: .*message_maximum", before)
    assert server.daemon.running() and new_size(server) == 2000000
    rewrite(server, message_maximum=3000000)
    server.reload()
    wait_for(lambda: new_size(server) == 3000000, "the third size", explain=server.log_tail)


def new_size(server):
    with server.talk() as client:
        return offered_size(client)


def zombies(server):
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and (fields := stat(pid))[0] == "Z" and int(fields[3]) == server.pid]


def test_ended_processes_leave_no_zombies(make_instance, marker):
    """Receivers and agents that end by themselves, and those that are killed."""
    server = make_instance(settings={"receiver_spare": 2})
    for number in range(4):
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            mail_id = id_of(client.mail("someone@example.net", "coco@example.test", message(f"{marker}-{number}")))
            client.quit()
        server.wait_parcels(mail_id, "delivered")
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        killed = server.kill("receiver") + server.kill("agent") + server.kill("lookup")
        client.expect_close()
    assert killed
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in killed), "the killed to be gone, zombies too", explain=server.log_tail)
    wait_for(lambda: not zombies(server), "the end of all zombies")


def test_connections_wait_while_the_listener_is_busy(make_instance):
    """The backlog is not 0: forty connect while nobody accepts, and all are greeted afterwards."""
    server = make_instance()
    with frozen(server.pid):
        clients = [SmtpTalker(server.mx_port, source=fresh_source(), greeting=False) for _ in range(40)]
    for client in clients:
        assert client.reply().text.startswith("220 mail.example.test ESMTP Parcelpost ")
        client.close()


def test_times_are_utc_whatever_the_zone_of_the_machine(world, marker):
    """Rows compare as text, so an hour of a zone would make mail due too late or too early."""
    sink = world.exchanger(on={"MAIL": LATER})
    mail_id = world.submit(f"friend@{world.domain([10, sink])}", message(marker))
    row, = world.parcels(mail_id, "deferred").values()
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    for column, low, high in (("created_at", -600, 5), ("delivery_at", -600, 5), ("retry_at", 2900, 4000)):
        offset = (datetime.datetime.strptime(row[column], "%Y-%m-%d %H:%M:%S") - now).total_seconds()
        assert low < offset < high, (column, row[column], now)


def test_no_counter_update_is_lost(world):
    """Twenty connections at once from one address, a violation in each: twenty hits, twenty violations."""
    source = fresh_source()

    def misbehave(_):
        with world.server.talk(source=source) as client:
            client.ehlo()
            client.expect(500, "BOGUS")
            client.quit()
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        list(pool.map(misbehave, range(20)))
    world.server.wait_rows("select 1 from contacts where remote_ip = ? and violations = 20 and hits = 20", source)
    assert world.server.sql("select count(*) from violations join contacts on contacts.id = contact_id where remote_ip = ?", source)[0][0] == 20


def test_the_better_exchanger_gets_the_mail(world, marker):
    """Whatever the order of the records: only preference counts."""
    best, second, third = (world.exchanger() for _ in range(3))
    for number in range(4):
        domain = world.domain([30, third], [5, best], [20, second])
        world.parcels(world.submit(f"friend@{domain}", message(f"{marker}-{number}")), "delivered")
    assert len(best.messages) == 4 and not second.sessions and not third.sessions


def test_our_own_name_among_the_exchangers_cuts_off_the_worse_ones(world, marker):
    """A backup exchanger hands on to better ones only; the worse ones would send it back."""
    better, worse = world.exchanger(on={"MAIL": LATER}), world.exchanger()
    domain = world.domain([10, better], [30, worse], extra=[{"MX": [20, "mail.example.test"]}])
    world.parcels(world.submit(f"friend@{domain}", message(marker)), "deferred")
    assert len(better.sessions) == 1 and not worse.sessions
