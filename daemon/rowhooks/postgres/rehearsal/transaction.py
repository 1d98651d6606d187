"""The transaction of a rehearsal: on one connection, for plain and asynchronous receivers, never committed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from rowhooks.domain.errors import ConnectionFailed, PermissionDenied
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.connections.loaders import adapt
from rowhooks.postgres.connections.search_path import PINNED, USERS_OWN, ask_qualified
from rowhooks.postgres.connections.session_settings import modes, of_transaction
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rehearsal.presses import divert_presses
from rowhooks.postgres.rows.suppression import watch_writes
from rowhooks.resources import data_directory

WAYS_OUT = "check --rowhooks-dsn, rowhooks_dsn in pytest's settings, ROWHOOKS_TEST_DSN or the argument dsn"

# PostgreSQL runs a holdable cursor when its transaction commits, and the query of this one raises. Unlike a deferred
# trigger, SET CONSTRAINTS does not fire it.
_REFUSE_COMMIT = """
declare rowhooks_refuse_commit no scroll cursor with hold for select pg_temp.rowhooks_refuse_commit()
"""


class Transaction:
    """One connection, which plain and asynchronous code use in turn, and its one transaction.

    PostgreSQL itself makes sure that nothing remains: a commit of this transaction fails, and a later transaction of
    the connection is read-only.

    Args:
        target: the database.

    Raises:
        ConnectionFailed: the server cannot be reached, or does not let the login in.
    """

    connection: sqlalchemy.Connection
    async_connection: AsyncConnection

    def __init__(self, target: Target) -> None:
        try:
            # Not prepared: the two wrappers of the connection would give the same names to different statements.
            self.driver = psycopg.connect(target.conninfo, prepare_threshold=None)
        except psycopg.OperationalError as error:
            raise ConnectionFailed(f"cannot connect to {target.label}: {str(error).strip()}", hint=WAYS_OUT) from error

    async def begin(self) -> None:
        """Begin the transaction, on the event loop on which asynchronous receivers will run.

        Raises:
            DatabaseError: the role may not make temporary tables, or the server is a standby.
        """
        # psycopg keeps a transaction's state in libpq's connection, so both wrappers are in the same transaction.
        twin = psycopg.AsyncConnection(self.driver.pgconn)
        twin.prepare_threshold = None
        for driver in (self.driver, twin):
            adapt(driver)

        async def take_twin() -> psycopg.AsyncConnection[Any]:
            return twin

        url, options = "postgresql+psycopg://", {"poolclass": NullPool, "use_native_hstore": False}
        engine = sqlalchemy.create_engine(url, creator=lambda: self.driver, **options)
        async_engine = create_async_engine(url, async_creator=take_twin, **options)
        for one in (engine, async_engine.sync_engine):
            ask_qualified(one.dialect)
            watch_writes(one)
            divert_presses(one)
        # These connect before the transaction begins: SQLAlchemy rolls back its first queries on a connection.
        self.connection = engine.connect()
        self.async_connection = await async_engine.connect()
        with translated_errors(), self._may_begin():
            self.driver.execute("set default_transaction_read_only = on")
            self.driver.commit()
            settings = of_transaction(self.driver.info.server_version, for_receivers=True)
            self.driver.execute("; ".join([*modes(in_recovery=False), *settings, PINNED]).encode())
            for file in ("rehearsal.sql", "rehearsal_presses.sql"):
                self.driver.execute((data_directory("sql") / file).read_bytes())
            self.driver.execute(_REFUSE_COMMIT)
            # What follows is the test's own, and has the search_path of its login.
            self.driver.execute(USERS_OWN)
        self.connection.begin()
        await self.async_connection.begin()

    @contextlib.contextmanager
    def _may_begin(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.InsufficientPrivilege as error:
            raise PermissionDenied(
                f"role {self.driver.info.user} may not rehearse in this database: {error.diag.message_primary}",
                hint=f"grant temporary on database {self.driver.info.dbname} to it",
            ) from error

    def execute(self, statement: Any, parameters: Any) -> list[dict[str, Any]]:
        """Execute a statement in a savepoint and return its rows; refused, it leaves the transaction as it was.

        Args:
            statement: text with `:name` for parameters, or a statement of SQLAlchemy's.
            parameters: a mapping, several of them, or None.
        """
        executable = sqlalchemy.text(statement) if isinstance(statement, str) else statement
        with self.connection.begin_nested():
            result = self.connection.execute(executable, parameters)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

    @property
    def connected(self) -> bool:
        """Whether the connection is open, and in a transaction."""
        return not self.driver.closed and self.driver.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE

    def is_whole(self) -> bool:
        """Say whether the transaction still goes on: nothing has ended it, and it has not failed."""
        try:
            self.driver.execute("select from pg_temp.rowhooks_change limit 0")
        except psycopg.Error:
            return False
        return True

    async def close(self) -> None:
        """Roll back and close the connection; one that is closed already is no error."""
        with contextlib.suppress(psycopg.Error):
            self.driver.rollback()
        for connection in (getattr(self, "async_connection", None), getattr(self, "connection", None)):
            with contextlib.suppress(SQLAlchemyError):
                if isinstance(connection, AsyncConnection):
                    await connection.invalidate()
                    await connection.close()
                elif connection is not None:
                    connection.invalidate()
                    connection.close()
        self.driver.close()
