"""Connections for commands of a role that presses buttons and has no other right on rowhooks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg

from rowhooks.domain.errors import DatabaseError, NotFound, SchemaMismatch
from rowhooks.domain.likeness import hinted
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__)


@contextlib.contextmanager
def pressing_connection(target: Target) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection for one command of a role that may press and has no other right on rowhooks.

    Raises:
        SchemaMismatch: rowhooks is not installed, or too old to have buttons.
    """
    with connection(target, pinned=False) as conn:
        check_installed((conn.execute(SQL["is_installed"]).fetchone() or [False])[0])
        yield conn


def inputs_schema_of(conn: psycopg.Connection[Any], button: str) -> dict[str, Any] | None:
    """Return the JSON schema of what a button's job takes; None where it takes nothing, or nobody sees the button."""
    with psycopg.RawCursor(conn) as cursor:
        row = cursor.execute(SQL["inputs_schema"], [button]).fetchone()
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
            buttons = [name for (name,) in cursor.execute(SQL["names"]).fetchall()]
            tables = [name for (name,) in cursor.execute(SQL["tables"]).fetchall()]
            is_table = cursor.execute(SQL["is_table"], [table]).fetchone() == (True,)
        if button not in buttons:
            raise type(error)(error.message, hint=hinted(button, buttons, error.hint)) from error
        if not is_table:
            raise type(error)(error.message, hint=hinted(table, tables, error.hint)) from error
        raise


def check_installed(installed: bool) -> None:
    """Raise SchemaMismatch where rowhooks is not there."""
    if not installed:
        raise SchemaMismatch(
            "rowhooks is not installed in this database, or too old to have buttons",
            hint="let an administrator run: rowhooks init",
        )
