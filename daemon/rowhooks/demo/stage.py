"""What the demo plays on: a server of its own with an inventory, and the daemon."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rowhooks.demo.embedded import SUPERUSER, EmbeddedPostgres
from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.administration.common import Connection, execute, fetch
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.target import Target

DATABASE, APPLICATION_LOGIN, DAEMON_LOGIN = "inventory", "inventory_app", "inventory_hooks"
PATIENCE, PAUSE = 120.0, 0.01
"""Seconds after which the demo says that something is wrong; seconds between two looks at the database."""


class Stage:
    """The server, and the daemon once it is started."""

    def __init__(self) -> None:
        # The latency of a run is measured from the time of the commit.
        self.server = EmbeddedPostgres(settings={"track_commit_timestamp": "on"})
        self.daemon: subprocess.Popen[bytes] | None = None
        self._daemon_log = self.server.directory / "daemon.log"

    def dsn(self, user: str = SUPERUSER) -> str:
        """Return a libpq URI of the demo's database for one of its logins."""
        return self.server.dsn(DATABASE, user)

    def start_daemon(self, receivers: str) -> None:
        """Start `rowhooks run` with a module of receivers."""
        # The user's rowhooks.toml and environment are about another database.
        config = self.server.directory / "rowhooks.toml"
        config.touch()
        env = {name: value for name, value in os.environ.items() if not name.startswith("ROWHOOKS_")}
        given = ["--config", str(config), "--dsn", self.dsn(DAEMON_LOGIN), "--receivers", receivers]
        command = [sys.executable, "-P", "-m", "rowhooks", "run", *given]
        with self._daemon_log.open("wb") as log:
            # Ctrl-C is for the demo alone, which stops the daemon.
            self.daemon = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)

    def connect(self) -> contextlib.AbstractContextManager[Connection]:
        """Open a connection of the administrator's for one transaction, committed at the end."""
        return connection(Target(self.dsn()))

    def run_script(self, name: str) -> None:
        """Run a file of statements as the administrator."""
        with self.connect() as conn:
            conn.execute(Path(__file__).with_name(name).read_text(encoding="utf-8"))

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
            if (self.daemon and self.daemon.poll() is not None) or time.monotonic() > deadline:
                log = self._daemon_log.read_text("utf-8", errors="replace").splitlines()
                raise RowhooksError(f"the daemon did not do its work; its log ends: {' | '.join(log[-3:])}")
            time.sleep(PAUSE)

    def close(self) -> None:
        """Let running receivers finish; stop the daemon and the server, and remove the server's directory."""
        try:
            if self.daemon is not None:
                self.daemon.terminate()
                self.daemon.wait(PATIENCE)
        finally:
            self.server.stop()
