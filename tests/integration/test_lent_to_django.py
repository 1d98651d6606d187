"""A run's connection lent to Django: the ORM inside of the run's transaction."""

from __future__ import annotations

import datetime as dt
import re
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange, RowhooksError
from rowhooks.receivers.loading import load_receivers
from rowhooks.testing import run_hook
from tests.support.daemons import running_daemon
from tests.support.django import TABLE, django_project, use_database
from tests.support.hooks import add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]
NOON = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module", autouse=True)
def project() -> Iterator[None]:
    with django_project("psycopg"):
        yield


@pytest.fixture(autouse=True)
def database(db: Connection, device: str, dsn: str) -> Iterator[None]:
    db.execute(TABLE)
    db.execute("insert into dcim.device (id, name) values (1, 'sw1')")
    with use_database(dsn):
        yield


@pytest.fixture
def session(dsn: str) -> Iterator[Session]:
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
    with Session(engine) as session:
        session.execute(text("set local time zone 'America/Lima'"))
        yield session
    engine.dispose()


def lent(session: Any, **options: Any) -> Any:
    from rowhooks.integrations.django import lent_to_django

    return lent_to_django(session, **options)


def model() -> Any:
    from inventory_models import Device  # type: ignore[import-not-found]

    return Device


# In a daemon


