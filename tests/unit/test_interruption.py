"""Guards: an exception is raised inside the receiver's code, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from rowhooks.domain.errors import SoftTimeLimitExceeded, TimeLimitExceeded
from rowhooks.pipeline.execution.interruption import TaskGuard, ThreadGuard
from tests.support.waiting import PATIENCE


class InThread:
    """Something that goes on in a thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.raised: BaseException | None = None
        self.value: Any = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.value = self._work()
        except BaseException as error:
            self.raised = error

    def end(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_a_plain_receiver_that_computes_for_ever_is_interrupted() -> None:
    guard, begun = ThreadGuard(), threading.Event()

    def endless() -> None:
        while True:
            begun.set()

    thread = InThread(lambda: guard.call(endless))
    assert begun.wait(10)
    guard.interrupt(SoftTimeLimitExceeded)
    thread.end()
    assert isinstance(thread.raised, SoftTimeLimitExceeded)
    assert str(thread.raised) == "the soft time limit was used up"


def test_a_plain_receiver_may_catch_the_interruption_and_return() -> None:
    guard, begun = ThreadGuard(), threading.Event()

    def careful() -> str:
        try:
            while True:
                begun.set()
        except SoftTimeLimitExceeded:
            return "cleaned up"

    thread = InThread(lambda: guard.call(careful))
    assert begun.wait(10)
    guard.interrupt(SoftTimeLimitExceeded)
    thread.end()
    assert (thread.value, thread.raised) == ("cleaned up", None)


def test_outside_the_receivers_code_nothing_is_raised() -> None:
    guard, called, go_on = ThreadGuard(), threading.Event(), threading.Event()

    def work() -> str:
        assert guard.call(lambda: "value") == "value"
        called.set()
        assert go_on.wait(10)
        return "".join("committed" for _ in range(1))

    thread = InThread(work)
    assert called.wait(10)
    guard.interrupt(SoftTimeLimitExceeded)
    go_on.set()
    thread.end()
    assert (thread.value, thread.raised) == ("committed", None)


def test_an_interruption_that_comes_as_the_receiver_ends_does_not_leave_the_window() -> None:
    for _ in range(300):
        guard, begun = ThreadGuard(), threading.Event()
        outside: list[str] = []

        def work(guard: ThreadGuard = guard, begun: threading.Event = begun, outside: list[str] = outside) -> None:
            with contextlib.suppress(SoftTimeLimitExceeded):
                guard.call(begun.set)
            for _ in range(200):
                pass
            outside.append("reached")

        thread = InThread(work)
        begun.wait(10)
        guard.interrupt(SoftTimeLimitExceeded)
        thread.end()
        assert thread.raised is None
        assert outside == ["reached"]


def test_a_closed_guard_calls_nothing_more() -> None:
    guard, called = ThreadGuard(), []
    guard.close(TimeLimitExceeded)
    with pytest.raises(TimeLimitExceeded):
        guard.call(lambda: called.append(1))
    assert called == []


async def interrupted(work: Callable[[], Any]) -> tuple[Any, asyncio.Task[Any]]:
    """Interrupt an asynchronous receiver that waits; return what becomes of it and its task."""
    guard = TaskGuard()

    async def run() -> Any:
        return await guard.call(work)

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    guard.interrupt(SoftTimeLimitExceeded)
    return (await asyncio.gather(task, return_exceptions=True))[0], task


async def test_an_asynchronous_receiver_is_interrupted_where_it_waits() -> None:
    async def waiting() -> None:
        await asyncio.sleep(3600)

    value, task = await interrupted(waiting)
    assert isinstance(value, SoftTimeLimitExceeded)
    assert task.cancelling() == 0


async def test_an_asynchronous_receiver_may_catch_the_interruption_and_wait_again() -> None:
    async def careful() -> str:
        try:
            await asyncio.sleep(3600)
        except SoftTimeLimitExceeded:
            await asyncio.sleep(0)
        return "cleaned up"

    assert (await interrupted(careful))[0] == "cleaned up"


async def test_what_it_waits_for_is_cancelled() -> None:
    ended: list[str] = []

    async def inner() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def waiting() -> None:
        await asyncio.gather(inner(), inner())

    value, _ = await interrupted(waiting)
    assert isinstance(value, SoftTimeLimitExceeded)
    assert ended == ["cancelled", "cancelled"]


async def test_an_interruption_that_an_inner_task_swallows_arrives_all_the_same() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return "swallowed"
        return "never"

    async def waiting() -> str:
        return await asyncio.create_task(stubborn())

    value, _ = await interrupted(waiting)
    assert isinstance(value, SoftTimeLimitExceeded)


async def test_without_an_interruption_values_and_errors_pass() -> None:
    guard = TaskGuard()

    async def returns() -> int:
        await asyncio.sleep(0)
        return 7

    async def raises() -> int:
        await asyncio.sleep(0)
        raise KeyError("a")

    assert await guard.call(returns) == 7
    with pytest.raises(KeyError):
        await guard.call(raises)
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, 8)
    assert await guard.call(lambda: future) == 8
    assert guard.call(lambda: 9) == 9


async def test_code_that_does_not_wait_is_called_to_its_end_and_what_waits_keeps_its_task_and_its_context() -> None:
    guard = TaskGuard()
    here = contextvars.ContextVar("here", default="outside")
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def at_once() -> int:
        return 7

    async def fails() -> None:
        raise KeyError("a")

    async def waits() -> list[Any]:
        here.set("inside")
        seen: list[Any] = [asyncio.current_task()]
        async with asyncio.timeout(60):
            seen.append(await future)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(3600)
        return [*seen, asyncio.current_task(), here.get()]

    assert guard.call(at_once) == 7
    with pytest.raises(KeyError):
        guard.call(fails)
    asyncio.get_running_loop().call_soon(future.set_result, "answer")
    task = asyncio.current_task()
    assert await guard.call(waits) == [task, "answer", task, "inside"]
    assert here.get() == "outside"


async def test_a_cancellation_of_ones_own_stays_one() -> None:
    guard = TaskGuard()

    async def waiting() -> None:
        await asyncio.sleep(3600)

    async def run() -> None:
        await guard.call(waiting)

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


TRACED = """
import sys
from rowhooks.pipeline.execution.interruption import ThreadGuard

class Stop(Exception):
    pass

def work():
    guard.interrupt(Stop)
    while True:
        pass

def traced():
    return "went on"

guard = ThreadGuard()
try:
    guard.call(work)
except Stop:
    print("interrupted")
sys.settrace(lambda *_: None)
print(traced())
"""


def test_code_that_is_traced_goes_on_after_an_interruption() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRACED], capture_output=True, text=True, check=False, timeout=PATIENCE
    )  # fmt: skip
    assert (done.stdout.split("\n"), done.stderr) == (["interrupted", "went on", ""], "")
