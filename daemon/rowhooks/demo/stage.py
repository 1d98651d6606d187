"""What the demo plays on: a server with an inventory, rowhooks attached to it, and the daemon in a thread."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rowhooks.demo.background import PATIENCE, DaemonThread
from rowhooks.demo.embedded import SUPERUSER, EmbeddedPostgres
from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.administration.schema import Roles, install
from rowhooks.postgres.connections.connect import Target, connection

if TYPE_CHECKING:
    import psycopg

DATABASE = "inventory"
APPLICATION_LOGIN = "inventory_app"
DAEMON_LOGIN = "inventory_hooks"
PAUSE = 0.01
"""Seconds between two looks at the database."""

_SETTLED = """
select
  f.target is null
  and not exists (
    select from rowhooks.object_change as c where not pg_visible_in_snapshot(c.transaction_id, f.snapshot)
  )
  and not exists (select from rowhooks.job_result as r where r.finished_at is null)
from rowhooks.feed as f
"""


class Stage:
    """One server of the demo's own, and the three logins that it knows."""

    def __init__(self) -> None:
        # The times of commits are what the latency of runs is measured from.
        self.server = EmbeddedPostgres(settings={"track_commit_timestamp": "on"})
        self.daemon = DaemonThread(self.dsn(DAEMON_LOGIN))
        self.warnings: list[str] = []

    def dsn(self, user: str = SUPERUSER) -> str:
        """Return a libpq URI of the demo's database for one of its logins."""
        return self.server.dsn(DATABASE, user)

    def build_inventory(self) -> None:
        """Create the database and fill it, as if it had always been there."""
        with connection(Target(self.server.dsn())) as conn:
            conn.commit()
            conn.autocommit = True
            conn.execute(f"create database {DATABASE}")
        with self.connect() as conn:
            conn.execute(read_sql("inventory.sql"))

    def attach(self, *tables: str) -> None:
        """Install rowhooks, track the tables and make the daemon's login."""
        install(Target(self.dsn()), Roles())
        with self.connect() as conn:
            for name in tables:
                conn.execute("select rowhooks.track(%s::regclass)", (name,))
            conn.execute(read_sql("daemon_role.sql"))

    def enable(self, class_path: str) -> None:
        """Enable a job that the daemon has found."""
        done = self.ask("update rowhooks.job set enabled = true where class_path = %s returning id", class_path)
        if not done:
            raise RowhooksError(f"the daemon has not found {class_path}")

    def add_hook(self, name: str, class_path: str, tables: Sequence[str], actions: Sequence[str]) -> None:
        """Add a job hook."""
        self.ask(
            """
            with hook as (
              insert into rowhooks.job_hook (name, job_id, type_create, type_update, type_delete)
              select
                %(name)s, j.id,
                'create' = any(%(actions)s), 'update' = any(%(actions)s), 'delete' = any(%(actions)s)
              from rowhooks.job as j
              where j.class_path = %(class_path)s
              returning id
            )
            insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)
            select h.id, t.id
            from hook as h
            cross join rowhooks.tracked_table as t
            where t.relation = any(%(tables)s::text[]::regclass[]) and t.untracked_at is null
            returning job_hook_id
            """,
            {"name": name, "class_path": class_path, "tables": list(tables), "actions": list(actions)},
        )

    @contextlib.contextmanager
    def connect(self, user: str = SUPERUSER) -> Iterator[psycopg.Connection[Any]]:
        """Open a connection for one transaction, committed at the end."""
        with connection(Target(self.dsn(user)), pinned=False) as conn:
            yield conn

    @contextlib.contextmanager
    def application(self, user: str, request: str) -> Iterator[psycopg.Connection[Any]]:
        """Open a transaction of the application, which says for whom it writes and why."""
        with self.connect(APPLICATION_LOGIN) as conn:
            conn.execute(
                "select set_config('rowhooks.user', %s, true), set_config('rowhooks.request_id', %s, true)",
                (user, request),
            )
            yield conn

    def ask(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return what a statement of the administrator's returns; one mapping stands for named parameters."""
        given = parameters[0] if len(parameters) == 1 and isinstance(parameters[0], dict) else parameters
        with self.connect() as conn:
            return conn.execute(query, given).fetchall()

    def value(self, query: str, *parameters: Any) -> Any:
        """Return the one value that a query returns."""
        return self.ask(query, *parameters)[0][0]

    def settle(self) -> None:
        """Wait until the daemon has dealt with every committed change and every run has ended.

        Raises:
            RowhooksError: it has not within `PATIENCE`; carries what the daemon warned of.
        """
        deadline = time.monotonic() + PATIENCE
        with self.connect() as conn:
            while True:
                row = conn.execute(_SETTLED).fetchone()
                if row and row[0]:
                    return
                if self.daemon.error is not None or time.monotonic() > deadline:
                    said = "; ".join(self.warnings) or "it logged no warning"
                    raise RowhooksError(f"the daemon did not deal with every change: {said}") from self.daemon.error
                time.sleep(PAUSE)

    def close(self) -> None:
        """Stop the daemon and the server, and remove the server's directory."""
        try:
            self.daemon.stop()
        finally:
            self.server.stop()


@contextlib.contextmanager
def own_environment() -> Iterator[None]:
    """Hide PGHOSTADDR, PGSERVICE and the like: they lead to a server of the user's, not to the demo's."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PG")}
    try:
        yield
    finally:
        os.environ.update(hidden)


def read_sql(name: str) -> str:
    """Return one of the demo's SQL files."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
