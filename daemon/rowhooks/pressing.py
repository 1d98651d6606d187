"""`rowhooks.press`: press a job button from Python, in the caller's own transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, overload

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session


class AsyncpgConnection(Protocol):
    """asyncpg's Connection, which comes without types, or one from its pool."""

    @property
    def fetchrow(self) -> Any:
        """Run a query and return its first row."""
        ...


@overload
def press(
    connection: psycopg.Connection[Any] | sqlalchemy.Connection | Session | scoped_session[Any],
    button: str,
    table: str,
    key: object,
    *,
    idempotency_key: str | None = None,
) -> int: ...


@overload
def press(
    connection: psycopg.AsyncConnection[Any]
    | AsyncConnection
    | AsyncSession
    | async_scoped_session[Any]
    | AsyncpgConnection,
    button: str,
    table: str,
    key: object,
    *,
    idempotency_key: str | None = None,
) -> Awaitable[int]: ...


def press(
    connection: Any, button: str, table: str, key: object | Mapping[str, object], *, idempotency_key: str | None = None
) -> int | Awaitable[int]:
    """Press a job button on a row, as the role that is connected.

    The press is part of the caller's transaction: nothing is committed here, and a press that is rolled back was none.
    PostgreSQL checks it; what it refuses is raised as the driver's own error (SQLAlchemy wraps it in DBAPIError), since
    it is the caller's connection. An object that waits in a SQLAlchemy session has to be flushed first.

    Args:
        connection: psycopg's Connection or AsyncConnection; SQLAlchemy's Connection, Session, AsyncConnection or
            AsyncSession; asyncpg's Connection, also one from a pool.
        button: the button's name.
        table: the table, as PostgreSQL reads names: `dcim.device`, `public."Device"`.
        key: the row's key: the value where it is one column, else a mapping of columns to values.
        idempotency_key: two presses of a button by one role with one key are one press (so a double click runs
            once); 255 characters at most.

    Returns:
        The id of the run's job_result, or the earlier press's for an idempotency key that was used before; an
        awaitable of it for asynchronous connections.

    Raises:
        TypeError: the connection is none of these.
    """
    # `import rowhooks` needs no driver.
    from rowhooks.postgres.pressing import press as press_on

    return press_on(connection, button, table, key, idempotency_key)
