"""What users of receivers may rely on, a sentence a test; tests/sentences.py says which test shows which sentence."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange
from rowhooks.receivers.loading import load_receivers
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import eventually, is_read, settled

Connection = psycopg.Connection[Any]


def insert(db: Connection, *numbers: int) -> None:
    for number in numbers:
        db.execute("insert into dcim.device values (%s, %s, 'SN')", (number, f"sw{number}"))


def results(db: Connection, columns: str = "status, result") -> list[tuple[Any, ...]]:
    return db.execute(f"select {columns} from rowhooks.results order by id").fetchall()


class Write(JobButtonReceiver):
    """A button receiver that writes."""

    def receive_job_button(self, obj: Any) -> Any:
        obj.serial = "pressed"
        obj.save()


class WriteBack(JobHookReceiver):
    """A hook receiver that writes."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.serial = f"{changed_object.serial} hooked"
        changed_object.save()


class Look(JobHookReceiver):
    """Returns what it was given; takes keywords alone, in another order."""

    async def receive_job_hook(  # type: ignore[override]
        self, *, changed_object: Any, action: str, change: ObjectChange
    ) -> Any:
        return [action, None if changed_object is None else changed_object.name, self.user.username]


class LookLater(Look):
    """Waits, so that what comes after waits for it."""

    go_on: ClassVar[asyncio.Event]

    async def receive_job_hook(  # type: ignore[override]
        self, *, changed_object: Any, action: str, change: ObjectChange
    ) -> Any:
        await self.go_on.wait()
        return await super().receive_job_hook(changed_object=changed_object, action=action, change=change)


