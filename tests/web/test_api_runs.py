"""Runs by the API: listed by filters, page by page."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from tests.support.api import session_of
from tests.support.console import HERE
from tests.support.console_runs import add_run, let_people_read
from tests.support.pressing import add_button
from tests.support.results import LONG_AGO, add_line
from tests.support.streams import listening

Connection = psycopg.Connection[Any]
pytestmark = pytest.mark.usefixtures("quick_streams")


@pytest.fixture
async def alice(console: Starlette, db: Connection, device: str) -> AsyncIterator[httpx.AsyncClient]:
    let_people_read(db)
    async with session_of(console, "alice") as client:
        yield client


@pytest.fixture
async def oscar(console: Starlette, db: Connection, device: str) -> AsyncIterator[httpx.AsyncClient]:
    let_people_read(db)
    async with session_of(console, "oscar") as client:
        yield client


def ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


async def test_the_pages_of_a_list_have_each_run_once_the_newest_first(
    alice: httpx.AsyncClient, db: Connection
) -> None:
    # Several have the same time.
    added = [add_run(db, 1, created_at=LONG_AGO + timedelta(seconds=number // 3)) for number in range(10)]
    seen, path = [], "/api/v1/runs?limit=4&status=SUCCESS"
    while path:
        answer = await alice.get(HERE + path)
        seen += ids(answer)
        assert len(answer.json()["items"]) <= 4
        path = answer.json()["next"]
        assert answer.headers.get("link") == (f'<{path}>; rel="next"' if path else None)
    assert seen == added[::-1]


async def test_filters_are_all_met(alice: httpx.AsyncClient, db: Connection) -> None:
    failed = add_run(db, 1, status="FAILURE", hook_name="Serial", exception_message="no such Serial")
    add_run(db, 1, status="FAILURE", hook_name="Other")
    revoked = add_run(db, 1, status="REVOKED", hook_name="Serial", created_at=LONG_AGO + timedelta(days=1))
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


async def test_a_run_is_shown_with_its_traceback_and_its_repeats(alice: httpx.AsyncClient, db: Connection) -> None:
    run = add_run(
        db,
        1,
        status="FAILURE",
        exception_type="ValueError",
        exception_message="no such serial",
        traceback="x" * 300_000,
    )
    again = add_run(db, 1, original_id=run, result='{"n": 1.10}')
    shown = await alice.get(f"runs/{run}")
    assert shown.json().items() >= {"status": "FAILURE", "exception_message": "no such serial"}.items()
    assert "characters left out" in shown.json()["traceback"]
    assert [one["id"] for one in shown.json()["history"]] == [again]
    assert '"result": {"n": 1.10}' in (await alice.get(f"runs/{again}")).text
    assert (await alice.get("runs/999")).status_code == 404


async def test_a_run_for_a_row_that_one_may_not_see_does_not_exist(alice: httpx.AsyncClient, db: Connection) -> None:
    run = add_run(db, 1)
    db.execute("revoke select on dcim.device from alice")
    for path in (f"runs/{run}", f"runs/{run}/log", f"runs/{run}/events", f"runs/{run}?wait=30"):
        assert (await alice.get(path)).status_code == 404


async def test_the_pages_of_a_log_have_each_line_once_in_order(alice: httpx.AsyncClient, db: Connection) -> None:
    run = add_run(db, 1)
    for number in range(5):
        add_line(db, run, f"line {number}", second=number // 2)
    add_line(db, run, "y" * 3000, second=9)
    seen, path = [], f"/api/v1/runs/{run}/log?limit=2"
    while path:
        answer = (await alice.get(HERE + path)).json()
        seen += [(one["message"], one["size"]) for one in answer["items"]]
        path = answer["next"]
    assert seen == [*((f"line {number}", 6) for number in range(5)), ("y" * 2000, 3000)]


async def test_an_operator_runs_a_finished_run_again_once_for_each_key(
    oscar: httpx.AsyncClient, db: Connection
) -> None:
    button = add_button(db, "dcim.device")
    run = add_run(db, None, trigger="press", job_button_id=button, button_name="Reboot", status="FAILURE")
    headers = {"Idempotency-Key": "again"}
    asked = await oscar.post(f"runs/{run}/retry", headers=headers)
    assert asked.status_code == 202, asked.text
    assert asked.headers["location"] == f"/api/v1/runs/{asked.json()['id']}"
    assert (asked.json()["status"], asked.json()["original_id"]) == ("PENDING", run)
    assert (await oscar.post(f"runs/{run}/retry", headers=headers)).json() == asked.json()
    assert db.execute("select count(*) from rowhooks.job_result").fetchall() == [(2,)]
    # It is repeated by one run at a time.
    assert (await oscar.post(f"runs/{run}/retry")).status_code == 409


async def test_an_operator_revokes_a_run_that_has_not_finished(oscar: httpx.AsyncClient, db: Connection) -> None:
    run = add_run(db, 1, status="PENDING", leader_epoch=None)
    assert (await oscar.post(f"runs/{run}/revoke")).json()["status"] == "REVOKED"
    assert (await oscar.post(f"runs/{run}/revoke")).status_code == 409
    assert (await oscar.post("runs/999/revoke")).status_code == 404


async def test_a_viewer_runs_nothing_again_and_revokes_nothing(alice: httpx.AsyncClient, db: Connection) -> None:
    run = add_run(db, 1, status="FAILURE")
    assert (await alice.post(f"runs/{run}/retry")).status_code == 403
    assert (await alice.post(f"runs/{run}/revoke")).status_code == 403
    assert db.execute("select count(*) from rowhooks.job_result").fetchall() == [(1,)]


async def test_a_run_that_ends_is_told_to_who_waits(alice: httpx.AsyncClient, db: Connection) -> None:
    run = add_run(db, 1, status="STARTED")
    waiting = asyncio.create_task(alice.get(f"runs/{run}?wait=30"))
    assert (await alice.get(f"runs/{run}?wait=0")).json()["status"] == "STARTED"
    db.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now()")
    assert (await waiting).json()["status"] == "SUCCESS"


async def test_a_run_is_followed_by_events_until_it_ends(
    console: Starlette, alice: httpx.AsyncClient, db: Connection
) -> None:
    run = add_run(db, 1, status="STARTED")
    add_line(db, run, "first\nline")
    async with listening(alice, console, f"/api/v1/runs/{run}/events") as listener:
        assert json.loads((await listener.hears("STARTED", "state")).data)["id"] == run
        assert json.loads((await listener.hears("first", "line")).data)["message"] == "first\nline"
        add_line(db, run, "second", second=1)
        await listener.hears("second", "line")
        db.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now()")
        await listener.hears("SUCCESS", "state")
        assert await listener.ends() == "finished"


async def test_a_stream_goes_on_behind_what_was_told(alice: httpx.AsyncClient, db: Connection) -> None:
    run = add_run(db, 1)
    add_line(db, run, "first")
    whole = (await alice.get(f"runs/{run}/events")).text
    cursor = re.findall(r"^id: (.*)$", whole, re.MULTILINE)[-1]
    add_line(db, run, "second", second=1)
    for rest in (
        await alice.get(f"runs/{run}/events?cursor={cursor}"),
        await alice.get(f"runs/{run}/events", headers={"Last-Event-ID": cursor}),
    ):
        assert [data["message"] for name, data in events_in(rest.text) if name == "line"] == ["second"]
    assert (await alice.get(f"runs/{run}/events?cursor=x")).status_code == 422


def events_in(text: str) -> list[tuple[str, Any]]:
    found = re.findall(r"^event: (\w+)\n(?:id: .*\n)?((?:data: .*\n)+)", text, re.MULTILINE)
    events = [(name, "\n".join(line[6:] for line in data.splitlines())) for name, data in found]
    return [(name, data if name == "end" else json.loads(data)) for name, data in events]


async def test_all_that_match_are_run_again_and_the_act_tells_how_far_it_is(
    oscar: httpx.AsyncClient, db: Connection
) -> None:
    button = add_button(db, "dcim.device")
    press = {"trigger": "press", "job_button_id": button, "button_name": "Reboot"}
    failed = [add_run(db, None, status="FAILURE", **press) for _ in range(3)]
    add_run(db, None, **press)
    meant = (await oscar.get("runs/retry?status=FAILURE")).json()
    assert (meant["total"], meant["statuses"], meant["has_more"]) == (3, {"FAILURE": 3}, False)
    assert [one["id"] for one in meant["sample"]] == failed[::-1]
    add_run(db, None, status="FAILURE", **press, created_at=LONG_AGO + timedelta(days=1))
    query, headers = {"status": "FAILURE", "newest": meant["newest"]}, {"Idempotency-Key": "all"}
    begun = await oscar.post("runs/retry", params=query, headers=headers)
    assert begun.status_code == 202, begun.text
    assert (await oscar.post("runs/retry", params=query, headers=headers)).json() == begun.json()
    done = (await oscar.get(f"{HERE}{begun.headers['location']}?wait=30")).json()
    assert done == {
        "id": begun.json()["id"], "act": "retry", "state": "finished", "total": 3, "done": 3, "refused": {},
        "problem": "",
    }  # fmt: skip
    assert db.execute(
        "select original_id from rowhooks.job_result where status = 'PENDING' order by id"
    ).fetchall() == [(run,) for run in failed]


async def test_an_act_on_all_runs_there_are_is_refused(oscar: httpx.AsyncClient, db: Connection) -> None:
    add_run(db, 1, status="STARTED")
    for method in ("GET", "POST"):
        assert (await oscar.request(method, "runs/revoke")).status_code == 422
    assert (await oscar.post("runs/revoke?status=FAILURE")).status_code == 409
    assert db.execute("select status from rowhooks.job_result").fetchall() == [("STARTED",)]


async def test_an_act_of_somebody_else_is_not_shown(
    oscar: httpx.AsyncClient, console: Starlette, db: Connection
) -> None:
    run = add_run(db, 1, status="STARTED")
    begun = await oscar.post("runs/revoke?status=STARTED")
    async with session_of(console, "ada") as ada:
        assert (await ada.get(HERE + begun.headers["location"])).status_code == 404
    await oscar.get(f"{HERE}{begun.headers['location']}?wait=30")
    assert (await oscar.get(f"runs/{run}")).json()["status"] == "REVOKED"
