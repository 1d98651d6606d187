"""Hooks, buttons and jobs by the API: listed, added, replaced, enabled, disabled, removed."""

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
from tests.support.console_runs import let_people_read
from tests.support.waiting import eventually

HOOK = {"job": "jobs.Serial", "tables": ["dcim.device"], "actions": ["create", "update"]}
BUTTON = {"job": "jobs.Reboot", "tables": ["dcim.device"], "text": "Reboot {{ obj.name }}"}
ORIGINS = {"hooks": HOOK, "buttons": BUTTON}
each_kind = pytest.mark.parametrize("kind", list(ORIGINS))


@pytest.fixture
async def ada(console: Starlette, db: psycopg.Connection[Any], device: str) -> AsyncIterator[httpx.AsyncClient]:
    """An admin's client, and two jobs."""
    let_people_read(db)
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values ('jobs.Serial', 'hook', 'Serial', true),"
        " ('jobs.Reboot', 'button', 'Reboot', true)"
    )
    async with session_of(console, "ada") as client:
        yield client


@each_kind
async def test_what_is_added_is_at_its_location_and_in_the_list(ada: httpx.AsyncClient, kind: str) -> None:
    added = await ada.post(kind, json={"name": "a/b %2F ü", **ORIGINS[kind]})
    assert added.status_code == 201, added.text
    assert added.headers["location"] == f"/api/v1/{kind}/a%2Fb%20%252F%20%C3%BC"
    shown = await ada.get(HERE + added.headers["location"])
    assert shown.json() == added.json()
    assert shown.json()["name"] == "a/b %2F ü"
    assert shown.json().items() >= ORIGINS[kind].items()
    assert shown.headers["etag"] == added.headers["etag"]
    assert (await ada.get(kind)).json() == {"items": [added.json()], "next": None}


@each_kind
async def test_a_name_that_is_taken_is_a_conflict(ada: httpx.AsyncClient, kind: str) -> None:
    wanted = {"name": "one", **ORIGINS[kind]}
    assert (await ada.post(kind, json=wanted)).status_code == 201
    assert (await ada.post(kind, json=wanted)).status_code == 409


@each_kind
async def test_what_is_replaced_has_the_default_where_nothing_is_said(ada: httpx.AsyncClient, kind: str) -> None:
    others: dict[str, dict[str, Any]] = {
        "hooks": {
            "columns": ["serial"],
            "conditions": {"attr": "serial", "op": "eq", "value": "x"},
            "on_undecided": "skip",
            "queue": "reports",
        },
        "buttons": {"queue": "reports", "weight": 5, "roles": ["public"], "confirmation": False, "group_name": "Power"},
    }
    more = others[kind]
    before = await ada.post(kind, json={"name": "one", "enabled": False, **ORIGINS[kind], **more})
    assert before.status_code == 201, before.text
    assert before.json().items() >= more.items()
    after = await ada.put(f"{kind}/one", json=ORIGINS[kind])
    assert after.status_code == 200, after.text
    assert after.json()["enabled"]
    assert all(not after.json()[name] or after.json()[name] != more[name] for name in more)


@each_kind
async def test_a_queue_that_is_no_name_is_refused_with_what_a_name_has(ada: httpx.AsyncClient, kind: str) -> None:
    refused = await ada.post(kind, json={"name": "one", **ORIGINS[kind], "queue": "a b"})
    assert refused.status_code == 422, refused.text
    assert "queue 'a b' is no name of a queue" in refused.text
    assert "1 to 63 letters, digits, _, - and ." in refused.text


@each_kind
async def test_an_outdated_version_is_neither_replaced_nor_removed(ada: httpx.AsyncClient, kind: str) -> None:
    first = (await ada.post(kind, json={"name": "one", **ORIGINS[kind]})).headers["etag"]
    await ada.post(f"{kind}/one/disable")
    headers = {"If-Match": first}
    assert (await ada.put(f"{kind}/one", json=ORIGINS[kind], headers=headers)).status_code == 412
    assert (await ada.delete(f"{kind}/one", headers=headers)).status_code == 412
    now = await ada.get(f"{kind}/one")
    assert not now.json()["enabled"]
    headers = {"If-Match": f'"other", {now.headers["etag"]}'}
    assert (await ada.delete(f"{kind}/one", headers=headers)).status_code == 204
    assert (await ada.get(f"{kind}/one")).status_code == 404


