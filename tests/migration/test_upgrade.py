"""A later revision: a database that was installed before it is brought up to date, with everything in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import alembic.config
import alembic.script
import psycopg
import pytest
from psycopg import sql

from rowhooks.domain.errors import PermissionDenied, SchemaMismatch
from rowhooks.postgres.administration import revisions
from rowhooks.postgres.administration.doctor import examine
from rowhooks.postgres.administration.quickstart import Wanted, carry_out, look
from rowhooks.postgres.administration.revisions import head_revision, known_revisions
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install, installed_connection, uninstall, upgrade
from rowhooks.postgres.connections.target import Target
from rowhooks.resources import data_directory
from tests.support.roles import MakeDatabase, MakeRole
from tests.support.schemas import compare_with_sql

Connection = psycopg.Connection[Any]

LATER = '''"""Beside each tracked table, what somebody has to say of it."""

from alembic import op

revision = "later"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table rowhooks.tracked_table add column remark text not null default 'none'")
'''


@pytest.fixture
def old(database: str, admin: Connection, roles: Roles) -> str:
    """A database that a superuser has installed, with a table, a hook, a button, a change and a press; its DSN."""
    install(Target(database), roles)
    admin.execute("create table public.thing (id integer primary key, name text, secret text)")
    admin.execute("select rowhooks.track('public.thing', exclude => '{secret}')")
    admin.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values ('a.Hook', 'hook', 'Hook', true),"
        " ('a.Button', 'button', 'Button', true)"
    )
    admin.execute(
        "insert into rowhooks.job_hook (name, job_id, type_update, columns) values ('hook', 1, true, '{name}')"
    )
    admin.execute("insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id) values (1, 1)")
    admin.execute("insert into rowhooks.job_button (name, job_id, text) values ('press', 2, '{{ obj.name }}')")
    admin.execute("insert into rowhooks.job_button_table (job_button_id, tracked_table_id) values (1, 1)")
    admin.execute("insert into public.thing values (1, 'a', 'unseen')")
    admin.execute("select rowhooks.press('press', 'public.thing', '1')")
    return database


@pytest.fixture
def later(old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Code of a later release: one revision more than `old` has."""
    scripts = tmp_path / "alembic"
    shutil.copytree(data_directory("alembic"), scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "later.py").write_text(LATER.format(head=head_revision()), "utf-8")
    _forget_revisions()
    monkeypatch.setattr(revisions, "data_directory", lambda _: scripts)
    yield
    _forget_revisions()


def _problems_of_bindings(conn: Connection) -> list[str]:
    """Return what doctor finds wrong with hooks and buttons; that nobody may press this button yet is a note."""
    found = [one for one in examine(conn) if one.what.startswith(("hook ", "button "))]
    return [one.what for one in found if one.level == "problem"]


def _forget_revisions() -> None:
    revisions.head_revision.cache_clear()
    revisions.known_revisions.cache_clear()


@pytest.mark.usefixtures("later")
def test_the_scripts_are_read_as_alembic_reads_them(tmp_path: Path) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(tmp_path / "alembic"))
    scripts = alembic.script.ScriptDirectory.from_config(config)
    assert head_revision() == scripts.get_current_head() == "later"
    assert known_revisions() == {script.revision for script in scripts.walk_revisions()}


@pytest.mark.usefixtures("later")
def test_an_older_schema_is_upgraded_with_everything_in_it(old: str, admin: Connection) -> None:
    with pytest.raises(SchemaMismatch, match="is older than this rowhooks"):  # noqa: SIM117
        with installed_connection(Target(old)):
            pass
    done = upgrade(Target(old))
    assert (done.created, done.revision) == (False, "later")
    assert admin.execute("select remark from rowhooks.tracked_table").fetchall() == [("none",)]
    admin.execute("insert into public.thing values (2, 'b')")
    admin.execute("create table public.later (id integer primary key)")
    admin.execute("select rowhooks.track('public.later')")
    admin.execute("insert into public.later values (3)")
    changes = "select c.object_type, c.object_id from rowhooks.changes as c order by c.id"
    assert admin.execute(changes).fetchall() == [
        ("public.thing", {"id": 1}), ("public.thing", {"id": 2}), ("public.later", {"id": 3}),
    ]  # fmt: skip
    with installed_connection(Target(old)) as conn:
        assert _problems_of_bindings(conn) == []
    upgrade(Target(old))


