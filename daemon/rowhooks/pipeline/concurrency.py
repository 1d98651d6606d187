"""Concurrency: tasks of asyncio that are started and ended together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
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


async def together(*coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
    """Return what some work returns that is done side by side; when some of it fails, the rest is cancelled."""
    async with running(list(coroutines)) as tasks:
        return await asyncio.gather(*tasks)


async def forever(interval: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do some work again and again, with so many seconds between."""
    while True:
        await asyncio.sleep(interval)
        await work()


class Background:
    """Tasks that are started as they are needed. What one of them raises, `failure` raises."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._problem: BaseException | None = None
        self._has_failed = asyncio.Event()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start some work."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def fail(self, problem: BaseException) -> None:
        """Have a problem raised by `failure`; the first one counts."""
        self._problem = self._problem or problem
        self._has_failed.set()

    async def failure(self) -> None:
        """Wait until some work fails, and raise its error."""
        await self._has_failed.wait()
        assert self._problem is not None
        raise self._problem

    def close(self) -> None:
        """Cancel what goes on."""
        for task in self._tasks:
            task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            self.fail(problem)
