"""Everybody may knock at rowhooks.press; nobody gets through it to what he may not do."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.sql.conftest import ConnectAs, MakeRole
from tests.sql.pressing import add_button, press, presses

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
            clerk.execute(statement)  # type: ignore[arg-type]


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
            f"create trigger t {trigger} on hostile.mine for each row execute function rowhooks.{function}()"  # type: ignore[arg-type]
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
        stranger.execute(statement)  # type: ignore[arg-type]
    pressing = "select rowhooks.press('Reboot', 'shop.item', '%s')"
    with pytest.raises(errors.InsufficientPrivilege, match="may not press button Reboot"):
        stranger.execute(pressing % 42)  # type: ignore[arg-type]
    db.execute("update rowhooks.job_button set roles = '{public}'")
    with pytest.raises(errors.NoDataFound):
        stranger.execute(pressing % 43)  # type: ignore[arg-type]
    stranger.execute(pressing % 42)  # type: ignore[arg-type]
    assert presses(db, "object_id, object_repr, user_name") == [({"id": 42}, "bolt", None)]


def test_what_a_tables_owner_attaches_to_reading_it_runs_as_the_presser(
    db: Connection, stranger: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    stranger.execute("create type hostile.mood as enum ('sad', 'ok')")
    stranger.execute("create table hostile.seen (by text)")
    stranger.execute("grant insert on hostile.seen to public; grant usage on schema hostile to public")
    for name, returns in (("json", "json"), ("policy", "boolean")):
        stranger.execute(
            f"create function hostile.as_{name}(hostile.mood) returns {returns} language plpgsql as $$"  # type: ignore[arg-type]
            " begin insert into hostile.seen values (current_user);"
            f" return {'pg_catalog.to_json(0)' if name == 'json' else 'true'}; end $$"
        )
    stranger.execute("create cast (hostile.mood as json) with function hostile.as_json(hostile.mood)")
    stranger.execute("create table hostile.person (id hostile.mood primary key, name hostile.mood)")
    stranger.execute("insert into hostile.person values ('ok', 'ok')")
    stranger.execute("alter table hostile.person enable row level security")
    stranger.execute("create policy p on hostile.person using (hostile.as_policy(id))")
    stranger.execute("grant select on hostile.person to public")
    db.execute("select rowhooks.track('hostile.person')")
    add_button(db, "hostile.person")
    clerk = connect_as(make_role("clerk"))
    press(clerk, "hostile.person", "ok")
    assert db.execute("select distinct by from hostile.seen").fetchall() == [(clerk.info.user,)]
    assert presses(db, "db_user") == [clerk.info.user]
