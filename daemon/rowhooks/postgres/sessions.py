"""Receivers' sessions: SQLAlchemy over psycopg, one transaction a run, marked as the receiver's."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from rowhooks.domain.run import Outcome, Run
from rowhooks.pipeline.ports import AlreadyRecorded
from rowhooks.postgres.connect import Target, async_engine, sync_engine
from rowhooks.postgres.objects import RowObject
from rowhooks.postgres.results import RECORD_ENTRY, RECORD_ONE, entry_row, result_row

logger = logging.getLogger(__name__)

_SERIALIZATION_OR_DEADLOCK = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)


class ReceiverSession(Session):
    """A session whose transaction belongs to the run.

    Args:
        run_key: what rowhooks.receiver is set to, for the length of each of its transactions.
    """

    def __init__(self, *args: Any, run_key: str, **kwargs: Any) -> None:
        super().__init__(*args, expire_on_commit=False, **kwargs)
        sqlalchemy.event.listen(self, "after_begin", self._mark)
        self._run_key = run_key

    def _mark(self, session: Session, transaction: Any, connection: sqlalchemy.Connection) -> None:
        # Local to the transaction, so that it cannot leak through a pool, here or in a pooler. Not by set_config():
        # after a query the receiver could not choose its isolation level any more.
        connection.exec_driver_sql(f"set local rowhooks.receiver = {psycopg.sql.Literal(self._run_key).as_string()}")

    def commit(self) -> None:
        """Flush only: the run commits, together with its result."""
        self.flush()

    def begin(self, nested: bool = False) -> SessionTransaction:
        """Begin a savepoint: the transaction is the run's."""
        return super().begin(nested=True)

    def close(self) -> None:
        """Flush only, also at the end of a `with` block: the run commits."""
        self.flush()

    def end(self) -> None:
        """Undo what is not committed and give the connection back."""
        super().close()

    def commit_run(self, outcome: Outcome, lease: uuid.UUID) -> None:
        """Write the result and commit.

        Raises:
            AlreadyRecorded: the run stands on record; nothing of this transaction remains.
        """
        self.flush()
        connection = self.connection()
        if connection.exec_driver_sql(RECORD_ONE, result_row(outcome, lease)).first() is None:
            self.rollback()
            raise AlreadyRecorded
        if outcome.entries:
            rows = [entry_row(outcome.run.id, entry) for entry in outcome.entries]
            connection.exec_driver_sql(RECORD_ENTRY, rows)
        super().commit()


class SyncWorkspace:
    """The workspace of a plain `def` receiver; used by one thread."""

    def __init__(self, engine: sqlalchemy.Engine, run_key: str, lease: uuid.UUID) -> None:
        self._engine = engine
        self._run_key = run_key
        self._lease = lease
        self._session: ReceiverSession | None = None

    @property
    def used(self) -> bool:
        """Whether the receiver has used its session."""
        return self._session is not None

    @property
    def session(self) -> ReceiverSession:
        """The run's session, opened when it is first used."""
        if self._session is None:
            self._session = ReceiverSession(self._engine, run_key=self._run_key)
        return self._session

    def attach(self, changed_object: Any) -> None:
        """Let an object's save(), delete() and refresh_from_db() work on this workspace."""
        if isinstance(changed_object, RowObject):
            changed_object.attach(self)

    def with_session(self, work: Any) -> None:
        """Do some work on the session."""
        work(self.session)

    def commit(self, outcome: Outcome) -> None:
        """Write the result beside the receiver's writes and commit both."""
        self.session.commit_run(outcome, self._lease)
        self.session.end()

    def rollback(self) -> None:
        """Undo what the receiver wrote and give the connection back."""
        try:
            self.session.end()
        except SQLAlchemyError as error:
            # The connection is lost, and with it the transaction.
            logger.warning("rolling back: %s", error)
            self.session.invalidate()


class AsyncWorkspace:
    """The workspace of an `async def` receiver; its methods return awaitables."""

    def __init__(self, engine: AsyncEngine, run_key: str, lease: uuid.UUID) -> None:
        self._engine = engine
        self._run_key = run_key
        self._lease = lease
        self._session: AsyncSession | None = None

    @property
    def used(self) -> bool:
        """Whether the receiver has used its session."""
        return self._session is not None

    @property
    def session(self) -> AsyncSession:
        """The run's session, opened when it is first used."""
        if self._session is None:
            self._session = AsyncSession(self._engine, sync_session_class=ReceiverSession, run_key=self._run_key)
        return self._session

    def attach(self, changed_object: Any) -> None:
        """Let an object's save(), delete() and refresh_from_db() work on this workspace."""
        if isinstance(changed_object, RowObject):
            changed_object.attach(self)

    def with_session(self, work: Any) -> Awaitable[None]:
        """Do some work on the session."""
        return self.session.run_sync(work)

    async def commit(self, outcome: Outcome) -> None:
        """Write the result beside the receiver's writes and commit both."""
        await self.session.run_sync(lambda session: session.commit_run(outcome, self._lease))  # type: ignore[attr-defined]
        await self.session.run_sync(lambda session: session.end())  # type: ignore[attr-defined]

    async def rollback(self) -> None:
        """Undo what the receiver wrote and give the connection back."""
        try:
            await self.session.run_sync(lambda session: session.end())  # type: ignore[attr-defined]
        except SQLAlchemyError as error:
            # The connection is lost, and with it the transaction.
            logger.warning("rolling back: %s", error)
            await self.session.invalidate()


class Workspaces:
    """Makes workspaces on two pools, one for each kind of receiver.

    Args:
        target: the database.
        lease: the leadership under which runs are recorded.
        threads: connections for plain receivers.
        async_connections: connections for asynchronous receivers.
    """

    def __init__(self, target: Target, lease: uuid.UUID, *, threads: int, async_connections: int) -> None:
        self._lease = lease
        self._closed = False
        self._engine = sync_engine(target, threads)
        self._async_engine = async_engine(target, async_connections)
        sqlalchemy.event.listen(self._engine, "checkin", self._returned)

    def _returned(self, connection: psycopg.Connection[Any] | None, record: Any) -> None:
        # A receiver that was left behind has ended after all; nobody else will close what it used.
        if self._closed and connection is not None:
            connection.close()

    async def close(self) -> None:
        """Close the pools; what a plain receiver still uses is closed when it gives it back."""
        self._closed = True
        self._engine.dispose()
        await self._async_engine.dispose()

    def open(self, run: Run, *, asynchronous: bool) -> SyncWorkspace | AsyncWorkspace:
        """Return a workspace for one attempt of a run; nothing is connected yet."""
        if asynchronous:
            return AsyncWorkspace(self._async_engine, run.key, self._lease)
        return SyncWorkspace(self._engine, run.key, self._lease)

    def is_transient(self, error: BaseException) -> bool:
        """Say whether an error may pass by itself: serialization failure, deadlock, lost connection."""
        cause: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return True
        if isinstance(cause, _SERIALIZATION_OR_DEADLOCK):
            return True
        # An operational error that no server sent is a lost connection.
        return isinstance(cause, psycopg.OperationalError) and (
            cause.sqlstate is None or cause.sqlstate.startswith(("08", "57P"))
        )
