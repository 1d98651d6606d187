"""The log of requests, where somebody wants it. Addresses may have keys of rows in their queries."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowhooks.web.security.peers import network_of

logger = logging.getLogger("rowhooks.web.access")
NONE, PATHS, FULL = "none", "paths", "full"


class LogRequests:
    """Logs each request when it has been answered: client, role, method, path, status, milliseconds.

    Args:
        app: the application.
        extent: `paths`: without queries; `full`: with them.
    """

    def __init__(self, app: ASGIApp, extent: str) -> None:
        self._app, self._extent = app, extent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            path = scope.get("raw_path", b"").decode("latin-1")
            if self._extent == FULL and scope["query_string"]:
                path += f"?{scope['query_string'].decode('latin-1')}"
            person = scope.get("state", {}).get("person")
            logger.info(
                "%s %s %s %s %d %.0f ms", network_of(scope.get("client")), person.role if person else "-",
                scope["method"], path, status, (time.monotonic() - begun) * 1000,
            )  # fmt: skip
