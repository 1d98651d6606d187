"""Every page: anybody can read and use it, in light and dark, on a narrow screen, and it is small and quick to make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser

from rowhooks.postgres.console.people import PersonConnection
from rowhooks.web.api import OPERATIONS
from tests.support.browser import COLOURS, Visitor, violations
from tests.support.console import make_console
from tests.support.console_pages import API_PAGES, ERRORS, NO_PAGES, PAGES, Scene, page_routes, scene
from tests.support.console_world import World

LARGEST = 100_000
"""Bytes of a page."""
MOST_QUERIES = 4
"""Of a page."""
NARROW = 320
"""Pixels: a page needs no scrolling sideways at this width (WCAG 1.4.10)."""


@pytest.fixture(scope="module")
def shown(world: World) -> Iterator[Scene]:
    with scene(world) as made:
        yield made


@pytest.fixture(scope="module")
def ada(browser: Browser, address: str) -> Iterator[Visitor]:
    visitor = Visitor(browser, address)
    # What a live page is told has queries of its own.
    visitor.page.route(re.compile(r"/events(\?|$)"), lambda route: route.abort("aborted"))
    visitor.logs_in("ada")
    yield visitor
    visitor.leaves()


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that people's connections make."""
    made: list[str] = []
    execute = psycopg.Cursor.execute

    def noted(self: psycopg.Cursor[Any], query: Any, *given: Any, **named: Any) -> Any:
        if isinstance(self.connection, PersonConnection):
            made.append(str(query))
        return execute(self, query, *given, **named)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    return made


def test_every_route_is_a_page_that_is_tried_here_or_is_known_to_be_none() -> None:
    assert page_routes(make_console("")) == PAGES.keys()
    assert not PAGES.keys() & NO_PAGES.keys()
    assert {one.name for one in OPERATIONS if one.media_type == "text/html"} == API_PAGES.keys()


@pytest.mark.parametrize("route", [*PAGES, *API_PAGES, "error"])
def test_a_page_is_accessible_small_and_quick_to_make(
    route: str, shown: Scene, ada: Visitor, queries: list[str]
) -> None:
    ada.faults.expect("status 404: GET /nowhere")
    for path in ERRORS if route == "error" else shown.addresses(route):
        ada.page.set_viewport_size({"width": 1280, "height": 800})
        ada.page.emulate_media(color_scheme="light")
        queries.clear()
        answer = ada.goes_to(path)
        assert answer.status == (404 if route == "error" else 200), path
        assert len(queries) <= MOST_QUERIES, queries
        assert len(answer.body()) <= LARGEST, path
        assert violations(ada.page) == [], path
        ada.page.emulate_media(color_scheme="dark")
        assert violations(ada.page, COLOURS) == [], path
        ada.page.set_viewport_size({"width": NARROW, "height": 640})
        assert ada.page.evaluate("document.documentElement.scrollWidth") <= NARROW, path
