"""Every page: anybody can read and use it, in light and dark, on a narrow screen, and it is small and quick to make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, Response

from rowhooks.postgres.console.people import PersonConnection
from rowhooks.web.api import OPERATIONS
from tests.support.browser import COLOURS, Visitor, violations
from tests.support.console import make_console
from tests.support.console_pages import (
    API_PAGES,
    ERRORS,
    FORMS,
    NO_PAGES,
    PAGES,
    Scene,
    form_routes,
    page_routes,
    scene,
)
from tests.support.console_world import World

LARGEST = 100_000
"""Bytes of a page."""
MOST_QUERIES = 4
"""Of a page."""
NARROW = 320
"""Pixels: a page needs no scrolling sideways at this width, which is 1280 at a zoom of 400 % (WCAG 1.4.10)."""
NEEDS_A_SCRIPT = """html => [...new DOMParser().parseFromString(html, 'text/html').querySelectorAll(
    'button:not(form button, [form], :disabled), button[type=button], [hidden], a:not([href]), form, noscript'
)].filter((element) => !element.matches('[aria-disabled=true]')).filter(
    (element) => !element.matches('form') || ![...element.elements].some(({type}) => type === 'submit') ||
        element.matches('[method=post]:not([action$="/login"], :has([name=csrf_token]))')
).map((element) => element.outerHTML.slice(0, 200))"""
"""Returns what does nothing in a page without a script."""
MOVES = """() => [...document.querySelectorAll('*')].filter((element) => {
    const {animationName, transitionDuration, scrollBehavior} = getComputedStyle(element);
    return animationName !== 'none' || !/^0s(, 0s)*$/.test(transitionDuration) || scrollBehavior !== 'auto';
}).map((element) => element.outerHTML.slice(0, 200))"""
"""Returns what moves although the viewer prefers that it does not."""
SEND = """([path, fields]) => {
    const form = Object.assign(document.createElement('form'), {method: 'post', action: path});
    for (const [name, value] of Object.entries(fields))
        form.append(Object.assign(document.createElement('input'), {name, value}));
    document.body.append(form);
    form.submit();
}"""
"""Sends a form."""


@pytest.fixture(scope="module")
def shown(world: World) -> Iterator[Scene]:
    with scene(world) as made:
        yield made


@pytest.fixture(scope="module")
def ada(browser: Browser, address: str) -> Iterator[Visitor]:
    visitor = Visitor(browser, address)
    # What a live page is told has queries of its own.
    visitor.page.route(re.compile(r"/events(\?|$)"), lambda route: route.abort("aborted"))
    visitor.is_logged_in("ada")
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


def test_every_route_is_tried_here_or_is_known_to_have_no_page() -> None:
    app = make_console("")
    assert page_routes(app) == PAGES.keys()
    assert form_routes(app) == FORMS.keys()
    assert not PAGES.keys() & NO_PAGES.keys()
    assert {one.name for one in OPERATIONS if one.media_type == "text/html"} == API_PAGES.keys()


@pytest.mark.parametrize("route", [*PAGES, *API_PAGES, "error"])
def test_a_page_is_accessible_small_and_quick_to_make(
    route: str, shown: Scene, ada: Visitor, queries: list[str]
) -> None:
    ada.faults.expect("status 404: GET ")
    for path in ERRORS if route == "error" else shown.addresses(route):
        queries.clear()
        answer = ada.goes_to(path)
        assert answer.status == (404 if route == "error" else 200), path
        assert len(queries) <= MOST_QUERIES, queries
        is_for_everybody(ada.page, answer)


@pytest.mark.parametrize("route", FORMS)
def test_a_page_that_answers_a_form_is_accessible_too(route: str, shown: Scene, ada: Visitor) -> None:
    ada.faults.expect(r"status 4\d\d: ")
    for path, fields in shown.forms(route):
        ada.goes_to("/")
        token = ada.page.locator("input[name=csrf_token]").first.input_value()
        with ada.page.expect_navigation() as sent:
            ada.page.evaluate(SEND, [path, {**fields, "csrf_token": token}])
        assert ada.page.get_by_role("heading", level=1).count() == 1, path
        is_for_everybody(ada.page, sent.value)


def test_the_page_of_an_act_on_many_runs_is_accessible_too(shown: Scene, ada: Visitor) -> None:
    ada.goes_to("/runs/retry?status=FAILURE")
    with ada.page.expect_navigation() as sent:
        ada.page.get_by_role("button", name="again").click()
    assert ada.path().startswith("/runs/acts/")
    is_for_everybody(ada.page, sent.value)


def test_the_page_of_a_press_of_somebody_who_sees_no_runs_is_accessible_too(
    shown: Scene, world: World, browser: Browser, address: str
) -> None:
    world.db.execute("grant technicians to mallory")
    mallory = Visitor(browser, address)
    try:
        mallory.is_logged_in("mallory")
        answer = mallory.goes_to(f"/runs/{world.press('Calibrate', shown.device, role='mallory')}")
        assert "You pressed Calibrate" in mallory.page.locator("main").inner_text()
        is_for_everybody(mallory.page, answer)
    finally:
        mallory.leaves()
        world.db.execute("revoke technicians from mallory")


def is_for_everybody(page: Page, answer: Response) -> None:
    """Make sure that a page is small, works without a script, and can be read in any colours and at any width."""
    assert len(answer.body()) <= LARGEST, page.url
    assert page.evaluate(NEEDS_A_SCRIPT, answer.text()) == [], page.url
    assert page.evaluate(MOVES) == [], page.url
    assert violations(page) == [], page.url
    try:
        page.emulate_media(color_scheme="dark")
        assert violations(page, COLOURS) == [], page.url
        page.set_viewport_size({"width": NARROW, "height": 256})
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW, page.url
    finally:
        page.set_viewport_size({"width": 1280, "height": 800})
        page.emulate_media(color_scheme="light")
