"""The daemon: takes and keeps the lead, stops in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rowhooks.domain.errors import (
    ConnectionFailed,
    DatabaseError,
    LeadershipLost,
    LoginRefused,
    SchemaMismatch,
    SettingsError,
)
from rowhooks.observability.health import RELOADING, STOPPING, WAITING, HealthState
from rowhooks.observability.http import HealthServer
from rowhooks.pipeline.tasks import first_of, running
from rowhooks.postgres.administration.schema import head_revision, known_revisions
from rowhooks.postgres.connections.connect import Target
from rowhooks.postgres.sessions.permissions import PostgresPermissions
from rowhooks.receivers.loading import load_permission_backend
from rowhooks.receivers.logger import collect_entries
from rowhooks.receivers.registry import Catalog, ReceiverClass
from rowhooks.runtime.leader import FLUSH_TIMEOUT, Leader
from rowhooks.runtime.loop_monitor import LoopMonitor
from rowhooks.service.notifications import Notifier, Service
from rowhooks.settings import Settings

if TYPE_CHECKING:
    from rowhooks.observability.traces import Tracing

logger = logging.getLogger(__name__)

LONGEST_BACKOFF = 30.0
LAST_MOMENTS = 15.0
"""Seconds that ending takes at the most beside the grace period and the last results."""


class Daemon:
    """One daemon process.

    Args:
        settings: the configuration.
        classes: the receivers that were found.

    Raises:
        SettingsError: the permission backend, a secret, or what traces need, cannot be had.
    """

    def __init__(self, settings: Settings, classes: Sequence[ReceiverClass]) -> None:
        self._settings = settings
        self._clean = settings.redactor().clean
        self._catalog = Catalog(
            classes,
            permissions=load_permission_backend(settings.permission_backend, settings.directory)
            if settings.permission_backend
            else PostgresPermissions(),
            soft_time_limit=settings.soft_time_limit or None,
            time_limit=settings.time_limit or None,
        )
        # What a server shows of an application's name has 63 bytes at the most.
        self._name = f"{socket.gethostname()[:40]}:{os.getpid()}"
        application = f"rowhooks {self._name}"
        self._target = Target(settings.dsn, application, password=settings.password)
        self._listen_target = (
            self._target
            if settings.listen_dsn is None
            else Target(settings.listen_dsn, application, password=settings.password)
        )
        self._receiver_target = (
            self._target
            if settings.receiver_dsn is None
            # The password is that of the daemon's own login.
            else Target(settings.receiver_dsn, application)
        )
        self._tracing = _load_tracing() if settings.traces else None
        for target in (self._target, self._listen_target, self._receiver_target):
            # What can never be had is said now; what can, and cannot at the moment, is tried again.
            target.asyncpg_attempts()
        # Those of the code in memory: what is on the disk may be replaced while it runs.
        head_revision()
        known_revisions()
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()
        self.health = HealthState()
        notifier = Notifier(os.environ)
        self.health.is_watched = bool(settings.http_listen) or notifier.is_wanted
        self._service = Service(self.health, notifier)
        self.reloads = False

    def stop(self) -> None:
        """Take no new runs, let the running ones finish within the grace period, and return from `run`."""
        self._end(STOPPING)

    def reload(self, check: Callable[[], object]) -> None:
        """End as `stop` does, for a successor in the same process; `reloads` says so.

        Args:
            check: raises where the successor could not begin: then nothing happens.
        """
        if self._stopping.is_set():
            return
        self._service.reloading()
        try:
            check()
        except Exception as error:
            logger.error("nothing is reloaded, the daemon goes on as it was: %s", self._clean(str(error)))
            self._service.reloaded()
            return
        self.reloads = True
        self._end(RELOADING)

    def _end(self, state: str) -> None:
        longest = self._settings.grace_period + FLUSH_TIMEOUT + LAST_MOMENTS
        self.health.become(state)
        self.health.promise("coming to an end", longest)
        if state == STOPPING:
            self.reloads = False
            self._service.stopping(longest)
        self._stopping.set()

    async def run(self) -> int:
        """Run until `stop` is called; reconnect whenever the connection is lost.

        Returns:
            How many receivers had not ended within the grace period.

        Raises:
            LoginRefused: the login has never been let in: a wrong password, no entry in pg_hba.conf.
            SchemaMismatch: the schema is missing, older or newer than this code.
            PermissionDenied: the login may not use schema rowhooks.
        """
        collect_entries()
        asyncio.get_running_loop().set_exception_handler(self._notice)
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(LoopMonitor())
            if self._settings.http_listen:
                stack.enter_context(HealthServer(self._settings.http_listen, self.health))
            if self._tracing is not None:
                stack.push_async_callback(self._tracing.close)
            async with running([self._keep_leading(), self._service.attend()]) as tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                lead, attendance = tasks
                if not lead.done():
                    # It ends by an error only, and nothing would look after the daemon any more.
                    attendance.result()
                late: int = lead.result()
                return late

    def _notice(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Count what a callback or a task raised that nobody waits for; asyncio's own handler logs it."""
        self.health.count_error()
        loop.default_exception_handler(context)

    async def _keep_leading(self) -> int:
        failures = late = 0
        was_let_in = False
        while not self._stopping.is_set():
            lead = Leader(
                self._settings,
                self._catalog,
                self._clean,
                self._name,
                self._target,
                self._listen_target,
                self._receiver_target,
                self._stopping,
                self.ready,
                self.health,
                None if self._tracing is None else self._tracing.execution,
            )
            try:
                return late + await self._see_to_the_end(lead)
            except (DatabaseError, LeadershipLost) as error:
                was_let_in = was_let_in or lead.was_let_in
                if isinstance(error, LoginRefused) and not was_let_in:
                    # Not the server's state but a mistake in the settings, which waiting does not mend.
                    raise
                is_lost = isinstance(error, ConnectionFailed | LeadershipLost)
                if isinstance(error, SchemaMismatch) or not (is_lost or lead.was_ready):
                    raise
                if not is_lost:
                    # It led, and a statement was refused: that ends this leadership, not the daemon.
                    logger.error("a statement was refused while the daemon led: %s", error)
                message = error.message
            except Exception as error:
                if not lead.was_ready:
                    raise
                # What it knew in memory may be wrong. The next one begins with what is on record.
                logger.exception("the lead ended by an error of rowhooks")
                self.health.count_error()
                message = f"{type(error).__name__}: {error}"
            self.ready.clear()
            self.health.reconnects += 1
            self.health.become(WAITING, self._clean(message.partition("\n")[0]))
            late += lead.late
            failures = 1 if lead.was_ready else failures + 1
            delay = min(LONGEST_BACKOFF, 0.2 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)
            logger.warning("%s; attempt %d, next in %.1f s", message, failures, delay)
            await first_of(self._stopping.wait(), asyncio.sleep(delay))
        return late

    async def _see_to_the_end(self, lead: Leader) -> int:
        """Run a lead; one that has not begun to work when it is told to stop need not finish what it waits for."""
        task = asyncio.create_task(lead.run())
        try:
            await first_of(asyncio.shield(task), self._stopping.wait())
            if not lead.was_ready:
                task.cancel()
            return await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            return 0
        finally:
            task.cancel()


def _load_tracing() -> Tracing:
    try:
        from rowhooks.observability.traces import Tracing  # its packages are an extra
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"traces: the package {error.name} is not installed",
            hint="install rowhooks[otel], or take the setting out",
        ) from error
    return Tracing()


def handle_signals(daemon: Daemon, check: Callable[[], object]) -> None:
    """Stop on SIGTERM and SIGINT, where a second one ends the process at once; reload on SIGHUP.

    A terminal that is closed sends SIGHUP too, and nohup keeps it away: there it stays what it was.

    Args:
        daemon: what is told.
        check: raises where a successor could not begin.
    """
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        logger.info("%s received", number.name)
        daemon.stop()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    if not os.isatty(0) and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, daemon.reload, check)
    # A successor begins with it held back, so that one which comes too early does not end the process.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
