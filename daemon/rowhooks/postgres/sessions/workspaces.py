"""Workspaces: what a run has of the database, a session that is opened when the receiver first uses it."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any

import greenlet
import sqlalchemy
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from rowhooks.domain.computed import computed
from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.run import Outcome, Run
from rowhooks.domain.tables import current_rows
from rowhooks.postgres.connections.engines import async_engine, sync_engine
from rowhooks.postgres.connections.errors import is_unreachable
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rows.classes import RowClasses, classes_of
from rowhooks.postgres.rows.loading_errors import is_altered
from rowhooks.postgres.rows.mapping import WORKSPACE, RowObject
from rowhooks.postgres.rows.models import adopt
from rowhooks.postgres.rows.privileges import explain
from rowhooks.postgres.rows.suppression import watch_writes
from rowhooks.postgres.rows.tables import Tables
from rowhooks.postgres.sessions.awaited import Calls, ReceiverAsyncSession
from rowhooks.postgres.sessions.fences import Fence
from rowhooks.postgres.sessions.grip import Grip
from rowhooks.postgres.sessions.receiver_session import GRIP, ReceiverSession
from rowhooks.postgres.sessions.surrender import SURRENDER_AFTER, surrendered
from rowhooks.postgres.sessions.terms import explaining, is_transient, session_variables, watch_runs

logger = logging.getLogger(__name__)

MOST_ABANDONED = 1000
"""How many plain receivers may hang beyond their time limit at the same time."""


class _Workspace:
    """What both kinds of workspace have in common.

    Args:
        engine: where the session gets its connection.
        variables: makes the session variables of the run's transactions.
        fence: under what the run is recorded.
        tables: the classes of the database's tables.
    """

    _session_class = ReceiverSession
    is_asynchronous = False
    can_wait = True
    # What hardly any run changes is the class' own, which costs each run nothing.
    _classes: RowClasses | None = None
    _session: Any = None
    _is_asked_for = False

    def __init__(
        self,
        engine: Any,
        variables: Callable[[], Mapping[str, str]],
        fence: Fence,
        tables: Tables | None = None,
    ) -> None:
        self._engine = engine
        self._tables = tables
        self._variables = variables
        self._fence = fence
        self._grip = Grip()

    @property
    def used(self) -> bool:
        """Whether the receiver has used its session, or altered an object that belongs to it."""
        return self._session is not None and (self._is_asked_for or self._beneath(self._session).has_work)

    @property
    def session(self) -> Any:
        """The run's session, opened when it is first used.

        Raises:
            ReceiverError: the run has ended.
        """
        self._grip.check()
        self._is_asked_for = True
        if self._session is None:
            self._session = self._opened()
        return self._session

    def _opened(self) -> Any:
        raise NotImplementedError

    @property
    def synchronous_session(self) -> Session:
        """The session; where the receiver is `async def`, the one beneath its own."""
        return self._beneath(self.session)

    def _beneath(self, session: Any) -> ReceiverSession:
        """Return the session that does the work of the receiver's own."""
        raise NotImplementedError

    def row_class(self, table_name: str) -> Any:
        """Return SQLAlchemy's class for the rows of a table; see RowSource."""
        assert self._tables is not None
        return (self._classes or self._tables.classes).row_class(table_name, self.connect)

    def connect(self) -> sqlalchemy.Connection:
        """Return the run's connection for a look at the catalogue; see RowSource."""
        if not self.can_wait:
            raise ReceiverError(
                "the daemon did not look this table up when it started, and an async def receiver cannot do so here",
                hint="name it at the top of the module: Device = table('dcim.device')",
            )
        return self.synchronous_session.connection()

    def attach(self, changed_object: Any) -> Any:
        """Let rows of the code that follows, and the changed one, work on this workspace; return it for the receiver.

        A row of a user's own class belongs to the session from the beginning, so that assignments alone are written.
        The session is not connected for that.
        """
        current_rows.set(self)
        if isinstance(changed_object, RowObject):
            changed_object.attach(self)
            # Also where tables are altered meanwhile, the run has one set of classes, which fit together.
            self._classes = classes_of(type(changed_object))
        elif changed_object is not None:
            self._session = self._opened()
            return adopt(self._beneath(self._session), changed_object)
        return changed_object

    def with_session(self, work: Any, call: Callable[[], str] = lambda: "a call") -> Any:
        """Call `work` with the session; see the two kinds."""
        raise NotImplementedError

    def close(self) -> None:
        """Refuse whatever else the receiver does: the run has ended."""
        self._grip.close()

    def cancel(self) -> None:
        """Ask the server to give up the statement that runs."""
        self._grip.cancel()

    def abort(self) -> None:
        """End the transaction by its connection."""
        self._grip.abort()


