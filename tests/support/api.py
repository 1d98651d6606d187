"""Clients of the console's API: a browser's session, or a token."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
from psycopg import sql
from starlette.applications import Starlette

from tests.support.console import HERE, logged_in
from tests.support.results import add_result

Connection = psycopg.Connection[Any]
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


def let_read(db: Connection, *roles: str) -> None:
    """Let roles read the table of the fixture `device`."""
    for role in roles:
        db.execute(sql.SQL("grant usage on schema dcim to {}").format(sql.Identifier(role)))
        db.execute(sql.SQL("grant select on dcim.device to {}").format(sql.Identifier(role)))


def add_run(db: Connection, **columns: Any) -> int:
    """Put a run of hook 1 for a device on record, so that who may read the table sees it; return its id."""
    row = db.execute("select id from rowhooks.tracked_table where relation = 'dcim.device'::regclass").fetchone()
    assert row is not None
    return add_result(db, columns.pop("hook", 1), **{"tracked_table": row[0], "object_id": '{"id": 1}', **columns})
