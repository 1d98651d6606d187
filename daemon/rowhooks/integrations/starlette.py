"""Starlette, FastAPI and every other ASGI framework: the writes of a web request are its user's, and buttons for pages.

    app.add_middleware(AttributionMiddleware)
    app.mount("/rowhooks", buttons(dsn="service=inventory", role=role_of))

The middleware is plain ASGI, and imports no framework. `buttons` needs Starlette, which FastAPI has.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import TYPE_CHECKING, Any

from rowhooks.integrations.attribution import attributed, set_user

if TYPE_CHECKING:
    import sqlalchemy
    from sqlalchemy.ext.asyncio import AsyncEngine
    from starlette.applications import Starlette
    from starlette.requests import Request

__all__ = ["AttributionMiddleware", "attributed", "buttons", "set_user"]

Scope = MutableMapping[str, Any]
Answer = Callable[[Scope], object]


def user_of(scope: Scope) -> object:
    """Return the name of the user whom the framework's authentication has put into the scope; None for nobody."""
    user = scope.get("user")
    if user is None or not getattr(user, "is_authenticated", True):
        return None
    return getattr(user, "username", None) or getattr(user, "display_name", None) or None


def request_id_of(scope: Scope) -> object:
    """Return the request's id: the header X-Request-ID, else a new UUID."""
    for name, value in scope.get("headers", ()):
        if name == b"x-request-id" and value:
            return value.decode("latin-1")
    return uuid.uuid4()


class AttributionMiddleware:
    """Names the author of what a request writes: `rowhooks.user`, `rowhooks.request_id` and `rowhooks.context`.

    It has an effect on the engines that `rowhooks.integrations.sqlalchemy.attribute` was given. The user is asked for
    when the request first writes, so it does not matter whether the authentication's middleware stands before or
    behind. A dependency that finds the user out calls `set_user`.

    Args:
        app: the application.
        user: returns the user's name, or None, for an ASGI scope.
        request_id: returns the id of the request.
        context: where the changes come from.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        *,
        user: Answer = user_of,
        request_id: Answer = request_id_of,
        context: str = "web",
    ) -> None:
        self._app = app
        self._user = user
        self._request_id = request_id
        self._context = context

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer a request, or a web socket, as ASGI asks for it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        with attributed(user=lambda: self._user(scope), request_id=self._request_id(scope), context=self._context):
            await self._app(scope, receive, send)


def buttons(
    *,
    role: Callable[[Request], str | Awaitable[str | None] | None],
    dsn: str | None = None,
    engine: sqlalchemy.Engine | AsyncEngine | None = None,
    user: Callable[[Request], str | None] | None = None,
    origins: Collection[str] = (),
) -> Starlette:
    """Return an application to mount: the endpoint of `<rowhooks-buttons>`, and the component's file.

    Each request is one transaction with the rights of the person's role (`SET LOCAL ROLE`). So the login that connects
    must be a member of that role, or be that role. PostgreSQL decides what the person sees and presses.

    Args:
        role: returns the PostgreSQL role of the person who makes a request; None: nobody is logged in. It may be
            `async def`. A plain function is called in a thread.
        dsn: the database, as libpq reads it; needs psycopg 3.
        engine: instead of `dsn`: the application's own engine, synchronous or not.
        user: returns the name of the person, under which its presses are put on record. By default that is the user
            that the framework's authentication has found. Give it if several persons have one role: only the person who
            has pressed sees what became of the press.
        origins: other origins whose pages may ask. The application must also let them, by its CORSMiddleware.

    Raises:
        UsageError: neither `dsn` nor `engine` is given, or both are.
    """
    from rowhooks.integrations.starlette_buttons import make_app

    return make_app(role, dsn, engine, user, frozenset(origins))
