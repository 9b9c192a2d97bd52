"""Policy servers (Postfix's SMTPD_POLICY_README): what they are asked, and what their answers do."""
import contextlib
import hashlib
import re
import ssl
import threading

import pytest

from lib import certificates, ports
from lib.instance import Instance
from lib.messages import message
from lib.policy_server import PolicyServer
from lib.talker import Closed, SmtpTalker, fresh_source
from lib.waiting import wait_for

ALL_STAGES = ("connect", "ehlo", "starttls", "auth", "mail_from", "rcpt_to", "data", "headers", "message", "rset", "vrfy", "expn", "help", "noop",
              "unknown", "quit", "disconnect")
# SMTPD_POLICY_README of Postfix 3.7, in its order.
ATTRIBUTES = ["request", "protocol_state", "protocol_name", "client_address", "client_name", "client_port", "reverse_client_name", "server_address",
              "server_port", "helo_name", "sender", "recipient", "recipient_count", "queue_id", "instance", "size", "etrn_domain", "stress",
              "sasl_method", "sasl_username", "sasl_sender", "ccert_subject", "ccert_issuer", "ccert_fingerprint", "ccert_pubkey_fingerprint",
              "encryption_protocol", "encryption_cipher", "encryption_keysize", "policy_context"]


def block(endpoint, name="test", stages=("rcpt_to",), **keys):
    lines = [f'endpoint = "{endpoint}"', "stages = {" + ", ".join(stages) + "}", *[f"{key} = {value}" for key, value in keys.items()]]
    return f'policy "{name}" {{\n' + "\n".join(lines) + "\n}\n"


class Scene:
    """An instance with one policy server whose answer each test sets."""

    def __init__(self):
        self.stack, self.by_state = contextlib.ExitStack(), {}
        self.policy = self.stack.enter_context(PolicyServer(lambda request: self.by_state.get(request["protocol_state"], "DUNNO")))
        self.server = self.stack.enter_context(Instance(extra=block(self.policy.endpoint, stages=ALL_STAGES)))

    def close(self):
        self.stack.close()

    def set(self, **by_state):
        """Answers by protocol_state, where an underscore stands for a dash."""
        self.by_state = {state.replace("_", "-"): action for state, action in by_state.items()}
        self.policy.requests.clear()
        self.policy.raw.clear()

    @contextlib.contextmanager
    def client(self):
        with self.server.talk(source=fresh_source()) as client:
            client.ehlo()
            yield client


@pytest.fixture
def free_port():
    taken = ports.take()
    yield taken[0]
    ports.give_back(taken)


@pytest.fixture(scope="module")
def shared_scene():
    scene = Scene()
    yield scene
    scene.close()


@pytest.fixture
def scene(shared_scene):
    shared_scene.set()
    yield shared_scene
    shared_scene.set()


def requests(scene, state):
    return [request for request in scene.policy.requests if request["protocol_state"] == state]


# What it is asked.


def test_every_attribute_of_postfix_is_sent_in_its_order_with_an_empty_line_behind(scene, marker):
    with scene.client() as client:
        assert client.mail("someone@example.net", "coco@example.test", message(marker)) == 250
        client.quit()
    for raw in scene.policy.raw:
        lines = raw.decode().split("\n")
        assert [line.partition("=")[0] for line in lines[:-2]] == ATTRIBUTES and lines[-2:] == ["", ""]


def test_what_is_known_at_each_stage_is_told(scene, marker):
    with scene.server.talk(source=(source := fresh_source())) as client:
        client.ehlo("client.example.net")
        client.expect(250, "MAIL FROM:<someone@example.net> SIZE=700")
        client.expect(250, "RCPT TO:<coco@example.test>")
        client.expect(250, "RCPT TO:<mike@example.test>")
        client.expect(354, "DATA")
        data = message(marker)
        client.send(data + b".\r\n")
        assert client.reply() == 250
        client.quit()
    connect, ehlo, mail, first, second, data_request, end = [
        requests(scene, state)[number] for state, number in (("CONNECT", 0), ("EHLO", 0), ("MAIL", 0), ("RCPT", 0), ("RCPT", 1), ("DATA", 0),
                                                             ("END-OF-MESSAGE", 0))]
    assert (connect["request"], connect["client_address"], connect["protocol_name"], connect["helo_name"]) == ("smtpd_access_policy", source, "SMTP", "")
    assert (connect["server_address"], connect["server_port"]) == ("127.0.0.1", str(scene.server.mx_port)) and int(connect["client_port"]) > 0
    assert (ehlo["helo_name"], ehlo["sender"], ehlo["recipient"], ehlo["protocol_name"]) == ("client.example.net", "", "", "ESMTP")
    assert (mail["sender"], mail["recipient"], mail["size"], mail["queue_id"]) == ("someone@example.net", "", "700", "")
    assert (first["recipient"], first["recipient_count"], first["queue_id"], first["size"]) == ("coco@example.test", "0", "", "700")
    assert second["recipient"] == "mike@example.test" and second["queue_id"] and second["instance"] == mail["instance"]
    assert (data_request["recipient"], data_request["recipient_count"]) == ("", "2")
    assert (end["recipient_count"], end["size"], end["policy_context"]) == ("2", str(len(data)), "mx")
    assert {request["client_name"] for request in scene.policy.requests} == {"unknown"}


