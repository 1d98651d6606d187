"""Starlette, FastAPI and every other ASGI framework: the writes of a web request are its user's.

    app.add_middleware(AttributionMiddleware)

It is a plain ASGI middleware, and imports no framework.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from rowhooks.integrations.attribution import attributed, set_user

__all__ = ["AttributionMiddleware", "attributed", "set_user"]

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
