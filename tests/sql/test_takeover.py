"""A table's owner has code that runs when his rows are turned into JSON: it never runs with rowhooks' rights."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.log import actions, clear, log
from tests.support.roles import ConnectAs, MakeRole

Connection = psycopg.Connection[Any]

# Whatever runs it is put down in a table that everybody may write to, and in what is captured.
EVIL = """
create table hostile.caught (who text);
grant usage on schema hostile to public;
grant insert on hostile.caught to public;
create function hostile.caught(anyelement) returns json language plpgsql as
$$ begin
  insert into hostile.caught values (current_user); return pg_catalog.to_json(current_user::pg_catalog.text);
end $$;
create type hostile.mood as enum ('sad', 'ok');
create function hostile.mood_json(hostile.mood) returns json language sql as 'select hostile.caught($1)';
create cast (hostile.mood as json) with function hostile.mood_json(hostile.mood);
create function hostile.mood_number(hostile.mood) returns integer language sql as 'select hostile.caught($1); select 1';
create cast (hostile.mood as integer) with function hostile.mood_number(hostile.mood);
create function hostile.mood_text(hostile.mood) returns text language sql as 'select hostile.caught($1); select ''x''';
create cast (hostile.mood as text) with function hostile.mood_text(hostile.mood) as assignment;
"""


@pytest.fixture
def evil(stranger: Connection) -> Connection:
    """The owner of a schema with a type whose casts say who runs them."""
    stranger.execute(EVIL)
    return stranger


def caught(db: Connection) -> set[str]:
    """Return the roles with whose rights the owner's code has run."""
    return {who for (who,) in db.execute("select who from hostile.caught")}


def test_the_traps_work(db: Connection, evil: Connection) -> None:
    evil.execute("create table hostile.person (id integer primary key, mood hostile.mood)")
    evil.execute("insert into hostile.person values (1, 'ok')")
    db.execute("select to_jsonb(p.*) from hostile.person as p")
    assert caught(db) == {db.info.user}


def test_a_capture_function_does_nothing_for_another_table_of_its_owner(db: Connection, evil: Connection) -> None:
    evil.execute("create table hostile.person (id integer primary key, r integer)")
    evil.execute("create table hostile.other (id integer primary key, mood hostile.mood)")
    db.execute("select rowhooks.track('hostile.person')")
    ((function,),) = db.execute("select proname from pg_proc where proname ~ '^capture_' order by oid desc limit 1")
    for timing, level in (("after insert or update or delete", "row"), ("after truncate", "statement")):
        evil.execute(
            f"create trigger t_{level} {timing} on hostile.other for each {level}"
            f" execute function rowhooks.{function}()"
        )
    evil.execute("insert into hostile.other values (1, 'ok')")
    evil.execute("update hostile.other set mood = 'sad'")
    evil.execute("delete from hostile.other")
    evil.execute("truncate hostile.other")
    assert log(db) == []
    assert caught(db) == set()


def test_a_partition_that_was_detached_is_another_table(db: Connection, evil: Connection) -> None:
    evil.execute("create table hostile.part (id integer primary key) partition by range (id)")
    evil.execute("create table hostile.part_1 partition of hostile.part for values from (0) to (10)")
    db.execute("select rowhooks.track('hostile.part')")
    evil.execute("insert into hostile.part values (1)")
    ((function,),) = db.execute("select proname from pg_proc where proname ~ '^capture_' order by oid desc limit 1")
    evil.execute("alter table hostile.part detach partition hostile.part_1")
    evil.execute(f"create trigger t after insert on hostile.part_1 for each row execute function rowhooks.{function}()")
    evil.execute("insert into hostile.part_1 values (2)")
    assert actions(db) == [("create", 1)]


def test_a_type_is_not_trusted_because_it_belongs_to_an_extension(db: Connection, evil: Connection) -> None:
    evil.execute("create table hostile.person (id integer primary key, mood hostile.mood)")
    # As the owner of a trusted extension may do himself.
    db.execute("alter extension plpgsql add type hostile.mood")
    db.execute("select rowhooks.track('hostile.person')")
    evil.execute("insert into hostile.person values (1, 'ok')")
    assert log(db, "postchange") == [({"id": 1, "mood": "ok"},)]
    assert caught(db) == set()
    db.execute("alter extension plpgsql drop type hostile.mood")


