"""A run: one execution of one job for one change or one press, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rowhooks.domain.change import ObjectChange, made
from rowhooks.domain.computed import computed
from rowhooks.domain.configuration import JobButton, JobHook
from rowhooks.domain.job import Job

PENDING, STARTED, RETRY = "PENDING", "STARTED", "RETRY"
SUCCESS, FAILURE, REVOKED = "SUCCESS", "FAILURE", "REVOKED"
WAITING = UUID(int=0)
"""The leader epoch of no leadership: that of a run that waits for a leader with its class."""


@dataclass(frozen=True)
class Press:
    """A button was pressed on a row.

    Args:
        table_id: rowhooks.tracked_table.id.
        changed_object_type: `schema.table`.
        object_id_json: key columns to values.
        object_repr: what people call the row.
        db_user: the role that pressed, which cannot be forged.
        user_name: the user that the application named with rowhooks.user, or None.
        inputs_json: what the press gives the receiver, as JSON; None: nothing.
    """

    table_id: int
    changed_object_type: str
    object_id_json: str
    object_repr: str
    db_user: str
    user_name: str | None = None
    action: str = "press"
    # It may hold secrets.
    inputs_json: str | None = field(default=None, repr=False)

    @computed
    def object_pk(self) -> Any:
        """The value of the key where it is one column, else key columns to values."""
        key = json.loads(self.object_id_json)
        return next(iter(key.values())) if len(key) == 1 else key


@dataclass(frozen=True)
class Run:
    """One execution of one job.

    Args:
        id: job_result.id.
        key: stable idempotency key, the same for every attempt and after every crash.
        cause: what started it.
        origin: through which hook or button.
        attempt: 1 for the first.
        retries: how many of the job's own retries have been used up.
        trigger: `change`, `press` or `replay`.
        original_id: the run that this one repeats.
        sensitive: nothing of the row's values is kept in logs and results.
        undecided: why the hook's conditions could not be decided, where it runs because of that.
        former_key: the key that the row had before the change, where that has given it another one.
        batch: several runs of one hook that are one call of the receiver, in one transaction; in the order of their
            changes. This run stands for them, and goes by the first one's id. Empty for a run that is called alone.
    """

    id: int
    key: str
    cause: ObjectChange | Press
    origin: JobHook | JobButton
    attempt: int = 1
    retries: int = 0
    trigger: str = "change"
    original_id: int | None = None
    sensitive: bool = False
    undecided: str | None = None
    former_key: str | None = None
    batch: tuple[Run, ...] = ()

    @classmethod
    def batch_of(cls, runs: Sequence[Run]) -> Run:
        """Return what stands for a batch of at least one run."""
        return replace(runs[0], batch=tuple(runs))

    @property
    def singles(self) -> tuple[Run, ...]:
        """The runs of the batch, or this one alone."""
        return self.batch or (self,)

    @computed
    def job(self) -> Job:
        """What is run."""
        return self.origin.job

    @property
    def object_repr(self) -> str | None:
        """What the row is called in logs and results."""
        return None if self.sensitive else self.cause.object_repr

    @property
    def is_requested(self) -> bool:
        """Whether it was requested by hand: then it has been on record from the beginning."""
        return self.trigger != "change" or self.original_id is not None

    @property
    def row(self) -> tuple[int, str]:
        """The row it is about: table and key."""
        return (self.cause.table_id, self.cause.object_id_json)

    @property
    def lane(self) -> tuple[Any, ...]:
        """Runs of one lane (hook or button, table and row) happen one after another, in the order of the changes.

        The batches of a hook happen one after another too.
        """
        if self.batch:
            return lane_of_batches(self.origin.id)
        return lane_of(self.origin, self.cause.table_id, self.cause.object_id_json)

    @property
    def lanes(self) -> list[tuple[Any, ...]]:
        """Its lane and, where its change has given the row another key, that of the former key."""
        keys = [self.cause.object_id_json, self.former_key]
        return [lane_of(self.origin, self.cause.table_id, key) for key in keys if key is not None]

    def notes(self) -> tuple[LogEntry, ...]:
        """Return what the run's log says before the receiver says anything."""
        if self.undecided is None or self.retries:
            return ()
        return (LogEntry(now(), "warning", f"{self.undecided}; the hook runs because on_undecided = run"),)

    def again(self) -> Run:
        """Return the next attempt, of a batch that of each of its runs, for a retry that `Meta` asks for."""
        if self.batch:
            return Run.batch_of([run.again() for run in self.batch])
        return replace(self, attempt=self.attempt + 1, retries=self.retries + 1)

    def with_attempt(self, attempt: int) -> Run:
        """Return the same run with another number of its attempt, of a batch each of its runs."""
        if self.batch:
            return Run.batch_of([replace(run, attempt=attempt) for run in self.batch])
        return replace(self, attempt=attempt)

    def log_fields(self) -> dict[str, Any]:
        """Return what every log line about this run carries."""
        return {
            "run": self.id,
            "hook" if isinstance(self.origin, JobHook) else "button": self.origin.name,
            "table": self.cause.changed_object_type,
            "object": self.object_repr,
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
        status: SUCCESS or FAILURE; RETRY for one that waits for another attempt, STARTED for one that is still going
            on, PENDING for one that waits for its turn. REVOKED for one that has ended on record without its receiver:
            by a revocation, or by an earlier attempt whose answer was lost. The recorder reads what stands there.
        result_json: what the receiver returned, where JSON can hold it.
        recorded: its result stands already, in the transaction of the receiver's own writes.
        retry_at: when a run that waits for its retry is due.
        revoked: the ids of the runs of a batch that had ended on record before the others were recorded.
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
    retry_at: datetime | None = None
    revoked: frozenset[int] = frozenset()

    @property
    def waits(self) -> bool:
        """Whether it waits for a leader with its class."""
        return self.status == PENDING and not self.run.job.installed

    def each(self) -> list[Outcome]:
        """Return the outcome of each run of a batch; what there is only one of, of the batch, is its first run's.

        Each other has the notes of its own (`Run.notes`), once there was an attempt.
        """
        if not self.run.batch:
            return [self]
        first, *others = self.run.batch
        message = self.exception_message and f"see run {first.id}, the first of its batch: {self.exception_message}"
        return [
            replace(self, run=first, status=self._status_of(first)),
            *(
                made(
                    Outcome, run=run, status=self._status_of(run), started_at=self.started_at,
                    finished_at=self.finished_at, exception_type=self.exception_type, exception_message=message,
                    recorded=self.recorded, retry_at=self.retry_at,
                    entries=() if self.status in (PENDING, STARTED) else run.notes(),
                )
                for run in others
            ),
        ]  # fmt: skip

    def as_revoked(self) -> Outcome:
        """Return the outcome of a run that was revoked while it went on; its lines are still to be recorded."""
        return replace(self, status=REVOKED, finished_at=self.finished_at or now(), retry_at=None, recorded=True)

    def _status_of(self, run: Run) -> str:
        return REVOKED if run.id in self.revoked else self.status


def revoked(run: Run) -> Outcome:
    """Return the outcome of a run that has ended on record before it was to begin."""
    return Outcome(run, REVOKED, None, now(), recorded=True)


def lane_of(origin: JobHook | JobButton, table_id: int, key: str) -> tuple[Any, ...]:
    """Return the lane of a row's runs, see `Run.lane`; the key as JSON text."""
    return (isinstance(origin, JobHook), origin.id, table_id, key)


def lane_of_batches(hook_id: int) -> tuple[Any, ...]:
    """Return the lane of a hook's batches, see `Run.lane`."""
    return ("batch", hook_id)


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)
