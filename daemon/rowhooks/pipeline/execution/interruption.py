"""Raising an exception inside a receiver that runs: in its thread, or at the await in which its task waits.

A guard opens a window while the receiver's own code runs; outside it (while its transaction is committed) nothing is
raised.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import CoroutineType, GeneratorType
from typing import Any, Protocol

from rowhooks.domain.errors import Interruption, ReceiverError


class Guard(Protocol):
    """Calls a receiver's code."""

    def call(self, work: Callable[[], Any]) -> Any:
        """Call it; an asynchronous one up to where it first waits."""
        ...

    def enter(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call code of the receiver's in which nothing is awaited, such as its constructor; return what it returns."""
        ...

    def beside(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call code of ours in the context in which the receiver's code runs; return what it returns."""
        ...

    def own(self, error: BaseException) -> BaseException:
        """Return what a step has raised, in a form that tells our own cancelling from a receiver's exception."""
        ...

    def interrupt(self, error: type[Interruption]) -> None:
        """Raise an exception inside the receiver, if its code runs at this moment."""
        ...

    def close(self, error: type[Interruption]) -> None:
        """Raise an exception inside the receiver now, and wherever its code is called from now on."""
        ...


class ThreadGuard:
    """The guard of a plain receiver. The exception is raised at the next bytecode: not within a call that blocks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._sent: type[Interruption] | None = None
        self._closed: type[Interruption] | None = None

    def call(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call the receiver's code in this thread."""
        with self._lock:
            if self._closed is not None:
                raise self._closed
            self._thread = threading.get_ident()
        try:
            try:
                return work(*args)
            finally:
                self._leave()
        except BaseException:
            # It may have been raised in _leave(); it is raised only once.
            self._leave()
            raise

    enter = call

    def beside(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call code of ours: the context is the thread's."""
        return work(*args)

    def own(self, error: BaseException) -> BaseException:
        """Return an error as `own_error` does: nothing is cancelled in a thread."""
        return own_error(error)

    def interrupt(self, error: type[Interruption]) -> None:
        """Raise an exception in the receiver's thread, if its code runs at this moment."""
        with self._lock:
            if self._thread is not None:
                self._sent = error
                _raise_in(self._thread, error)

    def close(self, error: type[Interruption]) -> None:
        """Raise an exception in the receiver's thread now, and wherever its code is called from now on."""
        with self._lock:
            self._closed = error
        self.interrupt(error)

    def _leave(self) -> None:
        with self._lock:
            if self._thread is not None and self._sent is not None:
                # Not raised yet, it must not be raised in what the thread does next.
                _take_back()
            self._thread = self._sent = None


def _raise_in(thread: int, error: type[BaseException]) -> None:
    # Python's only way (C API, "Asynchronous exceptions"); the exception is made by calling the class.
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


class _NothingMore(BaseException):
    """Takes the place of an exception that is not to be raised any more."""


def _take_back() -> None:
    """Have no exception raised any more that was sent to this thread, whether it was raised or not.

    To send NULL in its place would not do. Up to Python 3.12, the interpreter notes that there is an exception, finds
    none, and looks again at each call of every thread; where code is traced (a debugger, coverage), it looks for ever.
    """
    try:
        _raise_in(threading.get_ident(), _NothingMore)
        while True:
            pass
    except _NothingMore:
        pass


def is_awaitable(answer: object) -> bool:
    """Say whether something must be awaited; as inspect.isawaitable(), which takes its time to say no."""
    kind = type(answer)
    if kind is CoroutineType or hasattr(kind, "__await__"):
        return True
    return kind is GeneratorType and inspect.isawaitable(answer)


class TaskGuard:
    """The guard of an asynchronous receiver; many of them share a task, so each has a context of its own."""

    task: asyncio.Task[Any] | None = None
    """The task in which the receiver runs."""
    # Whether its code waits at this moment; what hardly any run changes is the class' own.
    _is_inside = False
    _pending: type[Interruption] | None = None
    _closed: type[Interruption] | None = None

    def __init__(self) -> None:
        self._context = contextvars.copy_context()

    def call(self, work: Callable[[], Any]) -> Any:
        """Call the receiver's code, up to where it first waits: nothing can interrupt it before that.

        Returns:
            What it has returned; where it waits, a `Waiting`, which is to be awaited for that in the same task.
        """
        if self._closed is not None:
            raise self._closed
        run = self._context.run
        answer = run(work)
        if type(answer) is not CoroutineType:
            if not is_awaitable(answer):
                return answer
            answer = _awaiting(answer)
        try:
            waited_for = run(answer.send, None)
        except StopIteration as end:
            return end.value
        return Waiting(self, answer, waited_for)

    def enter(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call code of the receiver's in which nothing is awaited; return what it returns."""
        if self._closed is not None:
            raise self._closed
        return self._context.run(work, *args)

    def beside(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call code of ours in the receiver's context."""
        return self._context.run(work, *args)

    def own(self, error: BaseException) -> BaseException:
        """Return an error as it is where it comes of our own cancelling; see `own_error` for all others."""
        task = asyncio.current_task() if isinstance(error, asyncio.CancelledError) else None
        return error if task is not None and task.cancelling() > 0 else own_error(error)

    def interrupt(self, error: type[Interruption]) -> None:
        """Raise an exception at the await in which the receiver waits."""
        if self._is_inside and self.task is not None:
            self._pending = error
            self.task.cancel()

    def close(self, error: type[Interruption]) -> None:
        """Raise an exception inside the receiver now, and wherever its code is called from now on."""
        self._closed = error
        self.interrupt(error)

    def drive(self, coroutine: Coroutine[Any, Any, Any], waited_for: Any) -> Generator[Any, Any, Any]:
        """Await, turning the cancellation that an interruption needs into its exception."""
        if self.task is None:
            self.task = asyncio.current_task()
        self._is_inside = True
        run = self._context.run
        try:
            while True:
                try:
                    # The very future that the receiver's code has yielded: its task wakes up with it.
                    argument = yield waited_for
                    resume = coroutine.send
                except BaseException as error:
                    resume, argument = coroutine.throw, error
                if self._pending is not None:
                    # In the cancellation's place, also where something that was awaited has swallowed it.
                    resume, argument = coroutine.throw, self._interruption()
                try:
                    waited_for = run(resume, argument)
                except StopIteration as end:
                    return end.value
        finally:
            self._is_inside, self._pending = False, None

    def _interruption(self) -> Interruption:
        assert self._pending is not None
        assert self.task is not None
        pending, self._pending = self._pending, None
        self.task.uncancel()
        return pending()


class Waiting:
    """A receiver's code that waits; awaited, it goes on to its end.

    Args:
        guard: goes on with it.
        coroutine: what waits.
        waited_for: what it has yielded.
    """

    __slots__ = ("_coroutine", "_guard", "_waited_for")

    def __init__(self, guard: TaskGuard, coroutine: Coroutine[Any, Any, Any], waited_for: Any) -> None:
        self._guard = guard
        self._coroutine = coroutine
        self._waited_for = waited_for

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._guard.drive(self._coroutine, self._waited_for)


async def _awaiting(answer: Awaitable[Any]) -> Any:
    return await answer


def own_error(error: BaseException) -> BaseException:
    """Return what a receiver raised, in a form that cannot be taken for our own cancelling of it."""
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        return error
    mistaken = ReceiverError(f"the receiver raised {type(error).__name__} by itself")
    mistaken.__cause__ = error
    return mistaken