class OwnHookRun(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        raise AssertionError("run() is what is called")

    def run(self, object_change: ObjectChange) -> Any:
        return f"own run of change {object_change.id}"


class OwnButtonRun(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> Any:
        raise AssertionError("run() is what is called")

    def run(self, object_pk: Any, object_model_name: str) -> Any:
        return [object_pk, object_model_name]


class ReturnsAnything(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return {"devices": [1, None, "x"]} if changed_object.id == 1 else object()


class Broken(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        raise SystemExit(3)


class WithApproval(Look):
    class Meta:
        approval_required = True


class Snapshots(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return [change.get_snapshots(), change.changed("serial"), change.changed("no such column")]


async def test_a_hook_receivers_write_starts_no_hook_and_a_button_receivers_does(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    insert(db, 1)
    add_hook(db, WriteBack, device, actions="update")
    add_button(db, Write, device)
    async with running_daemon(daemon_dsn, WriteBack, Write):
        db.execute("select rowhooks.press('Write', 'dcim.device', '1')")
        await settled(db)
        # A run more for each write that had started one.
        db.execute("select rowhooks.press('Write', 'dcim.device', '1')")
        await settled(db)
    assert sorted(results(db, "coalesce(button_name, hook_name), status")) == [
        ("Write", "SUCCESS"), ("Write", "SUCCESS"), ("WriteBack", "SUCCESS"), ("WriteBack", "SUCCESS"),
    ]  # fmt: skip
    assert db.execute("select serial from dcim.device").fetchone() == ("pressed hooked",)
    assert db.execute("select change_context from rowhooks.object_change order by id").fetchall() == [
        (None,), ("job-button",), ("job-button",),
    ]  # fmt: skip


async def test_the_changed_object_is_read_when_the_run_starts_and_none_when_the_row_is_gone(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, LookLater, device)
    LookLater.go_on = asyncio.Event()
    async with running_daemon(daemon_dsn, LookLater):
        insert(db, 1)
        await eventually(lambda: results(db, "status") == [("STARTED",)])
        # Both wait for the first run of this row, which was read as it was then.
        db.execute("update dcim.device set name = 'renamed'")
        db.execute("delete from dcim.device")
        await eventually(lambda: is_read(db))
        LookLater.go_on.set()
        await settled(db)
    user = db.info.user
    assert results(db, "result") == [(["create", "sw1", user],), (["update", None, user],), (["delete", None, user],)]


BAD = """\
from rowhooks import JobButtonReceiver, JobHookReceiver, register_jobs


class Bad({bases}):
    {body}


register_jobs(Bad)
"""
GOOD = """\
from rowhooks import JobHookReceiver, register_jobs


class Good(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        return "good"


register_jobs(Good)
"""


@pytest.mark.parametrize(("bases", "body", "message"), [
    ("JobHookReceiver", "pass", "does not define receive_job_hook"),
    ("JobHookReceiver", "def receive_job_hook(self, change): ...", "unexpected keyword argument 'action'"),
    ("JobButtonReceiver", "def receive_job_button(self): ...", "cannot be called as it is"),
    ("JobHookReceiver, JobButtonReceiver", "pass", "both a hook receiver and a button receiver"),
])  # fmt: skip
async def test_a_class_without_its_method_or_with_a_wrong_one_or_of_both_kinds_is_refused_and_stops_no_other(
    db: Connection, daemon_dsn: str, device: str, tmp_path: Path, bases: str, body: str, message: str
) -> None:
    # Of its own for each case: a module is imported once in a process.
    name = f"bad_{tmp_path.name}"
    bad = tmp_path / f"{name}.py"
    bad.write_text(BAD.format(bases=bases, body=body))
    (tmp_path / f"good_{tmp_path.name}.py").write_text(GOOD)
    classes, (problem,) = load_receivers([bad.name, f"good_{tmp_path.name}.py"], tmp_path)
    assert f"{name}.Bad ({bad}, line 4)" in str(problem)
    assert message in str(problem)
    (good,) = classes
    add_hook(db, good, device)
    async with running_daemon(daemon_dsn, *classes):
        insert(db, 1)
        await settled(db)
    assert results(db) == [("SUCCESS", "good")]


async def test_an_overridden_run_is_what_is_called(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, OwnHookRun, device)
    add_button(db, OwnButtonRun, device)
    async with running_daemon(daemon_dsn, OwnHookRun, OwnButtonRun):
        insert(db, 1)
        db.execute("select rowhooks.press('OwnButtonRun', 'dcim.device', '1')")
        await settled(db)
    assert sorted(results(db, "result::text, status")) == [
        ('"own run of change 1"', "SUCCESS"), ('[1, "dcim.device"]', "SUCCESS"),
    ]  # fmt: skip


async def test_a_return_value_is_kept_if_json_can_hold_it(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, ReturnsAnything, device)
    async with running_daemon(daemon_dsn, ReturnsAnything):
        insert(db, 1, 2)
        await settled(db)
    assert results(db) == [("SUCCESS", {"devices": [1, None, "x"]}), ("SUCCESS", None)]


async def test_two_hooks_that_match_one_change_both_run_whatever_the_other_does(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    LookLater.go_on = asyncio.Event()
    for receiver in (Broken, LookLater, Look):
        add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, Broken, LookLater, Look):
        insert(db, 1)
        await eventually(
            lambda: (
                results(db, "hook_name, status")
                and set(results(db, "hook_name, status"))
                == {("Broken", "FAILURE"), ("LookLater", "STARTED"), ("Look", "SUCCESS")}
            )
        )
        db.execute("update rowhooks.job set enabled = false where name = 'LookLater'")
        insert(db, 2)
        await eventually(lambda: len(results(db)) == 5)
        LookLater.go_on.set()
        await settled(db)
    assert sorted(results(db, "hook_name, status")) == [
        ("Broken", "FAILURE"), ("Broken", "FAILURE"), ("Look", "SUCCESS"), ("Look", "SUCCESS"),
        ("LookLater", "SUCCESS"),
    ]  # fmt: skip


async def test_a_hook_runs_for_the_author_of_the_change_and_without_a_known_one_for_the_database_user(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Look, device)
    async with running_daemon(daemon_dsn, Look):
        with db.transaction():
            db.execute("select set_config('rowhooks.user', 'pg_monitor', true)")
            insert(db, 1)
        with db.transaction():
            db.execute("select set_config('rowhooks.user', 'nobody we know', true)")
            insert(db, 2)
        insert(db, 3)
        await settled(db)
    login = db.info.user
    assert sorted(results(db, "result")) == [
        (["create", "sw1", "pg_monitor"],),
        (["create", "sw2", login],),
        (["create", "sw3", login],),
    ]
    assert db.execute("select user_name, db_user from rowhooks.object_change order by id").fetchall() == [
        ("pg_monitor", login), ("nobody we know", login), (None, login),
    ]  # fmt: skip


async def test_a_change_rolled_back_wholly_or_to_a_savepoint_starts_nothing(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Look, device)
    async with running_daemon(daemon_dsn, Look):
        with db.transaction(force_rollback=True):
            insert(db, 1)
        with db.transaction():
            with db.transaction(force_rollback=True):
                insert(db, 2)
            insert(db, 3)
        await settled(db)
    assert results(db, "object_repr") == [("sw3",)]


async def test_an_update_that_changes_nothing_starts_nothing(db: Connection, daemon_dsn: str, device: str) -> None:
    insert(db, 1)
    add_hook(db, Look, device, actions="update")
    async with running_daemon(daemon_dsn, Look):
        db.execute("update dcim.device set name = name, serial = 'SN'")
        db.execute("update dcim.device set name = 'real'")
        await settled(db)
    assert results(db, "object_change_id") == [(2,)]


async def test_snapshots_and_differences_are_nautobots_also_when_history_is_pruned(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Snapshots, device)
    insert(db, 1)
    db.execute("delete from rowhooks.object_change")
    async with running_daemon(daemon_dsn, Snapshots):
        db.execute("update dcim.device set serial = 'XX'")
        db.execute("delete from dcim.device")
        insert(db, 2)
        await settled(db)
    old = {"id": 1, "name": "sw1", "serial": "SN"}
    new = {"id": 1, "name": "sw1", "serial": "XX"}
    made = {"id": 2, "name": "sw2", "serial": "SN"}
    found = dict(results(db, "action, result"))
    assert found == {
        "update": [
            {
                "prechange": old, "postchange": new,
                "differences": {"removed": {"serial": "SN"}, "added": {"serial": "XX"}},
            },
            True, False,
        ],
        "delete": [{"prechange": new, "postchange": None, "differences": {"removed": new, "added": None}}, True, False],
        "create": [
            {"prechange": None, "postchange": made, "differences": {"removed": None, "added": made}}, True, False,
        ],
    }  # fmt: skip


async def test_cascades_are_captured_row_by_row_with_the_user_and_start_hooks(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute(
        "create table dcim.port (id integer primary key, device integer references dcim.device on delete cascade)"
    )
    db.execute("select rowhooks.track('dcim.port')")
    insert(db, 1)
    db.execute("insert into dcim.port values (1, 1), (2, 1)")
    add_hook(db, Look, "dcim.port", actions="delete")
    async with running_daemon(daemon_dsn, Look):
        with db.transaction():
            db.execute("select set_config('rowhooks.user', 'pg_monitor', true)")
            db.execute("delete from dcim.device")
        await settled(db)
    assert sorted(results(db, "object_repr, result")) == [
        ("1", ["delete", None, "pg_monitor"]), ("2", ["delete", None, "pg_monitor"]),
    ]  # fmt: skip


async def test_what_a_row_was_called_and_its_data_are_kept_after_it_is_gone(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Look, device)
    async with running_daemon(daemon_dsn, Look):
        insert(db, 1)
        db.execute("delete from dcim.device")
        await settled(db)
    db.execute("drop table dcim.device")
    kept = db.execute("select object_type, object_repr, prechange from rowhooks.changes where action = 'delete'")
    assert kept.fetchall() == [("dcim.device", "sw1", {"id": 1, "name": "sw1", "serial": "SN"})]
    assert results(db, "object_repr") == [("sw1",), ("sw1",)]


async def test_a_finished_status_is_never_overwritten_by_a_lower_one(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Look, device)
    async with running_daemon(daemon_dsn, Look):
        insert(db, 1)
        await settled(db)
        with pytest.raises(psycopg.Error, match="SUCCESS"):
            db.execute("select rowhooks.revoke(1)")
    # A new leader takes nothing of it up again.
    async with running_daemon(daemon_dsn, Look):
        insert(db, 2)
        await settled(db)
    assert results(db, "status") == [("SUCCESS",), ("SUCCESS",)]


async def test_approval_required_is_ignored_with_one_warning(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, WithApproval, device)
    with caplog.at_level(logging.WARNING):
        async with running_daemon(daemon_dsn, WithApproval):
            insert(db, 1, 2)
            await settled(db)
    assert results(db, "status") == [("SUCCESS",), ("SUCCESS",)]
    assert len([record for record in caplog.records if "approval_required" in record.getMessage()]) == 1
