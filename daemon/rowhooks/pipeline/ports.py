"""What the pipeline needs from PostgreSQL and from receivers, as small protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.hook import Configuration, TrackedTable
from rowhooks.domain.run import LogEntry, Outcome, Run


class FeedSource(Protocol):
    """The log, read."""

    async def look(self) -> tuple[Snapshot, int]:
        """Return the present snapshot and the version of the configuration in it."""
        ...

    async def anchor(self) -> None:
        """Draw a transaction id: transactions with a higher one draw their changes' ids later than all known ones."""
        ...

    async def fetch(self, position: Position, limit: int) -> list[ObjectChange]:
        """Return the next changes of the batch in hand, at most `limit`, ordered by id."""
        ...


class ConfigurationSource(Protocol):
    """Jobs, hooks and tracked tables, read."""

    async def load(self) -> Configuration:
        """Return the present configuration."""
        ...


class ResultSink(Protocol):
    """Results and the position, written."""

    async def record(self, outcomes: Sequence[Outcome], position: Position | None) -> None:
        """Write results, their log entries and the position in one transaction.

        Raises:
            LeadershipLost: another daemon leads; nothing was written.
        """
        ...


class ObjectLoader(Protocol):
    """Rows, loaded as objects."""

    async def load(self, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
        """Return the objects that exist, by their key as JSON text; one query."""
        ...


class Workspace(Protocol):
    """What one run has of the database: a session that is opened when it is first used.

    The methods of an asynchronous receiver's workspace return awaitables.
    """

    @property
    def used(self) -> bool:
        """Whether the receiver has used its session."""
        ...

    @property
    def session(self) -> Any:
        """The run's SQLAlchemy session; asking for it counts as using it."""
        ...

    def attach(self, changed_object: Any) -> None:
        """Let an object's save(), delete() and refresh_from_db() work on this workspace."""
        ...

    def commit(self, outcome: Outcome) -> Any:
        """Write the result beside the receiver's writes and commit both.

        Raises:
            AlreadyRecorded: the run stands on record; its writes were rolled back.
        """
        ...

    def rollback(self) -> Any:
        """Undo what the receiver wrote and give the connection back."""
        ...


class WorkspaceFactory(Protocol):
    """Makes workspaces."""

    def open(self, run: Run, *, asynchronous: bool) -> Workspace:
        """Return a workspace for one attempt of a run; nothing is connected yet."""
        ...

    def is_transient(self, error: BaseException) -> bool:
        """Say whether an error may pass by itself: serialization failure, deadlock, lost connection."""
        ...


class ReceiverCatalog(Protocol):
    """The receiver classes that were found."""

    def is_asynchronous(self, class_path: str) -> bool:
        """Say whether a class's receiver method is `async def`."""
        ...

    def call(self, run: Run, workspace: Workspace, changed_object: Any, entries: list[LogEntry]) -> Any:
        """Run a fresh receiver; what it logs is appended to `entries`. An awaitable where it is asynchronous."""
        ...


class AlreadyRecorded(Exception):
    """The run stands on record, by an earlier attempt whose answer was lost or by another leader."""