class SyncWorkspace(_Workspace):
    """The workspace of a plain `def` receiver; used by one thread."""

    def _opened(self) -> ReceiverSession:
        return self._made(self._session_class)

    def _made(self, session_class: type[ReceiverSession], **options: Any) -> ReceiverSession:
        return session_class(
            self._engine, variables=self._variables(), grip=self._grip, info={WORKSPACE: weakref.ref(self)}, **options
        )

    def close(self) -> None:
        """Refuse whatever else the receiver does, and let the thread, which serves other runs, forget the session."""
        super().close()
        current_rows.set(None)

    def _beneath(self, session: Any) -> ReceiverSession:
        found: ReceiverSession = session
        return found

    def with_session(self, work: Any, call: Callable[[], str] | None = None) -> Any:
        """Call `work` with the session and return what it returns."""
        return work(self.session)

    def unawaited(self) -> None:
        """Say that nothing has to be awaited."""

    def commit(self, outcome: Outcome) -> Collection[int]:
        """Write the result beside the receiver's writes and commit both."""
        revoked: Collection[int] = self.session.commit_run(outcome, self._fence)
        return revoked

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
        self._grip.check_rolled_back()


class AsyncWorkspace(_Workspace):
    """The workspace of an `async def` receiver; its methods return awaitables."""

    is_asynchronous = True
    _surrendering: asyncio.Task[None] | None = None

    @computed
    def _calls(self) -> Calls:
        return Calls()

    def _opened(self) -> AsyncSession:
        return ReceiverAsyncSession(
            self._engine, sync_session_class=self._session_class, variables=self._variables(), grip=self._grip,
            calls=self._calls, info={WORKSPACE: weakref.ref(self)},
        )  # fmt: skip

    @property
    def can_wait(self) -> bool:  # type: ignore[override]
        """Whether the code that asks may wait for the database: SQLAlchemy runs it in a greenlet of its own then."""
        return greenlet.getcurrent().parent is not None

    def _beneath(self, session: Any) -> ReceiverSession:
        found: ReceiverSession = session.sync_session
        return found

    def with_session(self, work: Any, call: Callable[[], str] = lambda: "a call") -> Awaitable[Any]:
        """Call `work` with the synchronous session and return what it returns; `call` names it until it was awaited."""

        async def begin() -> Any:
            return await AsyncSession.run_sync(self.session, work)

        return self._calls.make(begin, call)

    def unawaited(self) -> str | None:
        """Say which calls the receiver has not awaited, or not to their end."""
        # Those that it has made, if it has made any.
        calls: Calls | None = self.__dict__.get("_calls")
        return None if calls is None else calls.take()

    def abort(self) -> None:
        """End the transaction by its connection, and take the session away from a receiver that goes on."""
        super().abort()
        self._surrender_soon()

    def _surrender_soon(self) -> None:
        if self._session is not None:
            asyncio.get_running_loop().call_later(SURRENDER_AFTER, self._begin_to_surrender)

    def _begin_to_surrender(self) -> None:
        # Kept here, because the loop holds only a weak reference to a task.
        self._surrendering = asyncio.get_running_loop().create_task(self._surrender())

    async def _surrender(self) -> None:
        if self._session is None:
            return
        if await surrendered(self._session, self._grip):
            self._session = None
        else:
            self._surrender_soon()

    async def commit(self, outcome: Outcome) -> Collection[int]:
        """Write the result beside the receiver's writes and commit both."""
        revoked: Collection[int] = await self.session.run_sync(lambda session: session.commit_run(outcome, self._fence))
        return revoked

    async def rollback(self) -> None:
        """Undo what the receiver wrote and give the connection back."""
        if not await self._calls.stop():
            self._grip.abort()
        session, self._session = self.session, None
        try:
            await session.run_sync(lambda session: session.end())
        except SQLAlchemyError as error:
            # The connection is lost, and with it the transaction.
            logger.warning("rolling back: %s", error)
            await session.invalidate()
        if (refused := self._grip.take_refused()) is not None and isinstance(self._engine, AsyncEngine):
            with explaining(refused):
                async with self._engine.connect() as connection:
                    await connection.run_sync(explain, refused)
        self._grip.check_rolled_back()


