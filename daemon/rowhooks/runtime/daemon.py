"""Daemon: one process that leads or stands by, again and again, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rowhooks.domain.errors import (
    ConnectionFailed,
    DatabaseError,
    LeadershipLost,
    LoginRefused,
    SchemaMismatch,
)
from rowhooks.domain.events import PROCESS, DaemonState, Events, InternalErrorOccurred, LeadershipChanged
from rowhooks.observability.health import BrokerState, HealthState
from rowhooks.observability.run_logs import log_runs
from rowhooks.pipeline.concurrency import first_of, running
from rowhooks.postgres.administration.revisions import head_revision, known_revisions
from rowhooks.postgres.rows.models import Models
from rowhooks.receivers.classes import ReceiverClass
from rowhooks.receivers.logger import collect_entries, modules_heard
from rowhooks.runtime.context import DaemonContext, Targets, catalog_of, process_name
from rowhooks.runtime.doorbell import doorbell_of
from rowhooks.runtime.leader import FLUSH_TIMEOUT, Leader
from rowhooks.runtime.life import Life
from rowhooks.runtime.loop_monitor import LoopMonitor
from rowhooks.runtime.processes import Processes
from rowhooks.runtime.tracing import tracing_of
from rowhooks.service.notifications import Notifier
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)

LONGEST_BACKOFF = 30.0
LAST_MOMENTS = 15.0
"""Seconds that a stop may take beside the grace period and the last results."""


class Daemon:
    """One daemon process.

    Args:
        settings: the configuration.
        classes: the receivers that were found.
        models: users' own classes for rows.
        processes: local worker processes, which it starts when it leads; None: there are none.

    Raises:
        SettingsError: the permission backend, a secret, or a package that traces or Celery need, is not there.
    """

    def __init__(
        self,
        settings: Settings,
        classes: Sequence[ReceiverClass],
        models: Models | None = None,
        processes: Processes | None = None,
    ) -> None:
        name = process_name()
        self.events = Events(PROCESS)
        self._doorbell = doorbell_of(settings)
        self._settings = settings
        self._processes = processes
        clean = settings.redactor().clean
        log_runs(self.events)
        notifier = Notifier(os.environ)
        is_watched = bool(settings.http_listen) or notifier.is_wanted
        self.health = HealthState(
            self.events, self._in_memory, for_workers=self._for_workers, broker=self._broker,
            waiting_limit=settings.waiting_limit, counts_backlog=is_watched,
        )  # fmt: skip
        self._life = Life(
            "daemon", settings.grace_period + FLUSH_TIMEOUT + LAST_MOMENTS, self.events, self.health, notifier, clean
        )
        self._stopping = self._life.stopping
        self._context = DaemonContext(
            settings, catalog_of(settings, classes), name, Targets.of(settings, f"rowhooks {name}"), self.events,
            self._stopping, clean, models or Models(),
            (lambda name: None) if processes is None else processes.end, self._doorbell,
        )  # fmt: skip
        self._tracing = tracing_of(settings, self.events)
        self._context.targets.check()
        # Read and cached now: the files may be replaced later.
        head_revision()
        known_revisions()
        self.ready = asyncio.Event()
        self.events.subscribe(LeadershipChanged, self._note_readiness)
        self._leader: Leader | None = None

    def _in_memory(self) -> tuple[int, int]:
        leader = self._leader
        return (0, 0) if leader is None else leader.in_memory()

    def _for_workers(self) -> Mapping[str, int]:
        leader = self._leader
        return {} if leader is None else leader.for_workers()

    def _broker(self) -> BrokerState | None:
        return None if self._doorbell is None else self._doorbell.state

    def _note_readiness(self, event: LeadershipChanged) -> None:
        if event.state == DaemonState.LEADING:
            self.ready.set()
            if self._processes is not None:
                self._processes.start()
        elif event.state == DaemonState.WAITING:
            self.ready.clear()

    def stop(self) -> None:
        """Take no new runs, let the running ones finish within the grace period, and return from `run`."""
        self._life.stop()

    def reload(self, check: Callable[[], object]) -> None:
        """End as `stop` does, for a successor in the same process; `reloads` says so.

        Args:
            check: raises where the successor could not begin: then nothing happens.
        """
        self._life.reload(check)

    @property
    def reloads(self) -> bool:
        """Whether it ends for a successor in the same process."""
        return self._life.reloads

    async def run(self) -> int:
        """Run until `stop` is called; reconnect whenever the connection is lost.

        Returns:
            How many receivers had not ended within the grace period.

        Raises:
            LoginRefused: the server has never accepted the login: a wrong password, no entry in pg_hba.conf.
            SchemaMismatch: the schema is missing, older or newer than this code.
            PermissionDenied: the login may not use schema rowhooks.
        """
        collect_entries()
        asyncio.get_running_loop().set_exception_handler(self._notice)
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(LoopMonitor())
            stack.enter_context(modules_heard(self._context.catalog.modules))
            if self._settings.http_listen:
                from rowhooks.observability.http import HealthServer  # a daemon that nothing asks starts sooner

                stack.enter_context(HealthServer(self._settings.http_listen, self.health, self.events))
            if self._tracing is not None:
                stack.push_async_callback(self._tracing.close)
            if self._processes is not None:
                stack.push_async_callback(self._processes.stop)
            if self._doorbell is not None:
                stack.callback(self._doorbell.close)
            async with running([self._keep_leading(), self._life.watch()]) as tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                leading, watching = tasks
                if not leading.done():
                    # The watching ends only by an error. Without it nothing watches the daemon, so the daemon ends too.
                    watching.result()
                late: int = leading.result()
                return late

    def _notice(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Count what a callback raised, or a task that nothing waits for; asyncio's own handler logs it."""
        self.events.publish(InternalErrorOccurred())
        loop.default_exception_handler(context)

    async def _keep_leading(self) -> int:
        """Lead or stand by until told to stop; return how many receivers were left behind."""
        failures = late = 0
        was_let_in = False
        while not self._stopping.is_set():
            leader = self._leader = Leader(self._context)
            try:
                return late + await self._see_to_the_end(leader)
            except Exception as error:
                was_let_in = was_let_in or leader.was_let_in
                reason = self._reason_to_go_on(leader, error, was_let_in=was_let_in)
            self._life.become(DaemonState.WAITING, reason)
            late += leader.late
            failures = 1 if leader.was_ready else failures + 1
            delay = min(LONGEST_BACKOFF, 0.2 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)
            logger.warning("%s; attempt %d, next in %.1f s", reason, failures, delay)
            await first_of(self._stopping.wait(), asyncio.sleep(delay))
        return late

    def _reason_to_go_on(self, leader: Leader, error: Exception, *, was_let_in: bool) -> str:
        """Return what has ended a leadership after which there is to be another one; raise what ends the daemon."""
        if not isinstance(error, DatabaseError | LeadershipLost):
            if not leader.was_ready:
                raise error
            # What the leader knew in memory may be wrong. The next one begins with what is on record.
            logger.error("the leadership ended by an error of rowhooks", exc_info=error)
            self.events.publish(InternalErrorOccurred())
            return f"{type(error).__name__}: {error}"
        if isinstance(error, LoginRefused) and not was_let_in:
            # Not the server's state but a mistake in the settings, which waiting does not mend.
            raise error
        is_lost = isinstance(error, ConnectionFailed | LeadershipLost)
        if isinstance(error, SchemaMismatch) or not (is_lost or leader.was_ready):
            raise error
        if not is_lost:
            # It led, and a statement was refused: that ends this leadership, not the daemon.
            logger.error("a statement was refused while the daemon led: %s", error)
        return error.message

    async def _see_to_the_end(self, leader: Leader) -> int:
        """Run a leadership; one that is told to stop before it leads is cancelled."""
        task = asyncio.create_task(leader.run())
        try:
            await first_of(asyncio.shield(task), self._stopping.wait())
            if not leader.was_ready:
                task.cancel()
            return await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            return 0
        finally:
            task.cancel()
