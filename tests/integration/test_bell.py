"""The bell: nobody rings while the leader is awake, and whoever commits while it sleeps wakes it up.

The fallback poll of these daemons is a minute away, so that a lost wake-up is a run that does not come.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import psycopg
import pytest

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange
from rowhooks.domain.events import BellRung, Events
from rowhooks.pipeline.reader import Part
from rowhooks.runtime import ingest
from rowhooks.runtime.submission import Submission
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.pressing import press
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]

IS_ASLEEP = """
select count(*) = 1 from pg_locks as l
where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.granted
  and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended('rowhooks.bell', 0)
  and l.database = (select oid from pg_database where datname = current_database())
"""
WAITS_TO_SLEEP = IS_ASLEEP.replace("l.granted", "not l.granted")


class Witness(JobHookReceiver):
    """Remembers what it was called with."""

    seen: ClassVar[list[int]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(change.changed_object_id["id"])


class Pressed(JobButtonReceiver):
    """Remembers the rows on which it was pressed."""

    seen: ClassVar[list[Any]] = []

    def receive_job_button(self, obj: Any) -> None:
        self.seen.append(obj.id)


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    Witness.seen.clear()
    Pressed.seen.clear()


@pytest.fixture
def hooked(db: Connection, device: str) -> Connection:
    add_hook(db, Witness, device)
    return db


@pytest.fixture
async def writer(dsn: str) -> AsyncIterator[Connection]:
    with psycopg.connect(dsn) as conn:
        yield conn


def insert(conn: Connection, number: int) -> None:
    conn.execute("insert into dcim.device values (%s, 'sw', 'SN')", (number,))


def holds(db: Connection, condition: str) -> bool:
    return db.execute(condition).fetchone() == (True,)


async def asleep(db: Connection) -> None:
    await eventually(lambda: holds(db, IS_ASLEEP))


async def arrived(*numbers: int) -> None:
    await eventually(lambda: sorted(Witness.seen) == list(numbers))


@contextlib.contextmanager
def rings(db: Connection) -> Any:
    """Count the notifications that arrive in a block."""
    heard: list[Any] = []
    db.execute("listen rowhooks")
    yield heard
    heard.extend(db.notifies(timeout=0.2))
    db.execute("unlisten rowhooks")


async def test_a_commit_wakes_the_sleeping_leader(hooked: Connection, daemon_dsn: str) -> None:
    async with running_daemon(daemon_dsn, Witness):
        for number in range(5):
            await asleep(hooked)
            insert(hooked, number)
            await arrived(*range(number + 1))


async def test_it_does_not_fall_asleep_over_a_transaction_that_has_written_and_not_rung(
    hooked: Connection, daemon_dsn: str, writer: Connection
) -> None:
    # Nobody sleeps yet, so that this one need not ring.
    insert(writer, 1)
    async with running_daemon(daemon_dsn, Witness):
        await eventually(lambda: holds(hooked, WAITS_TO_SLEEP))
        with rings(hooked) as heard:
            writer.commit()
        await arrived(1)
        assert heard == []


async def test_while_it_waits_for_such_a_transaction_others_wake_it(
    hooked: Connection, daemon_dsn: str, writer: Connection
) -> None:
    insert(writer, 1)
    # It waits in turns of a second, and does not get the lock.
    async with running_daemon(daemon_dsn, Witness, bell_lock_timeout=1.0):
        for number in (2, 3, 4):
            await eventually(lambda: holds(hooked, WAITS_TO_SLEEP))
            insert(hooked, number)
            await arrived(*range(2, number + 1))
        writer.commit()
        await arrived(1, 2, 3, 4)


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
async def test_the_snapshot_of_the_writer_does_not_matter(
    hooked: Connection, daemon_dsn: str, writer: Connection, isolation: str
) -> None:
    async with running_daemon(daemon_dsn, Witness):
        await asyncio.sleep(0)
        writer.execute(f"set transaction isolation level {isolation}")
        writer.execute("select count(*) from dcim.device")
        await asleep(hooked)
        insert(writer, 1)
        # Once more awake and asleep, while the other has rung and not committed.
        insert(hooked, 2)
        await arrived(2)
        await asleep(hooked)
        writer.commit()
        await arrived(1, 2)


async def test_a_lock_that_went_with_a_savepoint_is_taken_anew(
    hooked: Connection, daemon_dsn: str, writer: Connection
) -> None:
    async with running_daemon(daemon_dsn, Witness, bell_linger=1.0):
        insert(hooked, 0)
        await arrived(0)
        # Awake: it gets the lock, and gives it back with the savepoint.
        writer.execute("savepoint one")
        insert(writer, 1)
        writer.execute("rollback to savepoint one")
        await asleep(hooked)
        insert(writer, 2)
        writer.commit()
        await arrived(0, 2)


async def test_a_ring_that_went_with_a_savepoint_is_rung_anew(
    hooked: Connection, daemon_dsn: str, writer: Connection
) -> None:
    async with running_daemon(daemon_dsn, Witness):
        await asleep(hooked)
        writer.execute("savepoint one")
        insert(writer, 1)
        writer.execute("rollback to savepoint one")
        insert(writer, 2)
        writer.commit()
        await arrived(2)


async def test_a_leader_that_lost_its_bell_lock_gets_it_back(hooked: Connection, daemon_dsn: str) -> None:
    async with running_daemon(daemon_dsn, Witness):
        await asleep(hooked)
        hooked.execute(
            "select pg_terminate_backend(l.pid) from pg_locks as l where l.locktype = 'advisory'"
            " and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended('rowhooks.bell', 0)"
        )
        insert(hooked, 1)
        await arrived(1)
        await asleep(hooked)
        insert(hooked, 2)
        await arrived(1, 2)


async def test_of_several_daemons_the_leader_is_woken_and_after_its_end_the_next(
    hooked: Connection, daemon_dsn: str
) -> None:
    async with running_daemon(daemon_dsn, Witness) as first:
        other = asyncio.create_task(second_daemon(daemon_dsn))
        await asleep(hooked)
        insert(hooked, 1)
        await arrived(1)
        await asleep(hooked)
        first.stop()
        insert(hooked, 2)
        await arrived(1, 2)
        await asleep(hooked)
        insert(hooked, 3)
        await arrived(1, 2, 3)
        other.cancel()
        await asyncio.wait({other})


async def second_daemon(dsn: str) -> None:
    async with running_daemon(dsn, Witness):
        await asyncio.Event().wait()


async def test_while_it_is_awake_nobody_rings(hooked: Connection, daemon_dsn: str) -> None:
    async with running_daemon(daemon_dsn, Witness, bell_linger=5.0):
        insert(hooked, 0)
        await arrived(0)
        with rings(hooked) as heard:
            for number in range(1, 101):
                insert(hooked, number)
        assert heard == []
        await settled(hooked)
        assert len(Witness.seen) == 101


async def test_without_a_daemon_nobody_rings(hooked: Connection) -> None:
    with rings(hooked) as heard:
        insert(hooked, 1)
    assert heard == []


async def test_a_change_of_configuration_wakes_it_too(hooked: Connection, daemon_dsn: str) -> None:
    async with running_daemon(daemon_dsn, Witness):
        await asleep(hooked)
        with rings(hooked) as heard:
            hooked.execute("update rowhooks.job_hook set enabled = false")
        assert len(heard) == 1


@pytest.mark.parametrize("rows", [1, 2, 3])
async def test_a_press_wakes_it_that_comes_while_it_submits_what_has_woken_it(
    hooked: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """It has asked already whether anything was requested, and has heard the ring before it sleeps again."""
    # It asks when it has nothing else to do, and not now and then.
    monkeypatch.setattr(ingest, "REQUESTED_INTERVAL", 3600.0)
    submit, publish = Submission.submit, Events.publish
    heard = asyncio.Event()
    pressed: list[int] = []

    def published(self: Events, event: Any) -> None:
        publish(self, event)
        if isinstance(event, BellRung):
            heard.set()

    async def submitted(self: Submission, part: Part) -> None:
        await submit(self, part)
        if len(Witness.seen) + len(part.changes) > 1 and not pressed:
            heard.clear()
            pressed.append(press(hooked, device, "1", button="Pressed"))
            await heard.wait()

    monkeypatch.setattr(Events, "publish", published)
    async with running_daemon(daemon_dsn, Witness, Pressed):
        add_button(hooked, Pressed, device, roles=["public"])
        insert(hooked, 1)
        await arrived(1)
        await asleep(hooked)
        monkeypatch.setattr(Submission, "submit", submitted)
        hooked.execute("insert into dcim.device select n, 'sw', 'SN' from generate_series(2, %s) as n", (1 + rows,))
        await eventually(lambda: Pressed.seen == [1])
    assert len(pressed) == 1
