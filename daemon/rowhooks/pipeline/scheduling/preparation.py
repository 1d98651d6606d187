"""Preparation: has what runs need before they can begin: their users, their rows, and whether they were revoked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rowhooks.domain.errors import ConnectionFailed, ReceiverError
from rowhooks.domain.run import Run, revoked
from rowhooks.pipeline.concurrency import Background, first_of
from rowhooks.pipeline.ports import UserResolver
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.loads import Locked
from rowhooks.pipeline.scheduling.pace import Pace
from rowhooks.pipeline.scheduling.pools import ExecutionPool
from rowhooks.pipeline.scheduling.rows import Rows
from rowhooks.pipeline.scheduling.tasks import Task

if TYPE_CHECKING:
    from rowhooks.pipeline.scheduling.scheduler import Scheduler

logger = logging.getLogger(__name__)

OF_EACH_TABLE = 4
"""How many runs of a table are prepared whatever the others take: a table that loads slowly holds up its own alone."""
_BEGIN = 0.005
"""Seconds after which those of a group of prepared runs have begun that find a place at once."""


class Preparation:
    """Prepares tasks, each table in the background of its own: one that is locked holds up its own runs alone.

    Tasks of a locked table are put aside, without a place among what is prepared, until it can be read again. Where
    rows are large, few are loaded at a time, and no more while a table's rows that were loaded wait for their runs.

    Args:
        recorder: says what stands on record and was revoked there.
        rows: loads the rows.
        users: says which users runs are for.
        pools: where the tasks are executed.
    """

    def __init__(self, recorder: Recorder, rows: Rows, users: UserResolver, pools: Sequence[ExecutionPool]) -> None:
        self.rows = rows
        self.pools: Mapping[str, ExecutionPool] = {pool.name: pool for pool in pools}
        self._paces = {pool.name: Pace(pool.limit) for pool in pools}
        self.background = Background()
        self._recorder = recorder
        self._users = users
        self._scheduler: Scheduler
        # By pool and table; the table whose turn comes first is the first.
        self._ready: dict[tuple[str, int], deque[Task]] = {}
        self._taken: Counter[str] = Counter()
        self._taken_by_table: Counter[tuple[str, int]] = Counter()
        self._wake = asyncio.Event()
        self._queues: dict[int, deque[Task]] = {}
        self._closed = False

    def attach(self, scheduler: Scheduler) -> None:
        """Hand over to a scheduler from now on."""
        self._scheduler = scheduler

    def waiting(self, pool: str) -> int:
        """Return how many tasks of a pool wait to be prepared."""
        return sum(len(ready) for (name, _), ready in self._ready.items() if name == pool)

    def offer(self, task: Task) -> None:
        """Take a task that may begin; it is handed over when it can."""
        try:
            needs = self._needs(task)
        except Exception as error:
            # Here it would come up in the run that has made way for this one.
            task.refused, needs = error, False
        if needs:
            self._ready.setdefault((task.pool, task.run.cause.table_id), deque()).append(task)
            self._wake.set()
        else:
            self._scheduler.start((task,))

    def offer_again(self, task: Task) -> None:
        """Take a task that could not begin with what was had for it."""
        if not task.place:
            # It needed nothing when it became ready, and takes its place among the others now.
            self.offer(task)
        else:
            self._note_wait(task)
            self._prepare_soon(task)

    def release(self, task: Task) -> None:
        """Free the place of a task, and its row."""
        self._note_wait(task)
        self.rows.release(task)
        if task.place:
            self._count(task.place, -1)
            task.place = None
            self._wake.set()

    def _note_wait(self, task: Task) -> None:
        if task.place and task.waited is not None:
            self._paces[task.place[0]].begun(task.waited)
            task.waited = None

    async def run(self) -> None:
        """Prepare what may begin, until cancelled; raise an error that ends the leadership."""
        await first_of(self._run(), self.background.failure(), self.rows.background.failure())

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for which in list(self._ready):
                # Each table has its turn: it goes behind the others.
                ready = self._ready.pop(which)
                while ready and self._has_place(which):
                    task = ready.popleft()
                    task.place = which
                    self._count(which, 1)
                    self._prepare_soon(task)
                if ready:
                    self._ready[which] = ready
            self._scheduler.replenish()

    def _has_place(self, which: tuple[str, int]) -> bool:
        ahead = self._taken[which[0]] - len(self.pools[which[0]].running)
        return self._paces[which[0]].allows(ahead) or self._taken_by_table[which] < OF_EACH_TABLE

    def _count(self, which: tuple[str, int], places: int) -> None:
        self._taken[which[0]] += places
        self._taken_by_table[which] += places
        if not self._taken_by_table[which]:
            del self._taken_by_table[which]

    def close(self) -> None:
        """Hand nothing over any more."""
        self._closed = True
        self.rows.close()

    def _needs(self, task: Task) -> bool:
        """Say whether a task has to be prepared; note its user where it is known."""
        if task.parts or self.pools[task.pool].is_elsewhere:
            # A batch has many authors. In a worker its user is found there, as its row is.
            task.user = ""
        elif task.user is None:
            cause = task.run.cause
            task.user = self._users.known(cause.user_name, cause.db_user)
        return task.on_record or task.user is None or (task.options.loads_object and self._needs_row(task))

    def _needs_row(self, task: Task) -> bool:
        return task.needs_row and self.pools[task.pool].needs_rows

    def _prepare_soon(self, task: Task) -> None:
        # What was loaded for it before is of no use any more, and must not keep its table's rows from being loaded.
        task.changed_object = None
        task.may_begin = False
        self.rows.release(task)
        table_id = task.run.cause.table_id
        if table_id in self._queues:
            self._queues[table_id].append(task)
        else:
            self._queues[table_id] = deque([task])
            self.background.start(self._prepare_table(table_id))

    async def _prepare_table(self, table_id: int) -> None:
        queue, portion = self._queues[table_id], self.rows.portion(table_id)
        try:
            # What became ready in this round of the event loop is prepared together.
            await asyncio.sleep(0)
            while queue and not self._closed:
                # Two hooks on one row must not share an object, so each round loads a row once.
                rounds: dict[tuple[int, str], Task] = {}
                rest: deque[Task] = deque()
                places = portion.places
                for task in queue:
                    needs_row = self._needs_row(task)
                    if (needs_row and not places) or rounds.setdefault(task.run.row, task) is not task:
                        rest.append(task)
                    else:
                        places -= needs_row
                if not rounds:
                    await portion.room.wait()
                    continue
                queue.clear()
                queue.extend(rest)
                await self._prepare(table_id, list(rounds.values()))
        finally:
            del self._queues[table_id]

    async def _prepare(self, table_id: int, tasks: list[Task]) -> None:
        if (lock := self.rows.locks.get(table_id)) is not None:
            tasks = self._without_locked(lock, tasks)
        lock = await self.rows.load(table_id, [task for task in tasks if self._needs_row(task)])
        if lock is not None:
            tasks = self._without_locked(lock, tasks)
        await self._resolve([task for task in tasks if task.user is None])
        # The last thing before they begin. They are marked as STARTED when they have, by the sweep: a statement with a
        # COMMIT here would hold up all of them.
        on_record = {task: [one.run for one in task.singles if one.on_record] for task in tasks if task.on_record}
        asked = [run.id for runs in on_record.values() for run in runs]
        ended = await self._recorder.ended(asked) if asked else set()
        asked_at = time.monotonic()
        if self._closed:
            return
        prepared = []
        for task in tasks:
            if task in on_record:
                gone = [run for run in on_record[task] if run.id in ended]
                for run in gone:
                    self._recorder.take(revoked(run), None)
                if not _is_left(task, gone):
                    self._scheduler.leave(task)
                    continue
                task.may_begin = True
                if not self._needs_row(task):
                    # That it may begin is good for as long as a row is.
                    task.loaded_at = asked_at
            prepared.append(task)
        self._scheduler.start(prepared)
        if self._ready:
            # Those that have begun by then leave room for others.
            asyncio.get_running_loop().call_later(_BEGIN, self._wake.set)

    def _without_locked(self, lock: Locked, tasks: list[Task]) -> list[Task]:
        """Put those aside that need a row of a locked table; return the others."""
        others = []
        for task in tasks:
            if self._needs_row(task):
                if not lock.tasks:
                    self.rows.background.start(self._go_on(lock))
                lock.tasks.append(task)
                self.release(task)
            else:
                others.append(task)
        return others

    async def _go_on(self, lock: Locked) -> None:
        """Go on with what was put aside, once its table can be read."""
        await lock.is_free.wait()
        for task in lock.tasks:
            self.offer(task)
        self._scheduler.wake(lock.lanes)

    async def _resolve(self, tasks: list[Task]) -> None:
        if not tasks:
            return
        pairs = list({(task.run.cause.user_name, task.run.cause.db_user): None for task in tasks})
        try:
            users = await self._users.resolve(pairs)
            if len(users) != len(pairs):
                raise ReceiverError(f"the permission backend answered {len(users)} users for {len(pairs)} runs")
        except ConnectionFailed:
            raise
        except Exception as error:
            users = [error] * len(pairs)
        known = dict(zip(pairs, users, strict=True))
        for task in tasks:
            user = known[task.run.cause.user_name, task.run.cause.db_user]
            if isinstance(user, Exception):
                task.refused = user
            else:
                task.user = user


def _is_left(task: Task, gone: Sequence[Run]) -> bool:
    """Say whether anything of a task is still to be run, of which these were revoked."""
    for run in gone:
        logger.info("the run was revoked before it began", extra=run.log_fields())
    if len(gone) == len(task.singles):
        return False
    if gone:
        task.without({run.id for run in gone})
    return True
