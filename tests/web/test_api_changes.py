"""Changes by the API: listed by filters, page by page; one with its rows, and why it starts which hooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.postgres.administration.hooks import add_hook
from tests.support.api import session_of
from tests.support.configuring import add_job
from tests.support.console import HERE
from tests.support.console_runs import add_run, let_people_read

Connection = psycopg.Connection[Any]


@pytest.fixture
async def alice(console: Starlette, db: Connection, device: str) -> AsyncIterator[httpx.AsyncClient]:
    """A viewer's client; three devices created, one of them updated, one deleted."""
    let_people_read(db)
    db.execute("insert into dcim.device select i, 'd' || i from generate_series(1, 3) as i")
    db.execute("update dcim.device set serial = 'x' where id = 2")
    db.execute("delete from dcim.device where id = 3")
    async with session_of(console, "alice") as client:
        yield client


async def found(client: httpx.AsyncClient, **query: Any) -> list[tuple[str, int]]:
    answer = await client.get("changes", params=query)
    assert answer.status_code == 200, answer.text
    return [(one["action"], one["object_id"]["id"]) for one in answer.json()["items"]]


async def test_the_pages_of_a_list_have_each_change_once_the_newest_first(alice: httpx.AsyncClient) -> None:
    seen, path = [], "/api/v1/changes?limit=2"
    while path:
        answer = (await alice.get(HERE + path)).json()
        seen += [(one["action"], one["object_id"]["id"]) for one in answer["items"]]
        path = answer["next"]
    assert seen == [("delete", 3), ("update", 2), ("create", 3), ("create", 2), ("create", 1)]


async def test_filters_are_all_met(alice: httpx.AsyncClient, db: Connection) -> None:
    assert await found(alice, action="update") == [("update", 2)]
    assert await found(alice, key=3) == [("delete", 3), ("create", 3)]
    assert await found(alice, key='{"id": 3}', action="create") == [("create", 3)]
    assert await found(alice, table="dcim.none") == []
    assert await found(alice, since="2999-01-01T00:00:00Z") == []
    assert len(await found(alice, table="dcim.device", until="2999-01-01T00:00:00Z")) == 5
    assert (await alice.get("changes?run=999")).status_code == 404
    assert (await alice.get("changes?action=upsert")).status_code == 422
    assert (await alice.get("changes?cursor=x")).status_code == 422


async def test_a_change_is_shown_with_its_rows(alice: httpx.AsyncClient) -> None:
    [update] = (await alice.get("changes?action=update")).json()["items"]
    shown = (await alice.get(f"changes/{update['id']}")).json()
    assert shown["prechange"] == {"id": 2, "name": "d2", "serial": None}
    assert shown["postchange"] == {"id": 2, "name": "d2", "serial": "x"}
    assert (shown["hooks"], shown["runs"], shown["writer"], shown["is_large"]) == ([], [], None, False)
    assert (await alice.get("changes/999")).status_code == 404


async def test_a_change_says_which_hooks_it_starts_and_why_not_others(alice: httpx.AsyncClient, db: Connection) -> None:
    for name in ("started", "waiting", "other"):
        add_job(db, f"policies.{name}")
    hook = add_hook(db, "started", job="policies.started", tables=["dcim.device"], actions=["update"])
    add_hook(db, "waiting", job="policies.waiting", tables=["dcim.device"], actions=["update"], columns=["serial"])
    add_hook(db, "other", job="policies.other", tables=["dcim.device"], actions=["delete"])
    db.execute("update dcim.device set serial = 'y' where id = 2")
    newest = (await alice.get("changes?limit=1")).json()["items"][0]["id"]
    run = add_run(db, hook["id"], trigger="change", object_change_id=newest)
    shown = (await alice.get(f"changes/{newest}")).json()
    verdicts = {one["hook"]: one for one in shown["hooks"]}
    assert {name: one["state"] for name, one in verdicts.items()} == {
        "started": "started", "waiting": "will start", "other": "not started",
    }  # fmt: skip
    assert verdicts["started"]["run"] == run
    assert verdicts["other"]["reasons"]
    assert [one["id"] for one in shown["runs"]] == [run]


async def test_columns_that_one_may_not_read_are_in_no_change(
    alice: httpx.AsyncClient, console: Starlette, db: Connection
) -> None:
    db.execute("revoke select on dcim.device from oscar; grant select (id, name) on dcim.device to oscar")
    async with session_of(console, "oscar") as oscar:
        [update] = (await oscar.get("changes?action=update")).json()["items"]
        answer = await oscar.get(f"changes/{update['id']}")
    assert answer.json()["hidden_columns"] == ["serial"]
    assert answer.json()["postchange"] == {"id": 2, "name": "d2"}
