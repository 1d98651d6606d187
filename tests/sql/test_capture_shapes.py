"""Tables of unusual names, types and sizes, and tables that are altered while they are tracked."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.log import actions, clear, log

Connection = psycopg.Connection[Any]

HOSTILE_NAMES = [
    "Two Words",
    "Größe_日本",
    'quo"te',
    "apo'strophe",
    "$capture$ $body$ $$",
    "%s %I %1$L 100%",
    "colon:name ::text",
    "back\\slash",
    "dot.ted",
    "new",
    "select",
    "); drop table x; --",
    "a" * 63,
    "{brace} [x]",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_tables_and_columns_may_be_called_anything(db: Connection, name: str) -> None:
    schema, table, key, column = (sql.Identifier(text) for text in (name, name, name, f"é{name}"[:60]))
    db.execute(sql.SQL("create schema {}").format(schema))
    db.execute(
        sql.SQL("create table {}.{} ({} integer primary key, {} text, row_data text, run text)").format(
            schema, table, key, column
        )
    )
    db.execute("select rowhooks.track(%s::regclass)", (sql.Identifier(name, name).as_string(db),))
    db.execute(sql.SQL("insert into {}.{} values (1, 'x', 'r', 'q')").format(schema, table))
    db.execute(sql.SQL("update {}.{} set {} = 2").format(schema, table, key))
    db.execute(sql.SQL("delete from {}.{}").format(schema, table))
    assert log(db, "action, object_id, object_repr") == [
        ("create", {name: 1}, "1"),
        ("update", {name: 2}, "2"),
        ("delete", {name: 2}, "2"),
    ]
    # A name with a dot in it is quoted, so that it is told from two.
    shown = f'"{name}"' if "." in name else name
    assert db.execute("select distinct object_type from rowhooks.changes").fetchone() == (f"{shown}.{shown}",)


def test_columns_called_like_the_capture_function_s_variables_are_captured(db: Connection) -> None:
    db.execute(
        "create table public.odd (operation integer primary key, problem text, row_data text, before_data text,"
        " tg_op text, old text, new text, context text, request text, claimed_user text, run text)"
    )
    db.execute("select rowhooks.track('public.odd')")
    db.execute("insert into public.odd (operation, problem, tg_op, old, new) values (1, 'p', 't', 'o', 'n')")
    assert log(db, "action, object_id, postchange ->> 'new', capture_error") == [
        ("create", {"operation": 1}, "n", None)
    ]


def test_values_of_every_kind_are_recorded(db: Connection) -> None:
    db.execute("create type public.mood as enum ('sad', 'ok')")
    db.execute("create domain public.positive as integer check (value > 0)")
    db.execute(
        """
        create table public.zoo (
          id bigint generated always as identity primary key, doubled bigint generated always as (n * 2) stored,
          n positive, m mood, a integer[][], r int4range, b bytea, big numeric, nan numeric, inf double precision,
          until timestamptz, j jsonb, u uuid, c char(3), i interval, d date
        )
        """
    )
    db.execute("select rowhooks.track('public.zoo')")
    db.execute(
        """
        insert into public.zoo (n, m, a, r, b, big, nan, inf, until, j, u, c, i, d) values (
          3, 'ok', '{{1,2},{3,null}}', '[1,5)', '\\x00ff', 12345678901234567890.123456789, 'NaN', '-infinity',
          'infinity', '{"k": [1]}', '00000000-0000-0000-0000-000000000001', 'x', '1 day', '-infinity'
        )
        """
    )
    (row,) = log(db, "postchange::text::json ->> 'big', postchange, capture_error")
    assert row[0] == "12345678901234567890.123456789"
    assert row[2] is None
    assert {name: value for name, value in row[1].items() if name != "big"} == {
        "id": 1, "doubled": 6, "n": 3, "m": "ok", "a": [[1, 2], [3, None]], "r": "[1,5)", "b": "\\x00ff",
        "nan": "NaN", "inf": "-Infinity", "until": "infinity", "j": {"k": [1]},
        "u": "00000000-0000-0000-0000-000000000001", "c": "x  ", "i": "1 day", "d": "-infinity",
    }  # fmt: skip


def test_an_unlogged_table_is_captured(db: Connection) -> None:
    db.execute("create unlogged table public.quick (id integer primary key)")
    db.execute("select rowhooks.track('public.quick')")
    db.execute("insert into public.quick values (1)")
    assert actions(db) == [("create", 1)]


def test_columns_that_only_an_inherited_child_has_are_kept(db: Connection, item: str) -> None:
    db.execute("create table shop.book (isbn text, primary key (id)) inherits (shop.item)")
    db.execute("select rowhooks.track('shop.book')")
    db.execute("insert into shop.book values (1, 'novel', 5, 'x-1')")
    db.execute("update shop.item set price = 6")
    assert log(db, "action, postchange ->> 'isbn'") == [("create", "x-1"), ("update", "x-1")]


def test_an_added_column_is_in_the_next_change(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("alter table shop.item add column colour text default 'red'")
    clear(db)
    db.execute("update shop.item set price = 2")
    db.execute("delete from shop.item")
    assert log(db, "action, prechange ->> 'colour', postchange ->> 'colour'") == [
        ("update", "red", "red"),
        ("delete", "red", None),
    ]


def test_a_dropped_column_is_missing_from_the_next_change(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("alter table shop.item drop column name")
    clear(db)
    db.execute("update shop.item set price = 2")
    assert log(db, "prechange, postchange, object_repr") == [({"id": 1, "price": 1}, {"id": 1, "price": 2}, "1")]


def test_a_no_op_update_after_a_dropped_column_records_nothing(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("alter table shop.item drop column name")
    clear(db)
    db.execute("update shop.item set price = 1")
    assert log(db) == []


def test_a_renamed_column_has_its_new_name_in_the_next_change(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("alter table shop.item rename column price to cost")
    clear(db)
    db.execute("update shop.item set cost = 2")
    assert log(db, "prechange, postchange") == [
        ({"id": 1, "name": "bolt", "cost": 1}, {"id": 1, "name": "bolt", "cost": 2})
    ]


def test_a_renamed_key_column_has_its_new_name_in_the_key(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, null, 1)")
    db.execute("alter table shop.item rename column id to number")
    clear(db)
    db.execute("insert into shop.item values (2, null, 1)")
    db.execute("update shop.item set number = 3 where number = 2")
    db.execute("delete from shop.item where number = 3")
    assert log(db, "action, object_id, object_repr") == [
        ("create", {"number": 2}, "2"),
        ("update", {"number": 3}, "3"),
        ("delete", {"number": 3}, "3"),
    ]


def test_a_renamed_column_of_a_composite_key_has_its_new_name_in_the_key(db: Connection) -> None:
    db.execute("create table public.seat (hall text, row_no integer, primary key (hall, row_no))")
    db.execute("select rowhooks.track('public.seat')")
    db.execute("alter table public.seat rename column row_no to r")
    db.execute("insert into public.seat values ('big', 3)")
    assert log(db, "object_id") == [({"hall": "big", "r": 3},)]


def test_a_renamed_key_column_of_a_partitioned_table_has_its_new_name_in_the_key(db: Connection) -> None:
    db.execute("create table public.part (id integer primary key) partition by range (id)")
    db.execute("create table public.part_1 partition of public.part default")
    db.execute("select rowhooks.track('public.part')")
    db.execute("alter table public.part rename column id to number")
    db.execute("insert into public.part values (1)")
    assert log(db, "object_id") == [({"number": 1},)]


def test_a_dropped_key_leaves_changes_without_a_key(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("alter table shop.item drop column id")
    clear(db)
    db.execute("update shop.item set price = 2")
    assert log(db, "action, object_id, object_repr, postchange") == [
        ("update", None, "bolt", {"name": "bolt", "price": 2})
    ]


def test_a_column_of_another_type_is_recorded_in_its_new_type(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("update shop.item set price = 2")
    db.execute("alter table shop.item alter column price type text using price || ' EUR', alter column id type bigint")
    clear(db)
    db.execute("update shop.item set name = 'nut'")
    assert log(db, "object_id, prechange ->> 'price', postchange -> 'price'") == [({"id": 1}, "2 EUR", "2 EUR")]


def test_a_table_altered_between_two_writes_of_one_session_is_captured(db: Connection, item: str) -> None:
    with db.transaction():
        db.execute("insert into shop.item values (1, 'bolt', 1)")
        db.execute("update shop.item set price = 2")
        db.execute("alter table shop.item add column colour text, drop column name")
        db.execute("update shop.item set colour = 'red'")
        db.execute("alter table shop.item alter column price type integer")
        db.execute("update shop.item set price = 3")
    assert log(db, "postchange")[2:] == [
        ({"id": 1, "price": 2, "colour": "red"},),
        ({"id": 1, "price": 3, "colour": "red"},),
    ]


def test_a_renamed_and_moved_table_is_still_captured(db: Connection, item: str) -> None:
    db.execute("alter table shop.item rename to article")
    db.execute("create schema depot")
    db.execute("alter table shop.article set schema depot")
    db.execute("insert into depot.article values (1, 'bolt', 1)")
    assert actions(db) == [("create", 1)]


def test_a_dropped_table_keeps_its_history_and_its_name(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("drop table shop.item")
    assert db.execute("select action, object_type from rowhooks.changes").fetchall() == [("create", "shop.item")]


def test_a_value_that_jsonb_refuses_costs_its_column_and_not_the_row(db: Connection) -> None:
    db.execute("create table public.doc (id integer primary key, name text, body json)")
    db.execute("select rowhooks.track('public.doc')")
    db.execute(r"""insert into public.doc values (1, 'a', '{"x": "\u0000"}')""")
    db.execute("update public.doc set id = 2")
    db.execute("delete from public.doc")
    recorded = log(db, "action, object_id, object_repr, prechange, postchange, capture_error is not null")
    assert recorded == [
        ("create", {"id": 1}, "a", None, {"id": 1, "name": "a"}, True),
        ("update", {"id": 2}, "a", {"id": 1, "name": "a"}, {"id": 2, "name": "a"}, True),
        ("delete", {"id": 2}, "a", {"id": 2, "name": "a"}, None, True),
    ]
    assert log(db, "capture_error")[0][0].startswith("body: unsupported Unicode escape")


def test_an_old_value_that_jsonb_refuses_costs_nothing_of_the_new_row(db: Connection) -> None:
    db.execute("create table public.doc (id integer primary key, body json)")
    db.execute("select rowhooks.track('public.doc')")
    db.execute(r"""insert into public.doc values (1, '{"x": "\u0000"}')""")
    db.execute("""update public.doc set body = '{"x": "y"}'""")
    assert log(db, "prechange, postchange, capture_error is not null")[1] == (
        {"id": 1}, {"id": 1, "body": {"x": "y"}}, True,
    )  # fmt: skip


def test_a_refused_row_with_a_renamed_key_is_recorded(db: Connection) -> None:
    db.execute("create table public.doc (id integer primary key, body json)")
    db.execute("select rowhooks.track('public.doc')")
    db.execute("alter table public.doc rename column id to number")
    db.execute(r"""insert into public.doc values (1, '{"x": "\u0000"}')""")
    assert log(db, "action, object_id, postchange, capture_error is not null") == [
        ("create", {"number": 1}, {"number": 1}, True)
    ]


def test_a_value_too_large_for_jsonb_costs_its_column_and_not_the_row(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, repeat('x', 257 * 1024 * 1024), 1)")
    db.execute("delete from shop.item")
    recorded = log(db, "action, object_id, object_repr, prechange, postchange, capture_error is not null")
    rest = {"id": 1, "price": 1}
    assert recorded == [("create", {"id": 1}, "1", None, rest, True), ("delete", {"id": 1}, "1", rest, None, True)]


@pytest.mark.parametrize(("identity", "below"), [("null", 70_000_000), ("'{}'", 1_000_000)])
def test_a_row_that_could_not_be_read_again_is_recorded_without_its_largest_column(
    db: Connection, identity: str, below: int
) -> None:
    db.execute("create table public.doc (id integer primary key, body text)")
    db.execute(f"select rowhooks.track('public.doc', identity => {identity})")
    # A megabyte on the disk, and half a gigabyte as JSON text: two such rows would be more than can be sent.
    db.execute("insert into public.doc values (1, repeat(chr(1), 90000000))")
    db.execute(f"update public.doc set body = repeat(chr(1), {below})")
    db.execute("update public.doc set body = 'short'")
    recorded = log(db, "action, length(prechange::text), length(postchange::text), capture_error")
    (first, second, third) = recorded
    assert first[:3] == ("create", None, len('{"id": 1}'))
    assert first[3].startswith("body: too large to be recorded (900000")
    assert second[:2] == ("update", len('{"id": 1}'))
    assert second[2] == len('{"id": 1, "body": ""}') + 6 * below
    assert third[0] == "update"
    assert third[2:] == (len('{"id": 1, "body": "short"}'), None)


def test_a_row_of_megabytes_is_recorded_whole(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, repeat('x', 5 * 1024 * 1024), 1)")
    assert log(db, "length(postchange ->> 'name'), capture_error") == [(5 * 1024 * 1024, None)]


def test_columns_called_like_pl_pgsql_s_words_are_captured_in_tables_with_types_of_their_owner_s(
    db: Connection,
) -> None:
    db.execute("create type public.mood as enum ('sad', 'ok')")
    words = ["if", "loop", "begin", "declare", "end", "return", "null", "new", "old", "row_data", 'a"b']
    columns = ", ".join('"' + word.replace('"', '""') + '" mood' for word in words)
    db.execute(f'create table public.odd ({columns}, primary key ("if"))')
    db.execute("select rowhooks.track('public.odd')")
    db.execute("insert into public.odd (\"if\", \"loop\") values ('ok', 'sad')")
    ((identity, recorded, error),) = log(db, "object_id, postchange, capture_error")
    assert (identity, error) == ({"if": "ok"}, None)
    assert recorded == {**dict.fromkeys(words), "if": "ok", "loop": "sad"}
