"""Live pages: server-sent events that are looked for again and again, each time as the person.

A page gives `stream` a function that looks once and returns what is new. Between two looks a stream holds no
connection, no transaction and no thread. It ends with a reason: what it tells of has ended, the person may not see it
any more, the session is over, or the console stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from rowhooks.domain.errors import RowhooksError, TookTooLong
from rowhooks.web.people.person import person_of

logger = logging.getLogger(__name__)

FASTEST, SLOWEST = 0.3, 3.0
"""Seconds between two looks: while something moves; when nothing has moved for long."""
_GROWTH, _SHARE = 1.5, 10
"""How the pause grows while nothing moves; how many times as long as a look it is at least."""
LONGEST_PAUSE = 15.0
"""Seconds between two looks, however long they take; and after which a client hears something in any case."""
SEND_LIMIT = 10.0
"""Seconds in which a client must take what is sent, or it is given up."""
RECONNECT = 2000
"""Milliseconds after which a browser whose stream was cut asks for it again."""
IN_ALL = 200
"""How many streams may be open at the same time; how many one person may have open, a setting says."""
MOST_FAILURES = 3
"""How many looks in a row may take too long."""
_LINE_END = re.compile(r"\r\n|\r|\n")

FINISHED = "finished"
"""The reason of a stream that has told everything."""


@dataclass(frozen=True)
class Event:
    """What a stream tells a page.

    Args:
        name: what kind of event it is. static/live.js knows `put`: HTML whose elements take the places of those with
            the same ids, or come into the list that their `data-in` names, at the place of their `data-order`.
        data: any text.
        id: where the stream goes on behind it if it is cut, see `cursor_of`; None: where it went on before.
    """

    name: str
    data: str
    id: str | None = None

    def encoded(self) -> bytes:
        """Return what is sent. Whatever stands in the data is data: each of its lines is marked as such."""
        lines = [f"event: {self.name}"]
        if self.id is not None:
            lines.append(f"id: {self.id}")
        lines += [f"data: {line}" for line in _LINE_END.split(self.data)]
        text = "\n".join(lines) + "\n\n"
        return text.encode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class News:
    """What one look has found.

    Args:
        events: what is new; nothing: nothing has moved.
        ended: why there will be nothing more; None: there may be.
    """

    events: Sequence[Event] = ()
    ended: str | None = None


Look = Callable[[], Awaitable[News]]
"""Looks once, and returns what is new since it looked last. Errors of ours end the stream with their message."""


def cursor_of(request: Request) -> str | None:
    """Return the id of the last event that a page has got: by its browser, or as `cursor` in the address."""
    return request.headers.get("last-event-id") or request.query_params.get("cursor") or None


class Over:
    """The end of a stream: a reason that anything around it may give."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._is_over = asyncio.Event()

    def end(self, reason: str) -> None:
        """End the stream; the first reason counts. An empty one is not told: nobody listens any more."""
        if self.reason is None:
            self.reason = reason
        self._is_over.set()

    async def within(self, seconds: float) -> bool:
        """Wait for the end, so long at most; say whether it has come."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_over.wait(), seconds)
        return self.reason is not None

    async def or_done(self, task: asyncio.Future[Any]) -> bool:
        """Wait for a task or for the end; say whether the task is done and the end has not come."""
        ending = asyncio.ensure_future(self._is_over.wait())
        try:
            await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
        return self.reason is None


class Streams:
    """The streams of a console that are open.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int = IN_ALL) -> None:
        self._most = most
        self._open: set[Over] = set()

    @contextlib.contextmanager
    def enter(self) -> Iterator[Over]:
        """Open a stream; it is closed at the end of the block.

        Raises:
            HTTPException: there are too many.
        """
        if len(self._open) >= self._most:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "Too many pages are live at the same time.")
        over = Over()
        self._open.add(over)
        try:
            yield over
        finally:
            self._open.discard(over)

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)


def stream(request: Request, look: Look, pace: float = 0.0) -> EventStream:
    """Answer with a stream of events.

    Args:
        request: the request of a person who is logged in.
        look: called again and again.
        pace: seconds between two looks at least, for what always moves.
    """
    return EventStream(request, look, pace)


