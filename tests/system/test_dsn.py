"""Delivery status notifications (RFC 3461, 3464): who is told what, and that other people's programs understand it."""
import contextlib
import email
import email.policy
import os
import re
import shutil
import sqlite3
import tempfile

import pytest

from lib.dovecot import Dovecot
from lib.messages import message
from lib.postfix import Postfix
from lib.report_readers import bounce_parser, sisimai
from lib.talker import fresh_source
from lib.waiting import wait_for
from lib.world import World, id_of

ME = "coco@example.test"
DSN = ["PIPELINING", "8BITMIME", "SIZE 100000000", "ENHANCEDSTATUSCODES", "DSN"]


@pytest.fixture(scope="module")
def world():
    with World(settings={"max_failed_msgs_per_period": 1000}) as made:
        yield made


def send(world, recipients, data, mail="", source=None, sender=ME):
    """A member's message with parameters: recipients is {address: parameters of its RCPT}. Gives the mail id."""
    with world.server.talk("internal", source or fresh_source()) as client:
        client.ehlo()
        client.expect(250, f"MAIL FROM:<{sender}> {mail}".rstrip())
        for address, parameters in recipients.items():
            client.expect(250, f"RCPT TO:<{address}> {parameters}".rstrip())
        return id_of(client.data(data))


def notices(world, mail_id, address=ME):
    """The notices about this mail in a mailbox, parsed by Python's own library; each with .raw and .status, the fields about
    the mail and then those about each recipient."""
    found = []
    for raw in world.server.mails(address):
        if f"X-Parcelpost-Mail-ID: {mail_id}".encode() in raw:
            notice = email.message_from_bytes(raw, policy=email.policy.default)
            assert notice.get_content_type() == "multipart/report" and not notice.defects
            notice.raw = raw
            notice.status = notice.get_payload()[1].get_payload()
            found.append(notice)
    return found


def wait_notices(world, mail_id, count=1, address=ME):
    return wait_for(lambda: (lambda found: found if len(found) >= count else None)(notices(world, mail_id, address)),
                    f"{count} notices about {mail_id}", explain=world.server.log_tail)


def told(world, mail_id):
    """The kinds of the notices that were made about a mail: they are stored together with the results they tell of."""
    return re.findall(rf"{mail_id}: notice \S+ to <\S*>: (\w+),", world.server.log_text())


def age(world, mail_id, hours):
    """As if the mail had come so many hours ago."""
    world.server.edit("update mails set received_at = strftime('%Y-%m-%d %H:%M:%S', received_at, ?) where mail_id = ?", f"-{hours} hours", mail_id)


def text_of(notice):
    return notice.get_payload()[0].get_payload().replace("\r\n", "\n")


FAILURES = {  # RCPT's reply, its status, BounceParser's and Sisimai's words for it, ours for people
    "unknown_user": ("550 5.1.1 no such user here", "5.1.1", "user_unknown", "userunknown", "There is no such user at this address."),
    "mailbox_full": ("554 5.2.2 mailbox is full", "5.2.2", "over_quota", "mailboxfull", "The mailbox is full."),
    "too_large": ("554 5.3.4 message is too big", "5.3.4", "unknown", "mesgtoobig", "The message is too large for the recipient's server."),
    "refused_by_policy": ("550 5.7.1 rejected by our policy", "5.7.1", "unknown", "securityerror", "The recipient's server refuses this message"),
}


