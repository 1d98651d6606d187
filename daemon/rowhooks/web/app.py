"""The console as an ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.connections.target import Target
from rowhooks.web import api, errors
from rowhooks.web.pages import buttons, home, hooks, jobs, login, runs
from rowhooks.web.person import NotLoggedIn
from rowhooks.web.sessions import COOKIE, Sessions
from rowhooks.web.static_files import HashedFiles

PAGES = (home, login, runs, hooks, jobs, buttons, api)
"""The modules with pages: each has `routes`."""


@dataclass(frozen=True)
class Console:
    """What the pages share: `request.app.state.console`.

    Args:
        target: the database.
        sessions: who is logged in.
    """

    target: Target
    sessions: Sessions


def make_app(console: Console) -> Starlette:
    """Return the console as an ASGI application."""
    routes: list[BaseRoute] = [route for module in PAGES for route in module.routes]
    routes.append(Mount("/static", HashedFiles(), name="static"))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        console.sessions.end_all()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(FindSession)],
        exception_handlers={
            RowhooksError: errors.on_rowhooks_error,
            HTTPException: errors.on_http_error,
            NotLoggedIn: errors.on_nobody,
            Exception: errors.on_any_error,
        },
    )
    app.state.console = console
    return app


class FindSession:
    """Finds the session of a request: `request.state.session`, `.person` and `.csrf_token`.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            connection = HTTPConnection(scope)
            sessions: Sessions = scope["app"].state.console.sessions
            session = sessions.find(connection.cookies.get(COOKIE))
            state: dict[str, Any] = scope.setdefault("state", {})
            state["session"] = session
            state["person"] = session.person if session else None
            state["csrf_token"] = session.csrf_token if session else ""
        await self._app(scope, receive, send)
