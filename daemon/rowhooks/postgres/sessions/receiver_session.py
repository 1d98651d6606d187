"""A receiver's session: SQLAlchemy over psycopg, one transaction for a run, marked as the run's."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, SessionTransaction

from rowhooks.domain.encodings import Repertoire
from rowhooks.domain.errors import LeadershipLost, TransactionEnded
from rowhooks.domain.run import Outcome
from rowhooks.pipeline.ports import AlreadyRecorded
from rowhooks.postgres.connections.encodings import of_connection
from rowhooks.postgres.connections.settled import SettledAsyncConnection, SettledConnection
from rowhooks.postgres.results import ENDED
from rowhooks.postgres.rows import in_place as inplace
from rowhooks.postgres.rows.related import adopt, note_deleted, order_writes
from rowhooks.postgres.rows.suppression import take_kept
from rowhooks.postgres.rows.writing import check_deleted, checking_inserts
from rowhooks.postgres.sessions.fences import Fence
from rowhooks.postgres.sessions.grip import Grip
from rowhooks.postgres.sessions.recording import record_batch, record_run
from rowhooks.postgres.sessions.round_trips import begin

GRIP = "rowhooks_grip"
"""The key of a run's grip in the `info` of the connection that the run has."""
_PLAIN = re.compile(r"[\w.:@/+-]*", re.ASCII).fullmatch


class ReceiverSession(Session):
    """A session whose transaction belongs to the run.

    Args:
        variables: the session variables of each of its transactions.
        grip: the hold by which the run is ended from outside.
    """

    def __init__(self, *args: Any, variables: Mapping[str, str], grip: Grip, **kwargs: Any) -> None:
        super().__init__(*args, expire_on_commit=False, **kwargs)
        self._grip = grip
        self._variables = variables
        self._has_begun = False

    @property
    def has_work(self) -> bool:
        """Whether it has been connected, or has something to write."""
        return self._has_begun or bool(self.new or self.dirty or self.deleted)

    def mark(self, connection: sqlalchemy.Connection) -> None:
        """Mark a transaction that has begun as the run's."""
        self._has_begun = True
        driver: Any = connection.connection.driver_connection
        # Until the connection is back in the pool, see Workspaces.
        self._grip.hold(driver)
        connection.info[GRIP] = self._grip
        variables = set_local(self._variables, of_connection(driver))
        if isinstance(driver, psycopg.Connection | psycopg.AsyncConnection) and driver.isolation_level is None:
            # This is how psycopg begins a transaction itself, but in one round trip.
            settings = driver.settling() if isinstance(driver, SettledConnection | SettledAsyncConnection) else []
            begin(driver, [*settings, *variables])
        else:
            connection.exec_driver_sql("; ".join(variables))
        self._grip.marked()

    def flush(self, objects: Any = None) -> None:
        """Write what was assigned, added and deleted, and what was altered in place."""
        if self._is_clean() and not inplace.is_looking(self):
            return
        held = inplace.mark(self)
        order_writes(self)
        doomed = list(self.deleted)
        with checking_inserts(self):
            super().flush(objects)
        inplace.written(held)
        note_deleted(doomed)
        if doomed and take_kept(connection := self.connection()):
            for one in doomed:
                check_deleted(one, connection)

    def add(self, instance: object, *, _warn: bool = True) -> None:
        """Add a row. Another object that stands for the same row leaves the session."""
        adopt(self, instance)
        super().add(instance, _warn=_warn)

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
            # A statement may still run, or a request to cancel may be on its way: no other run may get the connection.
            self.invalidate()
        else:
            super().close()

    def commit_run(self, outcome: Outcome, fence: Fence) -> Collection[int]:
        """Write the result and commit.

        Returns:
            The ids of the runs of a batch that had ended on record before.

        Raises:
            AlreadyRecorded: the run stands on record, or this worker has it no more; nothing of this transaction
                remains.
            TransactionEnded: the receiver has ended the run's transaction; nothing of the present one remains.
            LeadershipLost: another daemon leads; nothing of this transaction remains.
        """
        self.flush()
        connection = self.connection()
        self._grip.check_transaction()
        # From here on, only the server tells: a COMMIT that fails ends the transaction, too.
        self._grip.let_go()
        # A new leader has already looked for unfinished runs: it would not take up one that is recorded later. Of a
        # batch it may have taken up some runs and not the others.
        is_batch = bool(outcome.run.batch)
        if outcome.finished_at is None or is_batch:
            try:
                fence.check(connection)
            except (AlreadyRecorded, LeadershipLost):
                self.end()
                raise
        refused: Exception | None = None
        revoked: set[int] = set()
        try:
            if is_batch:
                revoked = record_batch(connection, outcome, fence.leader_epoch)
                is_recorded = len(revoked) < len(outcome.run.singles)
            else:
                is_recorded = record_run(connection, outcome, fence)
        except (DBAPIError, psycopg.Error) as error:
            cause = getattr(error, "orig", error)
            if isinstance(cause, psycopg.errors.InvalidTextRepresentation) and ENDED in str(cause):
                raise TransactionEnded from None
            # The receivers' own login may record nothing for a leadership that is over.
            if not isinstance(cause, psycopg.errors.InsufficientPrivilege):
                raise
            is_recorded, refused = False, error
        if not is_recorded:
            self.rollback()
            # If another leader has this run, it also has the later runs of its lane.
            is_ours = fence.holds(self.connection())
            self.end()
            if refused is not None and is_ours:
                raise refused
            raise fence.refusal(is_ours=is_ours)
        super().commit()
        self.end()
        return revoked


def set_local(variables: Mapping[str, str], held: Repertoire) -> list[str]:
    """Return the statements that set session variables for a transaction, for a database that can hold such text."""
    # They are local to the transaction, so that they cannot leak through our pool or a pooler. set_config() would be a
    # query, after which the receiver could not choose its isolation level any more.
    return [f"set local {_quoted(name)} = {_literal(held.fitted(value))}" for name, value in variables.items()]


def _literal(text: str) -> str:
    # Hardly any key or name needs more than the quotes.
    return f"'{text}'" if _PLAIN(text) else psycopg.sql.Literal(text).as_string()


@sqlalchemy.event.listens_for(ReceiverSession, "after_begin")
def _begun(session: ReceiverSession, transaction: Any, connection: sqlalchemy.Connection) -> None:
    # A savepoint has the marks of its transaction. Where the receiver has ended that, it must not be marked again.
    if not transaction.nested:
        session.mark(connection)


@cache
def _quoted(variable: str) -> str:
    # `user` is a word of SQL's own.
    return psycopg.sql.Identifier(*variable.split(".")).as_string()
