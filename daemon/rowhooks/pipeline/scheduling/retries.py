"""Retries: what waits for its retry, in memory or, where there is much, in the table alone."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Collection
from datetime import datetime

from rowhooks.domain.run import now
from rowhooks.pipeline.scheduling.tasks import Lane, Task


class Parked:
    """The tasks in memory that wait for their retry.

    Args:
        due: called with each task that waits no more.
    """

    def __init__(self, due: Callable[[Task], None]) -> None:
        self._due = due
        self.tasks: dict[Task, asyncio.TimerHandle] = {}

    def park(self, task: Task) -> bool:
        """Wait until a task is due; False where it is."""
        if task.due is not None and (delay := (task.due - now()).total_seconds()) > 0:
            self.tasks[task] = asyncio.get_running_loop().call_later(delay, self._unpark, task)
            return True
        task.due = None
        return False

    def forget(self, task: Task) -> None:
        """Wait for a task no more, if it waits here."""
        if (timer := self.tasks.pop(task, None)) is not None:
            timer.cancel()

    def clear(self) -> None:
        """Forget everything."""
        for timer in self.tasks.values():
            timer.cancel()
        self.tasks.clear()

    def _unpark(self, task: Task) -> None:
        del self.tasks[task]
        task.due = None
        self._due(task)


class LaterRetries:
    """The lanes whose first run waits for its retry and is not in memory, by the time at which it is due."""

    def __init__(self) -> None:
        self._by_time: list[tuple[datetime, int]] = []
        self._lanes: dict[int, Lane] = {}

    def put(self, due: datetime, run_id: int, lane: Lane) -> None:
        """Take the lane of a run."""
        self._lanes[run_id] = lane
        heapq.heappush(self._by_time, (due, run_id))

    def due(self, limit: int) -> list[Lane]:
        """Return lanes whose first run is due, so many at the most, and forget them."""
        moment = now()
        found: list[Lane] = []
        while self._by_time and self._by_time[0][0] <= moment and len(found) < limit:
            _, run_id = heapq.heappop(self._by_time)
            found += self.take([run_id])
        return found

    def take(self, run_ids: Collection[int]) -> list[Lane]:
        """Return the lanes of these runs, as far as they wait here, and forget them."""
        return [self._lanes.pop(id_) for id_ in run_ids if id_ in self._lanes]

    def next_to_ask(self, limit: int) -> list[int]:
        """Return runs of which it is to be asked whether they were revoked; each in its turn."""
        ids = list(itertools.islice(self._lanes, limit))
        for run_id in ids:
            # To the end.
            self._lanes[run_id] = self._lanes.pop(run_id)
        return ids

    def clear(self) -> None:
        """Forget everything."""
        self._by_time.clear()
        self._lanes.clear()
