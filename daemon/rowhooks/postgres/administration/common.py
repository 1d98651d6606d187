"""What the modules of this package share: rows as dictionaries, and the one row that is meant.

Statements have PostgreSQL's own placeholders ($1), as those for asyncpg: a percent sign in them is nothing but that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import psycopg
from psycopg import RawCursor, sql
from psycopg.rows import dict_row

from rowhooks.domain.errors import Conflict, DatabaseError, NotFound
from rowhooks.domain.likeness import hinted
from rowhooks.postgres.calls import Call
from rowhooks.postgres.connections.any_bytes import as_sent
from rowhooks.postgres.connections.errors import translated_errors

Connection = psycopg.Connection[Any]
Row = dict[str, Any]
LOGS = ("rowhooks.object_change", "rowhooks.visible_changes_oldest_first")
"""The log; and what a role sees of it that may not read it."""


def fetch(conn: Connection, query: str | sql.Composed, *values: Any) -> list[Row]:
    """Return what a query finds, as dictionaries; its placeholders are $1, $2 ..."""
    with RawCursor(conn, row_factory=dict_row) as cursor:
        return cursor.execute(as_sent(conn, query), values or None).fetchall()


def execute(conn: Connection, statement: str | sql.Composed, *values: Any) -> int:
    """Execute a statement; return how many rows it has changed. Its placeholders are $1, $2 ..."""
    with RawCursor(conn) as cursor:
        return cursor.execute(as_sent(conn, statement), values or None).rowcount


def log_of(conn: Connection) -> str:
    """Return the one of LOGS that the connected role may read."""
    [row] = fetch(conn, "select has_table_privilege('rowhooks.object_change', 'SELECT') as reads_all")
    return LOGS[0] if row["reads_all"] else LOGS[1]


def only(found: list[Row], what: str, wanted: object, hint: str, known: Callable[[], Iterable[str]] = tuple) -> Row:
    """Return the one row found.

    Args:
        found: the rows.
        what: what they are.
        wanted: the name, or the id, by which it was looked for.
        hint: what to do where there is none.
        known: returns the names that there are, of which those like the wanted one are in the hint.

    Raises:
        NotFound: there is none.
        Conflict: there are several.
    """
    if not found:
        raise NotFound(f"there is no {what} {wanted}", hint=hinted(str(wanted), known(), hint))
    if len(found) > 1:
        names = ", ".join(str(row.get("class_path") or row.get("name")) for row in found)
        raise Conflict(f"{what} {wanted} could be any of: {names}", hint="give the full name")
    return found[0]


def see_one_state(conn: Connection) -> None:
    """Let a lent connection's transaction see one state of the database; it must have done nothing yet.

    A row that another transaction has changed since cannot be changed then: see `was_changed_meanwhile`.
    """
    conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ


def was_changed_meanwhile(error: DatabaseError) -> bool:
    """Say whether an error means that another transaction has changed what a transaction of one state would change."""
    return isinstance(error.__cause__, psycopg.errors.SerializationFailure)


def call(conn: Connection, wanted: Call) -> None:
    """Call a function of ours.

    Raises:
        DatabaseError: it refuses.
    """
    with translated_errors():
        conn.execute(wanted.statement(lambda name: f"%({name})s").encode(), wanted.values)


def act(conn: Connection, statement: str, *values: Any) -> Any:
    """Do something by a function of ours, which writes it down; return what the function returns.

    Raises:
        PermissionDenied: the role may not do it; the hint names the role that may.
        DatabaseError: the database refuses it.
    """
    with translated_errors():
        [row] = fetch(conn, statement, *values)
    [result] = row.values()
    return result
