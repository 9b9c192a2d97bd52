"""Other people's mail servers: one instance, and any number of scripted exchangers, each on a loopback address of its
own at the instance's remote_smtp_port, with domains whose MX records say what a test wants.

    with World() as world:
        bad, good = world.exchanger(on={"RCPT": "450 later"}), world.exchanger()
        domain = world.domain([10, bad], [20, good])
        mail_id = world.submit(f"friend@{domain}", message(marker))
"""
import itertools
import os
import re

from lib import ports
from lib.fake_server import FakeServer
from lib.instance import Instance
from lib.talker import fresh_source
from lib.waiting import wait_for

_serial = itertools.count(1)


def fresh_address():
    """A loopback address that no other exchanger of this run uses."""
    number = next(_serial)
    worker = int((os.environ.get("PYTEST_XDIST_WORKER") or "gw0")[2:])
    return f"127.{150 + worker}.{1 + number // 250}.{1 + number % 250}"


def id_of(reply):
    """The mail id in a 250; fails for any other reply."""
    found = re.fullmatch(r"250 2\.0\.0 OK id=(\S+)", reply.text)
    assert found, reply.text
    return found.group(1)


class World:
    def __init__(self, settings=None, **options):
        self.port = ports.take(1)[0]
        self.server = Instance(settings={"remote_smtp_port": self.port, "retry_schedule": ["3600"], "dns_cache_size": 0, **(settings or {})}, **options)
        self.exchangers = []

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, kind, *_):
        try:
            self.server.stop(check=kind is None)
        finally:
            for one in self.exchangers:
                one.stop()
            ports.give_back([self.port])
            self.server.remove()

    def exchanger(self, start=True, **behaviour):
        """A FakeServer on an address of its own; with start=False nothing listens there yet."""
        one = FakeServer(host=fresh_address(), port=self.port, **behaviour)
        if start:
            self.exchangers.append(one.start())
        return one

    def domain(self, *exchangers, extra=()):
        """A new domain with these [preference, exchanger] as its MX; extra: further records of the domain itself."""
        name = f"d{next(_serial)}.far.test"
        self.set_domain(name, *exchangers, extra=extra)
        return name

    def set_domain(self, name, *exchangers, extra=()):
        records, hosts = list(extra), {}
        for number, (preference, one) in enumerate(exchangers):
            hosts[f"mx{number}.{name}"] = [{"A": one.host}]
            records.append({"MX": [preference, f"mx{number}.{name}"]})
        self.server.write_zone({**hosts, name: records})

    def submit(self, recipients, data, sender="coco@example.test", source=None):
        """A member's message through the internal port; gives its mail id."""
        with self.server.talk("internal", source or fresh_source()) as client:
            client.ehlo()
            return id_of(client.mail(sender, recipients, data))

    def receive(self, recipients, data, sender="someone@example.net", source=None):
        """A stranger's message through the mx port; gives its mail id."""
        with self.server.talk(source=source or fresh_source()) as client:
            client.ehlo()
            return id_of(client.mail(sender, recipients, data))

    def attempts(self, mail_id):
        return self.server.sql("select attempts.* from attempts join parcels on parcels.id = parcel_id where mail_id = ? order by attempts.id",
                               mail_id)

    def parcels(self, mail_id, *states):
        """{to_url: row} once every parcel is in one of the states."""
        return {row["to_url"]: row for row in self.server.wait_parcels(mail_id, *states)}

    def retry(self, mail_id):
        """parcelpost queue retry, and waits until another attempt is on record."""
        before = len(self.attempts(mail_id))
        self.server.command("queue", "retry", mail_id)
        wait_for(lambda: len(self.attempts(mail_id)) > before, f"another attempt of {mail_id}", explain=self.server.log_tail)
