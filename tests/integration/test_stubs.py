"""rowhooks stubs: what it prints is loaded, checked by mypy, and used as models by a daemon."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import rowhooks
from rowhooks import JobHookReceiver, ObjectChange
from tests.support.cli import Rowhooks
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.imports import imports_undone
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]
REPOSITORY = Path(__file__).parents[2]

SCHEMA = """
create schema tenancy;
create schema dcim;
create type dcim.status as enum ('active', 'to-do');
create domain dcim.label as text check (value <> '');
create table tenancy.tenant (id serial primary key, name text not null);
create table dcim.location (
  id bigint generated always as identity primary key,
  name dcim.label not null unique,
  parent_id bigint references dcim.location
);
create table dcim.device (
  id serial primary key,
  uuid uuid not null default gen_random_uuid(),
  name varchar(64) not null,
  status dcim.status not null default 'active',
  statuses dcim.status[],
  location_id bigint not null references dcim.location,
  spare_location_id bigint references dcim.location,
  tenant_id integer references tenancy.tenant,
  weight numeric(8, 2), doubled numeric generated always as (weight * 2) stored,
  tags text[] not null default '{}', config jsonb, address inet, place point, made timestamptz not null default now(),
  number serial, class text, metadata text, registry text, datetime timestamp, "odd, name" text,
  small smallint check (small in (0, 1))
);
comment on column dcim.device.name is 'what''s on the label';
create table dcim.tag (id integer primary key, label text);
create table dcim.device_tag (
  device_id integer references dcim.device, tag_id integer references dcim.tag, primary key (device_id, tag_id)
);
create table dcim.server (device_id integer primary key references dcim.device, cores integer not null);
create table dcim.event (serial integer not null unique, what text);
insert into dcim.location (name) values ('Zurich');
"""
RECEIVER = """
from rowhooks import JobHookReceiver, ObjectChange
from sqlalchemy import select

from inventory import Device, Location, Server, Status


class Places(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Device) -> str:
        changed_object.status = Status.TO_DO
        changed_object.weight = changed_object.wieght
        changed_object.name = 7
        nearest = self.session.scalars(select(Location).where(Location.name == "Zurich")).one()
        self.session.add(Server(device=changed_object, cores=4))
        return changed_object.location.name + str(nearest.nmae)
