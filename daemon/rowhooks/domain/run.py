"""A run: one execution of one job for one change, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.hook import Hook

PENDING, STARTED, RETRY = "PENDING", "STARTED", "RETRY"
SUCCESS, FAILURE, REVOKED = "SUCCESS", "FAILURE", "REVOKED"


@dataclass(frozen=True)
class Run:
    """One execution of one hook's job for one change.

    Args:
        id: job_result.id.
        key: stable idempotency key, the same for every attempt and after every crash.
        attempt: 1 for the first.
    """

    id: int
    key: str
    change: ObjectChange
    hook: Hook
    attempt: int = 1

    @property
    def lane(self) -> tuple[int, int, str]:
        """Runs of one lane (hook, table and row) happen one after another, in the order of the changes."""
        return (self.hook.id, self.change.table_id, self.change.object_id_json)

    def log_fields(self) -> dict[str, Any]:
        """Return what every log line about this run carries."""
        return {
            "run": self.id,
            "hook": self.hook.name,
            "table": self.change.changed_object_type,
            "object": self.change.object_repr,
        }


@dataclass(frozen=True)
class LogEntry:
    """One line that a receiver logged."""

    time: datetime
    level: str
    message: str
    grouping: str = ""
    object_type: str | None = None
    object_repr: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Args:
        status: SUCCESS or FAILURE; STARTED for a run that is still going on, PENDING for one that waits
            for its turn.
        result_json: what the receiver returned, where JSON can hold it.
        recorded: its result stands already, in the transaction of the receiver's own writes.
    """

    run: Run
    status: str
    started_at: datetime | None
    finished_at: datetime | None = None
    result_json: str | None = None
    exception_type: str | None = None
    exception_message: str | None = None
    traceback: str | None = None
    entries: tuple[LogEntry, ...] = ()
    recorded: bool = False


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)
