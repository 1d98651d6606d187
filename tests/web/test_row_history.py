"""What happened to a row, on its page: its changes with their differences, the runs beside them, and presses."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.types.json import Jsonb
from starlette.applications import Starlette

from rowhooks.postgres.console.history import FIRST_PART, PAGE, SQL
from tests.support.console import logged_in, page_at
from tests.support.pressing import add_button, press
from tests.support.queries import queries
from tests.support.results import add_result

Connection = psycopg.Connection[Any]
ROW = "/tables/shop.item/row?key=42"
_CHANGE = re.compile(r'<article class="change".*?</article>', re.DOTALL)
_TAGS = re.compile(r"<[^>]*>")


@pytest.fixture
def bolt(db: Connection, item: str) -> str:
    """Row 42 of shop.item, which was made and then changed twice; everybody may read it."""
    db.execute("insert into shop.item values (41, 'nut', 1), (42, 'bolt', 1), (43, 'pin', 1)")
    db.execute("update shop.item set price = 2")
    db.execute("update shop.item set price = 3, name = '<b>M8</b>' where id = 42")
    db.execute("grant usage on schema shop to public; grant select on shop.item to public")
    return ROW


async def page_of(console: Starlette, address: str, role: str = "alice") -> str:
    page = await page_at(console, address, role)
    assert len(page.encode()) < 100_000
    return page


def first_value(db: Connection, statement: str) -> Any:
    row = db.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def changes(page: str) -> list[str]:
    """Return the changes of a page as text."""
    return [" ".join(html.unescape(_TAGS.sub(" ", change)).split()) for change in _CHANGE.findall(page)]


def onward(page: str) -> str:
    found = re.search(r'aria-label="History">.*?rel="next" href="([^"]+)"', page, re.DOTALL)
    return html.unescape(found[1]) if found else ""


async def test_a_rows_changes_are_there_newest_first_with_their_differences(console: Starlette, bolt: str) -> None:
    page = await page_of(console, bolt)
    last, second, first = changes(page)
    assert last.startswith("update")
    assert "name bolt <b>M8</b> price 2 3" in last
    assert "price 1 2" in second
    assert "name" not in second.split("After")[1]
    assert first.startswith("create")
    assert re.search("name . bolt", first)
    assert "<b>M8" not in page
    assert not onward(page)


async def test_runs_stand_beside_the_changes_that_started_them(console: Starlette, db: Connection, bolt: str) -> None:
    ids = [row[0] for row in db.execute("select id from rowhooks.changes where object_id = '{\"id\": 42}' order by id")]
    key = {"tracked_table": 1, "object_id": Jsonb({"id": 42}), "hook_name": "Prices"}
    run = add_result(db, 1, object_change_id=ids[2], status="FAILURE", **key)
    again = add_result(db, 1, object_change_id=ids[2], original_id=run, status="SUCCESS", **key)
    add_result(db, 1, object_change_id=ids[1], trigger="replay", **key)
    add_result(db, 1, object_change_id=ids[0], **{**key, "object_id": Jsonb({"id": 43})})
    page = await page_of(console, bolt)
    last, second, first = changes(page)
    assert last.endswith("FAILURE Prices SUCCESS Prices again")
    assert second.endswith("SUCCESS Prices replay")
    assert first.endswith("SUCCESS Prices")
    assert f'href="/runs/{run}"' in page
    assert f'href="/runs/{again}"' in page


async def test_presses_on_the_row_are_there_and_those_on_others_are_not(
    console: Starlette, db: Connection, bolt: str
) -> None:
    add_button(db, "shop.item")
    run, other = press(db, "shop.item", "42"), press(db, "shop.item", "43")
    page = await page_of(console, bolt)
    assert f'href="/runs/{run}"' in page
    assert f'href="/runs/{other}"' not in page
    assert "PENDING" in page


async def test_a_long_history_is_pages_of_which_none_lacks_or_repeats_a_change(
    console: Starlette, db: Connection, bolt: str
) -> None:
    for price in range(10, 10 + 2 * PAGE):
        db.execute("update shop.item set price = %s", (price,))
    seen = []
    async with logged_in(console, "alice") as browser:
        address = bolt
        while address:
            page = (await browser.get(address)).text
            seen += re.findall(r'<article class="change" aria-labelledby="change-(\d+)"', page)
            address = onward(page)
            if address:
                assert ">Older<" in page
    expected = db.execute(
        "select c.id::text from rowhooks.changes as c where c.object_id = '{\"id\": 42}' order by c.id desc"
    )
    assert seen == [row[0] for row in expected.fetchall()]


async def test_the_log_is_looked_through_in_parts_and_the_page_says_so(
    console: Starlette, db: Connection, bolt: str
) -> None:
    db.execute(
        "insert into rowhooks.object_change (action, tracked_table, object_id)"
        " select 'update', 1, jsonb_build_object('id', 7) from generate_series(1, %s)",
        (FIRST_PART,),
    )
    async with logged_in(console, "alice") as browser:
        page = (await browser.get(bolt)).text
        assert changes(page) == []
        assert "It has no change among 5,000 changes of all tables. Earlier ones were not looked through yet." in page
        assert "Look through 25,000 more" in page
        page = (await browser.get(onward(page))).text
    assert len(changes(page)) == 3
    assert not onward(page)


INDEX = "create index object_change_row_idx on rowhooks.object_change (tracked_table, (object_id::text), id)"
OTHERS = (
    "insert into rowhooks.object_change (action, tracked_table, object_id)"
    f" select 'update', 1, jsonb_build_object('id', 100 + n % 50) from generate_series(1, {2 * FIRST_PART}) as n"
)


async def test_an_index_by_row_finds_the_whole_history_at_once(console: Starlette, db: Connection, bolt: str) -> None:
    db.execute(OTHERS)
    db.execute(INDEX)
    db.execute("analyze rowhooks.object_change")
    async with logged_in(console, "alice") as browser:
        page = (await browser.get(bolt)).text
        former = (await browser.get(f"{bolt}&was={quote(json.dumps({'id': 7}))}")).text
    assert len(changes(page)) == 3
    assert "looked through" not in page
    assert not onward(page)
    assert "looked through" not in former
    with db.transaction(), psycopg.RawCursor(db) as cursor:
        cursor.execute("set local role alice")
        values = (
            first_value(db, "select 'shop.item'::regclass::oid::bigint"),
            '{"id": 42}',
            None,
            FIRST_PART,
            PAGE + 1,
        )
        plan = "\n".join(
            row[0] for row in cursor.execute(f"explain (analyze) {SQL['changes_of_row']}", values).fetchall()
        )
    assert max(int(rows) for rows in re.findall(r"actual time=\S+ rows=(\d+)", plan)) < 50, plan
    assert re.search(r"Index Scan.*_tracked_table_object_id_id_idx", plan), plan


async def test_the_index_by_row_shows_nobody_more_than_without_it(
    console: Starlette, db: Connection, bolt: str
) -> None:
    db.execute(INDEX)
    db.execute("revoke select on shop.item from public; grant select (name) on shop.item to public")
    found = "select count(*) from rowhooks.visible_changes_by_row as v where v.object_key = '{\"id\": 42}'"
    assert first_value(db, found) == 3
    with db.transaction():
        db.execute("set local role alice")
        assert first_value(db, found) == 0
        assert first_value(db, "select count(*) from rowhooks.visible_changes_by_row") == 0
    db.execute("grant select on shop.item to public; alter table shop.item enable row level security")
    db.execute("create policy one on shop.item using (id = 43)")
    with db.transaction():
        db.execute("set local role alice")
        assert first_value(db, found) == 0
        assert first_value(db, "select count(*) from rowhooks.visible_changes_by_row") == 2


async def test_a_history_of_pruned_partitions_ends_where_the_log_begins(
    console: Starlette, db: Connection, bolt: str
) -> None:
    db.execute("alter sequence rowhooks.object_change_id_seq restart with 5000000")
    db.execute("select rowhooks.extend_object_change()")
    db.execute("update shop.item set price = 9")
    for (name,) in db.execute(
        "select relname from pg_class where relname ~ '^object_change_[0-9]+$' and relkind = 'r'"
        " and substring(relname from '[0-9]+')::bigint < 5000000"
    ).fetchall():
        db.execute(f"drop table rowhooks.{name}")
    page = await page_of(console, bolt)
    assert len(changes(page)) == 1
    assert not onward(page)


async def test_a_former_key_has_a_history_of_its_own(console: Starlette, db: Connection, bolt: str) -> None:
    db.execute("update shop.item set id = 50 where id = 42")
    async with logged_in(console, "alice") as browser:
        page = (await browser.get("/tables/shop.item/row?key=50")).text
        assert len(changes(page)) == 1
        assert 'Before, its key was {"id": 42} .' in changes(page)[0]
        found = re.search(r'href="([^"]*was=[^"]*)"', page)
        assert found
        former = (await browser.get(html.unescape(found[1]))).text
    assert len(changes(former)) == 3
    assert "History under its former key" in former
    assert "Newest" in former


async def test_a_person_without_a_role_sees_no_history(console: Starlette, bolt: str) -> None:
    page = await page_of(console, bolt, "mallory")
    assert changes(page) == []
    assert "You have none of these roles." in page


async def test_columns_that_may_not_be_read_are_in_no_difference(console: Starlette, db: Connection, bolt: str) -> None:
    db.execute("revoke select on shop.item from public; grant select (id, name) on shop.item to public")
    page = await page_of(console, bolt)
    assert "name bolt <b>M8</b>" in changes(page)[0]
    assert "price" not in page


async def test_row_security_hides_a_history_with_its_row(console: Starlette, db: Connection, bolt: str) -> None:
    db.execute("alter table shop.item enable row level security; create policy one on shop.item using (id = 42)")
    async with logged_in(console, "alice") as browser:
        assert len(changes((await browser.get(bolt)).text)) == 3
        assert (await browser.get("/tables/shop.item/row?key=43")).status_code == 404
        was = quote(json.dumps({"id": 43}))
        assert changes((await browser.get(f"{bolt}&was={was}")).text) == []


async def test_a_deleted_and_made_again_row_keeps_its_history(console: Starlette, db: Connection, bolt: str) -> None:
    db.execute("delete from shop.item where id = 42; insert into shop.item values (42, 'new', 1)")
    assert [change.split()[0] for change in changes(await page_of(console, bolt))] == [
        "create", "delete", "update", "update", "create"
    ]  # fmt: skip


async def test_a_partitions_row_has_the_history_of_its_table(console: Starlette, db: Connection, item: str) -> None:
    db.execute("create table shop.sale (id integer primary key, price integer) partition by range (id)")
    db.execute("create table shop.sale_1 partition of shop.sale for values from (0) to (10)")
    db.execute("select rowhooks.track('shop.sale'); insert into shop.sale values (1, 1)")
    db.execute("grant usage on schema shop to public; grant select on shop.sale, shop.sale_1 to public")
    for table in ("shop.sale", "shop.sale_1"):
        assert len(changes(await page_of(console, f"/tables/{table}/row?key=1"))) == 1


@pytest.mark.parametrize(
    "more",
    ["before=0", "before=x", "part=-1", "part=99999999999999999999", "before=9223372036854775807&part=0", "was=x"],
)
async def test_an_address_that_makes_no_sense_is_a_page(console: Starlette, bolt: str, more: str) -> None:
    await page_of(console, f"{bolt}&{more}")


async def test_large_changes_fit_on_the_page(console: Starlette, db: Connection, bolt: str) -> None:
    for number in range(20):
        db.execute("update shop.item set name = repeat(%s, 5000) where id = 42", (f"<{number}&\u202e",))
    db.execute("update shop.item set name = (select string_agg(md5(g::text), '') from generate_series(1, 5000) as g)")
    page = await page_of(console, bolt)
    assert "too large to be shown here" in page


async def test_the_page_asks_four_queries(console: Starlette, db: Connection, bolt: str) -> None:
    add_button(db, "shop.item")
    async with logged_in(console, "alice") as browser:
        with queries() as executed:
            await browser.get(bolt)
    assert len(executed) == 4


async def test_a_history_that_takes_too_long_leaves_the_rest_of_the_page(
    console: Starlette, db: Connection, bolt: str
) -> None:
    db.execute("alter table shop.item enable row level security")
    db.execute("create policy slow on shop.item using (pg_sleep(2) is not null)")
    page = await page_of(console, bolt)
    assert "The history was not found in the time that a page has." in page
    assert "Values of shop.item 42" in page
