"""Recording results: with the position, by one statement or by several, and never for a leadership that is over."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import asyncpg
import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.domain.errors import LeadershipLost
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.queues import Queues
from rowhooks.domain.run import FAILURE, PENDING, STARTED, SUCCESS, LogEntry, Outcome, now
from rowhooks.postgres.connections.connect import connect
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.leadership import epoch as leadership
from rowhooks.postgres.results import FEW, PostgresResults
from tests.support.hooks import add_hook
from tests.support.make import change, hook, job, outcome, run
from tests.support.waiting import eventually

Connection = psycopg.Connection[Any]
PLACE = Position(Snapshot(7, 7), None, after_id=3, floor_id=2, newest_id=9)
ON_RECORD = "select status, count(*) from rowhooks.job_result group by 1 order by 1"
STORED = "select snapshot::text, after_id, floor_id, newest_id from rowhooks.feed"


class Idle(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        pass


@pytest.fixture
async def connection(daemon_dsn: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    opened = await connect(Target(daemon_dsn))
    yield opened
    await opened.close()


@pytest.fixture
def made(db: Connection, device: str) -> Callable[[int], list[Outcome]]:
    """Return how the outcomes of so many runs are made, each of a change of its own."""
    hook_id = add_hook(db, Idle, device)
    ids = db.execute(
        "select j.id, j.class_path, t.id from rowhooks.job as j cross join rowhooks.tracked_table as t"
    ).fetchone()
    assert ids is not None
    job_id, class_path, table_id = ids
    of = hook(hook_id, job=job(job_id, class_path))

    def make(count: int) -> list[Outcome]:
        changes = [change(number, table_id=table_id) for number in range(1, count + 1)]
        return [outcome(run(one.id, cause=one, origin=of)) for one in changes]

    return make


async def leads(connection: asyncpg.Connection[Any]) -> PostgresResults:
    leader_epoch = uuid.uuid4()
    await leadership.take_over(connection, leader_epoch, "test", 1, Queues())
    return PostgresResults(connection, leader_epoch)


@pytest.mark.parametrize("count", [0, 1, FEW, FEW + 1])
async def test_results_and_the_position_are_stored_together(
    db: Connection, connection: asyncpg.Connection[Any], made: Callable[[int], list[Outcome]], count: int
) -> None:
    results = await leads(connection)
    assert await results.record(made(count), [], PLACE) == set()
    assert db.execute(ON_RECORD).fetchall() == ([(SUCCESS, count)] if count else [])
    assert db.execute(STORED).fetchone() == ("7:7:", 3, 2, 9)


@pytest.mark.parametrize("count", [1, FEW + 1])
async def test_what_has_ended_on_record_stays_as_it_is_and_is_named(
    db: Connection, connection: asyncpg.Connection[Any], made: Callable[[int], list[Outcome]], count: int
) -> None:
    results, outcomes = await leads(connection), made(count)
    await results.record(outcomes[:1], [], PLACE)
    error: dict[str, Any] = {"exception_type": "ValueError", "exception_message": "not now", "traceback": ""}
    later = [replace(one, status=FAILURE, run=one.run.with_attempt(2), **error) for one in outcomes]
    assert await results.record(later, [], PLACE) == {1}
    others = [(FAILURE, count - 1)] if count > 1 else []
    assert db.execute(ON_RECORD).fetchall() == [*others, (SUCCESS, 1)]


async def test_a_run_that_goes_on_comes_on_record_and_ends_there_with_its_lines(
    db: Connection, connection: asyncpg.Connection[Any], made: Callable[[int], list[Outcome]]
) -> None:
    results, [ended] = await leads(connection), made(1)
    for status in (PENDING, STARTED):
        assert await results.record([replace(ended, status=status, finished_at=None)], [], PLACE) == set()
        assert db.execute(ON_RECORD).fetchall() == [(status, 1)]
    assert await results.record([ended], [(1, LogEntry(now(), "info", "said"))], PLACE) == set()
    assert db.execute(ON_RECORD).fetchall() == [(SUCCESS, 1)]
    assert db.execute("select job_result_id, message from rowhooks.job_log_entry").fetchall() == [(1, "said")]


@pytest.mark.parametrize("count", [0, 1, FEW + 1])
async def test_nothing_is_recorded_by_a_leader_that_is_being_replaced(
    db: Connection, dsn: str, connection: asyncpg.Connection[Any], made: Callable[[int], list[Outcome]], count: int
) -> None:
    results = await leads(connection)
    stored = db.execute(STORED).fetchone()
    with psycopg.connect(dsn) as another:
        another.execute("update rowhooks.feed set leader_epoch = %s", (uuid.uuid4(),))
        recording = asyncio.create_task(results.record(made(count), [], PLACE))
        await eventually(lambda: db.execute("select 1 from pg_stat_activity where wait_event_type = 'Lock'").fetchone())
        # It has written nothing that a run, which commits with that lock, would wait for.
        another.execute("set local lock_timeout = '1s'")
        another.execute(
            "insert into rowhooks.job_result (id, trigger, object_change_id, job_hook_id, job_id, class_path,"
            " hook_name, tracked_table, object_id, object_repr, action, db_user, status, leader_epoch, key)"
            " select 1, 'change', 1, h.id, h.job_id, 'a', 'b', t.id, '{}', '', 'update', 'c', 'PENDING',"
            " gen_random_uuid(), 'd' from rowhooks.job_hook as h cross join rowhooks.tracked_table as t"
        )
        another.commit()
    with pytest.raises(LeadershipLost):
        await recording
    assert db.execute(ON_RECORD).fetchall() == [(PENDING, 1)]
    assert db.execute(STORED).fetchone() == stored
