"""Pools: each connection serves one transaction at a time."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import psycopg

from rowhooks.domain.errors import ConnectionFailed, ConnectionsEnded
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.console.people import PersonConnection, connect_with_password, transaction

PATIENCE = 10.0
"""Seconds to wait for a free connection."""


class Pool:
    """Connections that threads take one by one.

    Args:
        size: the largest number of connections.
        make: opens one more; None: there are only those that are added.
        most_of_one: how many of them one role has at the same time; None: all.
    """

    def __init__(self, size: int, make: Callable[[], PersonConnection] | None, most_of_one: int | None = None) -> None:
        self._size, self._make = size, make
        self._most_of_one = most_of_one or size
        self._taken_by: Counter[str | None] = Counter()
        self._free: list[PersonConnection] = []
        self._count = 0
        self._closed = False
        self._changed = threading.Condition()

    def add(self, conn: PersonConnection) -> None:
        """Add a connection."""
        with self._changed:
            self._count += 1
            self._free.append(conn)
            self._changed.notify()

    @contextlib.contextmanager
    def take(self, role: str | None) -> Iterator[PersonConnection]:
        """Take a connection for the block.

        Args:
            role: whose transaction it is for: a connection that served this role last is preferred.

        Raises:
            ConnectionFailed: all are busy, or no other can be opened.
            ConnectionsEnded: all have ended, and no other can be opened.
        """
        conn = self._taken(role) or self._opened(role)
        try:
            yield conn
        finally:
            self._give_back(conn, role)

    def close(self) -> None:
        """End the connections; those that are taken end when they are given back."""
        with self._changed:
            self._closed = True
            while self._free:
                self._free.pop().close()
            self._changed.notify_all()

    def _taken(self, role: str | None) -> PersonConnection | None:
        """Return a free connection, or None where the caller may open another."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_ready(role), PATIENCE):
                raise ConnectionFailed("all connections of this session are busy", hint="try again")
            if self._closed or (not self._count and self._make is None):
                raise ConnectionsEnded
            self._taken_by[role] += 1
            if not self._free:
                self._count += 1
                return None
            fitting = [conn for conn in self._free if conn.role == role]
            conn = fitting[-1] if fitting else self._free[0]
            self._free.remove(conn)
            return conn

    def _is_ready(self, role: str | None) -> bool:
        for conn in [one for one in self._free if not one.is_alive]:
            self._free.remove(conn)
            self._count -= 1
            conn.close()
        if self._closed or (not self._count and self._make is None):
            return True
        is_there = bool(self._free) or (self._make is not None and self._count < self._size)
        return is_there and self._taken_by[role] < self._most_of_one

    def _opened(self, role: str | None) -> PersonConnection:
        assert self._make is not None
        try:
            return self._make()
        except BaseException:
            with self._changed:
                self._count -= 1
                self._leave(role)
            raise

    def _leave(self, role: str | None) -> None:
        self._taken_by[role] -= 1
        if not self._taken_by[role]:
            del self._taken_by[role]
        # All: the first to wait may be one that has enough already.
        self._changed.notify_all()

    def _give_back(self, conn: PersonConnection, role: str | None) -> None:
        with self._changed:
            if self._closed or conn.closed:
                conn.close()
                self._count -= 1
            else:
                self._free.append(conn)
            self._leave(role)


class OwnConnections:
    """Connections that a person's own password has opened. The password is forgotten, so no more can be opened.

    Args:
        target: the database; its user and password are not used.
        role: the person's role.
        password: its password.
        count: how many connections are opened; fewer, where the server or the role has no room for them.
        allow_passwordless: accept that the server does not ask for the password.

    Raises:
        LoginRefused: the server does not let the role in with this password.
        ConnectionFailed: the server cannot be reached.
    """

    def __init__(
        self, target: Target, role: str, password: str, count: int, *, allow_passwordless: bool = False
    ) -> None:
        self._pool = Pool(count, None)
        self.count = 0
        try:
            for _ in range(count):
                self._pool.add(connect_with_password(target, role, password, allow_passwordless=allow_passwordless))
                self.count += 1
        except ConnectionFailed:
            # For example CONNECTION LIMIT 1: the password was right.
            if not self.count:
                raise

    @contextlib.contextmanager
    def lend(self, *, read_only: bool) -> Iterator[Connection]:
        """Lend a connection for one transaction."""
        with self._pool.take(None) as conn, transaction(conn, read_only=read_only):
            yield conn

    def close(self) -> None:
        """End the connections."""
        self._pool.close()


class SharedConnections:
    """Connections of the console's own login, which take up a role for one transaction.

    A role's functions may set what they like in the session they run in. So a connection that has served another role
    is set back to its beginning first.

    Args:
        make: opens a connection with the console's own login.
        size: the largest number of connections.
    """

    def __init__(self, make: Callable[[], PersonConnection], size: int) -> None:
        # One person leaves room for others, whatever it asks for.
        self._pool = Pool(size, make, most_of_one=max(1, size // 2))

    def of(self, role: str | None) -> AssumedConnections:
        """Return connections with the rights of a role; None: with those of the console's own login."""
        return AssumedConnections(self, role)

    @contextlib.contextmanager
    def lend(self, role: str | None, *, read_only: bool) -> Iterator[Connection]:
        """Lend a connection for one transaction of a role."""
        with self._pool.take(role) as conn:
            if conn.role != role:
                _set_back(conn)
                conn.role = role
            with transaction(conn, read_only=read_only):
                yield conn

    def close(self) -> None:
        """End the connections."""
        self._pool.close()


class AssumedConnections:
    """The shared connections, for one role.

    Args:
        shared: the connections.
        role: the role that each transaction takes up.
    """

    def __init__(self, shared: SharedConnections, role: str | None) -> None:
        self._shared, self._role = shared, role

    def lend(self, *, read_only: bool) -> contextlib.AbstractContextManager[Connection]:
        """Lend a connection for one transaction."""
        return self._shared.lend(self._role, read_only=read_only)

    def close(self) -> None:
        """Leave the connections to others."""


def _set_back(conn: PersonConnection) -> None:
    with translated_errors():
        conn.autocommit = True
        try:
            conn.execute("discard all")
        except psycopg.Error:
            conn.close()
            raise
        conn.autocommit = False
