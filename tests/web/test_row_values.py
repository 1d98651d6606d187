"""Values of every type are shown as the server writes them; filters, orders and links take them; none is a failure."""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.postgres.console.relations import Relation, describe
from rowhooks.postgres.console.rows import RowsPage, Wanted, read_rows
from tests.support.console import Browser, logged_in

Connection = psycopg.Connection[Any]
_VALUE = re.compile(r'<th scope="row">([^<]*)</th>\s*<td>(.*?)</td>', re.DOTALL)
_TAGS = re.compile(r"<[^>]*>")

TYPES = """
create schema odd;
create type odd.mood as enum ('fine', 'so "so"', 'bad');
create type odd.pair as (a integer, b text);
create domain odd.percent as numeric check (value between 0 and 100);
create domain odd.code as text collate "C" check (length(value) < 5);
create type odd.span as range (subtype = float8);
"""
VALUES = {
    "boolean": ("true", "t"),
    "smallint": ("-32768", "-32768"),
    "bigint": ("9223372036854775807", "9223372036854775807"),
    "numeric": ("repeat('9', 1000)::numeric", "9" * 80),
    "numeric(5,2)": ("'NaN'", "NaN"),
    "real": ("1e38", "1e+38"),
    "double precision": ("'-Infinity'", "-Infinity"),
    "money": ("12.5", "$12.50"),
    "text": ("E'<b>&\"\\n\\t\\x01'", '<b>&"\\n\\t\\x01'),
    "varchar(3)": ("'abc'", "abc"),
    "char(5)": ("'ab'", "ab"),
    '"char"': ("'x'", "x"),
    "name": ("'n'", "n"),
    "bytea": (r"'\x00ff00'", r"\x00ff00"),
    "date": ("'infinity'", "infinity"),
    "timestamp": ("'294276-12-31 23:59:59'", "294276-12-31 23:59:59"),
    "timestamptz": ("'4713-01-01 BC'", "4713-01-01 00:00:00+00 BC"),
    "time": ("'24:00'", "24:00:00"),
    "timetz": ("'24:00-15:59:59'", "24:00:00-15:59:59"),
    "interval": ("'178000000 years -1 mon 3 days'", "177999999 years 11 mons 3 days"),
    "uuid": ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "inet": ("'10.0.0.0/8'", "10.0.0.0/8"),
    "cidr": ("'10.0.0.0/8'", "10.0.0.0/8"),
    "macaddr": ("'08:00:2b:01:02:03'", "08:00:2b:01:02:03"),
    "bit(3)": ("B'101'", "101"),
    "bit varying": ("B'1'", "1"),
    "json": ("'{\"a\":  [1]}'", '{"a":  [1]}'),
    "jsonb": ("'{\"a\": 1e400}'", '{"a": 1' + "0" * 73),
    "point": ("'(1,2)'", "(1,2)"),
    "polygon": ("'((0,0),(1,1))'", "((0,0),(1,1))"),
    "tsvector": ("'fat cat'", "'cat' 'fat'"),
    "tsquery": ("'fat & cat'", "'fat' & 'cat'"),
    "integer[]": ("'{{1,2},{NULL,3}}'", "{{1,2},{NULL,3}}"),
    "text[]": ("array['a,b', '\"', 'NULL']", r'{"a,b","\"","NULL"}'),
    "json[]": ("array['1'::json]", "{1}"),
    "int4range": ("'[1,5)'", "[1,5)"),
    "daterange": ("'[2020-01-01,infinity]'", "[2020-01-01,infinity]"),
    "int4multirange": ("'{[1,2),[3,4)}'", "{[1,2),[3,4)}"),
    "pg_lsn": ("'16/B374D848'", "16/B374D848"),
    "xid8": ("'12'", "12"),
    "xid": ("'12'", "12"),
    "oid": ("'4294967295'", "4294967295"),
    "regclass": ("'pg_class'", "pg_class"),
    "odd.mood": ("'so \"so\"'", 'so "so"'),
    "odd.mood[]": ("array['fine', 'bad']::odd.mood[]", "{fine,bad}"),
    "odd.pair": ("row(1, 'x')", "(1,x)"),
    "odd.pair[]": ("array[row(1, 'x')::odd.pair]", '{"(1,x)"}'),
    "odd.percent": ("50.00", "50.00"),
    "odd.percent[]": ("array[50]", "{50}"),
    "odd.code": ("'abcd'", "abcd"),
    "odd.span": ("'[1,2]'", "[1,2]"),
}
"""For each type, how a value is written in SQL, and the first 80 characters of what is shown."""
WITHOUT_ORDER = ("json", "point", "polygon", "json[]", "xid", "odd.pair", "odd.pair[]", "odd.percent[]")


