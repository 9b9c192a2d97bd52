"""Where names lead: aliases, lists, files, domains, catch-all, tags; forwarding to other servers with a sender of ours (SRS)
and back; what goes in circles; and what senders of ours hear."""
import os
import pwd
import re
import shutil
import stat
import tempfile

import pytest

from lib.fake_server import FakeServer
from lib.instance import Instance
from lib.landlock import landlock_version
from lib.messages import message
from lib.place import SANITIZED
from lib.postfix import Postfix
from lib.talker import fresh_source
from lib.waiting import wait_for
from lib.world import World, fresh_address, id_of

SRS = r"SRS0=[A-Za-z0-9_-]{6}=[A-Z2-7]{2}="


@pytest.fixture(scope="module")
def world():
    with World() as made:
        yield made


def rcpt(server, *recipients, sender="someone@example.net"):
    """The replies to these recipients of one transaction."""
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, f"MAIL FROM:<{sender}>")
        return [client.command(f"RCPT TO:<{recipient}>") for recipient in recipients]


def arrived(exchanger, marker):
    return wait_for(lambda: [one for one in list(exchanger.messages) if marker.encode() in one.data], f"{marker} at {exchanger.host}")


# ---- where names lead ----

def test_an_alias_leads_to_users_and_to_other_servers(world, marker):
    exchanger = world.exchanger()
    domain = world.domain([10, exchanger])
    world.server.command("alias", "add", "team@example.test", "coco@example.test", f"friend@{domain}", f"colleague@{domain}")
    mail_id = world.receive("team@example.test", message(marker, sender="someone@example.net", recipient="team@example.test"))
    assert "for <team@example.test>" in world.server.wait_mail("coco@example.test", marker).decode()
    [forwarded] = arrived(exchanger, marker)
    assert sorted(forwarded.accepted_for) == [f"colleague@{domain}", f"friend@{domain}"]
    assert re.fullmatch(SRS + r"example\.net=someone@example\.test", forwarded.sender), forwarded.sender
    assert forwarded.data.startswith(b"Delivered-To: team@example.test\r\nAuthentication-Results: "), forwarded.data[:200]
    rows = world.server.wait_parcels(mail_id, "delivered")
    assert sorted((row["to_url"], row["target"], row["delivery"]) for row in rows) == [
        ("team@example.test", "coco@example.test", "local"), ("team@example.test", f"colleague@{domain}", "remote"),
        ("team@example.test", f"friend@{domain}", "remote")]
    assert {row["from_url"] for row in rows if row["delivery"] == "remote"} == {forwarded.sender}
    assert {row["from_url"] for row in rows if row["delivery"] == "local"} == {"someone@example.net"}


def test_whoever_is_reached_twice_gets_one_copy(world, marker):
    world.server.command("alias", "add", "sales@example.test", "coco@example.test", "mike@example.test")
    mail_id = world.receive(["sales@example.test", "coco@example.test", "mike+x@example.test"], message(marker))
    rows = world.server.wait_parcels(mail_id, "delivered")
    assert sorted(row["target"] for row in rows) == ["coco@example.test", "mike@example.test"]


def test_nobody_learns_by_which_alias_others_got_it(world, marker):
    exchanger = world.exchanger()
    domain = world.domain([10, exchanger])
    world.server.command("alias", "add", "one@example.test", f"first@{domain}")
    world.server.command("alias", "add", "two@example.test", f"second@{domain}")
    world.receive(["one@example.test", "two@example.test"], message(marker))
    wait_for(lambda: len(arrived(exchanger, marker)) == 2, "two transactions")
    for forwarded in arrived(exchanger, marker):
        name = {f"first@{domain}": b"one", f"second@{domain}": b"two"}[forwarded.accepted_for[0]]
        assert forwarded.data.startswith(b"Delivered-To: " + name + b"@example.test\r\n")
        assert forwarded.data.count(b"@example.test") == 1 + message(marker).count(b"@example.test")


def test_a_user_who_forwards_keeps_a_copy_when_he_names_himself(world, marker):
    exchanger = world.exchanger()
    domain = world.domain([10, exchanger])
    world.server.add_user("anna@example.test")
    world.server.command("alias", "add", "anna@example.test", f"anna@{domain}")
    world.receive("anna@example.test", message(marker + "-away"))
    arrived(exchanger, marker + "-away")
    world.server.command("alias", "add", "anna@example.test", "anna@example.test")
    world.receive("anna@example.test", message(marker + "-both"))
    arrived(exchanger, marker + "-both")
    world.server.wait_mail("anna@example.test", marker + "-both")
    assert not any((marker + "-away").encode() in one for one in world.server.mails("anna@example.test"))


