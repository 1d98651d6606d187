"""Assembly: puts the pipeline of one leadership together."""

from __future__ import annotations

import contextlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from rowhooks.domain.configuration import Configuration, HooksAndButtons
from rowhooks.domain.queues import is_allowed
from rowhooks.pipeline.execution.runner import Runner
from rowhooks.pipeline.matcher import Matcher
from rowhooks.pipeline.progress import Progress
from rowhooks.pipeline.reader import Reader
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.loop_pool import LoopPool
from rowhooks.pipeline.scheduling.missing_jobs import RunsWithoutClass
from rowhooks.pipeline.scheduling.placement import Placement
from rowhooks.pipeline.scheduling.preparation import Preparation
from rowhooks.pipeline.scheduling.rows import Rows
from rowhooks.pipeline.scheduling.scheduler import Scheduler
from rowhooks.pipeline.scheduling.thread_pool import ThreadPool
from rowhooks.pipeline.scheduling.worker_pool import WorkerPool
from rowhooks.postgres.dispatch.leading import DispatchBoard, take_back_all
from rowhooks.postgres.feed import PostgresFeed
from rowhooks.postgres.leadership import epoch as leadership
from rowhooks.postgres.leadership.epoch import Leadership
from rowhooks.postgres.recovery import UnfinishedRuns
from rowhooks.postgres.results import PostgresResults
from rowhooks.postgres.rows.loading import PostgresObjects
from rowhooks.postgres.rows.tables import Tables
from rowhooks.postgres.sessions.fences import Fence
from rowhooks.postgres.sessions.groups import groups_of
from rowhooks.postgres.sessions.workspaces import MOST_ABANDONED, Workspaces
from rowhooks.postgres.values import RowDecoder
from rowhooks.runtime.configuration import ConfigurationHolder
from rowhooks.runtime.context import DaemonContext, Targets, queues_of
from rowhooks.runtime.ingest import Ingest, Room
from rowhooks.runtime.recovery import Recovery, RunnableRuns
from rowhooks.runtime.submission import FeedConnection, Submission
from rowhooks.runtime.wakeups import WakeUps


@dataclass(frozen=True)
class Connections:
    """The leader's own connections, beside that with the leader lock and those of the bell; asyncpg.

    Args:
        feed: reads the log, the configuration and unfinished runs.
        record: writes results and the position.
        start: asks which runs may still begin.
    """

    feed: Any
    record: Any
    start: Any


