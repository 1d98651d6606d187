"""Group commit: runs that share a transaction, each in a savepoint, with all their results right before its COMMIT."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from rowhooks.domain.errors import SoftTimeLimitExceeded, TransactionEnded
from rowhooks.domain.run import Outcome, Run
from rowhooks.pipeline.ports import AlreadyRecorded, GroupUndone
from rowhooks.postgres.connections.encodings import of_connection
from rowhooks.postgres.connections.settled import SettledConnection
from rowhooks.postgres.rows.tables import Tables
from rowhooks.postgres.sessions.fences import Fence
from rowhooks.postgres.sessions.grip import Grip, cut_off
from rowhooks.postgres.sessions.grouped_session import GroupedSession, GroupedWorkspace, Lent
from rowhooks.postgres.sessions.receiver_session import GRIP, set_local
from rowhooks.postgres.sessions.recording import record_group
from rowhooks.postgres.sessions.round_trips import send
from rowhooks.postgres.sessions.terms import VARIABLES, session_variables
from rowhooks.postgres.sessions.workspaces import Workspaces

logger = logging.getLogger(__name__)

_GROUP = "rowhooks_group"
"""Under this name a driver's connection has the group whose it is."""
# No receiver can make one of the same name, or release it.
_SAVEPOINT = f"savepoint rowhooks_run_{secrets.token_hex(8)}"
# A COMMIT executes the query of a cursor WITH HOLD, and this one fails: no receiver can commit what other runs have
# written without their results. The variable is no part of a plan, so that it is not computed before.
_GUARD = (
    "set local rowhooks.guard = 'rowhooks: a receiver has ended the transaction that its run shared'",
    "declare rowhooks_group cursor with hold for select pg_catalog.current_setting('rowhooks.guard')::pg_catalog.bool",
)
# Where the transaction is not the group's any more there is no such cursor, and the COMMIT behind it is not executed.
_COMMIT = ("close rowhooks_group", "commit")
_OPEN = (psycopg.pq.TransactionStatus.INTRANS, psycopg.pq.TransactionStatus.INERROR)


