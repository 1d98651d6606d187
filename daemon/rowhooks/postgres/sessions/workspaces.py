"""Receivers' sessions: SQLAlchemy over psycopg, one transaction a run, marked as the run's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from rowhooks.domain.configuration import JobHook
from rowhooks.domain.errors import LeadershipLost
from rowhooks.domain.run import Batch, Outcome, Run
from rowhooks.pipeline.ports import AlreadyRecorded
from rowhooks.postgres.connections.connect import (
    Target,
    async_engine,
    is_lost_connection,
    is_unreachable,
    sync_engine,
    verdict_of,
)
from rowhooks.postgres.connections.encodings import Repertoire, of_connection
from rowhooks.postgres.connections.settled import SettledConnection
from rowhooks.postgres.results import (
    ANOTHER_LEADS,
    FENCE_ONE,
    LEADS,
    ON_RECORD,
    RECORD_ENTRY,
    RECORD_ONE,
    RECORD_ONE_OR_FAIL,
    batch_statements,
    entry_row,
    result_row,
)
from rowhooks.postgres.rows import in_place as inplace
from rowhooks.postgres.rows.mapping import RowObject
from rowhooks.postgres.rows.privileges import explain, is_refused
from rowhooks.postgres.rows.suppression import take_kept, watch_writes
from rowhooks.postgres.sessions.awaited import Calls, ReceiverAsyncSession
from rowhooks.postgres.sessions.grip import Grip

logger = logging.getLogger(__name__)

MOST_ABANDONED = 1000
"""Plain receivers that may hang at once, beyond their time limit."""
SURRENDER_AFTER = 0.1
"""Seconds after which an asynchronous receiver that was abandoned and has not ended loses its session."""

_GRIP = "rowhooks_grip"


class ReceiverSession(Session):
    """A session whose transaction belongs to the run.

    Args:
        variables: the session variables of each of its transactions.
        grip: what others hold on to when the run must be ended from outside.
    """

    def __init__(self, *args: Any, variables: Mapping[str, str], grip: Grip, **kwargs: Any) -> None:
        super().__init__(*args, expire_on_commit=False, **kwargs)
        self._grip = grip
        self._variables = variables

    def mark(self, connection: sqlalchemy.Connection) -> None:
        """Mark a transaction that has begun as the run's."""
        driver: Any = connection.connection.driver_connection
        # Until the pool has it back, see Workspaces.
        self._grip.hold(driver)
        connection.info[_GRIP] = self._grip
        variables = _set_local(self._variables, of_connection(driver))
        if isinstance(driver, psycopg.Connection) and driver.isolation_level is None:
            # As psycopg begins a transaction itself, but in one round trip.
            settings = driver.settling() if isinstance(driver, SettledConnection) else []
            begin = "; ".join(["begin", *settings, *variables])
            answer = driver.pgconn.exec_(begin.encode(driver.info.encoding))
            if driver.pgconn.status != psycopg.pq.ConnStatus.OK:
                raise psycopg.OperationalError(driver.pgconn.get_error_message())
            if answer.status != psycopg.pq.ExecStatus.COMMAND_OK:
                raise psycopg.errors.error_from_result(answer, driver.info.encoding)
        else:
            connection.exec_driver_sql("; ".join(variables))

    def flush(self, objects: Any = None) -> None:
        """Write what was assigned, added and deleted, and what was altered in place."""
        held = inplace.mark(self)
        doomed = [one for one in self.deleted if isinstance(one, RowObject)]
        super().flush(objects)
        inplace.written(held)
        if doomed and take_kept(connection := self.connection()):
            for one in doomed:
                one.check_deleted(connection)

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
        if self._grip.touched:
            # A statement may still be going on, and a request to cancel be on its way: it is of no use to others.
            self.invalidate()
        else:
            super().close()

    def commit_run(self, outcome: Outcome, leader_epoch: uuid.UUID) -> None:
        """Write the result and commit.

        Raises:
            AlreadyRecorded: the run stands on record; nothing of this transaction remains.
            LeadershipLost: another daemon leads; nothing of this transaction remains.
        """
        self.flush()
        connection = self.connection()
        # A new leader has looked for unfinished runs already: one recorded after that would be nobody's. Of a batch it
        # may have some runs and not the others.
        is_batch = isinstance(outcome.run, Batch)
        is_fenced = outcome.finished_at is None or is_batch
        if is_fenced and connection.exec_driver_sql(FENCE_ONE, (leader_epoch,)).first() is None:
            self.end()
            raise LeadershipLost(ANOTHER_LEADS)
        driver: Any = connection.connection.driver_connection
        refused: Exception | None = None
        try:
            if isinstance(driver, psycopg.Connection) and psycopg.Pipeline.is_supported() and not is_batch:
                is_recorded = _record_and_commit(driver, outcome, leader_epoch)
            else:
                is_recorded = _record(connection, outcome, leader_epoch)
        except (DBAPIError, psycopg.errors.InsufficientPrivilege) as error:
            # A login of the receivers' own may record nothing under a leadership that is over.
            if not isinstance(getattr(error, "orig", error), psycopg.errors.InsufficientPrivilege):
                raise
            is_recorded, refused = False, error
        if not is_recorded:
            self.rollback()
            # Where another leader has the run, the later ones of its lane are that leader's too.
            is_ours = self.connection().exec_driver_sql(LEADS, (leader_epoch,)).first() is not None
            self.end()
            if refused is not None and is_ours:
                raise refused
            raise AlreadyRecorded if is_ours else LeadershipLost(ANOTHER_LEADS)
        super().commit()
        self.end()


