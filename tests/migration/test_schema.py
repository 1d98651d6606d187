"""Installing, upgrading and removing schema rowhooks."""

from __future__ import annotations

import dataclasses
import re
import shlex
import threading
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks.domain.errors import Conflict, DatabaseError, PermissionDenied, SchemaMismatch
from rowhooks.postgres.administration import revisions, schema, trust
from rowhooks.postgres.administration.revisions import explain_mismatch, head_revision
from rowhooks.postgres.administration.roles import ROLE_KINDS, Roles
from rowhooks.postgres.administration.schema import install, uninstall, upgrade
from rowhooks.postgres.connections import connect
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.schema_check import check_schema
from rowhooks.resources import data_directory
from tests.support.dumps import dump_schema
from tests.support.roles import MakeDatabase, MakeRole, dbname, role_exists, schema_exists
from tests.support.schemas import compare_with_sql
from tests.support.waiting import PATIENCE

Connection = psycopg.Connection[Any]


def test_sql_and_the_migrations_make_the_same_schema(make_database: MakeDatabase, roles: Roles) -> None:
    migrated = make_database()
    install(Target(migrated), roles)
    compare_with_sql(make_database(), migrated, roles)


def test_every_sql_file_is_in_the_table_of_contents() -> None:
    root = data_directory("sql")
    listed = re.findall(r"^\\ir (\S+)$", (root / "install.sql").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(str(path.relative_to(root)) for path in root.glob("*/*.sql"))


def test_an_installation_says_what_it_made(database: str, admin: Connection, roles: Roles) -> None:
    done = install(Target(database), roles)
    assert (done.created, done.revision, done.roles) == (True, head_revision(), roles)
    columns = [f"{kind}_role" for kind in ROLE_KINDS] + [f"{kind}_role_created" for kind in ROLE_KINDS]
    statement = sql.SQL("select {} from rowhooks.installation").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    names = dataclasses.astuple(roles)
    assert admin.execute(statement).fetchall() == [(*names, *[True] * len(names))]


def test_installing_twice_changes_nothing(database: str, admin: Connection, roles: Roles) -> None:
    install(Target(database), roles)
    admin.execute("create table public.thing (id integer primary key)")
    admin.execute("select rowhooks.track('public.thing')")
    admin.execute("insert into public.thing values (1)")
    before, identity = dump_schema(database), admin.execute("select * from rowhooks.installation").fetchall()
    again = install(Target(database), roles)
    assert not again.created
    assert dump_schema(database) == before
    assert admin.execute("select * from rowhooks.installation").fetchall() == identity
    assert admin.execute("select count(*) from rowhooks.object_change").fetchone() == (1,)


def test_installing_again_keeps_the_names_of_the_roles(database: str, roles: Roles) -> None:
    install(Target(database), roles)
    assert install(Target(database), Roles()).roles == roles


def test_upgrading_makes_the_generated_functions_anew(database: str, admin: Connection, roles: Roles) -> None:
    install(Target(database), roles)
    admin.execute("create table public.thing (id integer primary key)")
    admin.execute("select rowhooks.track('public.thing')")
    source = "select prosrc from pg_proc where oid = 'rowhooks.capture_1()'::regprocedure"
    before = admin.execute(source).fetchone()
    admin.execute(
        "create or replace function rowhooks.capture_1() returns trigger language plpgsql as 'begin return null; end'"
    )
    upgrade(Target(database))
    assert admin.execute(source).fetchone() == before


def test_upgrading_restores_privileges(database: str, admin: Connection, roles: Roles) -> None:
    install(Target(database), roles)
    before = dump_schema(database)
    admin.execute("grant select on rowhooks.object_change to public")
    admin.execute("grant execute on function rowhooks.ring_bell() to public")
    admin.execute("revoke insert on rowhooks.press from public")
    assert dump_schema(database) != before
    upgrade(Target(database), trusting=True)
    assert dump_schema(database) == before


def test_upgrading_a_database_without_rowhooks_is_refused(database: str) -> None:
    with pytest.raises(SchemaMismatch, match=r"not installed in this database \(run: rowhooks init\)"):
        upgrade(Target(database))


def test_the_user_s_alembic_version_is_untouched(database: str, admin: Connection, roles: Roles) -> None:
    admin.execute("create table public.alembic_version (version_num varchar(32) primary key)")
    admin.execute("insert into public.alembic_version values ('the-users')")
    install(Target(database), roles)
    assert admin.execute("select version_num from public.alembic_version").fetchall() == [("the-users",)]
    assert admin.execute("select version_num from rowhooks.alembic_version").fetchall() == [(head_revision(),)]
    uninstall(Target(database))
    assert admin.execute("select version_num from public.alembic_version").fetchall() == [("the-users",)]


def test_installing_writes_nothing_outside_its_schema(database: str, admin: Connection, roles: Roles) -> None:
    outside = "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
    before = admin.execute(outside).fetchone()
    install(Target(database), roles)
    assert admin.execute(outside).fetchone() == before


def test_a_schema_of_that_name_that_is_not_ours_is_left_alone(database: str, admin: Connection, roles: Roles) -> None:
    admin.execute("create schema rowhooks create table precious (id integer)")
    with pytest.raises(Conflict, match="a schema rowhooks exists already") as refused:
        install(Target(database), roles)
    assert "alter schema rowhooks rename to" in (refused.value.hint or "")
    assert admin.execute("select count(*) from rowhooks.precious").fetchone() == (0,)
    assert not role_exists(admin, roles.owner)


def test_an_installation_that_fails_in_the_middle_leaves_nothing(
    database: str, admin: Connection, roles: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "sql_script", lambda *_: "select 1 / 0")
    with pytest.raises(DatabaseError, match="division by zero"):
        install(Target(database), roles)
    assert not schema_exists(admin)
    assert not role_exists(admin, roles.owner)
    assert not role_exists(admin, roles.daemon)


def test_a_newer_schema_is_refused_by_install_and_by_commands(database: str, admin: Connection, roles: Roles) -> None:
    install(Target(database), roles)
    admin.execute("update rowhooks.alembic_version set version_num = '9999'")
    message = rf"the schema \(revision 9999\) is newer than this rowhooks \({head_revision()}\)"
    with pytest.raises(SchemaMismatch, match=message) as refused:
        install(Target(database), roles)
    assert "install the rowhooks release" in (refused.value.hint or "")
    with pytest.raises(SchemaMismatch, match=message), schema.installed_connection(Target(database)):
        pass


def test_an_older_schema_asks_for_an_upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "head_revision", lambda: "0.9.0")
    monkeypatch.setattr(revisions, "known_revisions", lambda: {"0.8.0", "0.9.0"})
    mismatch = explain_mismatch("0.8.0")
    assert mismatch is not None
    assert str(mismatch) == "the schema (revision 0.8.0) is older than this rowhooks (0.9.0) (run: rowhooks upgrade)"


