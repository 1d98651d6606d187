"""Runs that stand on record and have not ended: fetched from the table and handed to the scheduler."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime

from rowhooks.domain.configuration import Configuration, JobButton, JobHook, WithoutClass
from rowhooks.domain.errors import DatabaseError, ReceiverError
from rowhooks.domain.run import PENDING, Run, now
from rowhooks.pipeline.execution.outcomes import failed
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.scheduler import Scheduler
from rowhooks.postgres.recovery import Left, NewKey, TakenUp, UnfinishedRuns

logger = logging.getLogger(__name__)


class Recovery:
    """Takes up what an earlier leader left, what was asked for by hand, and what waits in the table for its turn.

    Args:
        unfinished: finds and takes them.
        recorder: takes the outcome of those that cannot be run any more.
        configuration: returns the present one.
    """

    def __init__(
        self, unfinished: UnfinishedRuns, recorder: Recorder, configuration: Callable[[], Configuration]
    ) -> None:
        self._unfinished = unfinished
        self._recorder = recorder
        self._configuration = configuration

    async def fetch(self, result_ids: Sequence[int]) -> list[tuple[Run, datetime | None]]:
        """Return runs by their ids, each with the time it is due; those that are not to be run any more are missing."""
        return await self._runnable(await self._unfinished.adopt(result_ids, self._configuration()))

    async def adopt(self, scheduler: Scheduler, limit: int) -> None:
        """Take over what earlier leaders left unfinished, so many at once."""
        without_class = self._configuration().without_class()
        await self._unfinished.set_aside(without_class)
        count = await self._take_over(
            scheduler, lambda after_id: self._unfinished.left(after_id, limit, without_class), None
        )
        if count:
            logger.info("%d unfinished runs of an earlier leader were taken over", count)

    async def _take_over(
        self, scheduler: Scheduler, left: Callable[[int], Awaitable[list[Left]]], only: Collection[int] | None
    ) -> int:
        """Hand runs to the scheduler in their order, with what joins their lanes; return how many they were.

        Args:
            scheduler: takes them.
            left: returns the next of them behind an id.
            only: hooks whose lanes are joined; None: all.
        """
        count = after_id = 0
        new_keys = deque(await self._unfinished.noted())
        jobs = {(isinstance(one, JobHook), one.id): one.job for one in self._origins()}
        while found := await left(after_id):
            # What waits behind many others, in its lane or in memory, stays in the table until its turn comes nearer.
            shelved = {
                one.result_id for one in found
                if one.status == PENDING and scheduler.is_better_shelved(one.lanes, jobs.get(one.origin))
            }  # fmt: skip
            fetched = await self.fetch([one.result_id for one in found if one.result_id not in shelved])
            runnable = {run.id: (run, due) for run, due in fetched}
            for one in found:
                while new_keys and new_keys[0].id < one.result_id:
                    self._follow(scheduler, new_keys.popleft(), only)
                if one.result_id in shelved:
                    scheduler.shelve(one.lanes, one.result_id, jobs.get(one.origin))
                elif one.result_id in runnable:
                    run, due = runnable[one.result_id]
                    scheduler.submit(run, None, due=due)
            count, after_id = count + len(found), found[-1].result_id
        for new_key in new_keys:
            self._follow(scheduler, new_key, only)
        return count

    def _origins(self) -> Sequence[JobHook | JobButton]:
        configuration = self._configuration()
        return (*configuration.hooks, *configuration.buttons)

    def _follow(self, scheduler: Scheduler, new_key: NewKey, only: Collection[int] | None) -> None:
        hooks = [
            hook
            for hook in self._configuration().hooks
            if new_key.table_id in hook.tables and (only is None or hook.id in only)
        ]
        scheduler.join(hooks, new_key.table_id, new_key.key, new_key.former_key)

    async def release(self, origins: WithoutClass, scheduler: Scheduler, limit: int) -> None:
        """Take up what has waited for the class of these hooks and buttons, so many at once."""
        # What was kept of late may not be on record yet.
        await self._recorder.flush()
        count = await self._take_over(
            scheduler, lambda after_id: self._unfinished.release(origins, limit), origins.hooks
        )
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
