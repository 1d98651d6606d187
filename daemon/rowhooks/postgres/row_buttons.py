"""Connections for commands of a role that presses buttons and has no other right on rowhooks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from rowhooks.domain.errors import ConnectionFailed, DatabaseError, NotFound, SchemaMismatch
from rowhooks.domain.likeness import hinted
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.engines import sync_engine
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)


@contextlib.contextmanager
def pressing_connection(target: Target) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection for one command of a role that may press and has no other right on rowhooks.

    Raises:
        SchemaMismatch: rowhooks is not installed, or too old to have buttons.
    """
    with connection(target, pinned=False) as conn:
        _check_installed((conn.execute(_SQL["is_installed"]).fetchone() or [False])[0])
        yield conn


@contextlib.contextmanager
def pressing_session(target: Target) -> Iterator[Session]:
    """Open a session for one command of a role that may press and has no other right on rowhooks.

    Raises:
        SchemaMismatch: rowhooks is not installed, or too old to have buttons.
        ConnectionFailed: the server cannot be reached or does not let us in.
        DatabaseError: PostgreSQL refused a statement.
    """
    engine = sync_engine(target, 1)
    try:
        with translated_errors(), _unwrapped(target), Session(engine) as session:
            _check_installed(bool(session.scalar(sqlalchemy.text(_SQL["is_installed"]))))
            yield session
    finally:
        engine.dispose()


def inputs_schema_of(conn: psycopg.Connection[Any], button: str) -> dict[str, Any] | None:
    """Return the JSON schema of what a button's job takes; None where it takes nothing, or nobody sees the button."""
    with psycopg.RawCursor(conn) as cursor:
        row = cursor.execute(_SQL["inputs_schema"], [button]).fetchone()
    return row[0] if row else None


@contextlib.contextmanager
def suggesting(conn: psycopg.Connection[Any], button: str, table: str) -> Iterator[None]:
    """Name a button, or a table, that is like the one of a press that was refused because there is none."""
    try:
        with translated_errors():
            yield
    except (DatabaseError, NotFound) as error:
        conn.rollback()
        with psycopg.RawCursor(conn) as cursor:
            buttons = [name for (name,) in cursor.execute(_SQL["names"]).fetchall()]
            tables = [name for (name,) in cursor.execute(_SQL["tables"]).fetchall()]
            is_table = cursor.execute(_SQL["is_table"], [table]).fetchone() == (True,)
        if button not in buttons:
            raise type(error)(error.message, hint=hinted(button, buttons, error.hint)) from error
        if not is_table:
            raise type(error)(error.message, hint=hinted(table, tables, error.hint)) from error
        raise


def current_role(session: Session) -> str:
    """Return the role whose rights the session has."""
    return str(session.scalar(sqlalchemy.text("select current_user")))


def _check_installed(installed: bool) -> None:
    if not installed:
        raise SchemaMismatch(
            "rowhooks is not installed in this database, or too old to have buttons",
            hint="let an administrator run: rowhooks init",
        )


@contextlib.contextmanager
def _unwrapped(target: Target) -> Iterator[None]:
    """Raise the driver's error where SQLAlchemy raises its own around it."""
    try:
        yield
    except DBAPIError as error:
        cause = error.orig
        if isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None:
            raise ConnectionFailed(
                f"cannot connect to {target.label}: {str(cause).strip()}",
                hint="check --dsn, ROWHOOKS_DSN or dsn in rowhooks.toml",
            ) from cause
        raise (cause or error) from error
