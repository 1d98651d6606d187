"""Worker: one process that executes runs which a leader hands out, for one leader after another, until it stops."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import logging
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from rowhooks import __version__
from rowhooks.domain.dispatch import new_process, session_name, worker_id
from rowhooks.domain.errors import ConnectionFailed, DatabaseError, LeadershipLost, LoginRefused, SchemaMismatch
from rowhooks.domain.events import PROCESS, DaemonState, Events
from rowhooks.observability.health import HealthState
from rowhooks.pipeline.concurrency import first_of, running
from rowhooks.postgres.administration.revisions import head_revision, known_revisions
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.dispatch.working import WorkBoard
from rowhooks.postgres.rows.models import Models
from rowhooks.postgres.schema_check import check_schema
from rowhooks.receivers.classes import ReceiverClass
from rowhooks.receivers.logger import collect_entries, modules_heard
from rowhooks.runtime.assembly import Connections
from rowhooks.runtime.context import DaemonContext, Targets, catalog_of, process_name
from rowhooks.runtime.life import Life
from rowhooks.runtime.loop_monitor import LoopMonitor
from rowhooks.runtime.tracing import tracing_of
from rowhooks.runtime.working import Working
from rowhooks.service.notifications import Notifier
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)

BEAT_INTERVAL = 1.0
"""Seconds between the signs of life of a worker."""
LEAST_PAUSE = 0.05
"""Seconds between them at least, where groups are announced that are not for this worker."""
PATIENCE = 60.0
"""Seconds for one statement, after which a connection counts as lost."""
LONGEST_BACKOFF = 30.0
LAST_MOMENTS = 30.0
"""Seconds that a stop may take beside the grace period."""
CALL_PATIENCE = 5.0
"""Seconds that a call for a group waits for the connections of a worker."""


class Worker:
    """One worker process.

    Args:
        settings: the configuration.
        classes: the receivers that were found.
        queues: those that it serves.
        models: users' own classes for rows.
        respite: seconds in which it leaves a group to the worker that is called for it, see `execute`; 0: workers are
            not called, and each takes what comes.

    Raises:
        SettingsError: the permission backend, a secret, or what traces need, is not there.
    """

    def __init__(
        self,
        settings: Settings,
        classes: Sequence[ReceiverClass],
        queues: Sequence[str],
        models: Models | None = None,
        *,
        respite: float = 0.0,
        http_listen: str = "",
        notifier: Notifier | None = None,
    ) -> None:
        name = process_name()
        events, clean = Events(PROCESS), settings.redactor().clean
        self.health = HealthState(events, counts_backlog=False)
        self._life = Life(
            "worker", settings.grace_period + LAST_MOMENTS, events, self.health, notifier or Notifier({}), clean
        )
        self._http_listen = http_listen
        self._stopping = self._life.stopping
        self._context = DaemonContext(
            settings, catalog_of(settings, classes), name, Targets.of(settings, f"rowhooks worker {name}"), events,
            self._stopping, clean, models or Models(),
        )  # fmt: skip
        self._tracing = tracing_of(settings, self._context.events)
        self._queues = list(queues)
        self._respite = respite
        self._working: Working | None = None
        self._has_begun = asyncio.Event()
        self._code_version = code_version(classes)
        self._context.targets.check()
        head_revision()
        known_revisions()
        self.late = 0
        self._was_let_in = self._has_worked = False
        self._process = new_process()

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
        """Work until `stop` is called; reconnect whenever the connection is lost.

        Returns:
            How many receivers had not ended within the grace period.

        Raises:
            LoginRefused: the server has never accepted the login.
            SchemaMismatch: the schema is missing, older or newer than this code.
        """
        collect_entries()
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(LoopMonitor())
            stack.enter_context(modules_heard(self._context.catalog.modules))
            if self._http_listen:
                from rowhooks.observability.http import HealthServer  # see Daemon.run

                stack.enter_context(HealthServer(self._http_listen, self.health))
            if self._tracing is not None:
                stack.push_async_callback(self._tracing.close)
            async with running([self._keep_working(), self._life.watch()]) as tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                # The watching ends only by an error.
                next(task for task in tasks if task.done()).result()
        return self.late

    async def _keep_working(self) -> None:
        """Work until told to stop."""
        failures = 0
        while not self._stopping.is_set():
            self._has_worked = False
            pulse = Pulse()
            try:
                async with pulse.felt():
                    await self._work()
            except Exception as error:
                # What ends the worker is raised again.
                reason = self._reason_to_go_on(error)
                self._life.become(DaemonState.WAITING, reason)
                if pulse.longest >= self._context.settings.leader_timeout / 2:
                    # What it executed has perhaps kept it from answering: it is as if that had ended the process.
                    self._process = new_process()
                failures = 1 if self._has_worked else failures + 1
                delay = min(LONGEST_BACKOFF, 0.2 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)
                logger.warning("%s; attempt %d, next in %.1f s", reason, failures, delay)
                await first_of(self._stopping.wait(), asyncio.sleep(delay))

    def _reason_to_go_on(self, error: Exception) -> str:
        """Return what has ended the work, after which it begins again; raise what ends the worker."""
        if isinstance(error, SchemaMismatch) or (isinstance(error, LoginRefused) and not self._was_let_in):
            raise error
        if isinstance(error, ConnectionFailed | LeadershipLost):
            return error.message
        if not self._has_worked:
            # Such as a login without the daemon's role.
            raise error
        if isinstance(error, DatabaseError):
            logger.error("a statement was refused: %s", error)
            return error.message
        # What it knew in memory may be wrong. It begins anew, and what it had goes to others.
        logger.error("the work ended by an error of rowhooks", exc_info=error)
        return f"{type(error).__name__}: {error}"

    async def execute(self, group: uuid.UUID) -> int:
        """Take a group, and wait until it is executed.

        Returns:
            How many runs it has had here; 0: it is gone, done or another worker's, or this worker stops or is not
            connected.
        """
        if not self._has_begun.is_set():
            # A process that has just begun is called before it is connected.
            await first_of(self._has_begun.wait(), self._stopping.wait(), asyncio.sleep(CALL_PATIENCE))
        if self._working is None or self._stopping.is_set():
            return 0
        return await self._working.execute(group)

    async def _work(self) -> None:
        """Work over one set of connections, for one leader after another."""
        settings, catalog = self._context.settings, self._context.catalog
        async with contextlib.AsyncExitStack() as stack:
            # By its number the leader knows that the process lives on where only a connection was lost.
            id_ = worker_id(self._process)
            targets = (await self._context.targets.recognised()).named(session_name(self._context.name, id_))
            self._was_let_in = True
            control = await stack.enter_async_context(connected(targets.listen, patience=PATIENCE))
            await check_schema(control)
            receivers = sorted(job.class_path for job in catalog)
            board = WorkBoard(
                control, id_, self._queues, receivers, hears=not targets.listen.pooled, respite=self._respite
            )
            rung = asyncio.Event()
            await board.enter(self._context.name, settings.threads, settings.tasks, self._code_version, rung.set)
            logger.info("ready: %s; queues %s, %d jobs", targets.main.label, ", ".join(self._queues), len(receivers))
            self._has_worked = True
            self._life.become(DaemonState.WORKING)
            while not self._stopping.is_set():
                await self._work_for_one_leader(board, targets, rung)
            await board.leave()

    async def _work_for_one_leader(self, board: WorkBoard, targets: Targets, rung: asyncio.Event) -> None:
        epoch = await self._epoch(board)
        if epoch is None:
            await first_of(self._stopping.wait(), asyncio.sleep(BEAT_INTERVAL))
            return
        async with contextlib.AsyncExitStack() as stack:
            working = Working(self._context, targets, board, epoch)
            connections = Connections(
                *[await stack.enter_async_context(connected(targets.main, patience=PATIENCE)) for _ in range(3)]
            )
            beating = asyncio.create_task(self._beat(board, working, epoch))
            waking = asyncio.create_task(_pass_on(rung, working.wake))
            work = asyncio.create_task(working.run(connections, stack))
            self._working = working
            self._has_begun.set()
            try:
                await asyncio.wait([work, beating], return_when=asyncio.FIRST_COMPLETED)
                if beating.done():
                    # The leader is another one: it takes back what this worker has.
                    work.cancel()
                    beating.result()
                await asyncio.wait([work])
                if not work.cancelled():
                    work.result()
            finally:
                self._working = None
                self._has_begun.clear()
                working.end_calls()
                self.late += working.late
                for task in (beating, waking, work):
                    task.cancel()
                await asyncio.gather(beating, waking, work, return_exceptions=True)

    async def _epoch(self, board: WorkBoard) -> uuid.UUID | None:
        return await board.beat(is_stopping=self._stopping.is_set())

    async def _beat(self, board: WorkBoard, working: Working, epoch: uuid.UUID) -> None:
        """Give signs of life, until another leader is found."""
        while True:
            await first_of(asyncio.sleep(BEAT_INTERVAL), working.found_nothing.wait())
            # Not with each group that goes to another worker.
            await asyncio.sleep(LEAST_PAUSE)
            working.found_nothing.clear()
            async with working.turn:
                found = await self._epoch(board)
            if found != epoch:
                logger.info("another daemon leads")
                return


class Pulse:
    """Notes for how long the event loop of this process has stood still at the most."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._felt_at = time.monotonic()

    @contextlib.asynccontextmanager
    async def felt(self) -> AsyncIterator[None]:
        """Note it for the length of a block."""
        feeling = asyncio.create_task(self._feel())
        try:
            yield
        finally:
            feeling.cancel()
            self._note()

    async def _feel(self) -> None:
        while True:
            await asyncio.sleep(BEAT_INTERVAL)
            self._note()

    def _note(self) -> None:
        moment = time.monotonic()
        self.longest = max(self.longest, moment - self._felt_at - BEAT_INTERVAL)
        self._felt_at = moment


async def _pass_on(rung: asyncio.Event, wake: asyncio.Event) -> None:
    while True:
        await rung.wait()
        rung.clear()
        wake.set()


def code_version(classes: Sequence[ReceiverClass]) -> str:
    """Return what tells this code from another: the release, and a digest of the receivers' modules."""
    digest = hashlib.sha256()
    for module in sorted({cls.__module__ for cls in classes}):
        digest.update(module.encode())
        source = inspect.getsourcefile(next(cls for cls in classes if cls.__module__ == module))
        if source is not None and Path(source).exists():
            digest.update(Path(source).read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"
