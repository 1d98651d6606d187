"""However many rows a table has, a page reads what it shows: by the plans that PostgreSQL makes for its queries."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowhooks.postgres.console.conditions import Filter
from rowhooks.postgres.console.relations import describe
from rowhooks.postgres.console.rows import PAGE, Wanted, query_of
from tests.support.databases import Templates, dsn_of, new_database

Connection = psycopg.Connection[Any]
ROWS = 60_000


@pytest.fixture(scope="module")
def many(server: SimpleNamespace, administrator: Connection, templates: Templates) -> Iterator[Connection]:
    """Tables with many rows: one key, two keys of which the first tells little, and keys of types that need care."""
    with (
        new_database(administrator, "many", templates.having([])) as name,
        psycopg.connect(dsn_of(server, name), autocommit=True) as conn,
    ):
        conn.execute(TABLES.encode())
        yield conn


TABLES = f"""
create schema many;
create domain many.code as text check (value <> '');
create table many.one (id bigint primary key, name text, colour text, made timestamptz not null, note text);
insert into many.one
select g, 'n' || g, case when g % 1000 > 0 then 'c' || g % 500 end,
  timestamptz '2026-01-01' + g * interval '1 s', repeat('x', 200)
from generate_series(1, {ROWS}) as g;
create index on many.one (colour);
create index on many.one (made desc);
create table many.two (tenant integer, number bigint, primary key (tenant, number));
insert into many.two select g % 2, g from generate_series(1, {ROWS}) as g;
create table many.coded (code many.code primary key, short varchar(20) unique);
insert into many.coded select lpad(g::text, 8, '0'), 's' || g from generate_series(1, {ROWS}) as g;
create table many.parted (id bigint primary key, name text) partition by range (id);
create table many.parted_1 partition of many.parted for values from (0) to ({ROWS // 2});
create table many.parted_2 partition of many.parted for values from ({ROWS // 2}) to ({2 * ROWS});
insert into many.parted select g, 'n' from generate_series(1, {ROWS}) as g;
analyze many.one, many.two, many.coded, many.parted;
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def rows_read(conn: Connection, table: str, wanted: Wanted) -> int:
    """Execute the first query of a page; return how many rows were read from the table, shown or not."""
    query, values = query_of(describe(conn, table), wanted)
    with psycopg.RawCursor(conn) as cursor:
        explain = sql.SQL("explain (analyze, format json) {}").format(query)
        [([explained],)] = cursor.execute(explain, values or None).fetchall()
    scans = [node for node in nodes(explained["Plan"]) if "Relation Name" in node]
    assert scans
    assert not [node for node in scans if node["Node Type"] == "Seq Scan" and node["Actual Loops"]], explained
    return sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(shown=("name", "note")),
        Wanted(after=("30000",), shown=("name",)),
        Wanted(before=("30000",)),
        Wanted(sort="id", descending=True),
        Wanted(filters=(Filter("id", "eq", "777"),)),
        Wanted(filters=(Filter("id", "gt", "50000"),)),
        Wanted(filters=(Filter("id", "lt", "30000"),), sort="id", descending=True),
    ],
)
def test_a_page_by_the_key_reads_the_rows_that_it_shows(many: Connection, wanted: Wanted) -> None:
    assert 0 < rows_read(many, "many.one", wanted) <= PAGE + 1


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(sort="made"),
        Wanted(sort="made", descending=True),
        Wanted(sort="made", after=("2026-01-01 08:00:00+00", "28800")),
        Wanted(sort="made", descending=True, after=("2026-01-01 08:00:00+00", "28800")),
        Wanted(sort="made", before=("2026-01-01 08:00:00+00", "28800")),
    ],
)
def test_a_page_by_an_indexed_column_reads_the_rows_that_it_shows(many: Connection, wanted: Wanted) -> None:
    # And the next one, to see whether it is of the same value.
    assert 0 < rows_read(many, "many.one", wanted) <= PAGE + 3


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(sort="colour"),
        Wanted(sort="colour", descending=True),
        Wanted(sort="colour", after=("c250", "30250")),
        Wanted(sort="colour", after=(None, "30000")),
        Wanted(filters=(Filter("colour", "eq", "c7"),)),
        Wanted(filters=(Filter("colour", "null", ""),)),
    ],
)
def test_rows_of_one_value_of_an_indexed_column_are_read_together(many: Connection, wanted: Wanted) -> None:
    assert 0 < rows_read(many, "many.one", wanted) <= 400


@pytest.mark.parametrize(
    "wanted", [Wanted(), Wanted(after=("0", "40000")), Wanted(before=("1", "20001")), Wanted(after=("1", "30001"))]
)
def test_a_key_of_two_columns_finds_its_place_at_once(many: Connection, wanted: Wanted) -> None:
    assert 0 < rows_read(many, "many.two", wanted) <= PAGE + 1


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(after=("00030000",)),
        Wanted(filters=(Filter("code", "eq", "00000042"),)),
        Wanted(sort="short", after=("s30", "00000030")),
    ],
)
def test_a_domain_and_a_text_of_limited_length_find_their_place_too(many: Connection, wanted: Wanted) -> None:
    assert 0 < rows_read(many, "many.coded", wanted) <= PAGE + 3


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(after=(str(ROWS - 100),)), Wanted(before=("100",))])
def test_partitions_are_read_from_their_beginnings(many: Connection, wanted: Wanted) -> None:
    assert 0 < rows_read(many, "many.parted", wanted) <= PAGE + 3
