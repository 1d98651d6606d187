"""A superuser runs nothing of rowhooks that somebody weaker may have changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks.domain.errors import Conflict, PermissionDenied
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install, installed_connection, uninstall, upgrade
from rowhooks.postgres.connections.target import Target
from tests.support.roles import MakeDatabase, MakeRole, dbname

Connection = psycopg.Connection[Any]

EVIL = """
create function mine.evil() returns trigger language plpgsql as
$$ begin insert into mine.caught values (current_user); return new; end $$
"""


def event_triggers(conn: Connection) -> int:
    """Return how many there are."""
    row = conn.execute("select count(*) from pg_event_trigger").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def installer(make_role: MakeRole) -> str:
    """A login that may make roles, and is no superuser."""
    return make_role("installer", "createrole")


@pytest.fixture
def weak_database(make_database: MakeDatabase, administration: Connection, roles: Roles, installer: str) -> str:
    """A database into which the installer has installed rowhooks, and has a schema of its own; the superuser's DSN."""
    dsn = make_database()
    administration.execute(sql.SQL("grant create on database {} to {}").format(dbname(dsn), sql.Identifier(installer)))
    install(Target(make_conninfo(dsn, user=installer)), roles)
    with psycopg.connect(make_conninfo(dsn, user=installer), autocommit=True) as conn:
        conn.execute("create schema mine")
        conn.execute("create table mine.caught (who text)")
        conn.execute("create table mine.thing (id integer primary key)")
    return dsn


def revoke_membership(conn: Connection, role: str, member: str) -> None:
    """Take a membership back, whoever granted it (PostgreSQL 16 and newer know several)."""
    grants = conn.execute(
        "select grantor::regrole::text from pg_auth_members where roleid = to_regrole(%s) and member = to_regrole(%s)"
        " order by admin_option",
        (sql.Identifier(role).as_string(), sql.Identifier(member).as_string()),
    ).fetchall()
    for (grantor,) in grants:
        conn.execute(
            sql.SQL("revoke {} from {} granted by {} cascade").format(
                sql.Identifier(role), sql.Identifier(member), sql.SQL(grantor)
            )
        )


def test_no_superuser_upgrades_while_somebody_weaker_may_replace_what_it_runs(
    weak_database: str, roles: Roles, installer: str
) -> None:
    with psycopg.connect(weak_database, autocommit=True) as conn:
        with pytest.raises(PermissionDenied, match=f"{installer}, which is none, may replace what rowhooks runs"):
            upgrade(Target(weak_database))
        revoke_membership(conn, roles.owner, installer)
        # Nobody knows what the installer has left in it.
        with pytest.raises(PermissionDenied, match="is not what a superuser has installed"):
            upgrade(Target(weak_database))
        assert event_triggers(conn) == 0
        upgrade(Target(weak_database), trusting=True)
        assert event_triggers(conn) == 2
        # And they work, and nobody has to vouch for it again.
        conn.execute("select rowhooks.track('mine.thing')")
        conn.execute("alter table mine.thing rename to thing2")
        assert conn.execute("select table_name from rowhooks.tracked_table").fetchone() == ("thing2",)
        upgrade(Target(weak_database))


def test_a_superuser_does_not_even_look_into_a_schema_that_somebody_else_has_made(
    database: str, admin: Connection, make_role: MakeRole
) -> None:
    login = make_role("maker")
    admin.execute(sql.SQL("grant create on database {} to {}").format(dbname(database), sql.Identifier(login)))
    admin.execute("create sequence public.called; grant usage on sequence public.called to public")
    with psycopg.connect(make_conninfo(database, user=login), autocommit=True) as maker:
        maker.execute("create schema rowhooks")
        maker.execute("create view rowhooks.alembic_version as select nextval('public.called')::text as version_num")
        maker.execute("grant usage on schema rowhooks to public; grant select on rowhooks.alembic_version to public")
    commands: list[Callable[[Target], object]] = [upgrade, lambda target: install(target, Roles()), uninstall]
    for command in commands:
        with pytest.raises(PermissionDenied, match=f"{login}, which is none, may replace"):
            command(Target(database))
    with pytest.raises(PermissionDenied, match=f"{login}, which is none, may replace"):  # noqa: SIM117
        with installed_connection(Target(database)):
            pass
    assert admin.execute("select is_called from public.called").fetchone() == (False,)


