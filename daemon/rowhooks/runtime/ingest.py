"""Intake: reads the log part by part, matches the changes and hands the runs to the scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from rowhooks.domain.change import made
from rowhooks.domain.keys import former_key
from rowhooks.domain.run import Run
from rowhooks.observability.health import HealthState
from rowhooks.pipeline.listener import Bell, Sleep
from rowhooks.pipeline.matcher import Matcher
from rowhooks.pipeline.progress import Progress, Step
from rowhooks.pipeline.reader import Part, Reader
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.missing_jobs import Waiting
from rowhooks.pipeline.scheduling.scheduler import Scheduler
from rowhooks.pipeline.tasks import first_of
from rowhooks.postgres.feed import FEW
from rowhooks.postgres.leadership import epoch as leadership
from rowhooks.postgres.leadership.epoch import Leadership
from rowhooks.postgres.recovery import NewKey, UnfinishedRuns

LOOK = "a look at the log"
PARTS_AHEAD = 3
"""So many parts are read ahead of what is on record, so that reading, running and recording go on side by side."""
IDS_AHEAD = 10
"""Ids of results that are reserved at once, in parts."""
MOST_WAITING = 50_000
"""Runs kept in memory while they wait for their turn; beyond it nothing more is read."""
MOST_HELD = 128 * 2**20
"""Characters of changes, rows and results kept in memory with the runs that wait and run; likewise."""
LONGEST_LOOK = 600.0
"""Seconds for a look at the log with its matching; its statements are given up before."""
LONGEST_TURN = 0.02
"""Seconds of matching after which others on the event loop have their turn."""
ASKED_FOR_INTERVAL = 0.5
"""Seconds between looks for what was asked for by hand, while the feed keeps the leader busy."""


class Ingest:
    """What a leader reads.

    Args:
        connection: the feed's; asyncpg, used by the reader and by nobody beside this.
        leadership: what the leader has found.
        reader: reads the log.
        progress: is told of each change.
        scheduler: takes the runs.
        recorder: says when there is room for more.
        unfinished: notes which rows have another key.
        take_up_asked_for: takes up what was asked for by hand; says whether more may wait.
        bell: is answered before each look.
        sleep: says when the next look is due.
        batch_size: changes in a part at the most.
        health: is told that the log is looked at.
        waiting: keeps what this leader's code cannot run.
    """

    matcher: Matcher

    def __init__(
        self,
        connection: Any,
        leadership: Leadership,
        reader: Reader,
        progress: Progress,
        scheduler: Scheduler,
        recorder: Recorder,
        unfinished: UnfinishedRuns,
        take_up_asked_for: Callable[[], Awaitable[bool]],
        bell: Bell,
        sleep: Sleep,
        batch_size: int,
        health: HealthState,
        waiting: Waiting,
    ) -> None:
        self._connection = connection
        self._leadership = leadership
        self._reader = reader
        self._progress = progress
        self._scheduler = scheduler
        self._recorder = recorder
        self._unfinished = unfinished
        self._take_up_asked_for = take_up_asked_for
        self._bell = bell
        self._sleep = sleep
        self._batch_size = batch_size
        self._health = health
        self._waiting = waiting
        self._ids: list[int] = []
        # Who uses the connection; and the part that is being read ahead.
        self._turn = asyncio.Lock()
        self._ahead: asyncio.Future[Part | None] | None = None

    async def run(self) -> None:
        """Read for ever."""
        try:
            await self._read()
        finally:
            if self._ahead is not None:
                self._ahead.cancel()
                await asyncio.gather(self._ahead, return_exceptions=True)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        looked = 0.0
        is_woken = False
        while True:
            self._health.promise(LOOK, LONGEST_LOOK)
            self._bell.answer()
            # Who has been woken up mostly finds one change, for which somebody waits.
            part = await self._next_part(FEW if is_woken else None)
            is_woken = False
            # A part without changes only says that other transactions have ended.
            is_empty = part is None or (not part.changes and part.end.target is None)
            if part is not None:
                await self._submit(part)
                self._health.delivered += len(part.changes)
            if is_empty or loop.time() - looked > ASKED_FOR_INTERVAL:
                taken = await self._asked_for()
                looked = loop.time()
                if is_empty and not taken:
                    self._health.keep(LOOK)
                    is_woken = await self._rest()
                    continue
            self._sleep.found()
            if part is not None and part.end.target is None:
                # Those who write have the next part together meanwhile.
                await self._sleep.moment()
            self._health.keep(LOOK)
            while self._is_full():
                self._recorder.room.clear()
                await self._recorder.room.wait()

    async def _next_part(self, limit: int | None) -> Part | None:
        """Return the next part; of a batch that goes on, what follows it is read meanwhile."""
        part = await (self._ahead or self._read_part(limit))
        is_end = part is None or part.end.target is None
        self._ahead = None if is_end else asyncio.ensure_future(self._read_part())
        return part

    async def _read_part(self, limit: int | None = None) -> Part | None:
        async with self._turn:
            return await self._reader.next_part(limit)

    async def _rest(self) -> bool:
        """Wait for the next look; say whether one was woken up."""
        if not self._has_enough():
            return await self._sleep.wait()
        # More may have been asked for than was taken up.
        await first_of(self._sleep.wait(), self._has_room())
        return False

    async def _has_room(self) -> None:
        while self._has_enough():
            self._recorder.room.clear()
            await self._recorder.room.wait()

    def _has_enough(self) -> bool:
        return self._scheduler.waiting >= 2 * self._batch_size

    def _is_full(self) -> bool:
        return (
            self._progress.open_changes > PARTS_AHEAD * self._batch_size
            or self._scheduler.waiting > MOST_WAITING
            or self._scheduler.held + self._recorder.held > MOST_HELD
        )

    async def _submit(self, part: Part) -> None:
        on_record: set[tuple[int, int]] = set()
        doubtful = [change.id for change, _ in part.changes if change.id <= self._leadership.last_recorded]
        if doubtful:
            async with self._turn:
                on_record = await leadership.runs_on_record(self._connection, doubtful)
        # Changes of a row's key, for which runs of the new key wait for those of the former one; see `Scheduler.join`.
        new_keys: list[NewKey] = []
        steps: list[Step] = []
        if self.matcher.keeps and self._waiting.is_in_doubt():
            async with self._turn:
                await self._waiting.recount()
        loop, keys = asyncio.get_running_loop(), self._leadership.keys
        began = loop.time()
        for change, position in part.changes:
            if loop.time() - began > LONGEST_TURN:
                # Conditions take what time they take; the others on the event loop must not wait for a whole part.
                self._health.promise(LOOK, LONGEST_LOOK)
                await asyncio.sleep(0)
                began = loop.time()
            started = [one for one in self.matcher.match(change) if (change.id, one[0].id) not in on_record]
            former = former_key(change)
            if started:
                change.forget()
            step = self._progress.add(position, len(started) + (former is not None))
            kept: set[int] = set()
            for hook, undecided in started:
                if hook.waits and not self._waiting.has_room(hook):
                    self._waiting.miss(hook, change, step)
                    continue
                kept.add(hook.id)
                id_ = self._ids.pop() if self._ids else await self._next_id()
                key = keys.of(change, hook)
                if hook.waits:
                    sensitive = hook.job.sensitive
                    self._waiting.keep(
                        Run(id_, key, change, hook, undecided=undecided, sensitive=sensitive, former_key=former), step
                    )
                    continue
                self._scheduler.submit(
                    made(Run, id=id_, key=key, cause=change, origin=hook, undecided=undecided, former_key=former), step
                )
            if former is not None:
                others = [one for one in self.matcher.hooks_of(change.table_id).values() if one.id not in kept]
                is_joined = self._scheduler.join(others, change.table_id, change.object_id_json, former)
                # Of a hook that waits, what has the former key is on record alone.
                if is_joined or any(hook.waits for hook in others):
                    id_ = self._ids.pop() if self._ids else await self._next_id()
                    new_keys.append(NewKey(id_, change.table_id, change.object_id_json, former))
                steps.append(step)
        if self._waiting.has_missed:
            async with self._turn:
                await self._waiting.write_down()
        self._progress.add(part.end, 0)
        if new_keys:
            async with self._turn:
                await self._unfinished.note(new_keys)
        # Only now may the position move past them: a new leader does not read them again.
        self._progress.record(steps)

    async def _next_id(self) -> int:
        count = IDS_AHEAD * self._batch_size
        async with self._turn:
            self._ids = (await leadership.reserve_result_ids(self._connection, count))[::-1]
        return self._ids.pop()

    async def _asked_for(self) -> bool:
        # They are on record, and need no place in memory before their turn.
        if self._has_enough():
            return False
        async with self._turn:
            return await self._take_up_asked_for()
