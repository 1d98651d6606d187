"""The person who makes a request, and how its questions reach the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from rowhooks.domain.errors import ConnectionsEnded, DatabaseError
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.connections.any_bytes import is_about_bytes, may_hold_any_bytes, take_any_bytes
from rowhooks.postgres.console.people import Connections

P = ParamSpec("P")
T = TypeVar("T")


class NotLoggedIn(Exception):
    """A request that needs a person has none."""


class Person:
    """A person: a PostgreSQL role, and connections that have its rights.

    A question or an act that meets bytes that are no text, in a database that knows no encoding, is done once more, in
    a transaction that takes them: see `any_bytes`.

    Args:
        role: the role.
        connections: its connections.
        turns: how many questions it asks at the same time. Others wait without holding a thread.
        level: what the console's roles make of it: none, viewer, operator or admin. Only what is shown depends on it.

    Attributes:
        has_ended: whether its connections have ended.
        on_end: what is called then, for what goes on beyond a request.
    """

    def __init__(self, role: str, connections: Connections, turns: int, level: str = "none") -> None:
        self.role = role
        self.level = level
        self.connections = connections
        self.has_ended = False
        self.on_end: set[Callable[[], None]] = set()
        self._turns = asyncio.Semaphore(turns)

    async def read(self, question: Callable[Concatenate[Connection, P], T], /, *args: P.args, **named: P.kwargs) -> T:
        """Ask a question in a read-only transaction; it is called with a connection first.

        Raises:
            ConnectionsEnded: the person has logged out meanwhile, or its connections have ended.
        """
        return await self._ask(question, args, named, read_only=True)

    async def act(self, act: Callable[Concatenate[Connection, P], T], /, *args: P.args, **named: P.kwargs) -> T:
        """Do something in a transaction, which is committed; it is called with a connection first.

        Raises:
            ConnectionsEnded: the person has logged out meanwhile, or its connections have ended.
        """
        return await self._ask(act, args, named, read_only=False)

    def end(self) -> None:
        """End the person's connections: whatever still asks in its name, such as a live page, gets no answer."""
        self.has_ended = True
        self.connections.close()
        for call in tuple(self.on_end):
            call()

    async def _ask(self, work: Callable[..., T], args: Any, named: Any, *, read_only: bool) -> T:
        may_ask_again = False

        def ask() -> T:
            nonlocal may_ask_again
            with self.connections.lend(read_only=read_only) as conn:
                if may_ask_again:
                    take_any_bytes(conn)
                may_ask_again = not may_ask_again and may_hold_any_bytes(conn)
                return work(conn, *args, **named)

        def ask_twice() -> T:
            try:
                return ask()
            except DatabaseError as error:
                if not (may_ask_again and is_about_bytes(error)):
                    raise
            return ask()

        async with self._turns:
            if self.has_ended:
                raise ConnectionsEnded
            try:
                return await run_in_threadpool(ask_twice)
            except ConnectionsEnded:
                self.end()
                raise


def person_of(request: HTTPConnection) -> Person:
    """Return the person who makes a request.

    Raises:
        NotLoggedIn: nobody is logged in.
    """
    person = getattr(request.state, "person", None)
    if person is None:
        raise NotLoggedIn
    assert isinstance(person, Person)
    return person
