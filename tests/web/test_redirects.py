"""The log-in leads back to the page that a person wanted, and never to another site."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette

from rowhooks.web.linking.addresses import LONGEST_PATH, safe_path
from tests.support.console import PASSWORD, Browser

ELSEWHERE = [
    "https://evil.example/", "http:evil.example", "//evil.example", "///evil.example", "/\\evil.example",
    "\\/evil.example", "/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example", "/ /evil.example",
    "javascript:alert(1)", "data:text/html,x", "evil.example", "", "?next=x", "#", ".//evil.example",
    "/\x00/evil.example", "/x\r\nset-cookie: a=b", "/" + "a" * LONGEST_PATH, "https:///evil.example", "/\x7f/evil",
]  # fmt: skip
HERE = [
    "/",
    "/runs?status=FAILURE&hook=a%2Fb",
    "/tables/%22a%20b%22.c/row?key=%7B%7D",
    "/x//y",
    "/@evil.example",
    "/:80",
]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_what_a_browser_could_take_for_another_site_is_replaced(path: str) -> None:
    assert safe_path(path, "/home") == "/home"


@pytest.mark.parametrize("path", HERE)
def test_a_path_of_the_console_stays_as_it_is(path: str) -> None:
    assert safe_path(path, "/home") == path


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_the_log_in_leads_nobody_away(console: Starlette, path: str) -> None:
    async with Browser(console) as browser:
        answer = await browser.submit("/login", role="alice", password=PASSWORD, next=path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_the_log_in_leads_back_to_the_page(console: Starlette) -> None:
    async with Browser(console) as browser:
        answer = await browser.get("/?a=%C3%A9&b=1%2F2")
        assert answer.headers["location"] == "/login?next=%2F%3Fa%3D%25C3%25A9%26b%3D1%252F2"
        answer = await browser.submit(answer.headers["location"], role="alice", password=PASSWORD)
        # The page's own field says where to, and not the address that the form is sent to.
        assert answer.headers["location"] == "/"
        answer = await browser.submit("/login", role="alice", password=PASSWORD, next="/?a=%C3%A9&b=1%2F2")
        assert answer.headers["location"] == "/?a=%C3%A9&b=1%2F2"


@pytest.mark.parametrize("path", ["/login", "/login?next=/login", "/logout"])
async def test_nobody_is_led_back_to_the_log_in(console: Starlette, path: str) -> None:
    async with Browser(console) as browser:
        answer = await browser.submit("/login", role="alice", password=PASSWORD, next=path)
    assert answer.headers["location"] == "/"


async def test_no_address_of_a_page_is_rewritten(console: Starlette) -> None:
    async with Browser(console) as browser:
        for path in ("/login/", "/LOGIN", "/login;x=1"):
            assert (await browser.get(path)).status_code == 404
