"""Other programs hand mail to us by LMTP (RFC 2033), through a port and through a Unix socket."""
import grp
import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile

import pytest

from lib.instance import Instance
from lib.messages import message, odd_message
from lib.place import program
from lib.postfix import Postfix
from lib.talker import SmtpTalker, fresh_source
from lib.waiting import wait_for
from lib.world import World

RULE = "SELECT '550 5.7.1 coco does not want this' WHERE :rcpt = 'coco@example.test' AND :subject = 'not for coco';"


@pytest.fixture(scope="module")
def server():
    with Instance(lmtp=True) as made:
        yield made


def deliver(client, recipients, data, sender="stranger@example.net"):
    """One message in the client's session; gives the replies that follow the data."""
    client.expect(250, f"MAIL FROM:<{sender}>")
    for recipient in recipients:
        client.expect(250, f"RCPT TO:<{recipient}>")
    client.expect(354, "DATA")
    client.send(data + b"\r\n.\r\n" if not data.endswith(b"\r\n") else data + b".\r\n")
    return [client.reply() for _ in recipients]


def test_swaks_delivers_through_the_unix_socket(server, marker):
    done = subprocess.run(["swaks", "--protocol", "LMTP", "--socket", server.lmtp_socket, "--ehlo", "client.example.net", "--from", "<>",
                           "--to", "coco@example.test,mike@example.test", "--header", f"X-Marker: {marker}"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    output = done.stdout.decode()
    assert done.returncode == 0, output
    for user in ("coco@example.test", "mike@example.test"):
        assert f"250 2.0.0 <{user}> OK id=" in output
        mail = server.wait_mail(user, marker)
        assert mail.startswith(b"Return-Path: <>\n") and f"Received: from client.example.net (uid {os.geteuid()})".encode() in mail
        assert b"with LMTP id" in mail


def test_swaks_delivers_through_the_port_within_tls(server, source, marker):
    done = subprocess.run(["swaks", "--protocol", "LMTP", "--tls", "--server", f"127.0.0.1:{server.lmtp_listener}", "--local-interface", source,
                           "--ehlo", "client.example.net", "--to", "coco@example.test", "--header", f"X-Marker: {marker}"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout.decode()
    mail = server.wait_mail("coco@example.test", marker)
    assert b"with LMTPS id" in mail and f"[{source}]".encode() in mail


@pytest.mark.skipif(os.geteuid() != 0, reason="Postfix starts as root only")
@pytest.mark.parametrize("way", ["port", "unix"])
def test_postfix_delivers_to_us_by_lmtp(server, marker, way):
    folder = tempfile.mkdtemp(prefix="parcelpost-postfix-")
    os.chmod(folder, 0o755)
    os.chmod(server.lmtp_socket, 0o666)
    os.chmod(server.directory, 0o755)
    to_us = f"lmtp:inet:127.0.0.1:{server.lmtp_listener}" if way == "port" else f"lmtp:unix:{server.lmtp_socket}"
    try:
        with Postfix(os.path.join(folder, "postfix"), others={"example.test": to_us}) as postfix:
            with SmtpTalker(postfix.port) as client:
                client.expect(250, "EHLO client.example.net")
                client.expect(250, "MAIL FROM:<friend@remote.test>")
                for user in ("coco", "nobody-at-all", "mike"):
                    client.expect(250, f"RCPT TO:<{user}@example.test>")
                client.expect(354, "DATA")
                client.send(message(marker, sender="friend@remote.test") + b".\r\n")
                assert client.reply().code == 250
            for user in ("coco", "mike"):
                assert b"with LMTP id" in server.wait_mail(f"{user}@example.test", marker)
            wait_for(lambda: "550 5.1.1" in postfix.log_text(), "its log", explain=postfix.log_text)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert not server.sql("select * from violations where port = ?", server.lmtp_listener), "a server of ours is not shut out for others' faults"


def test_a_message_is_handed_over_byte_for_byte_and_its_first_dot_is_unstuffed(server, source, marker):
    text = odd_message(marker, 5, 20000)
    body = b".dot\r\n..two\r\n" + text
    with server.talk("lmtp", source=source) as client:
        client.expect(250, "LHLO client.example.net")
        [reply] = deliver(client, ["coco@example.test"], b"X-Marker: " + marker.encode() + b"\r\n\r\n" + b"..dot\r\n...two\r\n" +
                          text.replace(b"\r\n.", b"\r\n.."))
        assert reply.code == 250
    assert server.wait_mail("coco@example.test", marker).replace(b"\r\n", b"\n").endswith(body.replace(b"\r\n", b"\n"))


def test_a_client_that_leaves_without_quit_is_in_the_log(server, source):
    with server.talk("lmtp", source=source) as client:
        client.expect(250, "LHLO client.example.net")
    server.wait_log(f" warn .*{source} closed the connection without QUIT")


def test_one_silent_client_holds_up_nobody(server, source, marker):
    with server.talk("lmtp", source=source) as silent:
        silent.expect(250, "LHLO client.example.net")
        silent.expect(250, "MAIL FROM:<>")
        with server.talk("lmtp", source=source) as client:
            client.expect(250, "LHLO client.example.net")
            assert [reply.code for reply in deliver(client, ["coco@example.test"], message(marker))] == [250]


def test_a_recipient_named_again_counts_against_the_limit(make_instance, source, marker):
    server = make_instance(lmtp=True, settings={"recipient_maximum": 100})
    with server.talk("lmtp", source=source) as client:
        client.expect(250, "LHLO client.example.net")
        client.expect(250, "MAIL FROM:<>")
        client.send("RCPT TO:<coco@example.test>\r\n" * 101 + "DATA\r\n")
        assert [client.reply().code for _ in range(101)] == [250] * 100 + [452]
        assert client.reply().code == 354
        client.send(message(marker) + b".\r\n")
        assert [client.reply().code for _ in range(100)] == [250] * 100
    assert server.wait_mail("coco@example.test", marker)
    assert server.sql("select count(*) as n from parcels")[0]["n"] == 1


def test_what_a_rule_refuses_for_one_recipient_reaches_the_others(make_instance, source, marker):
    server = make_instance(start=False, lmtp=True)
    os.makedirs(server.path("rules"))
    with open(server.path("rules", "message.sql"), "w", encoding="utf-8") as stream:
        stream.write(RULE)
    server.start()
    with server.talk("lmtp", source=source) as client:
        client.expect(250, "LHLO client.example.net")
        replies = deliver(client, ["coco@example.test", "postmaster@example.test", "mike@example.test"], message(marker, subject="not for coco"))
    assert [reply.code for reply in replies] == [550, 250, 250]
    assert server.wait_mail("mike@example.test", marker)
    assert server.wait_mail("coco@example.test", marker), "postmaster is coco: that one was accepted"
    [row] = server.sql("select * from parcels where delivery = 'none'")
    assert (row["to_url"], row["state"]) == ("coco@example.test", "refused")


def test_a_last_chunk_that_a_rule_refuses_is_answered_for_each_recipient(make_instance, source):
    """RFC 2033 4.3: whoever counts the replies would wait for the second one."""
    server = make_instance(start=False, lmtp=True)
    os.makedirs(server.path("rules"))
    with open(server.path("rules", "data.sql"), "w", encoding="utf-8") as stream:
        stream.write("SELECT '550 5.7.1 not now';")
    server.start()
    with server.talk("lmtp", source=source) as client:
        client.expect(250, "LHLO client.example.net")
        for chunk, answers in (("BDAT 2 LAST", 2), ("BDAT 2", 1)):
            client.expect(250, "MAIL FROM:<>")
            client.expect(250, "RCPT TO:<coco@example.test>")
            client.expect(250, "RCPT TO:<mike@example.test>")
            client.send(f"{chunk}\r\n\r\nRSET\r\n")
            assert [client.reply().code for _ in range(answers + 1)] == [550] * answers + [250]


def test_a_sender_that_a_rule_changes_gets_no_notice_about_the_next_message(marker, source):
    with World(lmtp=True) as world:
        os.makedirs(world.server.path("rules"), exist_ok=True)
        with open(world.server.path("rules", "mail_from.sql"), "w", encoding="utf-8") as stream:
            stream.write("SELECT NULL, 'coco@example.test' AS sender WHERE :from = 'first@example.net';")
        world.server.restart()
        sink = world.exchanger()
        domain = world.domain([10, sink])
        sink.behaviour["on"] = {"RCPT": {f"gone@{domain}": "550 5.1.1 nobody", "*": None}}
        world.server.command("alias", "add", "away@example.test", f"gone@{domain}")
        with world.server.talk("lmtp", source=source) as client:
            client.expect(250, "LHLO client.example.net")
            deliver(client, ["mike@example.test"], message(marker), sender="first@example.net")
            [reply] = deliver(client, ["away@example.test"], message(marker), sender=f"second@{domain}")
        notice = wait_for(lambda: world.server.sql("select p.* from parcels p join mails m using (mail_id) where m.role = 'notice'"), "the notice",
                          explain=world.server.log_tail)
        assert [(row["to_url"], row["delivery"]) for row in notice] == [(f"second@{domain}", "remote")], reply


def test_a_sender_of_ours_hears_of_a_failure_as_his_mail_would_come_to_him(marker, source):
    """No rule asks who sends by LMTP: his notice went to a mailbox of the name that he was given, in other letters."""
    with World(lmtp=True) as world:
        domain = world.domain([10, world.exchanger(on={"RCPT": "550 5.1.1 nobody"})])
        world.server.command("alias", "add", "away@example.test", f"gone@{domain}")
        with world.server.talk("lmtp", source=source) as client:
            client.expect(250, "LHLO client.example.net")
            deliver(client, ["away@example.test"], message(marker), sender="MIKE@Example.Test")
        world.server.wait_mail("mike@example.test", "550 5.1.1 nobody")


def test_a_rule_that_fails_is_451_for_its_recipient_and_the_next_goes_on(make_instance, source, marker):
    server = make_instance(start=False, lmtp=True)
    os.makedirs(server.path("rules"))
    with open(server.path("rules", "message.sql"), "w", encoding="utf-8") as stream:
        stream.write("SELECT abs(-9223372036854775807 - 1) WHERE :rcpt = 'coco@example.test';")  # an integer overflow
    server.start()
    with server.talk("lmtp", source=source) as client:
        client.expect(250, "LHLO client.example.net")
        assert [reply.code for reply in deliver(client, ["coco@example.test", "mike@example.test"], message(marker))] == [451, 250]
        assert [reply.code for reply in deliver(client, ["mike@example.test"], message(marker + "-next"))] == [250]
    server.wait_mail("mike@example.test", marker, count=2)
    assert not server.mails("coco@example.test")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_unix_socket_has_the_mode_and_the_owner_of_its_block_and_goes_at_the_stop(make_instance):
    server = make_instance(start=False)
    path = server.path("given.sock")
    server.extra = f'listen "{path}" {{ role = lmtp\n mode = 0620\n owner = "nobody:daemon" }}'
    server.start()
    status = os.stat(path)
    assert stat.S_IMODE(status.st_mode) == 0o620
    assert (status.st_uid, status.st_gid) == (pwd.getpwnam("nobody").pw_uid, grp.getgrnam("daemon").gr_gid)
    server.reload()
    with SmtpTalker(path) as client:
        client.expect(250, "LHLO client.example.net")
        client.expect(221, "QUIT")
    server.halt()
    assert not os.path.exists(path)


def start_fails(instance):
    done = subprocess.run([program("parcelpostd"), "-c", instance.configuration, "-f"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode()


def test_a_path_that_a_live_server_has_is_refused_and_left_alone(make_instance):
    instance = make_instance(start=False, lmtp=True)
    instance.prepare_files()
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(instance.lmtp_socket)
        living.listen(1)
        status, output = start_fails(instance)
        assert status != 0 and instance.lmtp_socket in output, output
        assert os.path.exists(instance.lmtp_socket)


def test_a_path_that_nobody_answers_on_is_taken(make_instance):
    instance = make_instance(start=False, lmtp=True)
    instance.prepare_files()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(instance.lmtp_socket)
    instance.start()
    with SmtpTalker(instance.lmtp_socket) as client:
        client.expect(250, "LHLO client.example.net")


@pytest.mark.parametrize("block, words", [
    ('listen "127.0.0.1:25" { role = lmtp }', "RFC 2033 5"),
    ('listen "127.0.0.1:2400" { role = lmtp\n owner = nobody }', "a port has no owner"),
    ('listen "/nowhere/lmtp" { role = lmtp }', "/nowhere/lmtp"),
])
def test_a_wrong_lmtp_block_stops_the_start(make_instance, block, words):
    instance = make_instance(start=False)
    instance.extra = block
    instance.prepare_files()
    status, output = start_fails(instance)
    assert status != 0 and words in output, output


@pytest.mark.parametrize("line, words", [
    ('extensions_off = {"SMTPUTF9"}', "there is no such extension"),
    ('ehlo_keywords = {"X_Y"}', "is no line for EHLO"),
    ('ehlo_keywords = {"SIZE 1"}', "is no line for EHLO"),
    ('ehlo_keywords = {"X %s"}' % ("y" * 256), "is too long"),
    ('no_soliciting = {"a b"}', "is no solicitation keyword"),
    ('no_soliciting = {"a:ADV,b:ADV"}', "is no solicitation keyword"),
    ('no_soliciting = {"a%s", "b"}' % ("y" * 998), "is no solicitation keyword"),
])
def test_a_wrong_ehlo_keyword_or_extension_stops_the_start(make_instance, line, words):
    instance = make_instance(start=False)
    instance.extra = line
    instance.prepare_files()
    status, output = start_fails(instance)
    assert status != 0 and words in output, output


def test_an_owner_that_does_not_exist_stops_the_start(make_instance):
    instance = make_instance(start=False)
    path = instance.path("given.sock")
    instance.extra = f'listen "{path}" {{ role = lmtp\n owner = "nobody-like-this" }}'
    instance.prepare_files()
    status, output = start_fails(instance)
    assert status != 0 and "there is no such owner" in output, output
    assert not os.path.exists(path)


def test_a_served_domain_may_be_a_pattern_and_its_users_another_s(make_instance, marker):
    """".example.test": all below it; "*": all. Where their mail goes is said by an alias of the same form."""
    for served, alias, address in ((["example.test", ".example.test"], "@.example.test", "mike@some.where.Example.TEST"), (["example.test", "*"], "@*", "mike@example.com")):
        server = make_instance(lmtp=True, settings={"local_domains": served})
        server.command("alias", "add", alias, "@example.test")
        with server.talk("lmtp", source=fresh_source()) as client:
            client.expect(250, "LHLO client.example.net")
            assert [reply.code for reply in deliver(client, [address], message(marker))] == [250]
            assert client.command("MAIL FROM:<>") == 250
            assert client.command("RCPT TO:<nobody@sub.example.test>").text.startswith("550 5.1.1 ")
            relay = client.command("RCPT TO:<mike@example.org>").text
            assert relay == "550 5.7.1 This server does not support relaying" if "*" not in served else relay.startswith("250 ")
        assert server.wait_mail("mike@example.test", marker)
