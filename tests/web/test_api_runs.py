"""Runs by the API: listed by filters, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from tests.support.api import add_run, let_read, session_of
from tests.support.console import HERE
from tests.support.results import LONG_AGO

Connection = psycopg.Connection[Any]


@pytest.fixture
async def alice(console: Starlette, db: Connection, device: str) -> AsyncIterator[httpx.AsyncClient]:
    let_read(db, "alice")
    async with session_of(console, "alice") as client:
        yield client


def ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


async def test_the_pages_of_a_list_have_each_run_once_the_newest_first(
    alice: httpx.AsyncClient, db: Connection
) -> None:
    # Several have the same time.
    added = [add_run(db, created_at=LONG_AGO + timedelta(seconds=number // 3)) for number in range(10)]
    seen, path = [], "/api/v1/runs?limit=4&status=SUCCESS"
    while path:
        answer = await alice.get(HERE + path)
        seen += ids(answer)
        assert len(answer.json()["items"]) <= 4
        path = answer.json()["next"]
        assert answer.headers.get("link") == (f'<{path}>; rel="next"' if path else None)
    assert seen == added[::-1]


async def test_filters_are_all_met(alice: httpx.AsyncClient, db: Connection) -> None:
    failed = add_run(db, status="FAILURE", hook_name="Serial", exception_message="no such Serial")
    add_run(db, status="FAILURE", hook_name="Other")
    revoked = add_run(db, status="REVOKED", hook_name="Serial", created_at=LONG_AGO + timedelta(days=1))
    assert ids(await alice.get("runs?hook=Serial")) == [revoked, failed]
    assert ids(await alice.get("runs?hook=Serial&status=FAILURE&status=SUCCESS")) == [failed]
    assert ids(await alice.get("runs?text=SUCH%20serial")) == [failed]
    since = (LONG_AGO + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    assert ids(await alice.get("runs", params={"since": since})) == [revoked]
    assert ids(await alice.get("runs", params={"until": since, "hook": "Serial"})) == [failed]


@pytest.mark.parametrize(
    "query",
    ["status=DONE", "since=yesterday", "since=2020-01-01T00:00:00", "limit=0", "limit=501", "batch=x", "cursor=x"],
)
async def test_a_filter_that_makes_no_sense_is_refused(alice: httpx.AsyncClient, query: str) -> None:
    assert (await alice.get(f"runs?{query}")).status_code == 422