def _record(connection: sqlalchemy.Connection, outcome: Outcome, leader_epoch: uuid.UUID) -> bool:
    """Write a result and its lines; False where the run is on record already."""
    held = of_connection(connection.connection.driver_connection)
    statements = (
        batch_statements(outcome, leader_epoch, held)
        if isinstance(outcome.run, Batch)
        else [(RECORD_ONE[outcome.run.asked_for], result_row(outcome, leader_epoch, held))]
    )
    recorded = [row for one, values in statements for row in connection.exec_driver_sql(one, values)]
    if recorded and outcome.entries:
        connection.exec_driver_sql(RECORD_ENTRY, _entry_rows(outcome, held))
    return bool(recorded)


def _record_and_commit(connection: psycopg.Connection[Any], outcome: Outcome, leader_epoch: uuid.UUID) -> bool:
    """Do the same in one round trip with COMMIT, which fails where the run is on record already."""
    held = of_connection(connection)
    try:
        with connection.pipeline():
            connection.execute(RECORD_ONE_OR_FAIL[outcome.run.asked_for], result_row(outcome, leader_epoch, held))
            if outcome.entries:
                connection.cursor().executemany(RECORD_ENTRY, _entry_rows(outcome, held))
            connection.commit()
    except psycopg.errors.InvalidTextRepresentation as error:
        if ON_RECORD in str(error):
            return False
        raise
    return True


def _entry_rows(outcome: Outcome, held: Repertoire) -> list[tuple[Any, ...]]:
    return [entry_row(outcome.run.id, entry, held) for entry in outcome.entries]


def _set_local(variables: Mapping[str, str], held: Repertoire) -> list[str]:
    # Local to the transaction, so that they cannot leak through a pool, here or in a pooler. Not by set_config(): after
    # a query the receiver could not choose its isolation level any more.
    return [
        f"set local {_quoted(name)} = {psycopg.sql.Literal(held.fitted(value)).as_string()}"
        for name, value in variables.items()
    ]


@sqlalchemy.event.listens_for(ReceiverSession, "after_begin")
def _begun(session: ReceiverSession, transaction: Any, connection: sqlalchemy.Connection) -> None:
    session.mark(connection)


def _note_refusal(context: sqlalchemy.ExceptionContext) -> None:
    error, connection = context.sqlalchemy_exception, context.connection
    if isinstance(error, DBAPIError) and is_refused(error) and connection is not None:
        grip = connection.info.get(_GRIP)
        if grip is not None:
            grip.refused = error


def _quoted(variable: str) -> str:
    # `user` is a word of SQL's own.
    return psycopg.sql.Identifier(*variable.split(".")).as_string()