@pytest.mark.parametrize("reply, status, word, reason, sentence", FAILURES.values(), ids=FAILURES)
def test_a_failure_is_understood_by_programs_and_people(world, marker, reply, status, word, reason, sentence):
    domain = world.domain([10, world.exchanger(on={"RCPT": reply})])
    mail_id = send(world, {f"gone@{domain}": "ORCPT=rfc822;first+2Bname@old.example"}, message(marker), "ENVID=order+20314")
    world.parcels(mail_id, "failed")
    notice, = wait_notices(world, mail_id)
    parsed = bounce_parser(notice.raw)
    report, = parsed["reports"]
    assert (parsed["bounce"], parsed["id"].strip()) == (1, f"<{marker}@client.example.net>")
    assert (report["email"], report["action"], report["status"], report["std_reason"], report["smtp_code"]) == (
        "first+name@old.example", "failed", status, word, reply[:3])
    bounce, = sisimai(notice.raw)
    assert (bounce["recipient"], bounce["action"], bounce["deliverystatus"], bounce["reason"], bounce["replycode"]) == (
        f"gone@{domain}", "failed", status, reason, reply[:3])
    assert (bounce["addresser"], bounce["diagnosticcode"], bounce["rhost"]) == (ME, reply, f"mx0.{domain}")
    about, recipient = notice.status
    assert about["Original-Envelope-Id"] == "order 314" and about["Reporting-MTA"] == "dns; mail.example.test"
    assert recipient["Original-Recipient"] == "rfc822; first+name@old.example" and recipient["Diagnostic-Code"] == f"smtp; {reply}"
    assert about["Arrival-Date"] and recipient["Last-Attempt-Date"]
    assert f"\n<gone@{domain}>\n    {sentence}" in text_of(notice) and f"Its server said: {reply}\n" in text_of(notice)
    assert notice["Auto-Submitted"] == "auto-replied" and notice["Return-Path"] == "<>"


def test_an_expired_mail_is_told_with_its_last_problem(world, marker):
    sink = world.exchanger(on={"RCPT": "451 4.2.1 try later"})
    domain = world.domain([10, sink])
    mail_id = send(world, {f"friend@{domain}": ""}, message(marker))
    world.parcels(mail_id, "deferred")
    age(world, mail_id, 121)
    world.server.edit("update parcels set expires_at = '2026-01-01 00:00:00' where mail_id = ?", mail_id)
    world.retry(mail_id)
    world.parcels(mail_id, "expired")
    notice, = wait_notices(world, mail_id)
    bounce, = sisimai(notice.raw)
    assert (bounce["recipient"], bounce["action"], bounce["diagnosticcode"]) == (f"friend@{domain}", "failed", "451 4.2.1 try later")
    report, = bounce_parser(notice.raw)["reports"]
    assert (report["email"], report["status"]) == (f"friend@{domain}", "4.4.7")
    assert notice.status[1]["Status"] == "4.4.7" and notice.status[1]["Diagnostic-Code"] == "smtp; 451 4.2.1 try later"
    assert "It was tried for 5 days, without success." in text_of(notice)


def test_a_server_out_of_reach_is_told_in_our_own_words(world, marker):
    """Diagnostic-Code is of type smtp only for what a server said (RFC 3464 2.3.6)."""
    nobody = world.exchanger(start=False)
    domain = world.domain([10, nobody])
    mail_id = send(world, {f"friend@{domain}": ""}, message(marker))
    world.parcels(mail_id, "deferred")
    world.server.edit("update parcels set expires_at = '2026-01-01 00:00:00' where mail_id = ?", mail_id)
    world.server.edit("delete from destinations where destination = ?", domain)
    world.server.command("queue", "retry", mail_id)
    world.parcels(mail_id, "expired")
    notice, = wait_notices(world, mail_id)
    recipient = notice.status[1]
    assert recipient["Diagnostic-Code"].startswith("X-Parcelpost; 451 4.4.1 cannot connect") and "Remote-MTA" not in recipient
    assert "The recipient's mail server could not be reached." in text_of(notice)
    bounce, = sisimai(notice.raw)
    assert (bounce["recipient"], bounce["action"], bounce["reason"]) == (f"friend@{domain}", "failed", "expired")


