"""XCLIENT: a filter before this server says whom it speaks for; nobody else may."""
import os
import re
import subprocess

import pytest

from lib import ports
from lib.instance import Instance
from lib.messages import message
from lib.place import program
from lib.policy_server import PolicyServer
from lib.talker import SmtpTalker, fresh_source
from lib.waiting import wait_for

FILTER = "127.87.0.1"
KEYWORD = "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
BLOCKS = """
listen "127.0.0.1:{mx}" {{ role = mx
 xclient_networks = {{"127.87.0.0/16"}} }}
listen "127.0.0.1:{internal}" {{ role = internal
 xclient_networks = {{"127.87.0.0/16"}} }}
listen "127.0.0.1:{submission}" {{ role = submission
 xclient_networks = {{"127.87.0.0/16"}} }}
"""


@pytest.fixture(scope="module")
def server():
    taken = ports.take(3)
    at = dict(zip(("mx", "internal", "submission"), taken))
    with Instance(extra=BLOCKS.format(**at), zone={"7.9.11.10.in-addr.arpa": [{"PTR": "named.example.net"}], "named.example.net": [{"A": "10.11.9.7"}],
                        "again.example.net": [{"A": "10.0.0.1"}]},
                  settings={"trusted_networks": ["10.55.0.0/16"]}) as instance:
        instance.at = at
        yield instance
    ports.give_back(taken)


def talk(server, source=FILTER, port="mx"):
    return SmtpTalker(server.at[port], source=source)


def unique_ip():
    return "10." + fresh_source().partition(".")[2]


def test_the_filters_client_is_whom_the_mail_is_from(server, marker):
    ip = unique_ip()
    with talk(server) as client:
        assert KEYWORD in client.ehlo("localhost").text  # it need not be in the DNS
        reply = client.command(f"XCLIENT NAME=their.example.net ADDR={ip} PORT=4321 PROTO=ESMTP HELO=client.example.net DESTADDR=198.51.100.4 DESTPORT=25")
        assert reply.text.startswith("220 mail.example.test ESMTP Parcelpost ")
        assert client.command("MAIL FROM:<a@example.net>").code == 503  # back at the greeting
        assert f"Hello client.example.net at {ip}" in client.ehlo("localhost").text
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
        client.quit()
    text = server.wait_mail("coco@example.test", marker)
    assert f"Received: from client.example.net (their.example.net [{ip}])".encode() in text
    row = server.wait_rows("select * from mails where remote_ip = ?", ip)[0]
    assert (row["local_port"], row["remote_name"], row["ehlo"]) == (25, "their.example.net", "client.example.net")
    assert server.contact(ip)["hits"] == 1


def test_a_name_that_is_not_told_is_looked_up(server, marker):
    with talk(server) as client:
        client.ehlo()
        client.expect(220, "XCLIENT ADDR=10.11.9.7")
        client.ehlo()
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
    assert b"(named.example.net [10.11.9.7])" in server.wait_mail("coco@example.test", marker)


@pytest.mark.parametrize("word", ["[UNAVAILABLE]", "[TEMPUNAVAIL]", "[unavailable]"])
def test_what_is_not_available_is_not_known(server, word, marker):
    with talk(server) as client:
        client.ehlo()
        client.expect(220, f"XCLIENT ADDR=10.11.9.7 NAME={word} PORT={word} HELO={word} LOGIN={word} PROTO={word} DESTADDR={word} DESTPORT={word}")
        client.ehlo("again.example.net")
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
    assert b"from again.example.net ([10.11.9.7])" in server.wait_mail("coco@example.test", marker)


def test_a_client_without_an_address_is_the_filter(server):
    with talk(server) as client:
        client.ehlo()
        client.expect(220, "XCLIENT ADDR=10.9.8.7")
        client.expect(220, "XCLIENT ADDR=[UNAVAILABLE]")
        assert f"at {FILTER}" in client.ehlo().text


