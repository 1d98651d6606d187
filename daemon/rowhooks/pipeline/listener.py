"""Listener: waits for the bell, or for the fallback poll."""

from __future__ import annotations

import asyncio


class Bell:
    """Rings are remembered, not counted: one wake-up reads everything there is.

    Args:
        poll_interval: seconds after which one looks although nobody has rung.
    """

    def __init__(self, poll_interval: float) -> None:
        self._rung = asyncio.Event()
        self.poll_interval = poll_interval

    def ring(self) -> None:
        """Wake the waiting reader up, or keep it from going to sleep."""
        self._rung.set()

    def answer(self) -> None:
        """Forget the rings so far; to be called before reading, so that none is missed while reading."""
        self._rung.clear()

    async def wait(self) -> bool:
        """Return True when the bell rang, False when the poll interval (seconds) has passed."""
        try:
            # Not wait_for(): before Python 3.12 it loses a cancellation that comes together with the ring.
            async with asyncio.timeout(self.poll_interval):
                await self._rung.wait()
        except TimeoutError:
            return False
        return True