def test_what_a_greeting_refuses_is_told_in_the_servers_words(world, marker):
    domain = world.domain([10, world.exchanger(on={"GREETING": "521 5.3.2 this host takes no mail|CLOSE"})])
    mail_id = send(world, {f"friend@{domain}": ""}, message(marker))
    world.parcels(mail_id, "failed")
    notice, = wait_notices(world, mail_id)
    recipient = notice.status[1]
    assert (recipient["Diagnostic-Code"], recipient["Remote-MTA"]) == ("smtp; 521 5.3.2 this host takes no mail", f"dns; mx0.{domain}")
    bounce, = sisimai(notice.raw)
    assert (bounce["recipient"], bounce["deliverystatus"]) == (f"friend@{domain}", "5.3.2")


def test_a_delay_is_told_once_and_understood(world, marker):
    domain = world.domain([10, world.exchanger(on={"RCPT": "451 4.2.2 mailbox full for now"})])
    mail_id = send(world, {f"friend@{domain}": ""}, message(marker))
    world.parcels(mail_id, "deferred")
    assert told(world, mail_id) == []
    age(world, mail_id, 5)
    for _ in range(2):
        world.retry(mail_id)
    row, = world.parcels(mail_id, "deferred").values()
    notice, = wait_notices(world, mail_id)
    assert told(world, mail_id) == ["delayed"] and row["delayed_at"]
    delay, = sisimai(notice.raw)
    assert (delay["recipient"], delay["action"], delay["deliverystatus"]) == (f"friend@{domain}", "delayed", "4.2.2")
    assert bounce_parser(notice.raw)["bounce"] == 0
    recipient = notice.status[1]
    assert (recipient["Action"], recipient["Status"]) == ("delayed", "4.2.2") and recipient["Will-Retry-Until"]
    assert "It has been tried for 5 hours so far.\n    The mailbox is full." in text_of(notice) and "You need not send it again" in text_of(notice)


def test_a_delay_is_told_while_a_server_is_out_of_reach(world, marker):
    """Its destination rests then, and mail for it is not even tried."""
    domain = world.domain([10, world.exchanger(start=False)])
    mail_id = send(world, {f"friend@{domain}": ""}, message(marker))
    world.parcels(mail_id, "deferred")
    age(world, mail_id, 5)
    world.server.command("queue", "retry", mail_id)
    notice, = wait_notices(world, mail_id)
    recipient = notice.status[1]
    assert (recipient["Action"], recipient["Status"]) == ("delayed", "4.4.1") and recipient["Diagnostic-Code"].startswith("X-Parcelpost; 451 4.4.1")
    assert "for 5 hours so far.\n    The recipient's mail server could not be reached." in text_of(notice)


@pytest.mark.parametrize("parameters, fields", [("NOTIFY=FAILURE", ""), ("NOTIFY=NEVER", ""), ("", "Auto-Submitted: auto-generated\r\n"),
                                                ("", "Auto-Submitted: notification\r\n")],
                         ids=["who_asked_for_failures_only", "who_asked_for_nothing", "automatic_mail", "mail_of_a_kind_whose_name_begins_with_no"])
def test_a_delay_is_not_told_to(world, marker, parameters, fields):
    domain = world.domain([10, world.exchanger(on={"RCPT": "451 4.2.1 later"})])
    mail_id = send(world, {f"friend@{domain}": parameters}, message(marker, fields=fields))
    world.parcels(mail_id, "deferred")
    age(world, mail_id, 5)
    world.retry(mail_id)
    row, = world.parcels(mail_id, "deferred").values()
    assert told(world, mail_id) == [] and row["delayed_at"] is None


def test_automatic_mail_that_fails_comes_back_to_its_sender(world, marker):
    """cron's, for instance. It cannot loop: a notice's own sender is <>."""
    domain = world.domain([10, world.exchanger(on={"RCPT": "550 5.1.1 no"})])
    mail_id = send(world, {f"gone@{domain}": ""}, message(marker, fields="Auto-Submitted: auto-generated\r\n"))
    world.parcels(mail_id, "failed")
    wait_notices(world, mail_id)
    assert told(world, mail_id) == ["failed"]
    assert "  It is automatic: its sender is told when it fails, but not when it is late.\n" in world.server.command("why", mail_id)


