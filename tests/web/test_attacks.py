"""What an attacker tries against the console: each is refused, whatever pages there are and come."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from tests.support.console import HERE, Browser, logged_in
from tests.support.streams import listening
from tests.support.waiting import eventually

OPEN = {"login", "oidc_begin", "oidc_finish"}
"""Routes for people who are not logged in."""
ELSEWHERE = "https://evil.example"
ELSEWHERES = (
    ELSEWHERE, "//evil.example", "/\\evil.example", "/\t/evil.example", "https:evil.example", "javascript:1",
    "/login/..//evil.example", "\\\\evil.example", " https://evil.example",
)  # fmt: skip
ODD = ("\x00", "'\"><u>", "-1", "9" * 40, "{", "[]", "null", "a" * 5000, "%", "\U0001f4a3", "2026-02-30", "\u202e")
LARGE = 20_000_000
"""Bytes of a body that no form of the console has."""
PARAMETERS = (
    "key",
    "after",
    "before",
    "status",
    "since",
    "until",
    "table",
    "sort",
    "filter",
    "page",
    "hook",
    "q",
    "on",
)


def routes(app: Starlette, method: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each route for a method, and an address with something in the place of each parameter."""
    for route in app.routes:
        if isinstance(route, Route) and method in (route.methods or ()):
            yield route.name, re.sub(r"\{[^}]+\}", "1", route.path)


async def beginning_of(browser: Browser, app: Starlette, address: str) -> tuple[int, str]:
    """Return the status and the first events of a stream, which may have no end; or the page in its place."""
    async with listening(browser, app, address) as listener:
        await eventually(lambda: listener.heard or listener.task.done())
        return listener.status, "".join(event.data for event in listener.heard) + listener.rest


async def test_nobody_sees_a_page_without_logging_in(console: Starlette) -> None:
    async with Browser(console) as stranger:
        for name, path in routes(console, "GET"):
            answer = await stranger.get(path)
            assert (
                name in OPEN
                or (answer.headers.get("location") or "").partition("?")[0] == "/login"
                or answer.status_code == 401
            ), path


async def test_no_form_of_another_site_is_taken(console: Starlette) -> None:
    async with logged_in(console, "ada") as ada:
        for name, path in routes(console, "POST"):
            forged = {
                "no token": ({}, {}),
                "a wrong token": ({"csrf_token": "0" * 43}, {"origin": HERE}),
                "another site": ({"csrf_token": ada.csrf_token}, {"origin": ELSEWHERE}),
                "a sandboxed frame": ({"csrf_token": ada.csrf_token}, {"origin": "null"}),
                "what the browser says of it": (
                    {"csrf_token": ada.csrf_token},
                    {"origin": HERE, "sec-fetch-site": "cross-site"},
                ),
                "a neighbour": ({"csrf_token": ada.csrf_token}, {"origin": HERE, "sec-fetch-site": "same-site"}),
            }
            for what, (fields, headers) in forged.items():
                if name in OPEN and "token" in what:
                    # There is no session yet whose token it could have.
                    continue
                answer = await ada.post(path, data=fields, headers=headers)
                assert answer.status_code == 403, f"{path}: {what}"
        assert (await ada.get("/")).status_code == 200


async def test_the_token_of_one_session_is_none_in_another(console: Starlette) -> None:
    async with logged_in(console, "ada") as ada, logged_in(console, "alice") as alice:
        await ada.get("/")
        answer = await alice.post("/logout", data={"csrf_token": ada.csrf_token}, headers={"origin": HERE})
        assert answer.status_code == 403


async def test_no_act_is_done_by_a_link(console: Starlette) -> None:
    async with logged_in(console, "ada") as ada:
        reads = {path for _, path in routes(console, "GET")}
        for _, path in routes(console, "POST"):
            if path not in reads:
                answer = await ada.get(path)
                assert answer.status_code in (404, 405), path


async def test_the_log_in_sends_nobody_to_another_site(console: Starlette) -> None:
    async with Browser(console) as alice:
        for where in ELSEWHERES:
            query = httpx.QueryParams(dict.fromkeys(("next", "back", "return_to", "url", "to"), where))
            page = await alice.get(f"/login?{query}")
            assert "evil.example" not in re.sub(r'value="[^"]*"', "", page.text)
            answer = await alice.submit(f"/login?{query}", role="alice", password="x", **dict(query.items()))  # type: ignore[arg-type]
            assert re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", answer.headers["location"]), where


async def test_what_stands_in_an_address_breaks_no_page(console: Starlette) -> None:
    async with logged_in(console, "ada") as ada:
        for _, path in routes(console, "GET"):
            for value in ODD:
                query = httpx.QueryParams(dict.fromkeys(PARAMETERS, value))
                if path.endswith("/events"):
                    status, text = await beginning_of(ada, console, f"{path}?{query}")
                else:
                    answer = await ada.get(f"{path}?{query}")
                    status, text = answer.status_code, answer.text
                assert status < 500, f"{path}: {value}: {text}"
                assert re.search("<u>|something went wrong", text) is None, f"{path}: {value}"


async def test_a_large_body_is_refused_before_it_is_read(console: Starlette) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < LARGE:
            sent += 65536
            yield b"a" * 65536

    async with logged_in(console, "ada") as ada:
        for _, path in routes(console, "POST"):
            sent = 0
            answer = await ada.post(
                path, content=body(), headers={"content-type": "application/x-www-form-urlencoded", "origin": HERE}
            )
            assert answer.status_code == 413, path
            assert sent < LARGE / 4, path