@pytest.mark.parametrize(("planted", "named"), [
    (
        "create trigger planted before update on rowhooks.tracked_table for each row execute function mine.evil()",
        "trigger planted on rowhooks.tracked_table",
    ),
    # One of our own names, on another table.
    (
        "create trigger job_hook_checked before insert or update on rowhooks.tracked_table"
        " for each row execute function mine.evil()",
        "trigger job_hook_checked on rowhooks.job_hook",
    ),
    (
        "create rule planted as on update to rowhooks.tracked_table do also"
        " insert into mine.caught values (current_user)",
        "rule planted on rowhooks.tracked_table",
    ),
    (
        "alter table rowhooks.tracked_table add constraint planted check (id operator(mine.##) 1)",
        "use operator mine.##(integer,integer) in constraint planted on table rowhooks.tracked_table",
    ),
    ("create policy planted on rowhooks.tracked_table using (true)", "policy planted on rowhooks.tracked_table"),
    (
        "alter table rowhooks.tracked_table alter column tracked_at set default mine.clock()",
        "use function mine.clock() in default value for column tracked_at of table rowhooks.tracked_table",
    ),
    (
        "alter table rowhooks.tracked_table add constraint planted check (mine.clock() is not null)",
        "use function mine.clock() in constraint planted on table rowhooks.tracked_table",
    ),
])  # fmt: skip
def test_what_somebody_weaker_has_planted_is_named_though_a_superuser_vouches_for_the_schema(
    weak_database: str, roles: Roles, installer: str, planted: str, named: str
) -> None:
    with psycopg.connect(make_conninfo(weak_database, user=installer), autocommit=True) as weak:
        weak.execute(EVIL)
        weak.execute("create function mine.clock() returns timestamptz language sql volatile as 'select now()'")
        weak.execute("create function mine.op(int, int) returns boolean language sql as 'select true'")
        weak.execute("create operator mine.## (leftarg = int, rightarg = int, function = mine.op)")
        weak.execute(sql.SQL("grant usage on schema mine to {}").format(sql.Identifier(roles.owner)))
        weak.execute(sql.SQL("set role {}").format(sql.Identifier(roles.owner)))
        weak.execute(planted)
    with psycopg.connect(weak_database, autocommit=True) as conn:
        revoke_membership(conn, roles.owner, installer)
        with pytest.raises(Conflict) as refused:
            upgrade(Target(weak_database), trusting=True)
        assert refused.value.message == f"{named} is none of rowhooks'"
        assert event_triggers(conn) == 0


@pytest.mark.parametrize("tampering", [
    "create or replace function rowhooks.refresh_table(target_id integer) returns boolean language plpgsql as"
    " $$ begin insert into mine.caught values (current_user); return true; end $$",
    "create or replace function rowhooks.matches_glob(name text, pattern text) returns boolean language plpgsql as"
    " $$ begin insert into mine.caught values (current_user); return true; end $$",
    "alter function rowhooks.refresh_table(integer) security invoker",
    "create trigger planted before update on rowhooks.tracked_table for each row execute function mine.evil()",
    "create rule planted as on update to rowhooks.tracked_table do also insert into mine.caught values (current_user)",
    "drop function rowhooks.refresh_table(integer)",
    "create index on rowhooks.tracked_table (id) where rowhooks.always_quoted('a') = '1'",
    "create index on rowhooks.object_change_0 (id) where rowhooks.always_quoted('a') = '1'",
    "alter table rowhooks.alembic_version rename to av; create view rowhooks.alembic_version as"
    " select version_num from rowhooks.av",
    "alter table rowhooks.feed add constraint c check (rowhooks.always_quoted('a') = '\"a\"')",
    "grant trigger on rowhooks.tracking_rule to public",
    "grant create on schema rowhooks to public",
    "alter default privileges in schema rowhooks grant execute on functions to public",
    "update rowhooks.installation set capture_role = 'postgres'",
])  # fmt: skip
def test_what_was_changed_while_somebody_weaker_could_is_not_run_later_either(
    database: str, admin: Connection, roles: Roles, make_role: MakeRole, tampering: str
) -> None:
    install(Target(database), roles)
    admin.execute("create schema mine create table caught (who text) create table thing (id integer primary key)")
    admin.execute("grant usage on schema mine to public")
    admin.execute("grant insert on mine.caught to public")
    admin.execute(EVIL)
    admin.execute("select rowhooks.track('mine.thing')")
    admin.execute("insert into rowhooks.tracking_rule (pattern) values ('mine.*')")
    weaker = make_role("weaker")
    owner, member = sql.Identifier(roles.owner), sql.Identifier(weaker)
    admin.execute(sql.SQL("grant {} to {}").format(owner, member))
    with psycopg.connect(make_conninfo(database, user=weaker), autocommit=True) as weak:
        weak.execute(sql.SQL("set role {}").format(owner))
        weak.execute(tampering)
    # While it may, and when it may no longer.
    admin.execute("alter table mine.thing rename to other")
    admin.execute(sql.SQL("revoke {} from {}").format(owner, member))
    admin.execute("alter table mine.other rename to thing")
    admin.execute("create table mine.one_more (id integer primary key)")
    admin.execute("drop table mine.one_more")
    assert admin.execute("select * from mine.caught").fetchall() == []
    # Nor by the commands.
    with pytest.raises(PermissionDenied, match="is not what a superuser has installed"):  # noqa: SIM117
        with installed_connection(Target(database)):
            pass
    commands: list[Callable[[Target], object]] = [upgrade, uninstall]
    for command in commands:
        with pytest.raises(PermissionDenied, match="is not what a superuser has installed"):
            command(Target(database))
    assert admin.execute("select * from mine.caught").fetchall() == []


