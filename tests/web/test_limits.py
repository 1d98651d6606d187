"""What one client may take of the console: sizes, times, requests and streams."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from rowhooks.web.people.person import person_of
from rowhooks.web.server import Server
from tests.support.console import PASSWORD, Browser, logged_in, make_console
from tests.support.waiting import PATIENCE, eventually

OPENED: list[asyncio.StreamWriter] = []
"""The clients of a test, which are closed when its server ends: one that a failed test left would fail a later one."""


class Gate:
    """A page that is answered when a test says so."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.waiting = 0
        self.gone = 0

    async def page(self, request: Request) -> Response:
        """Answer when the gate is opened."""
        person_of(request)
        self.waiting += 1
        await self.opened.wait()
        return PlainTextResponse("through")

    async def stream(self, request: Request) -> Response:
        """Stream one event, and then none."""
        person_of(request)

        async def events() -> AsyncIterator[str]:
            self.waiting += 1
            try:
                yield "data: begun\n\n"
                await asyncio.Event().wait()
            finally:
                self.gone += 1

        return StreamingResponse(events(), media_type="text/event-stream")

    async def large(self, request: Request) -> Response:
        """Send more than a client's socket takes at once."""
        self.waiting += 1
        return PlainTextResponse("x" * 20_000_000)


@contextlib.asynccontextmanager
async def serving(dsn: str, gate: Gate, **settings: Any) -> AsyncIterator[tuple[Server, int]]:
    """Run the console as a server on this event loop; yield it and its port."""
    app = make_console(dsn, **{"grace_period": 1.0, **settings})
    server = Server(app.state.console)
    server.config.load()
    server.app.router.routes.extend(
        [Route("/gate", gate.page), Route("/stream", gate.stream), Route("/large", gate.large)]
    )
    server.config.host, server.config.port = "127.0.0.1", 0
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    try:
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        while OPENED:
            OPENED.pop().close()
        server.stop()
        await task


async def session_of(app: Starlette, role: str) -> str:
    """Log a role in; return its cookie as a header."""
    async with Browser(app) as browser:
        await browser.submit("/login", role=role, password=PASSWORD)
        return f"Cookie: __Host-rowhooks={browser.cookies['__Host-rowhooks']}\r\n"