@pytest.fixture
def odd(db: Connection) -> list[str]:
    """Table odd.value with a column of each type, and a row of values and one of nulls; mallory may read it."""
    db.execute(TYPES)
    columns = ", ".join(f"c{n} {name}" for n, name in enumerate(VALUES))
    db.execute(f"create table odd.value (id integer primary key, {columns})".encode())
    written = ", ".join(f"{value}" for value, _ in VALUES.values())
    db.execute(f"insert into odd.value values (1, {written})".encode())
    db.execute("insert into odd.value values (2)")
    db.execute("grant usage on schema odd to mallory; grant select on odd.value to mallory")
    return [f"c{n}" for n in range(len(VALUES))]


def shown_keys(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a></th>', page)


async def get(browser: Browser, address: str, **query: str) -> str:
    answer = await browser.get(f"{address}?{urlencode(query)}" if query else address)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) < 100_000
    return answer.text


async def test_a_row_shows_values_of_all_types_as_the_server_writes_them(console: Starlette, odd: list[str]) -> None:
    async with logged_in(console, "mallory") as browser:
        page = await get(browser, "/tables/odd.value/row", key="1")
        nulls = await get(browser, "/tables/odd.value/row", key="2")
    found = {name: html.unescape(_TAGS.sub("", value)).strip() for name, value in _VALUE.findall(page)}
    assert [found[column][:80] for column in odd] == [text for _, text in VALUES.values()]
    assert nulls.count('<span class="null">null</span>') == len(VALUES)


async def test_a_listing_shows_them_too_a_dozen_columns_at_a_time(console: Starlette, odd: list[str]) -> None:
    found: list[str] = []
    async with logged_in(console, "mallory") as browser:
        address = "/tables/odd.value"
        while address:
            page = await get(browser, address)
            row = page[page.index("<tbody>") : page.index("</tr>", page.index("<tbody>"))]
            found += [
                html.unescape(_TAGS.sub("", cell)).strip() for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
            ]
            onward = re.search(r'href="([^"]+)">Further columns', page)
            address = html.unescape(onward[1]) if onward else ""
    expected = [text for _, text in VALUES.values()]
    # What is longer ends with a mark.
    assert [text.removesuffix("…") for text in found] == expected


@pytest.mark.parametrize("operator", ["eq", "contains", "starts", "lt", "gt", "null", "notnull"])
async def test_every_type_can_be_filtered_by_every_operator(console: Starlette, odd: list[str], operator: str) -> None:
    found = {"eq": ["1"], "contains": ["1"], "starts": ["1"], "lt": [], "gt": [], "null": ["2"], "notnull": ["1"]}
    async with logged_in(console, "mallory") as browser:
        for column, (name, (_, text)) in zip(odd, VALUES.items(), strict=True):
            # What a person would copy from the page. Of a long value only a part is there, which is no such value.
            if operator in ("eq", "lt", "gt") and (len(text) >= 80 or name in ("text", "bytea")):
                continue
            value = text if name != "text" else "<b>"
            answer = await browser.get(
                f"/tables/odd.value?{urlencode({'column': column, 'operator': operator, 'value': value})}"
            )
            if operator in ("lt", "gt") and name in WITHOUT_ORDER:
                assert f"values of type {name} have no order" in answer.text
                continue
            assert answer.status_code == 200, (name, answer.text)
            assert shown_keys(answer.text) == found[operator], name


def keys_by(conn: Connection, relation: Relation, **wanted: Any) -> tuple[list[int], RowsPage]:
    page = read_rows(conn, relation, Wanted(**wanted))
    assert not page.problem, (wanted, page.problem)
    return [json.loads(row.key or "")["id"] for row in page.rows], page


