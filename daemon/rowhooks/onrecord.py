"""Runs that stand on record and have not ended: fetched from the table and handed to the scheduler."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from rowhooks.domain.errors import DatabaseError, ReceiverError
from rowhooks.domain.hook import Configuration, WithoutClass
from rowhooks.domain.run import PENDING, Run, now
from rowhooks.pipeline.outcomes import failed
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduler import Scheduler
from rowhooks.postgres.unfinished import NewKey, TakenUp, Unfinished

logger = logging.getLogger(__name__)


class OnRecord:
    """Takes up what an earlier leader left, what was asked for by hand, and what waits in the table for its turn.

    Args:
        unfinished: finds and takes them.
        recorder: takes the outcome of those that cannot be run any more.
        configuration: returns the present one.
    """

    def __init__(self, unfinished: Unfinished, recorder: Recorder, configuration: Callable[[], Configuration]) -> None:
        self._unfinished = unfinished
        self._recorder = recorder
        self._configuration = configuration

    async def fetch(self, result_ids: Sequence[int]) -> list[tuple[Run, datetime | None]]:
        """Return runs by their ids, each with the time it is due; those that are not to be run any more are missing."""
        return await self._runnable(await self._unfinished.adopt(result_ids, self._configuration()))

    async def adopt(self, scheduler: Scheduler, limit: int) -> None:
        """Take over what earlier leaders left unfinished, so many at once."""
        count, after_id = 0, 0
        new_keys = deque(await self._unfinished.noted())
        without_class = self._configuration().without_class()
        await self._unfinished.set_aside(without_class)
        while left := await self._unfinished.left(after_id, limit, without_class):
            # What waits behind many others in its lane stays in the table until its turn comes nearer.
            shelved = {one.result_id for one in left if one.status == PENDING and scheduler.is_long(one.lanes)}
            found = await self.fetch([one.result_id for one in left if one.result_id not in shelved])
            runnable = {run.id: (run, due) for run, due in found}
            for one in left:
                while new_keys and new_keys[0].id < one.result_id:
                    self._follow(scheduler, new_keys.popleft())
                if one.result_id in shelved:
                    scheduler.shelve(one.lanes, one.result_id)
                elif one.result_id in runnable:
                    run, due = runnable[one.result_id]
                    scheduler.submit(run, None, due=due)
            count, after_id = count + len(left), left[-1].result_id
        for new_key in new_keys:
            self._follow(scheduler, new_key)
        if count:
            logger.info("%d unfinished runs of an earlier leader were taken over", count)

    def _follow(self, scheduler: Scheduler, new_key: NewKey, only: Collection[int] | None = None) -> None:
        hooks = [
            hook
            for hook in self._configuration().hooks
            if new_key.table_id in hook.tables and (only is None or hook.id in only)
        ]
        scheduler.join(hooks, new_key.table_id, new_key.key, new_key.former_key)

    async def release(self, starters: WithoutClass, scheduler: Scheduler, limit: int) -> None:
        """Take up what has waited for the class of these hooks and buttons, so many at once."""
        # What was kept of late may not be on record yet.
        await self._recorder.flush()
        count = 0
        new_keys = deque(await self._unfinished.noted())
        while taken_up := await self._unfinished.release(starters, self._configuration(), limit):
            for run, due in await self._runnable(taken_up):
                while new_keys and new_keys[0].id < run.id:
                    self._follow(scheduler, new_keys.popleft(), starters.hooks)
                scheduler.submit(run, None, due=due)
            count += len(taken_up)
        for new_key in new_keys if count else ():
            self._follow(scheduler, new_key, starters.hooks)
        if count:
            logger.info("%d runs that waited for their job were taken up", count)

    async def claim(self, scheduler: Scheduler, limit: int) -> bool:
        """Take up what was asked for by hand, so many at once; say whether more may wait."""
        taken_up = await self._unfinished.claim(self._configuration(), limit)
        for run, due in await self._runnable(taken_up):
            scheduler.submit(run, None, due=due)
        return bool(taken_up)

    async def _runnable(self, taken_up: list[TakenUp]) -> list[tuple[Run, datetime | None]]:
        lost = [one.result_id for one in taken_up if one.run is None]
        if lost:
            logger.warning("%d runs cannot be run any more: their hook, button or change is gone", len(lost))
            await self._unfinished.revoke(lost)
        if waiting := [one.result_id for one in taken_up if one.run is not None and not one.run.job.installed]:
            await self._unfinished.set_aside_these(waiting)
        runnable = []
        for one in taken_up:
            if one.run is None or not one.run.job.installed:
                continue
            job = one.run.job
            if one.problem is not None:
                self._recorder.submit(failed(one.run, now(), DatabaseError(one.problem)), None)
            elif one.run.asked_for and not job.enabled:
                problem = ReceiverError(f"job {job.class_path} is disabled")
                self._recorder.submit(failed(one.run, now(), problem), None)
            else:
                runnable.append((one.run, one.due))
        return runnable