def test_a_list_has_its_owners_sender_and_members_from_a_file(world, marker):
    exchanger = world.exchanger()
    domain = world.domain([10, exchanger])
    path = world.server.path("state", "members")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(f"# the members\nmike@example.test\n\nmember@{domain}\n")
    os.chmod(path, 0o644)
    world.server.command("alias", "add", "list@example.test", path, "owner=coco@example.test")
    mail_id = world.receive("list@example.test", message(marker))
    [forwarded] = arrived(exchanger, marker)
    assert (forwarded.sender, forwarded.accepted_for) == ("coco@example.test", [f"member@{domain}"])
    world.server.wait_mail("mike@example.test", marker)
    assert {row["from_url"] for row in world.server.wait_parcels(mail_id, "delivered")} == {"coco@example.test"}


@pytest.mark.skipif(landlock_version() < 2 or SANITIZED, reason="this kernel, or this build, has no Landlock")
def test_a_list_outside_alias_directories_is_not_read_and_the_operator_hears_why(world):
    with tempfile.TemporaryDirectory() as elsewhere:
        os.chmod(elsewhere, 0o755)
        path = os.path.join(elsewhere, "members")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write("mike@example.test\n")
        world.server.command("alias", "add", "outside@example.test", path)
        [reply] = rcpt(world.server, "outside@example.test")
        assert reply.code == 451
        world.server.wait_log(rf"the addresses in {re.escape(path)} cannot be read: Permission denied; .*alias_directories")
        world.server.settings["alias_directories"] = [world.server.directory, elsewhere]
        world.server.write_configuration()
        world.server.reload()
        wait_for(lambda: rcpt(world.server, "outside@example.test")[0].code == 250, "lookups that reach it", explain=world.server.log_tail)


def test_a_large_list_comes_through_whole(world, marker):
    exchanger = world.exchanger()
    domain = world.domain([10, exchanger])
    path = world.server.path("state", "crowd")
    with open(path, "w", encoding="utf-8") as stream:
        stream.writelines(f"member-number-{number}-of-a-large-list@{domain}\n" for number in range(1500))
    os.chmod(path, 0o644)
    world.server.command("alias", "add", "crowd@example.test", path)
    mail_id = world.receive("crowd@example.test", message(marker))
    rows = world.server.wait_parcels(mail_id, "delivered")
    assert len({row["target"] for row in rows}) == 1500
    assert sum(len(one.accepted_for) for one in arrived(exchanger, marker)) == 1500


def test_domains_catch_all_and_tags(world, marker):
    server = world.server
    for domain in ("also.test", "every.test"):
        server.edit("insert into domains (domain) values (?)", domain)
    server.command("alias", "add", "@also.test", "@example.test")
    server.command("alias", "add", "@every.test", "mike@example.test")
    replies = rcpt(server, "coco@also.test", "coco+shop@also.test", "nobody@also.test", "whoever@every.test", "postmaster@every.test")
    assert [reply.code for reply in replies] == [250, 250, 550, 250, 250]
    mail_id = world.receive(["coco+shop@also.test", "whoever@every.test"], message(marker))
    assert {row["to_url"]: row["target"] for row in server.wait_parcels(mail_id, "delivered")} == {
        "coco+shop@also.test": "coco@example.test", "whoever@every.test": "mike@example.test"}


def test_an_alias_that_leads_only_to_missing_users_is_refused_at_rcpt(world):
    server = world.server
    server.command("alias", "add", "former@example.test", "left@example.test", "left-too@example.test")
    assert rcpt(server, "former@example.test")[0] == "550 5.1.1 <former@example.test> is no user here"
    server.command("alias", "add", "former@example.test", "coco@example.test")
    before = len(server.log_text())
    assert rcpt(server, "former@example.test")[0].code == 250
    server.wait_log("alias former@example.test: left@example.test is no user here, and left out", before)


def test_what_is_set_up_wrongly_makes_mail_wait_and_says_so(world):
    server = world.server
    server.command("alias", "add", "robot@example.test", "|no-such-block")
    server.command("alias", "add", "unread@example.test", "/nonexistent/members")
    server.command("alias", "add", "egg@example.test", "hen@example.test")
    server.command("alias", "add", "hen@example.test", "egg@example.test")
    before = len(server.log_text())
    assert [reply.code for reply in rcpt(server, "robot@example.test", "unread@example.test", "egg@example.test")] == [451] * 3
    for words in ("leads to a transport that is not configured", "/nonexistent/members cannot be read", "goes in a circle"):
        server.wait_log(words, before)