class SyncWorkspace:
    """The workspace of a plain `def` receiver; used by one thread."""

    _session_class = ReceiverSession

    def __init__(
        self,
        engine: sqlalchemy.Engine | sqlalchemy.Connection,
        variables: Callable[[], Mapping[str, str]],
        leader_epoch: uuid.UUID,
    ) -> None:
        self._engine = engine
        self._variables = variables
        self._leader_epoch = leader_epoch
        self._session: ReceiverSession | None = None
        self._grip = Grip()

    @property
    def used(self) -> bool:
        """Whether the receiver has used its session."""
        return self._session is not None

    @property
    def session(self) -> ReceiverSession:
        """The run's session, opened when it is first used."""
        self._grip.check()
        if self._session is None:
            self._session = self._session_class(self._engine, variables=self._variables(), grip=self._grip)
        return self._session

    def attach(self, changed_object: Any) -> None:
        """Let an object's save(), delete() and refresh_from_db() work on this workspace."""
        if isinstance(changed_object, RowObject):
            changed_object.attach(self)

    def with_session(self, work: Any, call: Callable[[], str] | None = None) -> Any:
        """Call `work` with the session and return what it returns."""
        return work(self.session)

    def unawaited(self) -> None:
        """Say that nothing has to be awaited."""

    def close(self) -> None:
        """Let nothing more be done: the run has ended."""
        self._grip.close()

    def commit(self, outcome: Outcome) -> None:
        """Write the result beside the receiver's writes and commit both."""
        self.session.commit_run(outcome, self._leader_epoch)

    def cancel(self) -> None:
        """Ask the server to give up the statement that runs."""
        self._grip.cancel()

    def abort(self) -> None:
        """End the transaction by its connection."""
        self._grip.abort()

    def rollback(self) -> None:
        """Undo what the receiver wrote and give the connection back."""
        session, self._session = self.session, None
        try:
            session.end()
        except SQLAlchemyError as error:
            # The connection is lost, and with it the transaction.
            logger.warning("rolling back: %s", error)
            session.invalidate()
        if (refused := self._grip.take_refused()) is not None and isinstance(self._engine, sqlalchemy.Engine):
            with explaining(refused), self._engine.connect() as connection:
                explain(connection, refused)