@pytest.mark.parametrize("parameters", ["NOTIFY=NEVER", "NOTIFY=SUCCESS,DELAY"])
def test_a_failure_is_not_told_with(world, marker, parameters):
    domain = world.domain([10, world.exchanger(on={"RCPT": "550 5.1.1 no"})])
    mail_id = send(world, {f"gone@{domain}": parameters}, message(marker))
    world.parcels(mail_id, "failed")
    assert told(world, mail_id) == []


def test_recipients_that_fail_together_share_a_notice(world, marker):
    domain = world.domain([10, world.exchanger(on={"RCPT": "550 5.1.1 no"})])
    names = {f"one@{domain}": "", f"two@{domain}": "NOTIFY=FAILURE ORCPT=rfc822;zwei@old.example", f"three@{domain}": "NOTIFY=NEVER"}
    mail_id = send(world, names, message(marker))
    world.parcels(mail_id, "failed")
    notice, = wait_notices(world, mail_id)
    assert sorted(bounce["recipient"] for bounce in sisimai(notice.raw)) == [f"one@{domain}", f"two@{domain}"]
    assert [part["Original-Recipient"] for part in notice.status[1:]] == [None, "rfc822; zwei@old.example"]
    assert told(world, mail_id) == ["failed"]


def test_a_delivery_is_reported_to_who_asks(world, marker):
    mail_id = send(world, {"mike@example.test": "NOTIFY=SUCCESS"}, message(marker), "RET=FULL ENVID=QQ314159")
    notice, = wait_notices(world, mail_id)
    assert (notice.status[0]["Original-Envelope-Id"], notice.status[1]["Action"], notice.status[1]["Status"]) == ("QQ314159", "delivered", "2.0.0")
    success, = sisimai(notice.raw)
    assert (success["recipient"], success["action"], success["reason"]) == ("mike@example.test", "delivered", "delivered")
    assert bounce_parser(notice.raw)["bounce"] == 0
    assert notice.get_payload()[2].get_content_type() == "text/rfc822-headers"  # RET is about failures (RFC 3461 4.3)


def test_a_stranger_hears_of_success_too(world, marker):
    """And nothing is said of it when nobody asked."""
    sink = world.exchanger()
    domain = world.domain([10, sink])
    with world.server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, f"MAIL FROM:<stranger@{domain}>")
        client.expect(250, "RCPT TO:<coco@example.test> NOTIFY=SUCCESS,FAILURE")
        client.expect(250, "RCPT TO:<mike@example.test>")
        mail_id = id_of(client.data(message(marker)))
    world.parcels(mail_id, "delivered")
    wait_for(lambda: sink.messages, "the notice", explain=world.server.log_tail)
    assert sink.messages[0].sender == "" and b"Action: delivered" in sink.messages[0].data
    assert b"coco@example.test" in sink.messages[0].data and b"mike@" not in bytes(sink.messages[0].data).split(b"rfc822-headers")[0]


def test_a_server_without_dsn_gets_no_parameters_and_we_tell_that_it_was_relayed(world, marker):
    sink = world.exchanger()
    domain = world.domain([10, sink])
    mail_id = send(world, {f"friend@{domain}": "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;friend@old.example"}, message(marker), "RET=HDRS ENVID=x")
    notice, = wait_notices(world, mail_id)
    assert not sink.faults and sink.messages[0].recipient_parameters == {f"friend@{domain}": ""} and "RET" not in sink.messages[0].parameters
    recipient = notice.status[1]
    assert (recipient["Action"], recipient["Remote-MTA"]) == ("relayed", f"dns; mx0.{domain}")
    relayed, = sisimai(notice.raw)
    assert (relayed["recipient"], relayed["action"]) == (f"friend@{domain}", "relayed")
    assert bounce_parser(notice.raw)["bounce"] == 0


