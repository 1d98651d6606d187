"""What the pipeline needs from PostgreSQL and from receivers, as small protocols."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import Configuration, TrackedTable
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import LogEntry, Outcome, Run
from rowhooks.pipeline.execution.run_log import RunLog


class FeedSource(Protocol):
    """The log, read."""

    async def look(self) -> tuple[Snapshot, int]:
        """Return the present snapshot and the version of the configuration in it."""
        ...

    async def anchor(self) -> None:
        """Draw a transaction id: transactions with a higher one draw their changes' ids later than all known ones."""
        ...

    async def next_batch(
        self, position: Position, limit: int, configure: Callable[[int], Awaitable[None]]
    ) -> tuple[Snapshot, list[ObjectChange], bool]:
        """Begin a batch: `look` and `fetch` in one.

        Args:
            position: where the batch begins.
            limit: changes at the most.
            configure: told the version of the configuration before the changes are made out.

        Returns:
            The present snapshot, which ends the batch; the first changes, ordered by id; whether the batch ends with
            them.
        """
        ...

    async def fetch(self, position: Position, limit: int) -> tuple[list[ObjectChange], bool]:
        """Return the next changes of the batch in hand, ordered by id, and whether the batch ends with them.

        They are at most `limit`, and fewer where their rows are large.
        """
        ...


class ConfigurationSource(Protocol):
    """Jobs, hooks and tracked tables, read."""

    async def load(self) -> Configuration:
        """Return the present configuration."""
        ...


class EndOnRecord(NamedTuple):
    """How a run has ended on record; fields as in Outcome."""

    status: str
    started_at: datetime | None
    finished_at: datetime
    result_json: str | None
    exception_type: str | None
    exception_message: str | None
    traceback: str | None


class StateOnRecord(NamedTuple):
    """What stands on record of a run; fields as in Outcome, and the number of its attempt."""

    status: str
    started_at: datetime | None
    finished_at: datetime | None
    retry_at: datetime | None
    attempt: int
    result_json: str | None
    exception_type: str | None
    exception_message: str | None
    traceback: str | None


class ResultSink(Protocol):
    """Results and the position, written."""

    async def record(
        self, outcomes: Sequence[Outcome], lines: Sequence[tuple[int, LogEntry]], position: Position | None
    ) -> set[int]:
        """Write results, log lines (each with its run's id) and the position in one transaction.

        Returns:
            The ids of runs that had ended on record before, which is left as it is.

        Raises:
            LeadershipLost: another daemon leads; nothing was written.
        """
        ...

    async def on_record(self, run_ids: Collection[int]) -> dict[int, EndOnRecord]:
        """Return how these runs have ended on record, by their ids; those that have not are missing."""
        ...

    async def ended(self, run_ids: Collection[int]) -> set[int]:
        """Return which of these runs, that are on record or on their way there, are not to begin: they were revoked.

        It waits for nothing that is being written.
        """
        ...

    async def revoked(self, run_ids: Collection[int]) -> set[int]:
        """Return which of these runs have been revoked."""
        ...


class ObjectLoader(Protocol):
    """Rows, loaded as objects."""

    async def load(
        self, table: TrackedTable, keys: Sequence[str], ahead: Mapping[str, Sequence[str]]
    ) -> dict[str, Any]:
        """Return the objects that exist, by their key as JSON text, or the error that one's loading ended with.

        With them come the relations that are to be loaded ahead: by path, the keys of the rows.
        """
        ...


class UserResolver(Protocol):
    """Says which user a run is for."""

    def known(self, claimed: str | None, db_user: str) -> str | None:
        """Return the user for such a pair where that needs no asking."""
        ...

    async def resolve(self, pairs: Sequence[tuple[str | None, str]]) -> list[str | Exception]:
        """Return the user for each pair of claimed user (what the application says) and database user, or the error."""
        ...