class EventStream:
    """An answer whose body goes on; see `stream`."""

    def __init__(self, request: Request, look: Look, pace: float) -> None:
        self._pace = pace
        self._person = person_of(request)
        self._session = getattr(request.state, "session", None)
        self._look = look
        self._has_body = request.method != "HEAD"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the stream ends, by whichever side."""
        console = scope["app"].state.console
        with console.streams.enter() as over, self._until_logged_out(over):
            sender = _Sender(send)
            leaving = asyncio.create_task(_note_leaving(receive, over, console.stopping))
            try:
                await sender.begin()
                if self._has_body:
                    await self._tell(sender, over, console.sessions.is_live)
                await sender.finish()
            except TimeoutError:
                logger.info("a client that does not read its stream of events is given up")
            except OSError as error:
                logger.debug("the client of a stream of events is gone: %s", error)
            finally:
                leaving.cancel()

    @contextlib.contextmanager
    def _until_logged_out(self, over: Over) -> Iterator[None]:
        def end() -> None:
            over.end(LOGGED_OUT)

        self._person.on_end.add(end)
        try:
            yield
        finally:
            self._person.on_end.discard(end)

    async def _tell(self, sender: _Sender, over: Over, is_live: Callable[[Any], bool]) -> None:
        pause, failures = FASTEST, 0
        while True:
            if self._session is not None and not is_live(self._session):
                over.end(LOGGED_OUT)
            news, seconds = await self._looked(over)
            if over.reason is not None:
                news = News(ended=over.reason)
            elif news is None:
                failures += 1
                news = News(ended=_SLOW if failures >= MOST_FAILURES else None)
            else:
                failures = 0
            for event in news.events:
                await sender.send(event)
            if news.ended is not None:
                if news.ended:
                    await sender.send(Event("end", news.ended))
                return
            pause = FASTEST if news.events else min(pause * _GROWTH, SLOWEST)
            await over.within(min(max(pause, self._pace, seconds * _SHARE), LONGEST_PAUSE))
            await sender.beat()

    async def _looked(self, over: Over) -> tuple[News | None, float]:
        """Look once; return what was found, None where it took too long, and the seconds that it took."""
        begun = time.monotonic()
        looking = asyncio.ensure_future(self._look())
        try:
            if not await over.or_done(looking):
                return News(), 0.0
            return looking.result(), time.monotonic() - begun
        except TookTooLong:
            return None, time.monotonic() - begun
        except RowhooksError as error:
            return News(ended=f"{error.message}: {error.hint}" if error.hint else error.message), 0.0
        except Exception:
            logger.exception("a stream of events failed")
            return News(ended="something went wrong in the console; its log says what"), 0.0
        finally:
            if not looking.done():
                # A question that the database has begun to answer is answered, and nobody hears it.
                looking.cancel()
            looking.add_done_callback(_forget)


STOPPING = "the console stops"
LOGGED_OUT = "the session has ended: log in again"
_SLOW = "PostgreSQL takes too long to answer: open the page again"


def _forget(looking: asyncio.Future[Any]) -> None:
    """Let an error that nobody waits for be no warning of asyncio's."""
    if not looking.cancelled():
        looking.exception()


async def _note_leaving(receive: Receive, over: Over, stopping: asyncio.Event) -> None:
    # When the console is about to stop, all clients are said to have gone.
    while (await receive())["type"] != "http.disconnect":
        pass
    over.end(STOPPING if stopping.is_set() else "")


class _Sender:
    """Sends to a client, which has SEND_LIMIT to take each piece."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._last = time.monotonic()

    async def begin(self) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            # A proxy that collects an answer before it hands it on would hold the events back.
            (b"x-accel-buffering", b"no"),
        ]
        await self._put({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        await self._body(f"retry: {RECONNECT}\n\n".encode())

    async def send(self, event: Event) -> None:
        await self._body(event.encoded())

    async def beat(self) -> None:
        """Send a comment if nothing was sent for long: a client that is gone is noticed by that."""
        if time.monotonic() - self._last >= LONGEST_PAUSE:
            await self._body(b": still here\n\n")

    async def finish(self) -> None:
        await self._put({"type": "http.response.body", "body": b"", "more_body": False})

    async def _body(self, body: bytes) -> None:
        await self._put({"type": "http.response.body", "body": body, "more_body": True})
        self._last = time.monotonic()

    async def _put(self, message: Message) -> None:
        async with asyncio.timeout(SEND_LIMIT):
            await self._send(message)
