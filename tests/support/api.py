"""Clients of the console's API: a browser's session, or a token."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from psycopg.conninfo import make_conninfo
from starlette.applications import Starlette

from tests.support.console import HERE, logged_in

API = f"{HERE}/api/v1"
OWN = "console_login"
"""The console's own login."""
ALL = ("read", "press", "operate", "admin")


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


def own_login(db: psycopg.Connection[Any], dsn: str) -> str:
    """Create the console's own login, which may take up alice and oscar; return its DSN."""
    db.execute(f"create role {OWN} login noinherit in role rowhooks_console, alice, oscar")
    return make_conninfo(dsn, user=OWN)


def new_token(
    db: psycopg.Connection[Any], role: str, scopes: Sequence[str] = ALL, *, lasts: timedelta = timedelta(days=1)
) -> str:
    """Return a new token of a role."""
    token = f"rwh_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(token.encode()).digest()
    db.execute("select rowhooks.create_token('test', %s, %s, now() + interval '1 d', %s)", (digest, list(scopes), role))
    db.execute("update rowhooks.token set expires_at = %s where hash = %s", (datetime.now(UTC) + lasts, digest))
    return token