def test_too_many_for_one_transaction_are_told_to_come_alone(make_instance):
    server = make_instance(settings={"expansion_maximum": 5})
    for name, count in (("three", 3), ("four", 4), ("six", 6)):
        server.command("alias", "add", f"{name}@example.test", *(f"{name}{number}@example.net" for number in range(count)))
    replies = rcpt(server, "three@example.test", "four@example.test", "coco@example.test", "six@example.test")
    assert [reply.code for reply in replies] == [250, 452, 250, 451]
    server.wait_log(r"<four@example.test> leads to so many addresses")
    server.wait_log(r"alias six@example.test leads to more than expansion_maximum \(5\)")
    assert rcpt(server, "four@example.test")[0].code == 250


# ---- the operator ----

def test_the_operator_sees_and_changes_aliases_and_each_change_is_on_record(world):
    server = world.server
    assert "boss@example.test leads to mike@example.test" in server.command("alias", "add", "boss@example.test", "mike@example.test", "coco@example.test")
    assert "mike@example.test" in server.command("alias", "list", "boss@example.test")
    assert server.command("alias", "test", "boss@example.test").split("\n")[:3] == [
        "boss@example.test goes to", "  local   mike@example.test", "  local   coco@example.test"]
    server.command("alias", "remove", "boss@example.test", "mike@example.test")
    assert "mike" not in server.command("alias", "list", "boss@example.test")
    server.command("alias", "remove", "boss@example.test")
    assert server.command("alias", "list", "boss@example.test", check=False)[0] == 67
    assert server.command("alias", "remove", "boss@example.test", check=False)[0] == 67
    assert server.command("alias", "test", "boss@example.test", check=False)[0] == 67
    whats = [row["what"] for row in server.sql("select what from operator_changes where what like 'alias % boss@%' order by id")]
    assert whats == ["alias add boss@example.test mike@example.test", "alias add boss@example.test coco@example.test",
                     "alias remove boss@example.test mike@example.test", "alias remove boss@example.test"]
    for wrong in (["no address", "coco@example.test"], ["a@example.test", "no address"], ["a@example.test", "b@example.test", "owner=x"]):
        assert server.command("alias", "add", *wrong, check=False)[0] == 64
    assert "is no domain of ours" in server.command("alias", "add", "x@stranger.test", "coco@example.test")


def test_aliases_can_be_changed_while_no_server_runs(make_instance):
    server = make_instance()
    server.halt()
    server.command("alias", "add", "night@example.test", "coco@example.test")
    assert "coco@example.test" in server.command("alias", "list")
    server.launch()
    assert rcpt(server, "night@example.test")[0].code == 250


# ---- forwarding, and back ----

@pytest.fixture
def postfix(request):
    if os.geteuid() != 0 or not os.path.exists("/usr/sbin/postfix"):
        pytest.skip("needs root and the package postfix")
    folder = tempfile.mkdtemp(prefix="parcelpost-postfix-")

    def start(**options):
        running = Postfix(folder, **options).start()
        request.addfinalizer(running.stop)
        return running
    request.addfinalizer(lambda: shutil.rmtree(folder, ignore_errors=True))
    return start


def test_postfix_returns_forwarded_mail_through_us_to_its_sender(postfix, make_instance, marker):
    server = make_instance(start=False)
    inner = FakeServer(on={"RCPT": "550 5.1.1 moved away"}).start()  # behind it: Postfix learns too late to refuse
    other = postfix(others={"example.test": server.mx_port, "gone@remote.test": inner.port})
    host = fresh_address()
    server.settings["remote_smtp_port"] = other.port
    server.zone.update({"origin.test": [{"MX": [10, "mx.origin.test"]}], "mx.origin.test": [{"A": host}]})
    origin = FakeServer(host=host, port=other.port).start()
    try:
        server.start()
        server.command("alias", "add", "moved@example.test", "gone@remote.test")
        with server.talk(source=fresh_source()) as client:
            client.ehlo()
            id_of(client.mail("someone@origin.test", "moved@example.test", message(marker)))
        [notice] = arrived(origin, marker)
        assert (notice.sender, notice.accepted_for) == ("", ["someone@origin.test"])
        assert b"moved away" in notice.data and b"MAILER-DAEMON@mx.remote.test" in notice.data
        rows = server.wait_rows("select to_url, target from parcels where from_url = '' and state = 'delivered'")
        assert re.fullmatch(SRS + r"origin\.test=someone@example\.test", rows[0]["to_url"])
        assert rows[0]["target"] == "someone@origin.test"
    finally:
        origin.stop()
        inner.stop()


