"""Lock watch: which session holds what an administrator's command waits for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg

from rowhooks.domain.errors import DatabaseError
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__)

WAIT = timedelta(seconds=3)
"""How long a command waits for each lock by default."""


@contextlib.contextmanager
def patient(target: Target, what: str, wait: timedelta) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection for one command, which waits for each lock for a limited time and then says who holds it.

    Args:
        target: the database.
        what: the command, for the message.
        wait: for how long.

    Raises:
        DatabaseError: a lock was not available; nothing is done.
    """
    watch: _Watch | None = None
    try:
        with connection(target) as conn, _Watch(target, conn.info.backend_pid, wait) as watch:
            # A lock_timeout of 0 would wait for ever.
            conn.lock_timeout = f"{max(1, int(wait.total_seconds() * 1000))}ms"
            yield conn
    except DatabaseError as error:
        if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable) or watch is None:
            raise
        seconds = f"{wait.total_seconds():g}"
        longer = f"or wait longer: rowhooks {what} --wait 60s"
        if watch.holder is None:
            raise DatabaseError(
                f"{what} did not get a lock within {seconds} s; nothing was done",
                hint=f"pg_stat_activity shows who has a transaction open; let it end, {longer}",
            ) from error
        lock, pid, login, application, age = watch.holder
        raise DatabaseError(
            f"{what} did not get the lock on {lock} within {seconds} s: process {pid} holds it (login {login},"
            f" application {application}, its transaction open for {age or 'an unknown time'}); nothing was done",
            hint=f"let it end, or end it: select pg_terminate_backend({pid}); {longer}",
        ) from error


class _Watch:
    """Looks from another connection which session another one waits for, while a block runs."""

    def __init__(self, target: Target, pid: int, wait: timedelta) -> None:
        self.holder: tuple[Any, ...] | None = None
        self._target = target
        self._pid = pid
        self._interval = min(0.2, wait.total_seconds() / 5)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="lock watch", daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        # Where there is no second connection, the command's error stays without the holder's name.
        with contextlib.suppress(DatabaseError), connection(self._target) as conn:
            while not self._over.wait(self._interval):
                found = conn.execute(SQL["holder"], {"pid": self._pid}).fetchone()
                conn.commit()
                # The last holder that was seen is the one that the command waited for in vain.
                self.holder = found or self.holder