def test_the_only_recipient_is_named_with_the_data(scene, marker):
    with scene.client() as client:
        assert client.mail("", "coco@example.test", message(marker)) == 250
    for state in ("DATA", "END-OF-MESSAGE"):
        request, = requests(scene, state)
        assert (request["recipient"], request["recipient_count"], request["sender"]) == ("coco@example.test", "1", "")


def test_each_message_has_an_instance_of_its_own(scene, marker):
    with scene.client() as client:
        for part in "ab":
            assert client.mail("someone@example.net", "coco@example.test", message(marker + part)) == 250
    first, second = [request["instance"] for request in requests(scene, "MAIL")]
    assert first and second and first != second
    assert [request["instance"] for request in requests(scene, "END-OF-MESSAGE")] == [first, second]


def test_it_can_be_asked_about_every_verb(scene):
    with scene.server.talk(source=(source := fresh_source())) as client:
        client.expect(250, "HELO client.example.net")
        client.ehlo()
        for line in ("NOOP", "VRFY coco@example.test", "EXPN all", "HELP", "RSET", "ETRN example.test", "NONSENSE"):
            client.command(line)
        client.starttls()
        client.quit()

    def states():  # of this session: the one before may end late
        return [request["protocol_state"] for request in scene.policy.requests if request["client_address"] == source]
    wait_for(lambda: "DISCONNECT" in states(), "the last question")
    assert states() == ["CONNECT", "HELO", "EHLO", "NOOP", "VRFY", "EXPN", "HELP", "RSET", "ETRN", "UNKNOWN", "STARTTLS", "EHLO", "QUIT",
                                     "DISCONNECT"]
    assert requests(scene, "VRFY")[0]["recipient"] == "coco@example.test" and requests(scene, "ETRN")[0]["etrn_domain"] == "example.test"
    last = requests(scene, "EHLO")[-1]
    assert last["encryption_protocol"].startswith("TLSv1.") and last["encryption_cipher"] and int(last["encryption_keysize"]) >= 128


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_who_has_said_quit_does_not_wait_for_what_is_asked_about_the_end(scene, tls):
    gone = threading.Event()
    scene.set(DISCONNECT=lambda connection: gone.wait(60))
    try:
        with scene.client() as client:
            if tls:
                client.starttls()
            assert client.command("QUIT") == 221
            wait_for(lambda: requests(scene, "DISCONNECT"), "the last question")
            client.expect_close()
        assert "does not answer in time" not in scene.server.log_text()
    finally:
        gone.set()


def test_a_listener_names_its_policies_and_a_login_is_told(make_instance, free_port):
    listen = f'listen "127.0.0.1:{free_port}" {{ role = submission\n policies = {{test}} }}'
    with PolicyServer() as policy:
        server = make_instance(extra=block(policy.endpoint, stages=["mail_from"]) + listen)
        with SmtpTalker(free_port, source=fresh_source()) as client:
            client.ehlo()
            client.starttls()
            assert client.login() == 235
            client.expect(250, "MAIL FROM:<coco@example.test>")
        last = policy.requests[-1]
        assert (last["sasl_username"], last["sasl_method"], last["policy_context"]) == ("coco@example.test", "PLAIN", "submission")
        with server.talk("submission", source=fresh_source()) as client:  # which names no policies
            client.ehlo()
            client.starttls()
            assert client.login() == 235
            client.expect(250, "MAIL FROM:<coco@example.test>")
        assert len(policy.requests) == 1


def test_names_of_the_client_are_told(make_instance):
    zone = {"7.3.80.127.in-addr.arpa": [{"PTR": "claimed.example.net"}], "claimed.example.net": [{"A": "192.0.2.1"}],
            "8.3.80.127.in-addr.arpa": [{"PTR": "right.example.net"}], "right.example.net": [{"A": "127.80.3.8"}]}
    with PolicyServer() as policy:
        server = make_instance(extra=block(policy.endpoint, stages=["connect"]), zone=zone)
        for source in ("127.80.3.7", "127.80.3.8"):
            server.talk(source=source).close()
        names = {request["client_address"]: (request["client_name"], request["reverse_client_name"]) for request in policy.requests}
        assert names["127.80.3.7"] == ("unknown", "claimed.example.net") and names["127.80.3.8"] == ("right.example.net", "right.example.net")


