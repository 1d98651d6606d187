"""Group commit: runs that share a transaction, each in a savepoint, with all their results right before its COMMIT."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from rowhooks.domain.errors import LeadershipLost, SoftTimeLimitExceeded, TransactionEnded
from rowhooks.domain.run import Outcome, Run
from rowhooks.pipeline.ports import GroupUndone
from rowhooks.postgres.connections.encodings import of_connection
from rowhooks.postgres.connections.settled import SettledConnection
from rowhooks.postgres.results import ANOTHER_LEADS, FENCE_ONE
from rowhooks.postgres.rows.tables import Tables
from rowhooks.postgres.sessions.grip import Grip
from rowhooks.postgres.sessions.receiver_session import GRIP, ReceiverSession, set_local
from rowhooks.postgres.sessions.recording import record_group
from rowhooks.postgres.sessions.round_trips import send
from rowhooks.postgres.sessions.terms import VARIABLES, session_variables
from rowhooks.postgres.sessions.workspaces import SyncWorkspace, Workspaces

logger = logging.getLogger(__name__)

_GROUP = "rowhooks_group"
"""Under this name a driver's connection has the group whose it is."""
_SAVEPOINT = "savepoint rowhooks_run"
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
        leader_epoch: the leadership under which the runs are recorded.
        tables: the classes of the database's tables.
    """

    def __init__(self, engine: sqlalchemy.Engine, leader_epoch: uuid.UUID, tables: Tables) -> None:
        self._engine = engine
        self._leader_epoch = leader_epoch
        self._tables = tables
        self._connection: sqlalchemy.Connection | None = None
        self._driver: Any = None
        self._has_savepoint = self._is_inside = self._is_joining = self._is_broken = self._is_cut = False

    # For the pool.

    is_full = False
    """Whether it takes no other run."""

    @property
    def is_lost(self) -> bool:
        """Whether nothing of it can be committed any more."""
        return self._is_broken or (
            self._connection is not None
            and (
                self._connection.invalidated
                or (self._driver is not None and self._driver.pgconn.transaction_status not in _OPEN)
            )
        )

    def open(self, run: Run, user: str) -> GroupedWorkspace:
        """Return the workspace for the attempt of a run."""
        variables = {**dict.fromkeys(VARIABLES, ""), **session_variables(run, user)}
        return GroupedWorkspace(self, self._engine, variables, self._leader_epoch, self._tables)

    def is_reason(self, error: BaseException) -> bool:
        """Say whether an error may come of sharing the transaction: any of the database's may, in what runs share."""
        if isinstance(error, SoftTimeLimitExceeded):
            return False
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
            self._lend(self._connection, None)
            self._record(self._connection, outcomes)
        except (SQLAlchemyError, psycopg.Error, TransactionEnded) as error:
            raise GroupUndone(f"{type(error).__name__}: {error}") from error
        finally:
            self.close()

    def close(self) -> None:
        """Roll back what was not committed, and give the connection back."""
        connection, self._connection = self._connection, None
        self._is_broken = True
        if connection is None:
            return
        if not connection.invalidated and (self._is_cut or not self._is_rolled_back()):
            connection.invalidate()
        if not connection.invalidated:
            self._lend(connection, None)
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

    # For its sessions.

    def connection(self) -> sqlalchemy.Connection:
        """Return its connection."""
        if self._connection is None:
            self._connection = self._engine.connect()
            self._lend(self._connection, self)
        return self._connection

    @staticmethod
    def _lend(connection: sqlalchemy.Connection, group: CommitGroup | None) -> None:
        vars(connection.connection.driver_connection)[_GROUP] = group

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
        release = ["release " + _SAVEPOINT] if self._has_savepoint else []
        # A setting of one savepoint outlives it, so that each has all of them.
        send(driver, [*release, _SAVEPOINT, *set_local(variables, of_connection(driver))])
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
        self._is_inside = False

    def go_back(self) -> None:
        """Undo what the present run wrote: this is the session's ROLLBACK."""
        if self.is_lost or not self._is_inside:
            return
        self._is_inside = False
        try:
            send(self._driver, ["rollback to " + _SAVEPOINT])
        except psycopg.Error:
            self._is_broken = True
            raise

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
        if connection.exec_driver_sql(FENCE_ONE, (self._leader_epoch,)).first() is None:
            raise LeadershipLost(ANOTHER_LEADS)
        # The recorder writes runs in this order, too: neither waits for what waits for it.
        missing = record_group(connection, sorted(outcomes, key=lambda one: one.run.id), self._leader_epoch)
        if missing:
            raise GroupUndone(f"on record already: {', '.join(map(str, sorted(missing)))}")
        send(self._driver, _COMMIT)


class GroupedSession(ReceiverSession):
    """The session of a run that shares its transaction: what it begins and ends is a savepoint.

    Args:
        group: whose transaction it is.
    """

    def __init__(self, *args: Any, group: CommitGroup, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._group = group

    def get_bind(self, *_: Any, **__: Any) -> Any:
        """Return the group's connection."""
        return self._group.connection()

    def mark(self, connection: sqlalchemy.Connection) -> None:
        """Begin the run's savepoint."""
        self._has_begun = True
        self._group.enter(connection, self._grip, self._variables)
        self._grip.marked()

    def end(self) -> None:
        """Undo what the run wrote, and let go of the connection."""
        if self._grip.touched:
            # A request to cancel may be on its way: no other run may get the connection.
            self._group.cut()
            self.invalidate()
        else:
            Session.close(self)
        self._grip.release()

    def join(self) -> None:
        """Let what the run wrote stay in the transaction, for the group's COMMIT.

        Raises:
            TransactionEnded: the transaction is not the group's any more.
        """
        self.flush()
        # Also where it has only been asked for.
        self.connection()
        self._grip.check_transaction()
        if self._group.is_lost:
            raise TransactionEnded
        self._grip.let_go()
        with self._group.joining():
            Session.commit(self)
        Session.close(self)
        if not self._grip.release():
            # It may still come, to the results or the COMMIT: then all runs of the group are executed again.
            self._grip.settle()
            self._group.is_full = True


class GroupedWorkspace(SyncWorkspace):
    """The workspace of a run that shares its transaction, for as long as the group has one.

    Args:
        group: whose transaction it is.
    """

    has_joined = False
    """Whether what it wrote waits for the group's COMMIT."""

    def __init__(
        self, group: CommitGroup, engine: Any, variables: Mapping[str, str], leader_epoch: uuid.UUID, tables: Tables
    ) -> None:
        super().__init__(engine, lambda: variables, leader_epoch, tables)
        self._group = group

    def _opened(self) -> ReceiverSession:
        # What is to be done after a failure, where that has ended the group's transaction, has one of its own.
        return super()._opened() if self._group.is_lost else self._made(GroupedSession, group=self._group)

    def commit(self, outcome: Outcome) -> Collection[int]:
        """Let what the receiver wrote wait for the group's COMMIT, or commit it where the group has ended."""
        session = self.session
        if not isinstance(session, GroupedSession):
            return super().commit(outcome)
        session.join()
        self.has_joined = True
        return ()


def groups_of(workspaces: Workspaces) -> Callable[[], CommitGroup]:
    """Return what makes groups on the connections of plain receivers."""
    _end_by_groups(workspaces.engine)
    return partial(CommitGroup, workspaces.engine, workspaces.leader_epoch, workspaces.tables)


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
