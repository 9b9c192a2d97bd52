"""Clients that are accepted while there is no receiver for them: what a reload, and the death of a service, make of them."""
import contextlib
import os
import resource
import signal

import pytest

from lib import ports
from lib.background import send
from lib.processes import nursery_of, wait_accepted
from lib.talker import Closed, SmtpTalker, fresh_source
from lib.waiting import stat, wait_for

CLIENTS = 20


def pids_of(server, name):
    return [pid for pid, _, _ in server.processes(name)]


@contextlib.contextmanager
def without_births(server):
    """No receiver is born, and none waits for a client."""
    wait_for(lambda: pids_of(server, "receiver"), "waiting receivers", explain=server.log_tail)
    nursery = nursery_of(server)
    send([nursery], signal.SIGSTOP)
    try:
        wait_for(lambda: stat(nursery)[0] == "T", "the nursery to stop")
        killed = server.kill("receiver")
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in killed), "the listener to know of it", explain=server.log_tail)
        yield nursery
    finally:
        send([nursery], signal.SIGCONT)


def connect(server, port, source=None, tls=None):
    """A client that the listener has accepted, and whom nobody has said a word."""
    client = SmtpTalker(port, source=source or fresh_source(), greeting=False, tls=tls)
    wait_accepted(server, client.socket)
    return client


def running(make_instance, settings=None, **options):
    return make_instance(settings={"receiver_spare": 1, "lookup_workers": 1, "contact_connection_limit": 1000, **(settings or {})}, **options)


def test_clients_that_wait_for_a_receiver_are_greeted_after_a_reload(make_instance):
    server = running(make_instance)
    with without_births(server), contextlib.ExitStack() as closing:
        clients = [closing.enter_context(connect(server, server.mx_port)) for _ in range(CLIENTS)]
        server.reload()
        for client in clients:
            assert client.reply().code == 220, client.transcript() + server.log_tail()
            client.expect(250, "EHLO client.example.net")
            client.quit()


def test_every_client_of_a_crowd_is_greeted_while_the_configuration_is_read_again(make_instance):
    server = running(make_instance)
    with contextlib.ExitStack() as closing:
        clients = []
        for _ in range(4):
            clients += [closing.enter_context(server.talk(source=fresh_source(), greeting=False)) for _ in range(CLIENTS)]
            server.daemon.send(signal.SIGHUP)
        for client in clients:
            assert client.reply().code == 220, client.transcript() + server.log_tail()


def test_clients_that_wait_for_a_receiver_are_greeted_when_a_service_dies(make_instance):
    """The nursery, which cannot introduce receivers to who has just died, says so before the listener knows of the death."""
    server = running(make_instance)
    with contextlib.ExitStack() as closing:
        with without_births(server) as nursery:
            clients = [closing.enter_context(connect(server, server.mx_port)) for _ in range(CLIENTS)]
            listener = server.pid
            send([listener], signal.SIGSTOP)
            try:
                wait_for(lambda: stat(listener)[0] == "T", "the listener to stop")
                send(pids_of(server, "lookup"), signal.SIGKILL)
                send([nursery], signal.SIGCONT)
                server.wait_log("the lookup takes no further askers now")
            finally:
                send([listener], signal.SIGCONT)
        for client in clients:
            assert client.reply().code == 220, client.transcript() + server.log_tail()
            client.quit()


def test_clients_that_hold_the_last_descriptors_do_not_keep_receivers_away_for_ever(make_instance):
    """The hub of no new receiver can be taken; whoever waits would wait until the server is started anew."""
    server = running(make_instance)
    with contextlib.ExitStack() as closing:
        with without_births(server):
            most = CLIENTS + max(int(name) for name in os.listdir(f"/proc/{server.pid}/fd"))
            former = resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (most, resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[1]))
            clients = [closing.enter_context(SmtpTalker(server.mx_port, source=fresh_source(), greeting=False)) for _ in range(most)]
            server.wait_log("no connection can be accepted now")
        assert clients[0].reply() == "421 4.7.0 mail.example.test cannot serve you now, try again later", server.log_tail()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, former)
        assert clients[-1].reply().code in (220, 421)
    with server.talk() as client:
        client.quit()


def test_a_reload_judges_those_who_wait_by_its_own_settings(make_instance):
    """Its port is gone, is not for it any more, or begins with TLS now; its contact has been locked out."""
    gone, closed, changed = ports.take(3)
    before = f'listen "127.0.0.1:{closed}" {{ role = mx }}\nlisten "127.0.0.1:{changed}" {{ role = mx }}\n'
    server = running(make_instance, extra=before + f'listen "127.0.0.1:{gone}" {{ role = mx }}')
    locked, crowd = fresh_source(), fresh_source()
    with without_births(server), contextlib.ExitStack() as closing:
        def client(port, source=None):
            return closing.enter_context(connect(server, port, source))
        at_gone, at_closed, at_changed, at_locked = client(gone), client(closed), client(changed), client(server.mx_port, locked)
        of_crowd = [client(server.mx_port, crowd) for _ in range(3)]
        server.command("contacts", "lock", locked, "3600")
        server.settings["contact_connection_limit"] = 2
        server.extra = f'listen "127.0.0.1:{changed}" {{ role = submission\n tls = implicit }}\nlisten "127.0.0.1:{closed}" {{ role = mx\n networks = {{"10.0.0.0/8"}} }}'
        server.write_configuration()
        server.reload()
        assert at_gone.reply() == "421 4.3.2 mail.example.test not serving now, try again later", server.log_tail()
        at_gone.expect_close()
        assert at_closed.reply() == "554 5.7.1 mail.example.test this port is not for you"
        at_closed.expect_close()
        at_locked.expect_close()
        assert of_crowd[2].reply() == "421 4.7.0 mail.example.test too many connections from you, try again later"
        assert [one.reply().code for one in of_crowd[:2]] == [220, 220]
        at_changed.handshake()
        assert at_changed.reply().code == 220
        with pytest.raises(Closed):
            at_gone.command("NOOP")
    ports.give_back([gone, closed, changed])
