"""Tables and rows by the API: what the role may see, by filters, in order, page by page, with JSON's types."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from tests.support.api import session_of
from tests.support.console import HERE
from tests.support.console_runs import let_people_read
from tests.support.pressing import add_button

Connection = psycopg.Connection[Any]
ROWS = "tables/dcim.device/rows"


@pytest.fixture
async def alice(console: Starlette, db: Connection, device: str) -> AsyncIterator[httpx.AsyncClient]:
    """A viewer's client; seven devices, some without a serial."""
    let_people_read(db)
    db.execute(
        "insert into dcim.device"
        " select i, 'd' || i, case when i % 3 > 0 then 's' || i end from generate_series(1, 7) as i"
    )
    async with session_of(console, "alice") as client:
        yield client


def items(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def ids(answer: httpx.Response) -> list[int]:
    return [one["key"]["id"] for one in items(answer)]


async def test_the_tables_that_one_may_read_are_listed_and_no_others(alice: httpx.AsyncClient, db: Connection) -> None:
    db.execute("create table dcim.secret (id integer primary key)")
    listed = items(await alice.get("tables"))
    assert [(one["name"], one["kind"], one["is_tracked"]) for one in listed] == [("dcim.device", "table", True)]
    assert items(await alice.get("tables?search=DEV")) == listed
    assert items(await alice.get("tables?search=rack")) == []
    assert (await alice.get("tables/dcim.secret")).status_code == 404
    assert (await alice.get("tables/dcim.secret/rows")).status_code == 404


async def test_a_table_is_shown_with_its_columns_and_keys(alice: httpx.AsyncClient, db: Connection) -> None:
    db.execute(
        "create table dcim.port (id integer primary key, device_id integer references dcim.device, pin text);"
        "grant select (id, device_id) on dcim.port to alice"
    )
    port = (await alice.get("tables/dcim.port")).json()
    assert [one["name"] for one in port["columns"]] == ["id", "device_id"]
    assert port["key"] == ["id"]
    assert [(one["table"], one["columns"]) for one in port["refers_to"]] == [("dcim.device", ["device_id"])]
    device = (await alice.get("tables/dcim.device")).json()
    assert [one["table"] for one in device["referred_by"]] == ["dcim.port"]


async def test_the_pages_of_rows_have_each_row_once_in_order(alice: httpx.AsyncClient) -> None:
    for order, expected in (
        ("", [1, 2, 3, 4, 5, 6, 7]),
        ("&descending=true", [7, 6, 5, 4, 3, 2, 1]),
        ("&sort=serial", [1, 2, 4, 5, 7, 3, 6]),
        ("&sort=serial&descending=true", [6, 3, 7, 5, 4, 2, 1]),
    ):
        seen, path = [], f"/api/v1/{ROWS}?limit=2{order}"
        while path:
            answer = await alice.get(HERE + path)
            seen += ids(answer)
            path = answer.json()["next"]
        assert seen == expected


async def test_filters_are_all_met(alice: httpx.AsyncClient) -> None:
    async def found(*filters: tuple[str, str, str]) -> list[int]:
        names = ("column", "operator", "value")
        return ids(await alice.get(ROWS, params=[pair for one in filters for pair in zip(names, one, strict=True)]))

    assert await found(("name", "eq", "d3")) == [3]
    assert await found(("id", "gt", "2"), ("id", "lt", "5")) == [3, 4]
    assert await found(("serial", "null", "")) == [3, 6]
    assert await found(("serial", "notnull", ""), ("name", "contains", "D1")) == [1]


@pytest.mark.parametrize(
    "query",
    ["column=id", "column=id&operator=eq", "column=id&operator=is&value=1", "column=id&operator=eq&value=x",
     "column=pin&operator=eq&value=x", "sort=pin", "show=pin", "cursor=x", "cursor=WyIxIl0&sort=serial", "limit=101"],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(alice: httpx.AsyncClient, query: str) -> None:
    answer = await alice.get(f"{ROWS}?{query}")
    assert answer.status_code == 422, answer.text


async def test_values_have_the_types_of_json_and_all_digits(alice: httpx.AsyncClient, db: Connection) -> None:
    db.execute(
        "create table dcim.kinds"
        " (id bigint primary key, n numeric, f float8, b boolean, j jsonb, d date, t text[], x text)"
    )
    db.execute("grant select on dcim.kinds to alice")
    db.execute(
        "insert into dcim.kinds values (9007199254740993, 1.10, 'NaN', true, '{\"a\": 12345678901234567890.5}',"
        " 'infinity', '{a,b}', null)"
    )
    answer = await alice.get("tables/dcim.kinds/rows")
    [row] = json.loads(answer.text, parse_float=Decimal)["items"]
    assert row["key"] == {"id": 9007199254740993}
    assert row["values"] == {
        "id": 9007199254740993, "n": Decimal("1.10"), "f": "NaN", "b": True,
        "j": {"a": Decimal("12345678901234567890.5")}, "d": "infinity", "t": "{a,b}", "x": None,
    }  # fmt: skip
    assert '"n": 1.10' in answer.text
    one = await alice.get("tables/dcim.kinds/row?key=9007199254740993")
    assert json.loads(one.text, parse_float=Decimal)["values"] == row["values"]


async def test_what_is_shortened_or_too_large_is_named(alice: httpx.AsyncClient, db: Connection) -> None:
    db.execute("create table dcim.long (id integer primary key, a text, j jsonb); grant select on dcim.long to alice")
    db.execute(
        "insert into dcim.long select 1, repeat('x', 5000), to_jsonb(string_agg(random()::text, ''))"
        " from generate_series(1, 20000)"
    )
    [row] = items(await alice.get("tables/dcim.long/rows"))
    assert row["shortened"] == ["a"]
    assert row["values"]["a"] == "x" * 1000
    assert (row["values"]["j"], list(row["unread"])) == (None, ["j"])
    assert row["unread"]["j"] > 100_000


async def test_rows_without_a_key_are_listed_and_it_is_said_that_there_are_more(
    alice: httpx.AsyncClient, db: Connection
) -> None:
    db.execute("create table dcim.heap as select i from generate_series(1, 5) as i; grant select on dcim.heap to alice")
    answer = (await alice.get("tables/dcim.heap/rows?limit=2")).json()
    assert [one["key"] for one in answer["items"]] == [None, None]
    assert (answer["next"], answer["is_cut"]) == (None, True)
    assert (await alice.get("tables/dcim.heap/rows")).json()["is_cut"] is False


async def test_row_security_hides_rows(alice: httpx.AsyncClient, db: Connection) -> None:
    db.execute("alter table dcim.device enable row level security")
    db.execute("create policy newest on dcim.device for select to alice using (id > 5)")
    assert ids(await alice.get(ROWS)) == [6, 7]
    assert (await alice.get("tables/dcim.device/row?key=1")).status_code == 404


async def test_a_row_is_shown_with_its_buttons(alice: httpx.AsyncClient, db: Connection) -> None:
    add_button(db, "dcim.device", "Reboot")
    add_button(db, "dcim.device", "Wipe", roles="{rowhooks_admin}")
    row = (await alice.get("tables/dcim.device/row?key=2")).json()
    assert (row["table"], row["key"]) == ("dcim.device", {"id": 2})
    assert row["values"] == {"id": 2, "name": "d2", "serial": "s2"}
    assert [(one["name"], one["disabled"]) for one in row["buttons"]] == [("Reboot", False), ("Wipe", True)]
    assert row["buttons"][1]["reason"]
    assert (await alice.get("tables/dcim.device/row", params={"key": '{"id": 2}'})).json() == row


async def test_a_table_whose_name_needs_quotes_has_an_address(alice: httpx.AsyncClient, db: Connection) -> None:
    db.execute('create table dcim."a/b %2F" (id integer primary key); grant select on dcim."a/b %2F" to alice')
    db.execute('insert into dcim."a/b %2F" values (1)')
    [table] = items(await alice.get("tables?search=a/b"))
    answer = await alice.get("tables/" + table["name"].replace("%", "%25").replace("/", "%2F") + "/rows")
    assert ids(answer) == [1]
