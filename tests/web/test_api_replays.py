"""Replays by the API: a dry run counts, a replay requests runs part by part, and none twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.postgres.administration.hooks import add_hook
from rowhooks.postgres.console import replay as console_replay
from tests.support.api import session_of
from tests.support.configuring import add_job
from tests.support.console import HERE
from tests.support.console_runs import let_people_read

Connection = psycopg.Connection[Any]
SINCE = "2020-01-01T00:00:00Z"
WANTED = {"hook": "serials", "since": SINCE, "dry_run": False}


@pytest.fixture
async def oscar(console: Starlette, db: Connection, device: str) -> AsyncIterator[httpx.AsyncClient]:
    """An operator's client; a hook, and twelve changes of which six match."""
    let_people_read(db)
    add_job(db, "policies.Serials")
    add_hook(db, "serials", job="policies.Serials", tables=["dcim.device"], actions=["create"])
    db.execute("insert into dcim.device select i, 'd' || i from generate_series(1, 6) as i")
    db.execute("update dcim.device set serial = 'x'")
    async with session_of(console, "oscar") as client:
        yield client


def requested(db: Connection) -> int:
    [(number,)] = db.execute("select count(*) from rowhooks.job_result where trigger = 'replay'").fetchall()
    return int(number)


async def test_a_dry_run_counts_and_requests_nothing(oscar: httpx.AsyncClient, db: Connection) -> None:
    answer = await oscar.post("replays", json={**WANTED, "dry_run": True})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["looked_at"], found["matching"], found["asked"], found["cursor"]) == (12, 6, 0, None)
    assert [one["row"] for one in found["samples"]] == ["d1", "d2", "d3", "d4", "d5", "d6"]
    assert requested(db) == 0


async def test_a_replay_requests_a_run_for_each_change_that_matches(oscar: httpx.AsyncClient, db: Connection) -> None:
    answer = await oscar.post("replays", json=WANTED, headers={"Idempotency-Key": "r-1"})
    assert answer.status_code == 202, answer.text
    assert (answer.json()["asked"], answer.json()["cursor"], answer.json()["percent"]) == (6, None, 100)
    assert requested(db) == 6
    runs = (await oscar.get(HERE + answer.headers["location"])).json()
    assert runs == {"states": {"PENDING": 6}, "are_all": True}
    again = await oscar.post("replays", json=WANTED, headers={"Idempotency-Key": "r-1"})
    assert again.json() == answer.json()
    assert requested(db) == 6


async def test_a_long_replay_goes_on_at_its_cursor_and_requests_nothing_twice(
    oscar: httpx.AsyncClient, db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowhooks.web.api.resources.replays.PATIENCE", 0.0)
    monkeypatch.setattr(console_replay, "PART", 4)
    answer = await oscar.post("replays", json=WANTED)
    asked = [answer.json()["asked"]]
    while cursor := answer.json()["cursor"]:
        assert (answer.status_code, answer.headers.get("location")) == (200, None)
        answer = await oscar.post("replays/continue", json={"cursor": cursor})
        repeated = await oscar.post("replays/continue", json={"cursor": cursor})
        assert repeated.json()["asked"] <= answer.json()["asked"]
        asked.append(answer.json()["asked"])
    assert asked[0] < asked[-1] == 6
    assert answer.status_code == 202
    assert requested(db) == 6


async def test_a_viewer_replays_nothing(console: Starlette, oscar: httpx.AsyncClient, db: Connection) -> None:
    async with session_of(console, "alice") as alice:
        assert (await alice.post("replays", json={**WANTED, "dry_run": True})).status_code == 200
        assert (await alice.post("replays", json=WANTED)).status_code == 403
    assert requested(db) == 0


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"hook": "none"}, 404), ({"table": "dcim.none"}, 404), ({"until": SINCE}, 422), ({"since": "2h"}, 422),
        ({"dry_run": None}, 422), ({"hook": ""}, 422),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(
    oscar: httpx.AsyncClient, db: Connection, changed: dict[str, Any], status: int
) -> None:
    assert (await oscar.post("replays", json={**WANTED, **changed})).status_code == status


@pytest.mark.parametrize("cursor", ["x", "e30=", "W10=", "ü", "eyJkcnlfcnVuIjogdHJ1ZX0="])
async def test_what_is_no_cursor_is_refused(oscar: httpx.AsyncClient, cursor: str) -> None:
    assert (await oscar.post("replays/continue", json={"cursor": cursor})).status_code == 422
