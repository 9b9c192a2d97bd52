"""client_lookup.sql: what an address of ours is may stand in a table of the operator's own, which another program fills."""
import pytest

from lib.messages import message
from lib.rules import start_with, write_rules
from lib.talker import fresh_source
from lib.waiting import wait_for

SQL = ("-- Who is there says the customers' table.\n"
       "SELECT goes_to, list_owner AS owner FROM customers WHERE address = :address ORDER BY goes_to;")
CUSTOMERS = [("ann@example.test", "=", None), ("sales@example.test", "ann@example.test", None), ("sales@example.test", "mike@example.test", None),
             ("gone@example.test", "nobody@example.test", None), ("out@example.test", "friend@remote.test", None),
             ("ring@example.test", "gnir@example.test", None), ("gnir@example.test", "ring@example.test", None)]


@pytest.fixture(scope="module")
def served():
    from lib.instance import Instance
    instance = Instance()
    instance.start()
    instance.edit("create table customers (address text collate nocase, goes_to text, list_owner text)")
    for row in CUSTOMERS:
        instance.edit("insert into customers values (?, ?, ?)", *row)
    write_rules(instance, {"client_lookup": SQL})
    instance.reload()
    instance.wait_log("configuration was read again")
    wait_for(lambda: rcpt(instance, "ann@example.test") == 250, "the file to be asked")
    yield instance
    instance.stop()
    instance.remove()


def rcpt(server, address):
    with server.talk(source=fresh_source()) as client:
        client.ehlo()
        client.expect(250, "MAIL FROM:<a@example.net>")
        return client.command(f"RCPT TO:<{address}>")


def test_a_mailbox_may_be_known_by_the_file_alone(served, source, marker):
    with served.talk(source=source) as client:
        client.ehlo()
        assert client.mail("a@example.net", "Ann@example.test", message(marker)) == 250
    assert served.wait_rows("select target from parcels join mails using (mail_id) where remote_ip = ? and delivery = 'local'",
                            source)[0]["target"].lower() == "ann@example.test"


def test_names_lead_on_through_it_and_the_servers_own_tables(served, source, marker):
    with served.talk(source=source) as client:
        client.ehlo()
        assert client.mail("a@example.net", ["sales@example.test", "coco@example.test", "out@example.test"], message(marker)) == 250
    served.wait_rows("select target, delivery from parcels join mails using (mail_id) where remote_ip = ?", source)
    rows = served.sql("select target, delivery from parcels join mails using (mail_id) where remote_ip = ? order by target", source)
    assert [tuple(row) for row in rows] == [("ann@example.test", "local"), ("coco@example.test", "local"), ("friend@remote.test", "remote"),
                                           ("mike@example.test", "local")]


def test_who_is_in_neither_is_no_user_here_and_a_circle_is_put_off(served):
    assert rcpt(served, "stranger@example.test") == 550
    assert rcpt(served, "gone@example.test") == 550
    assert rcpt(served, "ring@example.test") == 451
    served.wait_log("alias ring@example.test goes in a circle")


def test_it_can_be_tried_and_explained_beforehand(served):
    assert served.command("rules", "test", "client_lookup", "address=sales@example.test") == \
        "ann@example.test\t\nmike@example.test\t\nsql:client_lookup:1 says so\n"
    assert served.command("rules", "test", "client_lookup", "address=coco@example.test") == "no rule knows it\n"
    assert "local   ann@example.test" in served.command("alias", "test", "sales@example.test")


def test_one_that_fails_is_a_temporary_failure(make_instance):
    server = start_with(make_instance, {"client_lookup": "SELECT abs(-9223372036854775808) WHERE :address = 'coco@example.test'"})
    assert rcpt(server, "coco@example.test") == 451
    server.wait_log(r"rule sql:client_lookup:1 failed: .*client_lookup.sql:1: integer overflow")
    assert rcpt(server, "mike@example.test") == 250


def test_columns_that_it_cannot_use_stop_the_start(make_instance):
    server = make_instance(start=False)
    server.prepare()
    write_rules(server, {"client_lookup": "SELECT NULL;\nSELECT '=', 'x' AS log"})
    status, output = server.command("check", check=False)
    assert status == 1 and "client_lookup.sql:2: has other columns than where the address leads, and owner" in output
