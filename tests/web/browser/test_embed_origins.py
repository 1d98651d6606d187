"""`<rowhooks-buttons>` on a page of another origin than the console's: the static example, run as users run it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from playwright.sync_api import expect
from psycopg.conninfo import make_conninfo

from tests.support.browser import Visitor, Visits
from tests.support.builds import CHECKOUT
from tests.support.console_server import console_thread
from tests.support.databases import Templates
from tests.support.embedding import ANN, APPLICATION, ends, free_port, presses, served, shop_database
from tests.support.waiting import wait

Connection = psycopg.Connection[Any]
EXAMPLE = CHECKOUT / "examples" / "static"
SECRET = "what only the page's server and the console know"


@pytest.fixture(scope="module")
def database(
    administrator: Connection, server: SimpleNamespace, templates: Templates, browser: Any
) -> Iterator[Connection]:
    """The database; the console has the login of the application, which may be ann."""
    with shop_database(administrator, server, templates) as (db, _):
        db.execute(f"alter role {APPLICATION} noinherit")
        db.execute(f"grant rowhooks_console to {APPLICATION}")
        yield db


def opens(
    db: Connection, visiting: Visits, tmp_path: Path, *, is_named: bool = True, seconds: int = 300
) -> Iterator[Visitor]:
    port = free_port()
    there = f"http://127.0.0.1:{port}"
    origins = (there,) if is_named else ("https://elsewhere.example",)
    own = make_conninfo(db.info.dsn, user=APPLICATION)
    serve = (sys.executable, "serve.py", "{port}")
    with (
        console_thread(db.info.dsn, dsn=own, embed_origins=origins, embed_secret=SECRET) as console,
        served(
            *serve, directory=EXAMPLE, log=tmp_path / "log", port=port, CONSOLE=console, EMBED_SECRET=SECRET,
            TOKEN_SECONDS=str(seconds),
        ) as address,
        visiting.until_the_end(),
    ):  # fmt: skip
        visitor = visiting(address)
        visitor.faults.expect(f"request to another host: {console}/embed/v1/")
        yield visitor


@pytest.fixture
def ann(database: Connection, visiting: Visits, tmp_path: Path) -> Iterator[Visitor]:
    yield from opens(database, visiting, tmp_path)


@pytest.fixture
def hurried(database: Connection, visiting: Visits, tmp_path: Path) -> Iterator[Visitor]:
    """Ann, whose tokens are good for two seconds."""
    yield from opens(database, visiting, tmp_path, seconds=2)


@pytest.fixture
def stranger(database: Connection, visiting: Visits, tmp_path: Path) -> Iterator[Visitor]:
    """Ann on a page of an origin that the console does not name."""
    yield from opens(database, visiting, tmp_path, is_named=False)


def test_a_page_of_an_origin_that_the_console_names_presses_with_its_token(database: Connection, ann: Visitor) -> None:
    ann.goes_to("/")
    ann.page.get_by_role("button", name="Ping & wait").click()
    wait(lambda: presses(database))
    assert presses(database) == [("Ping", {"id": 42}, ANN, APPLICATION, ANN, None)]
    ends(database)
    expect(ann.page.get_by_role("status")).to_have_text("Ping & wait: success")
    assert ann.context.cookies() == []


def test_a_page_whose_token_has_expired_gets_another_one(database: Connection, hurried: Visitor) -> None:
    hurried.faults.expect("status 401")
    hurried.goes_to("/")
    ping = hurried.page.get_by_role("button", name="Ping & wait")
    first = hurried.page.locator("rowhooks-buttons").get_attribute("token")

    def has_another_one() -> bool:
        ping.click()
        return hurried.page.locator("rowhooks-buttons").get_attribute("token") != first

    # When it has expired, the page hears of that.
    wait(has_another_one)
    before = len(presses(database))
    ping.click()
    wait(lambda: len(presses(database)) > before)
    # A run that was pressed with the former token is followed with the present one.
    ends(database)
    expect(hurried.page.get_by_role("status")).to_have_text("Ping & wait: success")


def test_a_page_of_another_origin_gets_no_answer_although_it_has_a_token(
    database: Connection, stranger: Visitor
) -> None:
    stranger.faults.expect("failed: GET", "blocked by CORS policy")
    stranger.goes_to("/")
    # The file is public; the buttons are not.
    expect(stranger.page.get_by_role("status")).to_have_text("Failed to fetch")
    expect(stranger.page.get_by_role("button")).to_have_count(0)
