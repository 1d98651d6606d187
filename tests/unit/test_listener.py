"""How one sleeps between looks at the log."""

from __future__ import annotations

import asyncio

from rowhooks.pipeline.listener import Bell, Sleep


class Lock:
    """The lock by which writers see whether they must ring; it is had when the test lets it be had."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.asked = asyncio.Event()
        self.is_held = False

    async def arm(self) -> bool:
        self.asked.set()
        await self.free.wait()
        self.is_held = True
        return True

    async def disarm(self) -> None:
        self.is_held = False


async def test_a_lock_that_is_had_when_nobody_is_to_ring_any_more_is_given_back() -> None:
    bell, lock = Bell(poll_interval=0.01), Lock()
    sleep = Sleep(bell, linger=0.0)
    sleep.use(lock)
    asked = asyncio.ensure_future(sleep.wait())
    await lock.asked.wait()
    sleep.use(None)
    lock.free.set()
    await asked
    assert not await sleep.wait()
    assert not lock.is_held
    # It sleeps by the clock alone from then on.
    assert not await sleep.wait()
    assert not lock.is_held
    sleep.close()
