"""A real browser: headless Chromium, driven by playwright. What goes wrong in it unexpectedly fails the test."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    Response,
    expect,
    sync_playwright,
)

from tests.support.console import PASSWORD
from tests.support.console_server import console_thread
from tests.support.waiting import PATIENCE

CHROMIUM = Path(os.environ.get("ROWHOOKS_TEST_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
"""The rules of axe that hold: WCAG 2.2, level AA, and what its makers recommend beside it."""
COLOURS = ("color-contrast", "link-in-text-block")
"""The rules of axe that depend on the colours."""
_RUN_AXE = """options => axe.run(options).then(({violations}) => violations.flatMap(({id, help, nodes}) =>
    nodes.map(({html, failureSummary}) => `${id}: ${help}: ${html} (${failureSummary})`)))"""
"""Runs axe, and returns what it finds, each with its element."""
_STOPPED = "net::ERR_ABORTED"
"""What becomes of a request when the browser goes on to another page before it is answered."""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; skip the tests where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no browser at {CHROMIUM}: apt-get install chromium, or set ROWHOOKS_TEST_CHROMIUM")
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        try:
            yield browser
        finally:
            browser.close()


class Faults:
    """What goes wrong in a browser's context. A test says beforehand what it expects to go wrong.

    Args:
        context: a fresh context.
        address: the console's; a request to another host is a fault.
    """

    def __init__(self, context: BrowserContext, address: str) -> None:
        self._host = urlsplit(address).netloc
        self._expected: list[re.Pattern[str]] = []
        self._found: list[str] = []
        context.on("request", self._asked)
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)
        context.on("console", self._said)
        context.on("weberror", lambda error: self._found.append(f"uncaught: {error.error}"))
        context.on("dialog", self._asked_by_dialog)

    def expect(self, *patterns: str) -> None:
        """Take faults that match one of these patterns as what the test is about."""
        self._expected.extend(map(re.compile, patterns))

    def unexpected(self) -> list[str]:
        """Return what went wrong and was not expected."""
        return [fault for fault in self._found if not any(pattern.search(fault) for pattern in self._expected)]

    def _asked(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.netloc != self._host:
            self._found.append(f"request to another host: {request.url}")

    def _asked_by_dialog(self, dialog: Dialog) -> None:
        self._found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _failed(self, request: Request) -> None:
        if request.failure != _STOPPED:
            self._found.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._found.append(f"status {response.status}: {response.request.method} {urlsplit(response.url).path}")

    def _said(self, message: ConsoleMessage) -> None:
        # An answer with an error is noted above, with its method.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self._found.append(f"console: {message.text}")


class Visitor:
    """Somebody with a browser of its own.

    Args:
        browser: the browser.
        address: the console's.
        options: of the context: `java_script_enabled`, `color_scheme`, `viewport` ...
    """

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.address = address
        self.context = browser.new_context(base_url=address, reduced_motion="reduce", **options)
        self.context.set_default_timeout(PATIENCE * 1000)
        self.faults = Faults(self.context, address)
        self.page = self.context.new_page()

    def goes_to(self, path: str) -> Response:
        """Open a page of the console."""
        answer = self.page.goto(path)
        assert answer is not None
        return answer

    def logs_in(self, role: str, password: str = PASSWORD) -> None:
        """Log in by the form."""
        self.goes_to("/login")
        self.page.get_by_label("PostgreSQL role").fill(role)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()

    def is_logged_in(self, role: str, password: str = PASSWORD) -> None:
        """Log in without the form's page; no page is open then."""
        form = {"role": role, "password": password}
        answer = httpx.post(f"{self.address}/login", data=form, headers={"origin": self.address}, timeout=PATIENCE)
        assert answer.status_code == 303, answer.text
        [(name, value)] = answer.cookies.items()
        host = urlsplit(self.address).hostname or ""
        self.context.add_cookies(
            [{"name": name, "value": value, "domain": host, "path": "/", "secure": True, "httpOnly": True}]
        )

    def path(self) -> str:
        """Return the path and query of the page that is open."""
        url = urlsplit(self.page.url)
        return f"{url.path}?{url.query}" if url.query else url.path

    def goes(self) -> None:
        """Close the browser's context, if it is still open."""
        self.context.close()

    def leaves(self) -> None:
        """Close the browser's context; fail if something went wrong in it."""
        self.goes()
        assert self.faults.unexpected() == []


Visit = Callable[..., Visitor]
"""Lets somebody come to the console."""


class Visits:
    """Lets somebody come to a console at an address, logged in if a role is named.

    Args:
        browser: the browser.
        leaving: has everybody leave when it is closed.
    """

    def __init__(self, browser: Browser, leaving: contextlib.ExitStack) -> None:
        self._browser = browser
        self._leaving = leaving
        self._visitors: list[Visitor] = []

    def __call__(self, address: str, role: str | None = None, **options: Any) -> Visitor:
        """Return a visitor with a browser's context of its own; no page is open."""
        visitor = Visitor(self._browser, address, **options)
        self._visitors.append(visitor)
        self._leaving.callback(visitor.leaves)
        if role is not None:
            visitor.is_logged_in(role)
        return visitor

    @contextlib.contextmanager
    def until_the_end(self) -> Iterator[None]:
        """Let everybody go at the end of a block, before what they visit ends: a browser asks for icons late."""
        try:
            yield
        finally:
            for visitor in self._visitors:
                visitor.goes()

    @contextlib.contextmanager
    def console(self, dsn: str, /, **settings: Any) -> Iterator[str]:
        """Run a console as `console_thread` does; yield its address. Everybody has gone when it ends."""
        with console_thread(dsn, **settings) as address, self.until_the_end():
            yield address


def row_path(table: str, key: int | str) -> str:
    """Return the address of a row."""
    return f"/tables/{table}/row?{urlencode({'key': key})}"


def violations(page: Page, of: Sequence[str] = WCAG) -> list[str]:
    """Return what axe finds on a page, with the elements in question.

    Args:
        page: the page.
        of: tags of rules, or rules.
    """
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(_RUN_AXE, {"runOnly": list(of), "resultTypes": ["violations"]})
    return found
