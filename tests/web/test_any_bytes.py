"""A database that knows no encoding (SQL_ASCII): bytes that are no UTF-8 are shown as bytes, and their rows found."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
import pytest_asyncio
from psycopg.types.json import Jsonb

from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.connections.target import Target
from tests.support.console import Browser, consoles_closed, logged_in, make_console, make_people
from tests.support.databases import dsn_of, roles_dropped
from tests.support.pressing import add_button, presses
from tests.support.results import add_result

Connection = psycopg.Connection[Any]
NAME = "bytes_of_any_kind"
_CHANGE = re.compile(r'<article class="change".*?</article>', re.DOTALL)

TABLES = r"""
create schema odd;
create table odd.word (id integer primary key, note text, tags text[], doc jsonb);
create table odd.key (word text primary key, note text);
grant usage on schema odd to public; grant select on odd.word, odd.key to public;
select rowhooks.track('odd.word'), rowhooks.track('odd.key');
insert into odd.word
values
  (1, e'caf\xe9', array[e'\xff', 'b'], to_jsonb(e'd\xe9'::text)), (2, 'tea', null, null),
  (3, repeat(e'\xc3\xa9', 60), null, null);
update odd.word set note = e'caf\xe8' where id = 1;
insert into odd.key select e'k\xe9' || n, 'n' || n from generate_series(100, 170) as n;
insert into odd.key values (e'k\\xe9100', 'another');
update odd.key set note = e'\xea' where word = e'k\xe9100';
"""


@pytest.fixture(scope="module")
def odd(administrator: Connection, server: SimpleNamespace, postgresql_noproc: Any) -> Iterator[str]:
    """The DSN of a database with bytes that are no UTF-8 in rows, keys, changes, a run and a button's text."""
    with roles_dropped(administrator):
        administrator.execute(
            f"create database {NAME} encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0".encode()
        )
        dsn = dsn_of(server, NAME)
        try:
            install(Target(dsn), Roles())
            with psycopg.connect(dsn, autocommit=True, client_encoding="SQL_ASCII") as db:
                make_people(db)
                db.execute(TABLES.encode())
                for name in ("word", "key"):
                    add_button(db, f"odd.{name}", name=f"On {name}")
                db.execute(rb"update rowhooks.job_button set confirmation = false, text = e'Press {{ obj.note }} \xe7'")
                key = {"tracked_table": 1, "object_id": Jsonb({"id": 1}), "hook_name": "Prices"}
                add_result(db, 1, object_change_id=1, status="FAILURE", **key)
                db.execute(rb"update rowhooks.job_result set exception_message = e'm\xe6', object_repr = e'r\xe6'")
            yield dsn
        finally:
            administrator.execute(f"drop database {NAME} with (force)".encode())


@pytest_asyncio.fixture
async def oscar(odd: str) -> AsyncIterator[Browser]:
    with consoles_closed():
        async with logged_in(make_console(odd), "oscar") as browser:
            yield browser


async def get(browser: Browser, address: str, **query: str) -> str:
    answer = await browser.get(f"{address}?{urlencode(query)}" if query else address)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


async def test_the_bytes_of_values_are_shown_as_bytes(oscar: Browser) -> None:
    listed = await get(oscar, "/tables/odd.word")
    row = await get(oscar, "/tables/odd.word/row", key="1")
    for page in (listed, row):
        assert r"caf\xe8<" in page
        assert r"{\xff,b}" in page
        assert r'"d\xe9"' in page
    assert "tea" in listed
    # The server counts bytes; what it has cut is no whole value, and ends with no half of a character.
    assert f">{'é' * 40}…<" in listed
    assert f">{'é' * 60}<" in await get(oscar, "/tables/odd.word/row", key="3")


async def test_a_rows_history_and_its_changes_show_them(oscar: Browser) -> None:
    row = await get(oscar, "/tables/odd.word/row", key="1")
    last, first = _CHANGE.findall(row)
    assert r"caf\xe9" in last
    assert r"caf\xe8" in last
    assert r"caf\xe9" in first
    change = re.search(r"/changes/\d+", last)
    assert change
    assert r"caf\xe9" in await get(oscar, change[0])
    assert "odd.key" in await get(oscar, "/changes")


async def test_runs_show_them(oscar: Browser) -> None:
    listed = await get(oscar, "/runs")
    run = re.search(r"/runs/\d+", listed)
    assert run
    assert r"m\xe6" in listed
    assert r"m\xe6" in await get(oscar, run[0])


async def test_a_key_with_them_has_a_page_of_its_own_and_is_no_other_key(oscar: Browser) -> None:
    listed = await get(oscar, "/tables/odd.key", sort="note", column="note", operator="eq", value="n101")
    [path] = re.findall(r'<th scope="row"><a href="([^"]+)">', listed)
    row = await get(oscar, path)
    assert r"k\xe9101" in row
    assert len(_CHANGE.findall(row)) == 1
    # The text in which a backslash stands is another key.
    assert "another" in await get(oscar, "/tables/odd.key/row", key=r"k\xe9100")


async def test_pages_begin_behind_such_a_key(oscar: Browser) -> None:
    seen: list[str] = []
    address = "/tables/odd.key"
    while address:
        page = await get(oscar, address)
        seen += re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)</a>', page)
        onward = re.search(r'rel="next" href="([^"]+)"', page)
        address = onward[1] if onward else ""
    assert len(seen) == len(set(seen)) + 1 == 72, "two keys are shown alike: the bytes, and the text of them"


async def test_a_button_is_pressed_on_such_a_row(odd: str, oscar: Browser) -> None:
    listed = await get(oscar, "/tables/odd.key", sort="note", column="note", operator="eq", value="n105")
    [path] = re.findall(r'<th scope="row"><a href="([^"]+)">', listed)
    row = await get(oscar, path)
    assert r"Press n105 \xe7" in row
    form = row[row.index("/press") :]
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="(.*?)">\n', form[: form.index("</form>")]))
    answer = await oscar.submit("/tables/odd.key/press", **{n: v for n, v in fields.items() if n != "csrf_token"})
    assert answer.status_code == 303, answer.text
    with psycopg.connect(odd, autocommit=True, client_encoding="SQL_ASCII") as db:
        [key] = presses(db, "convert_to(object_id ->> 'word', 'SQL_ASCII')")
    assert key == b"k\xe9105"