"""


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path) -> Iterator[None]:
    with imports_undone(tmp_path):
        yield


@pytest.fixture
def tables(db: Connection) -> Connection:
    db.execute(SCHEMA)
    return db


def test_mypy_knows_each_column_and_finds_a_typo(run: Rowhooks, tables: Connection, tmp_path: Path) -> None:
    printed = run("stubs", "--table", "dcim.*")
    assert (printed.code, printed.err) == (0, "")
    (tmp_path / "inventory.py").write_text(printed.out)
    (tmp_path / "receiver.py").write_text(RECEIVER)
    # With the settings, and so the cache, of `make check`.
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", str(tmp_path / "inventory.py"), str(tmp_path / "receiver.py")],
        cwd=REPOSITORY,
        env={**os.environ, "MYPYPATH": os.pathsep.join([str(tmp_path), str(Path(rowhooks.__file__).parents[1])])},
        check=False,
        capture_output=True,
        text=True,
    )
    assert [line.partition(": error: ")[2] for line in checked.stdout.splitlines()[:-1]] == [
        '"Device" has no attribute "wieght"; maybe "weight"?  [attr-defined]',
        'Incompatible types in assignment (expression has type "int", variable has type "SQLCoreOperations[str] | str")'
        "  [assignment]",
        '"Location" has no attribute "nmae"  [attr-defined]',
    ], checked.stdout + checked.stderr


def test_a_foreign_key_to_a_table_that_is_not_named_is_a_plain_column_and_said(
    run: Rowhooks, tables: Connection
) -> None:
    printed = run("stubs", "--table", "dcim.device", "--table", "dcim.location").out
    assert printed.startswith(
        "# rowhooks stubs --table dcim.device --table dcim.location\n"
        "# dcim.device (tenant_id) refers to tenancy.tenant, which is not here: add its --table\n"
    )
    assert "tenant_id: Mapped[Optional[int]] = mapped_column(Integer)" in printed
    assert "class Tenant" not in printed
    whole = run("stubs", "--table", "dcim.*", "--table", "tenancy.*").out
    # They have the names that they have on rows of table().
    for name in ("tenant", "parent", "location_set", "device_set_by_spare_location", "device_set", "server"):
        assert f"\n    {name}: Mapped[" in whole


def test_a_table_without_a_primary_key_has_the_one_that_it_is_tracked_by(run: Rowhooks, tables: Connection) -> None:
    assert "t_event = Table(" in run("stubs", "--table", "dcim.event").out
    tables.execute("select rowhooks.track('dcim.event', identity => '{serial}')")
    assert (
        "serial: Mapped[int] = mapped_column(Integer, primary_key=True, " in run("stubs", "--table", "dcim.event").out
    )


def test_what_has_no_stubs_is_refused(run: Rowhooks, tables: Connection) -> None:
    tables.execute("create view dcim.shown as select 1 as one")
    tables.execute("create type tenancy.status as enum ('gold')")
    tables.execute("create table tenancy.contract (id integer primary key, status tenancy.status)")
    assert "there is no table dcim.nowhere" in run("stubs", "--table", "dcim.nowhere").err
    assert "stubs are for tables, not for views" in run("stubs", "--table", "dcim.shown").err
    assert "would have one class" in run("stubs", "--table", "dcim.device", "--table", "tenancy.contract").err
    assert run("stubs").code == 2


def test_a_database_without_rowhooks_has_stubs_too(capsys: pytest.CaptureFixture[str], empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute("create table thing (id integer primary key)")
    assert "class Thing(Base):" in Rowhooks(capsys, empty_dsn)("stubs", "--table", "thing").out


def test_without_its_package_the_command_says_what_to_install(run: Rowhooks, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *given: Any, **options: Any) -> Any:
        if name.startswith("sqlacodegen"):
            raise ModuleNotFoundError("No module named 'sqlacodegen'", name="sqlacodegen")
        return imported(name, *given, **options)

    for name in [one for one in sys.modules if one.endswith((".stubs", ".stub_source")) and "administration" in one]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    done = run("stubs", "--table", "dcim.device")
    assert done.code == 2
    assert "stubs: the package sqlacodegen is not installed" in done.err
    assert "pip install 'rowhooks[stubs]'" in done.err


class Copies(JobHookReceiver):
    """Works on the classes that were printed."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        stubs = sys.modules["acme_inventory"]
        assert isinstance(changed_object, stubs.Device)
        assert changed_object.status is stubs.Status.ACTIVE
        copy = stubs.Device(name=f"copy of {changed_object.name}", location=changed_object.location, place="(1,2)")
        copy.tag.append(stubs.Tag(id=1, label="made"))
        self.session.add(copy)
        self.session.flush()
        return [copy.number, copy.status, copy.class_, copy.metadata_, str(copy.location.name)]


async def test_what_is_printed_is_used_as_models(
    run: Rowhooks, tables: Connection, daemon_dsn: str, tmp_path: Path
) -> None:
    (tmp_path / "acme_inventory.py").write_text(run("stubs", "--table", "dcim.*").out)
    tables.execute("select rowhooks.track('dcim.device')")
    tables.execute("grant usage on schema dcim to rowhooks_daemon")
    tables.execute("grant all on all tables in schema dcim to rowhooks_daemon")
    tables.execute("grant all on all sequences in schema dcim to rowhooks_daemon")
    add_hook(tables, Copies, "dcim.device", "create")
    async with running_daemon(daemon_dsn, Copies, models=("acme_inventory",), directory=tmp_path):
        tables.execute("insert into dcim.device (name, location_id) values ('sw1', 1)")
        await settled(tables)
    assert tables.execute("select status, result, exception_message from rowhooks.results").fetchall() == [
        ("SUCCESS", [2, "active", None, None, "Zurich"], None)
    ]
    assert tables.execute("select name, place::text from dcim.device order by id").fetchall() == [
        ("sw1", None),
        ("copy of sw1", "(1,2)"),
    ]
    assert tables.execute("select * from dcim.device_tag").fetchall() == [(2, 1)]
