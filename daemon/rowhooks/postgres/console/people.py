"""Connections on which every statement is executed with the rights of one person's role."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterator
from typing import Any, Protocol

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.errors import Diagnostic
from psycopg.types.json import set_json_loads

from rowhooks.domain.errors import DatabaseError, LoginRefused
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.connections.any_bytes import adapt_to_any_bytes, may_hold_any_bytes
from rowhooks.postgres.connections.errors import first_line, translated_errors
from rowhooks.postgres.connections.loaders import read_json_exactly
from rowhooks.postgres.connections.settled import SettledConnection
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.console.refusals import refusal

STATEMENT_TIMEOUT = "5s"
"""How long a statement of a page may take."""
APPLICATION = "rowhooks console"
"""The application_name of the console's connections. One that serves a role by SET ROLE names the role behind it."""
LOCK_TIMEOUT = "2s"
"""How long a statement of a page may wait for a lock."""

MOST_UNSEEN = 20
"""How many tables are named whose lines were left out."""
_LEFT_OUT = "what happened to rows of "
_LACKING = "an administrator can grant it; changes, runs and the status are for members of rowhooks_viewer"


class PersonConnection(SettledConnection):
    """A connection whose transactions have short time-outs, and the rights of a role if one is named."""

    role: str | None = None
    """The role to SET for each transaction; None: the connection's login is the person."""
    pinned = True
    lock_timeout = LOCK_TIMEOUT
    unseen: tuple[str, ...] = ()
    """What the views have left out in the present transaction, in sentences: they say it by warnings."""

    def note(self, notice: Diagnostic) -> None:
        """Remember a warning of rowhooks.queries_to_see."""
        said = (notice.message_primary or "").removeprefix("rowhooks: ")
        if said.startswith(_LEFT_OUT) and said not in self.unseen and len(self.unseen) < MOST_UNSEEN:
            self.unseen += (said,)

    def settling(self) -> list[str]:
        """Return the first statements of a transaction, after BEGIN."""
        statements = [
            *super().settling(),
            f"set local statement_timeout = '{STATEMENT_TIMEOUT}'",
            f"set local idle_in_transaction_session_timeout = '{STATEMENT_TIMEOUT}'",
            # Otherwise a policy would be an error for a role that has it off.
            "set local row_security = on",
            "set local client_min_messages = warning",
        ]
        if self.role is not None:
            name, role = sql.Literal(f"{APPLICATION}: {self.role}"), sql.Identifier(self.role)
            statements.append(sql.SQL("set local application_name = {}").format(name).as_string(self))
            statements.append(sql.SQL("set local role {}").format(role).as_string(self))
        return statements

    @property
    def is_alive(self) -> bool:
        """Whether the server has not ended the connection, as far as it has told us. Costs no round trip."""
        if self.closed:
            return False
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        try:
            # What an idle server sends is its farewell, or a notice before it.
            while poll.poll(0):
                self.pgconn.consume_input()
        except psycopg.Error:
            return False
        return self.pgconn.status == psycopg.pq.ConnStatus.OK


class Connections(Protocol):
    """Where the connections of a person come from."""

    def lend(self, *, read_only: bool) -> contextlib.AbstractContextManager[Connection]:
        """Lend a connection for one transaction, which is committed at the end of the block.

        Raises:
            ConnectionFailed: there is none, or it was lost.
            ConnectionsEnded: all connections of the person have ended, and only a new log-in can open others.
            PermissionDenied: PostgreSQL refuses a statement to the person's role.
            DatabaseError: PostgreSQL refuses a statement.
        """

    def close(self) -> None:
        """End the connections; those that are lent end with their transaction."""


def unseen_on(conn: Connection) -> tuple[str, ...]:
    """Return what the views have left out in the present transaction, in sentences."""
    return conn.unseen if isinstance(conn, PersonConnection) else ()


def connect_with_password(
    target: Target, role: str, password: str, *, allow_passwordless: bool = False
) -> PersonConnection:
    """Open a connection with a role's own password, and with nothing of the console's own.

    The password file, PGPASSWORD and a service's password are not used. Neither is a connection for which the server
    did not ask for the password: with `trust`, `peer` or a certificate of the console's, anybody would be let in.

    Args:
        target: the database; its user and password are not used.
        role: the role.
        password: its password.
        allow_passwordless: accept that the server does not ask for the password.

    Raises:
        LoginRefused: the server does not let the role in with this password.
        ConnectionFailed: the server cannot be reached.
    """
    if not role or "\0" in role + password or not (password or allow_passwordless):
        raise LoginRefused("a role and its password are needed")
    conn = connect(target, user=role, password=password, passfile=os.devnull)
    if not conn.pgconn.used_password and not allow_passwordless:
        conn.close()
        raise LoginRefused(
            f"the server lets {role} in without asking for the password",
            hint="ask for passwords (scram-sha-256) in pg_hba.conf for the console's connections",
        )
    return conn


def connect(target: Target, **options: str) -> PersonConnection:
    """Open a connection.

    Args:
        target: the database.
        options: options of libpq that replace those of the target.

    Raises:
        LoginRefused: the server does not let the login in.
        ConnectionFailed: the server cannot be reached.
    """
    conninfo = make_conninfo(target.conninfo, **{"application_name": APPLICATION, **options})
    try:
        conn = PersonConnection.connect(conninfo, prepare_threshold=None)
    except psycopg.OperationalError as error:
        # Without the cause: its traceback holds the password.
        said = first_line(error)
        kind, told = refusal(conninfo, said)
    else:
        conn.add_notice_handler(conn.note)
        # No digit of a value is lost.
        set_json_loads(read_json_exactly, conn)
        if may_hold_any_bytes(conn):
            adapt_to_any_bytes(conn)
        # How long an unused connection stays is the console's to say.
        with transaction(conn, read_only=True):
            conn.execute("set idle_session_timeout = 0")
        return conn
    raise kind(f"cannot connect as {options.get('user') or 'the console'}: {said}", hint=told) from None


@contextlib.contextmanager
def transaction(conn: psycopg.Connection[Any], *, read_only: bool) -> Iterator[None]:
    """Commit what the block does, or roll it back if it raises."""
    conn.read_only, conn.isolation_level = read_only or None, None
    if isinstance(conn, PersonConnection):
        conn.unseen = ()
    with translated_errors(_LACKING):
        try:
            yield
            conn.commit()
        except BaseException as error:
            if not conn.closed:
                conn.rollback()
            if isinstance(error, UnicodeEncodeError):
                raise DatabaseError("PostgreSQL has no text with a lone surrogate") from error
            raise
