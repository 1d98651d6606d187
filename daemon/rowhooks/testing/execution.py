"""Executes receivers as the daemon does, from code that has no event loop, or its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from rowhooks.domain.errors import RunRevoked, TimeLimitExceeded
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import Outcome
from rowhooks.pipeline.execution.runner import Execution

T = TypeVar("T")

LAST_WORDS = 1.0
"""Seconds that an asynchronous receiver which was ended has to clean up."""


class EventLoop:
    """An event loop in a thread of its own, so that the test may have another one."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rowhooks rehearsal", daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end. An interruption (Ctrl-C, a test's time-out) cancels it."""
        ended = threading.Event()

        async def to_its_end() -> T:
            try:
                return await coroutine
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(to_its_end(), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            # Its cleaning up must not go on beside what comes next.
            ended.wait(LAST_WORDS)
            raise

    def close(self) -> None:
        """Cancel what still runs, and end the loop."""
        self.call(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=LAST_WORDS)


class DaemonThreads(Executor):
    """Runs each call in a thread that does not keep the process from ending: a receiver may hang forever."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a call."""
        future: Future[T] = Future()
        # From now on the future cannot be cancelled, and its result may be set.
        future.set_running_or_notify_cancel()

        def work() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, name="receiver", daemon=True).start()
        return future


async def execute(execution: Execution, changed_object: Any, options: JobOptions) -> Outcome:
    """Execute a run once, within its time limits, as the scheduler does."""
    soft, hard = options.soft_time_limit, options.time_limit
    task = asyncio.ensure_future(execution.result(changed_object))
    try:
        if soft is not None and (hard is None or soft < hard):
            await asyncio.wait({task}, timeout=soft)
            if not task.done():
                execution.interrupt()
        else:
            soft = 0.0
        if hard is not None:
            await asyncio.wait({task}, timeout=hard - soft)
            if not task.done():
                outcome = execution.abandon(TimeLimitExceeded(f"the run was ended at its time limit of {hard} s"))
                task.cancel()
                await asyncio.wait({task}, timeout=LAST_WORDS)
                return outcome
        return await task
    except asyncio.CancelledError:
        execution.abandon(RunRevoked("the test ended before the run"))
        task.cancel()
        raise
