"""Calls that an `async def` receiver has to await. A call that it forgets, or leaves running, must not look done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial, wraps
from types import CoroutineType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from rowhooks.domain.errors import ReceiverError

GIVEN_UP_AFTER = 5.0
"""Seconds in which a call that still runs after its receiver has to end when it is cancelled."""


class AwaitedCall(Coroutine[Any, Any, Any]):
    """One call. Its work begins when it is awaited, or when a task is made of it.

    Args:
        calls: the calls of the run.
        start: makes the coroutine that does the work.
        name: returns the receiver's call, for the message.
    """

    def __init__(self, calls: Calls, start: Callable[[], Coroutine[Any, Any, Any]], name: Callable[[], str]) -> None:
        self._calls = calls
        self._start = start
        self._name = name
        self._is_given_up = False
        self.task: asyncio.Task[Any] | None = None
        self._coroutine: Coroutine[Any, Any, Any] | None = None

    @property
    def __name__(self) -> str:
        """The receiver's call; asyncio shows it as the name of the task's coroutine."""
        return self._name()

    @property
    def has_begun(self) -> bool:
        """Whether the call has been awaited."""
        return self._coroutine is not None

    def give_up(self) -> str:
        """Keep the call from beginning; return the receiver's call."""
        self._is_given_up = True
        return self._name()

    def send(self, value: Any) -> Any:
        """Resume the call, as a coroutine does."""
        return self._step(lambda coroutine: coroutine.send(value))

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any:
        """Raise an exception where the call waits, as a coroutine does."""
        error = typ if val is None and not isinstance(typ, type) else (val or typ())
        return self._step(lambda coroutine: coroutine.throw(error))

    def close(self) -> None:
        """End the call, as a coroutine does."""
        if self._coroutine is not None:
            self._coroutine.close()
        self._calls.done(self)

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            return (yield from self._begun().__await__())
        finally:
            self._calls.done(self)

    def _step(self, step: Callable[[Coroutine[Any, Any, Any]], Any]) -> Any:
        coroutine = self._begun()
        try:
            return step(coroutine)
        except BaseException:
            # This is StopIteration when the call has returned.
            self._calls.done(self)
            raise

    def _begun(self) -> Coroutine[Any, Any, Any]:
        if self._coroutine is None:
            if self._is_given_up:
                raise ReceiverError(f"{self._name()} is awaited after the receiver has returned")
            self.task = asyncio.current_task()
            # The coroutine is made only now: Python warns about one that is never awaited.
            self._coroutine = self._start()
        return self._coroutine


class Calls:
    """The calls of one run that have not ended."""

    def __init__(self) -> None:
        self._open: dict[AwaitedCall, None] = {}

    def make(self, start: Callable[[], Coroutine[Any, Any, Any]], name: Callable[[], str]) -> AwaitedCall:
        """Return a call that the receiver has to await.

        Args:
            start: makes the coroutine that does the work.
            name: returns the receiver's call, for messages.
        """
        call = AwaitedCall(self, start, name)
        self._open[call] = None
        return call

    def done(self, call: AwaitedCall) -> None:
        """Note that a call has ended, with success or not."""
        self._open.pop(call, None)

    def take(self) -> str | None:
        """Return what the receiver has left undone, as text, or None. Calls that never began are forgotten."""
        if not self._open:
            return None
        forgotten = [call for call in self._open if not call.has_begun]
        left = [call for call in self._open if call.has_begun]
        said = [f"{call.give_up()} was called without await, and did nothing" for call in forgotten]
        said += [f"{call.give_up()} still went on when the receiver had returned, and was given up" for call in left]
        for call in forgotten:
            self.done(call)
        return "; ".join(said)

    async def stop(self) -> bool:
        """Cancel the calls that still run and wait for them; return False if one of them does not end."""
        own = asyncio.current_task()
        tasks = {call.task for call in self._open if call.task is not None and call.task is not own}
        self._open.clear()
        for task in tasks:
            task.cancel()
        if not tasks:
            return True
        _, going_on = await asyncio.wait(tasks, timeout=GIVEN_UP_AFTER)
        return not going_on


class ReceiverAsyncSession(AsyncSession):
    """The session of an `async def` receiver.

    Args:
        calls: keeps its calls until they have been awaited.
    """

    def __init__(self, *args: Any, calls: Calls, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls = calls


def _noted(name: str) -> Callable[..., AwaitedCall]:
    method: Callable[..., CoroutineType[Any, Any, Any]] = getattr(AsyncSession, name)

    @wraps(method)
    def call(self: ReceiverAsyncSession, *args: Any, **kwargs: Any) -> AwaitedCall:
        return self._calls.make(partial(method, self, *args, **kwargs), lambda: f"self.session.{name}()")

    return call


# commit(), flush() and close() are left out: when the run commits, it does what they would have done.
for _name in (
    "connection", "delete", "execute", "get", "get_one", "merge", "refresh", "rollback", "run_sync", "scalar",
    "scalars", "stream", "stream_scalars",
):  # fmt: skip
    setattr(ReceiverAsyncSession, _name, _noted(_name))