@pytest.mark.parametrize("subject", ["/CN=client.example.net", "/CN=client.example.net/O=x,CN=admin"])
def test_certificates_of_clients_are_told(make_instance, tmp_path, subject):
    chain, key = certificates.of_subject(str(tmp_path), subject)
    with PolicyServer() as policy:
        server = make_instance(extra=block(policy.endpoint, stages=["mail_from"]), settings={"client_certificates": "ask", "client_ca": chain})
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(chain, key)
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            client.expect(220, "STARTTLS")
            client.socket = context.wrap_socket(client.socket)
            client.ehlo()
            client.expect(250, "MAIL FROM:<someone@example.net>")
    with open(chain, encoding="ascii") as stream:
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(stream.read())).hexdigest().upper()
    request = policy.requests[-1]
    assert (request["ccert_subject"], request["ccert_issuer"]) == ("client.example.net", "client.example.net")
    assert request["ccert_fingerprint"] == ":".join(digest[i:i + 2] for i in range(0, 64, 2))


def test_with_lmtp_each_recipient_of_a_message_is_asked_about(make_instance, free_port, marker):
    listen = f'listen "127.0.0.1:{free_port}" {{ role = lmtp\n policies = {{test}} }}'
    refuse_mike = {"mike@example.test": "REJECT not for him"}
    with PolicyServer(lambda request: refuse_mike.get(request["recipient"], "DUNNO")) as policy:
        server = make_instance(extra=block(policy.endpoint, stages=["message"]) + listen)
        with SmtpTalker(free_port, source=fresh_source()) as client:
            client.expect(250, "LHLO client.example.net")
            client.expect(250, "MAIL FROM:<someone@example.net>")
            for user in ("coco", "mike"):
                client.expect(250, f"RCPT TO:<{user}@example.test>")
            client.expect(354, "DATA")
            client.send(message(marker) + b".\r\n")
            assert [client.reply().code, client.reply().code] == [250, 554]
        assert [(request["recipient"], request["recipient_count"], request["protocol_name"]) for request in policy.requests] \
            == [("coco@example.test", "1", "LMTP"), ("mike@example.test", "1", "LMTP")]
        server.wait_mail("coco@example.test", marker)


def test_what_a_client_says_cannot_add_attributes(scene):
    with scene.client() as client:
        client.command(b'MAIL FROM:<"a\x0bclient_address=1.2.3.4"@example.net>')
        client.command("VRFY a\x0bb")
        client.command("MAIL FROM:<recipient=x@example.net>")
        client.command("RCPT TO:<coco@example.test>")
    for raw in scene.policy.raw:
        assert [line.partition("=")[0] for line in raw.decode().split("\n")[:-2]] == ATTRIBUTES
        assert not re.search(rb"[\x00-\x09\x0b-\x1f]", raw)


def test_a_long_argument_is_told_in_part(make_instance):
    with PolicyServer() as policy:
        server = make_instance(settings={"line_maximum": 65536}, extra=block(policy.endpoint, stages=["vrfy"]))
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            client.expect(252, "VRFY " + "a" * 60000)
        assert policy.requests[-1]["recipient"] == "a" * 4096


# What its answers do.


@pytest.mark.parametrize("action, code, words", [
    ("DUNNO", 250, ""), ("OK", 250, ""), ("1234567890", 250, ""), ("WARN look", 250, ""), ("INFO look", 250, ""),
    ("REJECT", 554, "5.7.1 Access denied"), ("REJECT not you", 554, "5.7.1 not you"), ("reject 5.1.1 nobody", 554, "5.1.1 nobody"),
    ("DEFER later", 450, "4.7.1 later"), ("DEFER_IF_PERMIT 4.2.0 Greylisted", 450, "4.2.0 Greylisted"), ("DEFER_IF_REJECT x", 250, ""),
    ("451 4.3.0 later", 451, "4.3.0 later"), ("550 5.1.1 nobody", 550, "5.1.1 nobody"), ("553 no code", 553, "5.7.1 no code"),
    ("FILTER smtp:[127.0.0.1]:9", 451, "4.3.5"), ("reject_unverified_sender", 451, "4.3.5"), ("", 451, "4.3.5"),
])
def test_an_action_is_what_the_client_reads(scene, action, code, words):
    scene.set(RCPT=action)
    with scene.client() as client:
        client.expect(250, "MAIL FROM:<someone@example.net>")
        assert words in client.expect(code, "RCPT TO:<coco@example.test>").text