class Renames(JobHookReceiver):
    """Renames the row by Django, and counts what both see."""

    called: ClassVar[list[str]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        from django.db import transaction

        changed_object.serial = "SN"
        changed_object.save()
        with lent(self.session):
            device = model().objects.get(pk=change.changed_object_id["id"])
            assert device.serial == "SN"
            device.name = "by Django"
            device.save()
            model()(id=100, name="new").save(force_insert=True)
            transaction.on_commit(lambda: self.called.append(device.name))
            assert self.called == []
        if change.postchange is not None and change.postchange["name"] == "fails":
            raise ValueError("no good")
        return [changed_object.name, self.session.execute(text("select count(*) from dcim.device")).scalar()]


async def test_what_the_orm_writes_commits_with_the_run_and_starts_nothing(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    Renames.called.clear()
    add_hook(db, Renames, device)
    async with running_daemon(daemon_dsn, Renames):
        db.execute("update dcim.device set name = 'fails' where id = 1")
        await settled(db)
        assert db.execute("select name, serial from dcim.device").fetchall() == [("fails", None)]
        assert Renames.called == []
        db.execute("update dcim.device set name = 'sw1' where id = 1")
        await settled(db)
    assert db.execute("select status, result, exception_message from rowhooks.results order by id").fetchall() == [
        ("FAILURE", None, "no good"),
        ("SUCCESS", ["by Django", 2], None),
    ]
    assert Renames.called == ["by Django"]
    # What the receiver wrote is not captured: the two updates are all that is.
    assert db.execute("select count(*) from rowhooks.object_change where action = 'update'").fetchone() == (2,)
    assert db.execute("select name, serial from dcim.device order by id").fetchall() == [
        ("by Django", "SN"),
        ("new", None),
    ]


class Presses(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> None:
        with lent(self.session):
            model().objects.filter(pk=obj.id).update(name="pressed")


async def test_what_a_button_writes_is_an_ordinary_change(db: Connection, daemon_dsn: str) -> None:
    from tests.support.results import add_button

    add_button(db, "dcim.device")
    db.execute("update rowhooks.job set class_path = %s", (f"{Presses.__module__}.Presses",))
    async with running_daemon(daemon_dsn, Presses):
        db.execute("select rowhooks.press('Reboot', 'dcim.device', '1')")
        await settled(db)
    assert db.execute("select status from rowhooks.results").fetchall() == [("SUCCESS",)]
    found = db.execute("select change_context from rowhooks.object_change where action = 'update'").fetchall()
    assert found == [("job-button",)]


async def test_the_recipe_of_the_docs(
    db: Connection, daemon_dsn: str, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "applications.md").read_text("utf-8")
    (recipe,) = re.findall(r"^```python\n(import os\n.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "recipe.py").write_text(recipe, "utf-8")
    # The recipe sets it for the whole process where it is not set.
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "inventory.settings")
    monkeypatch.setitem(sys.modules, "inventory", types.ModuleType("inventory"))
    monkeypatch.setitem(sys.modules, "inventory.models", sys.modules["inventory_models"])
    monkeypatch.syspath_prepend(tmp_path)
    (receiver,), problems = load_receivers(["recipe"], tmp_path)
    assert problems == []
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver):
        db.execute("update dcim.device set serial = 'sn' where id = 1")
        await settled(db)
    assert db.execute("select status from rowhooks.results").fetchall() == [("SUCCESS",)]
    assert db.execute("select serial from dcim.device").fetchall() == [("SN",)]
    sys.modules.pop("recipe")


def test_in_the_testing_kit(dsn: str) -> None:
    Renames.called.clear()
    run = run_hook(Renames, dsn=dsn, table="dcim.device", before={"id": 7, "name": "x"}, after={"name": "y"})
    assert (run.status, run.result) == ("SUCCESS", ["by Django", 3])
    assert sorted((write.action, write.pk) for write in run.writes) == [("create", 100), ("update", 7), ("update", 7)]


class Awaits(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        with lent(self.session):
            pass


async def test_an_async_def_receiver_is_told_why_not(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Awaits, device)
    async with running_daemon(daemon_dsn, Awaits):
        db.execute("update dcim.device set name = 'x'")
        await settled(db)
    ((message,),) = db.execute("select exception_message from rowhooks.results").fetchall()
    assert "declare the receiver with `def`" in message


# The connection


def test_nothing_commits_and_nothing_closes(db: Connection, session: Session) -> None:
    from django.db import close_old_connections, connection, connections, transaction

    with lent(session):
        model().objects.filter(pk=1).update(name="x")
        for forbidden in (transaction.commit, transaction.rollback, lambda: transaction.set_autocommit(True)):
            with pytest.raises(transaction.TransactionManagementError):
                forbidden()
        with pytest.raises(RuntimeError, match="durable"), transaction.atomic(durable=True):
            pass
        close_old_connections()
        connections.close_all()
        connection.close()
        assert model().objects.get(pk=1).name == "x"
    assert db.execute("select name from dcim.device").fetchall() == [("sw1",)]
    session.commit()
    assert db.execute("select name from dcim.device").fetchall() == [("x",)]


def test_atomic_is_a_savepoint(db: Connection, session: Session) -> None:
    from django.db import IntegrityError, transaction

    called: list[str] = []
    with lent(session):
        with transaction.atomic():
            model().objects.filter(pk=1).update(name="kept")
            transaction.on_commit(lambda: called.append("kept"))
        with pytest.raises(IntegrityError), transaction.atomic():
            model().objects.filter(pk=1).update(name="lost")
            transaction.on_commit(lambda: called.append("lost"))
            model()(id=1, name="twice").save(force_insert=True)
        assert model().objects.get(pk=1).name == "kept"
    session.commit()
    assert db.execute("select name from dcim.device").fetchall() == [("kept",)]
    assert called == ["kept"]


def test_a_savepoint_around_the_block_takes_back_what_should_follow_the_commit(session: Session) -> None:
    from django.db import transaction

    called: list[str] = []
    for name in ("kept", "lost"):
        savepoint = session.begin_nested()
        with lent(session):
            model().objects.filter(pk=1).update(name=name)
            transaction.on_commit(lambda name=name: called.append(name))
        savepoint.commit() if name == "kept" else savepoint.rollback()
        assert called == []
    session.commit()
    assert called == ["kept"]


def test_a_function_that_fails_after_the_commit_is_logged(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    from django.db import transaction

    called: list[str] = []
    with lent(session):
        transaction.on_commit(lambda: 1 / 0)
        transaction.on_commit(lambda: called.append("second"))
    session.commit()
    assert called == ["second"]
    assert "on_commit() failed; the run has committed" in caplog.text


@pytest.mark.parametrize("way", ["an error that is swallowed", "a mark for a rollback"])
def test_a_block_that_is_broken_does_not_end_as_if_nothing_were_wrong(session: Session, way: str) -> None:
    from django.db import IntegrityError, transaction

    def work() -> None:
        if way == "a mark for a rollback":
            transaction.set_rollback(True)
            return
        with pytest.raises(IntegrityError):
            model()(id=1, name="twice").save(force_insert=True)

    with pytest.raises(transaction.TransactionManagementError, match="let the error leave the receiver"), lent(session):
        work()


def test_an_error_passes_and_the_connection_is_given_back(session: Session) -> None:
    from django.db import IntegrityError, connections

    own = connections["default"]
    with pytest.raises(IntegrityError), session.begin_nested(), lent(session):
        model()(id=1, name="twice").save(force_insert=True)
    assert connections["default"] is own
    assert own.connection is None
    # The savepoint around it is gone, and the transaction goes on, in its own time zone.
    assert session.execute(text("select count(*), current_setting('TimeZone') from dcim.device")).one() == (
        1,
        "America/Lima",
    )


def test_values_are_read_and_written_as_djangos_backend_does(db: Connection, session: Session) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with lent(session):
            model()(id=2, name="x", seen=NOON, data={"a": [1, None]}, address="10.0.0.1").save(force_insert=True)
            found = model().objects.get(pk=2)
            assert (found.seen, found.data, found.address) == (NOON, {"a": [1, None]}, "10.0.0.1")
            assert found.seen.utcoffset() == dt.timedelta(0)
            assert [one.id for one in model().objects.filter(data__a__0=1, seen__date="2026-11-29").iterator()] == [2]
            # The connection that SQLAlchemy has reads as before.
            row = session.execute(text("select seen, data, address from dcim.device where id = 2")).one()
            assert row.seen == NOON
            assert row.data == {"a": [1, None]}
            assert str(row.address) in ("10.0.0.1", "10.0.0.1/32")
    assert session.scalar(text("show time zone")) == "America/Lima"
    session.commit()
    assert session.scalar(text("show time zone")) != "Asia/Kolkata"
    assert db.execute("select seen from dcim.device where id = 2").fetchone() == (NOON,)


def test_statements_that_each_side_prepares_do_not_meet(session: Session) -> None:
    for _ in range(10):
        session.execute(text("select name from dcim.device where id = :id"), {"id": 1}).one()
        with lent(session):
            model().objects.get(pk=1)


def test_one_block_inside_of_another(session: Session) -> None:
    with lent(session):
        model().objects.filter(pk=1).update(name="outer")
        with lent(session):
            assert model().objects.get(pk=1).name == "outer"
        with lent(session, using="other"):
            assert model().objects.using("other").get(pk=1).name == "outer"
        assert model().objects.get(pk=1).name == "outer"


def test_the_types_of_djangos_own_extension_are_read(
    db: Connection, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.apps import apps
    from django.contrib.postgres.signals import get_citext_oids, get_hstore_oids
    from django.db import connection

    # Django finds the extension's type by its name.
    db.execute("create type citext as enum ('a', 'b')")
    monkeypatch.setattr(apps, "is_installed", lambda name: name == "django.contrib.postgres")
    with lent(session), connection.cursor() as cursor:
        cursor.execute("select '{a,b}'::citext[]")
        assert cursor.fetchone() == (["a", "b"],)
    get_citext_oids.cache_clear()
    get_hstore_oids.cache_clear()


def test_what_django_keeps_of_it_is_of_no_use_afterwards(session: Session) -> None:
    from django.db import Error, connections

    with lent(session):
        kept = connections["default"]
    with pytest.raises(Error, match="Cannot open a new connection"):
        kept.cursor()


def test_what_is_no_session_is_named() -> None:
    with pytest.raises(RowhooksError, match="AsyncSession: Django's ORM is synchronous"), lent(AsyncSession()):
        pass
