"""Listener: when to look at the log again. An awake reader looks after a moment, a sleeping one when the bell rings.

A transaction that writes tries to take a shared bell lock until it ends. It rings (NOTIFY) only if it does not get the
lock: then the reader may be asleep. A reader that wants to sleep asks for the exclusive lock. So it waits for all
transactions that have not rung, while later ones ring. Once the reader has the lock, it looks a last time. From then on
every transaction rings. So no wake-up is lost. A poll after a long while comes on top.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from rowhooks.pipeline.concurrency import first_of

SHORTEST_PAUSE, LONGEST_PAUSE = 0.001, 0.01
"""Seconds between looks while awake: doubled with each, so that a busy log is read in larger parts."""


class Bell:
    """Rings are remembered, not counted: one wake-up reads everything there is.

    Args:
        poll_interval: seconds after which the reader looks although the bell has not rung.
    """

    def __init__(self, poll_interval: float) -> None:
        self.rung = asyncio.Event()
        self.poll_interval = poll_interval

    def ring(self) -> None:
        """Wake the waiting reader up, or keep it from going to sleep."""
        self.rung.set()

    def answer(self) -> None:
        """Forget the rings so far; to be called before reading, so that none is missed while reading."""
        self.rung.clear()

    async def wait(self) -> bool:
        """Return True when the bell rang, False when the poll interval (seconds) has passed."""
        return await self.wait_for(self.poll_interval)

    async def wait_for(self, seconds: float) -> bool:
        """Return True when the bell rang, False when so many seconds have passed."""
        try:
            # Not wait_for(): before Python 3.12 it loses a cancellation that comes together with the ring.
            async with asyncio.timeout(seconds):
                await self.rung.wait()
        except TimeoutError:
            return False
        return True


class BellLock(Protocol):
    """The lock by which a transaction that writes sees whether it must ring."""

    async def arm(self) -> bool:
        """Take the lock; False when a transaction that has not rung kept it for too long."""
        ...

    async def disarm(self) -> None:
        """Give the lock back: no transaction need ring any more."""
        ...


class Sleep:
    """Waits between looks that find nothing.

    Args:
        bell: what is rung.
        linger: seconds after the last find in which the reader stays awake.
    """

    def __init__(self, bell: Bell, linger: float) -> None:
        self._bell = bell
        self._lock: BellLock | None = None
        self._linger = linger
        self._pause = SHORTEST_PAUSE
        self._found_at = time.monotonic()
        self._held: BellLock | None = None
        self._change: asyncio.Task[BellLock | None] | None = None

    def use(self, lock: BellLock | None) -> None:
        """Sleep with this lock; None where the bell is not rung or not heard, and the poll interval is all there is."""
        if lock is None:
            self._disarm()
        self._lock = lock

    @property
    def is_armed(self) -> bool:
        """Whether each transaction rings that the last look has not seen, so that no other look need follow it."""
        return self._held is not None

    def found(self) -> None:
        """Note that a look found something. If that happens often, the next look finds more, and no ring is needed."""
        moment = time.monotonic()
        if moment - self._found_at < self._linger:
            self._disarm()
        self._found_at = moment

    async def moment(self) -> None:
        """Wait a moment before the next look while there is much to do; a ring does not shorten it."""
        await asyncio.sleep(self._next_pause())

    async def wait(self) -> bool:
        """Wait until it is time for another look; say whether the reader slept and the bell woke it up."""
        bell = self._bell
        if self._change is not None:
            await self._changed()
        elif self._lock is None:
            await bell.wait()
        elif self._held is not None:
            # The look since then has found nothing.
            self._pause = SHORTEST_PAUSE
            return await bell.wait()
        elif time.monotonic() - self._found_at < self._linger:
            await bell.wait_for(self._next_pause())
        else:
            self._change = asyncio.ensure_future(self._armed(self._lock))
            await self._changed()
        return False

    def _next_pause(self) -> float:
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause

    def _disarm(self) -> None:
        if self._held is not None:
            lock, self._held = self._held, None
            self._change = asyncio.ensure_future(self._disarmed(lock))

    @staticmethod
    async def _armed(lock: BellLock) -> BellLock | None:
        return lock if await lock.arm() else None

    @staticmethod
    async def _disarmed(lock: BellLock) -> None:
        await lock.disarm()

    async def _changed(self) -> None:
        """Wait until the lock is taken or given back; transactions that write ring meanwhile."""
        assert self._change is not None
        await first_of(asyncio.shield(self._change), self._bell.rung.wait())
        if self._change.done():
            change, self._change = self._change, None
            self._held = change.result()
            self._pause = SHORTEST_PAUSE
            if self._lock is None:
                # Since the lock was asked for, `use` has said that no transaction is to ring any more.
                self._disarm()

    def close(self) -> None:
        """Give up waiting for the lock."""
        if self._change is not None and not self._change.cancel() and not self._change.cancelled():
            # What it ended with ends the leadership elsewhere too.
            self._change.exception()
