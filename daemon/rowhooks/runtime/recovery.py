"""Recovery: takes up unfinished runs that are on record, and hands them to the scheduler."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime

from rowhooks.domain.configuration import HooksAndButtons
from rowhooks.domain.errors import DatabaseError, ReceiverError
from rowhooks.domain.run import Run, now
from rowhooks.pipeline.execution.outcomes import failed
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.admission import Admission
from rowhooks.postgres.feed import PostgresFeed
from rowhooks.postgres.recovery import Left, NewKey, TakenUp, UnfinishedRuns
from rowhooks.runtime.configuration import ConfigurationHolder

logger = logging.getLogger(__name__)


class RunnableRuns:
    """Fetches unfinished runs from the table, without those that are not to be run any more.

    Args:
        unfinished: finds and takes them.
        recorder: takes the outcome of those that cannot be run any more.
        configuration: the one in force.
    """

    def __init__(self, unfinished: UnfinishedRuns, recorder: Recorder, configuration: ConfigurationHolder) -> None:
        self.unfinished = unfinished
        self._recorder = recorder
        self._configuration = configuration

    async def fetch(self, result_ids: Sequence[int]) -> list[tuple[Run, datetime | None]]:
        """Return runs by their ids, each with the time it is due; those that are not to be run any more are missing."""
        return await self._runnable(await self.unfinished.take_over(result_ids, self._configuration.current))

    async def take_requested(self, limit: int) -> tuple[list[tuple[Run, datetime | None]], bool]:
        """Take runs that were requested by hand, so many at the most; return them, and whether more may wait."""
        taken_up = await self.unfinished.take_requested(self._configuration.current, limit)
        return await self._runnable(taken_up), bool(taken_up)

    async def _runnable(self, taken_up: list[TakenUp]) -> list[tuple[Run, datetime | None]]:
        lost = [one.result_id for one in taken_up if one.run is None]
        if lost:
            logger.warning("%d runs cannot be run any more: their hook, button or change is gone", len(lost))
            await self.unfinished.revoke(lost)
        if waiting := [one.result_id for one in taken_up if one.run is not None and not one.run.job.installed]:
            await self.unfinished.set_aside_these(waiting)
        runnable = []
        for one in taken_up:
            if one.run is None or not one.run.job.installed:
                continue
            job = one.run.job
            if one.problem is not None:
                self._recorder.take(failed(one.run, now(), DatabaseError(one.problem)), None)
            elif one.run.is_requested and not job.enabled:
                problem = ReceiverError(f"job {job.class_path} is disabled")
                self._recorder.take(failed(one.run, now(), problem), None)
            else:
                runnable.append((one.run, one.due))
        return runnable


class Recovery:
    """Takes up what an earlier leader left, what was requested by hand, and what waited for its job.

    Args:
        runs: fetches them, on the connection of the feed.
        admission: takes them.
        recorder: puts on record what may not be there yet.
        configuration: the one in force.
        feed: says which version of the configuration is the newest.
        limit: how many runs are taken up in one statement.
    """

    def __init__(
        self,
        runs: RunnableRuns,
        admission: Admission,
        recorder: Recorder,
        configuration: ConfigurationHolder,
        feed: PostgresFeed,
        limit: int,
    ) -> None:
        self._runs = runs
        self._unfinished = runs.unfinished
        self._admission = admission
        self._recorder = recorder
        self._configuration = configuration
        self._feed = feed
        self._limit = limit

    async def take_over_unfinished(self) -> None:
        """Take over what earlier leaders left unfinished."""
        without_class = self._configuration.current.without_class()
        await self._unfinished.set_aside(without_class)
        count = await self._submit_all(
            lambda after_id: self._unfinished.left(after_id, self._limit, without_class), None
        )  # fmt: skip
        if count:
            logger.info("%d unfinished runs of an earlier leader were taken over", count)

    async def take_up_released(self, origins: HooksAndButtons) -> None:
        """Take up what has waited for the class of these hooks and buttons."""
        # The last runs that were kept may not be on record yet.
        await self._recorder.flush()
        count = await self._submit_all(
            lambda after_id: self._unfinished.take_released(origins, self._limit), origins.hooks
        )
        if count:
            logger.info("%d runs that waited for their job were taken up", count)

    async def take_up_requested(self) -> bool:
        """Take up what was requested by hand; say whether more may wait."""
        seen = self._feed.take_requested()
        if not (await self._unfinished.are_requested() if seen is None else seen):
            return False
        # A button may have been made and pressed since the last look.
        await self._configuration.follow((await self._feed.look())[1])
        runnable, has_more = await self._runs.take_requested(self._limit)
        for run, due in runnable:
            self._admission.admit(run, None, due=due)
        return has_more

    async def _submit_all(self, left: Callable[[int], Awaitable[list[Left]]], only: Collection[int] | None) -> int:
        """Hand runs to the scheduler in their order, with what joins their lanes; return how many they were.

        Args:
            left: returns the next of them behind an id.
            only: hooks whose lanes are joined; None: all.
        """
        admission = self._admission
        count = after_id = 0
        new_keys = deque(await self._unfinished.noted())
        configuration = self._configuration.current
        jobs = {(True, one.id): one.job for one in configuration.hooks}
        jobs |= {(False, one.id): one.job for one in configuration.buttons}
        while found := await left(after_id):
            # What waits behind many others, in its lane or in memory, stays in the table until its turn comes nearer.
            shelved = {
                one.result_id for one in found
                if admission.is_better_shelved(one.lanes, jobs.get(one.origin))
            }  # fmt: skip
            fetched = await self._runs.fetch([one.result_id for one in found if one.result_id not in shelved])
            runnable = {run.id: (run, due) for run, due in fetched}
            for one in found:
                while new_keys and new_keys[0].id < one.result_id:
                    self._follow(new_keys.popleft(), only)
                if one.result_id in shelved:
                    admission.shelve(one.lanes, one.result_id, jobs.get(one.origin), one.retry_at)
                elif one.result_id in runnable:
                    run, due = runnable[one.result_id]
                    admission.admit(run, None, due=due)
            count, after_id = count + len(found), found[-1].result_id
        for new_key in new_keys:
            self._follow(new_key, only)
        return count

    def _follow(self, new_key: NewKey, only: Collection[int] | None) -> None:
        hooks = [
            hook
            for hook in self._configuration.current.hooks
            if new_key.table_id in hook.tables and (only is None or hook.id in only)
        ]
        self._admission.join(hooks, new_key.table_id, new_key.key, new_key.former_key)
