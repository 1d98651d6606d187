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


class Guard(Protocol):
    """Calls a receiver's code."""

    def call(self, work: Callable[[], Any]) -> Any:
        """Call it; an awaitable where the receiver is asynchronous."""
        ...

    def beside(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call code of ours in the context in which the receiver's code runs; return what it returns."""
        ...

    def interrupt(self, error: type[BaseException]) -> None:
        """Raise an exception inside the receiver, if its code runs at this moment."""
        ...

    def close(self, error: type[BaseException]) -> None:
        """Raise an exception inside the receiver now, and wherever its code is called from now on."""
        ...


class ThreadGuard:
    """The guard of a plain receiver. The exception is raised at the next bytecode: not within a call that blocks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._sent: type[BaseException] | None = None
        self._closed: type[BaseException] | None = None

    def call(self, work: Callable[[], Any]) -> Any:
        """Call the receiver's code in this thread."""
        with self._lock:
            if self._closed is not None:
                raise self._closed
            self._thread = threading.get_ident()
        try:
            try:
                return work()
            finally:
                self._leave()
        except BaseException:
            # It may have been raised in _leave(); it is raised only once.
            self._leave()
            raise

    def beside(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call code of ours: the context is the thread's."""
        return work(*args)

    def interrupt(self, error: type[BaseException]) -> None:
        """Raise an exception in the receiver's thread, if its code runs at this moment."""
        with self._lock:
            if self._thread is not None:
                self._sent = error
                _raise_in(self._thread, error)

    def close(self, error: type[BaseException]) -> None:
        """Raise an exception in the receiver's thread now, and wherever its code is called from now on."""
        with self._lock:
            self._closed = error
        self.interrupt(error)

    def _leave(self) -> None:
        with self._lock:
            if self._thread is not None and self._sent is not None:
                # Not raised yet, it must not be raised in what the thread does next.
                _raise_in(self._thread, None)
            self._thread = self._sent = None


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    # Python's only way (C API, "Asynchronous exceptions"); the exception is made by calling the class.
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )


def is_awaitable(answer: object) -> bool:
    """Say whether something must be awaited; as inspect.isawaitable(), which takes its time to say no."""
    kind = type(answer)
    if kind is CoroutineType or hasattr(kind, "__await__"):
        return True
    return kind is GeneratorType and inspect.isawaitable(answer)


class TaskGuard:
    """The guard of an asynchronous receiver; many of them share a task, so each has a context of its own."""

    def __init__(self) -> None:
        self._context = contextvars.copy_context()
        # The task in which the receiver runs, and whether its code does at this moment.
        self.task: asyncio.Task[Any] | None = None
        self._is_inside = False
        self._pending: type[BaseException] | None = None
        self._closed: type[BaseException] | None = None

    def call(self, work: Callable[[], Any]) -> Any:
        """Call the receiver's code; what it returns is awaited under guard."""
        if self._closed is not None:
            raise self._closed
        answer = self._context.run(work)
        return _Guarded(self, answer) if is_awaitable(answer) else answer

    def beside(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call code of ours in the receiver's context."""
        return self._context.run(work, *args)

    def interrupt(self, error: type[BaseException]) -> None:
        """Raise an exception at the await in which the receiver waits."""
        if self._is_inside and self.task is not None:
            self._pending = error
            self.task.cancel()

    def close(self, error: type[BaseException]) -> None:
        """Raise an exception inside the receiver now, and wherever its code is called from now on."""
        self._closed = error
        self.interrupt(error)

    def drive(self, coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Await, turning the cancellation that an interruption needs into its exception."""
        if self.task is None:
            self.task = asyncio.current_task()
        self._is_inside = True
        run = self._context.run
        resume, argument = coroutine.send, None
        try:
            while True:
                try:
                    waited_for = run(resume, argument)
                except StopIteration as end:
                    return end.value
                try:
                    argument = yield waited_for
                    resume = coroutine.send
                except BaseException as error:
                    resume, argument = coroutine.throw, error
                if self._pending is not None:
                    # In the cancellation's place, also where something that was awaited has swallowed it.
                    resume, argument = coroutine.throw, self._interruption()
        finally:
            self._is_inside, self._pending = False, None

    def _interruption(self) -> BaseException:
        assert self._pending is not None
        assert self.task is not None
        pending, self._pending = self._pending, None
        self.task.uncancel()
        return pending()


class _Guarded:
    def __init__(self, guard: TaskGuard, answer: Awaitable[Any]) -> None:
        self._guard = guard
        self._coroutine = answer if isinstance(answer, CoroutineType) else _awaiting(answer)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._guard.drive(self._coroutine)


async def _awaiting(answer: Awaitable[Any]) -> Any:
    return await answer
