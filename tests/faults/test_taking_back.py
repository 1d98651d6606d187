"""What workers still do with the runs of a former leader while another one takes over."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, ClassVar

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.daemons import worked_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]


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
        worker.execute(
            "insert into rowhooks.job_result"
            " (object_change_id, job_hook_id, job_id, class_path, tracked_table, object_id, status, leader_epoch,"
            " finished_at) select c.id, h.id, h.job_id, 'x', c.tracked_table, c.object_id, %(status)s, %(former)s,"
            " case when %(status)s = 'SUCCESS' then now() end"
            " from rowhooks.object_change as c cross join rowhooks.job_hook as h",
            {"status": status, "former": former},
        )
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
        # A run that is in memory twice, and on record once, is not among what is settled.
        await eventually(lambda: daemon._leader is not None and daemon._leader.in_memory() == (0, 0), 5.0)
