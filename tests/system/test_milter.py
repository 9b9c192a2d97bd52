"""Milters: what they are told, and what their answers do, by a scripted one; rspamd and OpenDKIM are in
test_milter_programs.py."""
import os

import pytest

from lib import milter as m
from lib import ports
from lib.faults import fault
from lib.instance import Instance
from lib.messages import message, odd_body
from lib.milter import CLOSE, HANG, Milter
from lib.talker import SmtpTalker, fresh_source
from lib.waiting import wait_for

MIKE = "mike@example.test"


@pytest.fixture(scope="module")
def scene():
    """One server: on mx milters "one" and "two" (a Unix socket), on a port of its own "picky", which wants less."""
    port, xclient = ports.take(2)
    instance = Instance(lmtp=True)
    os.makedirs(instance.directory, exist_ok=True)
    with Milter("one") as one, Milter("two", path=instance.path("two.milter")) as two, \
            Milter("picky", steps=m.NOHELO | m.NODATA | m.NR_CONN | m.NR_MAIL | m.NR_RCPT | m.NR_HDR | m.NR_EOH | m.NR_BODY
                   | m.RCPT_REJ | m.HDR_LEADSPC | m.NOUNKNOWN,
                   macros=b"\0\0\0\2{mail_addr} {client_addr}\0\0\0\0\5\0") as picky:
        instance.extra = one.block(command_timeout="2s") + two.block() + picky.block() + 'milters = {"one", "two"}\n' \
            + f'listen "127.0.0.1:{port}" {{ role = mx\n milters = {{"picky"}} }}\n' \
            + f'listen "127.0.0.1:{xclient}" {{ role = mx\n xclient_networks = {{"127.0.0.0/8"}}\n milters = {{"one"}} }}\n'
        instance.picky_port, instance.xclient_port = port, xclient
        instance.start()
        yield instance, one, two, picky
        instance.stop()
        instance.remove()
    ports.give_back([port, xclient])


@pytest.fixture
def play(scene):
    """play({...of one}, {...of two}) gives server, one, two with these scripts."""
    instance, one, two, _ = scene

    def scripts(first=None, second=None):
        return instance, one.play(**(first or {})), two.play(**(second or {}))
    before = len(instance.log_text())
    instance.log_since = lambda: instance.log_text()[before:]
    return scripts


def send(server, marker, content=None, recipients=MIKE, source=None, role="mx"):
    with server.talk(role, source=source or fresh_source()) as client:
        client.ehlo()
        return client.mail("sender@client.example.net", recipients, content or message(marker))


def header_lines(mail):
    """Of a message in a Maildir, whose lines end in LF."""
    return mail.split(b"\n\n", 1)[0].split(b"\n")


# ---- what they are told ----

def test_each_command_and_each_part_of_the_message_is_told_in_order(play, marker):
    server, one, two = play()
    with server.talk(source="127.7.7.7") as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@client.example.net> SIZE=100 BODY=8BITMIME")
        client.expect(250, f"RCPT TO:<{MIKE}> NOTIFY=NEVER")
        client.command("WIZ ard")
        client.data(f"Subject: a\r\n folded\r\nX-Marker: {marker}\r\n\r\nbody\r\n.dots\r\n")
        client.quit()
    one.wait("QUIT")
    assert one.names() == ["OPTNEG", "CONNECT", "HELO", "MAIL", "RCPT", "UNKNOWN", "DATA", "HEADER", "HEADER", "EOH", "BODY", "END",
                           "QUIT"]
    assert one.commands("CONNECT")[0].startswith(b"[127.7.7.7]\x004") and one.commands("CONNECT")[0].endswith(b"127.7.7.7\0")
    assert one.commands("HELO", "MAIL", "RCPT", "UNKNOWN") == [
        b"client.example.net\0", b"<a@client.example.net>\0SIZE=100\0BODY=8BITMIME\0", b"<mike@example.test>\0NOTIFY=NEVER\0", b"WIZ ard\0"]
    assert one.text() == (f"Subject: a\n folded\nX-Marker: {marker}\n".encode(), b"body\r\n.dots\r\n")
    two.wait("QUIT")
    assert two.names() == one.names()


