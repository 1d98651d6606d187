"""Missing jobs: runs of jobs that the leader's code does not have are kept on record, up to a limit."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rowhooks.domain import shell
from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobHook
from rowhooks.domain.run import PENDING, Outcome, Run
from rowhooks.pipeline.progress import Progress, Step
from rowhooks.pipeline.recorder import Recorder

logger = logging.getLogger(__name__)

RECOUNT_INTERVAL = 10.0
"""Seconds between looks whether there is room again, where a job has as many runs as may wait."""


@dataclass(frozen=True)
class Missed:
    """Changes that were not kept for a hook.

    Args:
        hook_id: rowhooks.job_hook.id.
        changes: how many.
        first: when the first of them was made.
        last: when the last of them was.
    """

    hook_id: int
    changes: int
    first: datetime
    last: datetime

    def and_at(self, moment: datetime) -> Missed:
        """Return the same with one change more."""
        return Missed(self.hook_id, self.changes + 1, min(self.first, moment), max(self.last, moment))


class RunsWithoutClass:
    """Keeps runs for a leader whose code has their class; what goes beyond the limit is counted, and not kept.

    Args:
        recorder: puts them on record as PENDING.
        progress: the steps of the feed.
        limit: how many runs of one job may wait.
        count: returns how many wait, by the jobs' ids.
        note: writes down what was not kept.
    """

    def __init__(
        self,
        recorder: Recorder,
        progress: Progress,
        limit: int,
        count: Callable[[], Awaitable[Mapping[int, int]]],
        note: Callable[[Sequence[Missed]], Awaitable[None]],
    ) -> None:
        self._recorder = recorder
        self._progress = progress
        self._limit = limit
        self._count = count
        self._note = note
        self._waiting: Counter[int] = Counter()
        self._counted_at: float | None = None
        self._missed: dict[int, Missed] = {}
        self._steps: list[Step] = []
        self._said: set[int] = set()

    def is_in_doubt(self) -> bool:
        """Say whether it is time to count what waits: at the beginning, and now and then where there is no room."""
        if self._counted_at is None:
            return True
        is_full = any(count >= self._limit for count in self._waiting.values())
        return is_full and time.monotonic() - self._counted_at > RECOUNT_INTERVAL

    async def recount(self) -> None:
        """Count what waits: some may have been revoked."""
        # What was kept before is on record then.
        await self._recorder.flush()
        self._waiting = Counter(await self._count())
        self._counted_at = time.monotonic()

    def has_room(self, hook: JobHook) -> bool:
        """Say whether one more run of a hook's job may wait."""
        return self._waiting[hook.job.id] < self._limit

    def keep(self, run: Run, step: Step) -> None:
        """Put a run on record, to wait."""
        self._waiting[run.job.id] += 1
        self._recorder.take(Outcome(run, PENDING, None), step)

    def miss(self, hook: JobHook, change: ObjectChange, step: Step) -> None:
        """Count a change that is not kept for a hook; the position does not pass it before that is written down."""
        found = self._missed.get(hook.id)
        self._missed[hook.id] = (
            Missed(hook.id, 1, change.time, change.time) if found is None else found.and_at(change.time)
        )
        self._steps.append(step)
        if hook.id not in self._said:
            self._said.add(hook.id)
            logger.error(
                "hook %s: %d runs wait already for its job %s, as many as waiting_limit allows: its changes are counted"
                " from now on, and not kept; when a daemon has the job: %s",
                hook.name, self._waiting[hook.job.id], hook.job.class_path,
                shell.command("rowhooks", "replay", "--since", change.time.isoformat(), "--hook", hook.name),
                extra={"hook": hook.name},
            )  # fmt: skip

    @property
    def has_missed(self) -> bool:
        """Whether there is something to write down."""
        return bool(self._steps)

    async def write_down(self) -> None:
        """Write down what was missed since the last call, and let the position pass it."""
        missed, steps = list(self._missed.values()), self._steps
        self._missed, self._steps = {}, []
        await self._note(missed)
        self._progress.record(steps)