def test_values_are_xtext(server):
    with talk(server) as client:
        client.ehlo()
        client.expect(220, "XCLIENT ADDR=IPV6:2001+3Adb8:1::5 NAME=a+2Db.example.net")
        assert "at 2001:db8:1::5" in client.ehlo().text
    assert server.wait_rows("select 1 from contacts where remote_ip = '2001:db8:1::/64'")


@pytest.mark.parametrize("line", ["XCLIENT", "XCLIENT ADDR", "XCLIENT ADDR=", "XCLIENT ADDR=300.1.1.1", "XCLIENT ADDR=host.example.net", "XCLIENT PORT=70000",
                                  "XCLIENT COLOUR=red", "XCLIENT NAME=a..b", "XCLIENT HELO=a+0Ab", "XCLIENT HELO=a+zz", "XCLIENT PROTO=HTTP",
                                  "XCLIENT NAME=a.example.net LOGIN=a+00b"])
def test_a_wrong_attribute_changes_nothing(server, line):
    source = "127.87." + ".".join(fresh_source().split(".")[2:])
    with talk(server, source) as client:
        client.ehlo()
        assert client.command(line).text.startswith("501 5.5.4 ")
        client.expect(250, "MAIL FROM:<a@example.net>")  # still behind EHLO


def test_in_a_transaction_it_is_out_of_order(server):
    source = "127.87." + ".".join(fresh_source().split(".")[2:])
    with talk(server, source) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@example.net>")
        assert client.command("XCLIENT ADDR=10.1.1.1").text == "503 5.5.1 Command out of sequence"
        client.expect(250, "RCPT TO:<coco@example.test>")


def test_nobody_else_may(server, source):
    with talk(server, source) as client:
        assert "XCLIENT" not in client.ehlo().text
        assert "XCLIENT" not in client.command("HELP").text
        assert client.command("XCLIENT ADDR=10.1.1.1").text.startswith('500 5.5.1 Unrecognized command "XCLIENT"')
        assert f"at {source}" in client.ehlo().text
    with server.talk(source=FILTER) as client:  # the port without xclient_networks
        assert "XCLIENT" not in client.ehlo().text


def test_the_client_that_is_named_cannot_name_another(server):
    """Who may is decided by the connection: the filter may speak for a second client, whoever the first was."""
    with talk(server) as client:
        client.ehlo()
        client.expect(220, "XCLIENT ADDR=10.3.3.3")
        client.ehlo()
        client.expect(220, "XCLIENT ADDR=10.3.3.4")
        assert "at 10.3.3.4" in client.ehlo().text
    with talk(server, fresh_source()) as client:
        client.ehlo()
        assert client.command(f"XCLIENT ADDR={FILTER}").code == 500


def test_a_login_that_the_filter_tells_is_believed(server, marker):
    ip = unique_ip()
    with talk(server) as client:
        client.ehlo()
        client.expect(220, f"XCLIENT ADDR={ip} LOGIN=coco@example.test")
        client.ehlo()
        assert client.command("MAIL FROM:<mike@example.test>").code == 553
        assert client.mail("coco@example.test", "mike@example.test", message(marker)) == 250
        client.expect(220, f"XCLIENT ADDR={ip} LOGIN=[UNAVAILABLE]")
        client.ehlo()
        assert client.command("MAIL FROM:<coco@example.test>").code == 550
    assert server.wait_rows("select 1 from mails where remote_ip = ? and account = 'coco@example.test'", ip)


@pytest.mark.parametrize("logs_in", ["the filter", "the client before"])
def test_a_login_ends_with_who_had_it(server, logs_in):
    """A filter may log in itself, or keep its connection for the next client: neither makes a stranger a member."""
    with talk(server, port="submission") as client:
        client.ehlo()
        client.starttls()
        if logs_in == "the filter":
            assert client.login() == 235
        else:
            client.expect(220, f"XCLIENT ADDR={unique_ip()} LOGIN=coco@example.test HELO=first.example.net")
            assert "Hello first.example.net" in client.ehlo().text
            client.expect(250, "MAIL FROM:<coco@example.test>")
            client.expect(250, "RSET")
        client.expect(220, f"XCLIENT ADDR={unique_ip()}")
        assert "Hello second.example.net" in client.ehlo("second.example.net").text
        assert client.command("MAIL FROM:<coco@example.test>").code == 530
        assert client.login() == 235, "it may log in itself"


