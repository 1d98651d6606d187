"""Ingest: reads the log part by part and has the runs submitted, as long as there is room for more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rowhooks.domain.events import DeadlineMet, DeadlineSet, Events, FeedRead
from rowhooks.pipeline.concurrency import first_of
from rowhooks.pipeline.progress import Progress
from rowhooks.pipeline.reader import Part, Reader
from rowhooks.pipeline.recorder import Recorder
from rowhooks.pipeline.scheduling.scheduler import Scheduler
from rowhooks.postgres.feed import FEW
from rowhooks.runtime.submission import LONGEST_LOOK, LOOK, FeedConnection, Submission
from rowhooks.runtime.wakeups import WakeUps

PARTS_AHEAD = 3
"""How many parts are read ahead of what is on record, so that reading, running and recording go on side by side."""
MOST_WAITING = 50_000
"""Runs in memory that wait for their turn; beyond it nothing more is read."""
MOST_HELD = 128 * 2**20
"""Characters of changes, rows and results in memory with the runs that wait and run; beyond it nothing more is read."""
REQUESTED_INTERVAL = 0.5
"""Seconds between looks for what was requested by hand, while the feed keeps the leader busy."""


class Room:
    """Says how much more may be read.

    Args:
        progress: knows how many changes have not been dealt with.
        scheduler: knows how many runs wait.
        recorder: says when there may be room again.
        batch_size: changes in a part at the most.
    """

    def __init__(self, progress: Progress, scheduler: Scheduler, recorder: Recorder, batch_size: int) -> None:
        self._progress = progress
        self._scheduler = scheduler
        self._recorder = recorder
        self._batch_size = batch_size

    async def for_changes(self) -> None:
        """Wait until another part may be read."""
        while self._is_full():
            await self._more()

    async def for_requested(self) -> None:
        """Wait until runs may be taken up that are on record already."""
        while self.has_enough():
            await self._more()

    def has_enough(self) -> bool:
        """Say whether so much waits that runs which are on record need no place in memory yet."""
        return self._scheduler.waiting >= 2 * self._batch_size

    def _is_full(self) -> bool:
        return (
            self._progress.open_changes > PARTS_AHEAD * self._batch_size
            or self._scheduler.waiting > MOST_WAITING
            or self._scheduler.held + self._recorder.held > MOST_HELD
        )

    async def _more(self) -> None:
        self._recorder.room.clear()
        await self._recorder.room.wait()


class Ingest:
    """What a leader reads.

    Args:
        feed: the feed's connection, which the reader uses too.
        reader: reads the log.
        submission: takes what was read.
        room: says when more may be read.
        wakeups: says when the next look is due.
        events: those of the daemon.
        take_up_requested: takes up what was requested by hand; says whether more may wait.
    """

    def __init__(
        self,
        feed: FeedConnection,
        reader: Reader,
        submission: Submission,
        room: Room,
        wakeups: WakeUps,
        events: Events,
        take_up_requested: Callable[[], Awaitable[bool]],
    ) -> None:
        self._feed = feed
        self._reader = reader
        self._submission = submission
        self._room = room
        self._bell, self._sleep = wakeups.bell, wakeups.sleep
        self._events = events
        self._take_up_requested = take_up_requested
        # The part that is being read ahead.
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
            self._events.publish(DeadlineSet(LOOK, LONGEST_LOOK))
            self._bell.answer()
            # After a wake-up there is mostly one change, and its run should start soon.
            part = await self._next_part(FEW if is_woken else None)
            is_woken = False
            # A part without changes only says that other transactions have ended.
            is_empty = part is None or (not part.changes and part.ends_batch)
            if part is not None:
                await self._submission.submit(part)
                # What may begin does so before anything else is asked of the server.
                await asyncio.sleep(0)
                self._events.publish(FeedRead(len(part.changes)))
            if not is_empty:
                self._sleep.found()
            # The bell may have been rung for a request, too.
            is_last = is_empty or (self._sleep.is_armed and part is not None and part.ends_batch)
            if is_last or loop.time() - looked > REQUESTED_INTERVAL:
                taken = await self._look_for_requested()
                looked = loop.time()
                if is_last and not taken:
                    self._events.publish(DeadlineMet(LOOK))
                    if not is_empty:
                        await self._room.for_changes()
                    is_woken = await self._rest()
                    continue
                if is_empty:
                    self._sleep.found()
            if part is not None and part.ends_batch:
                # Meanwhile enough changes commit for a larger part.
                await self._sleep.moment()
            self._events.publish(DeadlineMet(LOOK))
            await self._room.for_changes()

    async def _next_part(self, limit: int | None) -> Part | None:
        """Return the next part. Where its batch goes on, start to read the part that follows it."""
        part = await (self._ahead or self._read_part(limit))
        is_end = part is None or part.ends_batch
        self._ahead = None if is_end else asyncio.ensure_future(self._read_part())
        return part

    async def _read_part(self, limit: int | None = None) -> Part | None:
        async with self._feed.turn:
            return await self._reader.next_part(limit)

    async def _rest(self) -> bool:
        """Wait for the next look; say whether the bell has ended a sleep."""
        if not self._room.has_enough():
            return await self._sleep.wait()
        # More may have been requested than was taken up.
        await first_of(self._sleep.wait(), self._room.for_requested())
        return False

    async def _look_for_requested(self) -> bool:
        # These runs are on record, and need no place in memory before their turn.
        if self._room.has_enough():
            return False
        async with self._feed.turn:
            return await self._take_up_requested()
