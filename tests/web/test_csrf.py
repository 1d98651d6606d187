"""Acts are done by forms of the console's own pages, and by nothing else."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from tests.support.console import HERE, Browser, logged_in

WITHOUT_A_SESSION = {"login"}
"""Routes with forms for people who are not logged in."""
FORGERIES = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost"},
    {"origin": "https://localhost:8443"},
    {"origin": "https://localhost.evil.example"},
    {"origin": HERE, "sec-fetch-site": "cross-site"},
    {"origin": HERE, "sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site"},
]


def posts(app: Starlette) -> list[str]:
    """Return an address of each route that takes a form of somebody who is logged in."""
    return [
        re.sub(r"\{[^}]+\}", "1", route.path)
        for route in app.routes
        if isinstance(route, Route) and "POST" in (route.methods or ()) and route.name not in WITHOUT_A_SESSION
    ]


async def test_no_form_is_taken_without_the_sessions_token(console: Starlette) -> None:
    async with logged_in(console, "ada") as ada:
        for path in posts(console):
            for fields in ({}, {"csrf_token": ""}, {"csrf_token": "guessed"}, {"csrf_token": f"{ada.csrf_token}x"}):
                answer = await ada.post(path, data=fields, headers={"origin": HERE, "sec-fetch-site": "same-origin"})
                assert answer.status_code == 403, path
        assert (await ada.get("/")).status_code == 200


@pytest.mark.parametrize("forged", FORGERIES)
async def test_no_form_is_taken_from_another_site_even_with_the_token(
    console: Starlette, forged: dict[str, str]
) -> None:
    async with logged_in(console, "ada") as ada:
        for path in posts(console):
            answer = await ada.post(path, data={"csrf_token": ada.csrf_token}, headers=forged)
            assert answer.status_code == 403, path


async def test_a_token_in_the_address_or_in_a_file_is_none(console: Starlette) -> None:
    async with logged_in(console, "ada") as ada:
        token = ada.csrf_token
        answer = await ada.post(f"/logout?csrf_token={token}", headers={"origin": HERE})
        assert answer.status_code == 403
        answer = await ada.post("/logout", files={"csrf_token": ("token", token.encode())}, headers={"origin": HERE})
        assert answer.status_code in (400, 403)
        assert (await ada.get("/")).status_code == 200


@pytest.mark.parametrize("forged", FORGERIES)
async def test_nobody_is_logged_in_by_another_site(console: Starlette, forged: dict[str, str]) -> None:
    # A stranger would be glad of what a person does under the stranger's name.
    async with Browser(console) as victim:
        answer = await victim.post("/login", data={"role": "mallory", "password": "x"}, headers=forged)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_each_session_has_a_token_of_its_own(console: Starlette) -> None:
    async with logged_in(console, "alice") as one, logged_in(console, "alice") as two:
        await one.get("/")
        await two.get("/")
        assert one.csrf_token != two.csrf_token
        answer = await two.post("/logout", data={"csrf_token": one.csrf_token}, headers={"origin": HERE})
        assert answer.status_code == 403
