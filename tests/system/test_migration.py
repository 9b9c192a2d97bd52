"""A database of an earlier version becomes one of this version, with the same columns and indexes as a new one."""
import contextlib
import os
import re
import sqlite3

from lib.instance import Instance
from lib.place import ROOT

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
