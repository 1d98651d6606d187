"""Logging in with a role and its password."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette

from tests.support.console import ROLES, Browser, logged_in


@pytest.mark.parametrize("role", list(ROLES))
async def test_a_role_logs_in_and_sees_its_name(console: Starlette, role: str) -> None:
    async with logged_in(console, role) as browser:
        answer = await browser.get("/")
    assert answer.status_code == 200
    assert role in answer.text


async def test_nobody_is_sent_to_the_login(console: Starlette) -> None:
    async with Browser(console) as browser:
        answer = await browser.get("/")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")
