"""The receivers that are measured."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy

from rowhooks import JobHookReceiver, ObjectChange

_WRITE = sqlalchemy.text("insert into bench.written (change_id) values (:id)")

starts: dict[int, int] = {}
"""Row id -> CLOCK_MONOTONIC in nanoseconds when `Stopwatch` began; the clock is the same in every process."""


class AsyncNoOp(JobHookReceiver):
    """An `async def` receiver that does nothing."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Do nothing."""


class PlainNoOp(JobHookReceiver):
    """A plain receiver that does nothing."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Do nothing."""


class Saving(JobHookReceiver):
    """A plain receiver that changes its row."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Write one column."""
        changed_object.comments = f"seen in change {change.id}"
        changed_object.save()


class Stopwatch(JobHookReceiver):
    """An `async def` receiver that notes when it began."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Note the time."""
        began = time.monotonic_ns()
        starts[change.changed_object_id["id"]] = began


class Reading(JobHookReceiver):
    """An `async def` receiver that reads its row."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Read a column."""
        assert changed_object.name


class Writing(JobHookReceiver):
    """A plain receiver that writes a row in its transaction."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Write one row."""
        self.session.execute(_WRITE, {"id": change.id})


class Batched(JobHookReceiver):
    """A receiver that takes many changes at once."""

    async def receive_job_hooks(self, changes: list[ObjectChange]) -> int:
        """Count them."""
        return len(changes)


RECEIVERS: tuple[type[JobHookReceiver], ...] = (AsyncNoOp, PlainNoOp, Saving, Stopwatch, Reading, Writing, Batched)
