"""Where remote mail goes (RFC 5321 5.1, RFC 8305, routes of the operator's), on a running server."""
import os
import shutil
import socket
import tempfile

import pytest

from lib import ports
from lib.certificates import certificate
from lib.dovecot import Dovecot
from lib.fake_server import FakeServer
from lib.instance import Instance
from lib.messages import message
from lib.postfix import Postfix
from lib.sink import Sink
from lib.talker import fresh_source
from lib.waiting import wait_exit, wait_for
from lib.world import World, fresh_address

SOURCE, SOURCE_OF_THE_BLOCK = "127.0.0.77", "127.0.0.78"


@pytest.fixture(scope="module")
def world():
    with World(settings={"source_addresses": ["192.0.2.1", SOURCE]}) as made:
        yield made


@pytest.fixture
def six(world):
    """A server at the only IPv6 address that a test has for itself."""
    with FakeServer(host="::1", port=world.port) as made:
        yield made


class Silent:
    """An address at which connecting never ends: a listener whose backlog is full drops every further SYN."""

    def __init__(self, host, port):
        self.host = host
        self.listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=0)
        self.waiting = []

    def __enter__(self):
        for _ in range(8):
            one = socket.socket(self.listener.family)
            one.setblocking(False)
            one.connect_ex(self.listener.getsockname()[:2])
            self.waiting.append(one)
        return self

    def __exit__(self, *_):
        for one in (*self.waiting, self.listener):
            one.close()


def both_families(world, six, four, name=None):
    """A domain whose only exchanger has an IPv6 and an IPv4 address."""
    name = name or f"both{len(world.server.zone)}.far.test"
    world.server.write_zone({name: [{"MX": [10, "mx." + name]}], "mx." + name: [{"A": four}, {"AAAA": six}]})
    return name


def deliver(world, recipient, marker, state="delivered"):
    """Submits, waits; gives the attempts."""
    mail_id = world.submit(recipient, message(marker))
    world.parcels(mail_id, state)
    return world.attempts(mail_id)


# Addresses of a host.

def test_ipv6_comes_first(world, six, marker):
    four = world.exchanger()
    deliver(world, f"friend@{both_families(world, '::1', four.host)}", marker)
    assert len(six.messages) == 1 and not four.sessions


def test_a_hung_ipv6_address_does_not_delay(world, marker):
    four = world.exchanger()
    with Silent("::1", world.port):
        attempt, = deliver(world, f"friend@{both_families(world, '::1', four.host)}", marker)
    assert len(four.messages) == 1
    assert attempt["address"] == f"{four.host}:{world.port}" and attempt["reply"].startswith("250")
    assert attempt["milliseconds"] < 5000, "it waited for the connection that hung"


def test_a_refused_ipv6_address_does_not_fail_the_host(world, marker):
    four = world.exchanger()
    attempt, = deliver(world, f"friend@{both_families(world, '::1', four.host)}", marker)
    assert len(four.messages) == 1 and attempt["address"] == f"{four.host}:{world.port}"


def test_the_other_family_is_tried_when_ipv6_greets_badly(world, marker):
    four = world.exchanger()
    with FakeServer(host="::1", port=world.port, on={"GREETING": "421 4.3.2 not now|CLOSE"}) as six:
        deliver(world, f"friend@{both_families(world, '::1', four.host)}", marker)
        assert len(six.sessions) == 1 and len(four.messages) == 1


def test_a_host_of_many_addresses_is_tried_in_both_families(world, marker):
    four, name = world.exchanger(), "crowded.far.test"
    world.server.write_zone({name: [{"MX": [10, "mx." + name]}], "mx." + name: [{"AAAA": "::1"}] * 20 + [{"A": four.host}]})
    deliver(world, f"friend@{name}", marker)
    assert len(four.messages) == 1


def test_an_unreachable_host_is_told_with_every_address_and_why(world, marker):
    gone = fresh_address()
    mail_id = world.submit(f"friend@{both_families(world, '::1', gone)}", message(marker))
    row, = world.parcels(mail_id, "deferred").values()
    port = world.port
    assert row["delivery_msg"].endswith(f" ([::1]:{port}): Connection refused, ({gone}:{port}): Connection refused"), row["delivery_msg"]
    assert row["delivery_msg"].startswith("451 4.4.1 cannot connect to mx.both")


# Exchangers.

def test_equal_exchangers_share_the_mail_by_chance(world, marker):
    one, two = world.exchanger(), world.exchanger()
    for number in range(16):
        deliver(world, f"friend@{world.domain([10, one], [10, two])}", f"{marker}-{number}")
    assert len(one.messages) + len(two.messages) == 16 and one.messages and two.messages


