"""Internationalised domains (RFC 5890): one domain, whichever way it is written, for local mail, routes, DNS and DKIM."""
import os
import smtplib
import tempfile
from email.message import EmailMessage

import pytest

from lib.fake_server import KEYWORDS
from lib.messages import message
from lib.postfix import Postfix
from lib.waiting import wait_for
from lib.world import World, id_of

U, A = "bücher.test", "xn--bcher-kva.test"
UTF8 = [*KEYWORDS, "SMTPUTF8"]


@pytest.fixture(scope="module")
def world():
    with World(settings={"local_domains": ["example.test", "Bücher.test"]}) as made:
        made.server.add_user(f"kim@{U}")
        made.server.add_user(f"zoë@{A}")
        yield made


def submit(world, source, recipient, data, parameters="SMTPUTF8", sender="coco@example.test"):
    with world.server.talk("internal", source) as client:
        client.ehlo()
        return id_of(client.mail(sender, recipient, data, parameters))


@pytest.mark.parametrize("recipient", [f"kim@{U}", f"kim@{A}", "kim@BÜCHER.test", f"zoë@{U}"])
def test_a_domain_of_ours_is_ours_in_either_form(world, source, marker, recipient):
    mail_id = submit(world, source, recipient, message(marker))
    [row] = world.server.wait_parcels(mail_id, "delivered")
    assert row["delivery"] == "local" and row["domain"] == A
    assert world.server.wait_mail(f"{recipient.split('@')[0]}@{A}", marker)


def test_a_user_may_send_and_log_in_by_either_form(world, source, marker):
    with world.server.talk("submission", source) as client:
        client.ehlo()
        client.starttls()
        assert client.login(f"kim@{A}") == 235
        id_of(client.mail(f"kim@{U}", "mike@example.test", message(marker, sender=f"kim@{U}"), "SMTPUTF8"))


def test_a_domain_in_the_table_may_be_written_as_people_do(world, source, marker):
    world.server.edit("insert into domains (domain) values ('größe.test')")
    world.server.command("alias", "add", "info@größe.test", "coco@example.test")
    [row] = world.server.wait_parcels(submit(world, source, "info@größe.test", message(marker)), "delivered")
    assert row["target"] == "coco@example.test"
    assert "info@xn--gre-6ka8i.test" in world.server.command("alias", "list")
    world.server.command("alias", "remove", "info@xn--gre-6ka8i.test")


def test_an_alias_leads_to_a_domain_in_either_form(world, source, marker):
    world.server.command("alias", "add", "team@example.test", f"kim@{U}")
    [row] = world.server.wait_parcels(submit(world, source, "team@example.test", message(marker)), "delivered")
    assert row["target"] == f"kim@{A}" and row["delivery"] == "local"
    world.server.command("alias", "remove", "team@example.test")


def test_dns_is_asked_for_a_labels(world, source, marker):
    sink = world.exchanger()
    world.server.write_zone({"xn--mhle-0ra.far.test": [{"MX": [10, "mx.muehle.far.test"]}], "mx.muehle.far.test": [{"A": sink.host}]})
    mail_id = submit(world, source, "friend@mühle.far.test", message(marker))
    world.parcels(mail_id, "delivered")
    assert sink.messages[0].recipients == ["friend@xn--mhle-0ra.far.test"], "an ASCII local part needs no SMTPUTF8 of the next server"
    assert "SMTPUTF8" not in sink.messages[0].parameters


def test_a_local_part_beyond_ascii_needs_smtputf8_at_the_next_server(world, source, marker):
    able, unable = world.exchanger(ehlo=UTF8), world.exchanger()
    mail_id = submit(world, source, f"jürgen@{world.domain([10, able])}", message(marker))
    world.parcels(mail_id, "delivered")
    assert able.messages[0].recipients[0].startswith("jürgen@") and "SMTPUTF8" in able.messages[0].parameters
    [row] = world.parcels(submit(world, source, f"jürgen@{world.domain([10, unable])}", message(marker)), "failed").values()
    assert row["delivery_msg"].startswith("553 5.6.7 ") and not unable.messages


def test_a_route_is_for_a_domain_in_either_form(make_instance, source, marker):
    other = make_instance(settings={"local_domains": [A], "server_name": f"mail.{A}"}, start=False)
    other.prepare_files()
    other.start_name_server()
    other.launch()
    other.add_user(f"kim@{A}")
    first = make_instance(extra=f'route "{U}" {{\n host = "127.0.0.1:{other.mx_port}"\n}}')
    with first.talk("internal", source) as client:
        client.ehlo()
        mail_id = id_of(client.mail("coco@example.test", f"kim@{A}", message(marker)))
    first.wait_parcels(mail_id, "delivered")
    assert other.wait_mail(f"kim@{A}", marker)


def test_smtplib_sends_and_the_trace_field_says_utf8smtp(world, marker):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["X-Marker"] = "coco@example.test", f"zoë@{U}", "Grüße", marker
    mail.set_content("Grüße\n")
    with smtplib.SMTP("127.0.0.1", world.server.internal_port, local_hostname="client.example.net") as client:
        client.send_message(mail)
    got = world.server.wait_mail(f"zoë@{A}", marker)
    assert b"with UTF8SMTP id" in got and "Subject: Grüße".encode() in got


@pytest.mark.skipif(os.geteuid() != 0, reason="Postfix starts as root only")
def test_postfix_takes_addresses_beyond_ascii(make_instance, source, marker):
    with tempfile.TemporaryDirectory(prefix="parcelpost-postfix-", ignore_cleanup_errors=True) as folder, \
            Postfix(folder, domain=A) as postfix:
        server = make_instance(route=postfix.endpoint)
        with server.talk("internal", source) as client:
            client.ehlo()
            mail_id = id_of(client.mail("coco@example.test", f"jürgen@{U}", message(marker, subject="Grüße"), "SMTPUTF8"))
        server.wait_parcels(mail_id, "delivered")
        [mail] = wait_for(lambda: [mail for mail in postfix.mails() if marker.encode() in mail], "Postfix's mailbox", explain=postfix.log_text)
        assert "Grüße".encode() in mail and f"<jürgen@{A}>".encode() in mail