@each_kind
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_what_another_transaction_changes_after_the_check_is_neither_replaced_nor_removed(
    ada: httpx.AsyncClient, db: psycopg.Connection[Any], dsn: str, kind: str, method: str
) -> None:
    db.execute("create table dcim.rack (id integer primary key); select rowhooks.track('dcim.rack')")
    tag = (await ada.post(kind, json={"name": "one", **ORIGINS[kind]})).headers["etag"]
    # It adds a table, which is a row of another table, and leaves all else as it is.
    move = (
        f"select rowhooks.alter_job_{kind[:-1]}('one', jsonb_build_object('more_tables', jsonb_build_array(t.id)))"
        " from rowhooks.tracked_table as t where t.table_name = 'rack'"
    )
    async with await psycopg.AsyncConnection.connect(dsn) as other:
        await other.execute(move.encode())
        body: Any = {"json": ORIGINS[kind]} if method == "PUT" else {}
        request = asyncio.create_task(ada.request(method, f"{kind}/one", headers={"If-Match": tag}, **body))
        waits = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        await eventually(lambda: request.done() or db.execute(waits).fetchone() is not None)
        assert not request.done(), (await request).text
        await other.commit()
    assert (await request).status_code == 412
    assert (await ada.get(f"{kind}/one")).json()["tables"] == ["dcim.device", "dcim.rack"]


@each_kind
async def test_it_is_enabled_and_disabled(ada: httpx.AsyncClient, kind: str) -> None:
    await ada.post(kind, json={"name": "one", **ORIGINS[kind]})
    for act, enabled in (("disable", False), ("enable", True)):
        assert (await ada.post(f"{kind}/one/{act}")).json()["enabled"] is enabled
        assert (await ada.get(f"{kind}/one")).json()["enabled"] is enabled


