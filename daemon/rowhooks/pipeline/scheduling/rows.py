"""Rows: the rows that receivers look at, loaded for many runs at a time; a table that is locked is waited for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import ConnectionFailed, NotFound, TableLocked
from rowhooks.domain.run import Run
from rowhooks.pipeline.concurrency import Background
from rowhooks.pipeline.ports import ObjectLoader, ReceiverCatalog
from rowhooks.pipeline.scheduling.loads import Locked, Locks, Portion, size_of_row
from rowhooks.pipeline.scheduling.tasks import Task


class Rows:
    """Loads rows for runs.

    Args:
        loader: loads the rows of one table, one query for all of them.
        receivers: says which of them are called with the row.
    """

    def __init__(self, loader: ObjectLoader, receivers: ReceiverCatalog) -> None:
        self._loader = loader
        self._receivers = receivers
        self.background = Background()
        self.locks = Locks(self._can_be_read, self.background)
        self._portions: dict[int, Portion] = {}
        self.tables: Mapping[int, TrackedTable] = {}
        self.loaded = 0
        """Characters of the rows that were loaded for runs that have not ended."""

    async def reload(self, run: Run) -> Any:
        """Load the row of one run again; None when it is gone, or when the receiver is called without it."""
        options = self._receivers.options(run.job.class_path)
        if run.cause.action == "delete" or not options.loads_object:
            return None
        table_id, key = run.cause.table_id, run.cause.object_id_json
        ahead = {path: [key] for path in options.load}
        while True:
            try:
                found = (await self._loader.load(self._table(table_id), [key], ahead)).get(key)
            except TableLocked as error:
                await self._lock(table_id, key, error).is_free.wait()
                continue
            if isinstance(found, Exception):
                raise found
            return found

    def portion(self, table_id: int) -> Portion:
        """Return how many rows of a table are loaded at a time."""
        found = self._portions.get(table_id)
        if found is None:
            found = self._portions[table_id] = Portion()
        return found

    async def load(self, table_id: int, tasks: Sequence[Task]) -> Locked | None:
        """Load the rows of tasks; what stands in the way of one is noted there.

        Returns:
            The table, where another session has locked it.
        """
        if not tasks:
            return None
        keys = [task.run.cause.object_id_json for task in tasks]
        try:
            found = await self._loader.load(self._table(table_id), keys, self._ahead(tasks))
            loaded_at = time.monotonic()
            for task, key in zip(tasks, keys, strict=True):
                self._take(task, found.get(key), loaded_at)
        except ConnectionFailed:
            raise
        except TableLocked as error:
            return self._lock(table_id, keys[0], error)
        except Exception as error:
            # A missing privilege or a dropped table costs the runs of this table that are loaded now, and only them.
            for task in tasks:
                task.refused, task.loaded_at = error, time.monotonic()
        else:
            self.portion(table_id).learn(len(tasks), sum(task.loaded for task in tasks))
        return None

    def _ahead(self, tasks: Sequence[Task]) -> dict[str, list[str]]:
        """Return what receivers want to have loaded with their rows: by path, the keys of the rows."""
        ahead: dict[str, list[str]] = {}
        for task in tasks:
            for path in self._receivers.options(task.run.job.class_path).load:
                ahead.setdefault(path, []).append(task.run.cause.object_id_json)
        return ahead

    def release(self, task: Task) -> None:
        """Count the row of a task no more."""
        if task.loaded:
            self._count(task, 0)

    def close(self) -> None:
        """Wait for nothing more."""
        self.background.close()
        for portion in self._portions.values():
            portion.room.set()

    def _take(self, task: Task, row: Any, loaded_at: float) -> None:
        # One that could not be loaded is not gone.
        is_refused = isinstance(row, Exception)
        task.changed_object = None if is_refused else row
        has_related = bool(self._receivers.options(task.run.job.class_path).load)
        self._count(task, size_of_row(task.changed_object, with_related=has_related))
        task.refused, task.loaded_at = row if is_refused else None, loaded_at

    def _count(self, task: Task, size: int) -> None:
        more = size - task.loaded
        task.loaded = size
        self.loaded += more
        self.portion(task.run.cause.table_id).hold(more)

    def _table(self, table_id: int) -> TrackedTable:
        table = self.tables.get(table_id)
        if table is None:
            raise NotFound(f"tracked table {table_id} was dropped or untracked since the change was made")
        return table

    def _lock(self, table_id: int, key: str, error: TableLocked) -> Locked:
        # It may be tracked no more by now.
        table = self.tables.get(table_id)
        return self.locks.of(table_id, f"tracked table {table_id}" if table is None else table.name, key, error)

    async def _can_be_read(self, table_id: int, key: str) -> bool:
        try:
            await self._loader.load(self._table(table_id), [key], {})
        except TableLocked:
            return False
        except ConnectionFailed:
            raise
        except Exception:
            # It is not the lock: each run's own loading says what it is.
            return True
        return True
