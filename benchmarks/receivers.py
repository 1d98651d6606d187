"""The receivers that are measured."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy

from rowhooks import JobHookReceiver, ObjectChange

starts: dict[int, int] = {}
"""Row id -> CLOCK_MONOTONIC in nanoseconds when `Stopwatch` began; the clock is the same in every process."""
batches: list[int] = []
"""The size of each batch that `Batch` was given."""
WRITE = sqlalchemy.text("insert into bench.written (change_id) values (:change_id)")


class AsyncNoOp(JobHookReceiver):
    """An `async def` receiver that does nothing."""

    class Meta:
        loads_object = False

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Do nothing."""


class PlainNoOp(JobHookReceiver):
    """A plain receiver that does nothing."""

    class Meta:
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Do nothing."""


class AsyncReading(JobHookReceiver):
    """An `async def` receiver that reads `changed_object`."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Read one column."""
        if not changed_object.name:
            raise ValueError(f"change {change.id}: a device without a name")


class PlainReading(JobHookReceiver):
    """A plain receiver that reads `change.postchange`."""

    class Meta:
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Read one column."""
        if not change.postchange or not change.postchange["name"]:
            raise ValueError(f"change {change.id}: a device without a name")


class Saving(JobHookReceiver):
    """A plain receiver that loads its row, and saves it in its transaction."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Write one column."""
        changed_object.comments = f"seen in change {change.id}"
        changed_object.save()


class Writing(JobHookReceiver):
    """A plain receiver that writes one row of another table in its transaction."""

    class Meta:
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Write one row."""
        self.session.execute(WRITE, {"change_id": change.id})


class WritingInGroups(Writing):
    """The same with `group_commit = 50`: up to 50 runs share a transaction."""

    class Meta:
        loads_object = False
        group_commit = 50


class Stopwatch(JobHookReceiver):
    """An `async def` receiver that notes when it began."""

    class Meta:
        loads_object = False

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Note the time."""
        began = time.monotonic_ns()
        starts[change.changed_object_id["id"]] = began


class BatchStopwatch(JobHookReceiver):
    """A batch receiver that notes when it began with each row."""

    async def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        """Note the time."""
        began = time.monotonic_ns()
        batches.append(len(changes))
        starts.update((change.changed_object_id["id"], began) for change in changes)


class Batch(JobHookReceiver):
    """A batch receiver that counts."""

    async def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        """Count."""
        batches.append(len(changes))


DRAINED: tuple[type[JobHookReceiver], ...] = (
    AsyncNoOp,
    PlainNoOp,
    PlainReading,
    AsyncReading,
    Writing,
    WritingInGroups,
    Saving,
    Batch,
)


class Sleeping(JobHookReceiver):
    """A plain receiver that waits for 10 ms."""

    class Meta:
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Wait, as for an answer from elsewhere."""
        time.sleep(0.01)


class Burning(JobHookReceiver):
    """A plain receiver that computes for 1 ms."""

    class Meta:
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        """Compute."""
        end = time.thread_time() + 0.001
        while time.thread_time() < end:
            pass


EXECUTED: tuple[type[JobHookReceiver], ...] = (PlainNoOp, Writing, Sleeping, Burning)
"""What is executed by workers."""
RECEIVERS = (*DRAINED, Sleeping, Burning, Stopwatch, BatchStopwatch)
