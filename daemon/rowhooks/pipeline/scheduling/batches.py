"""Batches: gathers the runs of a hook whose receiver takes many changes in one call."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator

from rowhooks.pipeline.scheduling.tasks import Task


class _Line:
    """What waits of one hook."""

    def __init__(self) -> None:
        self.tasks: deque[Task] = deque()
        self.is_busy = False
        self.timer: asyncio.TimerHandle | None = None


class Batches:
    """Makes one task of several that wait: when there are enough of them, or the first has waited long enough.

    One batch of a hook runs at a time. What comes meanwhile is gathered for the next: batches grow with the load.

    Args:
        formed: takes the task of a batch.
    """

    def __init__(self, formed: Callable[[Task], None]) -> None:
        self._formed = formed
        self._lines: defaultdict[int, _Line] = defaultdict(_Line)
        self._count = 0

    def __len__(self) -> int:
        """Return how many runs wait for a batch to be made of them."""
        return self._count

    def __iter__(self) -> Iterator[Task]:
        """Go through what waits."""
        for line in self._lines.values():
            yield from line.tasks

    def gather(self, task: Task) -> None:
        """Take the task of one run; those of one hook in the order of their changes."""
        line = self._lines[task.run.origin.id]
        line.tasks.append(task)
        self._count += 1
        if not line.is_busy:
            self._look(line)

    def ended(self, task: Task) -> None:
        """Note that a batch has ended."""
        line = self._lines[task.run.origin.id]
        line.is_busy = False
        if line.tasks:
            self._look(line)

    def close(self) -> None:
        """Forget what waits."""
        for line in self._lines.values():
            if line.timer is not None:
                line.timer.cancel()
        self._lines.clear()
        self._count = 0

    def _look(self, line: _Line) -> None:
        options = line.tasks[0].options
        if len(line.tasks) >= (options.batch_size or 1):
            self._form(line)
        elif line.timer is None:
            waited = time.monotonic() - line.tasks[0].submitted_at
            line.timer = asyncio.get_running_loop().call_later(max(0.0, options.batch_wait - waited), self._form, line)

    def _form(self, line: _Line) -> None:
        if line.timer is not None:
            line.timer.cancel()
            line.timer = None
        if line.is_busy or not line.tasks:
            return
        size = min(len(line.tasks), line.tasks[0].options.batch_size or 1)
        parts = [line.tasks.popleft() for _ in range(size)]
        self._count -= size
        line.is_busy = True
        self._formed(Task.of(parts))