def test_a_function_of_the_event_triggers_that_somebody_else_made_first_becomes_the_superuser_s(
    weak_database: str, roles: Roles, installer: str
) -> None:
    with psycopg.connect(make_conninfo(weak_database, user=installer), autocommit=True) as weak:
        weak.execute(sql.SQL("set role {}").format(sql.Identifier(roles.owner)))
        weak.execute("create function rowhooks.after_ddl() returns event_trigger language plpgsql as 'begin end'")
    with psycopg.connect(weak_database, autocommit=True) as conn:
        revoke_membership(conn, roles.owner, installer)
        upgrade(Target(weak_database), trusting=True)
        owner = conn.execute(
            "select r.rolsuper from pg_proc as p join pg_roles as r on r.oid = p.proowner"
            " where p.oid = 'rowhooks.after_ddl()'::regprocedure"
        ).fetchone()
        assert owner == (True,)


def test_a_superuser_s_commands_refuse_to_run_what_somebody_weaker_may_replace(
    weak_database: str, roles: Roles, installer: str
) -> None:
    with pytest.raises(PermissionDenied, match=f"{installer}, which is none, may replace") as refused:  # noqa: SIM117
        with installed_connection(Target(weak_database)):
            pass
    assert f"connect as {installer}" in (refused.value.hint or "")
    with installed_connection(Target(make_conninfo(weak_database, user=installer))) as conn:
        assert conn.execute("select count(*) from rowhooks.feed").fetchone() == (1,)


PLANTED = """
create function rowhooks.is_approved() returns boolean language plpgsql as
$$ begin insert into mine.caught values (current_user); return false; end $$
"""
# A schema of the same name in the place of rowhooks' own, with a function that bears the comment which that has.
ANOTHER_SCHEMA = (
    """
alter schema rowhooks rename to former;
create schema rowhooks;
create function rowhooks.after_ddl() returns event_trigger language plpgsql as 'begin end';
"""
    + PLANTED
    + """;
do $$ begin execute format('comment on function rowhooks.after_ddl() is %L', (
  select md5(concat_ws(' ', p.proname, p.pronargs, true, p.prosecdef, p.provolatile, 'plpgsql', p.proconfig, p.prosrc))
  from pg_proc as p where p.oid = 'rowhooks.is_approved()'::regprocedure
)); end $$
"""
)


@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_helper_of_the_event_triggers_does_not_become_trusted_with_its_owner(
    database: str, admin: Connection, roles: Roles, make_role: MakeRole, is_renamed: bool
) -> None:
    install(Target(database), roles)
    admin.execute("create schema mine create table caught (who text) create table thing (id integer primary key)")
    admin.execute("grant usage on schema mine to public")
    weaker = make_role("weaker")
    owner, member = sql.Identifier(roles.owner), sql.Identifier(weaker)
    admin.execute(sql.SQL("grant {} to {}").format(owner, member))
    admin.execute(sql.SQL("grant create on database {} to {}").format(dbname(database), member))
    with psycopg.connect(make_conninfo(database, user=weaker), autocommit=True) as weak:
        if is_renamed:
            weak.execute(ANOTHER_SCHEMA.encode())
        else:
            weak.execute(sql.SQL("set role {}").format(owner))
            weak.execute("drop function rowhooks.is_approved()")
            weak.execute(sql.SQL("grant create on schema rowhooks to {}").format(member))
            weak.execute("reset role")
            weak.execute(PLANTED)
            weak.execute(sql.SQL("set role {}").format(owner))
            weak.execute(sql.SQL("revoke create on schema rowhooks from {}").format(member))
    # As a role is taken leave of: what it has made becomes the superuser's.
    admin.execute(sql.SQL("revoke {} from {}").format(owner, member))
    admin.execute(sql.SQL("reassign owned by {} to current_user").format(member))
    admin.execute("alter table mine.thing rename to other")
    admin.execute("drop table mine.other")
    assert admin.execute("select * from mine.caught").fetchall() == []


def test_what_somebody_weaker_changes_after_a_superuser_s_init_is_not_approved_of_later(
    database: str, admin: Connection, roles: Roles, make_role: MakeRole
) -> None:
    weaker = make_role("weaker")
    owner, member = sql.Identifier(roles.owner), sql.Identifier(weaker)
    # The role is there before, and has a member.
    admin.execute(sql.SQL("create role {}").format(owner))
    admin.execute(sql.SQL("grant {} to {}").format(owner, member))
    install(Target(database), roles)
    admin.execute("create schema mine create table caught (who text) create table thing (id integer primary key)")
    admin.execute("grant usage on schema mine to public")
    admin.execute("select rowhooks.track('mine.thing')")
    with psycopg.connect(make_conninfo(database, user=weaker), autocommit=True) as weak:
        weak.execute(sql.SQL("set role {}").format(owner))
        weak.execute(
            "create or replace function rowhooks.refresh_table(target_id integer) returns boolean language plpgsql as"
            " $$ begin insert into mine.caught values (current_user); return true; end $$"
        )
    admin.execute(sql.SQL("revoke {} from {}").format(owner, member))
    admin.execute("alter table mine.thing rename to other")
    admin.execute("alter table mine.other rename to thing")
    assert admin.execute("select * from mine.caught").fetchall() == []
