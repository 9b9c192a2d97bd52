"""Answers in the name of those who are away (RFC 3834): to people who wrote to them, once in so many days, and to nothing that
a program sent."""
import email
import email.policy

import pytest

from lib.messages import message
from lib.waiting import wait_for
from lib.world import World

FAR = ("2000-01-01", "2100-01-01")


@pytest.fixture(scope="module")
def world():
    with World() as made:
        yield made


@pytest.fixture
def friend(world):
    """Somebody at another server: their address, and the server."""
    exchanger = world.exchanger()
    return f"friend@{world.domain([10, exchanger])}", exchanger


def away(world, name, *words):
    """A new user who is away."""
    address = f"{name}@example.test"
    world.server.add_user(address)
    world.server.command("vacation", "set", address, *words)
    return address


def write(world, sender, to, marker, fields="", recipient=None):
    """A message that has been delivered, and whatever answers it in the tables."""
    mail_id = world.receive(to, message(marker, sender=sender, recipient=recipient or to, fields=fields), sender=sender)
    world.server.wait_parcels(mail_id, "delivered")
    return mail_id


def answers_in_tables(world, account):
    return world.server.sql("select p.to_url, p.state, m.from_url from mails m join parcels p using (mail_id) where m.role = 'vacation'"
                            " and m.account = ?", account)


def test_a_friend_is_answered_once_and_as_the_standard_says(world, friend, marker):
    sender, exchanger = friend
    anna = away(world, "anna", "Away until Monday", "I am on the mountain.\nNobody reads this.")
    write(world, sender, anna, marker)
    [answer] = wait_for(lambda: list(exchanger.messages), "the answer")
    assert (answer.sender, answer.accepted_for) == ("", [sender])
    parsed = email.message_from_bytes(answer.data, policy=email.policy.default)
    assert (parsed["From"], parsed["To"], parsed["Subject"]) == (anna, sender, "Away until Monday")
    assert parsed["Auto-Submitted"] == "auto-replied (vacation)"
    assert parsed["In-Reply-To"] == parsed["References"] == f"<{marker}@client.example.net>"
    assert parsed.get_content().replace("\r\n", "\n") == "I am on the mountain.\nNobody reads this.\n"
    mail_id = world.server.sql("select mail_id from mails where role = 'vacation' and account = ?", anna)[0][0]
    story = world.server.command("why", mail_id)
    assert f": an answer that this server wrote for {anna}, who is away.\n" in story and "  It is automatic: nobody gets notices about it.\n" in story
    for number in range(3):
        write(world, sender, anna, f"{marker}-{number}")
    assert len(answers_in_tables(world, anna)) == 1 and len(exchanger.messages) == 1


def test_two_messages_at_the_same_time_get_one_answer(world, friend, marker):
    sender, exchanger = friend
    bert = away(world, "bert", "Away", "Later.")
    ids = [world.receive(bert, message(f"{marker}-{number}", sender=sender, recipient=bert), sender=sender) for number in range(5)]
    for mail_id in ids:
        world.server.wait_parcels(mail_id, "delivered")
    wait_for(lambda: list(exchanger.messages), "the answer")
    assert [row["to_url"] for row in answers_in_tables(world, bert)] == [sender]


def test_after_the_period_there_is_another_answer_and_not_before(marker):
    with World() as world:
        exchanger = world.exchanger()
        sender = f"friend@{world.domain([10, exchanger])}"
        cleo = away(world, "cleo", "Away", "Later.", "days=3")
        write(world, sender, cleo, marker)
        wait_for(lambda: list(exchanger.messages), "the answer")
        world.server.restart()
        write(world, sender, cleo, marker + "-again")
        assert len(answers_in_tables(world, cleo)) == 1
        world.server.halt()
        world.server.edit("update mails set received_at = datetime('now', '-4 days') where role = 'vacation'")
        world.server.launch()
        write(world, sender, cleo, marker + "-later")
        wait_for(lambda: len(exchanger.messages) == 2, "the second answer")


def test_members_are_answered_in_their_mailboxes(world, marker):
    dora = away(world, "dora", "", "Not here.")
    world.submit(dora, message(marker, sender="mike@example.test", recipient=dora, subject="lunch"), sender="mike@example.test")
    answer = world.server.wait_mail("mike@example.test", f"<{marker}@client.example.net>").decode()
    assert "Subject: Re: lunch" in answer and "Return-Path: <>" in answer


