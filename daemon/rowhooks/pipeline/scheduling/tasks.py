"""Tasks: one or several runs on their way through the scheduler, and what else stands in lanes."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import Run
from rowhooks.pipeline.progress import Step

Lane = tuple[Any, ...]


class Task:
    """A run on its way through the scheduler, or several that are one call of a receiver (see `of`).

    The scheduler owns it. A pool and the recorder are told of its run alone.

    Args:
        run: what is to be run.
        step: what of the feed waits for the run to be on record; None once it is.
        options: how it is to be run.
        pool: the name of the pool that executes it.
        due: when a run that waits for its retry may start.
        parts: the tasks of the runs of a batch.
    """

    # What hardly any task changes is the class' own, which costs each task nothing.
    former_lane: Lane | None = None
    """The lane of the former key, where its change has given its row another one; it must not overtake that one too."""
    ahead = number = 0
    """In how many of the two lanes something stands before it; and when it came to them."""
    started_on_record = interrupted = False
    user: str | None = None
    changed_object: Any = None
    refused: Exception | None = None
    """What stands in the way of its user or its row."""
    loaded_at: float | None = None
    waited: float | None = None
    """For how many seconds the row had waited when the run was to begin."""
    may_begin = False
    """Whether what stands on record of it was looked at, since it stands there."""
    loaded = 0
    """How much of a row was loaded for it, in characters."""
    place: tuple[str, int] | None = None
    """The pool and the table in whose name it takes a place among those that are prepared."""

    def __init__(
        self,
        run: Run,
        step: Step | None,
        options: JobOptions,
        pool: str,
        *,
        due: datetime | None = None,
        parts: Sequence[Task] = (),
    ) -> None:
        self.run = run
        self.step = step
        self.options = options
        self.pool = pool
        self.due = due
        self.parts = parts
        # How much of what users made it holds, in characters.
        self.size: int = sum(part.size for part in parts) if parts else size_of(run)
        # Whether it stands in the table, unstarted: it may have been revoked there.
        self.on_record: bool = any(part.on_record for part in parts) if parts else step is None
        # What it must not overtake.
        self.lane: Lane = run.lane if options.ordered or parts else (run.id,)
        self.submitted_at = time.monotonic()

    @classmethod
    def of(cls, parts: Sequence[Task]) -> Task:
        """Return the task of several runs of one hook, which are one call of its receiver."""
        # A part that waits for its retry holds back what comes after it.
        due = max((part.due for part in parts if part.due is not None), default=None)
        first = parts[0]
        task = cls(Run.batch_of([part.run for part in parts]), None, first.options, first.pool, due=due, parts=parts)
        # It comes on record with the first of its runs, and what was gathered behind them does not come before it.
        task.submitted_at = min(part.submitted_at for part in parts)
        return task

    @property
    def needs_row(self) -> bool:
        """Whether its row has to be loaded."""
        return self.options.loads_object and self.run.cause.action != "delete"

    @property
    def singles(self) -> Sequence[Task]:
        """The tasks of its runs, one by one."""
        return self.parts or (self,)

    @property
    def is_in_the_table(self) -> bool:
        """Whether it can be left to the table, by its id: it is on record, or on its way there, in one lane."""
        return self.on_record and self.step is None and self.former_lane is None and not self.parts

    def without(self, run_ids: Collection[int]) -> None:
        """Take runs out of a batch that is to go on without them; one at least is left.

        They were counted with what is in memory, and are until this task leaves.
        """
        self.parts = [part for part in self.parts if part.run.id not in run_ids]
        self.run = Run.batch_of([part.run for part in self.parts])

    def lose_attempt(self) -> None:
        """Go on to another attempt, because what executed this one has ended in the middle of it."""
        self.run = self.run.with_attempt(self.run.attempt + 1)
        for part, run in zip(self.parts, self.run.batch, strict=True):
            part.run = run
        self.started_on_record = False

    def retry(self, due: datetime | None) -> None:
        """Go on to the next attempt."""
        self.run = self.run.again()
        for part, run in zip(self.parts, self.run.batch, strict=True):
            part.run, part.on_record = run, True
        self.on_record, self.due = True, due
        self.started_on_record = self.interrupted = False
        self.user = self.changed_object = None


class Junction:
    """Makes two lanes one for what comes later: the key of a row was changed, by a change that starts no run.

    It waits for all that stands before it in both, as a run of that change would, and is gone then.

    Args:
        lane: that of the new key.
        former_lane: that of the former key.
    """

    __slots__ = ("ahead", "former_lane", "lane", "number")

    def __init__(self, lane: Lane, former_lane: Lane) -> None:
        self.lane = lane
        self.former_lane: Lane | None = former_lane
        self.ahead = self.number = 0


def size_of(run: Run) -> int:
    """Return how much of what users made a run holds, in characters: rows, key, names, context."""
    cause = run.cause
    if not isinstance(cause, ObjectChange):
        texts = (cause.object_id_json, cause.object_repr, cause.db_user, cause.user_name or "", cause.inputs_json or "")
        return sum(map(len, texts))
    # It is asked of every run.
    size = len(cause.object_id_json) + len(cause.object_repr) + len(cause.db_user)
    size += len(cause.prechange_json or "") + len(cause.postchange_json or "")
    if cause.user_name or cause.request_id or cause.change_context or cause.capture_error:
        rare = (cause.user_name, cause.request_id, cause.change_context, cause.capture_error)
        size += sum(map(len, filter(None, rare)))
    return size
