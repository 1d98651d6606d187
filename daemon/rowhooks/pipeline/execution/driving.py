"""Driving: does the steps of one attempt, on the event loop for `async def` receivers, in a thread for plain ones.

What happens in an attempt is written once, as a generator of things to do (psycopg's way). The receiver's own code is
marked, so that it alone can be interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, TypeVar

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.run import Outcome
from rowhooks.pipeline.execution.interruption import Guard, is_awaitable

T = TypeVar("T")


class UserCode:
    """A thing to do in the receiver's own code, where it may be interrupted."""

    __slots__ = ("work",)

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work


Doing = Generator[UserCode | Callable[[], Any], Any, T]
"""Things to do, one after another; each is sent the answer of the one before."""
Steps = Doing[Outcome | None]
"""The steps of an attempt: its outcome, or None where another attempt follows."""


def drive(steps: Steps, guard: Guard) -> Outcome | None:
    """Do the steps of one attempt in this thread."""
    try:
        step = next(steps)
        while True:
            try:
                answer = guard.call(step.work) if isinstance(step, UserCode) else step()
                if type(answer) is CoroutineType:
                    answer.close()
                    raise TypeError("a plain receiver returned a coroutine; declare its method with `async def`")
                _check_has_run(answer)
            except BaseException as error:
                step = steps.throw(own_error(error))
            else:
                step = steps.send(answer)
    except StopIteration as end:
        outcome: Outcome | None = end.value
        return outcome


async def drive_asynchronously(steps: Steps, guard: Guard) -> Outcome | None:
    """Do the steps of one attempt on the event loop."""
    try:
        step = next(steps)
        while True:
            try:
                answer = guard.call(step.work) if isinstance(step, UserCode) else step()
                if is_awaitable(answer):
                    answer = await answer
                _check_has_run(answer)
            except BaseException as error:
                task = asyncio.current_task()
                cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
                step = steps.throw(error if cancelled else own_error(error))
            else:
                step = steps.send(answer)
    except StopIteration as end:
        outcome: Outcome | None = end.value
        return outcome


def _check_has_run(answer: Any) -> None:
    """Raise TypeError where what a receiver returned is code that has not run, and never will."""
    if isinstance(answer, CoroutineType):
        answer.close()
        raise TypeError("the receiver returned a coroutine that was not awaited: none of its code has run")
    if isinstance(answer, GeneratorType | AsyncGeneratorType):
        raise TypeError("the receiver returned a generator (`yield`): the rest of its code has not run")


def own_error(error: BaseException) -> BaseException:
    """Return what a receiver raised, in a form that cannot be taken for our own cancelling of it."""
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        return error
    mistaken = ReceiverError(f"the receiver raised {type(error).__name__} by itself")
    mistaken.__cause__ = error
    return mistaken