def test_a_missing_schema_asks_for_init(database: str) -> None:
    expected = r"not installed in this database \(run: rowhooks init\)"
    with pytest.raises(SchemaMismatch, match=expected), schema.installed_connection(Target(database)):
        pass


def test_the_schema_that_fits_is_no_mismatch() -> None:
    assert explain_mismatch(head_revision()) is None


async def test_the_daemon_checks_the_schema_in_the_same_words(database: str, admin: Connection, roles: Roles) -> None:
    conn = await connect.connect(Target(database))
    try:
        with pytest.raises(SchemaMismatch, match="not installed"):
            await check_schema(conn)
        install(Target(database), roles)
        await check_schema(conn)
        admin.execute("update rowhooks.alembic_version set version_num = '9999'")
        with pytest.raises(SchemaMismatch, match="is newer"):
            await check_schema(conn)
    finally:
        await conn.close()


def test_a_command_of_a_login_without_rights_says_so(database: str, roles: Roles, make_role: MakeRole) -> None:
    install(Target(database), roles)
    login = make_role("stranger")
    target = Target(make_conninfo(database, user=login))
    with (
        pytest.raises(PermissionDenied, match=f"role {login} may not use schema rowhooks") as refused,
        schema.installed_connection(target) as conn,
    ):
        conn.execute("select from rowhooks.job")
    assert f"grant {sql.Identifier(roles.daemon).as_string()} to " in str(refused.value)


