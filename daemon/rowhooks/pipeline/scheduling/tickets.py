"""Tickets: runs on their way through the scheduler, and what else stands in lanes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import Batch, Run
from rowhooks.pipeline.execution.runner import Execution
from rowhooks.pipeline.progress import Step

Lane = tuple[Any, ...]


class Member:
    """A run on its way in a batch.

    Args:
        run: what is to be run with others.
        step: what of the feed waits for it to be on record; None once it is.
        due: when it may be run again.
        size: how much of a row it holds, in characters.
    """

    __slots__ = ("due", "on_record", "run", "size", "step", "submitted_at")

    def __init__(self, run: Run, step: Step | None, due: datetime | None, size: int) -> None:
        self.run = run
        self.step = step
        self.due = due
        self.size = size
        self.on_record = step is None
        self.submitted_at = time.monotonic()


class Ticket:
    """A run on its way through the scheduler.

    Args:
        run: what is to be run.
        step: what of the feed waits for the run to be on record; None once it is.
        options: how it is to be run.
        asynchronous: its receiver is `async def`.
        on_record: it stands in the table, unstarted, and may have been revoked there.
        due: when a run that waits for its retry may start.
        members: the runs of a batch.
    """

    __slots__ = (
        "ahead", "asynchronous", "changed_object", "dropped", "due", "execution", "former_lane", "interrupted", "lane",
        "loaded", "loaded_at", "may_begin", "members", "number", "on_record", "options", "place", "refused", "run",
        "started_on_record", "step", "submitted_at", "user", "worker",
    )  # fmt: skip

    def __init__(
        self,
        run: Run,
        step: Step | None,
        options: JobOptions,
        asynchronous: bool,
        *,
        on_record: bool,
        due: datetime | None,
        members: list[Member] | None = None,
    ) -> None:
        self.run = run
        self.step = step
        self.members = members
        # How much of rows those held that were taken out of it, in characters.
        self.dropped = 0
        self.options = options
        self.asynchronous = asynchronous
        self.on_record = on_record or any(member.on_record for member in members or ())
        self.due = due
        # What it must not overtake: its row's lane and, where its change has given the row another key, that of the
        # former key.
        self.lane: Lane = run.lane if options.ordered or members is not None else (run.id,)
        self.former_lane: Lane | None = None
        # In how many of the two something stands before it; and when it came to them.
        self.ahead = 0
        self.number = 0
        self.submitted_at = time.monotonic()
        self.started_on_record = False
        self.interrupted = False
        # For whom it is, and its row, once they are known; or what stands in the way of them.
        self.user: str | None = None
        self.changed_object: Any = None
        self.refused: Exception | None = None
        self.loaded_at: float | None = None
        # Whether what stands on record of it was looked at, since it stands there.
        self.may_begin = False
        # How much of a row was loaded for it, in characters.
        self.loaded = 0
        # What gives back the place that it takes among those that are got ready.
        self.place: Callable[[], None] | None = None
        self.execution: Execution | None = None
        self.worker: Any = None

    @property
    def size(self) -> int:
        """How much of rows it holds, in characters."""
        if self.members is not None:
            return sum(member.size for member in self.members) + self.dropped
        return size_of(self.run)

    def drop_members(self, run_ids: Collection[int]) -> None:
        """Take runs out of a batch that is to go on without them; one at least is left."""
        assert self.members is not None
        # It was counted with what is in memory, and is until this ticket leaves.
        self.dropped += sum(member.size for member in self.members if member.run.id in run_ids)
        self.members = [member for member in self.members if member.run.id not in run_ids]
        self.run = Batch.of([member.run for member in self.members])


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
    texts = [cause.object_id_json, cause.object_repr, cause.db_user, cause.user_name]
    if isinstance(cause, ObjectChange):
        texts += [
            cause.prechange_json, cause.postchange_json, cause.request_id, cause.change_context, cause.capture_error,
        ]  # fmt: skip
    return sum(map(len, filter(None, texts)))
