"""Removing schema rowhooks: nothing of ours stays, nothing of the user's goes."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowhooks.domain.errors import Conflict, DatabaseError, PermissionDenied, SchemaMismatch
from rowhooks.postgres.administration.removal import Kept
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install, uninstall
from rowhooks.postgres.connections.target import Target
from tests.support.dumps import dump_schema
from tests.support.roles import MakeDatabase, MakeRole, dbname, role_exists, schema_exists

Connection = psycopg.Connection[Any]


def test_uninstalling_leaves_the_database_as_it_was(database: str, admin: Connection, roles: Roles) -> None:
    admin.execute("create table public.thing (id integer primary key, name text)")
    admin.execute("create table public.part (id integer primary key) partition by range (id)")
    admin.execute("create table public.part_1 partition of public.part default")
    before = dump_schema(database)
    install(Target(database), roles)
    admin.execute("select rowhooks.track('public.thing'), rowhooks.track('public.part')")
    admin.execute("insert into public.thing values (1, 'one'), (2, 'two')")
    admin.execute("insert into public.part values (1)")
    assert uninstall(Target(database)) == []
    assert dump_schema(database) == before
    assert admin.execute("select * from public.thing order by id").fetchall() == [(1, "one"), (2, "two")]
    assert admin.execute("select * from public.part").fetchall() == [(1,)]
    for role in (roles.owner, roles.daemon):
        assert not role_exists(admin, role)
    assert admin.execute("select count(*) from pg_default_acl").fetchone() == (0,)
    assert admin.execute("select count(*) from pg_db_role_setting").fetchone() == (0,)


def test_the_table_is_written_as_before_after_uninstalling(database: str, admin: Connection, roles: Roles) -> None:
    install(Target(database), roles)
    admin.execute("create table public.thing (id integer primary key)")
    admin.execute("select rowhooks.track('public.thing')")
    uninstall(Target(database))
    admin.execute("insert into public.thing values (1)")
    admin.execute("truncate public.thing")


def test_renamed_dropped_and_untracked_tables_do_not_stop_uninstalling(
    database: str, admin: Connection, roles: Roles
) -> None:
    install(Target(database), roles)
    for name in ("renamed", "dropped", "untracked"):
        admin.execute(f"create table public.{name} (id integer primary key)")
        admin.execute(f"select rowhooks.track('public.{name}')")
    admin.execute('alter table public.renamed rename to "Re Named"')
    admin.execute("drop table public.dropped")
    admin.execute("select rowhooks.untrack('public.untracked')")
    assert uninstall(Target(database)) == []
    assert not schema_exists(admin)
    assert admin.execute("select count(*) from pg_trigger where not tgisinternal").fetchone() == (0,)


def test_the_owner_s_use_of_a_capture_function_elsewhere_does_not_stop_uninstalling(
    database: str, admin: Connection, roles: Roles
) -> None:
    install(Target(database), roles)
    admin.execute("create table public.thing (id integer primary key)")
    admin.execute("create table public.other (id integer primary key)")
    admin.execute("select rowhooks.track('public.thing')")
    admin.execute("create trigger t after insert on public.other for each row execute function rowhooks.capture_1()")
    uninstall(Target(database))
    assert admin.execute("select count(*) from pg_trigger where not tgisinternal").fetchone() == (0,)


def test_a_daemon_s_login_survives_without_its_membership(
    database: str, admin: Connection, roles: Roles, make_role: MakeRole
) -> None:
    install(Target(database), roles)
    login = make_role("daemon")
    admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(roles.daemon), sql.Identifier(login)))
    assert uninstall(Target(database)) == []
    assert role_exists(admin, login)


def test_roles_that_another_database_still_uses_are_kept_and_reported(
    make_database: MakeDatabase, roles: Roles, administration: Connection
) -> None:
    first, second = make_database(), make_database()
    install(Target(first), roles)
    install(Target(second), roles)
    kept = uninstall(Target(first))
    assert [role.role for role in kept] == [*reversed(dataclasses.astuple(roles))]
    name = str(conninfo_to_dict(second)["dbname"])
    assert all(f"objects in database {name} know it" in role.reason for role in kept)
    assert role_exists(administration, roles.owner)
    with psycopg.connect(second) as conn:
        assert schema_exists(conn)
        assert conn.execute("select count(*) from rowhooks.feed").fetchone() == (1,)
    uninstall(Target(second))


def test_roles_that_were_there_before_are_kept_and_reported(database: str, admin: Connection, roles: Roles) -> None:
    admin.execute(sql.SQL("create role {} nologin").format(sql.Identifier(roles.owner)))
    install(Target(database), roles)
    assert uninstall(Target(database)) == [Kept(roles.owner, "it was there before rowhooks")]
    assert role_exists(admin, roles.owner)
    assert not role_exists(admin, roles.daemon)


def test_what_was_granted_to_a_role_of_ours_goes_with_it(database: str, admin: Connection, roles: Roles) -> None:
    admin.execute("create table public.thing (id integer primary key)")
    install(Target(database), roles)
    daemon = sql.Identifier(roles.daemon)
    admin.execute(sql.SQL("grant select (id), update on public.thing to {}").format(daemon))
    admin.execute(sql.SQL("grant connect on database {} to {}").format(dbname(database), daemon))
    admin.execute(sql.SQL("alter default privileges grant select on tables to {}").format(daemon))
    assert uninstall(Target(database)) == []
    assert not role_exists(admin, roles.daemon)
    assert admin.execute("select count(*) from public.thing").fetchone() == (0,)


def test_a_role_of_ours_that_owns_something_stays_and_what_it_owns_is_named(
    database: str, admin: Connection, roles: Roles
) -> None:
    install(Target(database), roles)
    daemon = sql.Identifier(roles.daemon)
    admin.execute("create table public.thing (id integer primary key)")
    admin.execute(sql.SQL("alter table public.thing owner to {}").format(daemon))
    admin.execute("create table public.other (id integer primary key)")
    admin.execute(sql.SQL("create policy mine on public.other to {}").format(daemon))
    kept = uninstall(Target(database))
    assert [role.role for role in kept] == [roles.daemon]
    assert kept[0].reason == "it is named by policy mine on table public.other; it owns table public.thing"
    assert f'drop owned by "{roles.daemon}"' in (kept[0].way_out or "")
    assert admin.execute("select count(*) from public.thing").fetchone() == (0,)
    admin.execute(sql.SQL("drop owned by {} cascade").format(daemon))


@pytest.mark.parametrize(("statement", "named"), [
    ("create view public.mine as select id from rowhooks.changes", "view public.mine"),
    ("create view public.first as select id from rowhooks.changes; create view public.mine as table public.first",
     "view public.first, view public.mine"),
    ("create table public.mine (action rowhooks.object_change_action)", "column action of table public.mine"),
    ("create table public.mine (id integer references rowhooks.job)", "constraint mine_id_fkey on table public.mine"),
    ("create table public.mine (id integer); create trigger t after insert on public.mine"
     " execute function rowhooks.configuration_changed()", "trigger t on table public.mine"),
    ("create function public.mine(rowhooks.object_change) returns int language sql return 1",
     "function public.mine(rowhooks.object_change)"),
])  # fmt: skip
def test_what_others_have_made_is_named_and_stays_until_it_is_told_to_go(
    database: str, admin: Connection, roles: Roles, statement: str, named: str
) -> None:
    install(Target(database), roles)
    admin.execute("create table public.thing (id integer primary key)")
    admin.execute("select rowhooks.track('public.thing')")
    for one in statement.split(";"):
        admin.execute(one)
    with pytest.raises(Conflict, match=re.escape(f"what others have made of it: {named}")) as refused:
        uninstall(Target(database))
    assert str(refused.value).endswith("rowhooks uninstall --cascade)")
    # Nothing half done.
    admin.execute("insert into public.thing values (1)")
    assert admin.execute("select count(*) from rowhooks.object_change").fetchone() == (1,)
    assert uninstall(Target(database), cascade=True) == []
    assert not schema_exists(admin)


def test_uninstalling_what_is_not_installed_is_refused(database: str) -> None:
    with pytest.raises(SchemaMismatch, match="there is nothing to uninstall"):
        uninstall(Target(database))


def test_uninstalling_by_a_login_without_the_rights_leaves_everything(
    database: str, admin: Connection, roles: Roles, make_role: MakeRole
) -> None:
    install(Target(database), roles)
    admin.execute("create table public.thing (id integer primary key)")
    admin.execute("select rowhooks.track('public.thing')")
    login = make_role("reader")
    admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(roles.daemon), sql.Identifier(login)))
    with pytest.raises(PermissionDenied):
        uninstall(Target(make_conninfo(database, user=login)))
    admin.execute("insert into public.thing values (1)")
    assert admin.execute("select count(*) from rowhooks.object_change").fetchone() == (1,)


def test_uninstalling_while_a_table_is_busy_gives_up_and_leaves_everything(
    database: str, admin: Connection, roles: Roles
) -> None:
    install(Target(database), roles)
    admin.execute("create table public.thing (id integer primary key)")
    admin.execute("select rowhooks.track('public.thing')")
    with psycopg.connect(database) as writer:
        writer.execute("insert into public.thing values (1)")
        with pytest.raises(DatabaseError, match=r"did not get the lock on public\.thing") as refused:
            uninstall(Target(database), wait=timedelta(seconds=0.5))
        assert f"process {writer.info.backend_pid} holds it (login {writer.info.user}, application" in str(
            refused.value
        )
        assert f"select pg_terminate_backend({writer.info.backend_pid})" in (refused.value.hint or "")
    admin.execute("insert into public.thing values (2)")
    assert admin.execute("select count(*) from rowhooks.object_change").fetchone() == (2,)
