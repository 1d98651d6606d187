"""Pages of other origins: what a browser is told that asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/embed/"
"""The beginning of the paths for which pages of other origins may ask."""


class AllowOrigins:
    """Lets pages of some origins ask for what is below PATH, and use the answers, errors included.

    There is no Access-Control-Allow-Credentials: a browser sends no cookie of the console's along.

    Args:
        app: the application, with all its headers.
        origins: the origins.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not self._origins or not scope["path"].startswith(PATH):
            await self._app(scope, receive, send)
            return
        origin = Headers(scope=scope).get("origin", "")

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["cross-origin-resource-policy"] = "cross-origin"
                headers.add_vary_header("Origin")
                if origin in self._origins:
                    headers["access-control-allow-origin"] = origin
                    headers["access-control-allow-methods"] = "GET, POST"
                    headers["access-control-allow-headers"] = "authorization, content-type, x-rowhooks"
                    headers["access-control-max-age"] = "600"
            await send(message)

        await self._app(scope, receive, add)
