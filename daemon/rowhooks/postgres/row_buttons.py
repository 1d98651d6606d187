"""The buttons of a row, and connections for commands of a role that presses them and has no other right on rowhooks."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import sqlalchemy
from psycopg.rows import dict_row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from rowhooks.domain.errors import ConnectionFailed, NotFound, SchemaMismatch, UsageError
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.engines import sync_engine
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.labels import ButtonGroup, LabelRow, render_buttons
from rowhooks.postgres.pressing import as_json, as_text
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


def buttons_for(session: Session, table: str, key: object, user: Any) -> list[ButtonGroup]:
    """Return the buttons of one row as a page shows them, with the rights of the session's role.

    Args:
        session: a session over psycopg of the role that looks at the row.
        table: the table, as PostgreSQL reads names.
        key: the value of a key of one column, else a mapping of columns to values, or that as JSON text.
        user: who looks at the row, in templates.

    Raises:
        NotFound: the table has no primary key, or no row has this key, or row security hides it.
        UsageError: the key does not name the key's columns.
    """
    found = session.execute(sqlalchemy.text(_SQL["query_of_row"]), {"table": table}).mappings().first()
    if found is None:
        raise NotFound(f"table {table} has no primary key", hint="a row without a key has no buttons")
    driver: Any = session.connection().connection.driver_connection
    # Names in the query may contain what would be a placeholder to other cursors.
    with psycopg.RawCursor(driver, row_factory=dict_row) as cursor:
        row = cursor.execute(found["query"], [as_json(_key_columns(key, found["names"], table))]).fetchone()
    if row is None:
        raise NotFound(f"there is no row {key} in {table}, or you may not see it")
    relation = {"relation": found["oid"]}
    buttons = [button._asdict() for button in session.execute(sqlalchemy.text(_SQL["buttons"]), relation)]
    name = row.get(buttons[0]["repr_column"]) if buttons else None
    obj = LabelRow(row, str(name) if name is not None else ", ".join(str(row[column]) for column in found["names"]))
    return render_buttons(buttons, obj, user)


def current_role(session: Session) -> str:
    """Return the role whose rights the session has."""
    return str(session.scalar(sqlalchemy.text("select current_user")))


def _key_columns(key: object, names: list[str], table: str) -> Mapping[str, object]:
    if isinstance(key, str) and len(names) > 1:
        try:
            key = json.loads(key)
        except ValueError as error:
            raise UsageError(f"{key} is no JSON object", hint=f"{table}'s key is {', '.join(names)}") from error
    if not isinstance(key, Mapping) and len(names) == 1:
        key = {names[0]: as_text(key)}
    if not isinstance(key, Mapping) or set(key) != set(names):
        raise UsageError(f"{key} is no key of {table}", hint=f"its columns are {', '.join(names)}")
    return key


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
