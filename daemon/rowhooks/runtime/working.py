"""Working: what a worker does for one leader, from the first group that it takes to the end of that leadership."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rowhooks.domain.configuration import Configuration
from rowhooks.domain.errors import LeadershipLost
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.run import Run
from rowhooks.pipeline.concurrency import first_of, forever
from rowhooks.pipeline.execution.runner import Runner
from rowhooks.pipeline.progress import Progress
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.loop_pool import LoopPool
from rowhooks.pipeline.scheduling.placement import Placement
from rowhooks.pipeline.scheduling.preparation import Preparation
from rowhooks.pipeline.scheduling.rows import Rows
from rowhooks.pipeline.scheduling.scheduler import Scheduler
from rowhooks.pipeline.scheduling.thread_pool import ThreadPool
from rowhooks.postgres.configuration_source import PostgresConfiguration
from rowhooks.postgres.dispatch.working import Claimed, DispatchedResults, WorkBoard
from rowhooks.postgres.feed import PostgresFeed
from rowhooks.postgres.recovery import TakenUp, UnfinishedRuns
from rowhooks.postgres.rows.loading import PostgresObjects
from rowhooks.postgres.rows.tables import Tables
from rowhooks.postgres.sessions.fences import Fence
from rowhooks.postgres.sessions.groups import groups_of
from rowhooks.postgres.sessions.workspaces import MOST_ABANDONED, Workspaces
from rowhooks.postgres.values import RowDecoder
from rowhooks.runtime.assembly import Connections
from rowhooks.runtime.calls import Calls
from rowhooks.runtime.context import DaemonContext, Targets
from rowhooks.runtime.in_hand import NOBODYS, TAKEN, InHand

logger = logging.getLogger(__name__)

SWEEP_INTERVAL = 1.0
"""Seconds between looks for groups where no notification came, and for what was taken away."""
CLAIMED_TOGETHER = 4
"""Groups taken by one statement at the most."""
_NOWHERE = Position(Snapshot(1, 1))
"""The position of the feed is the leader's."""