class Workspace(Protocol):
    """What one run has of the database: a session that is opened when it is first used.

    The methods of an asynchronous receiver's workspace return awaitables, unless they say otherwise.
    """

    @property
    def used(self) -> bool:
        """Whether the receiver has used its session."""
        ...

    @property
    def session(self) -> Any:
        """The run's SQLAlchemy session; asking for it counts as using it."""
        ...

    def attach(self, changed_object: Any) -> Any:
        """Let an object be written in this workspace; return the one for the receiver. Never an awaitable."""
        ...

    def with_session(self, work: Any) -> Any:
        """Call `work` with the (synchronous) session and return what it returns."""
        ...

    def unawaited(self) -> str | None:
        """Say once which calls the receiver has not awaited, or not to their end; None: all. Never an awaitable."""
        ...

    def close(self) -> None:
        """Refuse whatever the receiver still does with its session: the run has ended. Never an awaitable."""
        ...

    def commit(self, outcome: Outcome) -> Any:
        """Write the result beside the receiver's writes and commit both.

        Returns:
            The ids of the runs of a batch that had ended on record before, which is left as it is; None for none.

        Raises:
            AlreadyRecorded: the run stands on record; its writes were rolled back.
            LeadershipLost: another daemon leads; its writes were rolled back.
        """
        ...

    def rollback(self) -> Any:
        """Undo what the receiver wrote and give the connection back; the session may be used again."""
        ...

    def cancel(self) -> None:
        """Ask the server to give up the statement that runs, if one does. Never an awaitable; from any thread."""
        ...

    def abort(self) -> None:
        """End the transaction from outside, by its connection. Never an awaitable; from any thread."""
        ...


class GroupedWorkspace(Workspace, Protocol):
    """The workspace of a run that shares its transaction: its `commit` leaves that to the group's."""

    @property
    def has_joined(self) -> bool:
        """Whether what the receiver wrote waits for the group's COMMIT, with its result."""
        ...


class CommitGroup(Protocol):
    """A transaction that runs of plain receivers share, one after another. One thread uses it."""

    @property
    def is_full(self) -> bool:
        """Whether it takes no other run."""
        ...

    @property
    def is_lost(self) -> bool:
        """Whether nothing of it can be committed any more."""
        ...

    def open(self, run: Run, user: str) -> GroupedWorkspace:
        """Return the workspace for the attempt of a run."""
        ...

    def is_reason(self, error: BaseException) -> bool:
        """Say whether an error may come of sharing the transaction, so that the run is executed again alone."""
        ...

    def commit(self, outcomes: Sequence[Outcome]) -> None:
        """Write the results of the runs that have joined, and commit; it has ended then, whatever became of it.

        Raises:
            GroupUndone: nothing of it remains, or it is not known whether it was committed.
            LeadershipLost: another daemon leads; nothing of it remains.
        """
        ...

    def close(self) -> None:
        """Roll back what was not committed."""
        ...


class WorkspaceFactory(Protocol):
    """Makes workspaces."""

    def open(self, run: Run, user: str, *, asynchronous: bool) -> Workspace:
        """Return a workspace for one attempt of a run; nothing is connected yet."""
        ...

    def is_transient(self, error: BaseException) -> bool:
        """Say whether an error may pass by itself: serialization failure, deadlock, lost connection."""
        ...

    def is_unreachable(self, error: BaseException) -> bool:
        """Say whether no connection could be opened, for which the run need not answer at all."""
        ...


class Call(Protocol):
    """A receiver, ready to be run once. Its methods return awaitables where the receiver is asynchronous.

    Args:
        defines: the life-cycle methods that the receiver's class defines itself.
    """

    defines: frozenset[str]

    @property
    def failure(self) -> BaseException | None:
        """What fail() has noted."""
        ...

    def run(self) -> Any:
        """Call the receiver."""
        ...

    def before_start(self) -> Any:
        """Call the life-cycle method."""
        ...

    def on_success(self, value: Any) -> Any:
        """Call the life-cycle method with what the receiver returned."""
        ...

    def on_retry(self, error: BaseException) -> Any:
        """Call the life-cycle method with what the receiver raised."""
        ...

    def on_failure(self, error: BaseException) -> Any:
        """Call the life-cycle method with what the receiver raised or fail() noted."""
        ...

    def after_return(self, status: str, value: Any, error: BaseException | None) -> Any:
        """Call the life-cycle method with the status and what the receiver returned or raised."""
        ...


class ReceiverCatalog(Protocol):
    """The receiver classes that were found."""

    def is_asynchronous(self, class_path: str) -> bool:
        """Say whether a class's receiver method is `async def`."""
        ...

    def options(self, class_path: str) -> JobOptions:
        """Return how a class's runs are to be run."""
        ...

    def prepare(self, run: Run, user: str, workspace: Workspace, changed_object: Any, log: RunLog) -> Call:
        """Make a fresh receiver; what it logs goes to `log`.

        Raises:
            ReceiverError: the class is not installed here.
        """
        ...


class AlreadyRecorded(Exception):
    """The run stands on record: by an earlier attempt whose answer was lost, by another leader, or as revoked."""


class GroupUndone(Exception):
    """Runs that shared a transaction were not committed, as far as is known: each is executed again, alone."""
