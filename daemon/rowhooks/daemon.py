"""The daemon: puts the pipeline together, takes and keeps the lead, stops in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rowhooks.domain.errors import ConnectionFailed, DatabaseError, LeadershipLost
from rowhooks.domain.hook import Configuration, Hook
from rowhooks.domain.run import Run
from rowhooks.pipeline.listener import Bell
from rowhooks.pipeline.matcher import Matcher
from rowhooks.pipeline.progress import Progress
from rowhooks.pipeline.reader import Part, Reader
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.runner import Runner
from rowhooks.pipeline.scheduler import Scheduler
from rowhooks.postgres import leadership
from rowhooks.postgres.configuration import PostgresConfiguration
from rowhooks.postgres.connect import Target, connect
from rowhooks.postgres.feed import PostgresFeed
from rowhooks.postgres.objects import PostgresObjects
from rowhooks.postgres.results import PostgresResults
from rowhooks.postgres.schema import check_schema
from rowhooks.postgres.sessions import Workspaces
from rowhooks.postgres.values import RowDecoder
from rowhooks.receivers.logger import collect_entries
from rowhooks.receivers.registry import Catalog
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)

STANDBY_INTERVAL = 0.5
"""Seconds between a standby's attempts to take the lead."""
PROBE_TIMEOUT = 10.0
LONGEST_BACKOFF = 30.0
ABANDON_AFTER = 5.0
"""Seconds that running receivers get when the connection was lost; what they do then is fenced off."""
EXTEND_INTERVAL = 60.0
MOST_WAITING = 50_000
"""Runs kept in memory while they wait for their turn; beyond it nothing more is read."""


class Daemon:
    """One daemon process.

    Args:
        settings: the configuration.
        catalog: the receivers that were found.
    """

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._target = Target(settings.dsn)
        self._listen_target = Target(settings.dsn if settings.listen_dsn is None else settings.listen_dsn)
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()

    def stop(self) -> None:
        """Take no new runs, let the running ones finish within the grace period, and return from `run`."""
        self._stopping.set()

    async def run(self) -> int:
        """Run until `stop` is called; reconnect whenever the connection is lost.

        Returns:
            How many receivers had not ended within the grace period.

        Raises:
            SchemaMismatch: the schema is missing, older or newer than this code.
            PermissionDenied: the login may not use schema rowhooks.
        """
        collect_entries()
        failures = late = 0
        while not self._stopping.is_set():
            lead = Lead(self._settings, self._catalog, self._target, self._listen_target, self._stopping, self.ready)
            try:
                return late + await lead.run()
            except (ConnectionFailed, LeadershipLost) as error:
                late += lead.late
                failures = 1 if lead.was_ready else failures + 1
                delay = min(LONGEST_BACKOFF, 0.2 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)
                logger.warning("%s; attempt %d, next in %.1f s", error.message, failures, delay)
                await _first_of(self._stopping.wait(), asyncio.sleep(delay))
        return late