def test_an_address_of_ours_in_the_mx_list_cuts_off_the_worse_exchangers(marker):
    """The name is another's, but it leads here: at our own port, mail would come back until its hops are too many."""
    port = ports.take(1)[0]
    better, worse = FakeServer(host=fresh_address(), port=port, on={"MAIL": "450 4.2.0 later"}), FakeServer(host=fresh_address(), port=port)
    server = Instance(settings={"remote_smtp_port": port, "retry_schedule": ["3600"]}, extra=f'listen "127.0.0.1:{port}" {{ role = mx }}')
    far = {"better": better.host, "us": "127.0.0.1", "worse": worse.host}
    server.zone.update({f"{name}.far.test": [{"A": host}] for name, host in far.items()})
    server.zone["backup.test"] = [{"MX": [10, "better.far.test"]}, {"MX": [20, "us.far.test"]}, {"MX": [20, "worse.far.test"]}]
    server.zone["loop.test"] = [{"MX": [10, "us.far.test"]}, {"MX": [20, "worse.far.test"]}]
    with server, better, worse:
        def submit(recipient):
            with server.talk("internal") as client:
                client.ehlo()
                reply = client.mail("coco@example.test", recipient, message(marker))
                return server.wait_parcels(reply.text.partition("id=")[2], "deferred", "failed")[0]["delivery_msg"]
        assert submit("friend@backup.test").startswith("450 4.2.0 later")
        assert submit("friend@loop.test") == "554 5.4.6 mail for loop.test leads to this host, which does not serve it"
        assert submit("friend@[127.0.0.1]").startswith("554 5.4.6")
        assert len(better.sessions) == 1 and not worse.sessions
    ports.give_back([port])


# A server that knows no EHLO.

def test_helo_is_said_over_a_new_connection_when_the_server_drops_who_says_ehlo(world, marker):
    old = world.exchanger(on={"EHLO": "502 5.5.1 unknown|CLOSE"})
    attempt, = deliver(world, f"friend@{world.domain([10, old])}", marker)
    first, second = old.sessions
    assert "C: EHLO mail.example.test" in first and "C: HELO mail.example.test" not in first
    assert [line for line in second if line.startswith("C: ")][:2] == ["C: HELO mail.example.test", "C: MAIL FROM:<coco@example.test>"]
    assert len(old.messages) == 1 and not old.faults and attempt["tls"] == ""


def test_helo_is_said_over_the_same_connection_when_that_is_left(world, marker):
    old = world.exchanger(no_ehlo=True)
    deliver(world, f"friend@{world.domain([10, old])}", marker)
    assert len(old.sessions) == 1 and len(old.messages) == 1 and not old.faults


# What an attempt says of the destination.

@pytest.mark.parametrize("behaviour, failures", [
    (None, 1), ({"on": {"GREETING": "421 4.3.2 not now|CLOSE"}}, 1), ({"on": {"GREETING": "CLOSE"}}, 1),
    ({"on": {"EHLO": "421 4.3.2 not now|CLOSE"}}, 0), ({"on": {"MAIL": "450 4.2.0 later"}}, 0), ({"on": {"RCPT": "452 4.2.2 full"}}, 0)],
    ids=["refused", "greeting_421", "no_greeting", "ehlo_421", "mail_450", "rcpt_452"])
def test_a_destination_counts_as_unreachable_only_when_nobody_there_greets(world, marker, behaviour, failures):
    one = world.exchanger(start=behaviour is not None, **(behaviour or {}))
    domain = world.domain([10, one])
    deliver(world, f"friend@{domain}", marker, "deferred")
    assert [row[0] for row in world.server.sql("select failures from destinations where destination = ? and failures > 0", domain)] == [1] * failures


def test_a_destination_whose_dns_fails_counts_as_unreachable(world, marker):
    world.server.write_zone({"dns-fails.test": [{"MX": [10, "mx.dns-fails.test"]}], "mx.dns-fails.test": ["SERVFAIL"]})
    deliver(world, "friend@dns-fails.test", marker, "deferred")
    assert world.server.sql("select failures from destinations where destination = 'dns-fails.test'")[0][0] == 1


def test_an_agent_makes_way_when_its_resolver_has_died(marker):
    """One that keeps a connection open: the next destination that it went to seemed to be out of reach, and rested; so did all behind it."""
    with World(settings={"agent_limit": 2}) as world:  # one of them for remote mail
        try:
            deliver(world, f"friend@{world.domain([10, world.exchanger()])}", marker)
            (agent, *_), = world.server.processes("agent")
            world.server.kill("resolver")
            wait_exit(agent, 2)  # before it would have ended for having nothing to do
            deliver(world, f"friend@{world.domain([10, world.exchanger()])}", marker)
        finally:
            world.server.stop(check=False)  # its log tells of the signal


# Address literals.

def test_an_ipv4_literal_is_delivered_to_that_address(world, marker):
    sink = world.exchanger()
    attempt, = deliver(world, f"friend@[{sink.host}]", marker)
    assert sink.messages[0].recipients == [f"friend@[{sink.host}]"] and attempt["route"] == "smtp address literal"


