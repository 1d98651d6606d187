"""Maintenance: the leader makes the log's partitions ahead, prunes what is too old, and counts the backlog."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

from rowhooks.domain.errors import DatabaseError
from rowhooks.domain.events import BacklogCounted, Events
from rowhooks.pipeline.concurrency import forever
from rowhooks.postgres import maintenance
from rowhooks.postgres.backlog_count import count_backlog
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.dispatch.leading import forget_lost
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)

EXTEND_INTERVAL = 60.0
PRUNE_INTERVAL = 600.0
BACKLOG_INTERVAL = 5.0
"""Seconds between counts of the backlog, where something has subscribed to them."""
PRUNE_BATCH = 5000
"""Results or changes deleted in one transaction."""
BACKLOG_PATIENCE = 60.0
"""Seconds that one count may take."""
TIDY_INTERVAL = 30.0
"""Seconds between looks for workers that have ended."""
BACKLOG_SHARE = 0.05
"""The share of the time that goes into counting, at the most."""


class Maintenance:
    """What is done now and then, on connections of its own that last as long as it takes.

    Args:
        settings: of the daemon.
        target: the database.
        events: those of the daemon.
        lost_worker: called with the name of a worker that has ended or is silent.
    """

    def __init__(self, settings: Settings, target: Target, events: Events, lost_worker: Callable[[str], None]) -> None:
        self._settings = settings
        self._target = target
        self._events = events
        self._lost_worker = lost_worker

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Return what goes on for ever while this daemon leads."""
        work = [
            forever(EXTEND_INTERVAL, self.make_room), forever(PRUNE_INTERVAL, self.prune),
            forever(TIDY_INTERVAL, self.forget_lost_workers),
        ]  # fmt: skip
        return [*work, self.count_backlog()] if BacklogCounted in self._events.wanted else work

    async def prune(self) -> None:
        """Delete what is older than the settings keep. What is locked now is left for the next time."""
        await self._attempt(self._prune, "the log could not be pruned: %s")

    async def _prune(self, connection: Any) -> None:
        settings = self._settings
        if settings.result_retention:
            age = timedelta(days=settings.result_retention)
            if count := await maintenance.prune_results(connection, age, PRUNE_BATCH):
                logger.info("%d results of more than %s days were pruned", count, settings.result_retention)
        if settings.change_retention:
            age = timedelta(days=settings.change_retention)
            dropped, deleted = await maintenance.prune_log(connection, age, PRUNE_BATCH)
            if dropped or deleted:
                logger.info(
                    "%d partitions and %d single changes of more than %s days were pruned",
                    dropped, deleted, settings.change_retention,
                )  # fmt: skip

        if settings.audit_retention:
            age = timedelta(days=settings.audit_retention)
            if count := await maintenance.prune_audit(connection, age):
                logger.info("%d acts of more than %s days were pruned", count, settings.audit_retention)

    async def forget_lost_workers(self) -> None:
        """Take out workers that have ended or are silent, also while nothing is handed out."""

        async def forget(connection: Any) -> None:
            await forget_lost(connection, timedelta(seconds=self._settings.leader_timeout), self._lost_worker)

        await self._attempt(forget, "workers that have ended could not be taken out: %s")

    async def make_room(self) -> None:
        """Empty the default partition, make the log's partitions ahead, and follow changes of owners."""
        await self._attempt(self._empty_default_partition, "the log's default partition could not be emptied: %s")
        await self.extend_log()
        # Where no event trigger has reported it, the owner of a tracked table may be another one.
        await self._attempt(
            maintenance.refresh_moved_tables, "a change of a table's owner could not be followed: %s"
        )  # fmt: skip

    async def extend_log(self) -> None:
        """Make the log's partitions ahead; where that fails, the default partition takes the changes meanwhile."""
        await self._attempt(maintenance.extend_log, "the log's partitions could not be made ahead: %s")

    @staticmethod
    async def _empty_default_partition(connection: Any) -> None:
        if moved := await maintenance.empty_default_partition(connection):
            logger.info("%d changes were moved out of the log's default partition", moved)
        await maintenance.forget_new_keys(connection)

    async def _attempt(self, work: Callable[[Any], Awaitable[None]], problem: str) -> None:
        """Do some work on a connection of its own; log what goes wrong."""
        try:
            async with connected(self._target) as connection:
                await work(connection)
        except DatabaseError as error:
            logger.warning(problem, error.message)

    async def count_backlog(self) -> None:
        """Count the backlog for ever; less often where counting takes long."""
        is_logged = False
        began = time.monotonic()
        while True:
            try:
                async with connected(self._target, patience=BACKLOG_PATIENCE) as connection:
                    while True:
                        began = time.monotonic()
                        self._events.publish(BacklogCounted(await count_backlog(connection)))
                        is_logged = False
                        await _pause_since(began)
            except DatabaseError as error:
                self._events.publish(BacklogCounted(None))
                if not is_logged:
                    logger.warning("the backlog cannot be counted: %s", error.message)
                is_logged = True
                await _pause_since(began)
                began = time.monotonic()


async def _pause_since(began: float) -> None:
    await asyncio.sleep(max(BACKLOG_INTERVAL, (time.monotonic() - began) / BACKLOG_SHARE))