def test_a_role_with_createrole_installs_uses_and_removes(
    database: str, admin: Connection, roles: Roles, make_role: MakeRole
) -> None:
    login = make_role("installer", "createrole")
    admin.execute(sql.SQL("grant create on database {} to {}").format(dbname(database), sql.Identifier(login)))
    target = Target(make_conninfo(database, user=login))
    assert install(target, roles).created
    assert not install(target, roles).created
    with psycopg.connect(target.conninfo, autocommit=True) as conn:
        conn.execute("create schema mine create table thing (id integer primary key)")
        conn.execute("select rowhooks.track('mine.thing')")
        conn.execute("insert into mine.thing values (1)")
        assert conn.execute("select count(*) from rowhooks.object_change").fetchone() == (1,)
    with psycopg.connect(target.conninfo, autocommit=True) as conn:
        conn.execute(sql.SQL("grant select on mine.thing to {}").format(sql.Identifier(roles.daemon)))
    assert uninstall(target) == []
    assert not schema_exists(admin)
    assert admin.execute("select id from mine.thing").fetchall() == [(1,)]


def test_a_role_without_createrole_is_told_which_role_it_may_not_create_and_leaves_nothing(
    database: str, admin: Connection, roles: Roles, make_role: MakeRole
) -> None:
    login = make_role("installer")
    with pytest.raises(PermissionDenied) as refused:
        install(Target(make_conninfo(database, user=login)), roles)
    assert refused.value.message == f"role {login} may not create the role {roles.owner}"
    hint = refused.value.hint or ""
    assert "--owner-role" in hint
    assert not schema_exists(admin)
    assert not role_exists(admin, roles.owner)
    # The command is whole: an administrator runs it once, and the role can install.
    [command] = re.findall(r"then repeat: (psql .*); or name existing roles", hint)
    program, _, name, _, statements = shlex.split(command)
    assert (program, name) == ("psql", admin.info.dbname)
    admin.execute(statements.encode())
    assert install(Target(make_conninfo(database, user=login)), roles).created
    uninstall(Target(make_conninfo(database, user=login)))


def test_a_role_that_may_not_create_a_schema_is_told_so_and_leaves_nothing(
    database: str, admin: Connection, roles: Roles, make_role: MakeRole
) -> None:
    login = make_role("installer", "createrole")
    with pytest.raises(PermissionDenied, match="may not create a schema in database") as refused:
        install(Target(make_conninfo(database, user=login)), roles)
    assert "grant create on database" in (refused.value.hint or "")
    assert not role_exists(admin, roles.owner)
    assert not role_exists(admin, roles.daemon)


def test_roles_that_an_administrator_made_are_used_by_a_login_without_createrole(
    database: str, admin: Connection, roles: Roles, make_role: MakeRole
) -> None:
    login = make_role("installer")
    for role in dataclasses.astuple(roles):
        admin.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
    for role, member in (
        (roles.capture, roles.owner), (roles.viewer, roles.operator), (roles.operator, roles.admin)
    ):  # fmt: skip
        admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(member)))
    admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(roles.owner), sql.Identifier(login)))
    admin.execute(sql.SQL("grant create on database {} to {}").format(dbname(database), sql.Identifier(login)))
    target = Target(make_conninfo(database, user=login))
    install(target, roles)
    kept = uninstall(target)
    assert [role.role for role in kept] == [*reversed(dataclasses.astuple(roles))]
    assert role_exists(admin, roles.owner)


def test_a_login_that_may_not_act_as_the_owner_cannot_upgrade(
    database: str, roles: Roles, make_role: MakeRole, admin: Connection
) -> None:
    install(Target(database), roles)
    login = make_role("reader")
    admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(roles.daemon), sql.Identifier(login)))
    with pytest.raises(PermissionDenied, match=f"role {login} may not act as {roles.owner}"):
        upgrade(Target(make_conninfo(database, user=login)))


def test_installing_waits_for_nobodys_lock_on_a_table(database: str, admin: Connection, roles: Roles) -> None:
    admin.execute("create table public.thing (id integer primary key)")
    with psycopg.connect(database) as busy:
        busy.execute("lock table public.thing in access exclusive mode")
        with psycopg.connect(database) as writer:
            writer.execute("create table public.other (id integer primary key)")
            # A lock that it waited for would end this with an error.
            install(Target(make_conninfo(database, options="-c lock_timeout=100")), roles)
    assert schema_exists(admin)


