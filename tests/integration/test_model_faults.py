"""Users' own classes that do not fit: what they cost, and who says so."""

from __future__ import annotations

import logging
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.cli import Rowhooks
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.hooks import add_hook
from tests.support.imports import imports_undone
from tests.support.processes import Process
from tests.support.waiting import eventually, is_settled, settled, wait

Connection = psycopg.Connection[Any]

MODEL = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Device(Base):
    __tablename__ = "device"
    {schema}
    {key}: Mapped[int] = mapped_column(primary_key=True)
    {column}: Mapped[str]
"""
IN_DCIM = '__table_args__ = {"schema": "dcim"}'


class Looks(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return type(changed_object).__module__


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path) -> Iterator[None]:
    with imports_undone(tmp_path):
        yield


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Any]:
    """Write a module with a class for dcim.device; return the settings of a daemon that has it."""

    def write(name: str, schema: str = IN_DCIM, key: str = "id", column: str = "name") -> dict[str, Any]:
        source = MODEL.format(schema=schema, key=key, column=column)
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        return {"models": (f"{name}.py",), "directory": tmp_path}

    return iter([write])


def outcome(db: Connection) -> Any:
    return db.execute(
        "select status, coalesce(result #>> '{}', exception_message) from rowhooks.results order by id desc"
    ).fetchone()


def change(db: Connection, number: int) -> None:
    db.execute("insert into dcim.device (id, name) values (%s, 'sw')", (number,))


async def test_a_class_with_a_column_too_many_costs_the_runs_of_its_table_alone(
    db: Connection, daemon_dsn: str, device: str, models: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings = next(models)("acme_more", column="colour")
    db.execute("create table dcim.site (id integer primary key)")
    db.execute("select rowhooks.track('dcim.site')")
    db.execute("grant select on dcim.site to rowhooks_daemon")
    add_hook(db, Looks, device, name="devices")
    add_hook(db, Looks, "dcim.site", name="sites")
    misfit = "acme_more.Device maps colour, which dcim.device does not have"
    async with running_daemon(daemon_dsn, Looks, **settings):
        assert f"rows of dcim.device are not loaded, and their runs fail: {misfit}" in caplog.text
        change(db, 1)
        await settled(db)
        status, message = outcome(db)
        assert (status, message.startswith(misfit)) == ("FAILURE", True)
        db.execute("insert into dcim.site values (1)")
        await settled(db)
        assert outcome(db)[0] == "SUCCESS"
        # The table is migrated while the daemon runs.
        db.execute("alter table dcim.device add colour text not null default 'red'")
        change(db, 2)
        await settled(db)
        assert outcome(db) == ("SUCCESS", "acme_more")


async def test_what_a_class_writes_while_its_rows_are_loaded_is_rolled_back(
    db: Connection, daemon_dsn: str, device: str, models: Any, tmp_path: Path
) -> None:
    settings = next(models)("acme_writing")
    written = """
        from sqlalchemy import event, text
        from sqlalchemy.orm import object_session
        SEEN = text("insert into public.seen values (1)")
        event.listen(Device, "load", lambda row, _: object_session(row).execute(SEEN))
        """
    with (tmp_path / "acme_writing.py").open("a") as module:
        module.write(textwrap.dedent(written))
    db.execute("create table seen (id integer)")
    db.execute("create sequence counted")
    db.execute("alter table seen add n bigint default nextval('counted')")
    db.execute("grant insert on seen to rowhooks_daemon")
    db.execute("grant usage on sequence counted to rowhooks_daemon")
    add_hook(db, Looks, device)
    async with running_daemon(daemon_dsn, Looks, **settings):
        change(db, 1)
        await settled(db)
    assert outcome(db) == ("SUCCESS", "acme_writing")
    # It was written, and is gone.
    assert db.execute("select is_called, (select count(*) from seen) from counted").fetchone() == (True, 0)


async def test_a_class_without_the_key_of_its_table_is_named(
    db: Connection, daemon_dsn: str, device: str, models: Any
) -> None:
    settings = next(models)("acme_keyless", key="serial")
    add_hook(db, Looks, device)
    async with running_daemon(daemon_dsn, Looks, **settings):
        change(db, 1)
        await settled(db)
    assert outcome(db)[1].startswith("acme_keyless.Device does not map id, by which the rows of dcim.device are found")


async def test_a_class_of_a_table_that_is_not_there_is_named_when_the_daemon_starts(
    db: Connection, daemon_dsn: str, device: str, models: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings = next(models)("acme_elsewhere", schema='__table_args__ = {"schema": "dcmi"}')
    async with running_daemon(daemon_dsn, Looks, **settings):
        pass
    assert "models: acme_elsewhere.Device maps dcmi.device, which this database does not have" in caplog.text


async def test_a_class_without_a_schema_means_what_the_search_path_says(
    db: Connection, daemon_dsn: str, device: str, models: Any
) -> None:
    settings = next(models)("acme_bare", schema="")
    db.execute(f"alter role {DAEMON_LOGIN} in database {db.info.dbname} set search_path = dcim")
    add_hook(db, Looks, device)
    async with running_daemon(daemon_dsn, Looks, **settings):
        change(db, 1)
        await settled(db)
    assert outcome(db) == ("SUCCESS", "acme_bare")


async def test_a_class_without_a_schema_that_means_no_table_is_refused(
    db: Connection, daemon_dsn: str, device: str, models: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings = next(models)("acme_lost", schema="")
    add_hook(db, Looks, device)
    async with running_daemon(daemon_dsn, Looks, **settings):
        change(db, 1)
        await settled(db)
    problem = (
        "acme_lost.Device names no schema, and by the search_path of the login that loads rows it does not stand for"
        " dcim.device: name the schema in the class"
    )
    assert outcome(db)[1].startswith(problem)
    assert [record.levelno for record in caplog.records if problem in record.message][:1] == [logging.ERROR]


async def test_a_table_that_is_renamed_does_not_lose_its_class_without_a_word(
    db: Connection, daemon_dsn: str, device: str, models: Any
) -> None:
    settings = next(models)("acme_renamed")
    add_hook(db, Looks, device)
    async with running_daemon(daemon_dsn, Looks, **settings):
        db.execute("alter table dcim.device rename to machine")
        db.execute("insert into dcim.machine values (1, 'sw')")
        await eventually(lambda: outcome(db))
        await settled(db)
    assert outcome(db)[1].startswith("acme_renamed.Device maps this table by another name, which it had before")


def test_doctor_names_a_class_that_does_not_fit_and_a_module_that_cannot_be_imported(
    dsn: str, device: str, models: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = next(models)("acme_examined", column="colour")
    monkeypatch.chdir(settings["directory"])
    run = Rowhooks(capsys, dsn)
    Path("rowhooks.toml").write_text('models = ["acme_examined.py"]')
    examined = run("doctor")
    assert examined.code == 1
    assert "acme_examined.Device maps colour, which dcim.device does not have" in examined.out
    Path("rowhooks.toml").write_text('models = ["acme_nowhere"]')
    assert "problem: models: module acme_nowhere cannot be imported" in run("doctor").out


RECEIVER = """
from rowhooks import JobHookReceiver, register_jobs
from acme_reloaded import Device