def test_macros_are_those_of_sendmail_and_postfix(play, marker):
    server, one, _ = play()
    with server.talk("internal", source="127.7.7.8") as client:
        client.ehlo()
        client.starttls()
        client.login()
        client.mail("coco@example.test", MIKE, message(marker))
    macros = one.macros_of("C")
    assert macros["j"] == "mail.example.test" and macros["{client_addr}"] == "127.7.7.8" and macros["{if_addr}"] == "127.0.0.1"
    assert macros["{daemon_name}"] == "internal" and macros["_"] == "unknown [127.7.7.8]"
    assert one.macros_of("H")["{tls_version}"] == "TLSv1.3"
    macros = one.macros_of("M")
    assert macros["{auth_authen}"] == "coco@example.test" and macros["{mail_addr}"] == "coco@example.test" and macros["{auth_type}"] == "PLAIN"
    macros = one.macros_of("R")
    assert macros["{rcpt_addr}"] == MIKE and macros["{rcpt_mailer}"] == "local" and macros["{rcpt_host}"] == "example.test"
    mail_id = server.wait_rows("select mail_id from mails where message_id like ?", f"%{marker}%")[0]["mail_id"]
    assert one.macros_of("M")["i"] == one.macros_of("E")["i"] == mail_id


def test_it_is_told_what_it_wants_and_nobody_waits_for_answers_that_it_does_not_give(scene, marker, source):
    server, _, _, picky = scene
    picky.play()
    with SmtpTalker(server.picky_port, source=source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@client.example.net>")
        client.expect(550, "RCPT TO:<nobody@example.test>")
        client.expect(250, f"RCPT TO:<{MIKE}>")
        assert client.data(message(marker, body="x" * 70 + "\r\n")).code == 250
        client.quit()
    picky.wait("QUIT")
    assert picky.names() == ["OPTNEG", "CONNECT", "MAIL", "RCPT", "RCPT", *["HEADER"] * 6, "EOH", "BODY", "END", "QUIT"]
    assert picky.macros_of("M") == {"{mail_addr}": "a@client.example.net", "{client_addr}": source}
    assert picky.macros_of("E") == {}
    assert b"error" in next(data for data in picky.commands("MACRO") if data[:1] == b"R")
    assert b"Subject\0 a test\0" in picky.commands("HEADER")
    assert max(picky.reads) >= 10, "the commands of a message came one by one"


def test_a_recipient_that_a_milter_refuses_is_told_to_each_of_them_once(make_instance):
    with Milter("one", steps=m.RCPT_REJ) as one, Milter("two", steps=m.RCPT_REJ, RCPT=m.reply("550 5.1.1 not here")) as two, \
            Milter("three", steps=m.RCPT_REJ) as three:
        server = make_instance(extra=one.block() + two.block() + three.block())
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<a@client.example.net>")
            client.expect(550, f"RCPT TO:<{MIKE}>")
            client.quit()
        for milter in (one, two, three):
            milter.wait("QUIT")
        assert [len(milter.commands("RCPT")) for milter in (one, two, three)] == [1, 1, 1]
        assert [milter.macros_of("R")["{rcpt_mailer}"] for milter in (one, two, three)] == ["local", "local", "error"]


def test_a_client_that_xclient_names_is_a_session_of_its_own(play, marker):
    server, one, _ = play()
    with SmtpTalker(server.xclient_port, source=fresh_source()) as client:
        client.ehlo("filter.example.net")
        client.expect(220, "XCLIENT ADDR=192.0.2.9 NAME=[UNAVAILABLE]")
        client.ehlo()
        assert client.mail("a@client.example.net", MIKE, message(marker)) == 250
        client.quit()
    one.wait("QUIT", 2)
    assert one.names()[:7] == ["OPTNEG", "CONNECT", "HELO", "QUIT", "OPTNEG", "CONNECT", "HELO"]
    assert one.commands("CONNECT")[1].endswith(b"192.0.2.9\0")


def test_a_transaction_that_ends_without_a_message_is_aborted(play):
    server, one, _ = play()
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@client.example.net>")
        client.expect(250, "RSET")
        one.wait("ABORT")
        client.expect(250, "MAIL FROM:<b@client.example.net>")
        client.ehlo()
        one.wait("ABORT", 2)
        client.expect(250, "MAIL FROM:<c@client.example.net>")
    one.wait("QUIT")
    assert [name for name in one.names() if name in ("MAIL", "ABORT", "QUIT")] == ["MAIL", "ABORT"] * 3 + ["QUIT"]


def test_lmtp_tells_of_a_message_once(play, marker):
    server, one, _ = play({"END": [m.add_header("X-Milter", "once"), b"c"]})
    with server.talk("lmtp", source=fresh_source()) as client:
        client.expect(250, "LHLO client.example.net")
        client.expect(250, "MAIL FROM:<a@client.example.net>")
        client.expect(250, f"RCPT TO:<{MIKE}>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        assert client.data(message(marker)).code == 250
        assert client.reply().code == 250
    assert one.names().count("END") == 1
    assert header_lines(server.wait_mail(MIKE, marker)).count(b"X-Milter: once") == 1


# ---- what they answer ----

STAGES = ("CONNECT", "HELO", "MAIL", "RCPT", "DATA", "HEADER", "EOH", "BODY", "END")


def run(server, source):
    """The reply of the first command that is not accepted, and after which stage it came."""
    with server.talk(source=source, greeting=False) as client:
        for stage, line, good in (("CONNECT", None, 220), ("HELO", "EHLO client.example.net", 250),
                                  ("MAIL", "MAIL FROM:<a@client.example.net>", 250), ("RCPT", f"RCPT TO:<{MIKE}>", 250),
                                  ("DATA", "DATA", 354), ("END", None, 250)):
            if stage == "END":
                client.send(message("refused") + b".\r\n")
            reply = client.command(line) if line else client.reply()
            if reply.code != good:
                return stage, reply.text
    return "accepted", reply.text


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("answer, code", ((b"r", "550 5.7.1"), (b"t", "451 4.7.1"), (m.reply("550 5.6.7 100%% no"), "550 5.6.7 100% no"),
                                          (m.reply("450-4.2.1 first\r\n450 4.2.1 second"), "450-4.2.1 first\n450 4.2.1 second"),
                                          (b"4", "421 4.3.2")))
def test_an_objection_is_the_reply_to_what_it_objects_to(play, stage, answer, code):
    server, _, two = play({stage: answer})
    where, text = run(server, fresh_source())
    assert where == (stage if stage in ("CONNECT", "HELO", "MAIL", "RCPT", "DATA") else "END")
    if stage == "CONNECT":
        code = code.replace("550 5.7.1", "554 5.7.1").replace("451", "421")
    assert text.startswith(code)
    assert stage not in two.names(), "the second one heard of it too"


@pytest.mark.parametrize("stage", STAGES)
def test_what_it_accepts_it_hears_no_more_of(play, stage, marker):
    server, one, two = play({stage: b"a"})
    assert send(server, marker) == 250
    assert one.names()[-1] in (stage, "ABORT", "QUIT") and "END" in two.names()
    heard = [name for name in one.names() if name in STAGES]
    assert heard[-1] == stage and heard.count(stage) == 1
    with server.talk(source=fresh_source()) as client:  # another session begins anew
        client.ehlo()
    assert one.names().count("CONNECT") == 2


def test_accepting_a_message_is_not_accepting_the_next(play, marker):
    server, one, _ = play({"MAIL": lambda data: b"a" if b"<first" in data else b"c"})
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        assert client.mail("first@client.example.net", MIKE, message(marker)) == 250
        assert client.mail("second@client.example.net", MIKE, message(marker)) == 250
    assert one.names().count("END") == 1


def test_one_recipient_is_refused_and_the_others_get_the_message(play, marker):
    server, _, _ = play({"RCPT": lambda data: b"r" if b"coco" in data else b"c"})
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@client.example.net>")
        client.expect(550, "RCPT TO:<coco@example.test>")
        client.expect(250, f"RCPT TO:<{MIKE}>")
        assert client.data(message(marker)) == 250
    server.wait_mail(MIKE, marker)
    assert not [mail for mail in server.mails("coco@example.test") if marker.encode() in mail]


@pytest.mark.parametrize("stage", ("MAIL", "RCPT", "DATA", "HEADER", "EOH", "BODY", "END"))
def test_a_discarded_message_is_accepted_and_nobody_gets_it(play, stage, marker):
    server, _, _ = play({stage: b"d"})
    reply = send(server, marker)
    assert reply == 250
    mail_id = reply.text.rpartition("id=")[2]
    row = server.wait_rows("select state, delivery, delivery_msg from parcels where mail_id = ?", mail_id)[0]
    assert tuple(row) == ("removed", "none", "discarded by milter one")
    assert "discarded by milter one" in server.command("why", mail_id)
    assert not [mail for mail in server.mails(MIKE) if marker.encode() in mail]


def test_skip_spares_the_rest_of_the_body(play, marker):
    server, one, two = play({"BODY": b"s"})
    assert send(server, marker, message(marker) + odd_body(1, 300000)) == 250
    assert one.names().count("BODY") == 1 and two.names().count("BODY") == 5 and "END" in one.names()


def test_progress_gives_more_time(play, marker):
    server, _, _ = play({"END": [b"p"] * 100 + [b"c"], "MAIL": [b"p", b"c"]})
    assert send(server, marker) == 250


# ---- what they change ----

def test_header_fields_are_added_inserted_replaced_and_removed_and_the_next_one_sees_it(play, marker):
    server, _, two = play({"END": [m.add_header("X-Last", "a\n\tfolded"), m.insert_header(0, "X-First", "b"),
                                   m.insert_header(2, "X-Third", "c"), m.change_header(1, "Subject", "another"),
                                   m.change_header(1, "To", ""), m.change_header(3, "X-None", "new"), b"c"]},
                          {"END": [m.change_header(1, "x-first", "seen"), b"c"]})
    assert send(server, marker) == 250
    got = [line for line in header_lines(server.wait_mail(MIKE, marker))]
    names = [line.split(b":")[0] for line in got]
    at = names.index(b"x-first")
    assert got[at] == b"x-first: seen"
    assert names[at:] == [b"x-first", b"Date", b"X-Third", b"From", b"Subject", b"Message-ID", b"X-Marker", b"X-Last", b"\tfolded", b"X-None"]
    assert b"Subject: another" in got and b"X-Last: a" in got
    assert b"X-First\0b\0" in two.commands("HEADER") and b"Subject\0another\0" in two.commands("HEADER")
    assert b"Received" not in b"".join(two.commands("HEADER"))


@pytest.mark.parametrize("size", (500, 200_000, 1_500_000))
def test_a_body_is_replaced_in_any_size_and_the_next_one_sees_it(play, marker, size):
    body = odd_body(size, size)
    pieces = [m.replace_body(body[at:at + 65535]) for at in range(0, len(body), 65535)]
    server, _, two = play({"END": [*pieces, b"c"]})
    assert send(server, marker, message(marker) + odd_body(7, 1_600_000 - size)) == 250
    assert server.wait_mail(MIKE, marker).split(b"\n\n", 1)[1] == body.replace(b"\r\n", b"\n")
    assert two.text()[1] == body


@pytest.mark.parametrize("answer, end", ((m.add_header("X-A", "1"), b"\nX-A: 1\n"), (m.insert_header(9, "X-A", "1"), b"\nX-A: 1\n"),
                                         (m.replace_body("new"), b"\n\nnew\n")), ids=("added", "inserted", "body"))
def test_what_follows_a_header_that_ends_without_a_line_end_is_a_line_of_its_own(play, marker, answer, end):
    server, _, _ = play({"END": [answer, b"c"]})
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@client.example.net>")
        client.expect(250, f"RCPT TO:<{MIKE}>")
        text = f"Subject: cut\r\nX-Marker: {marker}".encode()
        client.send(b"BDAT %d LAST\r\n" % len(text) + text)
        assert client.reply() == 250
    assert server.wait_mail(MIKE, marker).endswith(b"\nSubject: cut\nX-Marker: " + marker.encode() + end)


def test_a_field_with_other_than_ascii_leaves_a_binary_body_as_it_is(play, marker):
    server, _, _ = play({"END": [m.add_header("X-A", "\u00e9"), b"c"]})
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@client.example.net> BODY=BINARYMIME")
        client.expect(250, f"RCPT TO:<{MIKE}>")
        text = f"X-Marker: {marker}\r\nContent-Transfer-Encoding: binary\r\n\r\n".encode() + b"a\nb\rc\0d"
        client.send(b"BDAT %d LAST\r\n" % len(text) + text)
        assert client.reply() == 250
    mail = server.wait_mail(MIKE, marker)
    assert mail.endswith(b"\r\nX-A: \xc3\xa9\r\n\r\na\nb\rc\0d")


def test_sender_and_recipients_are_changed(play, marker):
    server, _, two = play({"END": [m.change_sender("<other@client.example.net>", "RET=HDRS"), m.add_recipient("<coco@example.test>"),
                                   m.add_recipient("postmaster@example.test", "NOTIFY=NEVER"), m.remove_recipient(f"<{MIKE}>"), b"c"]})
    reply = send(server, marker)
    mail_id = reply.text.rpartition("id=")[2]
    rows = server.wait_parcels(mail_id, "delivered")
    assert sorted((row["from_url"], row["to_url"], row["notify"]) for row in rows) == [
        ("other@client.example.net", "coco@example.test", "")], [tuple(row) for row in rows]
    assert b"Return-Path: <other@client.example.net>" in server.wait_mail("coco@example.test", marker)


def test_without_a_recipient_the_message_is_discarded(play, marker):
    server, _, _ = play({"END": [m.remove_recipient(MIKE), b"c"]})
    assert send(server, marker) == 250
    assert "no recipient is left" in server.log_since()


def test_a_quarantined_message_waits_with_the_reason_until_it_is_released(play, marker):
    server, _, _ = play({"END": [m.quarantine("looks like spam"), b"c"]})
    mail_id = send(server, marker).text.rpartition("id=")[2]
    row = server.wait_parcels(mail_id, "held")[0]
    assert row["delivery_msg"] == "held by milter one: looks like spam"
    assert "looks like spam" in server.command("queue", "list") and "looks like spam" in server.command("why", mail_id)
    server.command("queue", "release", mail_id)
    server.wait_mail(MIKE, marker)


def test_results_in_our_name_that_a_milter_adds_stay_and_those_that_came_go(play, marker):
    ours = "mail.example.test; spf=pass smtp.mailfrom=a@b.example"
    server, one, _ = play({"END": [m.insert_header(0, "Authentication-Results", ours), b"c"]})
    forged = message(marker, fields="Authentication-Results: mail.example.test; dkim=pass header.d=bank.example\r\n")
    assert send(server, marker, forged) == 250
    got = server.wait_mail(MIKE, marker)
    assert b"spf=pass smtp.mailfrom=a@b.example" in got and b"bank.example" not in got
    assert b"bank.example" not in b"".join(one.commands("HEADER"))


# ---- faults ----

@fault("Milters and policy servers", "a milter closes or answers nonsense in seven ways", "at OPTNEG and six other stages", "421 or 451 to the client")
@pytest.mark.parametrize("stage", ("OPTNEG", "HELO", "MAIL", "RCPT", "HEADER", "BODY", "END"))
@pytest.mark.parametrize("fault", (CLOSE, m.raw(b"\0\0\0\0"), m.raw(b"\xff\xff\xff\xffx"), b"Z", b"hno-end", m.reply("250 fine"), b"yx"))
def test_one_that_breaks_off_or_answers_nonsense_puts_mail_off(play, stage, fault):
    server, _, _ = play({stage: fault})
    where, text = run(server, fresh_source())
    assert text.startswith("421 4.3.0" if stage == "OPTNEG" else "451 4.7.1"), (where, text)
    assert where == {"OPTNEG": "CONNECT", "HELO": "MAIL"}.get(stage, stage if stage in ("MAIL", "RCPT") else "END")
    assert 'milter "one": ' in server.log_since()


def test_one_that_is_silent_puts_mail_off_in_its_time(play):
    server, _, _ = play({"MAIL": HANG})
    assert run(server, fresh_source())[1].startswith("451 4.7.1")
    assert "does not answer in time" in server.log_since()


@fault("Milters and policy servers", "a milter sends answers without end", "at the end of the message", "451 to the client")
@pytest.mark.parametrize("answers", ([b"p"] * 2000 + [CLOSE], [m.add_header("X-A", "x")] * 6000, [m.replace_body(b"x" * 65000)] * 1200),
                         ids=("progress", "headers", "body"))
def test_endless_answers_end(play, answers):
    server, _, _ = play({"END": answers})
    assert run(server, fresh_source())[1].startswith("451 4.7.1")


@pytest.mark.parametrize("stage, answer", (("MAIL", b"p"), ("END", b"p"), ("END", m.replace_body(b""))), ids=("progress", "progress at the end", "body"))
def test_one_that_never_stops_talking_is_late_too(make_instance, stage, answer):
    talk = m.raw((len(answer).to_bytes(4, "big") + answer) * 500)
    with Milter("one", **{stage: m.forever([talk])}) as one:
        server = make_instance(extra=one.block(command_timeout="1s", content_timeout="1s"))
        where, text = run(server, fresh_source())
        assert (where, text[:9]) == (stage, "451 4.7.1")
        server.wait_log('milter "one": it does not come to an end in time')


def test_a_change_that_was_not_agreed_on_is_a_fault(scene):
    server, one, _, _ = scene
    one.play(END=[m.add_header("X-A", "1"), b"c"])
    one.actions = 0
    try:
        assert run(server, fresh_source())[1].startswith("451 4.7.1")
    finally:
        one.actions = m.ACTIONS


def test_changes_before_the_end_are_a_fault(play):
    server, _, _ = play({"MAIL": m.add_header("X-A", "1")})
    assert run(server, fresh_source())[1].startswith("451 4.7.1")


@pytest.mark.parametrize("stage", ("CONNECT", "MAIL", "BODY", "END"))
def test_where_it_may_be_down_mail_goes_on_without_it(make_instance, marker, stage):
    with Milter("one", **{stage: CLOSE}) as one:
        server = make_instance(extra=one.block(when_down="accept"))
        assert send(server, marker) == 250
        server.wait_mail(MIKE, marker)
        server.wait_log('milter "one": it closed the connection')


@fault("Milters and policy servers", "a milter is not there", "at the connection", "as when_down says")
def test_one_that_is_not_there_is_what_when_down_says(make_instance, marker):
    one, two = Milter("one"), Milter("two")
    one.stop()
    two.stop()
    port, = ports.take(1)
    server = make_instance(extra=one.block(when_down="accept") + two.block() + 'milters = {"one"}\n'
                           + f'listen "127.0.0.1:{port}" {{ role = mx\n milters = {{"two"}} }}')
    try:
        assert send(server, marker) == 250
        with SmtpTalker(port, source=fresh_source(), greeting=False) as client:
            assert client.reply().text == "421 4.3.0 mail.example.test service not available, try again later"
        server.wait_log('milter "two": cannot be reached: Connection refused')
    finally:
        ports.give_back([port])


@fault("Milters and policy servers", "a milter closes", "in the middle of a change", "451, also where it may be down; nothing of it is delivered")
def test_half_a_change_is_never_delivered(make_instance, marker):
    with Milter("one", END=[m.replace_body(b"half of it"), CLOSE]) as one:
        server = make_instance(extra=one.block(when_down="accept"))
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            assert client.mail("a@client.example.net", MIKE, message(marker)).text.startswith("451 4.7.1")
            one.play()  # the session goes on without it
            assert client.mail("a@client.example.net", MIKE, message(marker + "2")) == 250
        server.wait_mail(MIKE, marker + "2")
        assert not [mail for mail in server.mails(MIKE) if b"half of it" in mail]