def test_what_is_forwarded_in_a_circle_is_refused_and_its_sender_told(make_instance, marker):
    first = make_instance(start=False)
    second = make_instance(start=False, route=f"127.0.0.1:{first.mx_port}",
                           settings={"local_domains": ["second.test"], "server_name": "mail.second.test"})
    origin = FakeServer().start()
    first.route = f"127.0.0.1:{second.mx_port}"
    first.extra = f'route "origin.test" {{ host = "{origin.endpoint}" }}'
    for one in (first, second):
        one.zone.update({name: [{"MX": [10, "client.example.net"]}, {"A": "127.0.0.1"}] for name in ("origin.test", "second.test", "mail.second.test")})
        one.start()
    try:
        first.command("alias", "add", "round@example.test", "round@second.test")
        second.command("alias", "add", "round@second.test", "round@example.test")
        with first.talk(source=fresh_source()) as client:
            client.ehlo()
            id_of(client.mail("someone@origin.test", "round@example.test", message(marker)))
        rows = second.wait_rows("select delivery_msg from parcels where state = 'failed' and to_url = 'round@second.test'")
        assert rows[0]["delivery_msg"].startswith("554 5.4.6 "), rows[0]["delivery_msg"]
        first.wait_log("<round@example.test> is forwarded in a circle")
        [notice] = arrived(origin, marker)
        assert (notice.sender, notice.accepted_for) == ("", ["someone@origin.test"])
        assert b"5.4.6" in notice.data
    finally:
        origin.stop()


def test_the_secret_is_made_once_read_by_lookup_alone_and_can_be_replaced(make_instance):
    server = make_instance()
    path = server.path("state", "srs.secret")
    with open(path, encoding="ascii") as stream:
        secret = stream.read()
    assert len(secret) == 49 and stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert not server.root or pwd.getpwuid(os.stat(path).st_uid).pw_name == "parcelpost-auth"
    server.command("alias", "add", "out@example.test", "friend@remote.test")
    made = re.search(SRS + r"origin\.test=someone@example\.test", server.command("alias", "test", "out@example.test", "someone@origin.test")).group()
    server.restart()
    with open(path, encoding="ascii") as stream:
        assert stream.read() == secret
    assert rcpt(server, made, sender="")[0].code == 250
    for text, code in (("a-new-secret\n" + secret, 250), ("a-new-secret\n", 550)):
        with open(path, "w", encoding="ascii") as stream:
            stream.write(text)
        server.reload()
        wait_for(lambda code=code: rcpt(server, made, sender="")[0].code == code, f"{code} by the new secrets")


def test_a_notice_to_a_sender_of_ours_goes_where_his_name_leads(world, marker):
    exchanger = world.exchanger(on={"RCPT": "550 5.1.1 nobody"})
    domain = world.domain([10, exchanger])
    world.server.command("alias", "add", "office@example.test", "mike@example.test")
    world.submit(f"x@{domain}", message(marker + "-office"), sender="office@example.test")
    assert b"Undelivered" in world.server.wait_mail("mike@example.test", marker + "-office")
    world.submit(f"x@{domain}", message(marker + "-tag"), sender="coco+shop@example.test")
    assert b"Undelivered" in world.server.wait_mail("coco@example.test", marker + "-tag")
    world.server.command("-f", "root@example.test", f"x@{domain}", input=message(marker + "-root").decode().replace("\r\n", "\n"), name="sendmail")
    assert b"Undelivered" in world.server.wait_mail("coco@example.test", marker + "-root")


def test_what_the_operator_has_set_outlives_a_rebuilt_database(make_instance):
    server = make_instance()
    server.command("alias", "add", "kept@example.test", "coco@example.test", "owner=mike@example.test")
    server.command("vacation", "set", "coco@example.test", "Away", "Later.", "until=2100-01-01")
    server.command("hold-rule", "add", "domain", "far.test", "because")
    server.edit("insert into domains (domain) values ('by-hand.test')")
    tables = {"aliases": "address, target, owner, created_at", "vacations": "*", "hold_rules": "kind, pattern, reason, created_at", "domains": "*"}
    before = {table: [tuple(row) for row in server.sql(f"select {columns} from {table}")] for table, columns in tables.items()}
    server.halt()
    assert "1 aliases kept" in server.command("queue", "rebuild")
    server.launch()
    assert {table: [tuple(row) for row in server.sql(f"select {columns} from {table}")] for table, columns in tables.items()} == before
    assert rcpt(server, "kept@example.test")[0].code == 250
