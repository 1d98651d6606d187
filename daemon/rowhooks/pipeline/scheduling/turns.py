"""Turns: of a job that says so, only so many runs at a time."""

from __future__ import annotations

from collections import Counter, deque

from rowhooks.pipeline.scheduling.tasks import Task


class Turns:
    """Says how many tasks of each such job have a turn, and what waits for one, by the jobs' ids."""

    def __init__(self) -> None:
        self._taken: Counter[int] = Counter()
        self._waiting: dict[int, deque[Task]] = {}

    def waiting(self, job_id: int) -> int:
        """Return how many tasks of a job wait for their turn."""
        return len(self._waiting.get(job_id, ()))

    def take(self, task: Task) -> bool:
        """Give a task one of its job's turns; False where it has to wait for one."""
        job_id, most = task.run.job.id, task.options.turns
        assert most is not None, "the job has turns"
        if self._taken[job_id] < most:
            self._taken[job_id] += 1
            return True
        self._waiting.setdefault(job_id, deque()).append(task)
        return False

    def pass_on(self, task: Task) -> Task | None:
        """Take a task's turn back; return the one that has it now."""
        job_id = task.run.job.id
        waiting = self._waiting.get(job_id)
        if waiting:
            following = waiting.popleft()
            if not waiting:
                del self._waiting[job_id]
            return following
        self._taken[job_id] -= 1
        if not self._taken[job_id]:
            del self._taken[job_id]
        return None

    def clear(self) -> None:
        """Forget everything."""
        self._taken.clear()
        self._waiting.clear()