def test_attributes_of_one_client_may_come_in_several_commands(server, marker):
    ip = unique_ip()
    with talk(server, port="submission") as client:
        client.ehlo()
        client.starttls()
        client.expect(220, f"XCLIENT ADDR={ip} NAME=their.example.net")
        client.expect(220, "XCLIENT LOGIN=coco@example.test")
        client.expect(220, "XCLIENT HELO=their.example.net PORT=99")
        assert f"Hello their.example.net at {ip}" in client.ehlo().text
        assert client.mail("coco@example.test", "mike@example.test", message(marker)) == 250
    row = server.wait_rows("select * from mails where remote_ip = ?", ip)[0]
    assert (row["remote_name"], row["account"]) == ("their.example.net", "coco@example.test")


def test_trust_is_that_of_the_client_that_is_named(server):
    with talk(server, port="internal") as client:
        client.ehlo()
        client.expect(220, "XCLIENT ADDR=10.55.1.1")
        client.ehlo()
        client.expect(250, "MAIL FROM:<coco@example.test>")
        client.expect(250, "RSET")
        client.expect(220, "XCLIENT ADDR=10.56.1.1")
        client.ehlo()
        assert client.command("MAIL FROM:<coco@example.test>").code == 530


def test_lockouts_are_those_of_the_client_that_is_named(server):
    ip, source = unique_ip(), "127.87." + ".".join(fresh_source().split(".")[2:])

    def told(expected):
        with talk(server, source) as client:
            client.ehlo()
            client.send(f"XCLIENT ADDR={ip}\r\n")
            if expected:
                assert client.reply().text.startswith(expected)
                client.expect_close()
            else:
                client.expect_close()
    with talk(server, source) as client:
        client.ehlo()
        client.expect(220, f"XCLIENT ADDR={ip}")
        for _ in range(3):
            assert client.command("EHLO nxdomain.example").code == 550
    wait_for(lambda: server.contact(ip)["violations"] >= 3, "the violations")
    told(f"421 4.7.1 mail.example.test Access TEMPORARILY denied to {ip}")
    told(None)
    assert server.contact(source)["violations"] == 0


def test_connections_are_counted_for_the_client_that_is_named(make_instance):
    """The filter has as many as its clients have; each of them has the rate of one."""
    port, = ports.take(1)
    make_instance(extra=f'listen "127.0.0.1:{port}" {{ role = mx\n xclient_networks = {{"127.87.0.1"}} }}', settings={"contact_connection_rate": 2})

    def named(ip):
        with SmtpTalker(port, source=FILTER) as client:
            assert client.greeting == 220
            client.ehlo()
            return client.command(f"XCLIENT ADDR={ip}").text[:9]
    assert [named(f"10.67.{number}.1") for number in range(4)] == ["220 mail."] * 4
    assert [named("10.68.1.1") for _ in range(3)] == ["220 mail.", "220 mail.", "421 4.7.1"]
    ports.give_back([port])


def test_swaks_speaks_as_a_filter(server, marker):
    ip = unique_ip()
    done = subprocess.run(["swaks", "--server", f"127.0.0.1:{server.at['mx']}", "--local-interface", FILTER, "--ehlo", "localhost",
                           "--xclient", f"ADDR={ip} NAME=swaks.example.net HELO=client.example.net", "--from", "a@example.net",
                           "--to", "coco@example.test", "--body", marker], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                          check=False, text=True)
    assert done.returncode == 0, done.stdout
    assert f"from client.example.net (swaks.example.net [{ip}])".encode() in server.wait_mail("coco@example.test", marker)


