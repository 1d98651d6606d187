"""Alembic's migrations of a program: the operations, their scripts, and autogenerate."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Column, Integer, MetaData, NullPool, Table, Text, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from rowhooks.domain.errors import SchemaMismatch
from rowhooks.integrations.alembic import include_object
from tests.support.alembic_project import Project, body, load_plugin, url_of

CHECKOUT = Path(__file__).resolve().parents[2]
Connection = psycopg.Connection[Any]

SERIALS = {"job": "policies.Serial", "tables": ["dcim.device"], "actions": ["update"], "columns": ["serial"]}
LABEL = r"50% {{ obj.name }} 'now': \ {% if user %}!{% endif %}"
REBOOT = {"job": "policies.Reboot", "tables": ["dcim.device"], "text": LABEL}


@pytest.fixture(autouse=True)
def plugin() -> None:
    load_plugin()


@pytest.fixture
def project(dsn: str, db: Connection, tmp_path: Path) -> Project:
    db.execute("create schema dcim")
    return Project(tmp_path, url_of(dsn))


def models(
    device: Any = True, hooks: dict[str, Any] | None = None, buttons: dict[str, Any] | None = None, *, rack: Any = None
) -> MetaData:
    """Return the models of a program: its devices, and what is declared of them."""
    sections = {name: given for name, given in (("hooks", hooks), ("buttons", buttons)) if given is not None}
    metadata = MetaData(info={"rowhooks": sections} if sections else {})
    columns = [Column(name, Text) for name in ("name", "serial", "pin")]
    info = {} if device is None else {"rowhooks": device}
    Table("device", metadata, Column("id", Integer, primary_key=True), *columns, schema="dcim", info=info)
    if rack is not None:
        Table("Rack", metadata, Column("id", Integer, primary_key=True), info={"rowhooks": rack})
    return metadata


def tracked(db: Connection) -> dict[str, dict[str, Any]]:
    """Return the tracked tables with what is not the default."""
    rows = db.execute(
        "select t.relation::text, t.identity, t.key_columns, t.excluded_columns, t.ignored_columns, t.audit_receivers,"
        " t.always from rowhooks.tracked_table as t join pg_class as c on c.oid = t.relation"
        " where t.untracked_at is null"
    ).fetchall()
    names = ("identity", "key", "exclude", "ignore_columns", "audit_receivers", "always")
    return {name: dict(zip(names, rest, strict=True)) for name, *rest in rows}


def hooks(db: Connection) -> list[tuple[Any, ...]]:
    return db.execute(
        "select h.name, j.class_path, h.columns, h.enabled from rowhooks.job_hook as h"
        " join rowhooks.job as j on j.id = h.job_id order by 1"
    ).fetchall()


def test_what_models_declare_becomes_a_migration_and_the_next_one_is_empty(project: Project, db: Connection) -> None:
    metadata = models({"exclude": ["pin"]}, {"Serials": SERIALS}, {"Reboot": REBOOT}, rack={"identity": ["id"]})
    made = project.revise(metadata)
    upgrade = body(made, "upgrade")
    assert "op.track_table('dcim.device', exclude=['pin'])" in upgrade
    assert "op.track_table('\"Rack\"', identity=['id'])" in upgrade
    assert upgrade.index("op.create_table") < upgrade.index("op.track_table") < upgrade.index("op.create_job_hook(")
    downgrade = body(made, "downgrade")
    order = ["op.drop_job_button('Reboot'", "op.drop_job_hook('Serials'", "op.untrack_table(", "op.drop_table("]
    assert sorted(order, key=downgrade.index) == order

    project.upgrade()
    assert tracked(db)["dcim.device"]["exclude"] == ["pin"]
    assert hooks(db) == [("Serials", "policies.Serial", ["serial"], True)]
    assert db.execute("select b.text from rowhooks.job_button as b").fetchone() == (REBOOT["text"],)
    second = project.revise(metadata)
    assert (body(second, "upgrade"), body(second, "downgrade")) == ("pass", "pass")
    project.upgrade()
    project.check(metadata)


def test_a_migration_can_be_undone_and_done_again(project: Project, db: Connection) -> None:
    project.revise(models({"exclude": ["pin"]}, {"Serials": SERIALS}, {"Reboot": REBOOT}))
    project.upgrade()
    there = tracked(db), hooks(db)
    project.downgrade()
    assert (tracked(db), hooks(db)) == ({}, [])
    project.upgrade()
    assert (tracked(db), hooks(db)) == there


def test_a_change_of_what_is_declared_is_undone_with_what_there_was(project: Project, db: Connection) -> None:
    project.revise(
        models({"exclude": ["pin"], "audit_receivers": True}, {"Serials": SERIALS, "Old": {**SERIALS, "columns": []}})
    )
    project.upgrade()
    before = tracked(db), hooks(db)
    its_id = db.execute("select id from rowhooks.job_hook where name = 'Serials'").fetchone()
    first = project.head
    changed = {**SERIALS, "conditions": {"attr": "serial", "op": "gt", "value": 1.5}, "columns": []}
    after = models({"ignore_columns": ["name"], "identity": "full"}, {"Serials": changed})
    made = body(project.revise(after), "upgrade")
    assert "op.replace_job_hook(" in made
    assert "existing={'audit_receivers': True, 'exclude': ['pin']}" in made
    project.upgrade()
    device = tracked(db)["dcim.device"]
    assert (device["identity"], device["exclude"], device["ignore_columns"]) == ("full", [], ["name"])
    assert not device["audit_receivers"]
    assert hooks(db) == [("Serials", "policies.Serial", [], True)]
    assert db.execute("select id from rowhooks.job_hook where name = 'Serials'").fetchone() == its_id
    project.check(after)
    project.downgrade(first)
    assert (tracked(db), hooks(db)) == before


def test_a_queue_is_declared_changed_and_undone(project: Project, db: Connection) -> None:
    def queues() -> list[Any]:
        return db.execute(
            "select queue from rowhooks.job_hook union all select queue from rowhooks.job_button"
        ).fetchall()

    project.revise(models(hooks={"Serials": {**SERIALS, "queue": "slow"}}, buttons={"Reboot": REBOOT}))
    project.upgrade()
    first = project.head
    assert queues() == [("slow",), (None,)]
    after = models(hooks={"Serials": SERIALS}, buttons={"Reboot": {**REBOOT, "queue": "fast"}})
    upgrade = body(project.revise(after), "upgrade")
    assert "queue='fast'" in upgrade
    assert "op.replace_job_hook('Serials'" in upgrade
    project.upgrade()
    assert queues() == [(None,), ("fast",)]
    project.check(after)
    project.downgrade(first)
    assert queues() == [("slow",), (None,)]


def test_a_column_that_a_hook_no_longer_asks_for_may_be_excluded_at_once(project: Project, db: Connection) -> None:
    project.revise(models(hooks={"Serials": {**SERIALS, "columns": ["pin"]}}))
    project.upgrade()
    project.revise(models({"exclude": ["pin"]}, hooks={"Serials": SERIALS}))
    project.upgrade()
    assert tracked(db)["dcim.device"]["exclude"] == ["pin"]


def test_what_models_no_longer_declare_is_removed_and_what_they_do_not_govern_stays(
    project: Project, db: Connection
) -> None:
    project.revise(models(hooks={"Serials": SERIALS}))
    project.upgrade()
    db.execute("create table dcim.other (id integer primary key)")
    db.execute("select rowhooks.track('dcim.other')")
    without_other = models()
    Table("other", without_other, Column("id", Integer, primary_key=True), schema="dcim", info={"rowhooks": True})
    project.check(without_other)  # hooks that no metadata speaks of are nobody's business here
    made = project.revise(models(None, hooks={}))
    upgrade = body(made, "upgrade")
    order = ["op.drop_job_hook('Serials'", "op.untrack_table(", "op.drop_table("]
    assert sorted(order, key=upgrade.index) == order
    assert "op.untrack_table('dcim.other', existing={})" in upgrade
    assert "op.track_table('dcim.other')" in body(made, "downgrade")
    project.upgrade()
    assert (tracked(db), hooks(db)) == ({}, [])


def test_a_script_does_the_same_as_the_migration(project: Project, db: Connection) -> None:
    project.revise(models({"exclude": ["pin"]}, {"Serials": SERIALS}, {"Reboot": REBOOT}))
    up, down = project.script(), project.script(f"{project.head}:base", down=True)
    assert "rowhooks.track(" in up
    assert tracked(db) == {}
    db.execute("drop table alembic_version")  # autogenerate has made it
    # The setting of old clients must not change what a text says.
    db.execute("set standard_conforming_strings = off")
    db.execute(up.encode())
    assert tracked(db)["dcim.device"]["exclude"] == ["pin"]
    assert db.execute("select b.text from rowhooks.job_button as b").fetchone() == (REBOOT["text"],)
    assert [row[0] for row in hooks(db)] == ["Serials"]
    db.execute(down.encode())
    assert (tracked(db), hooks(db)) == ({}, [])


def test_a_hook_declared_in_code_is_left_alone(project: Project, db: Connection) -> None:
    project.revise(models())
    project.upgrade()
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('policies.Serial', 'hook', 'Serial')")
    db.execute(
        "insert into rowhooks.job_hook (name, job_id, type_update, declared)"
        " select 'Serials', id, true, true from rowhooks.job"
    )
    project.check(models(hooks={}))
    project.check(models(hooks={"Serials": SERIALS}))
    project.write("op.drop_job_hook('Serials')")
    with pytest.raises(sqlalchemy.exc.DBAPIError, match=r"hook Serials is declared in the code of policies\.Serial"):
        project.upgrade()


def test_an_operation_that_cannot_be_done_says_why(project: Project, db: Connection) -> None:
    with pytest.raises(ValueError, match="job_hook 'Serials': it needs tables, actions"):
        project_runs(project, "op.create_job_hook('Serials', job='policies.Serial')")
    with pytest.raises(ValueError, match=r"job_hook 'S': unknown: table \(known are: job, tables"):
        project_runs(project, "op.create_job_hook('S', job='a.B', table=['dcim.device'], actions=['update'])")
    with pytest.raises(ValueError, match="job_hook 'S': queue: 'a b' is no name of a queue"):
        project_runs(
            project, "op.create_job_hook('S', job='a.B', tables=['dcim.device'], actions=['update'], queue='a b')"
        )
    with pytest.raises(sqlalchemy.exc.DBAPIError, match=r'relation "dcim\.device" does not exist'):
        project_runs(project, "op.track_table('dcim.device')")
    db.execute("create table dcim.device (id integer primary key)")
    with pytest.raises(sqlalchemy.exc.DBAPIError, match=r"table dcim\.device is not tracked"):
        project_runs(project, "op.create_job_hook('S', job='a.B', tables=['dcim.device'], actions=['update'])")
    assert (tracked(db), hooks(db)) == ({}, [])


def test_a_database_without_rowhooks_is_named(empty_dsn: str, tmp_path: Path) -> None:
    name = conninfo_to_dict(empty_dsn)["dbname"]
    said = (
        rf"{{}}: rowhooks is not installed in database {name} \(before the migrations, run: rowhooks init --dsn dbname="
    )
    project = Project(tmp_path, url_of(empty_dsn))
    for operation in ("op.track_table('device')", "op.untrack_table('device')", "op.drop_job_button('Reboot')"):
        with pytest.raises(SchemaMismatch, match=said.format(re.escape(operation))):
            project_runs(project, operation)


def project_runs(project: Project, operation: str) -> None:
    """Make a migration of one operation, run it, and take it back."""
    project.write(operation)
    try:
        project.upgrade()
    finally:
        project.forget()


def test_a_job_that_no_daemon_has_had_is_expected_and_named(
    project: Project, db: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    project.revise(models(hooks={"Serials": SERIALS}))
    project.upgrade()
    assert "does not have job policies.Serial" in caplog.text
    assert "rowhooks jobs enable policies.Serial" in caplog.text
    assert db.execute("select enabled, installed, name from rowhooks.job").fetchall() == [(False, False, "Serial")]


def run_operations(connection: sqlalchemy.Connection) -> None:
    operations: Any = Operations(MigrationContext.configure(connection))
    operations.track_table("dcim.device", exclude=["pin"], ignore_columns=[])
    operations.create_job_hook("Serials", **SERIALS, conditions={"attr": "serial", "value": "A'1"})
    operations.create_job_button("Reboot", **REBOOT, roles=["public"], weight=5)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
async def test_the_operations_run_through_each_driver(dsn: str, db: Connection, driver: str) -> None:
    db.execute("create schema dcim; create table dcim.device (id integer primary key, serial text, pin text)")
    if driver == "asyncpg":
        engine = create_async_engine(url_of(dsn, driver), poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.run_sync(run_operations)
    else:
        with create_engine(url_of(dsn, driver), poolclass=NullPool).begin() as conn:
            run_operations(conn)
    assert tracked(db)["dcim.device"]["exclude"] == ["pin"]
    assert hooks(db) == [("Serials", "policies.Serial", ["serial"], True)]
    assert db.execute("select conditions from rowhooks.job_hook").fetchone() == ({"attr": "serial", "value": "A'1"},)
    shown = db.execute("select text, roles, weight from rowhooks.job_button").fetchone()
    assert shown == (REBOOT["text"], ["public"], 5)


@pytest.mark.parametrize(
    "first", ["alembic.command", "rowhooks.integrations.alembic", "rowhooks.integrations.alembic.operations"]
)
def test_alembic_loads_the_plugin_whatever_is_imported_first(first: str, tmp_path: Path) -> None:
    """Alembic loads plugins while it is only half imported."""
    if not entry_points(group="alembic.plugins", name="rowhooks"):
        declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
        metadata = tmp_path / "checkout-0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: checkout\nVersion: 0\n", encoding="utf-8")
        lines = [f"{name} = {module}" for name, module in declared["alembic.plugins"].items()]
        (metadata / "entry_points.txt").write_text("\n".join(["[alembic.plugins]", *lines]), encoding="utf-8")
    program = f"""
