"""Hooks in a running daemon: columns, conditions, and hooks that are declared in code."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from rowhooks import Hook, JobHookReceiver
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]


class Noted(JobHookReceiver):
    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> Any:
        return change.postchange


class Declaring(JobHookReceiver):
    class Meta:
        hooks = (
            Hook("dcim.device", actions=["update"], columns=["serial"], name="Serials"),
            Hook("dcim.rack", name="Racks", ignore_columns=["touched"]),
        )

    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> Any:
        return change.changed_object_type


def results(db: Connection) -> list[Any]:
    return [row[0] for row in db.execute("select result from rowhooks.job_result order by object_change_id").fetchall()]


async def test_an_update_that_touches_none_of_the_hooks_columns_starts_nothing(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("insert into dcim.device values (1, 'sw1', 'A1')")
    add_hook(db, Noted, device, "update")
    db.execute("update rowhooks.job_hook set columns = '{serial}'")
    async with running_daemon(daemon_dsn, Noted):
        db.execute("update dcim.device set name = 'sw2'")
        db.execute("update dcim.device set serial = 'B2'")
        db.execute("update dcim.device set name = 'sw3'")
        await settled(db)
    assert results(db) == [{"id": 1, "name": "sw2", "serial": "B2"}]


async def test_conditions_on_the_new_row_the_old_row_and_on_what_changed_decide(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("insert into dcim.device values (1, 'sw1', 'A1')")
    add_hook(db, Noted, device, "update")
    db.execute(
        "update rowhooks.job_hook set conditions = %s",
        (
            Jsonb(
                {
                    "and": [
                        {"attr": "name", "op": "in", "value": ["sw2", "sw3"]},
                        {"attr": "old.serial", "value": "A1"},
                        {"attr": "name", "op": "changed"},
                    ]
                }
            ),
        ),
    )
    async with running_daemon(daemon_dsn, Noted):
        for assignment in ("name = 'sw2'", "serial = 'B2'", "name = 'sw3'", "serial = 'A1'", "name = 'sw4'"):
            db.execute(f"update dcim.device set {assignment}")
        await settled(db)
    assert [result["name"] for result in results(db)] == ["sw2"]


async def test_of_null_and_of_a_row_that_is_not_there_nothing_holds(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Noted, device, "create")
    db.execute(
        "update rowhooks.job_hook set conditions ="
        """ '{"or": [{"attr": "serial", "op": "gt", "value": "A"}, {"attr": "old.serial", "value": "Z"}]}'"""
    )
    async with running_daemon(daemon_dsn, Noted):
        db.execute("insert into dcim.device values (1, 'sw', null), (2, 'sw', 'B')")
        await settled(db)
    assert [result["id"] for result in results(db)] == [2]
    assert "undecided" not in caplog.text


async def test_hooks_declared_beside_the_receiver_start_it_once_their_table_is_tracked(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    db.execute("insert into dcim.device values (1, 'sw1', 'A1')")
    db.execute("create table dcim.rack (id integer primary key, touched integer)")
    db.execute("grant select on dcim.rack to rowhooks_daemon")
    async with running_daemon(daemon_dsn, Declaring):
        assert "hook Racks: table dcim.rack is not tracked; run: rowhooks track dcim.rack" in caplog.text
        db.execute("update rowhooks.job set enabled = true")
        db.execute("select rowhooks.track('dcim.rack')")
        await eventually(lambda: db.execute("select 1 from rowhooks.job_hook_table offset 1").fetchone())
        db.execute("update dcim.device set name = 'sw2'")
        db.execute("update dcim.device set serial = 'B2'")
        db.execute("insert into dcim.rack values (1)")
        db.execute("update dcim.rack set touched = 1")
        await settled(db)
    assert results(db) == ["dcim.device", "dcim.rack"]
    assert db.execute("select name, declared, enabled from rowhooks.job_hook order by name").fetchall() == [
        ("Racks", True, True),
        ("Serials", True, True),
    ]
