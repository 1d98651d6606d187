"""Markup in data stays text: on every page, in every name, value, label, message and error, and in what is written."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlencode, urljoin, urlsplit

import psycopg
import pytest
from playwright.sync_api import expect
from starlette.routing import Match, Route

from tests.support.browser import Visit, Visitor
from tests.support.console import make_console
from tests.support.console_pages import PAGES
from tests.support.console_receivers import RECEIVERS, closed_gates
from tests.support.console_server import console_thread
from tests.support.console_world import World, inventory
from tests.support.hostile import DEVICE, LONG, PAYLOAD, hostile
from tests.support.hostile import RECEIVERS as HOSTILE

OF_EACH = 4
"""How many addresses of one page are visited, those with markup in them first."""
UNLINKED = (
    "/login",
    "/batches/{batch}",
    f"/tables/inv.device/press?{urlencode({'button': PAYLOAD, 'key': DEVICE})}",
    f"/replay/progress?{urlencode({'hook': PAYLOAD})}&begun=2026-01-01T00:00:00Z",
)
"""Addresses of pages to which no link leads, or few."""
ALIVE = """() => [typeof window.__pwned, document.title, [...document.querySelectorAll('*')].filter((element) =>
    element.matches('img, iframe, object, embed, base, svg[onload], script:not([src]), style, [style]') ||
    [...element.attributes].some(({name, value}) => name.startsWith('on') || /^\\s*javascript:/i.test(value))
).map((element) => element.outerHTML.slice(0, 200))]"""
"""Returns what has run, the title of a page, and its elements that no template has."""


@pytest.fixture(scope="module")
def attacked(
    administrator: psycopg.Connection[Any], server: SimpleNamespace, template: str
) -> Iterator[tuple[World, str, int]]:
    """An inventory full of markup, the address of its console, and the id of a press of several rows."""
    with (
        inventory(administrator, server, template, (*RECEIVERS, *HOSTILE)) as world,
        hostile(world) as batch,
        console_thread(world.dsn) as address,
    ):
        yield world, address, batch


def test_no_markup_in_data_does_anything_on_any_page_that_links_lead_to(
    visiting: Visit, attacked: tuple[World, str, int]
) -> None:
    _, address, batch = attacked
    ada = visiting(address, "ada")
    # What is asked for with an odd address may not be there; what is broken would be 500.
    ada.faults.expect(r"status 4\d\d: GET ")
    visited = Counter[str]()
    shown = ""
    for path in walk(ada, [*(path.format(batch=batch) for path in UNLINKED), "/"], visited):
        is_inert(ada, path)
        shown += ada.page.content()
    assert visited.keys() >= PAGES.keys()
    # It was there to be seen, as text.
    assert shown.count("&lt;img src=x onerror=__pwned=1&gt;") > 100


def test_no_markup_in_an_address_does_anything_on_any_page(visiting: Visit, attacked: tuple[World, str, int]) -> None:
    _, address, _ = attacked
    ada = visiting(address, "ada")
    ada.faults.expect(r"status 4\d\d: GET ")
    names = re.findall(
        r'name="([a-z_]+)"', " ".join(page_source(ada, f"/{one}") for one in ("runs", "hooks/new", "tables"))
    )
    for route in routes():
        path = re.sub(r"\{[^}]+\}", "1", route.path)
        ada.goes_to(f"{path}?{urlencode(dict.fromkeys({*names, 'next', 'reason', 'key', 'search', 'cursor'}, LONG))}")
        is_inert(ada, path)


def test_no_markup_that_is_written_into_a_form_does_anything_when_the_form_comes_back(
    visiting: Visit, attacked: tuple[World, str, int]
) -> None:
    _, address, _ = attacked
    ada = visiting(address, "ada")
    ada.faults.expect(r"status 4\d\d: ")
    for path in ("/login", "/hooks/new", "/buttons/new", "/runs", "/tables", "/tables/inv.device", "/replay"):
        ada.goes_to(path)
        form = ada.page.locator("main form").first
        for field in form.locator("input:not([type]), input[type=text], input[type=search], textarea").all():
            field.fill(LONG[: int(field.get_attribute("maxlength") or 10_000)])
        form.evaluate("form => { form.noValidate = true }")
        form.get_by_role("button").first.click()
        ada.page.wait_for_load_state()
        is_inert(ada, path)
        if path == "/login":
            ada.logs_in("ada")


def test_no_markup_that_arrives_live_does_anything(visiting: Visit, attacked: tuple[World, str, int]) -> None:
    world, address, _ = attacked
    runs, run = visiting(address, "ada"), visiting(address, "ada")
    runs.goes_to("/runs")
    expect(runs.page.get_by_text("Live.", exact=True)).to_be_visible()
    with closed_gates(world.dsn) as gates:
        id_ = world.press("Provision", DEVICE, inputs='{"template": "base"}')
        run.goes_to(f"/runs/{id_}")
        for step in (1, 2, 3):
            expect(run.page.get_by_role("table", name="Log")).to_contain_text(f"step {step} of 3 on {PAYLOAD}")
            gates.open(step)
        expect(runs.page.get_by_role("link", name=str(id_), exact=True)).to_be_visible()
    expect(run.page.get_by_role("table", name="Log")).to_contain_text("provisioned")
    expect(run.page.get_by_role("region", name="What it wrote")).to_contain_text(PAYLOAD)
    for visitor in (runs, run):
        is_inert(visitor, visitor.path())


def is_inert(visitor: Visitor, path: str) -> None:
    """Make sure that nothing of the data is an element, and nothing has run."""
    ran, title, alive = visitor.page.evaluate(ALIVE)
    assert alive == [], path
    assert ran == "undefined", path
    assert "60481729" not in title, path


def walk(visitor: Visitor, begin: list[str], visited: Counter[str]) -> Iterator[str]:
    """Open page after page, by their links; yield the address of each."""
    waiting = deque(begin)
    seen = set(waiting)
    while waiting:
        path = waiting.popleft()
        name = name_of(path)
        if name is None or visited[name] >= OF_EACH:
            continue
        visited[name] += 1
        visitor.goes_to(path)
        yield path
        for href in visitor.page.locator("a[href]").evaluate_all(
            "links => links.map((link) => link.getAttribute('href'))"
        ):
            link = urljoin(path, href)
            assert link.startswith("/"), f"a link of {path} leads to {link}"
            link = link.partition("#")[0]
            if link not in seen:
                seen.add(link)
                if "<img" in unquote(link):
                    waiting.appendleft(link)
                else:
                    waiting.append(link)


def routes() -> list[Route]:
    """Return the routes of the pages."""
    return [route for route in make_console("").routes if isinstance(route, Route) and route.name in PAGES]


def name_of(path: str) -> str | None:
    """Return the name of the page at an address."""
    scope = {"type": "http", "method": "GET", "path": unquote(urlsplit(path).path)}
    return next((route.name for route in routes() if route.matches(scope)[0] == Match.FULL), None)


def page_source(visitor: Visitor, path: str) -> str:
    """Return the HTML of a page."""
    return visitor.goes_to(path).text()
