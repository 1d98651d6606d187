"""Connections on which every statement is executed with the rights of one person's role."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.types.json import set_json_loads

from rowhooks.domain.errors import ConnectionFailed, LoginRefused
from rowhooks.postgres.administration.common import Connection, fetch
from rowhooks.postgres.connections.errors import first_line, translated_errors
from rowhooks.postgres.connections.loaders import read_json_exactly
from rowhooks.postgres.connections.settled import SettledConnection
from rowhooks.postgres.connections.target import Target

STATEMENT_TIMEOUT = "5s"
"""How long a statement of a page may take."""
LOCK_TIMEOUT = "2s"
"""How long a statement of a page may wait for a lock."""
PATIENCE = 10.0
"""Seconds to wait for a free connection."""


class PersonConnection(SettledConnection):
    """A connection whose transactions have short time-outs, and the rights of a role if one is named."""

    role: str | None = None
    """The role to SET for each transaction; None: the connection's login is the person."""
    pinned = True
    lock_timeout = LOCK_TIMEOUT

    def settling(self) -> list[str]:
        """Return the first statements of a transaction, after BEGIN."""
        statements = [
            *super().settling(),
            f"set local statement_timeout = '{STATEMENT_TIMEOUT}'",
            f"set local idle_in_transaction_session_timeout = '{STATEMENT_TIMEOUT}'",
        ]
        if self.role is not None:
            statements.append(sql.SQL("set local role {}").format(sql.Identifier(self.role)).as_string(self))
        return statements


@dataclass(frozen=True)
class Access:
    """What a role is to the console, as PostgreSQL says.

    Args:
        role: the role.
        level: what the console's roles make of it: none, viewer, operator or admin.
        is_superuser: whether the role is a superuser.
    """

    role: str
    level: str
    is_superuser: bool


def access(conn: Connection) -> Access:
    """Return what the asking role is to the console."""
    if not fetch(conn, "select 1 where pg_catalog.to_regclass('rowhooks.my_access') is not null"):
        return Access(conn.info.user, "none", is_superuser=False)
    [found] = fetch(conn, "select a.role::text as role, a.level, a.is_superuser from rowhooks.my_access as a")
    return Access(**found)


class Connections(Protocol):
    """Where the connections of a person come from."""

    def lend(self, *, read_only: bool) -> contextlib.AbstractContextManager[Connection]:
        """Lend a connection for one transaction, which is committed at the end of the block.

        Raises:
            ConnectionFailed: there is none, or it was lost.
            PermissionDenied: PostgreSQL refuses a statement to the person's role.
            DatabaseError: PostgreSQL refuses a statement.
        """

    def close(self) -> None:
        """End the connections."""


class OwnConnections:
    """Connections that a person's own password has opened. The password is forgotten, so no more can be opened.

    Args:
        target: the database; its user and password are not used.
        role: the person's role.
        password: its password.
        count: how many connections are opened.

    Raises:
        LoginRefused: the server does not let the role in with this password.
        ConnectionFailed: the server cannot be reached.
    """

    def __init__(self, target: Target, role: str, password: str, count: int) -> None:
        self._free: queue.SimpleQueue[PersonConnection | None] = queue.SimpleQueue()
        self._left = 0
        try:
            for _ in range(count):
                self._free.put(_open(target, role, password))
                self._left += 1
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def lend(self, *, read_only: bool) -> Iterator[Connection]:
        """Lend a connection for one transaction."""
        try:
            conn = self._free.get(timeout=PATIENCE)
        except queue.Empty:
            raise ConnectionFailed("all connections of this session are busy", hint="try again") from None
        if conn is None:
            self._free.put(None)
            raise ConnectionFailed("the connections of this session have ended", hint="log in again")
        try:
            with _transaction(conn, read_only=read_only):
                yield conn
        finally:
            if conn.closed:
                self._left -= 1
                if not self._left:
                    self._free.put(None)
            else:
                self._free.put(conn)

    def close(self) -> None:
        """End the connections that are not lent."""
        with contextlib.suppress(queue.Empty):
            while (conn := self._free.get_nowait()) is not None:
                conn.close()
        self._free.put(None)


def _open(target: Target, role: str, password: str) -> PersonConnection:
    conninfo = make_conninfo(target.conninfo, user=role, password=password, application_name="rowhooks console")
    try:
        conn = PersonConnection.connect(conninfo, prepare_threshold=None)
    except psycopg.OperationalError as error:
        # Without the cause: its traceback holds the password.
        refused = error.sqlstate is not None and error.sqlstate.startswith("28")
        kind, said = (LoginRefused if refused else ConnectionFailed), first_line(error)
    else:
        # No digit of a value is lost.
        set_json_loads(read_json_exactly, conn)
        return conn
    raise kind(f"cannot connect as {role}: {said}") from None


@contextlib.contextmanager
def _transaction(conn: psycopg.Connection[Any], *, read_only: bool) -> Iterator[None]:
    conn.read_only = read_only or None
    with translated_errors():
        try:
            yield
            conn.commit()
        except BaseException:
            if not conn.closed:
                conn.rollback()
            raise
