"""The list of tables."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from tests.support.console import logged_in
from tests.support.queries import queries

Connection = psycopg.Connection[Any]
_LINK = re.compile(r'<a href="(/tables/[^"?]+)">([^<]+)</a></th>')


async def listed(console: Starlette, address: str = "/tables", role: str = "mallory") -> list[str]:
    """Return the names of the tables that a page lists."""
    async with logged_in(console, role) as browser:
        answer = await browser.get(address)
    assert answer.status_code == 200
    return [name for _, name in _LINK.findall(answer.text)]


@pytest.fixture
def shop(db: Connection) -> None:
    """Schema shop, which everybody may use, with tables that mallory may and may not read."""
    db.execute("create schema shop; grant usage on schema shop to public")
    db.execute("create table shop.bolt (id integer primary key, name text)")
    db.execute("create table shop.nut (id integer primary key, name text, secret text)")
    db.execute("create table shop.hidden (id integer primary key)")
    db.execute("grant select on shop.bolt to mallory; grant select (id, name) on shop.nut to mallory")


async def test_tables_that_may_be_read_are_listed_and_no_others(console: Starlette, db: Connection, shop: None) -> None:
    db.execute("create schema cellar; create table cellar.wine (id integer); grant select on cellar.wine to mallory")
    assert await listed(console) == ["shop.bolt", "shop.nut"]


async def test_tracked_tables_come_first(console: Starlette, db: Connection, shop: None) -> None:
    db.execute("select rowhooks.track('shop.nut')")
    assert await listed(console) == ["shop.nut", "shop.bolt"]


async def test_a_partitioned_table_is_listed_and_its_partitions_are_not(
    console: Starlette, db: Connection, shop: None
) -> None:
    db.execute("create table shop.sale (id integer primary key) partition by range (id)")
    db.execute("create table shop.sale_1 partition of shop.sale for values from (0) to (10)")
    db.execute("grant select on shop.sale, shop.sale_1 to mallory")
    assert await listed(console) == ["shop.bolt", "shop.nut", "shop.sale"]


async def test_a_table_is_found_by_a_part_of_its_name_in_any_case(console: Starlette, shop: None) -> None:
    assert await listed(console, "/tables?search=P.Bo") == ["shop.bolt"]
    assert await listed(console, "/tables?search=%25") == []


async def test_the_number_of_rows_is_an_estimate_and_says_so(console: Starlette, db: Connection, shop: None) -> None:
    db.execute("insert into shop.bolt select g, 'x' from generate_series(1, 1234) as g; analyze shop.bolt")
    db.execute("comment on table shop.bolt is 'Bolts <b>and</b> screws'")
    async with logged_in(console, "mallory") as browser:
        answer = await browser.get("/tables")
    assert "Rows, estimated" in answer.text
    assert "about 1,234" in answer.text
    assert "unknown" in answer.text
    assert "Bolts &lt;b&gt;and&lt;/b&gt; screws" in answer.text


async def test_a_partitioned_tables_estimate_is_that_of_its_partitions(
    console: Starlette, db: Connection, shop: None
) -> None:
    db.execute("create table shop.sale (id integer primary key) partition by range (id)")
    db.execute("create table shop.sale_1 partition of shop.sale for values from (0) to (10)")
    db.execute("create table shop.sale_2 partition of shop.sale for values from (10) to (100)")
    db.execute("insert into shop.sale select generate_series(0, 49); analyze shop.sale_1, shop.sale_2")
    db.execute("grant select on shop.sale to mallory")
    async with logged_in(console, "mallory") as browser:
        answer = await browser.get("/tables?search=sale")
    assert "about 50<" in answer.text


async def test_many_tables_with_long_names_and_comments_are_pages_of_less_than_100_kb(
    console: Starlette, db: Connection
) -> None:
    schema = "s" + '"' * 62
    db.execute('create schema "{}"'.format(schema.replace('"', '""')))
    db.execute("set statement_timeout = 0")
    db.execute(
        """do $$ begin for i in 1..500 loop
          execute format('create table %I.%I (id integer)', 's' || repeat('"', 62), repeat('"', 60) || i);
          execute format('comment on table %I.%I is %L', 's' || repeat('"', 62), repeat('"', 60) || i, repeat('<', 99));
        end loop; end $$"""
    )
    db.execute('grant usage on schema "{0}" to mallory; grant select on all tables in schema "{0}" to mallory'.format(
        schema.replace('"', '""')))  # fmt: skip
    names: list[str] = []
    async with logged_in(console, "mallory") as browser:
        address = "/tables"
        while address:
            answer = await browser.get(address)
            assert len(answer.content) < 100_000
            names += [path for path, _ in _LINK.findall(answer.text)]
            found = re.search(r'rel="next" href="([^"]+)"', answer.text)
            address = found[1].replace("&amp;", "&") if found else ""
    assert len(set(names)) == len(names) == 500


async def test_names_are_text_and_lead_to_their_tables(console: Starlette, db: Connection) -> None:
    names = ["<script>alert(1)</script>", "a/b?c#d%2F", 'say "hi".x', "new", "..", "ǘ\u202e", "{{ 7777 * 7777 }}"]
    db.execute("create schema odd; grant usage on schema odd to mallory")
    for name in names:
        quoted = '"' + name.replace('"', '""') + '"'
        db.execute(f"create table odd.{quoted} (id integer primary key); grant select on odd.{quoted} to mallory")
        db.execute(f"insert into odd.{quoted} values (1)")
    async with logged_in(console, "mallory") as browser:
        answer = await browser.get("/tables")
        paths = [path for path, _ in _LINK.findall(answer.text)]
        assert len(paths) == len(names)
        pages = [await browser.get(path) for path in paths]
    assert "<script>alert" not in answer.text + "".join(page.text for page in pages)
    assert [page.status_code for page in pages] == [200] * len(names)
    assert all("Rows of odd." in page.text for page in pages)


@pytest.mark.parametrize(
    "address", ["/tables?page=0", "/tables?page=x", "/tables?page=99999999999", "/tables?search=%00"]
)
async def test_an_address_that_makes_no_sense_is_a_page(console: Starlette, shop: None, address: str) -> None:
    await listed(console, address)


async def test_the_page_asks_one_query(console: Starlette, shop: None) -> None:
    async with logged_in(console, "mallory") as browser:
        with queries() as executed:
            await browser.get("/tables")
    assert len(executed) == 1


async def test_rowhooks_own_tables_and_the_catalogue_have_no_pages(console: Starlette) -> None:
    assert [name for name in await listed(console, role="alice") if name.startswith(("rowhooks.", "pg_"))] == []
    async with logged_in(console, "alice") as browser:
        for name in ("rowhooks.buttons", "pg_catalog.pg_class", "information_schema.tables", "nothing", "no.such"):
            assert (await browser.get(f"/tables/{name}")).status_code == 404
