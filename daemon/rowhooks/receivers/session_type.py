"""The type of `self.session`: what a type checker makes of it follows from the receiver's own method.

`Session` in a plain receiver, `AsyncSession` in an `async def` one. Where the method has no annotations, or is defined
further down, it is `Any`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, overload

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    class _Nothing:
        """What only a method without annotations can be taken to return."""

    class _UnknownHook(Protocol):
        @property
        def receive_job_hook(self) -> Callable[..., _Nothing]: ...
        @property
        def receive_job_hooks(self) -> Callable[..., _Nothing]: ...
        @property
        def run(self) -> Callable[..., _Nothing]: ...

    class _UnknownButton(Protocol):
        @property
        def receive_job_button(self) -> Callable[..., _Nothing]: ...
        @property
        def run(self) -> Callable[..., _Nothing]: ...

    _Awaited = Callable[..., Coroutine[Any, Any, Any]]

    class _AsyncHook(Protocol):
        @property
        def receive_job_hook(self) -> _Awaited: ...
        @property
        def receive_job_hooks(self) -> _Awaited: ...
        @property
        def run(self) -> _Awaited: ...

    class _AsyncButton(Protocol):
        @property
        def receive_job_button(self) -> _Awaited: ...
        @property
        def run(self) -> _Awaited: ...

    class SessionOfRun:
        """A property whose type depends on the receiver."""

        def __init__(self, getter: Callable[[Any], Any]) -> None: ...

        # The order matters: a method that is not annotated fits all of them.
        @overload
        def __get__(self, receiver: _UnknownHook | _UnknownButton, owner: Any) -> Any: ...
        @overload
        def __get__(self, receiver: _AsyncHook | _AsyncButton, owner: Any) -> AsyncSession: ...
        @overload
        def __get__(self, receiver: object, owner: Any) -> Session: ...
        def __get__(self, receiver: Any, owner: Any) -> Any: ...
else:
    SessionOfRun = property
