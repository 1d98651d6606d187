"""A database of the first revision, as an older release left it (0001.sql: its pg_dump), is brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks.domain.errors import PermissionDenied
from rowhooks.postgres.connect import Target
from rowhooks.postgres.schema import head_revision, installed_connection, uninstall, upgrade
from tests.dumps import restore
from tests.migration.conftest import role_exists

Connection = psycopg.Connection[Any]

OWNER, DAEMON = "rowhooks_owner", "rowhooks_daemon"


@pytest.fixture
def old(database: str, admin: Connection) -> str:
    """A database that a superuser has installed at revision 0001, with a tracked table and a change; its DSN."""
    for role in (OWNER, DAEMON):
        if not role_exists(admin, role):
            admin.execute(f"create role {role} nologin")
    script = (Path(__file__).parent / "0001.sql").read_text("utf-8")
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
