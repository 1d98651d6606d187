"""`rowhooks.press` and `press_many`: press a job button from Python, in the caller's own transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, overload

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy
    from pydantic import BaseModel
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session


class AsyncpgConnection(Protocol):
    """asyncpg's Connection, which has no types of its own, or a connection from asyncpg's pool."""

    @property
    def fetchrow(self) -> Any:
        """Run a query and return its first row."""
        ...


class Psycopg2Connection(Protocol):
    """psycopg2's connection."""

    @property
    def lobject(self) -> Any:
        """Open a large object."""
        ...


class Psycopg2Cursor(Protocol):
    """psycopg2's cursor."""

    @property
    def tzinfo_factory(self) -> Any:
        """What makes time zones."""
        ...


class DjangoConnection(Protocol):
    """Django's connection: `django.db.connection`, or one of `django.db.connections`."""

    @property
    def vendor(self) -> Any:
        """The kind of database."""
        ...

    @property
    def alias(self) -> Any:
        """The name of the database in the settings."""
        ...


if TYPE_CHECKING:
    PlainConnection: TypeAlias = (
        psycopg.Connection[Any]
        | psycopg.Cursor[Any]
        | sqlalchemy.Connection
        | Session
        | scoped_session[Any]
        | Psycopg2Connection
        | Psycopg2Cursor
        | DjangoConnection
    )
    AsynchronousConnection: TypeAlias = (
        psycopg.AsyncConnection[Any]
        | psycopg.AsyncCursor[Any]
        | AsyncConnection
        | AsyncSession
        | async_scoped_session[Any]
        | AsyncpgConnection
    )
    Inputs: TypeAlias = Mapping[str, object] | BaseModel


@overload
def press(
    connection: PlainConnection,
    button: str,
    table: str,
    key: object,
    *,
    idempotency_key: str | None = None,
    inputs: Inputs | None = None,
) -> int: ...


@overload
def press(
    connection: AsynchronousConnection,
    button: str,
    table: str,
    key: object,
    *,
    idempotency_key: str | None = None,
    inputs: Inputs | None = None,
) -> Awaitable[int]: ...


def press(
    connection: Any,
    button: str,
    table: str,
    key: object | Mapping[str, object],
    *,
    idempotency_key: str | None = None,
    inputs: Inputs | None = None,
) -> int | Awaitable[int]:
    """Press a job button on a row, as the role that is connected.

    The press is part of the caller's transaction. Nothing is committed here, and a press that is rolled back starts no
    run. PostgreSQL checks the press. What it refuses is raised as the driver's own error, which SQLAlchemy wraps in
    DBAPIError. Flush an object that is pending in a SQLAlchemy session first.

    Args:
        connection: psycopg's Connection or AsyncConnection; psycopg2's connection; a cursor of either; Django's
            `connection`, or one of its `connections`; SQLAlchemy's Connection, Session, AsyncConnection or
            AsyncSession, or a scoped session; asyncpg's Connection, also one from a pool. In a receiver:
            `self.session`.
        button: the button's name.
        table: the table, as PostgreSQL reads names: `dcim.device`, `public."Device"`.
        key: the row's key: its value where it is one column, else a mapping of key columns to values.
        idempotency_key: at most 255 characters. Two presses of a button by one role with the same key are one press,
            so that a double click runs once.
        inputs: what the receiver's class `Inputs` takes: names to values, or an instance of such a class. Values are
            written as pydantic writes them as JSON. A SecretStr is written as its value.

    Returns:
        The id of the run's row in rowhooks.job_result; for an idempotency key that was used before, the id of the
        earlier press. For an asynchronous connection it is an awaitable of the id.

    Raises:
        TypeError: the connection is of none of these classes, or the inputs are no mapping and no model, or JSON cannot
            hold one of them.
        ValueError: an input is no finite number.
    """
    # `import rowhooks` needs no driver.
    from rowhooks.postgres.pressing import press as press_on

    return press_on(connection, button, table, key, idempotency_key, inputs)


@overload
def press_many(
    connection: PlainConnection,
    button: str,
    table: str,
    keys: Iterable[object],
    *,
    idempotency_key: str | None = None,
    inputs: Inputs | None = None,
) -> int: ...


@overload
def press_many(
    connection: AsynchronousConnection,
    button: str,
    table: str,
    keys: Iterable[object],
    *,
    idempotency_key: str | None = None,
    inputs: Inputs | None = None,
) -> Awaitable[int]: ...


def press_many(
    connection: Any,
    button: str,
    table: str,
    keys: Iterable[object],
    *,
    idempotency_key: str | None = None,
    inputs: Inputs | None = None,
) -> int | Awaitable[int]:
    """Press a job button on several rows of a table: on all of them, or on none.

    Each row is checked as `press` checks it, and has a run of its own. The press as a whole has a row in the view
    rowhooks.batches, which counts what has become of the runs.

    Args:
        connection: as for `press`.
        button: as for `press`.
        table: as for `press`.
        keys: a key for each row, as for `press`; at least one, and no row twice.
        idempotency_key: as for `press`, for the whole.
        inputs: as for `press`; each run gets them.

    Returns:
        The id of the batch; for an asynchronous connection an awaitable of it.

    Raises:
        TypeError: as `press`, or the keys are one text or mapping.
        ValueError: as `press`.
    """
    from rowhooks.postgres.pressing import press_many as press_many_on

    return press_many_on(connection, button, table, keys, idempotency_key, inputs)