class AsyncWorkspace:
    """The workspace of an `async def` receiver; its methods return awaitables."""

    _session_class = ReceiverSession

    def __init__(
        self, engine: AsyncEngine | AsyncConnection, variables: Callable[[], Mapping[str, str]], leader_epoch: uuid.UUID
    ) -> None:
        self._engine = engine
        self._variables = variables
        self._leader_epoch = leader_epoch
        self._session: AsyncSession | None = None
        self._surrendering: asyncio.Task[None] | None = None
        self._grip = Grip()
        self._calls = Calls()

    @property
    def used(self) -> bool:
        """Whether the receiver has used its session."""
        return self._session is not None

    @property
    def session(self) -> AsyncSession:
        """The run's session, opened when it is first used."""
        self._grip.check()
        if self._session is None:
            self._session = ReceiverAsyncSession(
                self._engine, sync_session_class=self._session_class, variables=self._variables(), grip=self._grip,
                calls=self._calls,
            )  # fmt: skip
        return self._session

    def attach(self, changed_object: Any) -> None:
        """Let an object's save(), delete() and refresh_from_db() work on this workspace."""
        if isinstance(changed_object, RowObject):
            changed_object.attach(self)

    def with_session(self, work: Any, call: Callable[[], str] = lambda: "a call") -> Awaitable[Any]:
        """Call `work` with the synchronous session and return what it returns; noted as `call` until it was awaited."""

        async def begin() -> Any:
            return await AsyncSession.run_sync(self.session, work)

        return self._calls.make(begin, call)

    def unawaited(self) -> str | None:
        """Say which calls the receiver has not awaited, or not to their end."""
        return self._calls.take()

    def close(self) -> None:
        """Let nothing more be done: the run has ended."""
        self._grip.close()

    def cancel(self) -> None:
        """Ask the server to give up the statement that runs."""
        self._grip.cancel()

    def abort(self) -> None:
        """End the transaction by its connection, and take the session away from a receiver that goes on."""
        self._grip.abort()
        if self._session is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(SURRENDER_AFTER, self._begin_to_surrender)

    def _begin_to_surrender(self) -> None:
        # Kept, because the loop keeps no task that waits.
        self._surrendering = asyncio.get_running_loop().create_task(self._surrender())

    async def _surrender(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        try:
            await session.invalidate()
        except Exception as error:  # noqa: BLE001  (nobody waits for this task)
            logger.warning("an abandoned receiver keeps its connection: %s", error)

    async def commit(self, outcome: Outcome) -> None:
        """Write the result beside the receiver's writes and commit both."""
        await self.session.run_sync(lambda session: session.commit_run(outcome, self._leader_epoch))  # type: ignore[attr-defined]

    async def rollback(self) -> None:
        """Undo what the receiver wrote and give the connection back."""
        if not await self._calls.stop():
            self._grip.abort()
        session, self._session = self.session, None
        try:
            await session.run_sync(lambda session: session.end())  # type: ignore[attr-defined]
        except SQLAlchemyError as error:
            # The connection is lost, and with it the transaction.
            logger.warning("rolling back: %s", error)
            await session.invalidate()
        if (refused := self._grip.take_refused()) is not None and isinstance(self._engine, AsyncEngine):
            with explaining(refused):
                async with self._engine.connect() as connection:
                    await connection.run_sync(explain, refused)


@contextlib.contextmanager
def explaining(refused: DBAPIError) -> Iterator[None]:
    """Let a refused statement's message stand as it is where nobody can be asked what was missing."""
    try:
        yield
    except SQLAlchemyError as error:
        logger.warning("what a refused statement lacks cannot be found out (%s): %s", error, refused.orig)


class Workspaces:
    """Makes workspaces on two pools, one for each kind of receiver.

    Args:
        target: the database.
        leader_epoch: the leadership under which runs are recorded.
        threads: connections for plain receivers.
        async_connections: connections for asynchronous receivers.
    """

    def __init__(self, target: Target, leader_epoch: uuid.UUID, *, threads: int, async_connections: int) -> None:
        self._leader_epoch = leader_epoch
        self._closed = False
        # The scheduler keeps to the limit. A receiver that was abandoned in a call that cannot be interrupted keeps its
        # session, whose connection has been cut; it must not take a place in the pool.
        self._engine = sync_engine(target, threads, overflow=MOST_ABANDONED)
        self._async_engine = async_engine(target, async_connections)
        for engine in (self._engine, self._async_engine.sync_engine):
            sqlalchemy.event.listen(engine, "checkin", self._returned)
            sqlalchemy.event.listen(engine, "handle_error", _note_refusal)
            watch_writes(engine)

    def _returned(self, connection: Any, record: Any) -> None:
        grip = record.info.pop(_GRIP, None)
        touched = grip is not None and not grip.release()
        # A request to cancel may be on its way to this connection, and must not meet another run. Or the pools are
        # closed, and a receiver that was left behind has ended after all: nobody else will close what it used.
        if connection is not None and (touched or self._closed):
            record.invalidate()

    async def close(self) -> None:
        """Close the pools; what a plain receiver still uses is closed when it gives it back."""
        self._closed = True
        self._engine.dispose()
        await self._async_engine.dispose()

    def open(self, run: Run, user: str, *, asynchronous: bool) -> SyncWorkspace | AsyncWorkspace:
        """Return a workspace for one attempt of a run; nothing is connected yet."""
        variables = partial(session_variables, run, user)
        if asynchronous:
            return AsyncWorkspace(self._async_engine, variables, self._leader_epoch)
        return SyncWorkspace(self._engine, variables, self._leader_epoch)

    def is_transient(self, error: BaseException) -> bool:
        """Say whether an error may pass by itself: serialization failure, deadlock, lost connection."""
        return is_transient(error)

    def is_unreachable(self, error: BaseException) -> bool:
        """Say whether no connection could be opened, for which the run need not answer at all."""
        return isinstance(error, DBAPIError) and is_unreachable(error.orig)


def is_transient(error: BaseException) -> bool:
    """Say whether an error may pass by itself (see rowhooks.domain.sqlstates), or the connection was lost."""
    cause: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    found = None if cause is None else verdict_of(cause)
    if found is not None:
        return found.run
    return (isinstance(error, DBAPIError) and error.connection_invalidated) or is_lost_connection(cause)


def session_variables(run: Run, user: str) -> dict[str, str]:
    """Return the session variables of a run's transactions.

    A hook receiver's session says so, and what it writes starts no hook. A button receiver's session says for whom it
    writes: its changes are ordinary ones, of the presser.
    """
    variables = {"rowhooks.user": user or "", "rowhooks.request_id": run.key}
    if isinstance(run.origin, JobHook):
        return {"rowhooks.receiver": run.key, **variables}
    return {**variables, "rowhooks.context": "job-button"}
