"""Roles are the whole cluster's: what an installation in one database means for those in others."""

from __future__ import annotations

import re
import shlex
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowhooks.cli import call
from rowhooks.domain.errors import PermissionDenied
from rowhooks.postgres.administration.doctor import Finding, examine
from rowhooks.postgres.administration.roles import ROLE_KINDS, Roles, recorded_roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.connections.target import Target
from rowhooks.resources import data_directory
from tests.support.mends import run_as_printed
from tests.support.roles import MakeDatabase, MakeRole, dbname

pytestmark = pytest.mark.usefixtures("no_roles_left")
Connection = psycopg.Connection[Any]

RESULTS = "select count(*) from rowhooks.results"


def name_of(dsn: str) -> str:
    return str(conninfo_to_dict(dsn)["dbname"])


def prepared(administration: Connection, dsn: str, login: str, attributes: str = "createrole") -> str:
    """Let a login install in a database; return its DSN."""
    administration.execute(sql.SQL("grant create on database {} to {}").format(dbname(dsn), sql.Identifier(login)))
    return make_conninfo(dsn, user=login)


def findings(dsn: str, word: str) -> list[Finding]:
    with psycopg.connect(dsn, autocommit=True) as conn:
        return [one for one in examine(conn) if word in one.what]


def may_read_results(dsn: str) -> bool:
    with psycopg.connect(dsn) as conn:
        try:
            conn.execute(RESULTS)
        except errors.InsufficientPrivilege:
            return False
        return True


def test_who_installs_without_being_a_superuser_reads_nothing_in_another_database(
    make_database: MakeDatabase, make_role: MakeRole, administration: Connection
) -> None:
    mine, others = make_database(), make_database()
    me, other = make_role("me", "createrole"), make_role("other", "createrole")
    for dsn, login in ((mine, me), (others, other)):
        assert call(["init", "--dsn", prepared(administration, dsn, login)]) == 0
    assert may_read_results(make_conninfo(mine, user=me))
    assert not may_read_results(make_conninfo(others, user=me))
    with psycopg.connect(make_conninfo(mine, user=me)) as conn:
        assert recorded_roles(conn)[0] == Roles(*(f"rowhooks_{kind}_{name_of(mine)}" for kind in ROLE_KINDS))
    # Doctor says that it is a member, which it needs to be, and that is all.
    (found,) = findings(make_conninfo(mine, user=me), "may act as")
    assert (found.level, found.what.split(",")[0]) == ("note", me)
    assert call(["uninstall", "--yes", "--dsn", make_conninfo(mine, user=me)]) == 0
    assert call(["uninstall", "--yes", "--dsn", make_conninfo(others, user=other)]) == 0


def test_a_long_name_of_a_database_gives_way_to_its_oid(
    administration: Connection, make_role: MakeRole, server: Any
) -> None:
    login, name = make_role("me", "createrole"), "ü" * 30
    administration.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        info = administration.info
        dsn = make_conninfo("", host=info.host, port=info.port, user=info.user, password=info.password, dbname=name)
        roles = install(Target(prepared(administration, dsn, login)), {"daemon": "mine"}).roles
        row = administration.execute("select oid from pg_database where datname = %s", (name,)).fetchone()
        assert row is not None
        names = {kind: f"rowhooks_{kind}_{row[0]}" for kind in ROLE_KINDS}
        assert roles == Roles(**{**names, "daemon": "mine"})
    finally:
        administration.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def hint_of_init(dsn: str) -> str | None:
    """Install; return what is asked for where it is refused."""
    try:
        install(Target(dsn), {})
    except PermissionDenied as error:
        return error.hint
    return None


