"""The rows of a table: filters, order, pages."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from starlette.applications import Starlette

from tests.support.console import Browser, logged_in
from tests.support.queries import queries

Connection = psycopg.Connection[Any]
_KEY = re.compile(r'<th scope="row"><a href="[^"]*">([^<]*)</a></th>')
_CELLS = re.compile(r"<td>(?!<input)(.*?)</td>", re.DOTALL)
_TAGS = re.compile(r"<[^>]*>")


def keys(page: str) -> list[str]:
    return [html.unescape(key) for key in _KEY.findall(page)]


def cells(page: str) -> list[str]:
    return [html.unescape(_TAGS.sub("", cell)).strip() for cell in _CELLS.findall(page)]


def link(page: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', page)
    return html.unescape(found[1]) if found else ""


def problems(page: str) -> list[str]:
    return [html.unescape(text) for text in re.findall(r'<span class="error"[^>]*>([^<]*)</span>', page)]


async def ask(browser: Browser, table: str, *filters: tuple[str, str, str], **more: str) -> str:
    """Return a page of rows by some filters."""
    given = [pair for one in filters for pair in zip(("column", "operator", "value"), one, strict=True)]
    answer = await browser.get(f"/tables/{table}?{urlencode([*given, *more.items()])}")
    assert answer.status_code in (200, 422), answer.text
    assert len(answer.content) < 100_000
    return answer.text


@pytest.fixture
def bolt(db: Connection) -> str:
    """A table of 120 bolts that mallory may read; every tenth has no colour, the others share three."""
    db.execute("create schema shop; grant usage on schema shop to mallory")
    db.execute("create table shop.bolt (id integer primary key, name text not null, colour text, size numeric)")
    db.execute(
        "insert into shop.bolt select g, 'bolt ' || g,"
        " case when g % 10 > 0 then (array['red', 'green', 'blue'])[g % 3 + 1] end, g / 4.0"
        " from generate_series(1, 120) as g"
    )
    db.execute("grant select on shop.bolt to mallory")
    return "shop.bolt"


async def every_page(browser: Browser, table: str, **more: str) -> list[list[str]]:
    """Go through the pages by their links, to the last one and back; return the keys of each."""
    pages = [await ask(browser, table, **more)]
    while path := link(pages[-1], "next"):
        pages.append((await browser.get(path)).text)
    back = [pages[-1]]
    while path := link(back[-1], "prev"):
        back.append((await browser.get(path)).text)
    forward = [keys(page) for page in pages]
    assert [keys(page) for page in reversed(back)] == forward
    return forward


async def test_rows_come_in_the_order_of_the_key_50_on_a_page_and_back(console: Starlette, bolt: str) -> None:
    async with logged_in(console, "mallory") as browser:
        pages = await every_page(browser, bolt)
    assert pages == [
        [str(n) for n in range(1, 51)],
        [str(n) for n in range(51, 101)],
        [str(n) for n in range(101, 121)],
    ]


@pytest.mark.parametrize("sort", ["sort", "sort_desc"])
async def test_an_order_with_ties_and_nulls_leaves_no_row_out_and_shows_none_twice(
    console: Starlette, db: Connection, bolt: str, sort: str
) -> None:
    async with logged_in(console, "mallory") as browser:
        pages = await every_page(browser, bolt, **{sort: "colour"})
    direction = "desc" if sort == "sort_desc" else "asc"
    ordered = db.execute(
        f"select b.id::text from shop.bolt as b order by b.colour {direction}, b.id {direction}".encode()
    )
    assert [key for page in pages for key in page] == [key for (key,) in ordered]


async def test_pages_go_on_where_they_were_while_rows_come_and_go(
    console: Starlette, db: Connection, bolt: str
) -> None:
    async with logged_in(console, "mallory") as browser:
        first = await ask(browser, bolt)
        db.execute("delete from shop.bolt where id <= 60; insert into shop.bolt values (0, 'new')")
        second = (await browser.get(link(first, "next"))).text
    assert keys(second)[:2] == ["61", "62"]


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (("name", "eq", "bolt 7"), ["7"]),
        (("name", "contains", "T 11"), ["11", "110", "111", "112", "113", "114", "115", "116", "117", "118", "119"]),
        (("name", "contains", "%"), []),
        (("name", "starts", "bolt 12"), ["12", "120"]),
        (("name", "starts", "olt"), []),
        (("id", "contains", "00"), ["100"]),
        (("size", "lt", "0.6"), ["1", "2"]),
        (("size", "eq", "2.500"), ["10"]),
        (("id", "gt", "118"), ["119", "120"]),
        (("colour", "eq", ""), []),
        (("colour", "null", "whatever"), [str(n) for n in range(10, 130, 10)]),
    ],
)  # fmt: skip
async def test_a_filter_finds_its_rows(
    console: Starlette, bolt: str, one: tuple[str, str, str], found: list[str]
) -> None:
    async with logged_in(console, "mallory") as browser:
        assert keys(await ask(browser, bolt, one)) == found


async def test_filters_hold_together(console: Starlette, bolt: str) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await ask(browser, bolt, ("colour", "notnull", ""), ("id", "lt", "12"), ("id", "gt", "8"))
    assert keys(page) == ["9", "11"]


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (("id", "eq", "seven"), 'invalid input syntax for type integer: "seven"'),
        (("id", "eq", "99999999999"), 'value "99999999999" is out of range for type integer'),
        (("size", "gt", ""), 'invalid input syntax for type numeric: ""'),
        (("id", "like", "1"), "this is no operator"),
        (("secret", "eq", "1"), "there is no column secret, or you may not read it"),
        (("name", "eq", "a\0b"), "PostgreSQL has no text with a zero byte"),
        (("name", "eq", "x" * 501), "the value has more than 500 characters"),
    ],
)
async def test_a_value_that_the_server_refuses_is_a_problem_beside_its_field(
    console: Starlette, bolt: str, one: tuple[str, str, str], said: str
) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await ask(browser, bolt, ("name", "starts", "b"), one)
    assert problems(page) == [said]
    assert 'aria-describedby="problem-2"' in page
    assert keys(page) == []


@pytest.mark.parametrize(
    "address",
    [
        "?after=x", "?after=[]", "?after=[1]", '?after=["1","2"]', "?after=[null]", '?after=["x"]', "?sort=nothing",
        '?sort=colour&after=["a",null]', "?after=%5B%22%5Cu0000%22%5D", "?columns=x&sort=",
        "?" + "&".join(["column=id&operator=eq&value=1"] * 11), "?column=name&operator=eq&value=" + "x" * 2000,
    ],
)  # fmt: skip
async def test_an_address_that_makes_no_sense_is_a_page_that_says_so(
    console: Starlette, bolt: str, address: str
) -> None:
    async with logged_in(console, "mallory") as browser:
        answer = await browser.get(f"/tables/{bolt}{address}")
    assert answer.status_code in (200, 422)
    assert 'role="alert"' in answer.text or "columns=x" in address


async def test_columns_that_may_not_be_read_are_not_there(console: Starlette, db: Connection, bolt: str) -> None:
    db.execute("revoke select on shop.bolt from mallory; grant select (id, name) on shop.bolt to mallory")
    async with logged_in(console, "mallory") as browser:
        page = await ask(browser, bolt, ("id", "lt", "2"))
        hidden = await ask(browser, bolt, ("colour", "eq", "red"))
        by_hidden = await ask(browser, bolt, sort="colour")
    assert cells(page) == ["bolt 1"]
    assert "colour" not in page
    assert problems(hidden) == ["there is no column colour, or you may not read it"]
    assert "The rows cannot be shown: there is no column colour to sort by" in by_hidden


async def test_row_security_decides_which_rows_are_there(console: Starlette, db: Connection, bolt: str) -> None:
    db.execute("alter table shop.bolt enable row level security")
    db.execute("create policy small on shop.bolt for select using (id <= 3)")
    async with logged_in(console, "mallory") as browser:
        assert keys(await ask(browser, bolt)) == ["1", "2", "3"]
        assert keys(await ask(browser, bolt, ("id", "gt", "2"))) == ["3"]


async def test_a_key_that_may_not_be_read_is_no_key(console: Starlette, db: Connection, bolt: str) -> None:
    db.execute("revoke select on shop.bolt from mallory; grant select (name) on shop.bolt to mallory")
    async with logged_in(console, "mallory") as browser:
        page = await ask(browser, bolt)
    assert "Only the first 50 rows are shown, in no order" in page
    assert len(cells(page)) == 50
    assert not link(page, "next")


async def test_a_table_without_a_primary_key_has_a_first_page_and_says_so(
    console: Starlette, db: Connection, bolt: str
) -> None:
    db.execute("alter table shop.bolt drop constraint bolt_pkey")
    async with logged_in(console, "mallory") as browser:
        page = await ask(browser, bolt, sort_desc="id")
    assert "it has no primary key" in page
    assert "Only the first 50 rows are shown" in page
    assert cells(page)[0] == "120"
    assert not link(page, "next")


async def test_a_key_of_several_columns_orders_pages_too(console: Starlette, db: Connection) -> None:
    db.execute("create schema shop; grant usage on schema shop to mallory")
    db.execute("create table shop.place (hall text, number bigint, note text, primary key (hall, number))")
    db.execute("insert into shop.place select 'h' || g % 3, g, 'n' from generate_series(1, 130) as g")
    db.execute("grant select on shop.place to mallory")
    async with logged_in(console, "mallory") as browser:
        pages = await every_page(browser, "shop.place")
        by_number = await every_page(browser, "shop.place", sort_desc="number")
    ordered = db.execute("select hall || ', ' || number from shop.place order by hall, number")
    assert [key for page in pages for key in page] == [key for (key,) in ordered]
    assert by_number[0][:2] == ["h1, 130", "h0, 129"]


async def test_the_page_asks_two_queries_and_a_third_where_the_orders_column_may_be_null(
    console: Starlette, bolt: str
) -> None:
    async with logged_in(console, "mallory") as browser:
        with queries() as executed:
            await ask(browser, bolt)
        assert len(executed) == 2
        with queries() as executed:
            await ask(browser, bolt, ("id", "gt", "90"), sort="colour")
        assert len(executed) == 3


async def test_nothing_is_counted(console: Starlette, bolt: str) -> None:
    async with logged_in(console, "mallory") as browser:
        with queries() as executed:
            await ask(browser, bolt)
    assert not any("count(" in query for query in executed)


async def test_a_table_that_is_locked_says_so(console: Starlette, db: Connection, bolt: str) -> None:
    async with logged_in(console, "mallory") as browser:
        with db.transaction():
            db.execute("lock table shop.bolt")
            answer = await browser.get(f"/tables/{bolt}")
    assert answer.status_code == 503
    assert "another session keeps the table locked" in answer.text


async def test_rows_that_are_not_found_in_time_say_what_to_filter_by(
    console: Starlette, db: Connection, bolt: str
) -> None:
    db.execute("create function shop.slow(integer) returns integer language sql as 'select $1 from pg_sleep(9)'")
    db.execute("create index on shop.bolt (colour)")
    db.execute("alter table shop.bolt enable row level security")
    db.execute("create policy slow on shop.bolt for select using (shop.slow(id) > 0)")
    async with logged_in(console, "mallory") as browser:
        answer = await browser.get(f"/tables/{bolt}?column=name&operator=contains&value=x")
    assert answer.status_code == 503
    assert "not found in the time" in answer.text
    assert "<code>id</code>, <code>colour</code>" in answer.text
    assert 'value="x"' in answer.text


async def test_a_view_is_a_first_page(console: Starlette, db: Connection, bolt: str) -> None:
    db.execute("create view shop.red as select * from shop.bolt where colour = 'red'")
    db.execute(
        "create view shop.broken as select 1 / (id - id) as x from shop.bolt; grant select on shop.red to mallory"
    )
    db.execute("grant select on shop.broken to mallory")
    async with logged_in(console, "mallory") as browser:
        page = await ask(browser, "shop.red", sort_desc="id")
        broken = await ask(browser, "shop.broken")
    assert "A view has no primary key" in page
    assert cells(page)[1] == "bolt 117"
    assert "The rows cannot be shown: division by zero" in broken


async def test_what_is_written_into_the_form_stands_in_the_address_and_in_the_form_again(
    console: Starlette, bolt: str
) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await ask(browser, bolt, ("name", "contains", '"><script>alert(1)</script>'), sort_desc="colour")
    assert "<script>alert" not in page
    assert 'value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in page
    assert '<option value="contains" selected>' in page
    assert '<input type="hidden" name="sort_desc" value="colour">' in page


async def test_the_last_order_in_an_address_counts(console: Starlette, bolt: str) -> None:
    async with logged_in(console, "mallory") as browser:
        # What a form sends: the present order, then the heading that was pressed.
        page = (await browser.get(f"/tables/{bolt}?sort=colour&sort_desc=id")).text
    assert keys(page)[0] == "120"


async def test_a_filter_for_a_row_without_a_value_is_left_out(console: Starlette, bolt: str) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await ask(browser, bolt, ("id", "eq", "3"), ("", "eq", ""))
    assert keys(page) == ["3"]


async def test_a_place_with_a_value_that_is_none_any_more_says_so(console: Starlette, bolt: str) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await ask(browser, bolt, after=json.dumps(["not a number"]))
    assert "The rows cannot be shown: invalid input syntax for type integer" in page
