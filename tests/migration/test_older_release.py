"""Databases as older releases left them (0001.sql, 0002.sql: the pg_dump of that revision) are brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowhooks.domain.errors import PermissionDenied
from rowhooks.postgres.administration.schema import head_revision, installed_connection, uninstall, upgrade
from rowhooks.postgres.bindings import find_faults
from rowhooks.postgres.connections.connect import Target
from tests.support.dumps import restore
from tests.support.roles import MakeRole, role_exists

Connection = psycopg.Connection[Any]

OWNER, DAEMON = "rowhooks_owner", "rowhooks_daemon"
ROLES_OF_0002 = (OWNER, DAEMON, "rowhooks_capture", "rowhooks_receiver")


@pytest.fixture
def old(database: str, admin: Connection) -> str:
    """A database that a superuser has installed at revision 0001, with a tracked table and a change; its DSN."""
    return restored(database, admin, "0001", OWNER, DAEMON)


def restored(database: str, admin: Connection, revision: str, *roles: str) -> str:
    for role in roles:
        if not role_exists(admin, role):
            admin.execute(f"create role {role} nologin")
    script = (Path(__file__).parent / f"{revision}.sql").read_text("utf-8")
    restore(script.replace(" TO postgres;", " TO current_user;"), database)
    return database


def test_it_is_upgraded_on_a_superusers_word_with_everything_in_it(old: str, admin: Connection) -> None:
    with pytest.raises(PermissionDenied, match="is not what a superuser has installed"):
        upgrade(Target(old))
    assert upgrade(Target(old), trusting=True).revision == head_revision()
    admin.execute("insert into public.thing values (2, 'b')")
    admin.execute("create table public.later (id integer primary key)")
    admin.execute("insert into public.later values (3)")
    changes = "select c.object_type, c.object_id from rowhooks.changes as c order by c.id"
    assert admin.execute(changes).fetchall() == [
        ("public.thing", {"id": 1}), ("public.thing", {"id": 2}), ("public.later", {"id": 3}),
    ]  # fmt: skip
    # And nobody has to vouch for it again.
    with installed_connection(Target(old)):
        pass
    upgrade(Target(old))


def test_it_is_removed_once_it_was_upgraded(old: str, admin: Connection) -> None:
    upgrade(Target(old), trusting=True)
    uninstall(Target(old))
    assert admin.execute("select count(*) from pg_namespace where nspname = 'rowhooks'").fetchone() == (0,)
    assert admin.execute("select count(*) from public.thing").fetchone() == (1,)


def test_what_others_have_made_of_the_views_of_0002_stays_with_its_grants(
    database: str, admin: Connection, make_role: MakeRole
) -> None:
    """The dump holds a table with a column that is kept out, a hook, a button, a change and a press."""
    restored(database, admin, "0002", *ROLES_OF_0002)
    analyst = sql.Identifier(make_role("analyst"))
    admin.execute("create view public.report as select id, status, object_type from rowhooks.results")
    admin.execute("create view public.history as select id, object_type from rowhooks.changes")
    admin.execute("create view public.offered as select name, object_type from rowhooks.buttons")
    admin.execute(sql.SQL("grant select on rowhooks.results, rowhooks.changes to {}").format(analyst))
    upgrade(Target(database), trusting=True)
    assert admin.execute("select status, object_type from public.report").fetchall() == [("PENDING", "public.thing")]
    assert admin.execute("select name, object_type from public.offered").fetchall() == [("press", "public.thing")]
    admin.execute("update public.thing set secret = 'seen'")
    admin.execute("update public.thing set name = 'b', secret = 'seen'")
    assert admin.execute("select count(*) from public.history").fetchone() == (2,)
    assert admin.execute(
        "select count(*) from rowhooks.changes as c where strpos(to_jsonb(c)::text, 'seen') > 0"
    ).fetchone() == (0,)
    admin.execute("alter table public.thing rename name to called")
    with installed_connection(Target(database)) as conn:
        assert find_faults(conn) == []
    admin.execute(sql.SQL("set role {}").format(analyst))
    for view in ("results", "changes"):
        assert admin.execute("select has_table_privilege(%s, 'select')", (f"rowhooks.{view}",)).fetchone() == (True,)
    admin.execute("reset role")
