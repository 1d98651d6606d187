"""What the demo plays on: a server with an inventory, rowhooks attached to it, and the daemon in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rowhooks.demo.embedded import SUPERUSER, EmbeddedPostgres
from rowhooks.demo.receivers import AuditLine, DeviceCount, SerialPolicy
from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.administration.common import Connection, execute, fetch
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.administration.tables import track
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.statements import Statements
from rowhooks.runtime.daemon import Daemon
from rowhooks.settings import Settings

SQL = Statements(Path(__file__).with_name("story.sql"))
DATABASE, APPLICATION_LOGIN, DAEMON_LOGIN = "inventory", "inventory_app", "inventory_hooks"
PATIENCE, PAUSE = 120.0, 0.01
"""Seconds after which the demo says that something is wrong; seconds between two looks at the database."""


class DaemonThread(threading.Thread):
    """A daemon on an event loop of its own, so that the application's writes cannot hold it up."""

    def __init__(self, dsn: str) -> None:
        super().__init__(name="rowhooks-daemon", daemon=True)
        # Every setting is given: the user's rowhooks.toml and environment are about another database.
        defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
        settings = Settings(**{**defaults, "dsn": dsn, "listen_dsn": dsn, "grace_period": 5.0})
        self._daemon = Daemon(settings, [SerialPolicy, DeviceCount, AuditLine])
        self._loop: asyncio.AbstractEventLoop | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Run the daemon until it is stopped; keep the error that ends it."""
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001  (raised again in the thread that waits)
            self.error = error

    def stop(self) -> None:
        """Let running receivers finish, and end the daemon."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._daemon.stop)
            self.join(PATIENCE)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._daemon.run()


class Stage:
    """One server of the demo's own, its three logins, and the daemon."""

    def __init__(self) -> None:
        # The latency of a run is measured from the time of the commit.
        self.server = EmbeddedPostgres(settings={"track_commit_timestamp": "on"})
        self.daemon = DaemonThread(self.dsn(DAEMON_LOGIN))

    def dsn(self, user: str = SUPERUSER) -> str:
        """Return a libpq URI of the demo's database for one of its logins."""
        return self.server.dsn(DATABASE, user)

    def build_inventory(self) -> None:
        """Start the server, create the database and fill it, as if it had always been there."""
        self.server.start()
        with connection(Target(self.server.dsn())) as conn:
            conn.commit()
            conn.autocommit = True
            conn.execute(f"create database {DATABASE}")
        self._run_script("inventory.sql")

    def attach(self, *tables: str) -> None:
        """Install rowhooks, track the tables and make the daemon's login."""
        install(Target(self.dsn()), Roles())
        with self.connect() as conn:
            for name in tables:
                track(conn, name, audit_receivers=False)
        self._run_script("daemon_role.sql")

    def connect(self) -> contextlib.AbstractContextManager[Connection]:
        """Open a connection of the administrator's for one transaction, committed at the end."""
        return connection(Target(self.dsn()))

    def ask(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Return what a query of the administrator's finds."""
        with self.connect() as conn:
            return fetch(conn, query, *values)

    def write(self, user: str, *statements: tuple[str, *tuple[int, ...]], gives_up: bool = False) -> None:
        """Write in one transaction as the application does, which says for whom."""
        with connection(Target(self.dsn(APPLICATION_LOGIN)), pinned=False) as conn:
            execute(conn, "select set_config('rowhooks.user', $1, true)", user)
            for statement in statements:
                execute(conn, *statement)
            if gives_up:
                conn.rollback()

    def wait_until(self, condition: str) -> None:
        """Wait until a query, whose answer is `is_so`, says yes.

        Raises:
            RowhooksError: it does not within `PATIENCE`, or the daemon has ended.
        """
        deadline = time.monotonic() + PATIENCE
        while not self.ask(condition)[0]["is_so"]:
            if not self.daemon.is_alive() or time.monotonic() > deadline:
                raise RowhooksError("the daemon did not do its work") from self.daemon.error
            time.sleep(PAUSE)

    def close(self) -> None:
        """Stop the daemon and the server, and remove the server's directory."""
        try:
            self.daemon.stop()
        finally:
            self.server.stop()

    def _run_script(self, name: str) -> None:
        with self.connect() as conn:
            conn.execute(Path(__file__).with_name(name).read_text(encoding="utf-8"))


@contextlib.contextmanager
def own_environment() -> Iterator[None]:
    """Hide PGHOSTADDR, PGSERVICE and the like: they lead to a server of the user's, not to the demo's."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PG")}
    try:
        yield
    finally:
        os.environ.update(hidden)
