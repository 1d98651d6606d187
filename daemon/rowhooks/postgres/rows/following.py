"""Follows the tables: how those are that runs use, when the daemon starts and while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Mapping

import psycopg
from sqlalchemy.exc import DBAPIError

from rowhooks.domain.configuration import TrackedTable
from rowhooks.postgres.rows.loading_errors import cause_of, is_lost, translated
from rowhooks.postgres.rows.row_connections import RowConnections
from rowhooks.postgres.rows.tables import Tables

logger = logging.getLogger(__name__)

LOOK_AGAIN_AFTER = 1.0
"""Seconds between two looks at tables that may have been altered."""


class TableFollower:
    """Learns how tables are, by as many queries for many as for one.

    Args:
        connections: where the catalogue is read.
        tables: the classes of the tables.
    """

    def __init__(self, connections: RowConnections, tables: Tables) -> None:
        self._connections = connections
        self.tables = tables
        self._missing: frozenset[str] = frozenset()
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = 0.0

    async def learn(self, tables: Mapping[int, TrackedTable], used: Collection[int]) -> None:
        """Learn how tables are now: those that hooks start runs for, and those that `table()` was called with.

        Args:
            tables: the tracked tables, by their ids.
            used: the ids of those for which runs are started.

        Raises:
            ConnectionFailed: the connection was lost.
        """
        loop = asyncio.get_running_loop()
        self.tables.outdated = lambda: _soon(loop, self._look_soon)
        relations = {tables[one].relation for one in used if one in tables}
        try:
            async with self._connections.connection() as connection:
                missing = await connection.run_sync(self.tables.learn, tables.values(), relations)
        except (DBAPIError, psycopg.Error) as error:
            if is_lost(error):
                raise translated("the shapes of tables", error) from error
            # Each table is asked for again when a run needs it.
            logger.warning("the shapes of tables are not known yet: %s", str(cause_of(error)).strip())
            return
        for name in missing:
            if name not in self._missing:
                logger.warning("table(%r): there is no table %s in this database", name, name)
        self._missing = frozenset(missing)

    async def close(self) -> None:
        """Follow no more."""
        self.tables.outdated = lambda: None
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def _look_soon(self) -> None:
        if self._looking is None or (self._looking.done() and time.monotonic() - self._looked_at > LOOK_AGAIN_AFTER):
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        """Look whether tables were altered of which nobody is told: those that are not tracked."""
        try:
            async with self._connections.connection() as connection:
                await connection.run_sync(self.tables.look_again)
        except (DBAPIError, psycopg.Error) as error:
            logger.warning("the tables could not be looked at again: %s", str(cause_of(error)).strip())
        finally:
            self._looked_at = time.monotonic()


def _soon(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    # The loop of a daemon that has ended is closed; a receiver that was abandoned may still run.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(work)