@pytest.mark.usefixtures("later")
def test_a_quick_start_upgrades_and_finds_what_is_done(old: str, admin: Connection) -> None:
    wanted = Wanted("public.thing", admin.info.user, ["select"], {}, "hook")
    written: list[str] = []
    found = carry_out(Target(old), wanted, "", timedelta(seconds=3), before_commit=lambda: written.append("files"))
    assert (found.is_current, found.is_tracked, found.has_hook, written) == (False, True, True, ["files"])
    assert admin.execute("select remark from rowhooks.tracked_table").fetchall() == [("none",)]
    with installed_connection(Target(old)) as conn:
        assert look(conn, wanted).is_complete


@pytest.mark.usefixtures("later")
def test_a_schema_of_which_nothing_is_known_is_upgraded_on_a_superusers_word(old: str, admin: Connection) -> None:
    admin.execute("comment on event trigger rowhooks_after_ddl is 'of another release'")
    with pytest.raises(PermissionDenied, match="is not what a superuser has installed"):
        upgrade(Target(old))
    assert upgrade(Target(old), trusting=True).revision == head_revision()
    # And nobody has to vouch for it again.
    with installed_connection(Target(old)):
        pass
    upgrade(Target(old))


@pytest.mark.usefixtures("later")
def test_what_others_have_made_of_the_views_stays_with_its_grants(
    old: str, admin: Connection, make_role: MakeRole
) -> None:
    analyst = sql.Identifier(make_role("analyst"))
    admin.execute("create view public.report as select id, status, object_type from rowhooks.results")
    admin.execute("create view public.history as select id, object_type from rowhooks.changes")
    admin.execute("create view public.offered as select name, object_type from rowhooks.buttons")
    admin.execute(sql.SQL("grant select on rowhooks.results, rowhooks.changes to {}").format(analyst))
    upgrade(Target(old), trusting=True)
    assert admin.execute("select status, object_type from public.report").fetchall() == [("PENDING", "public.thing")]
    assert admin.execute("select name, object_type from public.offered").fetchall() == [("press", "public.thing")]
    admin.execute("update public.thing set secret = 'seen'")
    admin.execute("update public.thing set name = 'b', secret = 'seen'")
    assert admin.execute("select count(*) from public.history").fetchone() == (2,)
    assert admin.execute(
        "select count(*) from rowhooks.changes as c where strpos(to_jsonb(c)::text, 'seen') > 0"
    ).fetchone() == (0,)
    admin.execute("alter table public.thing rename name to called")
    with installed_connection(Target(old)) as conn:
        assert _problems_of_bindings(conn) == []
    admin.execute(sql.SQL("set role {}").format(analyst))
    for view in ("results", "changes"):
        assert admin.execute("select has_table_privilege(%s, 'select')", (f"rowhooks.{view}",)).fetchone() == (True,)
    admin.execute("reset role")


@pytest.mark.usefixtures("later")
def test_it_is_removed_once_it_was_upgraded(old: str, admin: Connection) -> None:
    upgrade(Target(old))
    uninstall(Target(old), cascade=True)
    assert admin.execute("select count(*) from pg_namespace where nspname = 'rowhooks'").fetchone() == (0,)
    assert admin.execute("select count(*) from public.thing").fetchone() == (1,)


def test_a_revision_that_sql_does_not_follow_is_noticed(make_database: MakeDatabase, roles: Roles, later: None) -> None:
    migrated = make_database()
    install(Target(migrated), roles)
    with pytest.raises(AssertionError, match=r"\+    remark text DEFAULT 'none'"):
        compare_with_sql(make_database(), migrated, roles)
