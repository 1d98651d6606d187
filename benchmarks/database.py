"""Database: a server to measure on, a fresh database with rowhooks on it, and pgbench."""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks.demo.embedded import EmbeddedPostgres, find_binaries
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install, uninstall
from rowhooks.postgres.connections.target import Target

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    # Each cell begins after a checkpoint and a vacuum; neither is to begin by itself in the middle of one.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "'30min'",
    "autovacuum": "off",
}

SHOWN_SETTINGS = ("server_version", *SETTINGS, "shared_buffers", "wal_level", "full_page_writes")
_SETTINGS = "select name, current_setting(name) from pg_settings where name = any (%s) order by name"

_COLUMNS: LiteralString = """
  id integer primary key,
  name text not null,
  serial text not null,
  status text not null,
  site integer not null,
  height smallint not null,
  comments text,
  last_updated timestamptz not null default now()
"""
# The rows of a table of devices; about 200 bytes each as JSON.
ROWS: LiteralString = """
insert into bench.{table} (id, name, serial, status, site, height, comments)
select n, 'device-' || n, 'SN' || md5(n::text), 'active', n % 100, n % 42, 'rack ' || n % 1000 || ', second row'
from generate_series(1, {rows}) as n
"""


@dataclass(frozen=True)
class Throughput:
    """What one run of pgbench says: transactions a second, and how many there were."""

    tps: float
    transactions: int


