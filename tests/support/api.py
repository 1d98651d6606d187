"""Clients of the console's API: a browser's session, or a token."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette

from tests.support.console import HERE, logged_in

API = f"{HERE}/api/v1"


@contextlib.asynccontextmanager
async def session_of(app: Starlette, role: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client with the session of a role and its token, as the console's script has it."""
    async with logged_in(app, role) as browser:
        session = dict(browser.cookies)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=f"{API}/", cookies=session,
            headers={"X-CSRF-Token": browser.csrf_token, "Origin": HERE, "Sec-Fetch-Site": "same-origin"},
        ) as client:  # fmt: skip
            yield client


@contextlib.asynccontextmanager
async def holding(app: Starlette, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client that sends a token."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=f"{API}/", headers={b"Authorization": f"Bearer {token}".encode()}
    ) as client:
        yield client