def test_every_type_orders_pages_in_both_directions(
    console: Starlette, dsn: str, db: Connection, odd: list[str]
) -> None:
    columns = ", ".join(odd)
    db.execute(
        f"insert into odd.value select g, {columns} from odd.value, generate_series(3, 60) as g where id = 1".encode()
    )
    in_order = [1, *range(3, 61), 2]
    with psycopg.connect(dsn) as conn:
        relation = describe(conn, "odd.value")
        for column, name in zip(odd, VALUES, strict=True):
            first, page = keys_by(conn, relation, sort=column)
            second, _ = keys_by(conn, relation, sort=column, after=page.rows[-1].place)
            assert first + second == in_order, name
            first, page = keys_by(conn, relation, sort=column, descending=True)
            second, _ = keys_by(conn, relation, sort=column, descending=True, after=page.rows[-1].place)
            assert first + second == in_order[::-1], name


@pytest.mark.parametrize(
    ("type_name", "values"),
    [
        ("text", ["", " ", "a/b", "ü", "\u202e", "x" * 300]),
        ("numeric", ["1.50", "-0.001", "1" * 50]),
        ("uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
        ("timestamptz", ["2026-01-02 03:04:05.000006+00", "infinity", "0044-03-15 00:00:00+00 BC"]),
        ("bytea", ["\\x00ff"]),
        ("odd.mood", ["fine", 'so "so"']),
        ("odd.code", ["ab"]),
        ("integer[]", ["{1,2}", "{}"]),
        ("odd.percent[]", ["{1,2}"]),
        ("int4range", ["[1,5)", "empty"]),
        ("odd.pair", ["(1,x)"]),
        ("jsonb", ['{"a": [1, null]}', '"x"']),
        ("boolean", ["t"]),
        ("interval", ["1 day"]),
        ("double precision", ["0.1", "NaN", "1e-300"]),
        ("inet", ["10.0.0.1"]),
    ],
)  # fmt: skip
async def test_a_key_of_any_type_leads_to_its_row(
    console: Starlette, db: Connection, type_name: str, values: list[str]
) -> None:
    db.execute(TYPES)
    db.execute(f"create table odd.keyed (k {type_name} primary key, note text)".encode())
    for value in values:
        db.execute("insert into odd.keyed values (%s, %s)", (value, value))
    db.execute("grant usage on schema odd to mallory; grant select on odd.keyed to mallory")
    async with logged_in(console, "mallory") as browser:
        listed = await get(browser, "/tables/odd.keyed")
        paths = [html.unescape(path) for path in re.findall(r'<th scope="row"><a href="([^"]+)"', listed)]
        pages = [await get(browser, path) for path in paths]
    notes = {dict(_VALUE.findall(page))["note"] for page in pages}
    assert len(paths) == len(notes) == len(values)


CASELESS = """
create schema odd;
create type odd.ci;
create function odd.ci_in(cstring) returns odd.ci immutable strict language internal as 'textin';
create function odd.ci_out(odd.ci) returns cstring immutable strict language internal as 'textout';
create type odd.ci (input = odd.ci_in, output = odd.ci_out, like = pg_catalog.text, category = 'S');
create cast (odd.ci as text) without function as implicit;
create function odd.cmp(odd.ci, odd.ci) returns integer immutable strict language sql
  as 'select bttextcmp(lower($1::text collate "C"), lower($2::text collate "C"))';
create function odd.lt(odd.ci, odd.ci) returns boolean immutable strict language sql as 'select odd.cmp($1, $2) < 0';
create function odd.le(odd.ci, odd.ci) returns boolean immutable strict language sql as 'select odd.cmp($1, $2) <= 0';
create function odd.eq(odd.ci, odd.ci) returns boolean immutable strict language sql as 'select odd.cmp($1, $2) = 0';
create function odd.ge(odd.ci, odd.ci) returns boolean immutable strict language sql as 'select odd.cmp($1, $2) >= 0';
create function odd.gt(odd.ci, odd.ci) returns boolean immutable strict language sql as 'select odd.cmp($1, $2) > 0';
create operator odd.< (leftarg = odd.ci, rightarg = odd.ci, function = odd.lt);
create operator odd.<= (leftarg = odd.ci, rightarg = odd.ci, function = odd.le);
create operator odd.= (leftarg = odd.ci, rightarg = odd.ci, function = odd.eq);
create operator odd.>= (leftarg = odd.ci, rightarg = odd.ci, function = odd.ge);
create operator odd.> (leftarg = odd.ci, rightarg = odd.ci, function = odd.gt);
create operator class odd.ci_ops default for type odd.ci using btree as operator 1 odd.<, operator 2 odd.<=,
  operator 3 odd.=, operator 4 odd.>=, operator 5 odd.>, function 1 odd.cmp(odd.ci, odd.ci);
create table odd.word (word odd.ci, number integer, note odd.ci, primary key (word, number));
insert into odd.word
select case when g % 2 = 0 then 'A' else 'a' end || g / 4, g, case when g % 2 = 0 then 'N' else 'n' end
from generate_series(1, 120) as g;
"""
"""A type as citext is: its operators, in a schema of its own, take letters of both cases for equal."""


def test_a_type_with_operators_of_its_own_is_ordered_and_found_by_these(
    console: Starlette, dsn: str, db: Connection
) -> None:
    db.execute(CASELESS)
    for wanted in ({}, {"descending": True, "sort": "word"}, {"sort": "note"}, {"sort": "note", "descending": True}):
        seen: list[int] = []
        with psycopg.connect(dsn) as conn:
            relation = describe(conn, "odd.word")
            page = read_rows(conn, relation, Wanted(**wanted))
            while True:
                assert not page.problem
                seen += [json.loads(row.key or "")["number"] for row in page.rows]
                if not page.has_next:
                    break
                page = read_rows(conn, relation, Wanted(**wanted, after=page.rows[-1].place))
        direction = "desc" if "descending" in wanted else "asc"
        order = [*(["note"] if wanted.get("sort") == "note" else []), "word", "number"]
        listed = ", ".join(f"w.{name} {direction}" for name in order)
        expected = db.execute(f"select w.number from odd.word as w order by {listed}".encode()).fetchall()
        assert seen == [number for (number,) in expected], wanted


async def test_a_filter_by_such_a_type_takes_what_it_takes_for_equal(console: Starlette, db: Connection) -> None:
    db.execute(CASELESS)
    db.execute("grant usage on schema odd to mallory; grant select on odd.word to mallory")
    async with logged_in(console, "mallory") as browser:
        page = await get(browser, "/tables/odd.word", column="word", operator="eq", value="A3")
        assert shown_keys(page) == ["A3, 12", "a3, 13", "A3, 14", "a3, 15"]
        page = await get(browser, "/tables/odd.word/row", key='{"word": "A3", "number": 13}')
        assert dict(_VALUE.findall(page))["number"].count("13") == 1


async def test_xml_is_shown_and_found_by_its_text(console: Starlette, db: Connection) -> None:
    db.execute("create schema odd; create table odd.page (id integer primary key, page xml)")
    try:
        db.execute("insert into odd.page values (1, '<a>1</a>')")
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("the server knows no XML")
    db.execute("grant usage on schema odd to mallory; grant select on odd.page to mallory")
    async with logged_in(console, "mallory") as browser:
        page = await get(browser, "/tables/odd.page", column="page", operator="eq", value="<a>1</a>", sort="page")
        assert "&lt;a&gt;1&lt;/a&gt;" in await get(browser, "/tables/odd.page/row", key="1")
    assert shown_keys(page) == ["1"]


async def test_a_wide_row_with_long_values_is_pages_of_less_than_100_kb(console: Starlette, db: Connection) -> None:
    names = [f'"{"<" * 50}{n}"' for n in range(1500)]
    db.execute("create schema wide; grant usage on schema wide to mallory")
    db.execute(
        f"create table wide.wide (id integer primary key, {', '.join(f'{name} text' for name in names)})".encode()
    )
    db.execute("insert into wide.wide (id) select generate_series(1, 60)")
    some = ", ".join(f"{name} = repeat('\"&\u202e', 3000)" for name in names[:60])
    db.execute(f"update wide.wide set {some} where id <= 2".encode())
    db.execute("create table wide.long (id text primary key, a text, b jsonb, c bytea)")
    db.execute(
        "insert into wide.long select repeat(chr(1), 600) || g, repeat('<', 1000000),"
        " to_jsonb(repeat('>', 100000)), decode(repeat('00', 1000000), 'hex') from generate_series(1, 60) as g"
    )
    db.execute("grant select on all tables in schema wide to mallory")
    async with logged_in(console, "mallory") as browser:
        page = await get(browser, "/tables/wide.wide")
        assert len(shown_keys(page)) == 50
        await get(browser, "/tables/wide.wide", columns="3", sort=names[30].strip('"'))
        await get(browser, "/tables/wide.wide/row", key="1")
        await get(browser, "/tables/wide.wide/row", key="1", columns="9")
        page = await get(browser, "/tables/wide.long")
        seen = shown_keys(page)
        while onward := re.search(r'rel="next" href="([^"]+)"', page):
            page = await get(browser, html.unescape(onward[1]))
            seen += shown_keys(page)
        assert len(seen) == 60
        (key,) = db.execute("select id from wide.long limit 1").fetchone() or ("",)
        await get(browser, "/tables/wide.long/row", key=key)


async def test_a_value_that_is_too_large_to_be_read_says_how_large_it_is(console: Starlette, db: Connection) -> None:
    db.execute("create schema large; grant usage on schema large to mallory")
    db.execute("create table large.large (id integer primary key, document jsonb)")
    db.execute("alter table large.large alter document set storage external")
    db.execute("insert into large.large values (1, to_jsonb(repeat('x', 2000000)))")
    db.execute("grant select on large.large to mallory")
    async with logged_in(console, "mallory") as browser:
        assert "2,000,008 bytes, not shown" in await get(browser, "/tables/large.large")
        assert "2,000,008 bytes, not shown" in await get(browser, "/tables/large.large/row", key="1")


async def test_nothing_that_a_tables_owner_has_written_runs_as_the_reader(console: Starlette, db: Connection) -> None:
    """Neither a cast of a type, nor the check of a domain, nor an operator: those that a SELECT does not call."""
    db.execute(
        """
        create schema trap;
        create table trap.sprung (what text);
        grant usage on schema trap to mallory;
        create role trapper;
        grant all on schema trap to trapper;
        grant all on trap.sprung to public;
        set role trapper;
        create type trap.mood as enum ('fine', 'bad');
        create function trap.spring(trap.mood) returns text language plpgsql as
          $$ begin insert into trap.sprung values ('cast'); return 'x'; end $$;
        create cast (trap.mood as text) with function trap.spring(trap.mood);
        create function trap.springs(text) returns boolean language plpgsql as
          $$ begin insert into trap.sprung values ('check'); return true; end $$;
        create domain trap.word as text check (trap.springs(value));
        create type trap.words as (word trap.word);
        create function trap.equals(trap.mood, trap.mood) returns boolean language plpgsql as
          $$ begin insert into trap.sprung values ('operator'); return true; end $$;
        create operator trap.= (leftarg = trap.mood, rightarg = trap.mood, function = trap.equals);
        create operator trap.< (leftarg = trap.mood, rightarg = trap.mood, function = trap.equals);
        create table trap.trap (id trap.word primary key, mood trap.mood, words trap.words, many trap.word[]);
        insert into trap.trap values ('a', 'fine', row('b'), '{c}');
        grant select on trap.trap to mallory;
        reset role;
        truncate trap.sprung;
        """
    )
    async with logged_in(console, "mallory") as browser:
        for column, value in (("id", "a"), ("mood", "fine"), ("words", "(b)"), ("many", "{c}")):
            for operator in ("eq", "contains", "lt", "gt"):
                query = {"column": column, "operator": operator, "value": value, "sort": column}
                await browser.get(f"/tables/trap.trap?{urlencode(query)}")
            place = f'["{value}","a"]' if column != "id" else '["0"]'
            page = await get(browser, "/tables/trap.trap", sort=column, after=place)
            assert "cannot be shown" not in page, column
        assert shown_keys(await get(browser, "/tables/trap.trap", column="words", operator="eq", value="(b)")) == ["a"]
        assert "fine" in await get(browser, "/tables/trap.trap/row", key="a")
    assert db.execute("select * from trap.sprung").fetchall() == []
    db.execute("drop owned by trapper cascade; drop role trapper")
