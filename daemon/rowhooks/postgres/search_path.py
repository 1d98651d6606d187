"""The search_path of our own connections: no name in their statements means what somebody else has made.

A database's or a login's search_path may name a schema in which others make functions, operators and types. Receivers'
sessions keep it, for it is theirs; so does the session of somebody who presses a button.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import asyncpg
import psycopg
import sqlalchemy

SEARCH_PATH = "pg_catalog, pg_temp"
"""Without pg_temp in the last place it would be searched first, for relations and types."""
PINNED = f"set local search_path = {SEARCH_PATH}"
"""What our own transactions begin with. The path goes with the transaction, also behind a pooler."""
PINNED_SESSION = f"set search_path = {SEARCH_PATH}"
"""The same for a session that nobody else will use."""
USERS_OWN = "set local search_path to default"
"""Names mean again what they mean to the login that is connected; until the next PINNED."""


class PinnedConnection(psycopg.Connection[Any]):
    """A psycopg connection each of whose transactions has our search_path; it is not for autocommit."""

    def _exec_command(self, command: Any, *options: Any, **named: Any) -> Generator[Any, Any, Any]:
        # Nothing that is local to a transaction can be lost, or left to others, behind a pooler.
        done = yield from super()._exec_command(command, *options, **named)
        if _is_begin(command):
            yield from super()._exec_command(PINNED)
        return done


class PinnedAsyncConnection(psycopg.AsyncConnection[Any]):
    """The same for psycopg's asynchronous connections."""

    def _exec_command(self, command: Any, *options: Any, **named: Any) -> Generator[Any, Any, Any]:
        done = yield from super()._exec_command(command, *options, **named)
        if _is_begin(command):
            yield from super()._exec_command(PINNED)
        return done


def _is_begin(command: Any) -> bool:
    return isinstance(command, bytes) and command.startswith(b"BEGIN")


class TransactionPinned(asyncpg.Connection):  # type: ignore[misc]
    """An asyncpg connection each of whose statements has our search_path, where a transaction pooler may be in between.

    What is set for a session would be lost with the next transaction there, or be left to others. So a statement
    outside a transaction gets one of its own.
    """

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        """Execute a statement; a transaction that begins has our search_path."""
        if query.startswith("BEGIN"):
            return await super().execute(f"{query} {PINNED}", **options)
        if args or self.is_in_transaction():
            return await super().execute(query, *args, **options)
        async with self.transaction():
            return await super().execute(query, **options)

    async def _execute(self, query: str, *args: Any, **options: Any) -> Any:
        # What fetch(), fetchrow(), fetchval() and execute() with arguments have in common.
        if self.is_in_transaction():
            return await super()._execute(query, *args, **options)
        async with self.transaction():
            return await super()._execute(query, *args, **options)

    async def _executemany(self, query: str, *args: Any, **options: Any) -> Any:
        if self.is_in_transaction():
            return await super()._executemany(query, *args, **options)
        async with self.transaction():
            return await super()._executemany(query, *args, **options)


def ask_qualified(dialect: sqlalchemy.Dialect) -> None:
    """Let SQLAlchemy ask a new connection, whatever its search_path, by qualified names alone.

    The dialect is to be made with `use_native_hstore=False`: looking for the type is not done so.
    """
    vars(dialect)["_get_default_schema_name"] = _default_schema


def _default_schema(connection: sqlalchemy.Connection) -> Any:
    return connection.exec_driver_sql("select pg_catalog.current_schema()").scalar()
