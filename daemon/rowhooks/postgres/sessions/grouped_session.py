"""What a run has of the transaction that it shares: a connection to SQLAlchemy, a session, a workspace, of its own."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy
from sqlalchemy.orm import Session

from rowhooks.domain.errors import TransactionEnded
from rowhooks.domain.run import Outcome
from rowhooks.postgres.rows.tables import Tables
from rowhooks.postgres.sessions.fences import Fence
from rowhooks.postgres.sessions.receiver_session import ReceiverSession
from rowhooks.postgres.sessions.workspaces import SyncWorkspace

if TYPE_CHECKING:
    from rowhooks.postgres.sessions.groups import CommitGroup

logger = logging.getLogger(__name__)


class Lent:
    """The group's connection as one run has it: what closes this leaves that open."""

    def __init__(self, pooled: Any) -> None:
        self._pooled = pooled

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pooled, name)

    def close(self) -> None:
        """Leave it open: it is the group's."""

    def _close_special(self, **_: Any) -> None:
        """Leave it open, as above."""


class _Postponing:
    """What tells of a session's events. That of its COMMIT is kept back."""

    def __init__(self, dispatch: Any) -> None:
        self._dispatch = dispatch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dispatch, name)

    def after_commit(self, session: Session) -> None:
        """Tell of the release of a savepoint alone."""
        if session.in_nested_transaction():
            self._dispatch.after_commit(session)


class GroupedSession(ReceiverSession):
    """The session of a run that shares its transaction: what it begins and ends is a savepoint.

    Args:
        group: whose transaction it is.
    """

    def __init__(self, *args: Any, group: CommitGroup, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._group = group
        self._lent: sqlalchemy.Connection | None = None

    def get_bind(self, *_: Any, **__: Any) -> Any:
        """Return the group's connection."""
        if self._lent is None:
            self._grip.check()
            self._lent = self._group.connection()
        return self._lent

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
            try:
                self._group.quit()
            except psycopg.Error as error:
                # Nothing of it is committed.
                logger.warning("rolling back: %s", error)
            Session.close(self)
        self._let_go()
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
        told, vars(self)["dispatch"] = self.dispatch, _Postponing(self.dispatch)
        try:
            with self._group.joining():
                Session.commit(self)
        finally:
            vars(self)["dispatch"] = told
        self._group.joined(self)
        Session.close(self)
        self._let_go()
        if not self._grip.release():
            # It may still come, to the results or the COMMIT: then all runs of the group are executed again.
            self._grip.settle()
            self._group.is_full = True

    def committed(self) -> None:
        """Tell those who wait for it that what the run wrote is committed."""
        try:
            self.dispatch.after_commit(self)
        except BaseException:
            logger.exception("what was to be done after the COMMIT failed; the run has committed")

    def _let_go(self) -> None:
        if self._lent is not None:
            self._lent.close()


class GroupedWorkspace(SyncWorkspace):
    """The workspace of a run that shares its transaction, for as long as the group has one.

    Args:
        group: whose transaction it is.
    """

    has_joined = False
    """Whether what it wrote waits for the group's COMMIT."""

    def __init__(
        self, group: CommitGroup, engine: Any, variables: Mapping[str, str], fence: Fence, tables: Tables
    ) -> None:
        super().__init__(engine, lambda: variables, fence, tables)
        self._group = group
        self._has_seen = False

    @property
    def used(self) -> bool:
        """As ever; also where a failure may come of what other runs of the group have written."""
        return super().used or (self._has_seen and not self._group.is_lost)

    def _opened(self) -> ReceiverSession:
        # What is to be done after a failure, where that has ended the group's transaction, has one of its own.
        return super()._opened() if self._group.is_lost else self._made(GroupedSession, group=self._group)

    def rollback(self) -> None:
        """Undo what the receiver wrote."""
        self._has_seen |= isinstance(self._session, GroupedSession) and self._session.has_work
        super().rollback()

    def abort(self) -> None:
        """End the transaction by its connection, also where the run has not used it: others have."""
        super().abort()
        self._group.abort()

    def commit(self, outcome: Outcome) -> Collection[int]:
        """Let what the receiver wrote wait for the group's COMMIT, or commit it where the group has ended."""
        session = self.session
        if not isinstance(session, GroupedSession):
            return super().commit(outcome)
        session.join()
        self.has_joined = True
        return ()