class CommitGroup:
    """A transaction that runs of plain receivers share. One thread uses it; it is connected when it is first needed.

    Args:
        engine: where it gets its connection.
        fence_of: says under what a run is recorded.
        tables: the classes of the database's tables.
    """

    def __init__(self, engine: sqlalchemy.Engine, fence_of: Callable[[Run], Fence], tables: Tables) -> None:
        self._engine = engine
        self._fence_of = fence_of
        self._tables = tables
        self._connection: sqlalchemy.Connection | None = None
        self._lent: Any = None
        self._driver: Any = None
        self._has_savepoint = self._is_inside = self._is_joining = self._is_broken = self._is_cut = False
        self._joined: list[GroupedSession] = []
        self._lock = threading.Lock()

    # For the pool.

    is_full = False
    """Whether it takes no other run."""

    @property
    def is_lost(self) -> bool:
        """Whether nothing of it can be committed any more."""
        return self._is_broken or (self._driver is not None and self._driver.pgconn.transaction_status not in _OPEN)

    def open(self, run: Run, user: str) -> GroupedWorkspace:
        """Return the workspace for the attempt of a run."""
        variables = {**dict.fromkeys(VARIABLES, ""), **session_variables(run, user)}
        return GroupedWorkspace(self, self._engine, variables, self._fence_of(run), self._tables)

    def is_reason(self, error: BaseException) -> bool:
        """Say whether an error may come of sharing the transaction: any of the database's may, in what runs share."""
        if isinstance(error, SoftTimeLimitExceeded):
            return False
        if self.is_lost:
            # The run may have seen what others had written in vain.
            return True
        seen: BaseException | None = error
        while seen is not None:
            if isinstance(seen, SQLAlchemyError | psycopg.Error | TransactionEnded):
                return True
            seen = seen.__cause__ or seen.__context__
        return False

    def commit(self, outcomes: Sequence[Outcome]) -> None:
        """Write the results of the runs that have joined, and commit; nothing can be done with it afterwards.

        Raises:
            GroupUndone: nothing of it remains, or it is not known whether it was committed.
            LeadershipLost: another daemon leads; nothing of it remains.
        """
        try:
            if self.is_lost:
                raise GroupUndone("its connection or its transaction has ended")
            assert self._connection is not None
            self._lend(None)
            self._record(self._connection, outcomes)
        except (SQLAlchemyError, psycopg.Error, TransactionEnded) as error:
            raise GroupUndone(f"{type(error).__name__}: {error}") from error
        finally:
            self.close()
        for session in self._joined:
            session.committed()

    def close(self) -> None:
        """Roll back what was not committed, and give the connection back."""
        with self._lock:
            connection, self._connection = self._connection, None
        self._is_broken = True
        if connection is None:
            return
        self._lend(None)
        if not connection.invalidated and (self._is_cut or not self._is_rolled_back()):
            connection.invalidate()
        if not connection.invalidated:
            connection.info.pop(GRIP, None)
        try:
            connection.close()
        except SQLAlchemyError as error:
            # It is lost, and with it the transaction.
            logger.warning("rolling back: %s", error)
            connection.invalidate()

    def _is_rolled_back(self) -> bool:
        """Roll back what is open; return False where the connection is lost."""
        # By the driver: SQLAlchemy may take a transaction for ended that is not, and give it to another run.
        if self._driver is None:
            return True
        try:
            self._driver.rollback()
        except psycopg.Error as error:
            logger.warning("rolling back: %s", error)
            return False
        return bool(self._driver.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE)

    def abort(self) -> None:
        """End the transaction from another thread: its own may hang in a receiver, for good."""
        self.cut()
        with self._lock:
            if self._connection is not None:
                cut_off(self._lent)

    # For its sessions.

    def connection(self) -> sqlalchemy.Connection:
        """Return its connection for one run: that is the run's own to SQLAlchemy, and may be closed."""
        if self._connection is None:
            connection = self._engine.connect()
            self._lent = connection.connection.driver_connection
            self._connection = connection
            self._lend(self)
        lent: Any = Lent(self._connection.connection)
        return sqlalchemy.Connection(self._engine, lent, _allow_revalidate=False)

    def _lend(self, group: CommitGroup | None) -> None:
        vars(self._lent)[_GROUP] = group

    def enter(self, connection: sqlalchemy.Connection, grip: Grip, variables: Mapping[str, str]) -> None:
        """Begin a savepoint for a run, and the transaction before the first: what the last run wrote stays in it.

        Raises:
            TransactionEnded: it is not the group's transaction, or a receiver has chosen another one's terms.
            psycopg.Error: the server refused it, or the connection is lost.
        """
        driver: Any = connection.connection.driver_connection
        grip.hold(driver)
        connection.info[GRIP] = grip
        is_broken, self._is_broken = self._is_broken, True
        if is_broken or driver.isolation_level is not None or self._driver not in (None, driver):
            raise TransactionEnded
        if self._driver is None:
            self._begin(driver)
        # One savepoint for all that the run writes, also after it has rolled its session back.
        release = ["release " + _SAVEPOINT] if self._has_savepoint else []
        begin = [] if self._is_inside else [*release, _SAVEPOINT]
        # A setting of one savepoint outlives it, so that each has all of them.
        send(driver, [*begin, *set_local(variables, of_connection(driver))])
        self._has_savepoint = self._is_inside = True
        self._is_broken = False

    def leave(self) -> None:
        """Let what a run wrote stay in the transaction: this is the session's COMMIT.

        Raises:
            TransactionEnded: it is the receiver's own.
        """
        if not self._is_joining:
            self._is_broken = True
            raise TransactionEnded

    def go_back(self) -> None:
        """Undo what the present run wrote: this is the session's ROLLBACK."""
        if self.is_lost or not self._is_inside:
            return
        try:
            send(self._driver, ["rollback to " + _SAVEPOINT])
        except psycopg.Error:
            self._is_broken = True
            raise

    def quit(self) -> None:
        """Undo what the present run wrote, and wait for the next run."""
        try:
            self.go_back()
        finally:
            self._is_inside = False

    def joined(self, session: GroupedSession) -> None:
        """Tell a session when what its run wrote is committed."""
        self._is_inside = False
        self._joined.append(session)

    @contextlib.contextmanager
    def joining(self) -> Iterator[None]:
        """Let the session's COMMIT be the run's own."""
        self._is_joining = True
        try:
            yield
        finally:
            self._is_joining = False

    def cut(self) -> None:
        """Have nothing of it committed, and its connection used by no other run."""
        self._is_broken = self._is_cut = True

    def _begin(self, driver: Any) -> None:
        settings = driver.settling() if isinstance(driver, SettledConnection) else []
        self._driver = driver
        answer = send(driver, ["begin", *settings, *_GUARD, "show transaction_isolation"])
        if answer.get_value(0, 0) != b"read committed":
            # Later runs would not see the changes by which they were started.
            raise TransactionEnded

    def _record(self, connection: sqlalchemy.Connection, outcomes: Sequence[Outcome]) -> None:
        # As for a batch: a new leader may have taken up some of the runs and not the others.
        fences = sorted({self._fence_of(outcome.run) for outcome in outcomes}, key=str)
        try:
            for fence in fences:
                fence.check(connection)
        except AlreadyRecorded:
            raise GroupUndone("a run of the transaction was taken from this worker") from None
        # The recorder writes runs in this order, too: neither waits for what waits for it.
        missing = record_group(connection, sorted(outcomes, key=lambda one: one.run.id), fences[0].leader_epoch)
        if missing:
            raise GroupUndone(f"on record already: {', '.join(map(str, sorted(missing)))}")
        send(self._driver, _COMMIT)


def groups_of(workspaces: Workspaces) -> Callable[[], CommitGroup]:
    """Return what makes groups on the connections of plain receivers."""
    _end_by_groups(workspaces.engine)
    return partial(CommitGroup, workspaces.engine, workspaces.fence_of, workspaces.tables)


def _end_by_groups(engine: sqlalchemy.Engine) -> None:
    """Have SQLAlchemy's COMMIT and ROLLBACK on a group's connection end a run's savepoint."""
    dialect = engine.dialect
    commit, rollback = dialect.do_commit, dialect.do_rollback

    def group_of(connection: Any) -> CommitGroup | None:
        # SQLAlchemy gives some of them without their `info`.
        found: CommitGroup | None = vars(getattr(connection, "driver_connection", connection)).get(_GROUP)
        return found

    def do_commit(connection: Any) -> None:
        group = group_of(connection)
        commit(connection) if group is None else group.leave()

    def do_rollback(connection: Any) -> None:
        group = group_of(connection)
        rollback(connection) if group is None else group.go_back()

    vars(dialect)["do_commit"], vars(dialect)["do_rollback"] = do_commit, do_rollback
