"""A database of an earlier version becomes one of this version, with the same columns and indexes as a new one."""
import contextlib
import os
import re
import sqlite3

from lib.instance import Instance
from lib.place import ROOT
from lib.sasl import Scram
from lib.talker import fresh_source

FIRST = os.path.join(ROOT, "tests", "unit", "schema_1.sql")  # sql/schema.sql of version 1, unchanged


def shape(path):
    """{name: what it is}: columns with type, default and key for tables, the statement for indexes, all without comments."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        made = dict(connection.execute("select name, sql from sqlite_master where type = 'index' and sql is not null"))
        made = {name: re.sub(r"\s+", " ", sql) for name, sql in made.items()}
        for name, in connection.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'").fetchall():
            columns = connection.execute(f"pragma table_info({name})").fetchall()
            made[name] = sorted(tuple(column[1:]) for column in columns)
        return made, connection.execute("pragma user_version").fetchone()[0]


def test_a_database_of_version_1_gets_what_a_new_one_has_and_keeps_its_rows():
    with Instance() as server:
        fresh = shape(server.database)
        server.halt()
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(server.database + suffix)
        with contextlib.closing(sqlite3.connect(server.database)) as old, open(FIRST, encoding="utf-8") as schema:
            old.executescript(schema.read() + "pragma user_version = 1; pragma journal_mode = wal;")
            with old:
                old.execute("insert into contacts (remote_ip, created_at, updated_at) values ('192.0.2.1', '2030-01-01 00:00:00', '2030-01-01 00:00:00')")
        owner = os.stat(os.path.dirname(server.database))
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.chown(server.database + suffix, owner.st_uid, owner.st_gid)
        server.launch()
        assert shape(server.database) == fresh
        assert server.contact("192.0.2.1")


USERS_FIRST = """create table users (address text primary key, hash text not null, created_at text not null, updated_at text not null) without rowid;
    pragma user_version = 1"""


def test_a_users_database_of_version_1_keeps_its_users_and_gets_what_scram_needs():
    with Instance(settings={"max_failed_msgs_per_period": 100}) as server:
        path = server.path("state", "users.db")
        fresh, owner = shape(path), os.stat(path)
        with contextlib.closing(sqlite3.connect(path)) as users:
            rows = users.execute("select address, hash, created_at, updated_at from users").fetchall()
        server.halt()
        os.remove(path)
        with contextlib.closing(sqlite3.connect(path)) as old:
            old.executescript(USERS_FIRST)
            with old:
                old.executemany("insert into users values (?, ?, ?, ?)", rows)
        os.chown(path, owner.st_uid, owner.st_gid)
        os.chmod(path, owner.st_mode & 0o777)
        server.launch()
        assert shape(path) == fresh
        with server.talk("submission", fresh_source()) as client:
            client.ehlo()
            client.starttls()
            assert Scram(client).login() == 535  # there is no verifier yet
            assert client.login() == 235
        server.command("user", "passwd", "coco@example.test", "--stdin", input="my-password\n")
        with server.talk("submission", fresh_source()) as client:
            client.ehlo()
            client.starttls()
            assert Scram(client).login() == 235