def test_a_server_with_dsn_gets_what_was_asked_and_tells_itself(world, marker):
    sink = world.exchanger(ehlo=DSN)
    domain = world.domain([10, sink])
    asked = {f"one@{domain}": "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;un+2Bo@old.example", f"two@{domain}": "NOTIFY=NEVER", f"three@{domain}": ""}
    mail_id = send(world, asked, message(marker), "RET=HDRS ENVID=a+20b")
    world.parcels(mail_id, "delivered")
    assert not sink.faults and sink.messages[0].recipient_parameters == asked
    assert sink.messages[0].parameters.split()[-2:] == ["RET=HDRS", "ENVID=a+20b"]
    assert told(world, mail_id) == []


@pytest.mark.parametrize("parameters, body, kind", [("RET=FULL", "It is short.\r\n", "message/rfc822"), ("RET=HDRS", "It is short.\r\n", "text/rfc822-headers"),
                                                    ("", "It is short.\r\n", "text/rfc822-headers"), ("RET=FULL", "It is long.\r\n" * 3000, "text/rfc822-headers")],
                         ids=["all_of_a_small_one_that_asks", "headers_when_asked", "headers_when_not_asked", "headers_of_a_large_one"])
def test_a_failed_message_is_returned_with(world, marker, parameters, body, kind):
    domain = world.domain([10, world.exchanger(on={"RCPT": "550 5.1.1 no"})])
    mail_id = send(world, {f"gone@{domain}": ""}, message(marker, body=body), parameters)
    notice, = wait_notices(world, mail_id)
    part = notice.get_payload()[2]
    assert part.get_content_type() == kind
    returned = notice.raw.partition(kind.encode())[2]
    assert f"X-Marker: {marker}".encode() in returned and (b"It is" in returned) == (kind == "message/rfc822")


@pytest.mark.parametrize("postmaster", ["mike@example.test", "MIKE@Example.Test"])
def test_the_postmaster_gets_a_copy_on_request(marker, postmaster):
    with World(settings={"notice_postmaster": True, "postmaster": postmaster}) as world:
        domain = world.domain([10, world.exchanger(on={"RCPT": "550 5.1.1 no"})])
        mail_id = send(world, {f"gone@{domain}": ""}, message(marker, body="Between us.\r\n"), "RET=FULL")
        notice, = wait_notices(world, mail_id)
        copy, = wait_notices(world, mail_id, address="mike@example.test")
        assert notice["Subject"] == "Undelivered Mail Returned to Sender" and copy["Subject"] == "Postmaster Copy: Undelivered Mail"
        assert postmaster in copy["To"]
        assert b"Between us." in notice.raw and b"Between us." not in copy.raw and f"X-Marker: {marker}".encode() in copy.raw
        assert told(world, mail_id) == ["failed", "failed"]


def test_a_notice_is_made_once_whatever_dies(marker):
    """The server is killed with the notice undelivered, and the database made anew from the spool: nothing is told twice."""
    silent = "451 4.3.0 not now"
    with World() as world:
        home = world.exchanger(on={"RCPT": silent})
        sender = f"me@{world.domain([10, home])}"
        mail_id = None
        with world.server.talk(source=fresh_source()) as client:
            client.ehlo()
            client.expect(250, f"MAIL FROM:<{sender}>")
            client.expect(250, "RCPT TO:<coco@example.test> NOTIFY=SUCCESS")
            mail_id = id_of(client.data(message(marker)))
        world.parcels(mail_id, "delivered")
        row, = world.server.wait_rows("select mail_id from parcels where to_url = ? and state = 'deferred'", sender)
        world.server.kill_all()
        world.server.command("queue", "rebuild")
        world.server.launch()
        home.behaviour["on"] = {}
        world.server.edit("delete from destinations")
        world.server.command("queue", "retry", row["mail_id"], check=False)  # unless it has gone already
        wait_for(lambda: home.messages, "the notice", explain=world.server.log_tail)
        world.parcels(row["mail_id"], "delivered")
        assert len(home.messages) == 1 and len(world.server.sql("select * from parcels where to_url = ?", sender)) == 1


