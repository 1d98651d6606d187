"""Workers that are called for one group, as a message of Celery's does it."""

from __future__ import annotations

import asyncio
import threading
import uuid
from typing import Any

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.daemons import ELSEWHERE, running_daemon, running_worker
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]
LEADER: dict[str, Any] = {"queues": ("default", ELSEWHERE), "default_queue": ELSEWHERE}
LONG = 1000.0
"""Seconds. In this time nothing is taken that no worker is called for."""


class Held(JobHookReceiver):
    """Waits for the test."""

    release: threading.Event

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.logger.info("entered")
        assert self.release.wait(30)


@pytest.fixture(autouse=True)
def held() -> None:
    Held.release = threading.Event()


def insert(db: Connection, number: int) -> None:
    db.execute("insert into dcim.device values (%s, 'sw')", (number,))


def group(db: Connection) -> uuid.UUID | None:
    row = db.execute("select id from rowhooks.dispatch").fetchone()
    return None if row is None else row[0]


def is_entered(db: Connection) -> bool:
    return db.execute("select 1 from rowhooks.job_log_entry").fetchone() is not None


async def test_a_called_worker_takes_this_group_at_once_and_answers_when_it_is_executed(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Held, device)
    async with running_daemon(daemon_dsn, Held, **LEADER), running_worker(daemon_dsn, Held, respite=LONG) as worker:
        insert(db, 1)
        id_ = await eventually(lambda: group(db))
        first, again = (asyncio.create_task(worker.execute(id_)) for _ in range(2))
        await eventually(lambda: is_entered(db))
        late = asyncio.create_task(worker.execute(id_))
        await asyncio.sleep(0)
        assert not first.done()
        Held.release.set()
        # Those that ask while it is executed wait for the same end.
        assert list(await asyncio.gather(first, again, late)) == [1, 1, 1]
        await settled(db)
        assert await worker.execute(id_) == 0
        assert await worker.execute(uuid.uuid4()) == 0


async def test_of_two_called_workers_one_executes_and_the_other_is_told_at_once(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Held, device)
    async with (
        running_daemon(daemon_dsn, Held, **LEADER),
        running_worker(daemon_dsn, Held, respite=LONG) as one,
        running_worker(daemon_dsn, Held, respite=LONG) as other,
    ):
        insert(db, 1)
        id_ = await eventually(lambda: group(db))
        calls = [asyncio.create_task(worker.execute(id_)) for worker in (one, other)]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        assert [call.result() for call in done] == [0]
        Held.release.set()
        assert sorted(await asyncio.gather(*calls)) == [0, 1]
        await settled(db)
    assert db.execute("select count(*) from rowhooks.job_log_entry").fetchone() == (1,)


async def test_what_nobody_is_called_for_is_taken_after_the_respite(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Held, device)
    Held.release.set()
    async with running_daemon(daemon_dsn, Held, **LEADER), running_worker(daemon_dsn, Held, respite=0.5):
        insert(db, 1)
        await settled(db)
    waited = db.execute(
        "select extract(epoch from r.started_at - c.time) from rowhooks.job_result as r"
        " join rowhooks.object_change as c on c.id = r.object_change_id"
    ).fetchone()
    assert waited is not None
    assert waited[0] >= 0.5


async def test_a_worker_that_stops_answers_at_once(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Held, device)
    async with running_daemon(daemon_dsn, Held, **LEADER), running_worker(daemon_dsn, Held, respite=LONG) as worker:
        insert(db, 1)
        id_ = await eventually(lambda: group(db))
        worker.stop()
        assert await worker.execute(id_) == 0
        assert await worker.execute(uuid.uuid4()) == 0
        Held.release.set()
