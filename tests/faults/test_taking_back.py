"""What a former leader and its workers still record while, or after, another one takes over."""

from __future__ import annotations

import asyncio
import threading
import uuid
from typing import Any, ClassVar

import psycopg
import pytest
from sqlalchemy import text

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.runtime.daemon import Daemon
from tests.support.daemons import worked_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]
RECORD = (
    "insert into rowhooks.job_result"
    " (object_change_id, job_hook_id, job_id, class_path, tracked_table, object_id, status, leader_epoch, finished_at)"
    " select c.id, h.id, h.job_id, 'x', c.tracked_table, c.object_id, %(status)s, %(former)s,"
    " case when %(status)s = 'SUCCESS' then now() end"
    " from rowhooks.object_change as c cross join rowhooks.job_hook as h"
)


class Counted(JobHookReceiver):
    """Counts how often it is called."""

    called: ClassVar[int]

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        Counted.called += 1


@pytest.mark.parametrize(("status", "called"), [("SUCCESS", 0), ("STARTED", 1)])
async def test_what_a_worker_records_while_its_runs_are_taken_back_is_not_read_from_the_log_again(
    db: Connection, dsn: str, daemon_dsn: str, device: str, status: str, called: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    Counted.called = 0
    add_hook(db, Counted, device)
    db.execute("insert into dcim.device values (1, 'sw')")
    former, group = uuid.uuid4(), uuid.uuid4()
    db.execute(
        "insert into rowhooks.dispatch (id, leader_epoch, queue, priority, receivers, asynchronous, runs)"
        " values (%s, %s, 'default', 0, '{}', false, '[]')",
        (group, former),
    )
    with psycopg.connect(dsn) as worker:
        worker.execute("select from rowhooks.dispatch where id = %s for share", (group,))
        worker.execute(RECORD, {"status": status, "former": former})
        task = asyncio.create_task(_until_all_is_done(db, daemon_dsn))
        waiting = (
            "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%delete from rowhooks.disp%'"
        )
        await eventually(lambda: db.execute(waiting).fetchone() or task.done())
        worker.commit()
    await task
    assert Counted.called == called
    assert db.execute("select status from rowhooks.job_result").fetchall() == [("SUCCESS",)]
    assert "on record already" not in caplog.text


async def _until_all_is_done(db: Connection, dsn: str) -> None:
    async with worked_daemon(dsn, Counted) as daemon:
        await settled(db)
        await _has_nothing_left(daemon)


async def _has_nothing_left(daemon: Daemon) -> None:
    """Wait until nothing is in memory either: what is on record under another id is not among what is settled."""
    await eventually(lambda: daemon._leader is not None and daemon._leader.in_memory() == (0, 0))


class Held(JobHookReceiver):
    """Waits for the test, and then writes, or does not."""

    calls: ClassVar[list[list[int]]]
    release: ClassVar[threading.Event]
    writes: ClassVar[bool]

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.take([change])

    def take(self, changes: list[ObjectChange]) -> None:
        Held.calls.append([change.id for change in changes])
        assert Held.release.wait(30)
        if Held.writes:
            self.session.execute(text("update dcim.device set serial = coalesce(serial, '') || 'x'"))


class HeldBatch(Held):
    class Meta:
        batch_size = 2
        batch_wait = 3600

    def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        self.take(changes)


@pytest.mark.parametrize("writes", [True, False], ids=["writes", "leaves the database alone"])
@pytest.mark.parametrize("receiver", [Held, HeldBatch])
async def test_a_run_that_a_former_leader_ends_after_all_is_executed_once_more_in_a_worker_and_not_again_and_again(
    db: Connection, daemon_dsn: str, device: str, receiver: type[Held], writes: bool
) -> None:
    """That leader executed it itself, as one without workers does, and COMMIT came late."""
    Held.calls, Held.release, Held.writes = [], threading.Event(), writes
    add_hook(db, receiver, device)
    async with worked_daemon(daemon_dsn, receiver) as daemon:
        db.execute("insert into dcim.device values (1, 'sw')")
        if receiver is Held:
            await eventually(lambda: Held.calls)
            db.execute(RECORD, {"status": "SUCCESS", "former": uuid.uuid4()})
        db.execute("insert into dcim.device values (2, 'sw')")
        if receiver is HeldBatch:
            await eventually(lambda: Held.calls)
            db.execute(f"{RECORD} where c.id = 1", {"status": "SUCCESS", "former": uuid.uuid4()})
        Held.release.set()
        await settled(db)
        await _has_nothing_left(daemon)
    assert Held.calls == ([[1], [2]] if receiver is Held else [[1, 2]])
    assert db.execute("select object_change_id, status from rowhooks.job_result order by 1").fetchall() == [
        (1, "SUCCESS"),
        (2, "SUCCESS"),
    ]
    assert db.execute("select distinct serial from dcim.device").fetchall() == [("x",) if writes else (None,)]