def test_a_delay_is_told_once_though_the_database_forgot_it(marker):
    """As after a power cut: the journal has the notice, the database's last transactions are lost. The attempt is made again,
    and its notice has the same id."""
    with World() as world:
        domain = world.domain([10, world.exchanger(on={"RCPT": "451 4.2.1 later"})])
        mail_id = send(world, {f"friend@{domain}": ""}, message(marker))
        world.parcels(mail_id, "deferred")
        world.server.halt()
        with contextlib.closing(sqlite3.connect(world.server.database)) as now, contextlib.closing(sqlite3.connect(world.server.path("before"))) as copy:
            now.backup(copy)
        for again in range(2):
            world.server.launch()
            age(world, mail_id, 5)
            world.retry(mail_id)
            assert world.parcels(mail_id, "deferred")[f"friend@{domain}"]["delayed_at"]
            wait_notices(world, mail_id)
            world.parcels(world.server.sql("select mail_id from mails where role = 'notice'")[0]["mail_id"], "delivered")
            world.server.kill_all()
            if not again:
                with open(world.server.path("before"), "rb") as before, open(world.server.database, "wb") as now:
                    now.write(before.read())
                for name in ("-wal", "-shm"):
                    if os.path.exists(world.server.database + name):
                        os.remove(world.server.database + name)
        assert told(world, mail_id) == ["delayed", "delayed"] and len(notices(world, mail_id)) == 1


# ---- names ----


def alias(world, name, *targets, owner=""):
    for target in targets:
        world.server.edit("insert into aliases (address, target, owner, created_at) values (?, ?, ?, '2026-01-01 00:00:00')", name, target, owner)


def test_a_sender_with_blanks_in_his_name_is_told_of_a_failure(world, marker):
    """A quoted local part may hold them (RFC 5321 4.1.2): the notice had no recipient, and the failure with it was refused for ever."""
    sender = f'"a b"@{world.domain([10, world.exchanger()])}'
    alias(world, "onward@example.test", f"gone@{world.domain([10, world.exchanger(on={'RCPT': '550 5.1.1 no'})])}")
    world.parcels(world.receive(["onward@example.test"], message(marker), sender), "failed")
    world.server.wait_rows("select 1 from parcels where target = ? and from_url = '' and state = 'delivered'", sender)


def test_an_alias_for_several_is_reported_as_expanded_and_nothing_more(world, marker):
    """RFC 3461 5.2.7: SUCCESS ends there; failures are still told, by the address that the sender knows."""
    sink = world.exchanger(ehlo=DSN)
    domain = world.domain([10, sink])
    name = f"all-{domain.split('.')[0]}@example.test"
    alias(world, name, "mike@example.test", f"friend@{domain}")
    mail_id = send(world, {name: "NOTIFY=SUCCESS,FAILURE"}, message(marker), "ENVID=x")
    notice, = wait_notices(world, mail_id)
    row, = [row for row in world.server.wait_parcels(mail_id, "delivered") if row["delivery"] == "remote"]
    recipient = notice.status[1]
    assert (recipient["Final-Recipient"], recipient["Action"]) == (f"rfc822; {name}", "expanded")
    assert told(world, mail_id) == ["expanded"] and len(notice.status) == 2
    assert sink.messages[0].recipient_parameters == {f"friend@{domain}": f"NOTIFY=FAILURE ORCPT=rfc822;{name}"}
    assert bounce_parser(notice.raw)["bounce"] == 0


