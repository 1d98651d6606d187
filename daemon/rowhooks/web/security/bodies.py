"""How much a client may send, and how long it may take for that."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowhooks.web.security.answers import refuse


class LimitBodies:
    """Refuses bodies that are too large, also if they come in pieces, and those that take too long to come.

    Args:
        app: the application.
        largest: bytes of a body.
        slowest: seconds for a whole body.
    """

    def __init__(self, app: ASGIApp, largest: int, slowest: float) -> None:
        self._app, self._largest, self._slowest = app, largest, slowest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            await refuse(scope, receive, send, 400, "The header Content-Length is not a number.")
        elif int(length) > self._largest:
            await refuse(scope, receive, send, 413, f"A body has at most {self._largest} bytes.", connection="close")
        else:
            await self._app(scope, _Limited(receive, self._largest, self._slowest).receive, send)


class _Limited:
    def __init__(self, receive: Receive, largest: int, slowest: float) -> None:
        self._receive, self._largest, self._slowest = receive, largest, slowest
        self._got = 0
        self._is_complete = False
        self._deadline: float | None = None

    async def receive(self) -> Message:
        if self._is_complete:
            # The next message is that the client has gone; that may take as long as it likes.
            return await self._receive()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._slowest
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the request did not arrive in time") from None
        self._got += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        if self._got > self._largest:
            raise HTTPException(413, f"a request has at most {self._largest} bytes")
        return message
