"""`self.user`: the user for whom a receiver runs, and what the user may do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable
from typing import Any, NoReturn

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.permissions import PermissionBackend

_UNKNOWN = object()


class Answer:
    """An answer that an `async def` receiver has to await; it may do so more than once.

    An answer that is used without `await` raises: objects count as true, so a forgotten `await` would grant everything.

    Args:
        ask: makes the coroutine that finds the answer.
        question: the receiver's call, for the message.
    """

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Any]], question: str) -> None:
        self._ask = ask
        self._question = question

    def __await__(self) -> Generator[Any, Any, Any]:
        # The coroutine is made only now: Python warns about one that is never awaited.
        return self._ask().__await__()

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError(
            f"the answer of self.user.{self._question} was used without await: await self.user.{self._question}"
        )

    __bool__ = __int__ = __float__ = __index__ = __len__ = __iter__ = __contains__ = __getitem__ = __reversed__ = (
        _refuse
    )
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __invert__ = __add__ = __radd__ = _refuse
    # asyncio.gather() keeps its arguments in a dict.
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<not awaited: self.user.{self._question}>"


class User:
    """The user for whom a run is: the author of the change, or the user who pressed the button.

    In `async def` receivers `has_perm()`, `has_perms()`, `is_superuser` and `groups` are awaited. Answers are kept for
    the run, except those about one object, because the receiver may change the object.

    Args:
        username: the user's name.
        backend: where the answers come from.
        ask: does some work on a synchronous session in the run's own transaction. It returns the work's value; where
            the receiver is asynchronous, an awaitable of the value.
        asynchronous: whether the receiver is asynchronous.
    """

    def __init__(
        self,
        username: str,
        backend: PermissionBackend,
        ask: Callable[[Callable[[Any], Any]], Any],
        *,
        asynchronous: bool,
    ) -> None:
        self.username = username
        self._backend = backend
        self._ask = ask
        self._asynchronous = asynchronous
        self._answers: dict[object, Any] = {}
        self._turn = asyncio.Lock() if asynchronous else None

    def has_perm(self, permission: str, obj: Any = None) -> Any:
        """Say whether the user has a permission.

        Args:
            permission: `schema.<view|add|change|delete>_<table>`, or what the permission backend understands.
            obj: a row; the question is then about this row only.

        Returns:
            True or False; in `async def` receivers an awaitable of it.

        Raises:
            ReceiverError: the question cannot be answered; for example, row security decides about single rows.
        """

        def work(session: Any) -> bool:
            return self._yes_or_no("has_perm", self._backend.has_perm(session, self.username, permission, obj))

        question = f"has_perm({permission!r})" if obj is None else f"has_perm({permission!r}, obj)"
        return self._answer(question, work, keep=obj is None)

    def has_perms(self, permissions: Iterable[str], obj: Any = None) -> Any:
        """Say whether the user has all of some permissions.

        Args:
            permissions: as for `has_perm`.
            obj: as for `has_perm`.

        Returns:
            True or False; in `async def` receivers an awaitable of it.

        Raises:
            ReceiverError: a question cannot be answered, or `permissions` is one string.
        """
        if isinstance(permissions, str):
            raise ReceiverError(f"has_perms({permissions!r}) needs a list of permissions", hint="use has_perm()")
        wanted = tuple(permissions)
        if not self._asynchronous:
            return all(self.has_perm(permission, obj) for permission in wanted)

        async def ask_all() -> bool:
            for permission in wanted:
                if not await self.has_perm(permission, obj):
                    return False
            return True

        return Answer(ask_all, f"has_perms({list(wanted)!r})")

    @property
    def is_superuser(self) -> Any:
        """Whether the user may do everything; in `async def` receivers it is awaited."""

        def work(session: Any) -> bool:
            return self._yes_or_no("is_superuser", self._backend.is_superuser(session, self.username))

        return self._answer("is_superuser", work)

    @property
    def groups(self) -> Any:
        """The names of the user's groups, as a list; in `async def` receivers it is awaited. PostgreSQL's are roles."""

        def work(session: Any) -> tuple[str, ...]:
            return tuple(self._backend.groups(session, self.username))

        return self._answer("groups", work, shown_as=list)

    def _yes_or_no(self, method: str, value: Any) -> bool:
        # bool(value) would take whatever a mistaken backend returns, such as a coroutine, for a yes.
        if not isinstance(value, bool):
            raise ReceiverError(f"{type(self._backend).__qualname__}.{method} returned {value!r}, not True or False")
        return value

    def _answer(
        self,
        question: str,
        work: Callable[[Any], Any],
        *,
        keep: bool = True,
        shown_as: Callable[[Any], Any] = lambda v: v,
    ) -> Any:
        def known() -> Any:
            return self._answers.get(question, _UNKNOWN) if keep else _UNKNOWN

        def learn(value: Any) -> Any:
            if keep:
                self._answers[question] = value
            return shown_as(value)

        async def ask() -> Any:
            # The session runs one query at a time, and the receiver may ask several questions concurrently.
            assert self._turn is not None
            async with self._turn:
                value = known()
                return learn(await self._ask(work)) if value is _UNKNOWN else shown_as(value)

        if self._asynchronous:
            return Answer(ask, question)
        value = known()
        return learn(self._ask(work)) if value is _UNKNOWN else shown_as(value)

    def __str__(self) -> str:
        return self.username

    def __repr__(self) -> str:
        return f"<User {self.username}>"
