"""Ports behind a proxy: who the client is says the PROXY header, and nobody but the proxies may send one."""
import re
import socket
import struct
import subprocess
import time

import pytest

from lib import ports
from lib.faults import fault
from lib.haproxy import Haproxy
from lib.instance import Instance
from lib.messages import message
from lib.place import program
from lib.talker import Closed, SmtpTalker, fresh_source
from lib.waiting import wait_for

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
PROXY = "127.88.0.1"  # an address in proxy_networks


def v1(client, server="198.51.100.9", port=25, family="TCP4"):
    return f"PROXY {family} {client} {server} 40000 {port}\r\n".encode()


def v2(client, server="198.51.100.9", port=25, command=0x21, extra=b""):
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    addresses = socket.inet_pton(family, client) + socket.inet_pton(family, server) + struct.pack("!HH", 40000, port) + extra
    return SIGNATURE + bytes([command, 0x21 if ":" in client else 0x11]) + struct.pack("!H", len(addresses)) + addresses


def make_proxied(role="mx", **options):
    port, = ports.take(1)
    extra = f'listen "127.0.0.1:{port}" {{ role = {role}\n proxy = yes\n proxy_networks = {{"127.88.0.0/16", "127.0.0.1"}} }}'
    instance = Instance(extra=extra, **options)
    instance.proxy_port = port
    return instance


@pytest.fixture(scope="module")
def proxied():
    with make_proxied() as instance:
        yield instance
    ports.give_back([instance.proxy_port])


@pytest.fixture
def make(request):
    made = []

    def start(**options):
        made.append(make_proxied(**options))
        return made[-1].start()
    yield start
    for instance in made:
        instance.stop()
        instance.remove()
        ports.give_back([instance.proxy_port])


class Proxied(SmtpTalker):
    """A connection of the proxy's that begins with these bytes."""

    def __init__(self, server, header, source=PROXY, greeting=True, pieces=None):
        super().__init__(server.proxy_port, source=source, greeting=False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces or [header]:
            self.send(piece)
        self.greeting = self.reply() if greeting else None


def unique_ip():
    """An address for a header that no other test uses, made of a loopback one."""
    return "10." + fresh_source().partition(".")[2]


HEADERS = {"version 1": v1, "version 2": v2, "version 2 with TLVs": lambda ip, *rest: v2(ip, *rest, extra=b"\x04\x00\x03abc")}


@pytest.mark.parametrize("kind", HEADERS)
def test_client_address_port_and_local_address_come_from_the_header(proxied, marker, kind):
    ip = unique_ip()
    with Proxied(proxied, HEADERS[kind](ip, "198.51.100.9", 2525)) as client:
        assert f"at {ip}" in client.ehlo().text
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
    row = proxied.wait_rows("select * from mails where remote_ip = ?", ip)[0]
    assert row["local_port"] == 2525 and row["role"] == "mx"
    assert f"[{ip}]".encode() in proxied.wait_mail("coco@example.test", marker)
    assert proxied.contact(ip)["hits"] == 1 and proxied.contact(PROXY) is None


def test_an_ipv6_client_is_a_contact_by_its_network(proxied):
    with Proxied(proxied, v2("2001:db8:7:8::9", "2001:db8::1")) as client:
        client.quit()
    with Proxied(proxied, v1("2001:db8:7:8::a", "2001:db8::1", family="TCP6")) as client:
        client.quit()
    assert proxied.contact("2001:db8:7:8::/64")["hits"] == 2


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2("10.9.9.9", command=0x20), SIGNATURE + b"\x21\x00\x00\x00"],
                         ids=["unknown", "local", "unspecified"])
def test_a_proxy_that_speaks_for_itself_is_the_client(proxied, header):
    source = "127.88." + ".".join(fresh_source().split(".")[2:])
    with Proxied(proxied, header, source=source) as client:
        assert f"at {source}" in client.ehlo().text
        client.quit()
    assert proxied.contact(source)["hits"] == 1 and proxied.contact("10.9.9.9") is None


def test_a_proxy_that_looks_whether_we_live_is_no_stranger(make):
    """It looks every second or two, and takes a server that is late, or refuses, out of service."""
    server = make(settings={"contact_connection_rate": 2, "greeting_delay_ms": 20000, "allow": ["127.255.255.254/32"]})
    began = time.monotonic()
    for _ in range(5):
        with Proxied(server, v2("10.9.9.9", command=0x20)) as client:
            assert client.greeting == 220
            client.quit()
    assert time.monotonic() - began < 15
    client_ip = unique_ip()
    with Proxied(server, v1(client_ip), greeting=False), Proxied(server, v1(client_ip), greeting=False):
        wait_for(lambda: server.log_text().count(f"connection from {client_ip}") == 2, "the two to be counted", explain=server.log_tail)
        with Proxied(server, v1(client_ip)) as client:
            assert client.greeting == 421, "its clients have theirs"


def test_a_header_in_single_bytes_is_read(proxied):
    ip = unique_ip()
    for header in (v1(ip), v2(ip)):
        with Proxied(proxied, header, pieces=[bytes([byte]) for byte in header]) as client:
            client.quit()
    assert proxied.contact(ip)["hits"] == 2


@fault("Clients", "a proxy talks nonsense", "in the PROXY header", "closed without a word, logged")
@pytest.mark.parametrize("header", [b"EHLO client.example.net\r\n", b"PROXY TCP4 10.1.2.3\r\n", b"PROXY TCP4 " + b"x" * 200,
                                    SIGNATURE + b"\x31\x11\x00\x00", SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 500],
                         ids=["no_header", "a_short_line", "an_endless_line", "another_version", "too_long"])
