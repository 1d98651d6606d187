"""Buttons for a role that presses them, without a right on rowhooks' tables: the buttons of a row, and the press."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any

import asyncpg
import psycopg
import sqlalchemy
from asyncpg.pool import PoolConnectionProxy
from psycopg.rows import dict_row, tuple_row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from rowhooks.domain.errors import ConnectionFailed, NotFound, SchemaMismatch, UsageError
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.engines import sync_engine
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.labels import ButtonGroup, LabelRow, render_buttons
from rowhooks.postgres.statements import Statements

_PARAMETERS = ("button", "table", "key", "idempotency_key")
_NAMED = Statements(__file__, {name: f":{name}" for name in _PARAMETERS})
"""With SQLAlchemy's placeholders."""
_NUMBERED = Statements(__file__, {name: f"${number}" for number, name in enumerate(_PARAMETERS, start=1)})
"""With those of asyncpg and of psycopg's raw cursors."""


def press(connection: Any, button: str, table: str, key: object, idempotency_key: str | None) -> int | Awaitable[int]:
    """Press a button; see `rowhooks.press`."""
    if isinstance(connection, scoped_session | async_scoped_session):
        connection = connection()
    if isinstance(key, Mapping):
        named, numbered, key = _NAMED["press_by_json"], _NUMBERED["press_by_json"], _as_json(key)
    else:
        named, numbered, key = _NAMED["press_by_text"], _NUMBERED["press_by_text"], _as_text(key)
    values = (button, table, key, idempotency_key)
    if isinstance(connection, psycopg.Connection):
        # The connection's own factories may make other rows, or read other placeholders.
        with psycopg.RawCursor(connection, row_factory=tuple_row) as cursor:
            return _id(cursor.execute(numbered, values).fetchone())
    if isinstance(connection, psycopg.AsyncConnection):
        return _press_with_psycopg(connection, numbered, values)
    if isinstance(connection, asyncpg.Connection | PoolConnectionProxy):
        return _press_with_asyncpg(connection, numbered, values)
    statement, parameters = sqlalchemy.text(named), dict(zip(_PARAMETERS, values, strict=True))
    if isinstance(connection, sqlalchemy.Connection | Session):
        return _id(connection.execute(statement, parameters).one())
    if isinstance(connection, AsyncConnection | AsyncSession):
        return _press_with_sqlalchemy(connection, statement, parameters)
    raise TypeError(
        f"a button cannot be pressed on a {type(connection).__module__}.{type(connection).__qualname__};"
        " give a connection of psycopg, SQLAlchemy or asyncpg, or a SQLAlchemy session"
    )


async def _press_with_psycopg(connection: psycopg.AsyncConnection[Any], statement: str, values: tuple[Any, ...]) -> int:
    async with psycopg.AsyncRawCursor(connection, row_factory=tuple_row) as cursor:
        await cursor.execute(statement, values)
        return _id(await cursor.fetchone())


async def _press_with_asyncpg(connection: Any, statement: str, values: tuple[Any, ...]) -> int:
    return _id(await connection.fetchrow(statement, *values))


async def _press_with_sqlalchemy(
    connection: AsyncConnection | AsyncSession, statement: sqlalchemy.TextClause, parameters: dict[str, Any]
) -> int:
    return _id((await connection.execute(statement, parameters)).one())


def _id(row: Any) -> int:
    assert row is not None, "rowhooks.press returned no row"
    return int(row[0])


def _as_text(value: object) -> str | None:
    # PostgreSQL reads the rest as Python writes it: numbers, dates, UUIDs.
    if isinstance(value, bytes | bytearray | memoryview):
        return f"\\x{bytes(value).hex()}"
    return None if value is None else str(value)


def _as_json(value: Mapping[str, object]) -> str:
    # json knows no mapping but dict.
    return json.dumps(dict(value), default=_as_text, ensure_ascii=False)


@contextlib.contextmanager
def pressing_connection(target: Target) -> Iterator[psycopg.Connection[Any]]:
    """Open a connection for one command of a role that may press and has no other right on rowhooks.

    Raises:
        SchemaMismatch: rowhooks is not installed, or too old to have buttons.
    """
    with connection(target, pinned=False) as conn:
        _check_installed(bool(_id(conn.execute(_NAMED["is_installed"]).fetchone())))
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
            _check_installed(bool(session.scalar(sqlalchemy.text(_NAMED["is_installed"]))))
            yield session
    finally:
        engine.dispose()


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
    found = session.execute(sqlalchemy.text(_NAMED["query_of_row"]), {"table": table}).mappings().first()
    if found is None:
        raise NotFound(f"table {table} has no primary key", hint="a row without a key has no buttons")
    driver: Any = session.connection().connection.driver_connection
    # Names in the query may contain what would be a placeholder to other cursors.
    with psycopg.RawCursor(driver, row_factory=dict_row) as cursor:
        row = cursor.execute(found["query"], [_as_json(_key_columns(key, found["names"], table))]).fetchone()
    if row is None:
        raise NotFound(f"there is no row {key} in {table}, or you may not see it")
    relation = {"relation": found["oid"]}
    buttons = [button._asdict() for button in session.execute(sqlalchemy.text(_NAMED["buttons"]), relation)]
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
        key = {names[0]: _as_text(key)}
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
