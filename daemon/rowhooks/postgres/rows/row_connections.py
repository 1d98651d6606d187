"""The connections on which rows are loaded for receivers: with limits, and without the code of others."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from rowhooks.postgres.connections.engines import async_engine
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rows.row_security import OFF, refuse_views

LOADERS = 5
"""Connections on which rows are loaded."""
LOCK_TIMEOUT = "200ms"
"""How long a connection waits for a table that another session has locked. Then it serves other tables."""

_LOGIN = sqlalchemy.text("select session_user::pg_catalog.text")


class RowConnections:
    """Connections of the login that loads rows.

    Args:
        target: the database.
        row_security: whether policies decide which rows are loaded; their code then runs as the login.
    """

    def __init__(self, target: Target, *, row_security: bool) -> None:
        # A query of ours runs nobody's code, and is alone: BEGIN and ROLLBACK would be two round trips more.
        is_alone = target.keeps_session and not row_security
        self._engine = self._in_transaction = async_engine(
            target, LOADERS, pinned=True, isolation_level="AUTOCOMMIT" if is_alone else None
        )
        if is_alone:
            self._in_transaction = self._engine.execution_options(isolation_level="READ COMMITTED")
        self._closed = False
        sqlalchemy.event.listen(self._engine.sync_engine, "checkin", self._returned)
        limits = {"lock_timeout": LOCK_TIMEOUT} | ({} if row_security else OFF)
        # Behind a transaction pooler each transaction has to set them again.
        is_local = not target.keeps_session
        begin = [_set(limits, is_local=is_local), *([] if row_security else [refuse_views(is_local=is_local)])]
        self._limits: list[sqlalchemy.TextClause] = [sqlalchemy.text(one) for one in begin] if is_local else []
        if not is_local:
            sqlalchemy.event.listen(
                self._engine.sync_engine, "connect", lambda connection, _: _begin(connection, begin)
            )

    async def close(self) -> None:
        """Close the connections; one that is still used is closed when it is given back."""
        self._closed = True
        await self._engine.dispose()

    def _returned(self, connection: Any, record: Any) -> None:
        # By a task that was cancelled: to a pool that nobody empties any more.
        if connection is not None and self._closed:
            record.invalidate()

    async def login(self) -> str:
        """Return the login."""
        async with self.connection() as connection:
            return str((await connection.execute(_LOGIN)).scalar_one())

    @contextlib.asynccontextmanager
    async def session(self, *, runs_code: bool) -> AsyncIterator[AsyncSession]:
        """Open a session.

        Args:
            runs_code: code of users' models may run in it: what that writes is rolled back.
        """
        async with AsyncSession(self._in_transaction if runs_code else self._engine) as session:
            for limit in self._limits:
                await session.execute(limit)
            yield session

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection, for looks at the catalogue."""
        async with self._in_transaction.connect() as connection:
            for limit in self._limits:
                await connection.execute(limit)
            yield connection


def _set(settings: Mapping[str, str], *, is_local: bool) -> str:
    # One query, so one round trip. The values are constants of ours.
    calls = (f"pg_catalog.set_config('{name}', '{value}', {is_local})" for name, value in settings.items())
    return f"select {', '.join(calls)}"


def _begin(connection: Any, statements: Sequence[str]) -> None:
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()
    connection.commit()
