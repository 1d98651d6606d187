"""Driving: does the steps of one attempt, on the event loop for `async def` receivers, in a thread for plain ones.

What happens in an attempt is written once, as a generator of things to do (psycopg's way). The receiver's own code is
marked, so that it alone can be interrupted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from operator import methodcaller
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, TypeVar

from rowhooks.domain.run import Outcome
from rowhooks.pipeline.execution.interruption import Guard, ThreadGuard, Waiting, is_awaitable

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


class Pending:
    """An attempt that waits for something.

    Args:
        steps: the attempt.
        guard: calls the receiver's code.
        awaited: what it waits for, to be awaited in the task in which the attempt has begun.
    """

    __slots__ = ("awaited", "guard", "steps")

    def __init__(self, steps: Steps, guard: Guard, awaited: Awaitable[Any]) -> None:
        self.steps = steps
        self.guard = guard
        self.awaited = awaited


def drive(steps: Steps, guard: Guard, resume: Callable[[Steps], Any] = next) -> Outcome | Pending | None:
    """Do the steps of one attempt, to its end or up to where it waits; in a thread nothing waits.

    Args:
        steps: the attempt.
        guard: calls the receiver's code.
        resume: begins the attempt, or goes on with it.
    """
    try:
        step = resume(steps)
        while True:
            try:
                if type(step) is UserCode:
                    answer = guard.call(step.work)
                    if type(answer) is Waiting:
                        return Pending(steps, guard, answer)
                    _check_has_run(answer, guard)
                else:
                    answer = step()
                    if is_awaitable(answer):
                        return Pending(steps, guard, answer)
            except BaseException as error:
                step = steps.throw(guard.own(error))
            else:
                step = steps.send(answer)
    except StopIteration as end:
        outcome: Outcome | None = end.value
        return outcome


async def go_on(pending: Pending) -> Outcome | None:
    """Do the rest of the steps of an attempt that waits, on the event loop."""
    steps, guard = pending.steps, pending.guard
    while True:
        try:
            answer = await pending.awaited
            _check_has_run(answer, guard)
        except BaseException as error:
            driven = drive(steps, guard, methodcaller("throw", guard.own(error)))
        else:
            driven = drive(steps, guard, methodcaller("send", answer))
        if not isinstance(driven, Pending):
            return driven
        pending = driven


_NEVER_RUN = (CoroutineType, GeneratorType, AsyncGeneratorType)


def _check_has_run(answer: Any, guard: Guard) -> None:
    """Raise TypeError where what a receiver returned is code that has not run, and never will."""
    if not isinstance(answer, _NEVER_RUN):
        return
    if not isinstance(answer, CoroutineType):
        raise TypeError("the receiver returned a generator (`yield`): the rest of its code has not run")
    answer.close()
    if isinstance(guard, ThreadGuard):
        raise TypeError("a plain receiver returned a coroutine; declare its method with `async def`")
    raise TypeError("the receiver returned a coroutine that was not awaited: none of its code has run")
