"""The state of rowhooks by the API, and what doctor says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from tests.support.api import session_of
from tests.support.console_runs import add_run, let_people_read

Connection = psycopg.Connection[Any]


@pytest.fixture
async def alice(console: Starlette, db: Connection, device: str) -> AsyncIterator[httpx.AsyncClient]:
    let_people_read(db)
    db.execute("insert into dcim.device values (1, 'd1'), (2, 'd2')")
    add_run(db, 1, status="STARTED")
    failure = {"status": "FAILURE", "exception_type": "ValueError", "exception_message": "no serial"}
    db.execute("update rowhooks.job_result set created_at = now() where id = %s", (add_run(db, 1, **failure),))
    async with session_of(console, "alice") as client:
        yield client


async def test_the_state_says_what_leads_waits_and_failed(alice: httpx.AsyncClient) -> None:
    answer = await alice.get("status")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["is_led"], found["backlog"], found["tables"]) == (False, 2, 1)
    assert [(one["job"], one["status"], one["runs"]) for one in found["waiting"]] == [("policies.Serial", "STARTED", 1)]
    [job] = found["failures"]["jobs"]
    assert (job["job"], job["type"], job["message"], job["failures"]) == (
        "policies.Serial",
        "ValueError",
        "no serial",
        1,
    )


async def test_the_state_names_the_workers(alice: httpx.AsyncClient, db: Connection) -> None:
    assert (await alice.get("status")).json()["workers"] == []
    db.execute(
        "insert into rowhooks.worker (id, name, queues, threads, tasks, receivers, code_version, clock_offset)"
        " values (gen_random_uuid(), 'm:1', '{default}', 10, 100, '{a.B}', '1', '0')"
    )
    found = (await alice.get("status")).json()
    [worker] = found["workers"]
    assert (worker["name"], worker["queues"], worker["threads"], worker["runs"]) == ("m:1", ["default"], 10, 0)
    assert found["queues"] == []


async def test_changes_and_runs_are_counted_over_time(alice: httpx.AsyncClient) -> None:
    for span, step in (("hour", 60), ("day", 900)):
        found = (await alice.get(f"status/activity?span={span}")).json()
        assert found["step"] == step
        assert sum(part["changes"] for part in found["parts"]) == 2
        assert [part["runs"] for part in found["parts"] if part["runs"]] == [{"FAILURE": 1}]


async def test_doctor_says_what_is_wrong_and_what_it_has_not_looked_at(
    alice: httpx.AsyncClient, db: Connection
) -> None:
    db.execute("alter table dcim.device disable trigger all")
    found = (await alice.get("doctor")).json()
    assert {one["level"] for one in found["findings"] if "dcim.device" in one["what"]} == {"problem"}
    assert found["seen"]
    assert all(one["why"] for one in found["unseen"])


async def test_who_is_no_viewer_sees_no_state(alice: httpx.AsyncClient, console: Starlette) -> None:
    async with session_of(console, "mallory") as mallory:
        for path in ("status", "status/activity"):
            assert (await mallory.get(path)).status_code == 403