class Database:
    """A database with rowhooks installed and a schema `bench`.

    Args:
        dsn: the administrator's.
        daemon_dsn: the daemon's login's, which has the daemon's role and nothing else.
    """

    def __init__(self, dsn: str, daemon_dsn: str) -> None:
        self.dsn = dsn
        self.daemon_dsn = daemon_dsn
        self.conn: psycopg.Connection[Any] = psycopg.connect(dsn, autocommit=True)

    def execute(self, statement: LiteralString, **names: str | int) -> psycopg.Cursor[Any]:
        """Run a statement; a string stands for an identifier in it, a number for itself."""
        parts: dict[str, sql.Composable] = {
            name: sql.Identifier(value) if isinstance(value, str) else sql.Literal(value)
            for name, value in names.items()
        }
        return self.conn.execute(sql.SQL(statement).format(**parts))

    def value(self, statement: LiteralString, **names: str | int) -> Any:
        """Return the first column of a statement's only row."""
        row = self.execute(statement, **names).fetchone()
        assert row is not None, statement
        return row[0]

    def create_table(self, table: str, rows: int, *, tracked: bool, capture: str = "row") -> None:
        """Create a table of devices with ids from 1 on, which the daemon's role may read and write.

        Args:
            table: its name.
            rows: how many it has.
            tracked: whether it is tracked.
            capture: by which triggers; see `rowhooks.track`.
        """
        self.conn.execute(sql.SQL("create table bench.{} ({})").format(sql.Identifier(table), sql.SQL(_COLUMNS)))
        self.execute(ROWS, table=table, rows=rows)
        self.execute("grant select, insert, update, delete on bench.{table} to rowhooks_daemon", table=table)
        if tracked:
            self.conn.execute("select rowhooks.track(%s::regclass, capture => %s)", (f"bench.{table}", capture))
        self.execute("vacuum (analyze) bench.{table}", table=table)

    def settle(self, table: str) -> None:
        """Leave nothing to do from before for the next cell: no log, no results, no dead rows, no dirty pages."""
        self.forget()
        self.execute("vacuum (analyze) bench.{table}", table=table)
        self.execute("checkpoint")

    def forget(self) -> None:
        """Leave no log and no results, and nothing for a daemon to do."""
        self.execute("truncate rowhooks.object_change, rowhooks.job_result")
        self.deal_with_all()

    def deal_with_all(self) -> None:
        """Put the feed's position, while no daemon runs, where it stands after every change on record."""
        self.execute(
            "update rowhooks.feed as f set snapshot = pg_current_snapshot(), target = null, after_id = 0,"
            " floor_id = newest.id, newest_id = newest.id"
            " from (select greatest((select max(c.id) from rowhooks.object_change as c), g.newest_id) as id"
            " from rowhooks.feed as g) as newest"
        )

    def timed(self, statement: LiteralString, **names: str | int) -> float:
        """Return how many seconds a statement takes, its COMMIT included."""
        begin = time.perf_counter()
        self.execute(statement, **names)
        return time.perf_counter() - begin

    def wal_position(self) -> int:
        """Return how many bytes of write-ahead log the server has written."""
        return int(self.value("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def captured(self) -> int:
        """Return how many changes the log holds."""
        return int(self.value("select count(*) from rowhooks.object_change"))

    def handled(self) -> int:
        """Return how many runs have succeeded."""
        return int(self.value("select count(*) from rowhooks.job_result where status = 'SUCCESS'"))

    def pgbench(self, script: str, *, clients: int, seconds: int, tps: int | None = None) -> Throughput:
        """Run a script with prepared statements and return its throughput.

        Args:
            script: what each transaction does.
            clients: how many run at once.
            seconds: for how long.
            tps: transactions a second that all clients together begin; as many as they can when None.

        Raises:
            RuntimeError: pgbench failed, or some of its clients did.
        """
        with tempfile.TemporaryDirectory(prefix="rowhooks-bench-") as directory:
            file = Path(directory) / "script.sql"
            file.write_text(script, encoding="utf-8")
            done = subprocess.run(
                [
                    str(find_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={clients}",
                    "--jobs=2", f"--time={seconds}", f"--file={file}",
                    *([] if tps is None else [f"--rate={tps}"]), self.dsn,
                ],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        transactions = re.search(r"actually processed: (\d+)", done.stdout)
        if done.returncode or found is None or transactions is None:
            raise RuntimeError(f"pgbench failed with exit code {done.returncode}: {done.stderr.strip()}")
        return Throughput(float(found[1]), int(transactions[1]))


class Server:
    """A server on which the measurements make a database each.

    Args:
        dsn: of a superuser.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def settings(self) -> dict[str, str]:
        """Return the server's version and the settings that matter to the figures."""
        with psycopg.connect(self.dsn) as conn:
            return dict(conn.execute(_SETTINGS, (list(SHOWN_SETTINGS),)).fetchall())

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        """Make a database with rowhooks on it and a login for the daemon; remove both afterwards."""
        name, password = f"rowhooks_bench_{secrets.token_hex(4)}", secrets.token_urlsafe()
        dsn = make_conninfo(self.dsn, dbname=name)
        identifier = sql.Identifier(name)
        with psycopg.connect(self.dsn, autocommit=True) as admin:
            admin.execute(sql.SQL("create database {}").format(identifier))
            try:
                roles = install(Target(dsn), Roles()).roles
                admin.execute(
                    sql.SQL("create role {} login password {} in role {}").format(
                        identifier, sql.Literal(password), sql.Identifier(roles.daemon)
                    )
                )
                database = Database(dsn, make_conninfo(dsn, user=name, password=password))
                with database.conn:
                    database.conn.execute("create schema bench")
                    database.conn.execute("grant usage on schema bench to rowhooks_daemon")
                    yield database
                # Uninstalling keeps a role that others still need: one that holds privileges on a table of ours.
                with psycopg.connect(dsn, autocommit=True) as conn:
                    conn.execute("drop schema bench cascade")
                admin.execute(sql.SQL("drop role {}").format(identifier))
                uninstall(Target(dsn))
            finally:
                admin.execute(sql.SQL("drop database {} with (force)").format(identifier))
                admin.execute(sql.SQL("drop role if exists {}").format(identifier))


@contextlib.contextmanager
def server(dsn: str | None) -> Iterator[Server]:
    """Use the server of a superuser's DSN; an embedded one that flushes what it commits when None."""
    if dsn is not None:
        yield Server(dsn)
        return
    with EmbeddedPostgres(settings=SETTINGS) as embedded:
        yield Server(embedded.dsn())
