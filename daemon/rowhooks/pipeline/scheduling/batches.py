"""Batches: gathers the runs of a hook whose receiver takes many changes in one call."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator

from rowhooks.pipeline.scheduling.tasks import Task

LONGEST_LINE = 10_000
"""Runs of a hook that wait in memory; what comes after them waits in the table alone, by its id."""


class _Line:
    """What waits of one hook."""

    def __init__(self) -> None:
        self.tasks: deque[Task] = deque()
        # Behind them: the ids of runs that are on record and not in memory.
        self.shelf: deque[int] = deque()
        self.is_busy = False
        self.timer: asyncio.TimerHandle | None = None


class Batches:
    """Makes one task of several that wait: when there are enough of them, or the first has waited long enough.

    One batch of a hook runs at a time. What comes meanwhile is gathered for the next: batches grow with the load.

    Args:
        formed: takes the task of a batch.
        hungry: called when something is to be fetched from a shelf.
    """

    def __init__(self, formed: Callable[[Task], None], hungry: Callable[[], None]) -> None:
        self._formed = formed
        self._hungry = hungry
        self._short: dict[int, None] = {}
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

    def is_long(self, hook_id: int) -> bool:
        """Say whether what comes now to a hook must go on its shelf."""
        line = self._lines[hook_id]
        return bool(line.shelf) or hook_id in self._short or len(line.tasks) >= LONGEST_LINE

    def of(self, hook_id: int) -> Iterable[Task]:
        """Return what is in memory of a hook that has no shelf."""
        line = self._lines[hook_id]
        return () if line.shelf else line.tasks

    def shelve(self, hook_id: int, run_id: int) -> None:
        """Put a run that is on record, or will be before it is asked for, behind what waits of its hook."""
        self._lines[hook_id].shelf.append(run_id)
        self._ask_for_more(hook_id)

    def unshelve(self, limit: int) -> dict[int, list[int]]:
        """Return the ids of runs that are to be fetched, by their hooks; about `limit`. See `refill`."""
        taken: dict[int, list[int]] = {}
        for hook_id in list(self._short):
            if limit <= 0:
                break
            shelf = self._lines[hook_id].shelf
            taken[hook_id] = [shelf.popleft() for _ in range(min(len(shelf), limit))]
            limit -= len(taken[hook_id])
        return taken

    def refill(self, hook_id: int, tasks: Iterable[Task]) -> None:
        """Put what was fetched behind what waits of a hook."""
        self._short.pop(hook_id, None)
        for task in tasks:
            self.gather(task)
        self._ask_for_more(hook_id)

    def ended(self, task: Task) -> None:
        """Note that a batch has ended."""
        hook_id = task.run.origin.id
        line = self._lines[hook_id]
        line.is_busy = False
        if line.tasks:
            self._look(line)
        self._ask_for_more(hook_id)

    def close(self) -> None:
        """Forget what waits."""
        for line in self._lines.values():
            if line.timer is not None:
                line.timer.cancel()
        self._lines.clear()
        self._short.clear()
        self._count = 0

    def _ask_for_more(self, hook_id: int) -> None:
        line = self._lines[hook_id]
        size = line.tasks[0].options.batch_size or 1 if line.tasks else 1
        if line.shelf and hook_id not in self._short and len(line.tasks) <= size:
            self._short[hook_id] = None
            self._hungry()

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