def test_tls_goes_on(server, marker):
    with talk(server) as client:
        client.ehlo()
        client.starttls()
        client.expect(220, "XCLIENT ADDR=10.4.4.4")
        assert "STARTTLS" not in client.ehlo().text
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
    assert b"with ESMTPS id" in server.wait_mail("coco@example.test", marker)


def test_rules_are_asked_about_each_client(make_instance):
    port, = ports.take(1)
    server = make_instance(start=False, extra=f'listen "127.0.0.1:{port}" {{ role = mx\n xclient_networks = {{"127.87.0.1"}} }}')
    server.prepare()
    os.makedirs(server.path("rules"), exist_ok=True)
    with open(server.path("rules", "connect.sql"), "w", encoding="ascii") as stream:
        stream.write("SELECT '554 5.7.1 not you' WHERE :remote_ip = '10.66.6.6' AND :proxy_ip = '127.87.0.1'\n")
    server.launch()
    with SmtpTalker(port, source=FILTER) as client:
        client.ehlo()
        assert client.command("XCLIENT ADDR=10.66.6.6").text == "554 5.7.1 not you"
        client.expect_close()
    ports.give_back([port])


def test_a_name_that_is_told_is_the_clients_in_every_way(make_instance):
    """The filter has looked it up; what was known of the filter, or of the client before, is not the next one's."""
    port, = ports.take(1)
    with PolicyServer() as policy:
        extra = (f'listen "127.0.0.1:{port}" {{ role = mx\n xclient_networks = {{"127.87.0.1"}}\n policies = {{"one"}} }}\n'
                 f'policy "one" {{ endpoint = "{policy.endpoint}"\n stages = {{"mail_from"}} }}')
        server = make_instance(start=False, extra=extra, settings={"reverse_required": "confirmed"},
                               zone={"1.0.87.127.in-addr.arpa": [{"PTR": "filter.example.net"}], "filter.example.net": [{"A": "127.87.0.1"}]})
        server.prepare()
        os.makedirs(server.path("rules"), exist_ok=True)
        with open(server.path("rules", "connect.sql"), "w", encoding="ascii") as stream:
            stream.write("SELECT NULL, 'only for the first' AS banner WHERE :remote_ip = '10.66.6.7';\n")
        server.launch()
        with SmtpTalker(port, source=FILTER) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<a@example.net>")
            client.expect(250, "RSET")
            assert policy.requests[-1]["reverse_client_name"] == "filter.example.net"
            assert client.expect(220, "XCLIENT ADDR=10.66.6.7 NAME=their.example.net").text.endswith("only for the first")
            client.ehlo()
            client.expect(250, "MAIL FROM:<a@example.net>")
            client.expect(250, "RSET")
            assert (policy.requests[-1]["client_name"], policy.requests[-1]["reverse_client_name"]) == ("their.example.net", "their.example.net")
            assert "Parcelpost" in client.expect(220, "XCLIENT ADDR=10.66.6.8 NAME=[UNAVAILABLE]").text
            client.ehlo()
            assert client.command("MAIL FROM:<a@example.net>").text.startswith("550 5.7.25 10.66.6.8 has no name")
            client.expect(220, "XCLIENT ADDR=10.66.6.9 NAME=[TEMPUNAVAIL]")
            client.ehlo()
            assert client.command("MAIL FROM:<a@example.net>").text.startswith("450 4.7.25 the name of 10.66.6.9 could not")
    ports.give_back([port])


def test_a_unix_socket_has_no_filters(make_instance):
    instance = make_instance(start=False)
    instance.extra = f'listen "{instance.path("filter.sock")}" {{ role = lmtp\n xclient_networks = {{"127.0.0.1"}} }}'
    instance.prepare_files()
    done = subprocess.run([program("parcelpostd"), "-c", instance.configuration, "-T"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                          check=False, text=True)
    assert done.returncode == 78 and re.search("a Unix socket is not reached through a network; accepted: a port of 127.0.0.1", done.stdout)