import sys
# Whoever only makes migrations needs no driver of ours.
sys.modules["psycopg"] = sys.modules["asyncpg"] = None
import {first}
from alembic import op
from alembic.autogenerate.render import renderers
from alembic.runtime.plugins import Plugin
from alembic.util import PriorityDispatcher
from rowhooks.integrations.alembic.operations import TableOperation
print(op.track_table.__name__, renderers.dispatch(TableOperation("t")).__name__)
Plugin.populate_autogenerate_priority_dispatch(PriorityDispatcher(), ["alembic.autogenerate.*", "rowhooks"])
"""
    path = os.pathsep.join([str(tmp_path), str(CHECKOUT / "daemon")])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env={**os.environ, "PYTHONPATH": path}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("track_table render\n", "")


def test_schema_rowhooks_is_left_out(project: Project) -> None:
    assert "rowhooks" not in project.revise(MetaData())
    theirs, ours = Table("t", MetaData(), schema="rowhooks"), Table("t", MetaData())
    assert not include_object(theirs, "t", "table", reflected=True, compare_to=None)
    assert include_object(ours, "t", "table", reflected=True, compare_to=None)


def test_a_login_that_may_not_read_the_configuration_is_told(dsn: str, db: Connection, tmp_path: Path) -> None:
    db.execute("create role migrates login password 'x'")
    try:
        db.execute("grant create on schema public to migrates")
        theirs = Project(tmp_path, url_of(make_conninfo(dsn, user="migrates", password="x")))
        with pytest.raises(CommandError, match=r"cannot read what rowhooks tracks: permission denied .* rowhooks stat"):
            theirs.revise(models())
    finally:
        db.execute("drop owned by migrates; drop role migrates")


def test_wrong_declarations_are_named(project: Project, db: Connection) -> None:
    with pytest.raises(CommandError, match=r'info\["rowhooks"\] of table dcim\.device: unknown: excluded'):
        project.revise(models({"excluded": ["pin"]}))
    with pytest.raises(CommandError, match=r"hook 'Serials': actions is a list, and not 'update'"):
        project.revise(models(hooks={"Serials": {**SERIALS, "actions": "update"}}))
    with pytest.raises(CommandError, match=r"device: always is True or False, and not 'no'"):
        project.revise(models({"always": "no"}))
    with pytest.raises(CommandError, match=r"hook 'Serials' stands in two of them; name it once"):
        project.revise(
            [models(hooks={"Serials": SERIALS}), MetaData(info={"rowhooks": {"hooks": {"Serials": SERIALS}}})]
        )
    db.execute("drop schema rowhooks cascade")
    with pytest.raises(CommandError, match="rowhooks is not installed in this database; run: rowhooks init"):
        project.revise(models())