def test_a_bad_header_closes_without_a_word_and_is_logged(proxied, header):
    before = len(proxied.log_text())
    with Proxied(proxied, header, greeting=False) as client:
        client.expect_close()
    proxied.wait_log(rf"the proxy {PROXY} sent no PROXY header: closed", before)
    assert proxied.contact(PROXY) is None


@fault("Clients", "a proxy is silent", "in the PROXY header", "closed, logged")
def test_a_header_that_does_not_come_in_time_closes(make):
    server = make(settings={"receiver_timeout": 1})
    with Proxied(server, b"PROXY TCP4 10.", greeting=False) as client:
        client.expect_close()
    server.wait_log(rf"the proxy {PROXY} sent no PROXY header in time: closed")


def test_a_connection_from_elsewhere_is_closed_and_logged(proxied):
    before, source, ip = len(proxied.log_text()), fresh_source(), unique_ip()
    with SmtpTalker(proxied.proxy_port, source=source, greeting=False) as client:
        try:
            client.send(v1(ip))
        except Closed:
            pass  # already
        client.expect_close()
    proxied.wait_log(rf"connection from {re.escape(source)} to the proxies' port \S+ closed: it is not in proxy_networks", before)
    assert proxied.contact(source) is None and proxied.contact(ip) is None


def test_talk_right_behind_the_header_is_talk_before_the_greeting(proxied):
    with Proxied(proxied, v1(unique_ip()) + b"EHLO early.example.net\r\n") as client:
        assert client.greeting == 554
        client.expect_close()


def test_the_client_is_warned_and_locked_out_and_the_proxy_is_not(proxied):
    ip, other = unique_ip(), unique_ip()
    with Proxied(proxied, v1(ip)) as client:
        for _ in range(3):
            assert client.command("EHLO nxdomain.example") == 550
    with Proxied(proxied, v2(ip)) as client:
        assert client.greeting.text.startswith(f"421 4.7.1 mail.example.test Access TEMPORARILY denied to {ip}: ")
        client.expect_close()
    with Proxied(proxied, v1(ip), greeting=False) as client:
        client.expect_close()
    with Proxied(proxied, v1(other)) as client:
        client.quit()
    row = proxied.contact(ip)
    assert (row["violations"], row["locks"]) == (4, 1) and proxied.contact(PROXY) is None


def test_connections_of_a_client_through_the_proxy_are_limited_and_those_of_the_proxy_are_not(make):
    server = make(settings={"contact_connection_limit": 2})
    ip = unique_ip()
    first, second = Proxied(server, v1(ip)), Proxied(server, v1(ip))
    with Proxied(server, v1(ip)) as client:
        assert client.greeting.text == "421 4.7.0 mail.example.test too many connections from you, try again later"
        client.expect_close()
    others = [Proxied(server, v1(unique_ip())) for _ in range(4)]
    assert {client.greeting.code for client in others} == {220}
    first.quit()

    def admitted():
        with Proxied(server, v1(ip)) as client:
            return client.greeting.code == 220
    wait_for(admitted, "the limit to count the one that left")
    for client in [second, *others]:
        client.close()


def test_with_several_sessions_a_receiver_the_one_before_does_not_count(make):
    server = make(settings={"contact_connection_limit": 1, "receiver_sessions": 100, "receiver_spare": 3})
    ip = unique_ip()

    def admitted():
        with Proxied(server, v1(ip)) as client:
            if client.greeting.code == 220:
                client.quit()
            return client.greeting.code == 220
    for _ in range(8):
        wait_for(admitted, "to be let in once more")


def test_a_trusted_network_is_that_of_the_client_not_of_the_proxy(make, marker):
    server = make(role="internal", settings={"trusted_networks": ["10.88.0.0/16", "127.0.0.0/8"]})
    with Proxied(server, v1("10.99.0.1")) as client:
        client.ehlo()
        assert client.command("MAIL FROM:<coco@example.test>") == 530
    with Proxied(server, v1("10.88.0.1")) as client:
        client.ehlo()
        assert client.mail("coco@example.test", "mike@example.test", message(marker)) == 250


@pytest.mark.parametrize("block, words", [
    ('listen "127.0.0.1:{}" {{ role = mx\n proxy = yes }}', ["proxy without proxy_networks"]),
    ('listen "127.0.0.1:{}" {{ role = mx\n proxy_networks = {{"127.0.0.1"}} }}', ["proxy_networks without proxy", "proxy = yes"]),
], ids=["no_networks", "networks_alone"])
def test_a_proxy_port_names_its_proxies(make_instance, block, words):
    port, = ports.take(1)
    instance = make_instance(start=False, extra=block.format(port))
    instance.prepare_files()
    done = subprocess.run([program("parcelpostd"), "-c", instance.configuration, "-T"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, check=False, text=True)
    ports.give_back([port])
    assert done.returncode == 78 and all(word in done.stdout for word in words), done.stdout


def test_clients_of_a_real_haproxy_are_known_by_their_own_address(proxied, marker):
    with Haproxy(proxied.directory, proxied.proxy_port) as haproxy:
        for number, port in enumerate((haproxy.v1, haproxy.v2)):
            source = fresh_source()
            with SmtpTalker(port, source=source) as client:
                assert f"at {source}" in client.ehlo().text
                assert client.mail("a@example.net", "coco@example.test", message(f"{marker}-{number}")) == 250
                client.quit()
            assert f"[{source}]".encode() in proxied.wait_mail("coco@example.test", f"{marker}-{number}")
            assert proxied.wait_rows("select 1 from mails where remote_ip = ? and local_port = ?", source, port)
