"""The pictures of docs/console-pages.md: `make screenshots` takes them, and each page has one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import Visitor
from tests.support.console_pages import PAGES, scene
from tests.support.console_server import console_thread
from tests.support.console_world import World

DOCS = Path(__file__).parents[3] / "docs"
PICTURES = os.environ.get("ROWHOOKS_SCREENSHOTS")
"""The directory to write the pictures into; None: none are taken."""
WIDTH, HEIGHT = 1280, 600
HEIGHTS = {"row": 1500, "run": 900, "status": 1200}
"""Of pages with much below their beginning."""
LARGEST = 2_000_000
"""Bytes of all pictures."""


@pytest.mark.skipif(PICTURES is None, reason="pictures are taken by `make screenshots`")
def test_each_page_has_its_picture_taken(browser: Browser, own_world: World) -> None:
    directory = Path(PICTURES or "")
    directory.mkdir(parents=True, exist_ok=True)
    with scene(own_world) as shown, console_thread(own_world.dsn) as address:
        visitor = Visitor(
            browser, address, color_scheme="light", viewport={"width": WIDTH, "height": HEIGHT},
            timezone_id="Europe/Zurich", locale="en-GB",
        )  # fmt: skip
        visitor.goes_to("/login")
        visitor.page.screenshot(path=directory / "login.png")
        visitor.logs_in("ada")
        for route in PAGES.keys() - {"login"}:
            visitor.page.set_viewport_size({"width": WIDTH, "height": HEIGHTS.get(route, HEIGHT)})
            visitor.goes_to(shown.addresses(route)[0])
            visitor.page.screenshot(path=directory / f"{route}.png")
        visitor.leaves()


def test_the_documentation_shows_each_page_by_a_picture_that_is_there() -> None:
    shown = re.findall(r"!\[[^]]+\]\(console/([a-z_]+)\.png\)", (DOCS / "console-pages.md").read_text("utf-8"))
    files = {file.stem: file.stat().st_size for file in (DOCS / "console").glob("*.png")}
    assert sorted(shown) == sorted(PAGES) == sorted(files)
    assert sum(files.values()) <= LARGEST
