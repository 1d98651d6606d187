"""The endpoint of `<rowhooks-buttons>` in an application of Starlette's or FastAPI's, on its database as its people."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from rowhooks.domain.errors import UsageError
from rowhooks.integrations.attribution import attributed, is_open, present
from rowhooks.integrations.starlette import user_of
from rowhooks.postgres.embedded_buttons import acting_as
from rowhooks.postgres.embedded_problems import NOBODY
from rowhooks.web.embed.answers import FORGED, Asker, comes_from_here, routes

CONNECTIONS = 5
"""How many connections are opened at most where a DSN is given."""
PATIENCE = 10.0
"""Seconds that a request waits for one of them."""

Role = Callable[[Request], str | Awaitable[str | None] | None]
User = Callable[[Request], str | None]


def make_app(role: Role, dsn: str | None, engine: Any, user: User | None, origins: frozenset[str]) -> Starlette:
    """Return the application; see `rowhooks.integrations.starlette.buttons`."""
    if (dsn is None) == (engine is None):
        raise UsageError("give the buttons a dsn or an engine", hint="for example buttons(engine=engine, role=role_of)")
    own = _engine(dsn) if dsn is not None else None
    database = _Database(engine if own is None else own)

    async def find(request: Request) -> Asker:
        if not comes_from_here(request, origins):
            raise FORGED
        its_role = role(request) if inspect.iscoroutinefunction(role) else await run_in_threadpool(role, request)
        if inspect.isawaitable(its_role):
            its_role = await its_role
        if not its_role:
            raise NOBODY
        name = _name(request, user)
        return Asker(_Ask(database, str(its_role), name), str(its_role), name)

    app = Starlette(routes=routes(find))
    if own is not None:
        # An application that is mounted is not told of the end.
        weakref.finalize(app, own.dispose)
    return app


def _name(request: Request, user: User | None) -> str:
    if user is not None:
        return user(request) or ""
    if is_open() and (said := present()) is not None:
        return said.user
    return str(user_of(request.scope) or "")


class _Database:
    """The application's database.

    Args:
        engine: an engine, synchronous or not.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._is_asynchronous = not isinstance(engine, sqlalchemy.Engine)

    async def within(self, work: Callable[[sqlalchemy.Connection], dict[str, Any]]) -> dict[str, Any]:
        """Do some work in a transaction, which is committed."""
        if self._is_asynchronous:
            async with self._engine.begin() as connection:
                found: dict[str, Any] = await connection.run_sync(work)
                return found
        return await run_in_threadpool(self._work, work)

    def _work(self, work: Callable[[sqlalchemy.Connection], dict[str, Any]]) -> dict[str, Any]:
        with self._engine.begin() as connection:
            return work(connection)


class _Ask:
    """Asks as a person.

    Args:
        database: the database.
        role: the person's role.
        user: the person's name; empty: none.
    """

    def __init__(self, database: _Database, role: str, user: str) -> None:
        self._database, self._role, self._user = database, role, user

    async def __call__(self, question: Callable[..., dict[str, Any]], /, *args: Any, writes: bool) -> dict[str, Any]:
        """Ask, in a transaction of its own."""

        def work(connection: sqlalchemy.Connection) -> dict[str, Any]:
            with acting_as(connection, self._role, self._user):
                return question(connection, *args)

        # Where the engine names the authors of its transactions, it names this one.
        with attributed(user=self._user or None):
            return await self._database.within(work)


def _engine(dsn: str) -> sqlalchemy.Engine:
    import psycopg

    from rowhooks.postgres.connections.target import Target

    target = Target(dsn, application_name="rowhooks buttons")
    return sqlalchemy.create_engine(
        "postgresql+psycopg://",
        # A transaction pooler keeps no prepared statements.
        creator=lambda: psycopg.connect(target.conninfo, prepare_threshold=None),
        pool_size=CONNECTIONS, max_overflow=0, pool_timeout=PATIENCE, pool_pre_ping=True, use_native_hstore=False,
        hide_parameters=True,
    )  # fmt: skip
