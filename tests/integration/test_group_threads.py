"""What runs with `Meta.group_commit` are executed beside: in few threads, beside other runs and the recorder."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
import pytest
from sqlalchemy import text

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.domain.queues import Queues
from rowhooks.domain.run import LogEntry, now
from rowhooks.pipeline.scheduling import thread_pool
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.dispatch.working import DispatchedResults
from rowhooks.postgres.leadership import epoch as leadership
from rowhooks.postgres.results import FENCE_ONE, PostgresResults
from rowhooks.postgres.sessions.fences import FENCE_DISPATCH
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import PATIENCE, eventually, settled

Connection = psycopg.Connection[Any]
THREADS = 6
EFFECT = text("insert into effect (device, note) values (:device, :note)")


@pytest.fixture(autouse=True)
def effect(db: Connection) -> Iterator[None]:
    db.execute("create table effect (device integer, note text, xact xid8 default pg_current_xact_id())")
    db.execute("grant select, insert on effect to rowhooks_daemon")
    Seen.threads, Seen.meeting, Seen.goes_on = set(), threading.Barrier(THREADS), threading.Event()
    yield
    Seen.meeting.abort()
    Seen.goes_on.set()


class Seen:
    threads: ClassVar[set[int]] = set()
    meeting: ClassVar[threading.Barrier]
    goes_on: ClassVar[threading.Event]


class Writing(JobHookReceiver):
    class Meta:
        group_commit = 50
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        Seen.threads.add(threading.get_ident())
        self.write(change.changed_object_id["id"])

    def write(self, device: int) -> None:
        self.session.execute(EFFECT, {"device": device, "note": type(self).__name__})


class Meeting(Writing):
    """Goes on when as many are in it as there are threads."""

    def write(self, device: int) -> None:
        super().write(device)
        Seen.meeting.wait(PATIENCE)


class Hanging(Writing):
    def write(self, device: int) -> None:
        super().write(device)
        assert Seen.goes_on.wait(PATIENCE)


class Alone(Writing):
    class Meta:
        loads_object = False


def insert(db: Connection, numbers: int) -> None:
    db.execute("insert into dcim.device select n, 'sw', 'SN' from generate_series(1, %s) as n", (numbers,))


def count(db: Connection, note: str) -> int:
    row = db.execute("select count(distinct device) from effect where note = %s", (note,)).fetchone()
    assert row is not None
    return int(row[0])


async def test_receivers_that_return_at_once_are_executed_in_few_threads(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is: nothing is looked at meanwhile.
    monkeypatch.setattr(thread_pool, "PACE", PATIENCE)
    add_hook(db, Writing, device)
    async with running_daemon(daemon_dsn, Writing, threads=THREADS):
        insert(db, 200)
        await settled(db)
    assert count(db, "Writing") == 200
    # One that came before the others may have been executed alone.
    assert len(Seen.threads) <= 2


async def test_receivers_that_wait_are_executed_beside_each_other_up_to_the_limit(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Meeting, device)
    async with running_daemon(daemon_dsn, Meeting, threads=THREADS):
        insert(db, THREADS * 3)
        await settled(db)
    assert not Seen.meeting.broken
    assert len(Seen.threads) == THREADS
    assert count(db, "Meeting") == THREADS * 3


async def test_runs_without_the_option_are_executed_beside_those_with_it(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One that came before the others may hang alone, and a group in one thread. That leaves one.
    monkeypatch.setattr(thread_pool, "PACE", PATIENCE)
    for job in (Hanging, Alone):
        add_hook(db, job, device)
    async with running_daemon(daemon_dsn, Hanging, Alone, threads=3):
        insert(db, 30)
        await eventually(lambda: count(db, "Alone") == 30)
        assert count(db, "Hanging") == 0
        Seen.goes_on.set()
        await settled(db)
    assert count(db, "Hanging") == 30


async def test_with_one_thread_neither_kind_waits_for_the_end_of_the_other(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    for job in (Writing, Alone):
        add_hook(db, job, device)
    async with running_daemon(daemon_dsn, Writing, Alone, threads=1):
        insert(db, 200)
        await settled(db)
    # By the ids of their transactions: the first of each kind comes before the last of the other.
    first = dict(db.execute("select note, min(xact::text::bigint) from effect group by note").fetchall())
    last = dict(db.execute("select note, max(xact::text::bigint) from effect group by note").fetchall())
    assert first["Alone"] < last["Writing"]
    assert first["Writing"] < last["Alone"]


def waits_for(db: Connection, table: str) -> bool:
    asked = (
        "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like %s and pid <> pg_backend_pid()"
    )
    return db.execute(asked, (f"%{table}%",)).fetchone() is not None


async def test_the_recorder_writes_nothing_while_a_group_is_about_to_commit(db: Connection, daemon_dsn: str) -> None:
    """Each could write what the other is to write next, and the server would end the leadership by a deadlock."""
    leader_epoch = uuid.uuid4()
    async with connected(Target(daemon_dsn)) as connection:
        await leadership.take_over(connection, leader_epoch, "one", 1, Queues())
        with psycopg.connect(daemon_dsn) as group:
            group.execute(FENCE_ONE, (leader_epoch,))
            writing = asyncio.create_task(PostgresResults(connection, leader_epoch).record([], [], None))
            await eventually(lambda: waits_for(db, "rowhooks.feed"))
            assert not writing.done()
            group.commit()
        assert await writing == set()


async def test_nor_does_the_recorder_of_a_worker_which_locks_groups_in_the_same_order(
    db: Connection, daemon_dsn: str
) -> None:
    leader_epoch = uuid.uuid4()
    first, second = sorted((uuid.uuid4(), uuid.uuid4()))
    for id_ in (second, first):
        db.execute(
            "insert into rowhooks.dispatch (id, leader_epoch, queue, priority, receivers, asynchronous, runs)"
            " values (%s, %s, 'other', 0, '{none}', false, '[[{}]]')",
            (id_, leader_epoch),
        )
    async with connected(Target(daemon_dsn)) as connection:
        results = DispatchedResults(connection, leader_epoch, {1: second, 2: first}, connection)
        with psycopg.connect(daemon_dsn) as group:
            group.execute(FENCE_DISPATCH, (first,))
            lines = [(run_id, LogEntry(now(), "info", "a line")) for run_id in (1, 2)]
            writing = asyncio.create_task(results.record([], lines, None))
            await eventually(lambda: waits_for(db, "rowhooks.dispatch"))
            # It waits for the first one, and has not locked the second.
            group.execute(FENCE_DISPATCH, (second,))
            assert not writing.done()
            group.commit()
        assert await writing == set()