# Each makes hostile.person, with a column `c` whose type means no harm at first, and then something else of it.
SHAPES = {
    "another table's rows": (
        "create table hostile.pet (name text); create table hostile.person (id integer primary key, c hostile.pet)",
        "alter table hostile.pet add column mood hostile.mood",
        "row('a', 'ok')::hostile.pet",
    ),
    "an array of another table's rows": (
        "create table hostile.pet (name text); create table hostile.person (id integer primary key, c hostile.pet[])",
        "alter table hostile.pet add column mood hostile.mood",
        "array[row('a', 'ok')::hostile.pet]",
    ),
    "a domain over another table's rows": (
        "create table hostile.pet (name text); create domain hostile.some_pet as hostile.pet;"
        " create table hostile.person (id integer primary key, c hostile.some_pet)",
        "alter table hostile.pet add column mood hostile.mood",
        "row('a', 'ok')::hostile.some_pet",
    ),
    "a composite type": (
        "create type hostile.pair as (a integer); create table hostile.person (id integer primary key, c hostile.pair)",
        "alter type hostile.pair add attribute mood hostile.mood",
        "row(1, 'ok')::hostile.pair",
    ),
    "a composite type in a composite type": (
        "create type hostile.pair as (a integer);"
        " create type hostile.pairs as (one hostile.pair, other hostile.pair[]);"
        " create table hostile.person (id integer primary key, c hostile.pairs)",
        "alter type hostile.pair add attribute mood hostile.mood",
        "row(row(1, 'ok'), array[row(2, 'ok')::hostile.pair])::hostile.pairs",
    ),
    "an added column": (
        "create table hostile.person (id integer primary key)",
        "alter table hostile.person add column c hostile.mood",
        "'ok'",
    ),
    "a column of another type": (
        "create table hostile.person (id integer primary key, c text)",
        "alter table hostile.person alter column c type hostile.mood using 'ok'",
        "'ok'",
    ),
    "a column dropped and made anew": (
        "create table hostile.person (id integer primary key, c text)",
        "alter table hostile.person drop column c; alter table hostile.person add column c hostile.mood",
        "'ok'",
    ),
    "a key of another type": (
        "create table hostile.person (id integer primary key, c integer unique not null)",
        "alter table hostile.person drop constraint person_pkey, add primary key (c);"
        " alter table hostile.person alter column c type hostile.mood using 'ok'",
        "'ok'",
    ),
    "a column of an inherited table": (
        "create table hostile.parent (n integer); create table hostile.person (id integer primary key)"
        " inherits (hostile.parent)",
        "alter table hostile.parent add column c hostile.mood",
        "'ok'",
    ),
    "a typed table": (
        "create type hostile.shape as (id integer, n integer);"
        " create table hostile.person of hostile.shape (primary key (id))",
        "alter type hostile.shape add attribute c hostile.mood cascade",
        "'ok'",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("followed", [True, False], ids=["event triggers", "none"])
def test_a_type_that_turns_evil_later_runs_nothing(
    db: Connection, evil: Connection, shape: str, followed: bool
) -> None:
    made, turned, value = SHAPES[shape]
    if not followed:
        db.execute("alter event trigger rowhooks_after_ddl disable")
    evil.execute(made)
    db.execute("select rowhooks.track('hostile.person')")
    evil.execute(turned)
    _write(evil, value)
    _see_that_nothing_ran(db)


@pytest.mark.parametrize(
    "shape", [shape for shape in SHAPES if "column" in shape or "key" in shape or "typed" in shape]
)
def test_nor_where_the_refresh_after_ddl_could_not_be_done(
    db: Connection, evil: Connection, connect_as: ConnectAs, shape: str
) -> None:
    made, turned, value = SHAPES[shape]
    evil.execute(made)
    db.execute("select rowhooks.track('hostile.person')")
    with connect_as(evil.info.user) as accomplice, accomplice.transaction():
        # What it keeps locked is the table's entry.
        db.execute(sql.SQL("grant create on database {} to {}").format(
            sql.Identifier(db.info.dbname), sql.Identifier(evil.info.user)
        ))  # fmt: skip
        accomplice.execute("alter schema hostile rename to hostile2")
        evil.execute("set lock_timeout = '1ms'")
        evil.execute(turned)
        evil.execute("reset lock_timeout")
        _write(evil, value)
        raise psycopg.Rollback
    _see_that_nothing_ran(db)


@pytest.mark.parametrize(
    ("shape", "former"),
    [("a column of another type", "'ok'"), ("a column dropped and made anew", "'ok'"), ("a key of another type", "1")],
)
def test_nor_in_a_session_that_has_written_before(db: Connection, evil: Connection, shape: str, former: str) -> None:
    made, turned, value = SHAPES[shape]
    db.execute("alter event trigger rowhooks_after_ddl disable")
    evil.execute(made)
    db.execute("select rowhooks.track('hostile.person')")
    _write(evil, former)
    db.execute("delete from rowhooks.object_change")
    evil.execute(turned)
    _write(evil, value)
    _see_that_nothing_ran(db)


def _write(evil: Connection, value: str) -> None:
    evil.execute(f"insert into hostile.person (id, c) values (1, {value})")
    evil.execute("update hostile.person set id = 2")
    evil.execute("delete from hostile.person")


def _see_that_nothing_ran(db: Connection) -> None:
    assert caught(db) == set()
    recorded = log(db, "action, capture_error, concat(prechange, postchange, object_id, object_repr)")
    assert [row[:2] for row in recorded] == [("create", None), ("update", None), ("delete", None)]
    for _, _, text in recorded:
        assert "ok" in text


def column_by_column(db: Connection) -> int:
    """Return how many rows this transaction has captured in the slow way."""
    row = db.execute("select sum(calls) from pg_stat_xact_user_functions where funcname = 'row_by_columns'").fetchone()
    return int(row[0] or 0) if row else 0


@pytest.mark.parametrize("identity", [None, []])
def test_everyday_tables_are_captured_in_the_fast_way(db: Connection, identity: list[str] | None) -> None:
    """What notices that a function is out of date does not take them for that."""
    for kind in (
        "domain public.cents as integer", "type public.state as enum ('new', 'old')",
        "type public.spot as (x integer, y integer)",
    ):  # fmt: skip
        db.execute(f"create {kind}")
    db.execute(
        "create table public.everyday (id integer primary key, n numeric, price cents, states state[], state state,"
        " at spot, t timestamptz, j json, jb jsonb, b bytea, r int4range, a text[],"
        " twice integer generated always as (id * 2) stored)"
    )
    db.execute("alter table public.everyday drop column n; alter table public.everyday add column n text")
    db.execute("create table public.part (id integer primary key, price cents) partition by range (id)")
    db.execute("create table public.part_1 (price cents, dropped text, id integer primary key)")
    db.execute("alter table public.part_1 drop column dropped")
    db.execute("alter table public.part attach partition public.part_1 for values from (0) to (10)")
    for table in ("everyday", "part"):
        db.execute("select rowhooks.track(%s, identity => %s)", (f"public.{table}", identity))
    with db.transaction():
        db.execute("set local track_functions = 'pl'")
        db.execute("insert into public.everyday (id, price, state, at) values (1, 2, 'new', row(1, 2))")
        db.execute("update public.everyday set price = 3")
        db.execute("delete from public.everyday")
        db.execute("insert into public.part values (1, 2)")
        assert len(log(db)) == 4
        assert column_by_column(db) == 0
        db.execute("""insert into public.everyday (id, j) values (2, '"\\u0000"')""")
        assert column_by_column(db) == 1


def test_a_table_known_under_another_oid_is_captured_all_the_same(db: Connection, item: str) -> None:
    """As after a restore, until its function is made anew."""
    ((source,),) = db.execute("select prosrc from pg_proc where proname = 'capture_1'").fetchall()
    ((oid,),) = db.execute("select 'shop.item'::regclass::oid::text").fetchall()
    db.execute(
        sql.SQL(
            "create or replace function rowhooks.capture_1() returns trigger language plpgsql security definer as {}"
        ).format(sql.Literal(source.replace(oid, "1")))
    )
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "action, object_id, postchange, capture_error") == [
        ("create", {"id": 1}, {"id": 1, "name": "bolt", "price": 1}, None)
    ]


CAPTURE_MAY_NOT = [
    "select * from rowhooks.object_change",
    "update rowhooks.object_change set user_name = 'x'",
    "delete from rowhooks.object_change",
    "insert into rowhooks.object_change (action, tracked_table, db_user) values ('create', 1, 'postgres')",
    "insert into rowhooks.object_change (action, tracked_table, time) values ('create', 1, '2020-01-01')",
    "insert into rowhooks.object_change (action, tracked_table, transaction_id) values ('create', 1, '3')",
    "insert into rowhooks.object_change (id, action, tracked_table) overriding system value values (1, 'create', 1)",
    "insert into rowhooks.object_change_default (action, tracked_table) values ('create', 1)",
    "insert into rowhooks.object_change (action, tracked_table) values ('create', 1)",
    "update rowhooks.captured_change set action = 'delete'",
    "select * from rowhooks.captured_change",
    "select * from rowhooks.tracked_table",
    "select * from rowhooks.installation",
    "update rowhooks.feed set after_id = 0",
    "insert into rowhooks.job (class_path, kind, name) values ('a.B', 'hook', 'b')",
    "select rowhooks.track('shop.item')",
    "select rowhooks.build_capture(1)",
    "select rowhooks.refresh_tables()",
    "create function rowhooks.track(regclass) returns integer language sql as 'select 1'",
    "create or replace function rowhooks.capture_1() returns trigger language plpgsql as 'begin return new; end'",
    "alter function rowhooks.capture_1() rename to other",
    "create table rowhooks.mine (id integer)",
    "set role rowhooks_owner",
    "set role rowhooks_daemon",
]


@pytest.mark.parametrize("statement", CAPTURE_MAY_NOT)
def test_the_role_of_the_capture_functions_may_append_to_the_log_and_nothing_else(
    db: Connection, item: str, make_role: MakeRole, connect_as: ConnectAs, statement: str
) -> None:
    login = make_role("slipped", "in role rowhooks_capture")
    with connect_as(login) as slipped:
        slipped.execute("set role rowhooks_capture")
        with pytest.raises(errors.InsufficientPrivilege):
            slipped.execute(statement)
        slipped.execute("insert into rowhooks.captured_change (action, tracked_table) values ('create', 1)")
    assert log(db, "action, db_user") == [("create", login)]
    clear(db)


@pytest.mark.parametrize("column", ["id", "transaction_id", "time", "db_user"])
def test_a_capture_function_has_no_say_in_what_the_server_knows_of_a_change(db: Connection, column: str) -> None:
    with pytest.raises(errors.UndefinedColumn):
        db.execute(sql.SQL("select {} from rowhooks.captured_change").format(sql.Identifier(column)))