class Working:
    """Takes groups of one leader, executes their runs, and says what it has done.

    Args:
        context: of the worker.
        targets: the ways to the database.
        board: where groups are taken.
        leader_epoch: of the leader.
    """

    def __init__(self, context: DaemonContext, targets: Targets, board: WorkBoard, leader_epoch: uuid.UUID) -> None:
        self._context = context
        self._targets = targets
        self._board = board
        self._leader_epoch = leader_epoch
        self._configuration = Configuration(0, {}, (), ())
        self._use: Callable[[Configuration], Coroutine[Any, Any, None]]
        self.wake = asyncio.Event()
        self._in_hand = InHand({True: context.settings.tasks, False: context.settings.threads}, self.wake)
        self.found_nothing = asyncio.Event()
        """Set when there was a reason to look for groups, and none was there."""
        # The connection of the board takes one statement at a time.
        self.turn = asyncio.Lock()
        self._calls = Calls()
        self._is_stopping = False
        self.late = 0

    async def run(self, connections: Connections, stack: contextlib.AsyncExitStack) -> None:
        """Work until told to stop; raise what ends it.

        Args:
            connections: the worker's own, beside the board's.
            stack: closes what this opens.
        """
        decoder = RowDecoder()
        source = PostgresConfiguration(connections.feed)
        feed = PostgresFeed(connections.feed, decoder, lambda: self._load(source))
        results = DispatchedResults(connections.record, self._leader_epoch, self._in_hand.group_of, connections.start)
        recorder = Recorder(results, Progress(_NOWHERE), events=self._context.events)
        unfinished = UnfinishedRuns(connections.feed, feed, self._leader_epoch)
        scheduler = await self._scheduler(recorder, decoder, feed, stack)
        await self._load(source)
        work = [
            recorder.run(), scheduler.dispatch(), scheduler.sweep(), scheduler.watch_revocations(),
            self._take(scheduler, unfinished, source), self._report(recorder),
            forever(SWEEP_INTERVAL, self._check_held),
        ]  # fmt: skip
        tasks = [asyncio.create_task(one) for one in work]
        stopping = asyncio.create_task(self._context.stopping.wait())
        try:
            await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
            problem = next((task.exception() for task in tasks if task.done()), None)
            if problem is not None:
                raise problem
            await self._stop(scheduler, recorder)
        except BaseException:
            # What is not in hand any more is not recorded: the leader may not know yet that it has to take it back.
            self._in_hand.forget(list(self._in_hand.groups))
            # What its receivers still do is fenced off; their transactions must not keep the next attempts waiting.
            scheduler.abandon()
            self.late = await scheduler.finish(0.0)
            raise
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)

    async def execute(self, group: uuid.UUID) -> int:
        """Take a group, and wait until it is executed.

        Returns:
            How many runs it has had here; 0: it is gone, done or another worker's, or this worker stops.
        """
        self.wake.set()
        return await self._calls.wait_for(group, in_hand=group in self._in_hand.groups)

    def end_calls(self) -> None:
        """Let no call wait any more: nothing more is executed."""
        self._calls.close()

    async def _stop(self, scheduler: Scheduler, recorder: Recorder) -> None:
        """Let what runs end within the grace period; what has not begun goes back to the leader."""
        self._is_stopping = True
        self._calls.end(dict.fromkeys(self._calls.take(), 0))
        self.late = await scheduler.finish(self._context.settings.grace_period)
        await recorder.flush()
        async with self.turn:
            groups = self._in_hand.groups
            await self._board.finish(list(groups), {one.id: one.refused for one in groups.values()})

    async def _scheduler(
        self, recorder: Recorder, decoder: RowDecoder, feed: PostgresFeed, stack: contextlib.AsyncExitStack
    ) -> Scheduler:
        context, settings, targets = self._context, self._context.settings, self._targets
        tables = Tables(context.models)
        loader = PostgresObjects(
            targets.main, context.catalog.permissions, targets.receivers, row_security=settings.row_security,
            tables=tables,
        )  # fmt: skip
        stack.push_async_callback(loader.close)
        threads = ThreadPoolExecutor(settings.threads + MOST_ABANDONED, thread_name_prefix="receiver")
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        workspaces = Workspaces(
            targets.receivers, self._fence_of,
            threads=settings.threads, async_connections=settings.async_connections, tables=tables,
        )  # fmt: skip
        stack.push_async_callback(workspaces.close)
        rows = Rows(loader, context.catalog)
        runner = Runner(context.catalog, workspaces, threads, rows.reload, context.clean, context.events)
        pools = (LoopPool(settings.tasks, runner), ThreadPool(settings.threads, runner, threads, groups_of(workspaces)))
        preparation = Preparation(recorder, rows, loader, pools)
        # It executes whatever it has taken.
        placement = Placement(context.catalog, own_queues=None)
        scheduler = Scheduler(
            recorder,
            preparation,
            placement,
            _fetch_nothing,
            context.events,
            lambda task: self._in_hand.end(task.run.id),
        )

        async def use(loaded: Configuration) -> None:
            decoder.learn(loaded.tables)
            feed.tables = loaded.tables
            await loader.follower.learn(
                loaded.tables, {table for hook in loaded.hooks if hook.enabled for table in hook.tables}
            )
            scheduler.learn(loaded.tables)

        self._use = use
        return scheduler

    def _fence_of(self, run: Run) -> Fence:
        return Fence(self._leader_epoch, self._in_hand.group_of.get(run.id, NOBODYS))

    async def _load(self, source: PostgresConfiguration) -> None:
        self._configuration = await source.load()
        await self._use(self._configuration)

    # Taking groups.

    async def _take(self, scheduler: Scheduler, unfinished: UnfinishedRuns, source: PostgresConfiguration) -> None:
        while True:
            # Before it looks: what is handed out meanwhile may be too late for this look.
            self.wake.clear()
            while not self._is_stopping and (claimed := await self._claim()):
                for one in claimed:
                    self._in_hand.take(one)
                if max(one.version for one in claimed) != self._configuration.version:
                    await self._load(source)
                await self._begin(claimed, scheduler, unfinished)
            await first_of(self.wake.wait(), asyncio.sleep(SWEEP_INTERVAL))

    async def _claim(self) -> list[Claimed]:
        """Take the groups that this worker was called for; else, where there is room, the next ones."""
        if called := self._calls.take():
            async with self.turn:
                claimed = await self._board.claim_called(self._leader_epoch, called)
            mine = self._in_hand.groups.keys() | {one.id for one in claimed}
            self._calls.end({id_: 0 for id_ in called if id_ not in mine})
            if claimed:
                return claimed
        kinds = self._in_hand.kinds_with_room()
        if not kinds:
            return []
        async with self.turn:
            claimed = await self._board.claim(self._leader_epoch, kinds, CLAIMED_TOGETHER)
        if not claimed:
            # There may be a new leader, whose groups it cannot take.
            self.found_nothing.set()
        return claimed

    async def _begin(self, claimed: list[Claimed], scheduler: Scheduler, unfinished: UnfinishedRuns) -> None:
        """Read the runs of groups, and hand them to the scheduler."""
        tasks = [task for one in claimed for task in one.tasks]
        found = {
            one.result_id: one
            for one in await unfinished.described([run for task in tasks for run in task], self._configuration)
        }
        for task in tasks:
            singles = [found[run["result_id"]] for run in task]
            problem = next((_problem_of(one) for one in singles if _problem_of(one) is not None), None)
            if problem is not None:
                self._in_hand.end(task[0]["result_id"], problem)
                continue
            runs = [one.run for one in singles if one.run is not None]
            if len(task) > 1 or self._context.catalog.options(runs[0].job.class_path).batch_size is not None:
                scheduler.admission.admit_batch(runs)
            else:
                scheduler.admission.admit(runs[0], None)

    # Saying what was done.

    async def _report(self, recorder: Recorder) -> None:
        while True:
            await self._in_hand.has_finished.wait()
            finished = self._in_hand.finished()
            # What the leader is told of is on record by then.
            await recorder.flush()
            async with self.turn:
                await self._board.finish(
                    [one.id for one in finished], {one.id: one.refused for one in finished if one.refused}
                )
            self._in_hand.forget([one.id for one in finished])
            self._calls.end({one.id: one.size for one in finished})
            self.wake.set()

    async def _check_held(self) -> None:
        """See that nothing was taken away from this worker.

        Raises:
            LeadershipLost: something was. What stands behind it in its lanes may come again, in another group, and must
                not be executed before it: nothing of what is in memory goes on.
        """
        groups = self._in_hand.groups
        if not groups:
            return
        asked = list(groups)
        async with self.turn:
            held = await self._board.held(asked)
        if any(id_ not in held and id_ in groups for id_ in asked):
            raise LeadershipLost(TAKEN)


async def _fetch_nothing(ids: Collection[int]) -> list[Any]:
    assert not ids, "a worker leaves nothing to the table"
    return []


def _problem_of(found: TakenUp) -> str | None:
    """Return why a run cannot be executed at all; None where it can."""
    if found.problem is not None:
        return found.problem
    return "its hook, button or change is gone" if found.run is None else None