class Lead:
    """One leadership (or one wait for it): from connecting to the loss of a connection or the end.

    Everything in it is made anew for the next one, which starts from the stored position; what was on its way and not
    on record is read again, and what an abandoned receiver still does is fenced off by the lease.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        target: Target,
        listen_target: Target,
        stopping: asyncio.Event,
        ready: asyncio.Event,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._target = target
        self._listen_target = listen_target
        self._stopping = stopping
        self._ready = ready
        self._lease = uuid.uuid4()
        self._bell = Bell(settings.poll_interval)
        self._decoder = RowDecoder()
        self._lost = asyncio.Event()
        self._ids: list[int] = []
        self._idle_hooks: set[str] = set()
        self.was_ready = False
        self.late = 0

    async def run(self) -> int:
        """Wait for the lead, take it, and work until told to stop; return how many receivers were left behind."""
        async with contextlib.AsyncExitStack() as stack:
            control = await stack.enter_async_context(_connected(self._listen_target))
            await check_schema(control)
            await leadership.listen(control, self._bell.ring, self._lost.set)
            if not await self._wait_for_lead(control):
                return 0
            feed_connection = await stack.enter_async_context(_connected(self._target))
            record_connection = await stack.enter_async_context(_connected(self._target))
            await self._set_up(stack, feed_connection, record_connection)
            return await self._work(control)

    async def _wait_for_lead(self, control: Any) -> bool:
        said = False
        while not await leadership.try_to_lead(control):
            if not said:
                logger.info("standing by: another daemon leads %s", self._target.label)
                said = True
            await _first_of(self._stopping.wait(), asyncio.sleep(STANDBY_INTERVAL))
            if self._stopping.is_set():
                return False
        return True

    async def _set_up(self, stack: contextlib.AsyncExitStack, feed_connection: Any, record_connection: Any) -> None:
        settings = self._settings
        name = f"{socket.gethostname()}:{os.getpid()}"
        self._leadership = await leadership.take_over(feed_connection, self._lease, name)
        if not self._leadership.same_cluster:
            waiting = await leadership.resume_after_restore(feed_connection)
            logger.warning("this log was restored from another cluster; %d changes wait to be dealt with", waiting)
            self._leadership = await leadership.take_over(feed_connection, self._lease, name)
        await self._extend_log()

        threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="receiver")
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        workspaces = Workspaces(
            self._target, self._lease, threads=settings.threads, async_connections=settings.async_connections
        )
        stack.push_async_callback(workspaces.close)

        self._feed_connection = feed_connection
        self._configurations = PostgresConfiguration(feed_connection)
        self._feed = PostgresFeed(feed_connection, self._decoder)
        self._results = PostgresResults(record_connection, self._lease)
        self._progress = Progress(self._leadership.position)
        self._recorder = Recorder(self._results, self._progress)
        # A pool of its own: receivers that hold all of theirs must not keep other runs from being started.
        loader = PostgresObjects(self._target)
        stack.push_async_callback(loader.close)
        self._runner = Runner(self._catalog, workspaces, threads, lambda run: self._scheduler.reload(run))
        self._scheduler = Scheduler(
            self._runner, self._recorder, loader, self._catalog, tasks=settings.tasks, threads=settings.threads
        )
        self._reader = Reader(self._feed, self._leadership.position, settings.batch_size, self._configure)

        jobs = [(job.class_path, job.name, job.grouping, job.description) for job in self._catalog]
        await self._configurations.sync_jobs(jobs)
        self._configuration = Configuration(0, {}, (), ())
        await self._configure(-1)
        await self._adopt()

    async def _work(self, control: Any) -> int:
        settings = self._settings
        self.was_ready = True
        self._ready.set()
        logger.info(
            "ready: %s; %d tables, %d jobs, %d hooks", self._target.label, len(self._configuration.tables),
            len(self._catalog), sum(hook.enabled for hook in self._configuration.hooks),
        )  # fmt: skip
        running = [
            self._recorder.run(),
            self._scheduler.dispatch(),
            self._scheduler.sweep(),
            self._watch(control),
            _forever(EXTEND_INTERVAL, self._extend_log),
        ]
        async with _tasks(running) as background:
            async with _tasks([self._read(), self._told_to_stop()]) as foreground:
                done, _ = await asyncio.wait({*background, *foreground}, return_when=asyncio.FIRST_COMPLETED)
            # The reader has ended: what comes after this must not be started any more.
            problem = next((task.exception() for task in done if task.exception() is not None), None)
            if problem is not None:
                self.late = await self._scheduler.finish(ABANDON_AFTER)
                await self._save_what_can_be_saved()
                raise problem
            logger.info("stopping: %d receivers run", self._scheduler.running)
            self.late = await self._scheduler.finish(settings.grace_period)
            await self._recorder.flush()
        logger.info("stopped")
        return self.late

    async def _save_what_can_be_saved(self) -> None:
        # Perhaps only another connection was lost. What cannot be recorded is run again, so it is worth a try.
        try:
            async with asyncio.timeout(ABANDON_AFTER):
                await self._recorder.flush()
        except (DatabaseError, LeadershipLost, TimeoutError) as error:
            logger.info("the last results were not recorded, their runs come again: %s", error)

    async def _told_to_stop(self) -> None:
        await self._stopping.wait()

    async def _read(self) -> None:
        while True:
            self._bell.answer()
            part = await self._reader.next_part()
            if part is None:
                await self._bell.wait()
                continue
            await self._submit(part)
            while self._is_full():
                self._recorder.room.clear()
                await self._recorder.room.wait()

    def _is_full(self) -> bool:
        return self._progress.open_changes > self._settings.batch_size or self._scheduler.waiting > MOST_WAITING

    async def _submit(self, part: Part) -> None:
        on_record: set[tuple[int, int]] = set()
        doubtful = [change.id for change, _ in part.changes if change.id <= self._leadership.last_recorded]
        if doubtful:
            on_record = await leadership.runs_on_record(self._feed_connection, doubtful)
        for change, position in part.changes:
            hooks = [hook for hook in self._matcher.match(change) if (change.id, hook.id) not in on_record]
            step = self._progress.add(position, len(hooks))
            for hook in hooks:
                self._scheduler.submit(Run(await self._next_id(), self._key(change.id, hook), change, hook), step)
        self._progress.add(part.end, 0)

    async def _next_id(self) -> int:
        if not self._ids:
            self._ids = (await leadership.reserve_result_ids(self._feed_connection, self._settings.batch_size))[::-1]
        return self._ids.pop()

    def _key(self, change_id: int, hook: Hook) -> str:
        return f"{self._leadership.installation}:{change_id}:{hook.id}"

    async def _configure(self, version: int) -> None:
        if version == self._configuration.version:
            return
        self._configuration = await self._configurations.load()
        self._matcher = Matcher(self._configuration)
        self._decoder.learn(self._configuration.tables)
        self._feed.tables = self._scheduler.tables = self._configuration.tables
        idle = {hook.name: hook for hook in self._configuration.idle_hooks()}
        for name in idle.keys() - self._idle_hooks:
            job = idle[name].job
            what, way_out = (
                ("disabled", f"rowhooks jobs enable {job.class_path}")
                if job.installed
                else ("not installed", "add its module to rowhooks.toml, or disable the hook")
            )
            logger.warning("hook %s starts nothing: its job %s is %s (%s)", name, job.class_path, what, way_out)
        self._idle_hooks = set(idle)

    async def _adopt(self) -> None:
        hooks = {hook.id: hook for hook in self._configuration.hooks}
        adopted = await leadership.adopt_unfinished(self._feed_connection, self._lease, self._feed.change)
        for change, result_id, hook_id, attempt in adopted:
            hook = hooks[hook_id]
            run = Run(result_id, self._key(change.id, hook), change, hook, attempt)
            self._scheduler.submit(run, None, started_on_record=True)
        if adopted:
            logger.info("%d unfinished runs of an earlier leader were taken over", len(adopted))

    async def _watch(self, control: Any) -> None:
        """Notice that the connection with the leader lock has ended, also when its peer died silently."""
        while True:
            await _first_of(self._lost.wait(), asyncio.sleep(self._settings.poll_interval))
            if self._lost.is_set():
                raise ConnectionFailed("the listening connection was lost")
            await leadership.probe(control, PROBE_TIMEOUT)

    async def _extend_log(self) -> None:
        try:
            async with _connected(self._target) as connection:
                await leadership.extend_log(connection)
        except DatabaseError as error:
            # The default partition takes what has no other place, and it is tried again.
            logger.warning("the log's partitions could not be made ahead: %s", error.message)


def handle_signals(daemon: Daemon) -> None:
    """Stop on SIGTERM and SIGINT; a second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        logger.info("%s received", number.name)
        daemon.stop()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)


@contextlib.asynccontextmanager
async def _connected(target: Target) -> AsyncIterator[Any]:
    connection = await connect(target)
    try:
        yield connection
    finally:
        # Not close(): the server may be away, and it would wait for it.
        connection.terminate()


@contextlib.asynccontextmanager
async def _tasks(coroutines: list[Any]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _first_of(*awaitables: Awaitable[Any]) -> None:
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _forever(interval: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(interval)
        await work()