class Workspaces:
    """Makes workspaces on two pools, one for each kind of receiver.

    Args:
        target: the database.
        fence_of: says under what a run is recorded.
        threads: connections for plain receivers.
        async_connections: connections for asynchronous receivers.
        tables: the classes of the database's tables.
    """

    def __init__(
        self,
        target: Target,
        fence_of: Callable[[Run], Fence],
        *,
        threads: int,
        async_connections: int,
        tables: Tables | None = None,
    ) -> None:
        self.fence_of = fence_of
        self.tables = tables or Tables()
        self._closed = False
        # The scheduler keeps to the limit of threads. A receiver may be abandoned in a call that cannot be interrupted.
        # It then keeps its session, whose connection has been cut, and must not take a place in the pool.
        self.engine = sync_engine(target, threads, overflow=MOST_ABANDONED)
        self._async_engine = async_engine(target, async_connections)
        for engine in (self.engine, self._async_engine.sync_engine):
            sqlalchemy.event.listen(engine, "checkin", self._returned)
            watch_runs(engine)
            sqlalchemy.event.listen(engine, "handle_error", self._note_altered)
            watch_writes(engine)

    def _returned(self, connection: Any, record: Any) -> None:
        grip = record.info.pop(GRIP, None)
        touched = grip is not None and not grip.release()
        # A request to cancel may be on its way to this connection, and must not meet another run. Or a receiver that
        # was abandoned has ended after the pools were closed: nothing else closes its connection.
        if connection is not None and (touched or self._closed):
            record.invalidate()

    def _note_altered(self, context: sqlalchemy.ExceptionContext) -> None:
        if is_altered(context.original_exception):
            self.tables.outdated()

    async def close(self) -> None:
        """Close the pools. A connection that a plain receiver still uses is closed when the receiver gives it back."""
        self._closed = True
        self.engine.dispose()
        await self._async_engine.dispose()

    def open(self, run: Run, user: str, *, asynchronous: bool) -> SyncWorkspace | AsyncWorkspace:
        """Return a workspace for one attempt of a run; nothing is connected yet."""
        variables = partial(session_variables, run, user)
        if asynchronous:
            return AsyncWorkspace(self._async_engine, variables, self.fence_of(run), self.tables)
        return SyncWorkspace(self.engine, variables, self.fence_of(run), self.tables)

    def is_transient(self, error: BaseException) -> bool:
        """Say whether an error may pass by itself, see `is_transient`."""
        return is_transient(error)

    def is_unreachable(self, error: BaseException) -> bool:
        """Say whether no connection could be opened, which is no failure of the run."""
        return isinstance(error, DBAPIError) and is_unreachable(error.orig)
