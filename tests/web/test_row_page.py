"""The page of one row: its values, what it refers to, and what refers to it."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from starlette.applications import Starlette

from tests.support.configuring import without_tokens
from tests.support.console import logged_in
from tests.support.queries import queries

Connection = psycopg.Connection[Any]
_VALUE = re.compile(r'<th scope="row">([^<]*)(?:<span.*?</span>)?</th>\s*<td>(.*?)</td>', re.DOTALL)
_TAGS = re.compile(r"<[^>]*>")

TABLES = """
create schema shop;
create table shop.hall (id integer primary key, code text unique);
create table shop.place (hall integer references shop.hall, number integer, note text, primary key (hall, number));
create table shop.bolt (
  id integer primary key, name text, hall integer, number integer, hall_code text references shop.hall (code),
  of_hall integer references shop.hall,
  foreign key (hall, number) references shop.place
);
insert into shop.hall values (1, 'A'), (2, null);
insert into shop.place values (1, 7, 'by the door');
insert into shop.bolt values (42, 'M8', 1, 7, 'A', 1), (43, 'M9', 1, null, null, null);
grant usage on schema shop to mallory;
grant select on all tables in schema shop to mallory;
comment on column shop.bolt.name is 'as in the <catalogue>';
"""


@pytest.fixture
def shop(db: Connection) -> None:
    """Halls with places for bolts, which mallory may read."""
    db.execute(TABLES)


def values(page: str) -> dict[str, str]:
    """Return the values of a row's page, by column."""
    return {html.unescape(name): html.unescape(_TAGS.sub("", value)).strip() for name, value in _VALUE.findall(page)}


def links(page: str) -> list[str]:
    return [html.unescape(path) for path in re.findall(r'<a href="(/tables/[^"]*)"', page)]


async def shown(console: Starlette, address: str, role: str = "mallory") -> str:
    async with logged_in(console, role) as browser:
        answer = await browser.get(address)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) < 100_000
    return answer.text


async def test_a_row_shows_its_values_with_types_and_comments(console: Starlette, shop: None) -> None:
    page = await shown(console, "/tables/shop.bolt/row?key=43")
    assert values(page) == {
        "id": "43", "name": "M9", "hall": "1", "number": "null", "hall_code": "null", "of_hall": "null",
    }  # fmt: skip
    assert "as in the &lt;catalogue&gt;" in page
    assert '<td class="muted">integer</td>' in page


async def test_foreign_keys_lead_to_the_rows_that_they_mean(console: Starlette, shop: None) -> None:
    async with logged_in(console, "mallory") as browser:
        page = (await browser.get("/tables/shop.bolt/row?key=42")).text
        found = links(page)[1:]
        assert [path.split("?")[0] for path in found] == [
            "/tables/shop.hall", "/tables/shop.hall/row", "/tables/shop.place/row"
        ]  # fmt: skip
        by_code, hall, place = [(await browser.get(path)).text for path in found]
    assert '<th scope="row"><a href="/tables/shop.hall/row?key=1">1</a></th>' in by_code
    assert values(hall) == {"id": "1", "code": "A"}
    assert values(place)["note"] == "by the door"


async def test_rows_that_refer_to_a_row_are_a_click_away(console: Starlette, shop: None) -> None:
    async with logged_in(console, "mallory") as browser:
        page = (await browser.get('/tables/shop.place/row?key={"hall": 1, "number": 7}')).text
        (path,) = [path for path in links(page) if path.startswith("/tables/shop.bolt?")]
        listed = (await browser.get(path)).text
    assert "row?key=42" in listed
    assert "row?key=43" not in listed


async def test_no_link_leads_to_a_table_that_may_not_be_read(console: Starlette, db: Connection, shop: None) -> None:
    db.execute("revoke select on shop.hall, shop.place from mallory")
    assert links(await shown(console, "/tables/shop.bolt/row?key=42"))[1:] == []


