"""Turns: of a job that is a singleton, one run at a time."""

from __future__ import annotations

from collections import deque

from rowhooks.pipeline.scheduling.tasks import Task


class Turns:
    """Says which task has the turn of each singleton, and what waits for it, by the jobs' ids."""

    def __init__(self) -> None:
        self._waiting: dict[int, deque[Task]] = {}

    def waiting(self, job_id: int) -> int:
        """Return how many tasks of a job wait for their turn."""
        return len(self._waiting.get(job_id, ()))

    def take(self, task: Task) -> bool:
        """Give a task its job's turn; False where it has to wait for it."""
        waiting = self._waiting.get(task.run.job.id)
        if waiting is None:
            self._waiting[task.run.job.id] = deque()
            return True
        waiting.append(task)
        return False

    def pass_on(self, task: Task) -> Task | None:
        """Take a task's turn back; return the one that has it now."""
        waiting = self._waiting[task.run.job.id]
        if waiting:
            return waiting.popleft()
        del self._waiting[task.run.job.id]
        return None

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
