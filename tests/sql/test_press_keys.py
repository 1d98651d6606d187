"""The row a button is pressed on is found by its key, of whatever columns and types that is."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from tests.support.pressing import add_button, press, presses
from tests.support.roles import MakeRole

Connection = psycopg.Connection[Any]


@pytest.mark.parametrize("key", ["'42'", "'42'::text", "'42'::jsonb", "'\"42\"'::jsonb", "'{\"id\": 42}'::jsonb",
                                 "'{\"id\": \"42\"}'::jsonb"])  # fmt: skip
def test_a_key_of_one_column_is_given_as_itself_or_as_an_object(db: Connection, button: int, key: str) -> None:
    db.execute(f"select rowhooks.press('Reboot', 'shop.item', {key})")
    # As the row has it, whatever was given.
    assert presses(db, "object_id") == [{"id": 42}]


@pytest.mark.parametrize("key", ['\'{"a":1,"b":2}\'', '\'{"b":2,"a":1}\'::jsonb', '\'{"a":"1","b":"2"}\'::text'])
def test_a_composite_key_is_an_object_of_its_columns(db: Connection, key: str) -> None:
    db.execute(
        "create table public.pair (b integer, a integer, primary key (a, b)); insert into public.pair values (2, 1)"
    )
    db.execute("select rowhooks.track('public.pair')")
    add_button(db, "public.pair")
    db.execute(f"select rowhooks.press('Reboot', 'public.pair', {key})")
    assert presses(db, "object_id, object_repr") == [({"a": 1, "b": 2}, "1, 2")]


@pytest.mark.parametrize("key", ["'42'::text", "'42'::jsonb", "'[1, 2]'::jsonb", "'{\"a\": 1}'::jsonb", "'{'::text",
                                 "'{\"a\": 1, \"c\": 2}'::jsonb", "'{\"a\": 1, \"b\": 2, \"c\": 3}'::jsonb",
                                 "'{\"a\": 1, \"b\": null}'::jsonb", "'{\"a\": 1, \"b\": \"x\"}'::jsonb"])  # fmt: skip
def test_a_malformed_key_is_refused_with_the_columns_of_the_key(db: Connection, key: str) -> None:
    db.execute("create table public.pair (a integer, b integer, primary key (a, b))")
    db.execute("select rowhooks.track('public.pair')")
    add_button(db, "public.pair")
    with pytest.raises(errors.InvalidParameterValue, match=r"is no key of public\.pair") as caught:
        db.execute(f"select rowhooks.press('Reboot', 'public.pair', {key})")
    assert caught.value.diag.message_hint == "Its key is (a integer, b integer)."


@pytest.mark.parametrize(
    "key", ["'bolt'", "''", "'1.5'", "'99999999999'", "'null'::jsonb", "'[42]'::jsonb", "'{}'::jsonb"]
)
def test_what_the_keys_type_cannot_be_is_refused(db: Connection, button: int, key: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match=r"is no key of shop\.item"):
        db.execute(f"select rowhooks.press('Reboot', 'shop.item', {key})")


UUID = "6831449f-9e7a-4f4a-8c78-caa8cc6f7d72"


@pytest.mark.parametrize(
    ("type_", "key", "stored"),
    [
        ("text", '{"id": 1}', '{"id": 1}'),
        ("text", "it's %I $1 \\", "it's %I $1 \\"),
        ("text", "null", "null"),
        ("varchar(8)", "core-1", "core-1"),
        ("char(8)", "core", "core    "),
        ("uuid", UUID.upper(), UUID),
        ("bigint", "9007199254740993", 9007199254740993),
        ("numeric(6, 2)", "1.5", 1.5),
        ("timestamptz", "2026-01-02 03:04:05+00", "2026-01-02T03:04:05+00:00"),
        ("boolean", "yes", True),
        ("bytea", "\\x00ff", "\\x00ff"),
        ("integer[]", "{1,2}", [1, 2]),
        ("public.mood", "sad", "sad"),
        ("public.short", "ab", "ab"),
    ],
)
def test_a_key_of_any_type_is_found(db: Connection, type_: str, key: str, stored: Any) -> None:
    db.execute("create type public.mood as enum ('sad', 'ok')")
    db.execute("create domain public.short as text check (length(value) < 4)")
    db.execute("set timezone = 'UTC'")
    db.execute(f"create table public.thing (id {type_} primary key)")
    db.execute("insert into public.thing values (%s)", (key,))
    db.execute("select rowhooks.track('public.thing')")
    add_button(db, "public.thing")
    press(db, "public.thing", key)
    assert presses(db, "object_id") == [{"id": stored}]


@pytest.mark.parametrize(
    ("type_", "key"), [("varchar(3)", "abcd"), ("numeric(3, 1)", "1.04"), ("public.short", "abcd")]
)
def test_a_key_is_not_cut_to_its_columns_length_and_found(db: Connection, type_: str, key: str) -> None:
    db.execute("create domain public.short as text check (length(value) < 4)")
    db.execute(f"create table public.thing (id {type_} primary key)")
    db.execute("insert into public.thing values (%s)", (key[:3],))
    db.execute("select rowhooks.track('public.thing')")
    add_button(db, "public.thing")
    with pytest.raises((errors.NoDataFound, errors.InvalidParameterValue)):
        press(db, "public.thing", key)


def test_quoted_names_are_pressed_on(db: Connection) -> None:
    name = """"My ""Schema"."a'b\""""
    db.execute('create schema "My ""Schema"')
    db.execute(f'create table {name} ("the ""key" text, "%I" text, primary key ("the ""key", "%I"))')
    db.execute(f"insert into {name} values ('x', 'y')")
    db.execute("select rowhooks.track(%s)", (name,))
    add_button(db, name, name='It\'s "on" %')
    press(db, name, json.dumps({'the "key': "x", "%I": "y"}), button='It\'s "on" %')
    assert presses(db, "object_id") == [{'the "key': "x", "%I": "y"}]


