"""Upkeep: the leader makes the log's partitions ahead, takes away what is too old, and counts what waits."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta

from rowhooks.domain.errors import DatabaseError
from rowhooks.observability.health import HealthState
from rowhooks.postgres.backlog import count_backlog
from rowhooks.postgres.connections.connect import Target, connected
from rowhooks.postgres.leadership import epoch as leadership
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)

PRUNE_BATCH = 5000
"""Results or changes deleted in one transaction."""
CENSUS_PATIENCE = 60.0
"""Seconds for counting what waits."""
CENSUS_SHARE = 0.05
"""Of the time, so much at the most goes into counting."""


class Maintenance:
    """What is done now and then, on connections of its own that last as long as it takes."""

    def __init__(self, settings: Settings, target: Target) -> None:
        self._settings = settings
        self._target = target

    async def prune(self) -> None:
        """Delete what is older than the settings keep; what cannot be had now is for the next time."""
        settings = self._settings
        try:
            async with connected(self._target) as connection:
                if settings.result_retention:
                    age = timedelta(days=settings.result_retention)
                    if count := await leadership.prune_results(connection, age, PRUNE_BATCH):
                        logger.info("%d results of more than %s days were pruned", count, settings.result_retention)
                if settings.change_retention:
                    age = timedelta(days=settings.change_retention)
                    dropped, deleted = await leadership.prune_log(connection, age, PRUNE_BATCH)
                    if dropped or deleted:
                        logger.info(
                            "%d partitions and %d single changes of more than %s days were pruned",
                            dropped, deleted, settings.change_retention,
                        )  # fmt: skip
        except DatabaseError as error:
            logger.warning("the log could not be pruned: %s", error.message)

    async def extend_log(self) -> None:
        """Make the log's partitions ahead."""
        try:
            async with connected(self._target) as connection:
                await leadership.extend_log(connection)
        except DatabaseError as error:
            # The default partition takes what has no other place, and it is tried again.
            logger.warning("the log's partitions could not be made ahead: %s", error.message)

    async def make_room(self) -> None:
        """Move what fell into the default partition out of it, and make the log's partitions ahead."""
        try:
            async with connected(self._target) as connection:
                if moved := await leadership.empty_default_partition(connection):
                    logger.info("%d changes were moved out of the log's default partition", moved)
                await leadership.forget_new_keys(connection)
        except DatabaseError as error:
            logger.warning("the log's default partition could not be emptied: %s", error.message)
        await self.extend_log()
        await self.follow_owners()

    async def follow_owners(self) -> None:
        """Bring up to date what no event trigger has: the owner of a tracked table may be another one."""
        try:
            async with connected(self._target) as connection:
                await leadership.refresh_moved_tables(connection)
        except DatabaseError as error:
            logger.warning("a change of a table's owner could not be followed: %s", error.message)

    async def count(self, health: HealthState, interval: float) -> None:
        """Count what waits for ever, every so many seconds or, where that takes long, less often."""
        is_told = False
        began = time.monotonic()
        while True:
            try:
                async with connected(self._target, patience=CENSUS_PATIENCE) as connection:
                    while True:
                        began = time.monotonic()
                        health.backlog = await count_backlog(connection)
                        is_told = False
                        await asyncio.sleep(max(interval, (time.monotonic() - began) / CENSUS_SHARE))
            except DatabaseError as error:
                health.backlog = None
                if not is_told:
                    logger.warning("what waits cannot be counted: %s", error.message)
                is_told = True
                await asyncio.sleep(max(interval, (time.monotonic() - began) / CENSUS_SHARE))
                began = time.monotonic()
