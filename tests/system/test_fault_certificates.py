"""Certificates whose time is over or has not begun, ours and other servers', and a clock that is set across the time: mail flows where nobody
asked for a valid one, waits where somebody did, and the operator reads which certificate it is."""
import os
import smtplib
import ssl

import pytest

from lib.certificates import timed
from lib.fake_server import FakeServer
from lib.faults import Fault, matrix
from lib.instance import SERVER_NAME, Instance
from lib.messages import message
from lib.set_clock import SetClock
from lib.talker import fresh_source
from lib.waiting import wait_for

HOUR, DAY = 3600, 86400
TIMES = {"expired": (-2 * DAY, -DAY), "not valid yet": (DAY, 2 * DAY), "valid": (-DAY, DAY)}
LINE = {"expired": r"warn .*certificate {} expired at \d{{4}}-", "not valid yet": r"warn .*certificate {} is not valid before \d{{4}}-"}


@pytest.fixture
def folder(tmp_path):
    os.chmod(tmp_path, 0o755)
    return str(tmp_path)


def refusal(server, chain):
    """How a client that verifies our certificate refuses it; None when it does not."""
    with smtplib.SMTP("127.0.0.1", server.mx_port, source_address=(fresh_source(), 0), timeout=20) as client:
        client._host = SERVER_NAME
        context = ssl.create_default_context(cafile=chain)
        try:
            client.starttls(context=context)
        except ssl.SSLCertVerificationError as problem:
            client.close()
            return problem.verify_message
    return None


def assert_others_are_served(server, marker):
    """Somebody who does not look at the certificate."""
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.starttls()
        assert client.mail("a@example.net", "coco@example.test", message(marker)) == 250
    server.wait_mail("coco@example.test", marker)


OURS = [Fault(what, "our certificate, at the start", "the server starts, and the log names the file; who verifies refuses the handshake, the others send their mail; "
              "a reload brings a valid one", what=what) for what in ("expired", "not valid yet")]


@matrix("Certificates", OURS)
def test_a_certificate_of_ours_outside_its_time_is_told_and_mail_flows(folder, marker, row):
    chain, key = timed(folder, SERVER_NAME, *TIMES[row.what])
    with Instance(settings={"certificate": chain, "private_key": key}, root=None) as server:
        server.wait_log(LINE[row.what].format(chain))
        assert refusal(server, chain) in ("certificate has expired", "certificate is not yet valid")
        assert_others_are_served(server, marker)
        timed(folder, SERVER_NAME, *TIMES["valid"])
        before = len(server.log_text())
        server.reload()
        server.wait_log("the configuration was read again", after=before)
        assert f"certificate {chain}" not in server.log_text()[before:]
        assert refusal(server, chain) is None


JUMPS = [Fault(f"the clock is set {how}", "our certificate, while the server runs", "one line in the log names the file; mail flows; set right, another line", offset=offset, what=what)
         for how, offset, what in (("forward across its end", 30 * DAY, "expired"), ("back before its beginning", -30 * DAY, "not valid yet"))]


@matrix("Certificates", JUMPS)
def test_a_clock_that_is_set_across_our_certificates_time_is_told(folder, marker, row):
    chain, key = timed(folder, SERVER_NAME, *TIMES["valid"])
    server = Instance(settings={"certificate": chain, "private_key": key}, preload="clock")
    clock = SetClock(server)
    with server:
        clock.set(row.offset)
        server.wait_log(LINE[row.what].format(chain))
        assert_others_are_served(server, marker)
        assert refusal(server, chain) is None  # the client's clock is right
        clock.set(0)
        server.wait_log(rf"info .*certificate {chain} is valid now, until \d{{4}}-")
        assert len([line for line in server.log_text().split("\n") if f"certificate {chain}" in line]) == 2


WORDS = {"expired": "certificate has expired", "not valid yet": "certificate is not yet valid"}
USED, WAITS = "delivered within TLS; the attempt says why it is not verified", "put off with the reason; arrives when it has a valid one"
THEIRS = [Fault(f"{what}, and its route says tls = {tls}", "the certificate of another server", WAITS if tls == "verified" else USED, what=what, tls=tls)
          for what in WORDS for tls in ("opportunistic", "required", "verified")]


def running(folder, sink, tls, **options):
    """A server that trusts what lies in folder/trusted.pem, and sends all remote mail to the sink."""
    extra = f'route "*" {{ host = "{SERVER_NAME}:{sink.port}"\n tls = {tls} }}'
    return Instance(settings={"retry_schedule": ["3600"]}, extra=extra, environment={"SSL_CERT_FILE": os.path.join(folder, "trusted.pem")}, **options)


def made(folder, what):
    chain, key = timed(folder, SERVER_NAME, *TIMES[what])
    with open(os.path.join(folder, "trusted.pem"), "a", encoding="ascii") as trusted, open(chain, encoding="ascii") as stream:
        trusted.write(stream.read())
    return chain, key


def submit(server, marker):
    with server.talk("internal", fresh_source()) as client:
        client.ehlo()
        assert client.mail("coco@example.test", "friend@remote.test", message(marker)) == 250


def ended(server, number):
    """(the parcel's state, what it was told, the attempt's TLS) after so many attempts."""
    server.wait_rows(f"select 1 from attempts where rowid = {number}")
    parcel, = server.sql("select state, delivery_msg from parcels")
    return parcel["state"], parcel["delivery_msg"], server.sql("select tls from attempts order by rowid desc limit 1")[0]["tls"]


@matrix("Certificates", THEIRS)
def test_another_servers_certificate_outside_its_time(folder, marker, row):
    with FakeServer(certificate=made(folder, row.what), on={"EOD": "250 2.0.0 taken|CLOSE"}) as sink, running(folder, sink, row.tls) as server:
        submit(server, marker)
        state, said, tls = ended(server, 1)
        assert tls.endswith(f" unverified: {WORDS[row.what]}"), tls
        if row.tls != "verified":
            assert state == "delivered" and sink.messages[0].tls
            return
        assert state == "deferred" and WORDS[row.what] in said and not sink.messages
        assert WORDS[row.what] in server.log_text()
        sink.behaviour["certificate"] = made(folder, "valid")
        server.restart()  # who trusts whom is read at the start
        server.command("queue", "retry", server.sql("select mail_id from mails")[0][0])
        wait_for(lambda: sink.messages, "the mail", explain=server.log_tail)


ACROSS = [Fault(f"our clock is set {how}", "the certificate of another server that was verified before", "put off, not sent to somebody else's; arrives when the clock is right",
                offset=offset, what=what)
          for how, offset, what in (("forward across its end", 30 * DAY, "expired"), ("back before its beginning", -30 * DAY, "not valid yet"))]


@matrix("Certificates", ACROSS)
def test_a_clock_that_is_set_across_another_servers_certificates_time(folder, marker, row):
    with FakeServer(certificate=made(folder, "valid"), on={"EOD": "250 2.0.0 taken|CLOSE"}) as sink:
        server = running(folder, sink, "verified", preload="clock")
        clock = SetClock(server)
        with server:
            clock.set(row.offset)
            server.wait_log("the clock was set by")
            submit(server, marker)
            state, said, _ = ended(server, 1)
            assert state == "deferred" and WORDS[row.what] in said and not sink.messages
            before = len(server.log_text())
            clock.set(0)
            server.wait_log("the clock was set by", after=before)
            server.command("queue", "retry", server.sql("select mail_id from mails")[0][0])
            wait_for(lambda: sink.messages, "the mail", explain=server.log_tail)