def test_a_list_is_where_a_message_arrives_and_its_owner_hears_of_its_members(world, marker):
    """The owner is an alias, too. Members' servers are asked for nothing in the sender's name."""
    good, bad = world.exchanger(ehlo=DSN), world.exchanger(on={"RCPT": "550 5.1.1 gone"})
    here, gone = f"a@{world.domain([10, good])}", f"b@{world.domain([10, bad])}"
    name, owner = f"list-{here[2:].split('.')[0]}@example.test", f"owner-{here[2:].split('.')[0]}@example.test"
    alias(world, name, here, gone, owner=owner)
    alias(world, owner, "mike@example.test")
    mail_id = send(world, {name: "NOTIFY=SUCCESS,FAILURE"}, message(marker, body="For the list.\r\n"), "RET=FULL ENVID=x")
    arrived, = wait_notices(world, mail_id)
    failed, = wait_notices(world, mail_id, address="mike@example.test")
    assert (arrived.status[1]["Final-Recipient"], arrived.status[1]["Action"]) == (f"rfc822; {name}", "delivered")
    assert (failed.status[1]["Final-Recipient"], failed.status[1]["Action"]) == (f"rfc822; {gone}", "failed")
    assert "Original-Envelope-Id" not in failed.status[0] and b"For the list." not in failed.raw
    wait_for(lambda: good.messages, "the list's mail", explain=world.server.log_tail)
    assert good.messages[0].recipient_parameters == {here: ""} and "ENVID" not in good.messages[0].parameters
    assert sorted(told(world, mail_id)) == ["delivered", "failed"]


@pytest.mark.parametrize("owner", ["owner@caught.test", "Postmaster@Caught.Test", "MIKE@Example.Test", "ghost@example.test"])
def test_an_owner_hears_where_mail_to_him_goes(world, marker, owner):
    """By a catch-all, in other letter case; what nobody would get goes to the postmaster, as for a sender whom nobody is."""
    world.server.edit("insert or ignore into domains (domain) values ('caught.test')")
    world.server.edit("insert or ignore into aliases (address, target, created_at) values ('@caught.test', 'mike@example.test', '2026-01-01 00:00:00')")
    domain = world.domain([10, world.exchanger(on={"RCPT": "550 5.1.1 gone"})])
    name = f"of-{domain.split('.')[0]}@example.test"
    alias(world, name, f"gone@{domain}", owner=owner)
    mail_id = send(world, {name: ""}, message(marker))
    reader = "mike@example.test" if owner in ("owner@caught.test", "MIKE@Example.Test") else ME
    notice, = wait_notices(world, mail_id, address=reader)
    assert owner in notice["To"]


def test_a_notice_goes_where_mail_to_the_sender_goes(world, marker):
    domain = world.domain([10, world.exchanger(on={"RCPT": "550 5.1.1 gone"})])
    sender = f"shop-{domain.split('.')[0]}@example.test"
    alias(world, sender, "mike@example.test")
    mail_id = send(world, {f"gone@{domain}": ""}, message(marker), sender=sender)
    notice, = wait_notices(world, mail_id, address="mike@example.test")
    assert sender in notice["To"]


def test_a_forwarded_message_that_fails_comes_back_to_who_wrote_it(marker, folder):
    """Its next server knew a reverse-path of ours (SRS); the first sender is told, by the name that he knows."""
    secret = os.path.join(folder, "srs")
    with open(secret, "w", encoding="utf-8") as stream:
        stream.write("a secret for this test\n")
    os.chmod(secret, 0o600)
    if os.geteuid() == 0:
        shutil.chown(secret, "parcelpost-auth")
    with World(settings={"srs_domain": "example.test", "srs_secret_file": secret}) as world:
        home, away = world.exchanger(), world.exchanger(on={"RCPT": "550 5.1.1 gone"})
        sender, friend = f"me@{world.domain([10, home])}", f"friend@{world.domain([10, away])}"
        alias(world, "forwarded@example.test", friend)
        mail_id = world.receive("forwarded@example.test", message(marker), sender=sender)
        row, = world.parcels(mail_id, "failed").values()
        assert row["from_url"].startswith("SRS0=")
        wait_for(lambda: home.messages, "the notice", explain=world.server.log_tail)
        notice = home.messages[0]
        assert (notice.sender, notice.recipients) == ("", [sender])
        assert b"<forwarded@example.test>, which stands for <" + friend.encode() + b">" in notice.data