class Sees(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        assert isinstance(changed_object, Device)
        return sorted(Device.__table__.c.keys())

register_jobs(Sees)
"""


def test_a_reload_takes_up_new_classes_and_keeps_the_old_ones_where_the_new_are_broken(
    db: Connection, daemon_dsn: str, device: str, models: Any, tmp_path: Path
) -> None:
    write = next(models)
    write("acme_reloaded")
    (tmp_path / "sees.py").write_text(RECEIVER)
    add_hook(db, type("Sees", (), {"__module__": "sees"}), device)
    process = Process(daemon_dsn, tmp_path, "sees.py", {"ROWHOOKS_MODELS": "acme_reloaded"})
    try:
        process.wait_for("ready:")
        (tmp_path / "acme_reloaded.py").write_text("import nothing_of_that_name")
        process.send(signal.SIGHUP)
        process.wait_for("nothing is reloaded, the daemon goes on as it was: models: module acme_reloaded cannot be")
        change(db, 1)
        wait(lambda: is_settled(db))
        assert outcome(db) == ("SUCCESS", '["id", "name"]')
        write("acme_reloaded", column="serial")
        process.send(signal.SIGHUP)
        wait(lambda: process.log.read_text().count("ready:") == 2)
        change(db, 2)
        wait(lambda: is_settled(db))
        assert outcome(db) == ("SUCCESS", '["id", "serial"]')
    finally:
        process.kill()
