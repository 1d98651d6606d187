"""One browser for all tests here; one inventory with its daemon and console for each file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser

from tests.support.browser import Visit, Visitor, Visits, chromium
from tests.support.console_server import console_thread
from tests.support.console_world import World, inventory, inventory_template, people
from tests.support.databases import Templates


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser. It ends with the last test here: its thread has an event loop, which other tests would meet."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="package")
def template(
    browser: Browser, administrator: psycopg.Connection[Any], server: SimpleNamespace, templates: Templates
) -> Iterator[str]:
    """The database that each file gets a copy of."""
    with people(administrator, server), inventory_template(administrator, server, templates) as name:
        yield name


@pytest.fixture(scope="module")
def world(administrator: psycopg.Connection[Any], server: SimpleNamespace, template: str) -> Iterator[World]:
    """The inventory of a file's tests. A test that changes more than a device of its own asks for `own_world`."""
    with inventory(administrator, server, template) as made:
        yield made


@pytest.fixture
def own_world(administrator: psycopg.Connection[Any], server: SimpleNamespace, template: str) -> Iterator[World]:
    """An inventory of a test's own."""
    with inventory(administrator, server, template) as made:
        yield made


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:
    """The address of the console of a file's tests."""
    with console_thread(world.dsn) as started:
        yield started


@pytest.fixture
def visiting(browser: Browser) -> Iterator[Visits]:
    """A function that lets somebody come to a console at an address, with a browser of its own; no page is open."""
    with contextlib.ExitStack() as leaving:
        yield Visits(browser, leaving)


@pytest.fixture
def visit(visiting: Visits, address: str) -> Visit:
    """A function that lets somebody come to the console, logged in if a role is named."""

    def come(role: str | None = None, **options: Any) -> Visitor:
        return visiting(address, role, **options)

    return come