# ---- real servers of other makes ----


@pytest.fixture
def folder():
    """Short, for the names of Unix sockets, and readable for everybody."""
    with tempfile.TemporaryDirectory(prefix="parcelpost-") as made:
        os.chmod(made, 0o755)
        yield made


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Postfix starts as root only")


@needs_root
def test_postfix_reports_a_delivery_because_notify_was_handed_on(folder, marker):
    """Postfix offers DSN: it gets NOTIFY, ENVID and ORCPT from us, and its own report finds back to our user."""
    with World() as world:
        with Postfix(os.path.join(folder, "postfix"), others={"example.test": world.server.mx_port}) as postfix:
            world.server.route = postfix.endpoint
            world.server.write_zone({"remote.test": [{"A": "127.0.0.1"}], "mx.remote.test": [{"A": "127.0.0.1"}]})
            world.server.write_configuration()
            world.server.reload()
            mail_id = send(world, {"friend@remote.test": "NOTIFY=SUCCESS ORCPT=rfc822;friend@old.example"}, message(marker), "ENVID=order+20314")
            world.parcels(mail_id, "delivered")
            raw = world.server.wait_mail(ME, b"Reporting-MTA: dns; mx.remote.test")
            assert told(world, mail_id) == [] and len(postfix.mails()) == 1
            assert b"Original-Envelope-Id: order 314" in raw and b"Original-Recipient: rfc822;friend@old.example" in raw
            report, = sisimai(raw)
            assert (report["recipient"], report["action"]) == ("friend@remote.test", "delivered")


@needs_root
def test_a_notice_reaches_a_user_of_postfix_about_a_full_mailbox_of_dovecot(folder, marker):
    with Dovecot(os.path.join(folder, "dovecot"), quota={"mike@example.test": 2000}) as dovecot, Postfix(os.path.join(folder, "postfix")) as postfix:
        with World(local=f"127.0.0.1:{dovecot.lmtp_port}", route=postfix.endpoint, zone={"remote.test": [{"A": "127.0.0.1"}]}) as world:
            mail_id = world.receive("mike@example.test", message(marker, body="x" * 70 + "\r\n" + "It is long.\r\n" * 400), sender="friend@remote.test")
            world.parcels(mail_id, "failed")
            raw, = wait_for(postfix.mails, "the notice in Postfix's Maildir", explain=postfix.log_text)
            bounce, = sisimai(raw)
            assert (bounce["recipient"], bounce["action"], bounce["reason"]) == ("mike@example.test", "failed", "mailboxfull")
            assert b"\nTo: <friend@remote.test>" in raw and b"The mailbox is full." in raw
            report, = bounce_parser(raw)["reports"]
            assert (report["email"], report["std_reason"]) == ("mike@example.test", "over_quota")


def test_a_notice_reaches_a_user_of_dovecot(folder, marker):
    with Dovecot(os.path.join(folder, "dovecot")) as dovecot, World(local=f"127.0.0.1:{dovecot.lmtp_port}") as world:
        mail_id = send(world, {"mike@example.test": "NOTIFY=SUCCESS"}, message(marker))
        world.parcels(mail_id, "delivered")
        raw, = dovecot.wait_mails(ME)
        report, = sisimai(raw)
        assert (report["recipient"], report["action"]) == ("mike@example.test", "delivered")  # LMTP to Dovecot is the end of the way
        assert b"Return-Path: <>" in raw