def test_421_ends_the_session(scene):
    scene.set(RCPT="421 4.3.2 go away")
    with scene.client() as client:
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(421, "RCPT TO:<coco@example.test>")
        with pytest.raises(Closed):
            client.command("NOOP")


@pytest.mark.parametrize("state", ["CONNECT", "EHLO", "MAIL", "DATA", "END_OF_MESSAGE", "NOOP", "VRFY", "RSET", "STARTTLS"])
def test_each_stage_can_be_refused(scene, marker, state):
    scene.set(**{state: "550 5.7.1 not that"})
    with scene.server.talk(source=fresh_source()) as client:
        replies = [client.greeting]
        for line in ("EHLO client.example.net", "NOOP", "VRFY coco@example.test", "RSET", "MAIL FROM:<someone@example.net>", "RCPT TO:<coco@example.test>",
                     "DATA"):
            if replies[-1].code < 400 or state not in ("CONNECT", "EHLO"):
                replies.append(client.command(line))
        if replies[-1].code == 354:
            client.send(message(marker) + b".\r\n")
            replies.append(client.reply())
        elif state == "STARTTLS":
            replies.append(client.command("STARTTLS"))
        if state == "STARTTLS":
            with scene.client() as other:
                replies.append(other.command("STARTTLS"))
    assert [reply.code for reply in replies].count(550) == 1 and any("not that" in reply.text for reply in replies)


def test_a_refusal_is_evidence_that_names_the_policy(scene):
    scene.set(RCPT="REJECT not here")
    with scene.client() as client:
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(554, "RCPT TO:<coco@example.test>")
    assert scene.server.sql("SELECT count(*) FROM violations WHERE rule = 'policy:test' AND verb = 'RCPT' AND reply LIKE '554 5.7.1 not here%'")[0][0] >= 1


def test_defer_before_rcpt_is_said_to_rcpt(scene):
    scene.set(CONNECT="DEFER_IF_PERMIT 4.2.0 come back")
    with scene.client() as client:
        client.expect(250, "MAIL FROM:<someone@example.net>")
        assert "4.2.0 come back" in client.expect(450, "RCPT TO:<coco@example.test>").text
    scene.set(MAIL="DEFER_IF_PERMIT 4.2.0 come back")
    with scene.client() as client:
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(450, "RCPT TO:<coco@example.test>")
        scene.set()
        client.expect(250, "RSET")
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
    scene.set(EHLO="DEFER_IF_REJECT later then", RCPT="REJECT no")
    with scene.client() as client:
        client.expect(250, "MAIL FROM:<someone@example.net>")
        assert "later then" in client.expect(450, "RCPT TO:<coco@example.test>").text


def column(scene, query):
    return [row[0] for row in scene.server.sql(query)]


def send(scene, marker, recipients="coco@example.test"):
    with scene.client() as client:
        assert client.mail("someone@example.net", recipients, message(marker)) == 250


@pytest.mark.parametrize("state", ["CONNECT", "MAIL", "RCPT", "DATA", "END_OF_MESSAGE"])
def test_a_header_is_put_on_top(scene, marker, state):
    scene.set(**{state: f"PREPEND X-Policy: {marker} at {state}"})
    with scene.client() as client:
        for part in "ab":
            assert client.mail("someone@example.net", "coco@example.test", message(marker + part)) == 250
    for part in "ab":
        lines = scene.server.wait_mail("coco@example.test", marker + part).replace(b"\r", b"").split(b"\n")
        assert lines.count(f"X-Policy: {marker} at {state}".encode()) == 1


def test_headers_are_in_the_order_of_their_answers(scene, marker):
    scene.set(MAIL="PREPEND X-First: 1", RCPT="PREPEND X-Second: 2", DATA="PREPEND X-Third: 3")
    send(scene, marker)
    got = scene.server.wait_mail("coco@example.test", marker)
    assert re.findall(rb"^X-(\w+):", got, re.M)[:3] == [b"First", b"Second", b"Third"]


@pytest.mark.parametrize("state", ["RCPT", "END_OF_MESSAGE"])
def test_a_message_is_held_with_the_reason(scene, marker, state):
    scene.set(**{state: f"HOLD look at {marker}"})
    send(scene, marker)
    assert column(scene, f"SELECT state FROM parcels WHERE delivery_msg LIKE '%{marker}%'") == ["held"]