@each_kind
async def test_a_request_with_the_same_key_is_the_same_act(ada: httpx.AsyncClient, kind: str) -> None:
    headers = {"Idempotency-Key": "k-1"}
    wanted = {"name": "one", **ORIGINS[kind]}
    first = await ada.post(kind, json=wanted, headers=headers)
    again = await ada.post(kind, json=wanted, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    other = await ada.post(kind, json={**wanted, "name": "two"}, headers=headers)
    assert other.status_code == 422
    assert other.json()["type"].endswith("#problem-key-reused")


async def test_what_has_failed_can_be_sent_again_with_its_key(ada: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k-2"}
    assert (await ada.post("hooks/one/enable", headers=headers)).status_code == 404
    await ada.post("hooks", json={"name": "one", "enabled": False, **HOOK})
    assert (await ada.post("hooks/one/enable", headers=headers)).json()["enabled"] is True


async def test_numbers_in_conditions_keep_their_digits(ada: httpx.AsyncClient) -> None:
    body = (
        '{"name": "one", "job": "jobs.Serial", "tables": ["dcim.device"], "actions": ["update"],'
        ' "conditions": {"attr": "id", "op": "eq", "value": 12345678901234567890.12345678901234567890}}'
    )
    answer = await ada.post("hooks", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201, answer.text
    assert "12345678901234567890.12345678901234567890" in answer.text


async def test_conditions_that_are_no_conditions_are_refused(ada: httpx.AsyncClient) -> None:
    answer = await ada.post("hooks", json={"name": "one", **HOOK, "conditions": {"colum": "id"}})
    assert answer.status_code == 422, answer.text
    assert "colum" in answer.json()["detail"]


async def test_what_does_not_exist_is_not_found(ada: httpx.AsyncClient) -> None:
    for path in ("hooks/none", "buttons/none", "jobs/none"):
        assert (await ada.get(path)).status_code == 404
    for missing in ({"job": "jobs.None"}, {"tables": ["dcim.none"]}):
        assert (await ada.post("hooks", json={"name": "one", **HOOK, **missing})).status_code == 404


async def test_jobs_are_listed_and_shown_with_what_starts_them(ada: httpx.AsyncClient) -> None:
    await ada.post("hooks", json={"name": "one", **HOOK})
    assert [one["class_path"] for one in (await ada.get("jobs")).json()["items"]] == ["jobs.Reboot", "jobs.Serial"]
    shown = (await ada.get("jobs/Serial")).json()
    assert (shown["class_path"], shown["hooks"], shown["buttons"]) == ("jobs.Serial", ["one"], [])


async def test_a_job_is_disabled_and_enabled(ada: httpx.AsyncClient) -> None:
    assert (await ada.post("jobs/jobs.Serial/disable")).json()["enabled"] is False
    assert (await ada.post("jobs/jobs.Serial/enable")).json()["enabled"] is True


async def test_what_a_missing_job_has_is_moved_to_another_one(
    ada: httpx.AsyncClient, db: psycopg.Connection[Any]
) -> None:
    await ada.post("hooks", json={"name": "one", **HOOK})
    db.execute("update rowhooks.job set installed = false where class_path = 'jobs.Serial'")
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('jobs.New', 'hook', 'New')")
    assert (await ada.post("jobs/jobs.Serial/move", json={"to": "jobs.Reboot"})).status_code == 409
    moved = await ada.post("jobs/jobs.Serial/move", json={"to": "jobs.New"})
    assert moved.json() == {"class_path": "jobs.New", "enabled": True, "waiting": 0}
    assert (await ada.get("hooks/one")).json()["job"] == "jobs.New"


async def test_only_a_job_that_is_missing_is_removed(ada: httpx.AsyncClient, db: psycopg.Connection[Any]) -> None:
    assert (await ada.delete("jobs/jobs.Serial")).status_code == 409
    db.execute("update rowhooks.job set installed = false where class_path = 'jobs.Serial'")
    removed = await ada.delete("jobs/jobs.Serial")
    assert removed.json() == {"class_path": "jobs.Serial", "revoked": 0}
    assert (await ada.get("jobs/jobs.Serial")).status_code == 404


@each_kind
async def test_the_pages_of_a_list_have_each_once(ada: httpx.AsyncClient, kind: str) -> None:
    for name in ("create", "delete", "update"):
        more = {"actions": [name]} if kind == "hooks" else {}
        assert (await ada.post(kind, json={"name": name, **ORIGINS[kind], **more})).status_code == 201
    seen, path = [], f"/api/v1/{kind}?limit=2"
    while path:
        answer = (await ada.get(HERE + path)).json()
        seen.append([one["name"] for one in answer["items"]])
        path = answer["next"]
    assert seen == [["create", "delete"], ["update"]]


async def test_jobs_are_listed_page_by_page(ada: httpx.AsyncClient) -> None:
    first = (await ada.get("jobs?limit=1")).json()
    second = (await ada.get(HERE + first["next"])).json()
    assert [one["class_path"] for one in (*first["items"], *second["items"])] == ["jobs.Reboot", "jobs.Serial"]
    assert second["next"] is None


async def test_a_hook_is_tried_against_past_changes_before_it_is_saved(
    ada: httpx.AsyncClient, db: psycopg.Connection[Any]
) -> None:
    db.execute("insert into dcim.device values (1, 'd1', 'a'), (2, 'd2', 'b')")
    db.execute("update dcim.device set serial = 'c' where id = 1")
    wanted = {
        "tables": ["dcim.device"], "actions": ["create"],
        "conditions": {"attr": "serial", "op": "eq", "value": "b"},
    }  # fmt: skip
    tried = await ada.post("trials", json=wanted)
    assert tried.status_code == 200, tried.text
    found = tried.json()
    assert (found["looked_at"], found["starts"], found["undecided"]) == (3, 1, 0)
    assert [one["object_id"] for one in found["starting"]] == [{"id": 2}]
    assert all(one["reason"] for one in found["not_starting"])
    assert len(found["not_starting"]) == 2
    await ada.post("hooks", json={"name": "one", "job": "jobs.Serial", **wanted})
    assert (await ada.get("hooks/one/trial")).json() == found
    assert (await ada.post("trials", json={**wanted, "conditions": {"attr": 5}})).status_code == 422
