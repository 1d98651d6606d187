"""Waiting for the end of a run: between two looks, neither a connection nor a thread is held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_LOOK, LONGEST_BREAK = 0.1, 1.0
"""Seconds before the second look, and between two later ones at most."""


async def wait_until(look: Callable[[], Awaitable[T]], is_over: Callable[[T], bool], seconds: float) -> T:
    """Return what a look finds once it is over, or when the time is.

    Args:
        look: asks the database.
        is_over: whether what was found is what is waited for.
        seconds: for how long to wait; 0: look once.
    """
    end = time.monotonic() + seconds
    pause = FIRST_LOOK
    while True:
        found = await look()
        left = end - time.monotonic()
        if is_over(found) or left <= 0:
            return found
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 2, LONGEST_BREAK)
