"""Loads: how many rows of a table are loaded together, and which tables are locked and waited for."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from rowhooks.domain.errors import TableLocked
from rowhooks.domain.row_types import row_type_of
from rowhooks.pipeline.concurrency import Background
from rowhooks.pipeline.scheduling.tasks import Lane, Task

logger = logging.getLogger(__name__)

FIRST = 50
"""Rows of a table that are loaded together while nothing is known of their size."""
MOST = 1000
"""Rows of a table that are loaded together, at the most."""
GROWTH = 4
"""How many times as many are loaded together as before, at the most."""
PORTION = 16 * 2**20
"""Characters of a table's rows that are loaded together, going by the rows before; and that wait for their runs."""
FORGETTING = 0.8
"""What a row is still thought to have, of what it had before, where those that came now are smaller."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds between two looks at a locked table."""
KEPT = 1000
"""Runs of a locked table that wait in memory; the others that wait for it are left to the table of results."""
CONCURRENT_LOOKS = 2
"""Locked tables that are looked at concurrently: a look takes a connection for as long as it waits for the lock."""


class Portion:
    """How many rows of one table are loaded together: as many as ever, but few where rows prove large."""

    def __init__(self) -> None:
        self.size = FIRST
        self.room = asyncio.Event()
        """Set while no more of its rows wait for their runs than are to."""
        self.room.set()
        self._held = 0
        self._of_one = 0.0

    @property
    def places(self) -> int:
        """For how many rows there is room now."""
        return self.size if self.room.is_set() else 0

    def learn(self, rows: int, size: int) -> None:
        """Take account of rows that were loaded, with so many characters in all."""
        self._of_one = max(size / rows, FORGETTING * self._of_one)
        largest = MOST if not self._of_one else max(int(PORTION / self._of_one), 1)
        self.size = min(largest, GROWTH * self.size, MOST)

    def hold(self, more: int) -> None:
        """Count so many characters more, or less, that wait."""
        self._held += more
        if self._held < PORTION:
            self.room.set()
        else:
            self.room.clear()


_SMALL = {int, float, bool, type(None), datetime, date, UUID}
"""What counts as nothing, whatever the value."""


def size_of_row(row: Any, *, with_related: bool = False) -> int:
    """Return about how many characters a row has.

    Args:
        row: the row.
        with_related: whether those count that were loaded with it.
    """
    size, seen = 0, {id(row)}
    todo = [vars(row)] if hasattr(row, "__dict__") else []
    while todo:
        inner: list[Any] = []
        for one in todo:
            for value in one.values() if isinstance(one, dict) else one:
                if type(value) in _SMALL:
                    continue
                if isinstance(value, str | bytes):
                    size += len(value)
                elif isinstance(value, dict | list | tuple):
                    # What is empty takes room too.
                    size += sys.getsizeof(value)
                    inner.append(value)
                elif isinstance(value, Decimal):
                    size += sys.getsizeof(value)
                elif with_related and id(value) not in seen and row_type_of(type(value)) is not None:
                    seen.add(id(value))
                    inner.append(vars(value))
        todo = inner
    return size


@dataclass
class Locked:
    """A table that another session has locked.

    Args:
        table_id: which.
        name: its name.
        key: of a row with which it is tried whether the table can be read again.
        tasks: what waits for that.
        lanes: those of what waits for that and is not in memory, each with the name of its pool.
        is_free: set when it can be read.
    """

    table_id: int
    name: str
    key: str
    tasks: list[Task] = field(default_factory=list)
    lanes: list[tuple[str, Lane]] = field(default_factory=list)
    is_free: asyncio.Event = field(default_factory=asyncio.Event)


class Locks:
    """The tables that are locked, each of them looked at again and again, for as long as it takes.

    Args:
        can_be_read: tries it, with the key of a row.
        background: where they are looked at.
    """

    def __init__(self, can_be_read: Callable[[int, str], Awaitable[bool]], background: Background) -> None:
        self._can_be_read = can_be_read
        self._background = background
        self._locked: dict[int, Locked] = {}
        self._looks = asyncio.Semaphore(CONCURRENT_LOOKS)

    def get(self, table_id: int) -> Locked | None:
        """Return a table if it is locked, as far as is known."""
        return self._locked.get(table_id)

    def of(self, table_id: int, name: str, key: str, error: TableLocked) -> Locked:
        """Return a table that was found locked, when a row was loaded by its key; it is waited for from now on."""
        lock = self._locked.get(table_id)
        if lock is None:
            lock = self._locked[table_id] = Locked(table_id, name, key)
            logger.warning("%s; the runs of %s that need a row wait for it", error, name)
            self._background.start(self._wait(lock))
        return lock

    def put_back(self, work: Callable[[Task], bool]) -> None:
        """Keep only some of what waits for each table in memory.

        Args:
            work: takes a task out of it; False where it must stay.
        """
        for lock in self._locked.values():
            stays = lock.tasks[:KEPT]
            for task in lock.tasks[KEPT:]:
                if work(task):
                    lock.lanes.append((task.pool, task.lane))
                else:
                    stays.append(task)
            lock.tasks = stays

    async def _wait(self, lock: Locked) -> None:
        pause = SHORTEST_PAUSE
        while True:
            await asyncio.sleep(pause)
            async with self._looks:
                if await self._can_be_read(lock.table_id, lock.key):
                    break
            pause = min(2 * pause, LONGEST_PAUSE)
        del self._locked[lock.table_id]
        logger.info("rows of %s can be loaded again: its runs go on", lock.name)
        lock.is_free.set()
