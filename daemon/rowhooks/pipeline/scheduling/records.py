"""Records: what of a task is put on record, and when. The feed waits for each run until it is there in some status."""

from __future__ import annotations

from datetime import datetime

from rowhooks.domain.run import PENDING, STARTED, Outcome
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.tasks import Task

STARTED_AFTER = 1.0
"""Seconds after which a run that still goes on is recorded as STARTED, so that it holds the position back no longer."""


class Records:
    """Hands what becomes of tasks to the recorder, run by run.

    Args:
        recorder: writes it.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def put(self, task: Task, outcome: Outcome) -> None:
        """Put an outcome on record; nothing of the feed waits for the task from then on."""
        if not task.parts:
            self._recorder.take(outcome, task.step)
            task.step = None
            return
        for part, one in zip(task.parts, outcome.each(), strict=True):
            self._recorder.take(one, part.step)
            part.step = None

    def put_started(self, task: Task, started_at: datetime) -> None:
        """Put on record that a task goes on, once."""
        if not task.started_on_record:
            self.put(task, Outcome(task.run, STARTED, started_at))
            task.started_on_record = True

    def put_pending(self, task: Task) -> None:
        """Put on record that a task waits; what of it is there is left as it is.

        What is prepared already has to be looked at again before it begins: it may be revoked from now on.
        """
        for single in task.singles:
            self._put_one_pending(task, single)

    def put_late(self, task: Task, moment: float) -> None:
        """Put on record what waits for long."""
        for single in task.singles:
            if is_late(single, moment):
                self._put_one_pending(task, single)

    def _put_one_pending(self, task: Task, single: Task) -> None:
        if single.step is not None:
            self._recorder.take(Outcome(single.run, PENDING, None), single.step)
            single.on_record, single.step = True, None
            task.on_record, task.may_begin = True, False


def is_late(task: Task, moment: float) -> bool:
    """Say whether a task has been on its way for long, by time.monotonic()."""
    return task.submitted_at <= moment - STARTED_AFTER
