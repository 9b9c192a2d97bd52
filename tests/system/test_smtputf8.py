"""SMTPUTF8 (RFC 6531) from one end to the other: whoever asked for it gets it at the next server, or a notice."""
import pytest

from lib.fake_server import KEYWORDS, FakeServer
from lib.messages import message
from lib.world import World, id_of

UTF8 = [*KEYWORDS, "SMTPUTF8"]


@pytest.fixture(scope="module")
def world():
    with World() as made:
        yield made


def submit(world, source, recipient, data, parameters="SMTPUTF8"):
    with world.server.talk("internal", source) as client:
        client.ehlo()
        return id_of(client.mail("coco@example.test", recipient, data, parameters))


def test_a_header_beyond_ascii_is_announced_to_the_next_server(world, source, marker):
    sink = world.exchanger(ehlo=UTF8)
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker, subject="Grüße"))
    world.parcels(mail_id, "delivered")
    assert "SMTPUTF8" in sink.messages[0].parameters and "Grüße".encode() in sink.messages[0].data


def test_a_header_beyond_ascii_is_returned_where_the_next_server_takes_none(world, source, marker):
    sink = world.exchanger()
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker, subject="Grüße"))
    [row] = world.parcels(mail_id, "failed").values()
    assert "5.6.7" in row["delivery_msg"] and not sink.messages


def test_what_needs_no_smtputf8_is_not_held_up_by_it(world, source, marker):
    """RFC 6531 3.6: asked for without need, and the next server has never heard of it."""
    sink = world.exchanger()
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker, body="Grüße\r\n"))
    world.parcels(mail_id, "delivered")
    assert "SMTPUTF8" not in sink.messages[0].parameters


def test_a_mailbox_behind_lmtp_takes_any_header(source, marker):
    with FakeServer(lmtp=True) as store, World(local=f"127.0.0.1:{store.port}") as world:
        mail_id = submit(world, source, "mike@example.test", message(marker, subject="Grüße"))
        world.parcels(mail_id, "delivered")
        assert "Grüße".encode() in store.messages[0].data


def test_8_bit_in_a_header_without_smtputf8_goes_on_as_it_came(world, source, marker):
    sink = world.exchanger()
    mail_id = submit(world, source, f"friend@{world.domain([10, sink])}", message(marker, subject="Grüße"), "BODY=8BITMIME")
    world.parcels(mail_id, "delivered")
    assert "Grüße".encode() in sink.messages[0].data