async def test_foreign_keys_of_partitions_are_those_of_their_table(
    console: Starlette, db: Connection, shop: None
) -> None:
    db.execute(
        "create table shop.sale (id integer primary key, hall integer references shop.hall) partition by hash (id)"
    )
    for n in (0, 1):
        db.execute(f"create table shop.sale_{n} partition of shop.sale for values with (modulus 2, remainder {n})")
    db.execute("insert into shop.sale values (1, 1), (2, 1); grant select on shop.sale, shop.sale_0 to mallory")
    page = await shown(console, "/tables/shop.hall/row?key=1")
    assert [path for path in links(page) if "shop.sale" in path] == [
        "/tables/shop.sale?column=hall&operator=eq&value=1"
    ]
    [(one,)] = db.execute("select id from shop.sale_0 limit 1").fetchall()
    page = await shown(console, f"/tables/shop.sale_0/row?key={one}")
    assert [path for path in links(page) if "/shop.hall/" in path] == ["/tables/shop.hall/row?key=1"]


@pytest.mark.parametrize(
    "key",
    ["44", "", "x", "99999999999999", '{"id": 44}', '{"name": "M8"}', "{", "[1]", '{"id": [1]}', '{"id": null}'],
)
async def test_a_key_without_a_row_is_not_found(console: Starlette, shop: None, key: str) -> None:
    async with logged_in(console, "mallory") as browser:
        answer = await browser.get(f"/tables/shop.bolt/row?key={quote(key)}")
    assert answer.status_code in (404, 422)
    assert 'role="alert"' in answer.text


async def test_a_key_may_be_written_as_the_value_or_as_json(console: Starlette, shop: None) -> None:
    for key in ("42", '{"id": 42}', '{"id": "42"}', " 42"):
        assert values(await shown(console, f"/tables/shop.bolt/row?key={quote(key)}"))["name"] == "M8"


async def test_a_text_that_looks_like_json_is_a_key_too(console: Starlette, db: Connection) -> None:
    db.execute("create schema odd; create table odd.word (word text primary key); grant usage on schema odd to mallory")
    words = ['{"word": "x"}', "{", "null", "42", '"', "a&b=c#d", " ", "\u202e", "\\", "ü"]
    for word in words:
        db.execute("insert into odd.word values (%s)", (word,))
    db.execute("grant select on odd.word to mallory")
    async with logged_in(console, "mallory") as browser:
        listed = (await browser.get("/tables/odd.word")).text
        paths = links(listed)
        pages = [(await browser.get(path)).text for path in paths]
    assert len(paths) == len(words)
    found = sorted(values(page)["word"] for page in pages)
    assert found == sorted(word.strip().replace("\u202e", "\\u202e") for word in words)


async def test_row_security_hides_a_row(console: Starlette, db: Connection, shop: None) -> None:
    db.execute("alter table shop.bolt enable row level security")
    db.execute("create policy one on shop.bolt for select using (id = 43)")
    async with logged_in(console, "mallory") as browser:
        assert (await browser.get("/tables/shop.bolt/row?key=42")).status_code == 404
        assert (await browser.get("/tables/shop.bolt/row?key=43")).status_code == 200


async def test_columns_that_may_not_be_read_are_not_there(console: Starlette, db: Connection, shop: None) -> None:
    db.execute("revoke select on shop.bolt from mallory; grant select (id, hall) on shop.bolt to mallory")
    page = await shown(console, "/tables/shop.bolt/row?key=42")
    assert values(page) == {"id": "42", "hall": "1"}
    assert "M8" not in without_tokens(page)


async def test_a_table_without_a_key_has_no_rows_with_pages(console: Starlette, db: Connection, shop: None) -> None:
    db.execute("create table shop.note (text text); grant select on shop.note to mallory")
    async with logged_in(console, "mallory") as browser:
        answer = await browser.get("/tables/shop.note/row?key=1")
    assert answer.status_code == 404
    assert "no primary key" in answer.text


async def test_the_page_asks_no_more_than_four_queries(console: Starlette, db: Connection, shop: None) -> None:
    db.execute("select rowhooks.track('shop.bolt')")
    async with logged_in(console, "alice") as browser:
        db.execute("grant usage on schema shop to alice; grant select on all tables in schema shop to alice")
        with queries() as executed:
            assert (await browser.get("/tables/shop.bolt/row?key=42")).status_code == 200
    assert len(executed) <= 4
