"""Policy servers as processes: postgrey, programs on a pipe, and those that are down, slow or broken; the connector that opens them."""
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import time

import pytest

from lib.faults import fault, faults
from lib.instance import can_be_root
from lib.messages import message
from lib.place import ROOT, SANITIZED, program
from lib.policy_server import PolicyServer
from lib.postgrey import Postgrey
from lib.talker import fresh_source
from lib.waiting import start_time, wait_for

PROGRAM = os.path.join(ROOT, "tests", "lib", "policy_program.py")
NO_USER = 67


def block(endpoint, name="test", stages="rcpt_to", **keys):
    return f'policy "{name}" {{\n endpoint = "{endpoint}"\n stages = {{{stages}}}\n' + "".join(f" {key} = {value}\n" for key, value in keys.items()) + "}\n"


def recipient(server, source=None, sender="someone@example.net"):
    """The reply to one RCPT on a connection of its own."""
    with server.talk(source=source or fresh_source()) as client:
        client.ehlo()
        client.expect(250, f"MAIL FROM:<{sender}>")
        return client.command("RCPT TO:<coco@example.test>")


# Real servers.


def test_postgrey_sends_a_stranger_away_and_lets_him_in_later(make_instance, marker):
    server, source = make_instance(start=False), fresh_source()
    with Postgrey(server.path("postgrey")) as postgrey:
        server.extra = block(postgrey.endpoint)
        server.start()
        first = recipient(server, source)
        assert first.code == 450 and "Greylisted" in first.text

        def again():
            with server.talk(source=source) as client:
                client.ehlo()
                client.expect(250, "MAIL FROM:<someone@example.net>")
                taken = client.command("RCPT TO:<coco@example.test>").code == 250 and client.data(message(marker)).code == 250
                client.expect(250, "RSET")  # QUIT in the middle of a message counts as a violation
                client.quit()
                return taken
        wait_for(again, "the end of the delay", explain=server.log_tail)
        assert b"\nX-Greylist: delayed" in server.wait_mail("coco@example.test", marker).replace(b"\r", b"")


class Programs:
    """An instance whose policy is a program, and what the runs of it have told."""

    def __init__(self, make_instance, *options, stages="rcpt_to"):
        self.server = make_instance(start=False)
        self.path, place = self.server.path("programs", "told"), self.server.path("programs", "policy_program.py")
        os.makedirs(self.server.path("programs"))
        os.chmod(self.server.directory, 0o755)
        os.chmod(self.server.path("programs"), 0o777)  # whoever runs them
        shutil.copy(PROGRAM, place)
        self.words = ["bad@example.net", self.path, *options]
        self.server.extra = block(" ".join(["|/usr/bin/python3", place, *self.words]), stages=stages)
        self.server.start()

    def told(self):
        with open(self.path, encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]

    def wait_end(self):
        wait_for(lambda: start_time(self.told()[-1]["pid"]) is None, "the end of the program", explain=self.server.log_tail)


