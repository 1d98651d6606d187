"""Streams of server-sent events, listened to as a browser does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette

from tests.support.waiting import PATIENCE


class Heard(NamedTuple):
    """An event as a browser understands it."""

    name: str
    data: str
    id: str


class Listener:
    """What a stream has told so far."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.heard: list[Heard] = []
        self.comments: list[str] = []
        self.is_finished = False
        self.reads = asyncio.Event()
        self.reads.set()
        self._is_asked = False
        self._rest = ""
        self._last_id = ""
        self._leaves = asyncio.Event()
        self._moved = asyncio.Event()
        self.task: asyncio.Task[None]

    async def receive(self) -> dict[str, Any]:
        if not self._is_asked:
            self._is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self._take(message.get("body", b"").decode())
            self.is_finished = not message.get("more_body", False)
        self._moved.set()

    def _take(self, text: str) -> None:
        *blocks, self._rest = (self._rest + text).split("\n\n")
        for block in blocks:
            name, data = "message", []
            for line in block.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if not field:
                    self.comments.append(value)
                elif field == "event":
                    name = value
                elif field == "id":
                    self._last_id = value
                elif field == "data":
                    data.append(value)
            if data:
                self.heard.append(Heard(name, "\n".join(data), self._last_id))

    @property
    def rest(self) -> str:
        """Return what is no whole event, or the page that has come in place of a stream."""
        return self._rest

    def leave(self) -> None:
        """Close the connection."""
        self._leaves.set()

    async def hears(self, text: str, name: str = "put") -> Heard:
        """Wait for an event of this name whose data have this text, and return the first."""

        async def heard() -> Heard:
            while True:
                for one in self.heard:
                    if one.name == name and text in one.data:
                        return one
                assert not self.is_finished, f"it ended without {text!r}: {self.heard}"
                self._moved.clear()
                await self._moved.wait()

        return await asyncio.wait_for(heard(), PATIENCE)

    async def ends(self) -> str:
        """Wait for the end; return the reason that it gives, or nothing."""
        await asyncio.wait_for(asyncio.shield(self.task), PATIENCE)
        return next((one.data for one in self.heard if one.name == "end"), "")


@contextlib.asynccontextmanager
async def listening(
    browser: httpx.AsyncClient, app: Starlette, path: str, last_id: str | None = None
) -> AsyncIterator[Listener]:
    """Listen to a stream as the person who is logged in on a browser; the connection is closed at the end of the block.

    Args:
        browser: the browser, or a client that sends a token.
        app: the console.
        path: the stream's address.
        last_id: the id of the last event that was heard before the connection was lost.
    """
    parts = urlsplit(path)
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)
    headers = {"host": "localhost", "accept": "text/event-stream", "cookie": cookies}
    if "authorization" in browser.headers:
        headers["authorization"] = browser.headers["authorization"]
    if last_id is not None:
        headers["last-event-id"] = last_id
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
        "path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(), "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("localhost", 443), "client": ("127.0.0.1", 50000), "state": {},
    }  # fmt: skip
    listener = Listener()
    listener.task = asyncio.create_task(app(scope, listener.receive, listener.send))
    try:
        yield listener
    finally:
        listener.leave()
        listener.reads.set()
        await asyncio.wait_for(listener.task, PATIENCE)
