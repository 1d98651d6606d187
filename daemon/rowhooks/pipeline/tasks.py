"""Tasks that are started and ended together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any


@contextlib.asynccontextmanager
async def running(coroutines: list[Any]) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Run some work for the length of a block; what goes on at its end is cancelled."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def first_of(*awaitables: Awaitable[Any]) -> None:
    """Wait until one of them is done, and cancel the others; what it raises is raised."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    for task in done:
        task.result()


async def forever(interval: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do some work again and again, with so many seconds between."""
    while True:
        await asyncio.sleep(interval)
        await work()
