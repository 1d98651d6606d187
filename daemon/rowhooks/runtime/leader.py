"""One leadership: puts the pipeline together, from connecting to the loss of a connection or the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rowhooks.domain import shell
from rowhooks.domain.configuration import Configuration
from rowhooks.domain.errors import ConnectionFailed, DatabaseError, LeadershipLost
from rowhooks.domain.run import RETRY, Outcome
from rowhooks.observability.health import LEADING, STANDBY, HealthState
from rowhooks.pipeline.execution.runner import ExecutionFactory, Runner
from rowhooks.pipeline.matcher import Matcher
from rowhooks.pipeline.progress import Progress
from rowhooks.pipeline.reader import Reader
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.missing_jobs import Waiting
from rowhooks.pipeline.scheduling.scheduler import Scheduler
from rowhooks.pipeline.tasks import first_of, forever, running
from rowhooks.postgres.administration.schema import check_schema
from rowhooks.postgres.bindings import Fault, PostgresBindings
from rowhooks.postgres.configuration import PostgresConfiguration
from rowhooks.postgres.connections.connect import Target, connected
from rowhooks.postgres.connections.poolers import recognised
from rowhooks.postgres.feed import PostgresFeed
from rowhooks.postgres.leadership import epoch as leadership
from rowhooks.postgres.leadership.epoch import Leadership
from rowhooks.postgres.leadership.lock import LeaderLock
from rowhooks.postgres.recovery import UnfinishedRuns
from rowhooks.postgres.results import PostgresResults
from rowhooks.postgres.rows.loading import PostgresObjects
from rowhooks.postgres.sessions.receiver_login import checked_receiver
from rowhooks.postgres.sessions.workspaces import MOST_ABANDONED, Workspaces
from rowhooks.postgres.values import RowDecoder
from rowhooks.receivers.registry import Catalog
from rowhooks.runtime.ingest import LOOK, Ingest
from rowhooks.runtime.maintenance import Maintenance
from rowhooks.runtime.recovery import Recovery
from rowhooks.runtime.wakeups import POLL_WITHOUT_BELL, WakeUps
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)

STANDBY_INTERVAL = 0.5
"""Seconds between a standby's attempts to take the lead."""
PROBE_TIMEOUT = 10.0
RECORD_PATIENCE, FEED_PATIENCE = 60.0, 300.0
"""Seconds for one statement of the recorder and of the feed, after which the connection counts as lost."""
IDLE_RECORD = 10.0
"""Seconds after which the server ends a recorder that has gone silent in a transaction."""
FLUSH_TIMEOUT = 15.0
"""Seconds that the last results have at a stop."""
ABANDON_AFTER = 5.0
"""Seconds that running receivers get when the connection was lost; what they do then is fenced off."""
EXTEND_INTERVAL = 60.0
BINDINGS_INTERVAL = 60.0
"""Seconds between looks at what hooks and buttons are bound to."""
CENSUS_INTERVAL = 5.0
"""Seconds between looks at what waits, where somebody asks how the daemon is."""
LONGEST_START, LONGEST_STANDBY = 600.0, 120.0
"""Seconds that connecting and taking over may take, and one look of a standby; each has time-outs of its own."""
START, STAND_BY, PROBE = "taking the lead", "a look whether the lead is free", "a look whether the leader lock is held"
"""What the daemon promises to have done by then."""
PRUNE_INTERVAL = 600.0


