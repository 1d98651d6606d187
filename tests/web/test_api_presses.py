"""Presses by the API: on a row, on several, with a key, with inputs, by whom the button names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from tests.support.api import session_of
from tests.support.console import HERE
from tests.support.pressing import add_button, presses

Connection = psycopg.Connection[Any]
PRESS = {"button": "Reboot", "table": "dcim.device", "key": 1}


@pytest.fixture
async def mallory(console: Starlette, db: Connection, device: str) -> AsyncIterator[httpx.AsyncClient]:
    """A role that may read the table and press its button, and has no other right on rowhooks."""
    db.execute("grant usage on schema dcim to mallory; grant select on dcim.device to mallory")
    db.execute("insert into dcim.device select i, 'd' || i from generate_series(1, 3) as i")
    add_button(db, device)
    async with session_of(console, "mallory") as client:
        yield client


def end(db: Connection, press_id: int) -> None:
    db.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now() where id = %s", (press_id,))


async def test_a_press_is_accepted_and_its_location_tells_what_has_become_of_it(
    mallory: httpx.AsyncClient, db: Connection
) -> None:
    pressed = await mallory.post("presses", json=PRESS)
    assert pressed.status_code == 202, pressed.text
    assert presses(db, "id, db_user, object_id") == [(pressed.json()["id"], "mallory", {"id": 1})]
    shown = await mallory.get(HERE + pressed.headers["location"])
    assert shown.json() == pressed.json()
    assert (shown.json()["status"], shown.json()["finished_at"]) == ("PENDING", None)
    end(db, pressed.json()["id"])
    assert (await mallory.get(HERE + pressed.headers["location"])).json()["status"] == "SUCCESS"


@pytest.mark.parametrize("key", [2, "2", {"id": 2}, {"id": "2"}])
async def test_a_row_is_named_by_its_key_in_any_form(mallory: httpx.AsyncClient, db: Connection, key: object) -> None:
    assert (await mallory.post("presses", json={**PRESS, "key": key})).status_code == 202
    assert presses(db, "object_id") == [{"id": 2}]


@pytest.mark.parametrize("key", [True, None, 1.5, [1], "", {}])
async def test_what_is_no_key_is_refused(mallory: httpx.AsyncClient, db: Connection, key: object) -> None:
    assert (await mallory.post("presses", json={**PRESS, "key": key})).status_code == 422
    assert presses(db) == []


async def test_a_press_with_the_same_key_is_the_same_press(mallory: httpx.AsyncClient, db: Connection) -> None:
    headers = {"Idempotency-Key": "click-1"}
    first = await mallory.post("presses", json=PRESS, headers=headers)
    again = await mallory.post("presses", json=PRESS, headers=headers)
    assert again.json()["id"] == first.json()["id"]
    assert len(presses(db)) == 1
    other = await mallory.post("presses", json={**PRESS, "key": 2}, headers=headers)
    assert other.status_code == 422
    assert other.json()["type"].endswith("#problem-key-reused")


async def test_several_rows_are_pressed_together(mallory: httpx.AsyncClient, db: Connection) -> None:
    wanted = {"button": "Reboot", "table": "dcim.device", "keys": [1, 2]}
    pressed = await mallory.post("batches", json=wanted)
    assert pressed.status_code == 202, pressed.text
    assert pressed.json().items() >= {"rows": 2, "finished": 0, "states": {"PENDING": 2}}.items()
    end(db, presses(db)[0])
    shown = (await mallory.get(HERE + pressed.headers["location"])).json()
    assert (shown["finished"], shown["states"]) == (1, {"PENDING": 1, "SUCCESS": 1})


async def test_all_rows_are_pressed_or_none(mallory: httpx.AsyncClient, db: Connection) -> None:
    wanted = {"button": "Reboot", "table": "dcim.device", "keys": [1, 99]}
    assert (await mallory.post("batches", json=wanted)).status_code in (404, 422)
    assert presses(db) == []


async def test_who_may_not_read_the_row_is_refused_by_the_database(
    console: Starlette, mallory: httpx.AsyncClient, db: Connection
) -> None:
    db.execute("revoke select on dcim.device from mallory")
    assert (await mallory.post("presses", json=PRESS)).status_code == 403
    assert presses(db) == []


async def test_the_presses_of_others_are_not_shown(
    console: Starlette, mallory: httpx.AsyncClient, db: Connection
) -> None:
    press_id = (await mallory.post("presses", json=PRESS)).json()["id"]
    async with session_of(console, "oscar") as oscar:
        assert (await oscar.get(f"presses/{press_id}")).status_code == 404
        assert (await oscar.get(f"batches/{press_id}")).status_code == 404


async def test_those_that_wait_for_the_end_of_a_run_hold_no_connection(
    mallory: httpx.AsyncClient, db: Connection
) -> None:
    press_id = (await mallory.post("presses", json=PRESS)).json()["id"]
    waiting = [asyncio.create_task(mallory.get(f"presses/{press_id}?wait=30")) for _ in range(20)]
    # A session has two connections.
    assert (await mallory.get(f"presses/{press_id}")).json()["status"] == "PENDING"
    assert not any(task.done() for task in waiting)
    end(db, press_id)
    assert {answer.json()["status"] for answer in await asyncio.gather(*waiting)} == {"SUCCESS"}


async def test_a_wait_ends_with_its_time(mallory: httpx.AsyncClient) -> None:
    answer = await mallory.post("presses?wait=1", json=PRESS)
    assert (answer.status_code, answer.json()["status"]) == (202, "PENDING")


@pytest.mark.parametrize("wait", ["31", "-1", "1.5", "x", ""])
async def test_nobody_waits_longer_than_half_a_minute(mallory: httpx.AsyncClient, wait: str) -> None:
    assert (await mallory.get(f"presses/1?wait={wait}")).status_code == 422


async def test_inputs_that_the_job_does_not_take_are_refused_with_the_reason(
    mallory: httpx.AsyncClient, db: Connection
) -> None:
    schema = '{"type": "object", "properties": {"hours": {"type": "number", "maximum": 8}}, "required": ["hours"]}'
    db.execute("update rowhooks.job set inputs_schema = %s where class_path = 'jobs.Reboot'", (schema,))
    for wrong in ({}, {"hours": 9}, {"hours": "x"}, None):
        answer = await mallory.post("presses", json={**PRESS, "inputs": wrong})
        assert answer.status_code == 422, answer.text
        assert [one["field"] for one in answer.json()["errors"]] in ([], ["/inputs"])
    body = '{"button": "Reboot", "table": "dcim.device", "key": 1, "inputs": {"hours": 1.10}}'
    answer = await mallory.post("presses", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 202, answer.text
    assert db.execute("select inputs::text from rowhooks.job_result").fetchall() == [('{"hours": 1.10}',)]


async def test_a_press_of_several_rows_may_name_one(mallory: httpx.AsyncClient, db: Connection) -> None:
    pressed = await mallory.post("batches", json={"button": "Reboot", "table": "dcim.device", "keys": [{"id": 1}]})
    assert pressed.status_code == 202, pressed.text
    assert presses(db, "batch_id") == [pressed.json()["id"]]