def test_a_partition_counts_as_the_table_it_belongs_to(db: Connection) -> None:
    db.execute("create table public.part (id integer primary key, name text) partition by range (id)")
    db.execute(
        "create table public.part_1 partition of public.part for values from (1) to (100) partition by range (id)"
    )
    db.execute("create table public.part_1_1 partition of public.part_1 for values from (1) to (50)")
    db.execute("insert into public.part values (42, 'bolt')")
    db.execute("select rowhooks.track('public.part')")
    add_button(db, "public.part")
    for table in ("public.part", "public.part_1", "public.part_1_1"):
        press(db, table, "42")
    root = db.execute("select id from rowhooks.tracked_table where relation = 'public.part'::regclass").fetchone()
    assert presses(db, "tracked_table, object_id, object_repr") == [(*root, {"id": 42}, "bolt")] * 3  # type: ignore[misc]


TYPES = """
create type public.mood as enum ('sad', 'ok');
create domain public.sure_mood as public.mood check (value >= 'sad');
create domain public.number as integer check (value > 0);
create domain public.sure_number as public.number;
create domain public.numbers as public.number[];
create type public.pair as (mood public.mood, number public.number);
create type public.plain_pair as (a integer, b integer);
create type public.span as range (subtype = public.number);
"""


@pytest.mark.parametrize("is_trusted", [True, False], ids=["types of a superuser's", "types of a role's"])
@pytest.mark.parametrize(
    ("types", "values"),
    [
        (["public.mood"], "'ok'"),
        (["public.sure_mood"], "'ok'"),
        (["public.number"], "7"),
        (["public.sure_number"], "7"),
        (["public.mood[]"], "'{ok,sad}'"),
        (["public.number[]"], "'{7,8}'"),
        (["public.numbers"], "'{{7,8},{9,10}}'"),
        (["public.pair"], "row('ok', 7)"),
        (["public.plain_pair"], "row(1, 2)"),
        (["public.span"], "'[7,9)'"),
        (["integer", "public.sure_mood", "public.sure_number", "text"], "1, 'ok', 7, 'a, b'"),
        (["public.pair", "numeric(6, 2)", "public.mood[]"], "row('ok', 7), 1.5, '{sad}'"),
    ],
)
def test_a_row_is_called_the_same_by_a_press_and_by_its_changes(
    db: Connection, make_role: MakeRole, is_trusted: bool, types: list[str], values: str
) -> None:
    db.execute(TYPES)
    if not is_trusted:
        role = make_role("typist")
        for name in ("mood", "sure_mood", "number", "sure_number", "numbers", "pair", "plain_pair", "span"):
            db.execute(f"alter type public.{name} owner to {role}")
    names = [f"c{number}" for number in range(len(types))]
    columns = ", ".join(f"{name} {type_}" for name, type_ in zip(names, types, strict=True))
    db.execute(f"create table public.thing ({columns}, name {types[0]}, primary key ({', '.join(names)}))")
    db.execute("select rowhooks.track('public.thing')")
    db.execute(f"insert into public.thing ({', '.join(names)}) values ({values})")
    db.execute("update public.thing set name = c0")
    add_button(db, "public.thing")
    key, repr_ = db.execute(
        "select object_id, object_repr from rowhooks.object_change where action = 'update'"
    ).fetchall()[0]
    press(db, "public.thing", Jsonb(key))
    assert presses(db, "object_id, object_repr") == [(key, repr_)]


def test_a_key_is_looked_up_in_the_index_of_a_domain_s_column(db: Connection) -> None:
    db.execute(TYPES)
    db.execute("create table public.thing (id public.sure_number primary key)")
    db.execute("insert into public.thing select n from generate_series(1, 5000) as n")
    db.execute("analyze public.thing")
    db.execute("select rowhooks.track('public.thing')")
    add_button(db, "public.thing")
    with db.transaction():
        press(db, "public.thing", "4999")
        scans = db.execute("select pg_stat_get_xact_numscans('public.thing_pkey'::regclass)").fetchone()
    assert scans == (1,)
