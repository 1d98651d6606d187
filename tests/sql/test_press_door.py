"""Everybody may knock at rowhooks.press; nobody gets through it to what he may not do."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.pressing import add_button, press, presses
from tests.support.roles import ConnectAs, MakeRole

Connection = psycopg.Connection[Any]


def test_an_insert_into_the_view_is_a_press(db: Connection, button: int, clerk: Connection) -> None:
    row = clerk.execute(
        "insert into rowhooks.press (button, object_table, object_id) values ('Reboot', 'shop.item', '42') returning id"
    ).fetchone()
    assert presses(db, "id, db_user") == [(*row, clerk.info.user)]  # type: ignore[misc]


def test_what_the_database_finds_out_by_itself_cannot_be_forged(db: Connection, button: int, clerk: Connection) -> None:
    db.execute("update rowhooks.job_button set roles = '{}'")
    insert = (
        "insert into rowhooks.press (id, button, object_table, object_id, presser, object_repr)"
        " values (1, 'Reboot', 'shop.item', '42', %s, 'a lie')"
    )
    with pytest.raises(errors.InsufficientPrivilege):
        clerk.execute(insert, (db.info.user,))
    db.execute("update rowhooks.job_button set roles = '{public}'")
    db.execute("alter sequence rowhooks.job_result_id_seq restart 500")
    clerk.execute(insert, (db.info.user,))
    assert presses(db, "id, db_user, object_repr") == [(500, clerk.info.user, "bolt")]


def test_the_view_is_empty_and_cannot_be_changed(button: int, clerk: Connection) -> None:
    press(clerk, "shop.item", "42")
    assert clerk.execute("select count(*) from rowhooks.press").fetchone() == (0,)
    for statement in ("update rowhooks.press set button = 'x'", "delete from rowhooks.press"):
        with pytest.raises((errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState)):
            clerk.execute(statement)


@pytest.mark.parametrize("function", ["find_pressed_row", "record_press", "check_button"])
@pytest.mark.parametrize("kind", ["table", "view"])
def test_nobody_attaches_the_triggers_functions_to_something_of_his_own(
    stranger: Connection, function: str, kind: str
) -> None:
    if kind == "view":
        stranger.execute("create view hostile.mine as select * from rowhooks.press")
        trigger = "instead of insert"
    else:
        stranger.execute("create table hostile.mine as select * from rowhooks.press")
        trigger = "before insert"
    with pytest.raises(errors.InsufficientPrivilege):
        stranger.execute(
            f"create trigger t {trigger} on hostile.mine for each row execute function rowhooks.{function}()"
        )


def test_a_view_of_somebody_else_presses_as_who_inserts(
    db: Connection, button: int, stranger: Connection, clerk: Connection
) -> None:
    db.execute("create view public.door as select * from rowhooks.press")
    db.execute("grant insert on public.door to public")
    db.execute("update rowhooks.job_button set roles = '{}'")
    with pytest.raises(errors.InsufficientPrivilege, match=f"role {clerk.info.user} may not press"):
        clerk.execute("insert into public.door (button, object_table, object_id) values ('Reboot', 'shop.item', '42')")


def test_a_hostile_search_path_changes_nothing(db: Connection, button: int, stranger: Connection) -> None:
    db.execute("update rowhooks.job_button set roles = '{}'")
    for statement in (
        "create function hostile.yes(text, text[]) returns boolean language sql as 'select true'",
        "create function hostile.pg_has_role(oid, oid, text) returns boolean language sql as 'select true'",
        "create function hostile.has_table_privilege(regclass, text) returns boolean language sql as 'select true'",
        "create function hostile.current_setting(text, boolean) returns text language sql as $$ select 'forged' $$",
        "create function hostile.name_eq(name, name) returns boolean language sql as 'select true'",
        "create operator hostile.= (leftarg = name, rightarg = name, function = hostile.name_eq)",
        "create function hostile.int_eq(integer, integer) returns boolean language sql as 'select true'",
        "create operator hostile.= (leftarg = integer, rightarg = integer, function = hostile.int_eq)",
        "create table hostile.pg_roles (oid oid, rolname name, rolsuper boolean)",
        f"insert into hostile.pg_roles values (10, '{stranger.info.user}', true)",
        "create type hostile.jsonb as (x integer)",
        "create type hostile.text as (x integer)",
        "create temporary table pg_class (oid oid)",
        "create temporary table pg_roles (oid oid, rolname name, rolsuper boolean)",
        "create type pg_temp.text as (x integer)",
        "create type pg_temp.jsonb as (x integer)",
        "create type pg_temp.regclass as (x integer)",
        "set search_path = hostile, pg_catalog, pg_temp",
    ):
        stranger.execute(statement)
    pressing = "select rowhooks.press('Reboot', 'shop.item', '%s')"
    with pytest.raises(errors.InsufficientPrivilege, match="may not press button Reboot"):
        stranger.execute(pressing % 42)
    db.execute("update rowhooks.job_button set roles = '{public}'")
    with pytest.raises(errors.NoDataFound):
        stranger.execute(pressing % 43)
    stranger.execute(pressing % 42)
    assert presses(db, "object_id, object_repr, user_name") == [({"id": 42}, "bolt", None)]


def test_what_a_tables_owner_attaches_to_reading_it_runs_as_the_presser(
    db: Connection, stranger: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    watch(stranger)
    stranger.execute("create table hostile.person (id integer primary key, name text)")
    stranger.execute("insert into hostile.person values (1, 'ok')")
    stranger.execute("alter table hostile.person enable row level security")
    stranger.execute("create policy p on hostile.person using (hostile.seen('policy'))")
    stranger.execute("grant select on hostile.person to public")
    db.execute("select rowhooks.track('hostile.person')")
    add_button(db, "hostile.person")
    clerk = connect_as(make_role("clerk"))
    press(clerk, "hostile.person", "1")
    assert db.execute("select distinct what, by from hostile.sight").fetchall() == [("policy", clerk.info.user)]
    assert presses(db, "db_user") == [clerk.info.user]


def watch(stranger: Connection) -> None:
    """Let what a stranger has made say that it ran, and as whom."""
    stranger.execute("create table hostile.sight (what text, by text)")
    stranger.execute("grant insert on hostile.sight to public; grant usage on schema hostile to public")
    stranger.execute(
        "create function hostile.seen(what text) returns boolean language plpgsql as"
        " $$ begin insert into hostile.sight values (what, current_user); return true; end $$"
    )


EVIL_TYPES = """
create type hostile.mood as enum ('sad', 'ok');
create domain hostile.sure_mood as hostile.mood check (hostile.seen('sure_mood'));
create domain hostile.number as integer check (hostile.seen('number'));
create domain hostile.sure_number as hostile.number check (hostile.seen('sure_number'));
create type hostile.pair as (number hostile.number, mood hostile.mood);
create type hostile.plain_pair as (a integer, b integer);
create type hostile.span as range (subtype = hostile.number);
"""
OF_EVIL_TYPES = [
    ("hostile.mood", "ok"),
    ("hostile.sure_mood", "ok"),
    ("hostile.number", "7"),
    ("hostile.sure_number", "7"),
    ("hostile.number[]", "[7, 8]"),
    ("hostile.number[]", '"{7,8}"'),
    ("hostile.mood[]", '["ok"]'),
    ("hostile.sure_mood[]", '["ok"]'),
    ("hostile.pair", "(7,ok)"),
    ("hostile.pair[]", '{"(7,ok)"}'),
    ("hostile.plain_pair", "(1,2)"),
    ("hostile.span", "[7,9)"),
]


@pytest.mark.parametrize(("type_", "key"), OF_EVIL_TYPES)
def test_no_cast_of_a_tables_owner_and_no_check_of_a_domain_runs_as_the_presser(
    db: Connection, stranger: Connection, type_: str, key: str
) -> None:
    watch(stranger)
    stranger.execute(EVIL_TYPES)
    for number, (source, target, context) in enumerate(
        [(type_, "json", ""), (type_, "text", "as assignment"), (type_, "text[]", "as assignment"),
         ("text", type_, "as assignment"), (type_, "integer[]", "as assignment"), ("jsonb", type_, "as assignment")]
    ):  # fmt: skip
        stranger.execute(
            f"create function hostile.cast_{number}({source}) returns {target} language plpgsql as"
            " $$ begin perform hostile.seen('cast'); return null; end $$"
        )
        # One of a domain is made with a warning, and never called.
        stranger.execute(f"create cast ({source} as {target}) with function hostile.cast_{number}({source}) {context}")
    stranger.execute(f"create table hostile.person (id {type_} primary key, name {type_})")
    value = key.strip('"') if not key.startswith("[") or type_ == "hostile.span" else "{" + key.strip("[]") + "}"
    stranger.execute("insert into hostile.person values (%s, %s)", (value, value))
    db.execute("select rowhooks.track('hostile.person')")
    add_button(db, "hostile.person")
    db.execute("delete from hostile.sight")
    db.execute(
        "insert into rowhooks.press (button, object_table, object_id) values ('Reboot', 'hostile.person',"
        " jsonb_build_object('id', %s::jsonb))",
        (key if key.startswith(("[7, ", '["', '"')) else json.dumps(key),),
    )
    assert db.execute("select * from hostile.sight").fetchall() == []
    assert len(presses(db)) == 1


def test_a_table_that_was_altered_since_the_pressers_transaction_began_is_not_read_as_it_was(
    db: Connection, stranger: Connection
) -> None:
    watch(stranger)
    stranger.execute(EVIL_TYPES)
    stranger.execute(
        "create function hostile.mood_json(hostile.mood) returns json language plpgsql as"
        " $$ begin perform hostile.seen('cast'); return 'null'; end $$;"
        " create cast (hostile.mood as json) with function hostile.mood_json(hostile.mood)"
    )
    stranger.execute("create table hostile.person (id integer primary key, name text, mood hostile.mood)")
    stranger.execute("insert into hostile.person values (1, 'bolt', 'ok')")
    db.execute("select rowhooks.track('hostile.person')")
    add_button(db, "hostile.person")
    db.execute("drop event trigger rowhooks_after_ddl")
    db.execute("set default_transaction_isolation = 'repeatable read'")
    with db.transaction():
        db.execute("select 1")
        stranger.execute("alter table hostile.person rename column name to old_name")
        stranger.execute("alter table hostile.person rename column mood to name")
        with pytest.raises(errors.SerializationFailure, match=r"hostile\.person is being altered"), db.transaction():
            press(db, "hostile.person", "1")
    assert db.execute("select * from hostile.sight").fetchall() == []


def test_a_type_that_was_altered_since_the_pressers_transaction_began_runs_no_check(
    db: Connection, stranger: Connection
) -> None:
    watch(stranger)
    stranger.execute(EVIL_TYPES)
    stranger.execute("create table hostile.person (id hostile.plain_pair primary key)")
    stranger.execute("insert into hostile.person values (row(1, 2))")
    db.execute("select rowhooks.track('hostile.person')")
    add_button(db, "hostile.person")
    db.execute("set default_transaction_isolation = 'repeatable read'")
    with db.transaction():
        db.execute("select 1")
        stranger.execute("alter type hostile.plain_pair add attribute number hostile.number")
        press(db, "hostile.person", "(1,2,)")
    assert db.execute("select * from hostile.sight").fetchall() == []
    assert presses(db, "object_id") == [{"id": "(1,2,)"}]