def test_what_dovecot_has_taken_is_answered(make_instance, marker):
    server = make_instance(local="dovecot")
    server.command("vacation", "set", "coco@example.test", "Away", "Later.")
    with server.talk("internal") as client:
        client.ehlo()
        client.mail("mike@example.test", "coco+shop@example.test", message(marker, sender="mike@example.test", recipient="coco+shop@example.test"))
    server.wait_mail("coco@example.test", marker)
    assert "Subject: Away" in server.wait_mail("mike@example.test", f"<{marker}@client.example.net>").decode()


@pytest.mark.parametrize("what", ["list", "bounce", "automatic", "blind", "owner"])
def test_programs_and_lists_get_no_answer(world, friend, marker, what):
    sender, exchanger = friend
    emil = away(world, f"emil-{what}", "Away", "Later.")
    before = len(world.server.log_text())
    fields, recipient = "", emil
    if what == "list":
        fields = "List-Id: <talk.far.test>\r\n"
    elif what == "automatic":
        fields = "Auto-Submitted: auto-generated\r\n"
    elif what == "blind":
        recipient = "somebody@far.test"
    elif what == "owner":
        sender = "owner-" + sender
    write(world, "" if what == "bounce" else sender, emil, marker, fields, recipient)
    if what != "bounce":
        world.server.wait_log(f"{emil} is away, but is not answered for", before)
    assert not answers_in_tables(world, emil) and not exchanger.messages


def test_members_of_a_list_of_ours_do_not_answer_it(world, friend, marker):
    sender, exchanger = friend
    fred = away(world, "fred", "Away", "Later.")
    world.server.command("alias", "add", "talk@example.test", fred, "owner=coco@example.test")
    write(world, sender, "talk@example.test", marker, recipient=f"talk@example.test, {fred}")
    assert not answers_in_tables(world, fred) and not exchanger.messages


def test_an_alias_and_a_tag_are_his_names_too(world, friend, marker):
    sender, exchanger = friend
    gina = away(world, "gina", "Away", "Later.")
    world.server.command("alias", "add", "desk@example.test", gina)
    write(world, sender, "desk@example.test", marker)
    wait_for(lambda: len(exchanger.messages) == 1, "the answer")
    write(world, "other-" + sender, "gina+shop@example.test", marker + "-tag")
    wait_for(lambda: len(exchanger.messages) == 2, "the answer to the tagged address")
    assert {row["to_url"] for row in answers_in_tables(world, gina)} == {sender, "other-" + sender}


def test_who_is_set_away_and_gets_no_mail_here_is_warned_of(world):
    """Nobody is answered in the name of somebody who has no mailbox; an alias that leads to itself has one."""
    world.server.command("alias", "add", "itself@example.test", "itself@example.test")
    for address, warned in (("ghost@example.test", True), ("mike@elsewhere.test", True), ("MIKE@Example.Test", False), ("itself@example.test", False)):
        output = world.server.command("vacation", "set", address, "Away", "Away.")
        assert ("warning: " in output) is warned, output
        assert not warned or f"{address} is no user" in output, output
        world.server.command("vacation", "off", address)


def test_the_operator_sets_and_sees_who_is_away_and_when(world, friend, marker):
    sender, exchanger = friend
    server = world.server
    hans = away(world, "hans", "Away", "Later.", f"from={FAR[1]}")
    assert hans in server.command("vacation", "list") and FAR[1] in server.command("vacation", "list")
    write(world, sender, hans, marker + "-before")
    server.command("vacation", "set", hans, "Away", f"until={FAR[0]}", input="Later.\n")
    write(world, sender, hans, marker + "-after")
    assert not answers_in_tables(world, hans)
    server.command("vacation", "set", hans, "Grüße", "Später.", f"from={FAR[0]}", f"until={FAR[1]} 12:00:00", "days=1")
    write(world, sender, hans, marker + "-now")
    [answer] = wait_for(lambda: list(exchanger.messages), "the answer")
    parsed = email.message_from_bytes(answer.data, policy=email.policy.default)
    assert (parsed["Subject"], parsed.get_content().strip()) == ("Grüße", "Später.")
    server.command("vacation", "off", hans)
    assert hans not in server.command("vacation", "list")
    assert server.command("vacation", "off", hans, check=False)[0] == 67
    whats = [row["what"] for row in server.sql("select what from operator_changes where what like 'vacation %hans%' order by id")]
    assert whats == [f"vacation set {hans}"] * 3 + [f"vacation off {hans}"]
    for wrong in (["no address", "Away", "x"], [hans, "Away", "x", "days=0"], [hans, "Away", "x", "from=tomorrow"], [hans, "a\nb", "x"]):
        assert server.command("vacation", "set", *wrong, check=False)[0] == 64
