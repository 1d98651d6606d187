"""Streams of events: what they tell, when they end, and what they hold while they wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.errors import ConnectionFailed, NotFound, PermissionDenied, TookTooLong
from rowhooks.postgres.administration.common import Connection, fetch
from rowhooks.web.live import streams as live
from rowhooks.web.live.streams import Event, News, Streams, cursor_of, stream
from rowhooks.web.people.person import person_of
from tests.support.console import Browser, logged_in
from tests.support.streams import listening
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("quick_streams")


class Story:
    """What a stream tells: each look returns, or raises, the next part; then there is nothing new."""

    def __init__(self, *parts: News | Exception) -> None:
        self.parts = list(parts)
        self.looks = 0
        self.cursor: str | None = None

    async def look(self) -> News:
        self.looks += 1
        part = self.parts.pop(0) if self.parts else News()
        if isinstance(part, Exception):
            raise part
        return part


@pytest.fixture
def told(console: Starlette) -> Callable[..., Story]:
    """Lets the console tell a story at /story."""

    def tell(*parts: News | Exception) -> Story:
        story = Story(*parts)

        async def endpoint(request: Request) -> Response | live.EventStream:
            story.cursor = cursor_of(request)
            return stream(request, story.look)

        console.router.routes.insert(0, Route("/story", endpoint))
        return story

    return tell


@pytest.fixture
async def alice(console: Starlette) -> AsyncIterator[Browser]:
    async with logged_in(console, "alice") as browser:
        yield browser


def put(text: str, id_: str | None = None) -> News:
    return News([Event("put", text, id_)])


async def test_what_a_look_finds_is_told_in_its_order(
    console: Starlette, told: Callable[..., Story], alice: Browser
) -> None:
    told(put("one", "1"), News(), News([Event("put", "two", "2"), Event("put", "three")], ended="finished"))
    async with listening(alice, console, "/story") as listener:
        assert await listener.ends() == "finished"
    assert [tuple(one) for one in listener.heard] == [
        ("put", "one", "1"), ("put", "two", "2"), ("put", "three", "2"), ("end", "finished", "2"),
    ]  # fmt: skip
    assert listener.status == 200
    assert listener.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert listener.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "data", ["a\nb", "a\r\nb", "a\rb", "a\n\nevent: end\ndata: x", "a\r\revent: end\rdata: x\r\r", ""]
)
async def test_nothing_in_the_data_is_another_event(
    console: Starlette, told: Callable[..., Story], alice: Browser, data: str
) -> None:
    told(News([Event("put", data, "1")], ended="finished"))
    async with listening(alice, console, "/story") as listener:
        await listener.ends()
    assert [one.name for one in listener.heard] == ["put", "end"]
    assert listener.heard[0].data == data.replace("\r\n", "\n").replace("\r", "\n")


async def test_a_browser_that_comes_again_says_how_far_it_was_told(
    console: Starlette, told: Callable[..., Story], alice: Browser
) -> None:
    story = told()
    async with listening(alice, console, "/story?cursor=3") as listener:
        await eventually(lambda: story.looks)
        listener.leave()
        await listener.ends()
    assert story.cursor == "3"
    async with listening(alice, console, "/story?cursor=3", last_id="7"):
        await eventually(lambda: story.looks > 1)
    assert story.cursor == "7"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotFound("there is no result 7"), "there is no result 7"),
        (PermissionDenied("permission denied for view x", hint="ask"), "permission denied for view x: ask"),
        (ConnectionFailed("the connections of this session have ended"), "the connections of this session have ended"),
        (RuntimeError("secret"), "something went wrong in the console; its log says what"),
    ],
)
async def test_a_look_that_fails_ends_the_stream_with_its_reason(
    console: Starlette, told: Callable[..., Story], alice: Browser, error: Exception, reason: str
) -> None:
    told(put("one"), error)
    async with listening(alice, console, "/story") as listener:
        assert await listener.ends() == reason
    assert len(console.state.console.streams) == 0


async def test_a_look_that_takes_too_long_is_tried_again_and_at_last_given_up(
    console: Starlette, told: Callable[..., Story], alice: Browser
) -> None:
    slow = TookTooLong("canceling statement due to statement timeout")
    story = told(slow, slow, put("one"), slow, slow, slow)
    async with listening(alice, console, "/story") as listener:
        assert "takes too long" in await listener.ends()
    assert story.looks == 6
    assert listener.heard[0].data == "one"


async def test_logging_out_ends_the_stream_at_once(
    console: Starlette, told: Callable[..., Story], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FASTEST", 1000.0)
    monkeypatch.setattr(live, "SLOWEST", 1000.0)
    monkeypatch.setattr(live, "LONGEST_PAUSE", 1000.0)
    story = told()
    async with logged_in(console, "alice") as browser, listening(browser, console, "/story") as listener:
        await eventually(lambda: story.looks)
        await browser.submit("/logout")
        assert await listener.ends() == "the session has ended: log in again"


async def test_the_console_s_stop_ends_the_stream_at_once_also_during_a_look(
    console: Starlette, told: Callable[..., Story], alice: Browser
) -> None:
    story = told()
    never = asyncio.Event()
    story.look = never.wait  # type: ignore[method-assign,assignment]
    async with listening(alice, console, "/story") as listener:
        await eventually(lambda: len(console.state.console.streams) == 1)
        console.state.console.stopping.set()
        assert await listener.ends() == "the console stops"


async def test_a_session_that_is_too_old_ends_the_stream_which_is_no_use_of_it(
    dsn: str, console: Starlette, told: Callable[..., Story]
) -> None:
    sessions = console.state.console.sessions
    now = [sessions._clock()]
    sessions._clock = lambda: now[0]
    story = told()
    async with logged_in(console, "alice") as browser, listening(browser, console, "/story") as listener:
        await eventually(lambda: story.looks > 3)
        now[0] += sessions._idle - 1
        looks = story.looks
        await eventually(lambda: story.looks > looks + 3)
        now[0] += 2
        assert await listener.ends() == "the session has ended: log in again"


async def test_a_client_that_leaves_leaves_nothing_behind(
    console: Starlette, told: Callable[..., Story], alice: Browser
) -> None:
    story = told()
    before = asyncio.all_tasks()
    async with listening(alice, console, "/story") as listener:
        await eventually(lambda: story.looks)
        listener.leave()
        assert await listener.ends() == ""
        looks = story.looks
    assert story.looks == looks
    assert len(console.state.console.streams) == 0
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_a_client_that_does_not_read_is_given_up(
    console: Starlette, told: Callable[..., Story], alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SEND_LIMIT", 0.05)
    told(News(), News(), News(), put("one"))
    async with listening(alice, console, "/story") as listener:
        await eventually(lambda: listener.status)
        listener.reads.clear()
        await asyncio.wait_for(asyncio.shield(listener.task), 30)
    assert listener.heard == []
    assert len(console.state.console.streams) == 0


async def test_a_quiet_stream_is_heard_from_now_and_then(
    console: Starlette, told: Callable[..., Story], alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LONGEST_PAUSE", 0.05)
    told()
    async with listening(alice, console, "/story") as listener:
        await eventually(lambda: len(listener.comments) >= 2)
    assert set(listener.comments) == {"still here"}


async def test_a_waiting_stream_holds_no_connection_and_no_thread(
    console: Starlette, alice: Browser, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FASTEST", 1000.0)
    monkeypatch.setattr(live, "LONGEST_PAUSE", 1000.0)
    looked = asyncio.Event()

    def ask(conn: Connection) -> None:
        fetch(conn, "select pg_sleep(0.01)")

    async def endpoint(request: Request) -> live.EventStream:
        async def look() -> News:
            await person_of(request).read(ask)
            looked.set()
            return put("one")

        return stream(request, look)

    console.router.routes.insert(0, Route("/asking", endpoint))
    async with listening(alice, console, "/asking") as listener:
        await listener.hears("one")
        assert to_thread.current_default_thread_limiter().borrowed_tokens == 0
        await eventually(
            lambda: {("idle",)} == set(db.execute("select state from pg_stat_activity where usename = 'alice'"))
        )
        assert not listener.is_finished


async def test_there_are_so_many_streams_and_no_more(
    console: Starlette, told: Callable[..., Story], alice: Browser
) -> None:
    object.__setattr__(console.state.console, "streams", Streams(most=2))
    told()
    async with listening(alice, console, "/story") as first, listening(alice, console, "/story"):
        await eventually(lambda: len(console.state.console.streams) == 2)
        assert (await alice.get("/story")).status_code == 503
        first.leave()
        await first.ends()
        async with listening(alice, console, "/story") as another:
            await eventually(lambda: another.status)
            assert another.status == 200


async def test_nobody_listens_without_logging_in(console: Starlette, told: Callable[..., Story]) -> None:
    story = told()
    async with Browser(console) as stranger:
        answer = await stranger.get("/story", headers={"accept": "text/event-stream"})
    assert answer.status_code == 401
    assert story.looks == 0


async def test_the_pauses_grow_while_nothing_moves_and_are_short_again_when_something_does(
    console: Starlette, told: Callable[..., Story], alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FASTEST", 0.3)
    monkeypatch.setattr(live, "SLOWEST", 3.0)
    pauses: list[float] = []

    async def within(self: live.Over, seconds: float) -> bool:
        pauses.append(seconds)
        return False

    monkeypatch.setattr(live.Over, "within", within)
    told(put("one"), *[News()] * 7, put("two"), News(ended="finished"))
    async with listening(alice, console, "/story") as listener:
        await listener.ends()
    assert pauses == pytest.approx([0.3, 0.45, 0.675, 1.0125, 1.51875, 2.278125, 3.0, 3.0, 0.3])


async def test_the_head_of_a_stream_is_an_answer_of_its_own(
    console: Starlette, told: Callable[..., Story], alice: Browser
) -> None:
    story = told()
    answer = await alice.head("/story")
    assert answer.status_code == 200
    assert story.looks == 0
