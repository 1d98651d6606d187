"""Virtual generated columns, for which a trigger's row has nothing: the capture computes them."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from rowhooks.postgres.administration.doctor import examine
from tests.support.log import clear, log
from tests.support.roles import ConnectAs, MakeRole

Connection = psycopg.Connection[Any]


@pytest.fixture
def line(db: Connection) -> str:
    """A tracked table with two virtual columns, one of which cannot be computed where there are no pieces."""
    if db.info.server_version < 180000:
        pytest.skip("PostgreSQL has virtual generated columns from version 18 on")
    db.execute(
        "create table public.line (id integer primary key, context text, pieces integer, total integer,"
        ' "Größe %s ""x" text generated always as (upper(context)) virtual,'
        " each integer generated always as (total / pieces) virtual)"
    )
    db.execute("select rowhooks.track('public.line')")
    return "public.line"


def row(identity: int, context: str, pieces: int, total: int) -> dict[str, Any]:
    found = {"id": identity, "context": context, "pieces": pieces, "total": total, 'Größe %s "x': context.upper()}
    return found | ({"each": total // pieces} if pieces else {})


def test_they_are_in_the_log_as_a_query_shows_them(db: Connection, line: str) -> None:
    db.execute("insert into public.line values (1, 'a', 2, 10)")
    db.execute("update public.line set pieces = 5")
    db.execute("delete from public.line")
    assert log(db, "action, prechange, postchange, capture_error") == [
        ("create", None, row(1, "a", 2, 10), None),
        ("update", row(1, "a", 2, 10), row(1, "a", 5, 10), None),
        ("delete", row(1, "a", 5, 10), None, None),
    ]


def test_an_update_that_changes_nothing_is_none(db: Connection, line: str) -> None:
    db.execute("insert into public.line values (1, 'a', 2, 10), (2, 'b', 0, 10)")
    clear(db)
    db.execute("update public.line set pieces = pieces")
    assert log(db) == []


def test_one_that_cannot_be_computed_costs_itself_and_no_write(db: Connection, line: str) -> None:
    db.execute("insert into public.line values (1, 'a', 2, 10)")
    db.execute("update public.line set pieces = 0")
    db.execute("delete from public.line")
    problem = "each: division by zero"
    assert log(db, "action, prechange, postchange, capture_error") == [
        ("create", None, row(1, "a", 2, 10), None),
        ("update", row(1, "a", 2, 10), row(1, "a", 0, 10), problem),
        ("delete", row(1, "a", 0, 10), None, problem),
    ]


def test_a_session_with_other_settings_and_a_hostile_path_changes_nothing(
    db: Connection, line: str, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    name = make_role("stranger")
    db.execute(f"create schema hostile authorization {name}")
    db.execute(f"grant insert on public.line to {name}")
    conn = connect_as(name)
    conn.execute("create sequence hostile.calls")
    for function in ("hostile.upper", "pg_temp.upper"):
        conn.execute(
            f"create function {function}(text) returns text language sql as 'select nextval(''hostile.calls'')::text'"
        )
    conn.execute("grant all on schema hostile to public; grant all on sequence hostile.calls to public")
    conn.execute(
        "set search_path = hostile, pg_temp, pg_catalog; set extra_float_digits = 0; set timezone = 'Asia/Tokyo'"
    )
    conn.execute("insert into public.line values (1, 'a', 2, 10)")
    assert log(db, "postchange, capture_error") == [(row(1, "a", 2, 10), None)]
    assert db.execute("select is_called from hostile.calls").fetchone() == (False,)


@pytest.mark.parametrize("followed", [True, False], ids=["event triggers", "none"])
@pytest.mark.parametrize(("alteration", "recorded"), [
    ("alter column each set expression as (total * pieces)", {"each": 20}),
    ("rename column total to sum", {"each": 5, "sum": 10}),
    ("rename column each to single", {"single": 5}),
    ("add column late integer generated always as (pieces + 1) virtual", {"late": 3}),
])  # fmt: skip
def test_they_follow_ddl(db: Connection, line: str, alteration: str, recorded: dict[str, Any], followed: bool) -> None:
    db.execute("insert into public.line values (2, 'a', 2, 10)")
    if not followed:
        db.execute("alter event trigger rowhooks_after_ddl disable")
    db.execute(f"alter table public.line {alteration}")
    clear(db)
    db.execute("insert into public.line values (1, 'a', 2, 10)")
    ((found, problem),) = log(db, "postchange, capture_error")
    assert problem is None
    assert recorded.items() <= found.items()


def test_a_table_that_gets_its_first_one_fails_no_write_and_doctor_is_content(db: Connection, item: str) -> None:
    if db.info.server_version < 180000:
        pytest.skip("PostgreSQL has virtual generated columns from version 18 on")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("alter table shop.item add column share numeric generated always as (1 / price) virtual")
    db.execute("update shop.item set price = 0")
    db.execute("update shop.item set price = 0")
    assert log(db, "action, capture_error")[1:] == [("update", "share: division by zero")]
    assert not [finding for finding in examine(db) if finding.level == "problem"]
    db.execute("alter table shop.item drop column share")
    clear(db)
    db.execute("update shop.item set price = 0")
    assert log(db) == []
    assert not [finding for finding in examine(db) if finding.level == "problem"]


def test_without_event_triggers_doctor_names_the_trigger_that_would_compute_it(db: Connection, item: str) -> None:
    if db.info.server_version < 180000:
        pytest.skip("PostgreSQL has virtual generated columns from version 18 on")
    db.execute("alter event trigger rowhooks_after_ddl disable")
    db.execute("alter table shop.item add column share numeric generated always as (1 / price) virtual")
    assert [f.way_out for f in examine(db) if "!rowhooks_update_" in f.what] == ["rowhooks track shop.item"]
    db.execute("select rowhooks.track('shop.item')")
    assert not [finding for finding in examine(db) if finding.level == "problem"]
    db.execute("insert into shop.item values (1, 'bolt', 0)")
    db.execute("update shop.item set name = 'nut'")
    assert log(db, "action") == [("create",), ("update",)]


def test_what_is_made_of_a_column_that_is_kept_out_is_a_change_by_itself(db: Connection, line: str) -> None:
    db.execute("select rowhooks.track('public.line', exclude => '{total}')")
    db.execute("insert into public.line values (1, 'a', 2, 10)")
    db.execute("update public.line set total = 11")
    db.execute("update public.line set total = 12")
    assert log(db, "postchange -> 'each', postchange ? 'total'") == [(5, False), (6, False)]


def test_in_partitions_the_expression_of_the_root_counts(db: Connection, line: str) -> None:
    db.execute(
        "create table public.part (id integer primary key, n integer,"
        " twice integer generated always as (n * 2) virtual, place oid generated always as (tableoid) virtual)"
        " partition by range (id)"
    )
    db.execute("create table public.part_1 partition of public.part for values from (0) to (10)")
    db.execute(
        "create table public.part_2 (n integer, gone text, id integer primary key,"
        " place oid generated always as (tableoid) virtual, twice integer generated always as (n + n) virtual)"
    )
    db.execute("alter table public.part_2 drop column gone")
    db.execute("alter table public.part attach partition public.part_2 for values from (10) to (20)")
    db.execute("select rowhooks.track('public.part')")
    db.execute("insert into public.part values (1, 1), (11, 2)")
    shown = db.execute("select to_jsonb(t.*) from public.part as t order by id").fetchall()
    assert log(db, "postchange") == shown
    db.execute("alter event trigger rowhooks_after_ddl disable")
    clear(db)
    db.execute("alter table public.part add column more integer")
    db.execute("insert into public.part values (2, 3), (12, 4)")
    shown = db.execute("select to_jsonb(t.*) from public.part as t where id in (2, 12) order by id").fetchall()
    assert log(db, "postchange") == shown


def test_a_hook_may_ask_for_one(db: Connection, line: str) -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('a.B', 'hook', 'b')")
    with db.transaction():
        db.execute(
            "insert into rowhooks.job_hook (name, job_id, type_update, columns)"
            " select 'prices', id, true, '{each}' from rowhooks.job"
        )
        db.execute(
            "insert into rowhooks.job_hook_table"
            " select h.id, t.id from rowhooks.job_hook as h, rowhooks.tracked_table as t"
        )
    with pytest.raises(errors.ObjectInUse):
        db.execute("select rowhooks.track('public.line', exclude => '{each}')")


def test_where_nobody_tells_of_ddl_the_first_one_fails_no_write(db: Connection) -> None:
    if db.info.server_version < 180000:
        pytest.skip("PostgreSQL has virtual generated columns from version 18 on")
    db.execute("alter event trigger rowhooks_after_ddl disable")
    db.execute("create table public.item (id integer primary key, price numeric)")
    db.execute("select rowhooks.track('public.item')")
    db.execute("insert into public.item values (1, 1)")
    db.execute("alter table public.item add column share numeric generated always as (1 / price) virtual")
    db.execute("update public.item set price = 0")
    db.execute("update public.item set price = 0")
    assert log(db, "action, capture_error")[1:] == [("update", "share: division by zero")]
    # It stays so where event triggers are there again, with the function that goes with it.
    db.execute("alter table public.item drop column share")
    db.execute("alter event trigger rowhooks_after_ddl enable")
    db.execute("select rowhooks.track('public.item')")
    db.execute("update public.item set price = 0")
    assert len(log(db)) == 2
    assert not [finding for finding in examine(db) if finding.level == "problem"]


def test_an_operator_of_its_owners_runs_nothing(db: Connection, make_role: MakeRole, connect_as: ConnectAs) -> None:
    if db.info.server_version < 180000:
        pytest.skip("PostgreSQL has virtual generated columns from version 18 on")
    name = make_role("owner")
    db.execute(f"create schema mine authorization {name}; create schema attic authorization {name}")
    conn = connect_as(name)
    conn.execute("set lc_monetary = 'C'; set timezone = 'UTC'; grant all on schema mine, attic to public")
    conn.execute("create operator mine.|+| (function = pg_catalog.int4pl, leftarg = int4, rightarg = int4)")
    conn.execute(
        "create table mine.line (id integer primary key, n integer,"
        " more integer generated always as (n operator(mine.|+|) 1) virtual)"
    )
    db.execute("select rowhooks.track('mine.line')")
    conn.execute("insert into mine.line values (1, 1)")
    # PostgreSQL made sure that its function is a built-in one; another may have its name from now on.
    conn.execute("create table mine.seen (role name); grant all on mine.seen to public")
    conn.execute(
        "create function mine.spy(integer, integer) returns integer language sql"
        " as 'insert into mine.seen values (current_user) returning 7'"
    )
    conn.execute("alter operator mine.|+| (int4, int4) set schema attic")
    conn.execute("create operator mine.|+| (function = mine.spy, leftarg = int4, rightarg = int4)")
    conn.execute("insert into mine.line values (2, 1)")
    problem = "more: it is computed by operators that are not PostgreSQL's own"
    assert log(db, "postchange, capture_error") == [({"id": 1, "n": 1}, problem), ({"id": 2, "n": 1}, problem)]
    assert db.execute("select * from mine.seen").fetchall() == []


def test_settings_that_no_expression_depends_on_cost_nothing(db: Connection, line: str) -> None:
    ((body,),) = db.execute("select prosrc from pg_proc where proname ~ '^capture_'").fetchall()
    for setting in ("TimeZone", "DateStyle", "lc_monetary"):
        assert f"current_setting('{setting}')" not in body
    assert "current_setting('extra_float_digits')" in body