def test_a_message_is_discarded_though_the_client_reads_250(scene, marker):
    scene.set(RCPT=f"DISCARD {marker}")
    send(scene, marker)
    scene.set()
    send(scene, marker + "-after")
    scene.server.wait_mail("coco@example.test", marker + "-after")
    assert column(scene, f"SELECT delivery FROM parcels WHERE delivery_msg LIKE '%{marker}%'") == ["none"]


@pytest.mark.parametrize("state", ["RCPT", "DATA", "END_OF_MESSAGE"])
def test_another_gets_it_too(scene, marker, state):
    scene.set(**{state: "BCC mike@example.test"})
    send(scene, marker)
    for user in ("coco@example.test", "mike@example.test"):
        scene.server.wait_mail(user, marker)


@pytest.mark.parametrize("state", ["MAIL", "RCPT", "END_OF_MESSAGE"])
def test_another_gets_it_instead(scene, marker, state):
    scene.set(**{state: "REDIRECT mike@example.test"})
    send(scene, marker)
    scene.server.wait_mail("mike@example.test", marker)
    assert column(scene, f"SELECT to_url FROM parcels JOIN mails USING (mail_id) WHERE message_id LIKE '%{marker}%'") == ["mike@example.test"]


def test_what_is_said_at_ehlo_holds_until_the_next_one(scene, marker):
    scene.set(EHLO="PREPEND X-Said: first")
    with scene.client() as client:
        scene.set(EHLO="PREPEND X-Said: second")
        client.ehlo()
        assert client.mail("someone@example.net", "coco@example.test", message(marker)) == 250
    mail = scene.server.wait_mail("coco@example.test", marker)
    assert b"X-Said: second" in mail and b"X-Said: first" not in mail


def test_a_client_cannot_repeat_a_command_until_there_is_no_room_for_what_is_said(scene, marker):
    scene.set(VRFY="PREPEND X-Said: nosy")
    with scene.client() as client:
        for _ in range(40):
            client.expect(252, "VRFY coco")
        assert client.mail("someone@example.net", "coco@example.test", message(marker)) == 250
    assert scene.server.wait_mail("coco@example.test", marker).count(b"X-Said: nosy") == 1


def lmtp(make_instance, free_port, policy, marker, *users):
    """The replies of a message to these, on a listener for LMTP with this policy; and the server."""
    listen = f'listen "127.0.0.1:{free_port}" {{ role = lmtp\n policies = {{test}} }}'
    server = make_instance(extra=block(policy.endpoint, stages=["rcpt_to", "data", "message"]) + listen)
    with SmtpTalker(free_port, source=fresh_source()) as client:
        client.expect(250, "LHLO client.example.net")
        client.expect(250, "MAIL FROM:<someone@example.net>")
        for user in users:
            client.expect(250, f"RCPT TO:<{user}@example.test>")
        client.expect(354, "DATA")
        client.send(message(marker) + b".\r\n")
        return server, [client.reply() for _ in users]


@pytest.mark.parametrize("action, gets", [("BCC", ["coco@example.test", "mike@example.test"]), ("REDIRECT", ["mike@example.test"])])
def test_with_lmtp_another_gets_what_one_recipient_was_asked_about(make_instance, free_port, marker, action, gets):
    with PolicyServer(lambda request: f"{action} mike@example.test" if request["protocol_state"] == "END-OF-MESSAGE" else "DUNNO") as policy:
        server, replies = lmtp(make_instance, free_port, policy, marker, "coco")
        assert replies[0].code == 250
        server.wait_mail("mike@example.test", marker)
        assert [row["to_url"] for row in server.sql("SELECT to_url FROM parcels ORDER BY to_url")] == gets


def test_with_lmtp_nobody_reads_250_whose_mail_nobody_gets(make_instance, free_port, marker):
    def answer(request):
        if request["protocol_state"] == "RCPT" and request["recipient"] == "coco@example.test":
            return "REDIRECT mike@example.test"
        refused = request["protocol_state"] == "END-OF-MESSAGE" and request["recipient"] == "mike@example.test"
        return "REJECT not for him" if refused else "DUNNO"
    with PolicyServer(answer) as policy:
        _, replies = lmtp(make_instance, free_port, policy, marker, "coco", "mike")
        assert replies[0].text.startswith("451 4.3.5 <coco@example.test> mail.example.test error: nobody is left")
        assert replies[1].text == "554 5.7.1 <mike@example.test> not for him"


def test_a_redirect_that_leads_nowhere_is_no_way_to_lose_mail(scene, marker):
    scene.set(RCPT="REDIRECT not an address")
    with scene.client() as client:
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        assert "4.3.5" in client.expect(451, "DATA").text