def test_an_ipv6_literal_is_delivered_to_that_address(world, six, marker):
    attempt, = deliver(world, "friend@[IPv6:::1]", marker)
    assert six.messages[0].recipients == ["friend@[IPv6:::1]"] and attempt["address"] == f"[::1]:{world.port}"


# From where.

def test_mail_leaves_from_the_first_source_address_that_this_machine_has(world, six, marker):
    """192.0.2.1 stands before it, but is nobody's here; of IPv6 none is given, so that the kernel chooses."""
    four = world.exchanger()
    deliver(world, f"friend@{world.domain([10, four])}", marker)
    deliver(world, "friend@[IPv6:::1]", marker + "-six")
    assert four.messages[0].peer[0] == SOURCE and six.messages[0].peer[0] == "::1"


# Routes of the operator's.

@pytest.fixture(scope="module")
def routed():
    """Routes for a domain and for those below it."""
    with FakeServer() as exact, FakeServer() as below:
        extra = f"""route "parent.test" {{
            host = "{exact.endpoint}"
            source_addresses = {{"{SOURCE_OF_THE_BLOCK}"}}
        }}
        route ".parent.test" {{
            host = "{below.endpoint}"
        }}"""
        with Instance(extra=extra) as server:
            server.exact, server.below = exact, below
            yield server


@pytest.fixture
def relayed():
    """All remote mail goes to a Postfix that wants TLS and a login, which it asks a Dovecot about."""
    if os.geteuid() != 0 or not os.path.exists("/usr/sbin/postfix"):
        pytest.skip("needs root and the package postfix")
    folder = tempfile.mkdtemp(prefix="parcelpost-relay-")  # not pytest's, which is closed to Postfix's user
    os.chmod(folder, 0o755)
    secret = os.path.join(folder, "password")
    with open(secret, "w", encoding="ascii") as stream:
        stream.write("my-password\n")
    os.chmod(secret, 0o600)
    chain = certificate(folder, "mail.example.test")
    try:
        with Dovecot(os.path.join(folder, "dovecot")) as accounts, \
                Postfix(os.path.join(folder, "postfix"), "relay.test", chain, sasl=accounts.auth_socket) as relay:
            extra = f"""route "*" {{
                host = "mail.example.test:{relay.port}"
                tls = verified
                user = "coco@example.test"
                password_file = "{secret}"
            }}"""
            with Instance(extra=extra, environment={"SSL_CERT_FILE": chain[0]}) as server:
                server.relay = relay
                yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def send(server, recipient, marker):
    """The attempt by which it was delivered."""
    with server.talk("internal") as client:
        client.ehlo()
        mail_id = client.mail("coco@example.test", recipient, message(marker)).text.partition("id=")[2]
    server.wait_parcels(mail_id, "delivered")
    return server.sql("select attempts.* from attempts join parcels on parcels.id = parcel_id where mail_id = ?", mail_id)[0]


def test_a_route_holds_for_its_domain_and_one_with_a_dot_for_those_below(routed, marker):
    assert send(routed, "friend@parent.test", marker + "-1")["route"] == "smtp route parent.test"
    assert send(routed, "friend@deep.sub.parent.test", marker + "-2")["route"] == "smtp route .parent.test"
    assert [one.recipients for one in routed.exact.messages] == [["friend@parent.test"]]
    assert [one.recipients for one in routed.below.messages] == [["friend@deep.sub.parent.test"]]
    assert routed.exact.messages[0].peer[0] == SOURCE_OF_THE_BLOCK


def test_a_relay_host_gets_mail_with_a_login_within_verified_tls(relayed, marker):
    attempt = send(relayed, "friend@elsewhere.test", marker)
    assert attempt["route"] == "smtp route *" and attempt["tls"].endswith(" verified"), dict(attempt)
    for words in ("sasl_username=coco@example.test", "TLS connection established from"):
        wait_for(lambda words=words: words in relayed.relay.log_text(), "the relay's log", explain=relayed.relay.log_text)


def test_a_transport_takes_the_mail_of_a_remote_domain_that_is_in_no_dns(marker):
    """Its route says where the mail goes, as one with a host does: DNS has no say."""
    with FakeServer() as gateway:
        extra = f'transport "gateway" {{ kind = smtp\n target = "{gateway.endpoint}" }}\nroute "inside.example" {{ transport = gateway }}'
        with Instance(extra=extra) as server:
            send(server, "friend@inside.example", marker)
        assert [one.recipients for one in gateway.messages] == [["friend@inside.example"]]


def test_a_local_part_elsewhere_may_begin_like_the_name_of_a_program():
    with Sink() as sink, Instance(route=sink.endpoint) as server:
        with server.talk("internal", source=fresh_source()) as client:
            client.ehlo()
            client.mail("coco@example.test", ["|friend@one.test"], message("bar"))
        server.wait_rows("select 1 from parcels where to_url = '|friend@one.test' and state = 'delivered'")
        assert sink.order == ["one.test"]
