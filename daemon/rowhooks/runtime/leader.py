"""Leader: one leadership, from connecting to the loss of a connection or the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from rowhooks.domain.errors import DatabaseError, LeadershipLost
from rowhooks.domain.events import DaemonState, DeadlineMet, DeadlinesDropped, DeadlineSet, LeadershipChanged
from rowhooks.pipeline.concurrency import running, together
from rowhooks.postgres import maintenance
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.leadership import epoch as leadership
from rowhooks.postgres.leadership.epoch import Leadership
from rowhooks.postgres.schema_check import check_schema
from rowhooks.runtime.assembly import Assembly, Connections, Pipeline
from rowhooks.runtime.context import DaemonContext, Targets, queues_of
from rowhooks.runtime.maintenance import Maintenance
from rowhooks.runtime.standby import START, Elector
from rowhooks.runtime.submission import LOOK
from rowhooks.runtime.wakeups import POLL_WITHOUT_BELL, WakeUps

logger = logging.getLogger(__name__)

RECORD_PATIENCE, FEED_PATIENCE = 60.0, 300.0
"""Seconds for one statement of the recorder and of the feed, after which the connection counts as lost."""
IDLE_RECORD = 10.0
"""Seconds after which the server ends a recorder that has gone silent in a transaction."""
FLUSH_TIMEOUT = 15.0
"""Seconds that the last results have at a stop."""
ABANDON_AFTER = 5.0
"""Seconds that running receivers get when the connection was lost; what they do then is fenced off."""
LONGEST_START = 600.0
"""Seconds that connecting and taking over may take; both have time-outs of their own."""


class Leader:
    """One leadership (or one wait for it).

    Everything in it is made anew for the next one, which starts from the stored position. What was on its way and not
    on record is read again; what an abandoned receiver still does is fenced off by the leader epoch.

    Args:
        context: of the daemon.
    """

    def __init__(self, context: DaemonContext) -> None:
        self._context = context
        self._epoch = uuid.uuid4()
        self._pipeline: Pipeline | None = None
        self.was_let_in = False
        """Whether the server has accepted the login."""
        self.was_ready = False
        """Whether it has led."""
        self.late = 0
        """How many receivers were left behind."""

    def in_memory(self) -> tuple[int, int]:
        """Return how many runs wait and run in memory."""
        # Metrics are read in another thread, and the leadership may end meanwhile.
        pipeline = self._pipeline
        return (0, 0) if pipeline is None else (pipeline.scheduler.waiting, pipeline.scheduler.running)

    def for_workers(self) -> Mapping[str, int]:
        """Return how many runs wait for a worker, by queue."""
        pipeline = self._pipeline
        return {} if pipeline is None else pipeline.workers.waiting

    async def run(self) -> int:
        """Wait for the leadership, take it, and work until told to stop; return how many receivers were left behind."""
        context, publish = self._context, self._context.events.publish
        wakeups = WakeUps(context.settings, context.events)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._end)
            publish(DeadlineSet(START, LONGEST_START))
            targets = await context.targets.recognised()
            self.was_let_in = True
            control = await stack.enter_async_context(connected(targets.listen))
            elector = Elector(context, targets, control)
            await check_schema(control)
            if targets.listen.pooled:
                logger.warning(
                    "%s is reached through a transaction pooler, where no bell is heard: the log is looked at every"
                    " %s s (set listen_dsn to a direct connection)", targets.listen.label, POLL_WITHOUT_BELL,
                )  # fmt: skip
            if not await elector.wait_for_leadership():
                return 0
            publish(DeadlineSet(START, LONGEST_START))
            # A standby may have stood by through an upgrade.
            await check_schema(control)
            await leadership.name_connection(control, f"rowhooks leader {context.name}")
            connections, _ = await together(_connect(targets, stack), wakeups.begin(stack, targets.listen))
            housekeeping = Maintenance(context.settings, targets.main, context.events, context.lost_worker)
            # The standbys must hear of the leader meanwhile: it may wait for locks, or go through a restored log.
            async with running([elector.watch_lock(wakeups)]):
                found = await self._take_over(connections.feed)
                await housekeeping.extend_log()
                assembly = Assembly(context, targets, stack, connections, found, self._epoch)
                self._pipeline = await assembly.pipeline(wakeups)
            self._begin(self._pipeline, targets)
            work = [*self._pipeline.work(), elector.watch_lock(wakeups), *wakeups.work(), *housekeeping.work()]
            return await self._work(self._pipeline, work)

    def _end(self) -> None:
        self._context.events.publish(DeadlinesDropped())
        self._pipeline = None

    async def _take_over(self, connection: Any) -> Leadership:
        """Write this daemon down as the leader; find the place in a log that was restored or copied."""
        found = await self._write_down(connection)
        if not found.same_cluster:
            # It goes through the whole log.
            self._context.events.publish(DeadlineSet(START, leadership.LONG_STATEMENT))
            waiting = await leadership.resume_after_restore(connection)
            logger.warning("this log was restored from another cluster; %d changes wait to be dealt with", waiting)
            found = await self._write_down(connection)
        if not found.same_database:
            await leadership.begin_history(connection)
            logger.info("this log was copied from another database: its runs have keys of their own from now on")
            found = await self._write_down(connection)
        await maintenance.refresh_moved_tables(connection)
        return found

    async def _write_down(self, connection: Any) -> Leadership:
        context = self._context
        return await leadership.take_over(
            connection, self._epoch, context.name, context.settings.waiting_limit, queues_of(context.settings)
        )

    def _begin(self, pipeline: Pipeline, targets: Targets) -> None:
        self.was_ready = True
        self._context.events.publish(DeadlineMet(START))
        self._context.events.publish(LeadershipChanged(DaemonState.LEADING))
        configuration = pipeline.configuration.current
        logger.info(
            "ready: %s; %d tables, %d jobs, %d hooks", targets.main.label, len(configuration.tables),
            len(self._context.catalog), sum(hook.enabled for hook in configuration.hooks),
        )  # fmt: skip

    async def _work(self, pipeline: Pipeline, work: list[Any]) -> int:
        """Work until told to stop, or until some of the work ends by an error."""
        scheduler, publish = pipeline.scheduler, self._context.events.publish
        async with running(work) as background:
            async with running([pipeline.ingest.run(), self._context.stopping.wait()]) as foreground:
                done, _ = await asyncio.wait({*background, *foreground}, return_when=asyncio.FIRST_COMPLETED)
            publish(DeadlineMet(LOOK))
            # The reader has ended: what comes after this must not be started any more.
            problem = next((task.exception() for task in done if task.exception() is not None), None)
            if problem is not None:
                publish(DeadlinesDropped())
                self.late = await scheduler.finish(ABANDON_AFTER)
                # The recorder's connection may be alive. A run whose result cannot be recorded is run again.
                await _record_the_last(pipeline, ABANDON_AFTER)
                raise problem
            logger.info("stopping: %d receivers run", scheduler.running)
            self.late = await scheduler.finish(self._context.settings.grace_period)
            await _record_the_last(pipeline, FLUSH_TIMEOUT)
        logger.info("stopped")
        return self.late


async def _connect(targets: Targets, stack: contextlib.AsyncExitStack) -> Connections:
    """Open the leader's own connections; `stack` closes them."""
    feed, start, record = await together(
        *(
            stack.enter_async_context(connected(targets.main, patience=patience))
            for patience in (FEED_PATIENCE, RECORD_PATIENCE, RECORD_PATIENCE)
        )
    )
    if not targets.main.pooled:
        await leadership.end_when_idle(record, IDLE_RECORD)
    return Connections(feed, record, start)


async def _record_the_last(pipeline: Pipeline, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await pipeline.recorder.flush()
    except (DatabaseError, LeadershipLost, TimeoutError) as error:
        reason = str(error) or f"no answer within {seconds} s"
        logger.warning("the last results were not recorded, their runs come again: %s", reason)