class Leader:
    """One leadership (or one wait for it): from connecting to the loss of a connection or the end.

    Everything in it is made anew for the next one, which starts from the stored position; what was on its way and not
    on record is read again, and what an abandoned receiver still does is fenced off by the leader_epoch.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        clean: Callable[[str], str],
        name: str,
        target: Target,
        listen_target: Target,
        receiver_target: Target,
        stopping: asyncio.Event,
        ready: asyncio.Event,
        health: HealthState,
        execution: ExecutionFactory | None = None,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._clean = clean
        self._name = name
        self._target = target
        self._listen_target = listen_target
        self._receiver_target = receiver_target
        self._stopping = stopping
        self._ready = ready
        self._health = health
        self._execution = execution
        self._leader_epoch = uuid.uuid4()
        self._wakeups = WakeUps(settings, health)
        self._decoder = RowDecoder()
        self._lost = asyncio.Event()
        self._idle_hooks: set[str] = set()
        self._faults: set[str] = set()
        self._waiting_hooks: set[str] = set()
        self._is_outdated = False
        self.was_let_in = False
        self.was_ready = False
        self.late = 0

    async def run(self) -> int:
        """Wait for the lead, take it, and work until told to stop; return how many receivers were left behind."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._health.end_of_lead)
            self._health.promise(START, LONGEST_START)
            await self._find_the_way()
            self.was_let_in = True
            control = await stack.enter_async_context(connected(self._listen_target))
            control.add_termination_listener(lambda _: self._lost.set())
            await check_schema(control)
            if self._listen_target.pooled:
                logger.warning(
                    "%s is reached through a transaction pooler, where no bell is heard: the log is looked at every"
                    " %s s (set listen_dsn to a direct connection)", self._listen_target.label, POLL_WITHOUT_BELL,
                )  # fmt: skip
            if not await self._wait_for_lead(control):
                return 0
            self._health.promise(START, LONGEST_START)
            # A standby may have stood by through an upgrade.
            await check_schema(control)
            await leadership.call_oneself(control, f"rowhooks leader {self._name}")
            feed_connection = await stack.enter_async_context(connected(self._target, patience=FEED_PATIENCE))
            start_connection = await stack.enter_async_context(connected(self._target, patience=RECORD_PATIENCE))
            record_connection = await stack.enter_async_context(connected(self._target, patience=RECORD_PATIENCE))
            if not self._target.pooled:
                await leadership.end_when_idle(record_connection, IDLE_RECORD)
            await self._wakeups.begin(stack, self._listen_target)
            # Standbys hear of the leader meanwhile, which may wait for locks, or go through a restored log.
            async with running([self._watch(control)]):
                await self._set_up(stack, feed_connection, record_connection, start_connection)
            return await self._work(control)

    async def _find_the_way(self) -> None:
        given, listen_given = self._target, self._listen_target
        self._target = await recognised(given)
        self._listen_target = self._target if listen_given == given else await recognised(listen_given)
        if self._receiver_target == given:
            self._receiver_target = self._target
        else:
            self._receiver_target = await checked_receiver(self._target, self._receiver_target)
        self._maintenance = Maintenance(self._settings, self._target)

    async def _wait_for_lead(self, control: Any) -> bool:
        said = False
        lock = LeaderLock(control, self._target, pooled=self._listen_target.pooled)
        while not await lock.try_to_take():
            if not said:
                logger.info("standing by: another daemon leads %s", self._target.label)
                await leadership.call_oneself(control, f"rowhooks standby {self._name}")
                await self._announce(control)
                self._health.become(STANDBY)
                self._health.keep(START)
                said = True
            self._health.promise(STAND_BY, LONGEST_STANDBY)
            if silent := await leadership.depose(control, self._settings.leader_timeout):
                logger.warning(
                    "the leader %s has been silent for %s s; its connections were ended",
                    silent, self._settings.leader_timeout,
                )  # fmt: skip
            await first_of(self._stopping.wait(), asyncio.sleep(STANDBY_INTERVAL))
            if self._stopping.is_set():
                return False
        self._health.keep(STAND_BY)
        return True

    async def _announce(self, control: Any) -> None:
        """Let people see which receivers a standby has."""
        # Behind a pooler that connection sits in a transaction.
        async with connected(self._target) as connection:
            receivers = sorted(job.class_path for job in self._catalog)
            await leadership.announce(connection, await leadership.backend_of(control), self._name, receivers)

    async def _set_up(
        self, stack: contextlib.AsyncExitStack, feed_connection: Any, record_connection: Any, start_connection: Any
    ) -> None:
        settings = self._settings
        self._leadership = await self._take_over(feed_connection)
        if not self._leadership.same_cluster:
            # It goes through the whole log.
            self._health.promise(START, leadership.LONG_STATEMENT)
            waiting = await leadership.resume_after_restore(feed_connection)
            logger.warning("this log was restored from another cluster; %d changes wait to be dealt with", waiting)
            self._leadership = await self._take_over(feed_connection)
        if not self._leadership.same_database:
            await leadership.begin_history(feed_connection)
            logger.info("this log was copied from another database: its runs have keys of their own from now on")
            self._leadership = await self._take_over(feed_connection)
        await leadership.refresh_moved_tables(feed_connection)
        await self._maintenance.extend_log()

        # The scheduler keeps to the limit; a thread that hangs for good must not take a place in it.
        threads = ThreadPoolExecutor(settings.threads + MOST_ABANDONED, thread_name_prefix="receiver")
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        workspaces = Workspaces(
            self._receiver_target,
            self._leader_epoch,
            threads=settings.threads,
            async_connections=settings.async_connections,
        )
        stack.push_async_callback(workspaces.close)

        self._feed_connection = feed_connection
        self._configurations = PostgresConfiguration(feed_connection)
        self._feed = PostgresFeed(feed_connection, self._decoder, self._reshape)
        self._unfinished = UnfinishedRuns(feed_connection, self._feed, self._leader_epoch)
        self._results = PostgresResults(record_connection, self._leader_epoch, start_connection)
        self._progress = Progress(self._leadership.position)
        self._recorder = Recorder(self._results, self._progress, self._count if self._health.is_watched else None)
        self._on_record = Recovery(self._unfinished, self._recorder, lambda: self._configuration)
        # A pool of its own: receivers that hold all of theirs must not keep other runs from being started.
        loader = PostgresObjects(
            self._target, self._catalog.permissions, self._receiver_target, row_security=settings.row_security
        )
        stack.push_async_callback(loader.close)
        await leadership.write_down_login(feed_connection, await loader.login(), by_policy=settings.row_security)
        self._runner = Runner(
            self._catalog, workspaces, threads, lambda run: self._scheduler.reload(run), self._clean, self._execution
        )
        unfinished = UnfinishedRuns(record_connection, self._feed, self._leader_epoch)
        fetch = Recovery(unfinished, self._recorder, lambda: self._configuration).fetch
        self._scheduler = Scheduler(
            self._runner, self._recorder, loader, loader, self._catalog, fetch,
            tasks=settings.tasks, threads=settings.threads, count_error=self._health.count_error,
        )  # fmt: skip
        self._health.waiting_limit = settings.waiting_limit
        self._health.in_memory = lambda: (self._scheduler.waiting, self._scheduler.running)
        reader = Reader(self._feed, self._leadership.position, settings.batch_size, self._configure)
        self._ingest = Ingest(
            feed_connection, self._leadership, reader, self._progress, self._scheduler, self._recorder,
            self._unfinished, self._take_up_asked_for, self._wakeups.bell, self._wakeups.sleep, settings.batch_size,
            self._health,
            Waiting(
                self._recorder, self._progress, settings.waiting_limit, self._unfinished.waiting,
                self._unfinished.note_missed,
            ),
        )  # fmt: skip

        for problem in await self._configurations.sync_jobs([job.entry for job in self._catalog]):
            logger.warning("%s", problem)
        self._undeclared: list[str] = []
        await self._declare_hooks()
        self._configuration = Configuration(0, {}, (), ())
        self._ingest.matcher = Matcher(self._configuration)
        await self._configure(-1)
        await self._on_record.adopt(self._scheduler, settings.batch_size)

    async def _take_over(self, connection: Any) -> Leadership:
        return await leadership.take_over(connection, self._leader_epoch, self._name, self._settings.waiting_limit)

    async def _work(self, control: Any) -> int:
        settings = self._settings
        self.was_ready = True
        self._health.keep(START)
        self._health.become(LEADING)
        self._ready.set()
        logger.info(
            "ready: %s; %d tables, %d jobs, %d hooks", self._target.label, len(self._configuration.tables),
            len(self._catalog), sum(hook.enabled for hook in self._configuration.hooks),
        )  # fmt: skip
        work = [
            self._recorder.run(),
            self._scheduler.dispatch(),
            self._scheduler.sweep(),
            self._scheduler.refill(),
            self._scheduler.watch_revocations(),
            self._watch(control),
            *self._wakeups.work(),
            forever(EXTEND_INTERVAL, self._maintenance.make_room),
            forever(PRUNE_INTERVAL, self._maintenance.prune),
            forever(BINDINGS_INTERVAL, self._look_again),
        ]
        if self._health.is_watched:
            work.append(self._maintenance.count(self._health, CENSUS_INTERVAL))
        async with running(work) as background:
            async with running([self._ingest.run(), self._told_to_stop()]) as foreground:
                done, _ = await asyncio.wait({*background, *foreground}, return_when=asyncio.FIRST_COMPLETED)
            self._health.keep(LOOK)
            # The reader has ended: what comes after this must not be started any more.
            problem = next((task.exception() for task in done if task.exception() is not None), None)
            if problem is not None:
                self._health.release()
                self.late = await self._scheduler.finish(ABANDON_AFTER)
                # Perhaps only another connection was lost. What cannot be recorded is run again: it is worth a try.
                await self._record_the_last(ABANDON_AFTER)
                raise problem
            logger.info("stopping: %d receivers run", self._scheduler.running)
            self.late = await self._scheduler.finish(settings.grace_period)
            await self._record_the_last(FLUSH_TIMEOUT)
        logger.info("stopped")
        return self.late

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        """Count what has come on record."""
        for outcome in outcomes:
            job = outcome.run.job.class_path
            if outcome.finished_at is not None and outcome.started_at is not None:
                seconds = (outcome.finished_at - outcome.started_at).total_seconds()
                self._health.count(job, outcome.status, seconds)
            elif outcome.status == RETRY:
                self._health.retries[job] += 1

    async def _record_the_last(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._recorder.flush()
        except (DatabaseError, LeadershipLost, TimeoutError) as error:
            reason = str(error) or f"no answer within {seconds} s"
            logger.warning("the last results were not recorded, their runs come again: %s", reason)

    async def _told_to_stop(self) -> None:
        await self._stopping.wait()

    async def _configure(self, version: int) -> None:
        if version == self._configuration.version:
            return
        with self._keeping_the_last_good_one():
            if self._undeclared or await self._tables_declared() != self._declared_on:
                # A table may have been tracked for which a declared hook waits.
                await self._declare_hooks()
            await self._load_configuration()
            await self._look_at_bindings()

    async def _reshape(self) -> None:
        """Follow DDL on a tracked table that no event trigger has reported."""
        with self._keeping_the_last_good_one():
            await leadership.refresh_tables(self._feed_connection)
            await self._load_configuration()
            await self._look_at_bindings()

    async def _look_again(self) -> None:
        """Notice what DDL has done to hooks and buttons, of which no change and no event trigger tells."""
        try:
            async with connected(self._target) as connection:
                bindings = PostgresBindings(connection)
                await bindings.note_partitions()
                self._tell_of(await bindings.find_faults())
        except DatabaseError as error:
            logger.warning("it could not be seen what hooks and buttons are on: %s", error.message)

    async def _look_at_bindings(self) -> None:
        bindings = PostgresBindings(self._feed_connection)
        self._tell_of(await bindings.find_faults())

    def _tell_of(self, faults: Sequence[Fault]) -> None:
        """Say what is broken, once each."""
        present = dict.fromkeys(map(str, faults))
        for said in present:
            if said not in self._faults:
                logger.warning("%s", said)
        self._faults = set(present)

    @contextlib.contextmanager
    def _keeping_the_last_good_one(self) -> Iterator[None]:
        """Go on with the configuration as it was where it cannot be read; it is tried again at the next look."""
        try:
            yield
        except ConnectionFailed:
            raise
        except (DatabaseError, LookupError, TypeError, ValueError) as error:
            if not self.was_ready:
                raise
            if not self._is_outdated:
                logger.error("the configuration cannot be read, the last good one stays in force: %s", error)
            self._is_outdated = True
        else:
            if self._is_outdated:
                logger.info("the configuration could be read again")
            self._is_outdated = False

    async def _load_configuration(self) -> None:
        for said in await PostgresBindings(self._feed_connection).relink():
            logger.info("%s", said)
        without_class = self._configuration.without_class()
        self._configuration = await self._configurations.load()
        self._wakeups.use(is_rung=self._configuration.notify)
        self._ingest.matcher = Matcher(self._configuration, self._ingest.matcher)
        self._decoder.learn(self._configuration.tables)
        self._feed.tables = self._configuration.tables
        self._scheduler.learn(self._configuration.tables)
        idle = {hook.name: hook for hook in self._configuration.idle_hooks()}
        for name in idle.keys() - self._idle_hooks:
            path = idle[name].job.class_path
            way_out = shell.command("rowhooks", "jobs", "enable", path)
            logger.warning("hook %s starts nothing: its job %s is disabled (%s)", name, path, way_out)
        self._idle_hooks = set(idle)
        waiting = {hook.name: hook for hook in self._configuration.waiting_hooks()}
        for name in waiting.keys() - self._waiting_hooks:
            path = waiting[name].job.class_path
            logger.warning(
                "hook %s waits: this daemon does not have its job %s; what it is to run is kept (start a daemon with"
                " its module; or, if it is gone for good: %s)",
                name, path, shell.command("rowhooks", "jobs", "remove", path),
            )  # fmt: skip
        self._waiting_hooks = set(waiting)
        # Before anything newer is read.
        if released := without_class.minus(self._configuration.without_class()):
            await self._on_record.release(released, self._scheduler, self._settings.batch_size)

    async def _declare_hooks(self) -> None:
        """Bring the hooks that receivers declare into the database; say what stands in the way, once each."""
        problems = await self._configurations.sync_hooks(
            [(job.class_path, hook) for job in self._catalog for hook in job.meta.hooks]
        )
        for problem in problems:
            if problem not in self._undeclared:
                logger.warning("%s", problem)
        self._undeclared = problems
        self._declared_on = await self._tables_declared()

    async def _tables_declared(self) -> frozenset[tuple[str, int]]:
        """Return the tracked tables that have a name which a receiver declares a hook for."""
        names = {table for job in self._catalog for hook in job.meta.hooks for table in hook.tables}
        return await self._configurations.tables_named(names) if names else frozenset()

    async def _take_up_asked_for(self) -> bool:
        """Take up what was asked for by hand; say whether more may wait."""
        if not await self._unfinished.is_asked_for():
            return False
        # A button may have been made and pressed since the last look.
        await self._configure((await self._feed.look())[1])
        return await self._on_record.claim(self._scheduler, self._settings.batch_size)

    async def _watch(self, control: Any) -> None:
        """Notice that the connection with the leader lock has ended, also when its peer died silently."""
        # Often enough for the standbys, which hear of the leader by these round trips.
        interval = min(self._settings.poll_interval, self._settings.leader_timeout / 3)
        while True:
            self._health.promise(PROBE, interval + 4 * PROBE_TIMEOUT + self._settings.bell_lock_timeout)
            await first_of(self._lost.wait(), asyncio.sleep(interval))
            if self._lost.is_set():
                self._health.keep(PROBE)
                raise ConnectionFailed("the listening connection was lost")
            patience = min(PROBE_TIMEOUT, self._settings.leader_timeout)
            await leadership.probe(control, patience)
            await self._wakeups.probe(patience)