def test_a_program_is_asked_on_its_standard_input(make_instance):
    programs = Programs(make_instance, "$HOME;x", "%u", "'--option'", stages="mail_from, rcpt_to")
    server = programs.server
    assert recipient(server).code == 250
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        assert "5.7.1 not from you" in client.expect(554, "MAIL FROM:<bad@example.net>").text
        client.expect(250, "MAIL FROM:<good@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        assert start_time(programs.told()[-1]["pid"])
    programs.wait_end()
    assert len(programs.told()) == 2  # one for each session
    for one in programs.told():
        assert one["arguments"] == programs.words
        assert set(one["environment"]) <= {"PATH", "LC_CTYPE"}  # Python adds the second
        assert (one["cwd"], one["descriptors"]) == ("/", [0, 1, 2])
        assert one["uid"] == (pwd.getpwnam("parcelpost-out").pw_uid if server.root else os.stat(server.configuration).st_uid)
    wait_for(lambda: "here I am" in server.log_text(), "its words in the log")


@fault("Milters and policy servers", "a policy program does not end", "at the end of the session", "killed")
def test_a_program_that_does_not_end_is_killed(make_instance):
    programs = Programs(make_instance, "--stubborn")
    assert recipient(programs.server).code == 250
    programs.wait_end()


def test_programs_end_with_the_server(make_instance):
    programs = Programs(make_instance, "--stubborn")
    with programs.server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        programs.server.halt()
    assert start_time(programs.told()[0]["pid"]) is None


@fault("Milters and policy servers", "a policy program cannot be run", "at its start", "as when_down says")
@pytest.mark.parametrize("when_down, code", [("accept", 250), ("tempfail", 451)])
def test_a_program_that_cannot_be_run_is_down(make_instance, when_down, code):
    server = make_instance(extra=block("|/nowhere/at/all", when_down=when_down))
    assert recipient(server).code == code
    assert re.search(r'policy "test" at \|/nowhere/at/all cannot be asked: No such file', server.log_text())


# What is down, slow or broken.


def nothing(request):
    return None


def forever(request):
    return ...


BROKEN = {
    "closes_at_once": (nothing, "closes the connection without an answer"),
    "is_silent": (forever, "does not answer in time"),
    "has_no_action": (lambda request: b"reaction=DUNNO\n\n", "has no action"),
    "says_half": (lambda request: b"action=DUNNO\n", "does not answer in time"),
    "has_a_line_without_end": (lambda request: b"action=" + b"x" * 200_000, "too long"),
    "has_lines_without_end": (lambda request: b"x=y\n" * 50_000, "too long"),
}


@faults("Milters and policy servers", *((f"a policy server {name.replace('_', ' ')}", "RCPT",
                                          "451 4.3.5, or no objection where it may be down; not asked again for a while") for name in BROKEN))
@pytest.mark.parametrize("name", BROKEN)
def test_both_choices_for_one_that_is_broken(make_instance, name):
    answer, words = BROKEN[name]
    with PolicyServer(answer) as lenient, PolicyServer(answer) as strict:
        server = make_instance(extra=block(lenient.endpoint, name="lenient", stages="mail_from", when_down="accept", timeout=3)
                               + block(strict.endpoint, name="strict", when_down="tempfail", timeout=3))
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<someone@example.net>")
            assert "4.3.5" in client.expect(451, "RCPT TO:<coco@example.test>").text
            client.expect(451, "RCPT TO:<mike@example.test>")  # at once: it was down a moment ago
        asked = 2 if name == "closes_at_once" else 1
        assert len(strict.requests) == len(lenient.requests) == asked
        assert all(words in line for line in re.findall(r'policy "\w+" at .* cannot be asked: (.*)', server.log_text()) if "a moment ago" not in line)
        assert words in server.log_text()


@fault("Milters and policy servers", "a policy server is not there", "at the connection", "as when_down says")
def test_one_that_is_not_there_is_down(make_instance):
    with PolicyServer() as gone:
        endpoint = gone.endpoint
    server = make_instance(extra=block(endpoint, stages="connect, rcpt_to", when_down="accept") + block("/nowhere/socket", name="other", stages="data"))
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.expect(250, "RCPT TO:<coco@example.test>")
        client.expect(451, "DATA")


def test_one_that_is_down_at_the_connection_closes_it(make_instance):
    with PolicyServer(nothing) as policy:
        server = make_instance(extra=block(policy.endpoint, stages="connect", when_down="tempfail"), start=False)
        server.prepare()
        server.spawn()
        wait_for(lambda: "is ready" in server.log_text(), "the server", explain=server.log_tail)
        with server.talk(source=fresh_source()) as client:
            assert client.greeting.code == 421


def test_a_lost_connection_is_asked_again_once(make_instance):
    answers = iter(["DUNNO", None, "REJECT second time", "DUNNO"])
    with PolicyServer(lambda request: next(answers)) as policy:
        server = make_instance(extra=block(policy.endpoint))
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<someone@example.net>")
            client.expect(250, "RCPT TO:<coco@example.test>")
            client.expect(554, "RCPT TO:<coco@example.test>")
            client.expect(250, "RCPT TO:<coco@example.test>")
        assert policy.connections == 2 and len(policy.requests) == 4


@fault("Milters and policy servers", "a policy server whose backlog is full", "at the connection", "waited for")
def test_a_full_backlog_of_a_unix_socket_is_waited_for(make_instance):
    server = make_instance(start=False)
    os.makedirs(server.directory, exist_ok=True)
    os.chmod(server.directory, 0o755)
    policy = PolicyServer(lambda request: "REJECT asked", path=server.path("policy.socket"))
    policy.socket.listen(0)
    server.extra = block(policy.endpoint, when_down="accept")
    server.start()
    fillers = []
    with pytest.raises(BlockingIOError):
        for _ in range(100):
            fillers.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            fillers[-1].connect(policy.path)
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<someone@example.net>")
        client.send("RCPT TO:<coco@example.test>\r\n")
        time.sleep(0.5)
        with policy:
            for filler in fillers:
                filler.close()
            assert client.reply().text == "554 5.7.1 asked"


def test_a_connection_is_kept_for_the_session_or_made_anew_where_it_is_not(make_instance):
    with PolicyServer() as kept, PolicyServer(close_after=True) as closing:
        server = make_instance(extra=block(kept.endpoint, name="kept") + block(closing.endpoint, name="closing"))
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<someone@example.net>")
            for _ in range(5):
                client.expect(250, "RCPT TO:<coco@example.test>")
        assert (kept.connections, len(kept.requests)) == (1, 5)
        assert (closing.connections, len(closing.requests)) == (5, 5)


def test_talk_without_a_question_is_no_answer(make_instance):
    with PolicyServer(lambda request: b"action=DUNNO\n\naction=OK\n\n" if len(policy.requests) == 1 else "REJECT") as policy:
        server = make_instance(extra=block(policy.endpoint))
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<someone@example.net>")
            client.expect(250, "RCPT TO:<coco@example.test>")
            client.expect(554, "RCPT TO:<mike@example.test>")
    assert "talks without being asked" in server.log_text()


def test_several_are_asked_in_order_until_one_decides(make_instance):
    server = make_instance(start=False)
    path, answers = server.path("policy.sock"), {}
    with PolicyServer(lambda request: answers["first"]) as first, PolicyServer(lambda request: answers["second"], path=path) as second, \
            PolicyServer(lambda request: answers["third"]) as third:
        server.extra = (block(first.endpoint, name="first") + block("unix:" + second.endpoint, name="second")
                        + block(third.endpoint.replace("127.0.0.1", "localhost"), name="third"))
        answers.update(dict.fromkeys(("first", "second", "third"), "DUNNO"))
        server.start()

        def asked(**changes):
            answers.update({**dict.fromkeys(answers, "DUNNO"), **changes})
            before = [len(policy.requests) for policy in (first, second, third)]
            reply = recipient(server)
            return reply.code, [len(policy.requests) - count for policy, count in zip((first, second, third), before)]
        assert asked() == (250, [1, 1, 1])
        assert asked(second="OK") == (250, [1, 1, 0])
        assert asked(first="REJECT") == (554, [1, 0, 0])
        assert asked(first="DEFER_IF_PERMIT") == (450, [1, 1, 1])
        assert asked(first="DEFER_IF_PERMIT", second="OK") == (450, [1, 1, 0])
        assert asked(first="DEFER_IF_PERMIT", second="REJECT") == (554, [1, 1, 0])
        assert asked(first="DEFER_IF_REJECT", third="REJECT") == (450, [1, 1, 1])
        assert asked(first="DEFER_IF_REJECT", third="451 4.3.0 busy") == (451, [1, 1, 1])


def test_one_may_be_named_by_its_host(make_instance):
    with PolicyServer(lambda request: "REJECT") as policy:
        port = policy.endpoint.rpartition(":")[2]
        server = make_instance(extra=block(f"policy.example.net:{port}") + block(f"nowhere.example.net:{port}", name="nowhere", stages="vrfy"),
                               zone={"policy.example.net": [{"AAAA": "::1"}, {"A": "127.0.0.1"}]})
        assert recipient(server).code == 554
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            client.expect(451, "VRFY coco@example.test")
        assert 'policy "nowhere" at' in server.log_text() and "has no address" in server.log_text()
        server.kill("resolver")
        wait_for(lambda: recipient(server).code == 554, "a connector with another resolver")


# The connector.


def connectors(server):
    return [pid for pid, _, _ in server.processes("connector")]


def test_without_anything_outside_there_is_no_connector_and_no_such_user_is_needed(make_instance):
    server = make_instance(settings={"outside_user": "no-such-user"})
    assert recipient(server).code == 250 and not connectors(server)


@pytest.mark.skipif(not can_be_root(), reason="needs root: without it nobody's users are needed")
def test_a_connector_needs_its_user(make_instance):
    server = make_instance(start=False, root=True, settings={"outside_user": "no-such-user"}, extra=block("127.0.0.1:9"))
    server.prepare_files()
    done = subprocess.run([program("parcelpostd"), "-c", server.configuration, "-f"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == NO_USER and b"outside_user" in done.stdout and b"no-such-user" in done.stdout


def test_a_connector_comes_with_a_reload_and_goes_with_one(make_instance):
    with PolicyServer(lambda request: "REJECT") as policy:
        server = make_instance()
        server.extra = block(policy.endpoint)
        server.write_configuration()
        server.reload()
        wait_for(lambda: recipient(server).code == 554, "the policy")
        first, = connectors(server)
        server.reload()
        wait_for(lambda: len(connectors(server)) == 1 and first not in connectors(server), "another connector")
        assert recipient(server).code == 554
        server.extra = ""
        server.write_configuration()
        server.reload()
        wait_for(lambda: recipient(server).code == 250 and not connectors(server), "its end")


def test_a_connector_that_dies_is_replaced(make_instance):
    with PolicyServer(lambda request: "REJECT") as policy:
        server = make_instance(extra=block(policy.endpoint))
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            client.expect(250, "MAIL FROM:<someone@example.net>")
            server.kill("connector")
            client.expect(451, "RCPT TO:<coco@example.test>")
        wait_for(lambda: recipient(server).code == 554, "another one")


@pytest.mark.skipif(not can_be_root(), reason="needs root: without it nothing is dropped")
@pytest.mark.skipif(SANITIZED, reason="a sanitizer's build has no sandbox")
@pytest.mark.parametrize("endpoint, filtered", [("127.0.0.1:9", "3"), ("|/bin/cat", "1")])
def test_a_connector_has_a_user_of_its_own_and_a_filter_where_no_program_would_inherit_it(make_instance, endpoint, filtered):
    server = make_instance(root=True, extra=block(endpoint))
    with open(f"/proc/{connectors(server)[0]}/status", encoding="ascii") as stream:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line)
    user = pwd.getpwnam("parcelpost-out")
    assert {int(word) for word in fields["Uid"].split()} == {user.pw_uid} and {int(word) for word in fields["Gid"].split()} == {user.pw_gid}
    assert int(fields["CapEff"], 16) == 0 and int(fields["CapPrm"], 16) == 0
    assert (fields["NoNewPrivs"], fields["Seccomp_filters"]) == ("1", filtered)  # the listener's, and two of its own