@dataclass(frozen=True)
class Pipeline:
    """What a leader works with: the configuration in force, and what reads, runs and records."""

    configuration: ConfigurationHolder
    ingest: Ingest
    scheduler: Scheduler
    recorder: Recorder
    workers: WorkerPool

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Return what goes on for ever beside the reading."""
        scheduler = self.scheduler
        return [
            self.recorder.run(),
            self.workers.run(),
            scheduler.dispatch(),
            scheduler.sweep(),
            scheduler.admission.refill(),
            scheduler.watch_revocations(),
            self.configuration.watch_bindings(),
        ]


class Assembly:
    """Makes the parts of a pipeline, each with those that it needs.

    Args:
        context: of the daemon.
        targets: the ways to the database.
        stack: closes what the parts have opened.
        connections: the leader's own.
        found: what the leader has found when it took over.
        epoch: of this leadership.
    """

    def __init__(
        self,
        context: DaemonContext,
        targets: Targets,
        stack: contextlib.AsyncExitStack,
        connections: Connections,
        found: Leadership,
        epoch: UUID,
    ) -> None:
        self._context = context
        self._targets = targets
        self._stack = stack
        self._connections = connections
        self._found = found
        self._epoch = epoch

    async def pipeline(self, wakeups: WakeUps) -> Pipeline:
        """Return the pipeline, with the configuration in force and an earlier leader's unfinished runs taken over."""
        settings, events, connections = self._context.settings, self._context.events, self._connections
        await take_back_all(connections.feed, self._epoch)
        last_recorded = await leadership.last_recorded(connections.feed)
        configuration = ConfigurationHolder(
            connections.feed, self._targets.main, self._context.catalog, events, settings
        )
        decoder = RowDecoder()
        feed = PostgresFeed(connections.feed, decoder, configuration.reshape)
        progress = Progress(self._found.position)
        results = PostgresResults(connections.record, self._epoch, connections.start)
        recorder = Recorder(results, progress, events=events)
        to_fetch = RunnableRuns(UnfinishedRuns(connections.record, feed, self._epoch), recorder, configuration)
        tables = Tables(self._context.models)
        loader = await self._loader(tables)
        scheduler, workers, placement = self._scheduler(recorder, to_fetch, loader, tables)

        unfinished = UnfinishedRuns(connections.feed, feed, self._epoch)
        recovery = Recovery(
            RunnableRuns(unfinished, recorder, configuration), scheduler.admission, recorder, configuration, feed,
            settings.batch_size,
        )  # fmt: skip
        feed_connection = FeedConnection(connections.feed, self._found.keys, last_recorded, settings.batch_size)
        runs_without_class = RunsWithoutClass(
            recorder, progress, settings.waiting_limit, unfinished.waiting, unfinished.note_missed
        )
        submission = Submission(feed_connection, progress, scheduler.admission, unfinished, runs_without_class, events)
        reader = Reader(feed, self._found.position, settings.batch_size, configuration.follow)
        room = Room(progress, scheduler, recorder, settings.batch_size)
        ingest = Ingest(feed_connection, reader, submission, room, wakeups, events, recovery.take_up_requested)

        async def use(loaded: Configuration, released: HooksAndButtons) -> None:
            wakeups.use(writers_ring=loaded.notify)
            submission.matcher = Matcher(loaded, submission.matcher)
            decoder.learn(loaded.tables)
            feed.tables = loaded.tables
            await loader.follower.learn(
                loaded.tables, {table for hook in loaded.hooks if hook.enabled for table in hook.tables}
            )
            scheduler.learn(loaded.tables)
            placement.learn([*loaded.hooks, *loaded.buttons])
            workers.look_again()
            if released:
                await recovery.take_up_released(released)

        await configuration.begin(use)
        await recovery.take_over_unfinished()
        return Pipeline(configuration, ingest, scheduler, recorder, workers)

    def _scheduler(
        self, recorder: Recorder, to_fetch: RunnableRuns, loader: PostgresObjects, tables: Tables
    ) -> tuple[Scheduler, WorkerPool, Placement]:
        context, settings = self._context, self._context.settings
        # The execution pool enforces the limit. The executor has more threads, because a thread that hangs for good
        # keeps its place there.
        threads = ThreadPoolExecutor(settings.threads + MOST_ABANDONED, thread_name_prefix="receiver")
        self._stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        fence = Fence(self._epoch)
        workspaces = Workspaces(
            self._targets.receivers, lambda _: fence,
            threads=settings.threads, async_connections=settings.async_connections, tables=tables,
        )  # fmt: skip
        self._stack.push_async_callback(workspaces.close)
        rows = Rows(loader, context.catalog)
        runner = Runner(context.catalog, workspaces, threads, rows.reload, context.clean, context.events)
        board = DispatchBoard(self._targets.listen, self._epoch, settings.leader_timeout, context.lost_worker)
        self._stack.callback(board.close)
        placement = Placement(context.catalog, settings.default_queue, queues_of(settings).own)
        workers = WorkerPool(board, placement, partial(is_allowed, allowed=settings.queues), context.doorbell)
        placement = replace(placement, backlog=workers.backlog)
        pools = (
            LoopPool(settings.tasks, runner),
            ThreadPool(settings.threads, runner, threads, groups_of(workspaces)),
            workers,
        )
        preparation = Preparation(recorder, rows, loader, pools)
        return Scheduler(recorder, preparation, placement, to_fetch.fetch, context.events), workers, placement

    async def _loader(self, tables: Tables) -> PostgresObjects:
        settings = self._context.settings
        # It has connections of its own: receivers that hold all of theirs must not keep others from starting.
        loader = PostgresObjects(
            self._targets.main, self._context.catalog.permissions, self._targets.receivers,
            row_security=settings.row_security, tables=tables,
        )  # fmt: skip
        self._stack.push_async_callback(loader.close)
        await leadership.record_login(
            self._connections.feed, await loader.login(), by_policy=settings.row_security
        )  # fmt: skip
        return loader
