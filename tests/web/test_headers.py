"""What every answer carries, and under which names and protocols the console answers at all."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.errors import ConnectionFailed, RowhooksError, TookTooLong
from rowhooks.web import static_files
from rowhooks.web.errors import hint_of
from tests.support.console import Browser, logged_in, make_console

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
EXPECTED = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def fails(request: Request) -> Response:
    raise RuntimeError("secret of the console")


@pytest.mark.parametrize("path", ["/", "/login", "/nowhere", "/fails", "/login/oidc", "/%00", "/static/nothing"])
async def test_every_answer_has_the_headers_errors_included(console: Starlette, path: str) -> None:
    console.router.routes.append(Route("/fails", fails))
    async with Browser(console) as browser:
        answer = await browser.get(path)
    assert {name: answer.headers.get(name) for name in EXPECTED} == EXPECTED
    assert "server" not in answer.headers
    assert "secret" not in answer.text


async def test_no_page_has_a_script_or_a_style_of_its_own(console: Starlette) -> None:
    async with logged_in(console, "ada") as browser:
        pages = [(await browser.get(path)).text for path in ("/", "/login", "/nowhere")]
    for page in pages:
        assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|<style|javascript:", page, re.IGNORECASE)


async def test_a_page_that_does_not_exist_leads_to_one_that_does(console: Starlette) -> None:
    async with logged_in(console, "alice") as browser:
        answer = await browser.get("/nothing")
    assert answer.status_code == 404
    assert "There is no such page." in answer.text
    assert '<a href="/">Start page</a>' in answer.text


@pytest.mark.parametrize(
    "error", [TookTooLong("canceling statement due to statement timeout"), ConnectionFailed("lost")]
)
def test_an_error_that_may_pass_says_what_to_do(error: RowhooksError) -> None:
    assert "Load the page again." in hint_of(error)
    assert hint_of(type(error)("x", hint="ask")) == "ask"


async def test_an_unexpected_error_is_logged_once_and_says_nothing_of_itself(
    console: Starlette, caplog: pytest.LogCaptureFixture
) -> None:
    console.router.routes.append(Route("/fails", fails))
    async with Browser(console) as browser:
        answer = await browser.get("/fails?key=private")
    assert answer.status_code == 500
    assert "The console&#39;s log says what." in answer.text
    [record] = [one for one in caplog.records if one.levelname == "ERROR"]
    assert record.getMessage() == "request GET /fails failed"
    assert record.exc_info is not None


async def test_a_static_file_is_kept_for_as_long_as_its_address_names_its_content(console: Starlette) -> None:
    async with Browser(console) as browser:
        page = (await browser.get("/login")).text
        found = re.search(r'href="(/static/console\.css\?[0-9a-f]{16})"', page)
        assert found is not None
        hashed, plain = await browser.get(found[1]), await browser.get("/static/console.css")
    assert hashed.headers["cache-control"] == static_files.FOREVER
    assert plain.headers["cache-control"] == "no-cache"
    assert hashed.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("host", ["localhost", "localhost:8090", "127.0.0.1:8090", "[::1]:8090", "console.example"])
async def test_the_console_answers_under_its_names(dsn: str, console: Starlette, host: str) -> None:
    async with Browser(make_console(dsn, hosts=("Console.example",)), headers={"host": host}) as browser:
        assert (await browser.get("/login")).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "console.example", "0.0.0.0", "127.1"]
)
async def test_it_does_not_answer_under_another_name(console: Starlette, host: str) -> None:
    # Such a name may belong to a page of a stranger's, whose address now leads to this machine (DNS rebinding).
    async with Browser(console, headers={"host": host}) as browser:
        answer = await browser.get("/login")
    assert answer.status_code == 421
    assert "<form" not in answer.text


@pytest.mark.parametrize("host", ["", "local host", "user@localhost", "localhost/", "localhost:x", "a,localhost"])
async def test_a_host_that_is_none_is_refused(console: Starlette, host: str) -> None:
    async with Browser(console, headers={"host": host}) as browser:
        assert (await browser.get("/login")).status_code == 400


async def test_plain_http_is_for_this_machine_alone(dsn: str, console: Starlette) -> None:
    async with Browser(console, here="http://localhost", client="10.0.0.1") as browser:
        assert (await browser.get("/login")).status_code == 403
    async with Browser(console, here="http://localhost", client="::ffff:127.0.0.1") as browser:
        assert (await browser.get("/login")).status_code == 200
    allowed = make_console(dsn, allow_plain_http=True)
    async with Browser(allowed, here="http://localhost", client="10.0.0.1") as browser:
        assert (await browser.get("/login")).status_code == 200
        answer = await browser.submit("/login", role="alice", password="x")
        # A browser takes a __Host- cookie over TLS alone.
        assert answer.headers["set-cookie"].startswith("rowhooks-plain=")
        assert "secure" not in answer.headers["set-cookie"].lower()
        assert (await browser.get("/")).status_code == 200


async def test_a_cookie_for_plain_http_opens_nothing_over_tls(dsn: str, console: Starlette) -> None:
    allowed = make_console(dsn, allow_plain_http=True)
    async with logged_in(allowed, "alice") as browser:
        stolen = browser.cookies["__Host-rowhooks"]
    async with Browser(allowed, headers={"cookie": f"rowhooks-plain={stolen}"}) as attacker:
        assert (await attacker.get("/")).status_code == 303


async def test_a_proxy_that_nobody_trusts_cannot_say_that_there_was_tls(console: Starlette) -> None:
    headers = {"x-forwarded-proto": "https", "x-forwarded-for": "127.0.0.1"}
    async with Browser(console, here="http://localhost", client="10.0.0.1", headers=headers) as browser:
        assert (await browser.get("/login")).status_code == 403


async def test_a_trusted_proxy_says_who_asks_and_over_which_protocol(dsn: str, console: Starlette) -> None:
    app = make_console(dsn, trusted_peers=("10.0.0.0/8",))
    for protocol, status in (("https", 200), ("http", 403), ("https, http", 403)):
        headers = {"x-forwarded-proto": protocol, "x-forwarded-for": "127.0.0.1, 192.0.2.7, 10.0.0.9"}
        async with Browser(app, here="http://localhost", client="10.0.0.1", headers=headers) as browser:
            assert (await browser.get("/login")).status_code == status
    headers["x-forwarded-proto"] = "https"
    async with Browser(app, here="http://localhost", client="10.0.0.1", headers=headers) as browser:
        form = {"role": "alice", "password": "x"}
        answer = await browser.post("/login", data=form, headers={"origin": "https://localhost"})
        assert answer.headers["set-cookie"].startswith("__Host-rowhooks=")
    [session] = app.state.console.sessions.of_role("alice")
    # Not what the client itself has put before it.
    assert session.client == "192.0.2.7"


async def asked(app: Any, method: str, raw_path: bytes, **more: Any) -> int:
    """Ask for a path exactly as it is, as no client library would send it; return the status."""
    statuses = []
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "https", "path": unquote(raw_path.decode()), "raw_path": raw_path,
        "query_string": b"", "root_path": "", "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 443), "state": {}, **more,
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    [status] = statuses
    return int(status)


@pytest.mark.parametrize(
    "path", [b"//evil.example/", b"/login/../..", b"/static/../app.py", b"/./login", b"/a\\b", b"/a\x01b", b"/login/.."]
)
async def test_paths_that_can_be_read_in_two_ways_are_refused(console: Starlette, path: bytes) -> None:
    assert await asked(console, "GET", path) == 400


@pytest.mark.parametrize("path", [b"/static/%2e%2e/app.py", b"/static/..%2fapp.py", b"/static/%2e%2e%2fapp.py"])
async def test_no_escaped_path_leads_out_of_the_static_files(console: Starlette, path: bytes) -> None:
    assert await asked(console, "GET", path) in (400, 404)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", "POST\r\nx"])
async def test_unknown_methods_are_refused(console: Starlette, method: str) -> None:
    assert await asked(console, method, b"/login") == 405


async def test_a_method_in_a_header_or_a_field_is_no_method(console: Starlette) -> None:
    async with logged_in(console, "alice") as browser:
        answer = await browser.get("/logout?_method=POST", headers={"x-http-method-override": "POST"})
        assert answer.status_code == 405
        assert (await browser.get("/")).status_code == 200


async def test_no_page_of_another_site_may_read_an_answer(console: Starlette) -> None:
    async with Browser(console, headers={"origin": "https://app.example"}) as browser:
        for path in ("/", "/login", "/api/v1/openapi.json", "/static/console.js"):
            answer = await browser.get(path)
            assert not [name for name in answer.headers if name.startswith("access-control-")], path


@pytest.mark.parametrize(
    ("extent", "expected"), [("none", None), ("paths", "GET /nowhere 404"), ("full", "GET /nowhere?key=%7B%7D 404")]
)
async def test_requests_are_logged_as_far_as_somebody_wants_it(
    dsn: str, console: Starlette, caplog: pytest.LogCaptureFixture, extent: str, expected: str | None
) -> None:
    caplog.set_level("INFO")
    async with logged_in(make_console(dsn, access_log=extent), "alice") as browser:
        await browser.get("/nowhere?key=%7B%7D")
    lines = [one.getMessage() for one in caplog.records if one.name == "rowhooks.web.access"]
    assert any(f"127.0.0.1 alice {expected} " in line for line in lines) is (expected is not None)
    assert bool(lines) is (extent != "none")
    assert any("key=" in line for line in lines) is (extent == "full")
