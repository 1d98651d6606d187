"""Receivers' sessions in a rehearsal: like the daemon's, but a run is a savepoint of the rehearsal's transaction."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from rowhooks.domain.run import LogEntry, Outcome, Run
from rowhooks.postgres.rehearsal.transaction import Transaction
from rowhooks.postgres.rows.tables import Tables
from rowhooks.postgres.sessions.fences import Fence
from rowhooks.postgres.sessions.receiver_session import ReceiverSession
from rowhooks.postgres.sessions.terms import is_transient, session_variables
from rowhooks.postgres.sessions.workspaces import AsyncWorkspace, SyncWorkspace


class RehearsalSession(ReceiverSession):
    """A receiver's session that commits to a savepoint and records nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, join_transaction_mode="create_savepoint", **kwargs)

    def end(self) -> None:
        """Undo what is not committed. The connection stays, unless the run was ended from outside."""
        # The request to cancel must not meet what runs next on this connection.
        self._grip.settle()
        if self._grip.aborted:
            self.invalidate()
        else:
            Session.close(self)

    def commit_run(self, outcome: Outcome, fence: Fence) -> Collection[int]:
        """Commit to the savepoint; what is deferred until a commit is checked now."""
        self.flush()
        self._grip.check_transaction()
        self.connection().exec_driver_sql("set constraints all immediate")
        Session.commit(self)
        self.end()
        return ()


class _SyncWorkspace(SyncWorkspace):
    _session_class = RehearsalSession
    entries: list[LogEntry]

    def commit(self, outcome: Outcome) -> Collection[int]:
        revoked = super().commit(outcome)
        self.entries.extend(outcome.entries)
        return revoked


class _AsyncWorkspace(AsyncWorkspace):
    _session_class = RehearsalSession
    entries: list[LogEntry]

    async def commit(self, outcome: Outcome) -> Collection[int]:
        revoked = await super().commit(outcome)
        self.entries.extend(outcome.entries)
        return revoked


class RehearsalWorkspaces:
    """Makes workspaces in the one transaction.

    Args:
        transaction: where they work.
        tables: the classes of the database's tables.
    """

    def __init__(self, transaction: Transaction, tables: Tables) -> None:
        self._transaction = transaction
        self._tables = tables
        self.entries: list[LogEntry] = []

    def open(self, run: Run, user: str, *, asynchronous: bool) -> SyncWorkspace | AsyncWorkspace:
        """Return a workspace for one attempt of a run. When it commits, its log lines go to `entries`."""
        variables, fence = partial(session_variables, run, user), Fence(uuid.uuid4())
        workspace: _SyncWorkspace | _AsyncWorkspace
        if asynchronous:
            workspace = _AsyncWorkspace(self._transaction.async_connection, variables, fence, self._tables)
        else:
            workspace = _SyncWorkspace(self._transaction.connection, variables, fence, self._tables)
        workspace.entries = self.entries
        return workspace

    def is_transient(self, error: BaseException) -> bool:
        """Say whether an error may pass by itself; none does after the transaction is lost."""
        return self._transaction.connected and is_transient(error)

    def is_unreachable(self, error: BaseException) -> bool:
        """Return False: the connection has been open from the beginning."""
        return False