async def ask(port: int, request: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and send the beginning of a request, or all of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    OPENED.append(writer)
    writer.write(request.encode())
    await writer.drain()
    return reader, writer


async def status_of(reader: asyncio.StreamReader) -> int:
    """Return the status of an answer."""
    line = await asyncio.wait_for(reader.readline(), PATIENCE)
    return int(line.split()[1])


def get(path: str, cookie: str = "") -> str:
    """Return a request for a page."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{cookie}\r\n"


async def test_a_body_that_says_how_large_it_is_is_refused_at_once(console: Starlette) -> None:
    async with Browser(console) as browser:
        answer = await browser.submit("/login", role="alice", password="x" * 1_100_000)
    assert answer.status_code == 413


async def test_a_body_in_pieces_is_refused_when_it_has_become_too_large(console: Starlette) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"role=alice&password="
        for _ in range(1000):
            sent += 10_000
            yield b"x" * 10_000

    async with Browser(console) as browser:
        headers = {"content-type": "application/x-www-form-urlencoded", "origin": "https://localhost"}
        answer = await browser.post("/login", content=pieces(), headers=headers)
    assert answer.status_code == 413
    assert sent < 2_000_000


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "1,2", "٣"])
async def test_a_length_that_is_no_number_is_refused(console: Starlette, length: str) -> None:
    async with Browser(console) as browser:
        answer = await browser.post("/login", content=b"x", headers=[(b"content-length", length.encode())])
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "fields", [{f"f{n}": "x" for n in range(2000)}, {"role": ["x"] * 2000}, {"role": "alice", "password": "x" * 2000}]
)
async def test_a_form_with_too_much_in_it_is_refused(console: Starlette, fields: dict[str, Any]) -> None:
    async with Browser(console) as browser:
        answer = await browser.post("/login", data=fields, headers={"origin": "https://localhost"})
    assert answer.status_code in (400, 401)


async def test_a_body_that_does_not_come_is_not_waited_for(dsn: str, console: Starlette) -> None:
    async with serving(dsn, Gate(), slowest=0.2) as (_, port):
        head = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        reader, writer = await ask(port, f"{head}Content-Length: 100\r\n\r\nrole=a")
        assert await status_of(reader) == 408
        writer.close()


@pytest.mark.parametrize("sent", ["", "GET / HT", "GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_a_request_that_does_not_come_is_not_waited_for(dsn: str, console: Starlette, sent: str) -> None:
    async with serving(dsn, Gate(), slowest=0.2) as (_, port):
        reader, writer = await ask(port, sent)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()


async def test_a_client_that_does_not_take_its_answer_is_cut_off(dsn: str, console: Starlette) -> None:
    gate = Gate()
    async with serving(dsn, gate, slowest=0.2) as (server, port):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setblocking(False)
            client.sendall(get("/large").encode())
            await eventually(lambda: gate.waiting)

            # A byte now and then is no use of the connection.
            def is_cut_off_while_it_takes_a_byte() -> bool:
                with contextlib.suppress(BlockingIOError, ConnectionResetError):
                    client.recv(1)
                return not server.server_state.connections

            await eventually(is_cut_off_while_it_takes_a_byte)
        assert not server.server_state.tasks


async def test_a_client_has_only_so_many_connections_that_wait_and_others_keep_theirs(
    dsn: str, console: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowhooks.web.server.MOST_WAITING", 5)
    async with serving(dsn, Gate()) as (server, port), contextlib.AsyncExitStack() as opened:
        other, last = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        opened.callback(last.close)
        last.write(b"GET /login HTTP/1.1\r\n")
        for _ in range(30):
            _, writer = await ask(port, "POST /login HTTP/1.1\r\n")
            opened.callback(writer.close)
        await eventually(lambda: len(server.server_state.connections) == 6)
        last.write(b"Host: localhost\r\n\r\n")
        assert await status_of(other) == 200


async def test_of_a_crowd_the_longest_waiting_are_cut_and_nobody_who_has_only_just_come(
    dsn: str, console: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowhooks.web.server.MOST_WAITING", 5)
    async with serving(dsn, Gate()) as (server, port):

        async def no_look(_: int) -> bool:
            return server.should_exit

        monkeypatch.setattr(server, "on_tick", no_look)

        async def come(count: int) -> set[Any]:
            before = set(server.server_state.connections)
            for _ in range(count):
                await ask(port, "GET /login HTTP/1.1\r\n")
            await eventually(lambda: len(server.server_state.connections) == len(before) + count)
            return server.server_state.connections - before

        def cut(now: float | None) -> set[Any]:
            if now is not None:
                server.give_slow_clients_up(now)
            server.give_crowds_up()
            return {one for one in first | then if one.transport.is_closing()}

        first, then = await come(7), set[Any]()
        assert cut(None) == cut(1.0) == set()
        then = await come(4)
        assert len(cut(1.1)) == 6
        assert cut(1.1) < first


async def test_a_trusted_proxy_has_as_many_connections_as_it_needs(
    dsn: str, console: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowhooks.web.server.MOST_WAITING", 5)
    async with serving(dsn, Gate(), trusted_peers=["127.0.0.1"]) as (server, port), contextlib.AsyncExitStack() as all_:
        for _ in range(8):
            _, writer = await ask(port, "GET /login HTTP/1.1\r\n")
            all_.callback(writer.close)
        await eventually(lambda: len(server.server_state.connections) == 8)
        server.give_crowds_up()
        assert not any(one.transport.is_closing() for one in server.server_state.connections)


async def test_one_person_has_only_so_many_requests_at_once_and_others_are_answered(
    dsn: str, console: Starlette
) -> None:
    gate = Gate()
    app = make_console(dsn, requests_per_person=3)
    app.router.routes.append(Route("/gate", gate.page))
    async with logged_in(app, "alice") as alice, logged_in(app, "oscar") as oscar:
        asking = [asyncio.create_task(alice.get("/gate")) for _ in range(3)]
        await eventually(lambda: gate.waiting == 3)
        answer = await alice.get("/")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert (await oscar.get("/")).status_code == 200
        gate.opened.set()
        assert [answer.status_code for answer in await asyncio.gather(*asking)] == [200] * 3
        assert (await alice.get("/")).status_code == 200


async def test_five_hundred_idle_streams_of_one_person_leave_the_console_to_others(
    dsn: str, console: Starlette
) -> None:
    gate = Gate()
    async with serving(dsn, gate, streams_per_person=5) as (server, port):
        app = server.app
        alice, oscar = await session_of(app, "alice"), await session_of(app, "oscar")
        streams = [await ask(port, get("/stream", alice)) for _ in range(500)]
        statuses = [await status_of(reader) for reader, _ in streams]
        assert (statuses.count(200), statuses.count(429)) == (5, 495)
        # Alice's own pages are answered too: streams are no requests.
        for cookie in (alice, oscar):
            reader, writer = await ask(port, get("/", cookie))
            assert await status_of(reader) == 200
            writer.close()
        for _, writer in streams:
            writer.close()
        # Whoever closes a page has room for another one.
        await eventually(lambda: gate.gone == gate.waiting)
        reader, writer = await ask(port, get("/stream", alice))
        assert await status_of(reader) == 200
        writer.close()


async def test_a_stop_waits_for_requests_and_ends_streams_at_once(dsn: str, console: Starlette) -> None:
    gate = Gate()
    async with serving(dsn, gate, grace_period=PATIENCE) as (server, port):
        cookie = await session_of(server.app, "alice")
        streaming, asking = await ask(port, get("/stream", cookie)), await ask(port, get("/gate", cookie))
        await eventually(lambda: gate.waiting == 2)
        server.stop()
        await asyncio.wait_for(streaming[0].read(), PATIENCE)
        assert gate.gone == 1
        gate.opened.set()
        assert (await asyncio.wait_for(asking[0].read(), PATIENCE)).endswith(b"through")
        for _, writer in (streaming, asking):
            writer.close()


@pytest.mark.parametrize("make", [lambda: "/" + "a" * 300_000, lambda: "/\r\nX: " + "a" * 300_000])
async def test_a_head_that_is_too_large_is_refused(dsn: str, console: Starlette, make: Callable[[], str]) -> None:
    async with serving(dsn, Gate()) as (_, port):
        reader, writer = await ask(port, get(make()))
        assert await status_of(reader) == 400
        writer.close()
