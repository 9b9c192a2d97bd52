"""Members send: swaks and msmtp with STARTTLS and AUTH, and what a submission may not do."""
import re
import subprocess

from lib.fake_server import FakeServer
from lib.messages import body_of, message
from lib.waiting import wait_for


def swaks(server, *words):
    done = subprocess.run(["swaks", "--server", f"127.0.0.1:{server.submission_port}", "--ehlo", "client.example.net", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def test_swaks_submits_with_starttls_and_auth_plain(server, marker):
    status, output = swaks(server, "--tls", "--auth", "PLAIN", "--auth-user", "coco@example.test", "--auth-password", "my-password",
                           "--from", "coco@example.test", "--to", "mike@example.test", "--header", f"X-Marker: {marker}")
    assert status == 0, output
    assert "235 2.7.0 Authentication succeeded" in output
    assert b"with ESMTPSA" in server.wait_mail("mike@example.test", marker)


def test_swaks_submits_with_auth_login(server, marker):
    status, output = swaks(server, "--tls", "--auth", "LOGIN", "--auth-user", "mike@example.test", "--auth-password", "my-password",
                           "--from", "mike@example.test", "--to", "coco@example.test", "--header", f"X-Marker: {marker}")
    assert status == 0, output
    server.wait_mail("coco@example.test", marker)


def test_msmtp_submits(server, marker):
    done = subprocess.run(["msmtp", "--host=127.0.0.1", f"--port={server.submission_port}", "--tls=on", "--tls-certcheck=off", "--auth=plain",
                           "--user=coco@example.test", "--passwordeval=echo my-password", "--from=coco@example.test",
                           "--domain=client.example.net", "mike@example.test"],
                          input=message(marker).replace(b"\r\n", b"\n"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert body_of(server.wait_mail("mike@example.test", marker)).replace(b"\r\n", b"\n") == b"Hello.\n"


def test_a_wrong_password_is_refused(server, source):
    with server.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        assert client.login(password="wrong").text == "535 5.7.8 Authentication failed"


def test_a_member_sends_to_a_remote_domain_with_a_dkim_signature(make_instance, source, marker):
    with FakeServer() as sink:
        server = make_instance(route=sink.endpoint)
        with server.talk("submission", source) as client:
            client.ehlo()
            client.starttls()
            assert client.login() == 235
            reply = client.mail("coco@example.test", ["friend@remote.test", "other@remote.test"], message(marker))
        mail_id = re.search(r"id=(\S+)", reply.text).group(1)
        rows = server.wait_parcels(mail_id, "delivered")
        assert {row["delivery"] for row in rows} == {"remote"}
        wait_for(lambda: sink.messages, "the message at the other server")
        sent = sink.messages[0]
        assert sent.sender == "coco@example.test" and sorted(sent.recipients) == ["friend@remote.test", "other@remote.test"]
        assert sent.data.endswith(message(marker)) and b"DKIM-Signature: " in sent.data
        assert len(sink.messages) == 1 and not sink.faults


def test_the_password_is_in_no_log(make_instance, source):
    server = make_instance(settings={"log_receiver_conversation": True, "log_level": "debug"})
    with server.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        assert client.login() == 235
        assert client.command("AUTH LOGIN").code in (503, 334)
    server.halt()
    log = server.log_text()
    assert "my-password" not in log and "AGNvY29AZXhhbXBsZS50ZXN0AG15LXBhc3N3b3Jk" not in log
