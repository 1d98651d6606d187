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
        self.console: subprocess.Popen[bytes] | None = None
        self._daemon_log = self.server.directory / "daemon.log"
        self._console_log = self.server.directory / "console.log"

    def dsn(self, user: str = SUPERUSER) -> str:
        """Return a libpq URI of the demo's database for one of its logins."""
        return self.server.dsn(DATABASE, user)

    def start_daemon(self, *receivers: str) -> None:
        """Start `rowhooks run` with modules of receivers."""
        named = [part for module in receivers for part in ("--receivers", module)]
        self.daemon = self._start(self._daemon_log, "run", "--dsn", self.dsn(DAEMON_LOGIN), *named)

    def start_console(self, listen: str, role: str, password: str) -> None:
        """Let the server ask for a role's password; start `rowhooks console`, and wait until it answers.

        Args:
            listen: where it listens.
            role: a role of the server.
            password: the role's new password.

        Raises:
            RowhooksError: it has ended, or does not answer within `PATIENCE`.
        """
        with self.connect() as conn:
            # No placeholder can stand there. The password is one of ours, without a quote.
            execute(conn, f"alter role {role} password '{password}'")
        hba = self.server.data / "pg_hba.conf"
        hba.write_text(f"local all {role} scram-sha-256\n{hba.read_text('utf-8')}", "utf-8")
        self.ask("select pg_catalog.pg_reload_conf()")
        # Without a login: each person has its own.
        dsn = f"host={self.server.directory} dbname={DATABASE}"
        self.console = self._start(self._console_log, "console", "--dsn", dsn, "--listen", listen)
        deadline = time.monotonic() + PATIENCE
        while "the console answers on" not in (said := self._console_log.read_text("utf-8", errors="replace")):
            if self.console.poll() is not None or time.monotonic() > deadline:
                raise RowhooksError(f"the console did not start: {' | '.join(said.splitlines()[-3:])}")
            time.sleep(PAUSE)

    def _start(self, log: Path, *command: str) -> subprocess.Popen[bytes]:
        # The user's rowhooks.toml and environment are about another database.
        config = self.server.directory / "rowhooks.toml"
        config.touch()
        env = {name: value for name, value in os.environ.items() if not name.startswith("ROWHOOKS_")}
        whole = [sys.executable, "-P", "-m", "rowhooks", *command, "--config", str(config)]
        with log.open("wb") as file:
            # Ctrl-C is for the demo alone, which stops what it has started.
            return subprocess.Popen(whole, env=env, stdout=file, stderr=file, start_new_session=True)

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
        """Let running receivers finish; stop the daemon, the console and the server; remove the server's directory."""
        try:
            for process in filter(None, (self.console, self.daemon)):
                process.terminate()
                process.wait(PATIENCE)
        finally:
            self.server.stop()
