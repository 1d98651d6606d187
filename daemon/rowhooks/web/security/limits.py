"""How much one person may ask for at the same time: requests, and live streams among them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowhooks.web.security.answers import refuse
from rowhooks.web.security.peers import network_of

_STREAM = b"text/event-stream"


class LimitRequests:
    """Counts the requests and streams of each person (of each client, while nobody is logged in); refuses too many.

    An answer is a stream if its content type says so. A stream that is refused is answered with status 429, and its
    page is told that the client has gone.

    Args:
        app: the application.
        requests: requests of one person at the same time.
        streams: streams of one person at the same time; they do not count as requests.
        stopping: set when the console is about to stop: the pages of streams are told that their clients have gone.
    """

    def __init__(self, app: ASGIApp, requests: int, streams: int, *, stopping: asyncio.Event) -> None:
        self._app = app
        self.stopping = stopping
        self._most = {"requests": requests, "streams": streams}
        self._going_on: dict[str, Counter[str]] = {"requests": Counter(), "streams": Counter()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        one = _Request(self, scope, receive, send)
        if not one.begin("requests"):
            why = "You have too many requests going on. Wait until some of them are answered."
            await refuse(scope, receive, send, 429, why, retry_after="1")
            return
        try:
            await self._app(scope, one.receive, one.send)
        finally:
            one.end()

    def count(self, kind: str, who: str) -> bool:
        """Count one more of somebody's; say whether it may begin."""
        if self._going_on[kind][who] >= self._most[kind]:
            return False
        self._going_on[kind][who] += 1
        return True

    def uncount(self, kind: str, who: str) -> None:
        """Count one less of somebody's."""
        self._going_on[kind][who] -= 1
        if not self._going_on[kind][who]:
            del self._going_on[kind][who]


class _Request:
    """One request, as it is counted."""

    def __init__(self, limits: LimitRequests, scope: Scope, receive: Receive, send: Send) -> None:
        self._limits, self._scope, self._receive, self._send = limits, scope, receive, send
        self._counted: tuple[str, str] | None = None
        self._is_refused = False
        self._has_body = False

    def begin(self, kind: str) -> bool:
        who = _who(self._scope)
        if not self._limits.count(kind, who):
            return False
        self.end()
        self._counted = kind, who
        return True

    def end(self) -> None:
        if self._counted is not None:
            self._limits.uncount(*self._counted)
            self._counted = None

    async def receive(self) -> Message:
        if self._is_refused:
            return {"type": "http.disconnect"}
        if not self._has_body:
            message = await self._receive()
            self._has_body = not message.get("more_body", False)
            return message
        # All that may come now is that the client has gone.
        going = asyncio.ensure_future(self._receive())
        stopping = asyncio.ensure_future(self._limits.stopping.wait())
        try:
            await asyncio.wait({going, stopping}, return_when=asyncio.FIRST_COMPLETED)
            is_stream = self._counted is not None and self._counted[0] == "streams"
            return {"type": "http.disconnect"} if is_stream and not going.done() else await going
        finally:
            going.cancel()
            stopping.cancel()

    async def send(self, message: Message) -> None:
        if self._is_refused:
            return
        if message["type"] == "http.response.start" and _is_stream(message) and not self.begin("streams"):
            self._is_refused = True
            why = "You have too many live pages open. Close some of them."
            await refuse(self._scope, self._receive, self._send, 429, why, retry_after="30")
            return
        await self._send(message)


def _is_stream(start: Message) -> bool:
    headers: Any = start.get("headers", ())
    return any(name.lower() == b"content-type" and value.startswith(_STREAM) for name, value in headers)


def _who(scope: Scope) -> str:
    person = scope.get("state", {}).get("person")
    return f"role {person.role}" if person else f"client {network_of(scope.get('client'))}"