def test_what_init_asks_of_an_administrator_is_enough_as_it_is_written(
    administration: Connection, make_role: MakeRole, empty_dsn: str
) -> None:
    me, name = make_role("me"), f"odd-{name_of(empty_dsn)}"
    administration.execute(sql.SQL("alter database {} rename to {}").format(dbname(empty_dsn), sql.Identifier(name)))
    dsn = make_conninfo(empty_dsn, dbname=name, user=me)
    try:
        (command,) = re.findall(r"then repeat: (psql .*?); or name existing roles", hint_of_init(dsn) or "")
        *_, database, _, statements = shlex.split(command)
        assert database == name
        assert f'create role "rowhooks_owner_{name}" nologin' in statements
        administration.execute(statements.encode())
        assert hint_of_init(dsn) is None
        assert may_read_results(dsn)
    finally:
        administration.execute(
            sql.SQL("alter database {} rename to {}").format(sql.Identifier(name), dbname(empty_dsn))
        )


def test_the_recipe_without_a_superuser_is_one_databases(
    make_database: MakeDatabase, make_role: MakeRole, administration: Connection
) -> None:
    page = (data_directory("sql").parent / "docs" / "operating.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"```text\n(create role rowhooks_owner_app .*?)```", page, re.DOTALL)
    dsn, other = make_database(), make_database()
    login = make_role("app_admin")
    written = recipe.replace("app_admin", login)
    written = re.sub(r"_app\b", f"_{name_of(dsn)}", written).replace("database app ", f"database {name_of(dsn)} ")
    administration.execute(written.encode())
    assert call(["init", "--dsn", make_conninfo(dsn, user=login)]) == 0
    install(Target(other), Roles())
    assert may_read_results(make_conninfo(dsn, user=login))
    assert not may_read_results(make_conninfo(other, user=login))
    (found,) = findings(make_conninfo(dsn, user=login), "may act as")
    assert found.level == "note"


def test_a_member_of_an_owners_role_that_two_databases_share_is_named_and_taken_out(
    make_database: MakeDatabase, make_role: MakeRole, administration: Connection, roles: Roles
) -> None:
    mine, others = make_database(), make_database()
    me = make_role("me", "createrole")
    install(Target(others), roles)
    administration.execute(sql.SQL("grant {} to {}").format(sql.Identifier(roles.owner), sql.Identifier(me)))
    administration.execute(
        sql.SQL("grant create on database {} to {}").format(dbname(mine), sql.Identifier(roles.owner))
    )
    install(Target(make_conninfo(mine, user=me)), roles)
    assert may_read_results(make_conninfo(others, user=me))
    (found,) = findings(make_conninfo(mine, user=me), "may act as")
    owner = sql.Identifier(roles.owner).as_string()
    assert (found.level, found.what) == (
        "problem",
        f"{me}, no superuser, may act as {owner} and so read and replace what rowhooks has in this database, and in"
        f" {name_of(others)} too",
    )
    run_as_printed(found.way_out.split(" (to upgrade")[0], mine)
    assert not may_read_results(make_conninfo(others, user=me))
    with psycopg.connect(mine, autocommit=True) as conn:
        assert [one for one in examine(conn) if "may act as" in one.what and "event triggers" not in one.what] == []
    administration.execute(sql.SQL("grant {} to {}").format(sql.Identifier(roles.owner), sql.Identifier(me)))
    assert call(["upgrade", "--dsn", make_conninfo(mine, user=me)]) == 0


def test_logins_whose_role_counts_in_another_database_too_are_named_until_they_may_not_connect_to_it(
    make_database: MakeDatabase, make_role: MakeRole, administration: Connection, roles: Roles
) -> None:
    mine, others = make_database(), make_database()
    daemon = make_role("daemon")
    for dsn in (mine, others):
        install(Target(dsn), roles)
    administration.execute(sql.SQL("grant {} to {}").format(sql.Identifier(roles.daemon), sql.Identifier(daemon)))
    (found,) = findings(mine, "may connect")
    role = sql.Identifier(roles.daemon).as_string()
    assert (found.level, found.what) == (
        "note", f"{daemon} may connect to {name_of(others)} too, where {role} may do what it may here"
    )  # fmt: skip
    administration.execute(sql.SQL("revoke connect on database {} from public").format(dbname(others)))
    assert findings(mine, "may connect") == []