def test_without_a_superuser_there_are_no_event_triggers_and_everything_else(
    make_role: MakeRole, make_database: MakeDatabase, administration: Connection, roles: Roles
) -> None:
    installer = make_role("installer", "createrole")
    dsn = make_database()
    administration.execute(sql.SQL("grant create on database {} to {}").format(dbname(dsn), sql.Identifier(installer)))
    install(Target(make_conninfo(dsn, user=installer)), roles)
    with psycopg.connect(dsn, autocommit=True) as conn:
        assert schema_exists(conn)
        found = "select count(*) from pg_event_trigger"
        assert conn.execute(found).fetchone() == (0,)
        install(Target(make_conninfo(dsn, user=installer)), roles)
        assert conn.execute(found).fetchone() == (0,)
        uninstall(Target(make_conninfo(dsn, user=installer)))


def test_an_upgrade_that_does_not_get_a_lock_says_who_holds_it_and_leaves_nothing_half_done(
    database: str, admin: Connection, roles: Roles
) -> None:
    install(Target(database), roles)
    before = dump_schema(database)
    with psycopg.connect(database, application_name="the holder") as holder:
        holder.execute("lock table rowhooks.job_hook in access exclusive mode")
        with pytest.raises(DatabaseError) as refused:
            upgrade(Target(database), wait=timedelta(seconds=0.5))
        pid, login = holder.info.backend_pid, holder.info.user
    assert refused.value.message.startswith(
        f"upgrade did not get the lock on rowhooks.job_hook within 0.5 s: process {pid} holds it"
        f" (login {login}, application the holder, its transaction open for 00:00:0"
    )
    assert refused.value.hint == (
        f"let it end, or end it: select pg_terminate_backend({pid}); or wait longer: rowhooks upgrade --wait 60s"
    )
    assert dump_schema(database) == before


def test_no_login_but_the_owner_can_stand_in_the_way_of_an_upgrade(
    database: str, roles: Roles, make_role: MakeRole, admin: Connection
) -> None:
    install(Target(database), roles)
    login = make_role("daemon")
    admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(roles.daemon), sql.Identifier(login)))
    with psycopg.connect(make_conninfo(database, user=login)) as stranger:
        stranger.execute("select pg_advisory_lock(hashtextextended('rowhooks.install', 0))")
        stranger.execute("select pg_advisory_lock(hashtextextended('rowhooks.extend_object_change', 0))")
        stranger.commit()
        upgrade(Target(database))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.execute("lock table rowhooks.installation in share row exclusive mode")


@pytest.mark.parametrize("roles_are_there", [False, True])
def test_of_two_first_installations_at_once_the_second_finds_it_installed(
    database: str, admin: Connection, roles: Roles, monkeypatch: pytest.MonkeyPatch, roles_are_there: bool
) -> None:
    if roles_are_there:
        for role in dataclasses.astuple(roles):
            admin.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
    may_go_on, is_in_the_middle = threading.Event(), threading.Event()
    replace = trust.replace_event_triggers

    def halt(conn: Connection) -> None:
        if threading.current_thread() is first:
            is_in_the_middle.set()
            assert may_go_on.wait(PATIENCE)
        replace(conn)

    monkeypatch.setattr(schema, "replace_event_triggers", halt)
    done: dict[str, Any] = {}

    def run(name: str) -> None:
        done[name] = install(Target(database), roles, wait=timedelta(seconds=PATIENCE))

    first = threading.Thread(target=run, args=("first",))
    second = threading.Thread(target=run, args=("second",))
    first.start()
    assert is_in_the_middle.wait(PATIENCE)
    second.start()
    deadline = time.monotonic() + PATIENCE
    while not admin.execute(
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    ).fetchone():
        assert time.monotonic() < deadline
    may_go_on.set()
    first.join(PATIENCE)
    second.join(PATIENCE)
    assert (done["first"].created, done["second"].created) == (True, False)
    if roles_are_there:
        uninstall(Target(database))
