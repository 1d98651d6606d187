"""A login without a right on rowhooks takes what PostgreSQL gives to all: advisory locks and the notification queue."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.cli import call
from rowhooks.domain.events import BellRung
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.target import DIRECT, Target
from rowhooks.postgres.leadership import bell
from rowhooks.postgres.leadership.lock import LeaderLock
from rowhooks.runtime import loop_monitor, wakeups
from rowhooks.runtime.daemon import Daemon
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.databases import embedded_server
from tests.support.hooks import add_hook
from tests.support.pgbouncer import PROGRAM, pgbouncer
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]

STRANGER = "rowhooks_test_stranger"
LEADER_KEY = "hashtextextended('rowhooks.leader', 0)"
BELL_KEY = "hashtextextended('rowhooks.bell', 0)"


class Witness(JobHookReceiver):
    """Remembers what it was called with."""

    class Meta:
        loads_object = False

    seen: ClassVar[list[int]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(change.changed_object_id["id"])


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    Witness.seen.clear()


@pytest.fixture
def hooked(db: Connection, device: str) -> Connection:
    add_hook(db, Witness, device)
    return db


@pytest.fixture
def stranger_dsn(db: Connection, dsn: str) -> str:
    """The test's database, for a login that may connect and nothing else."""
    if not db.execute("select true from pg_roles where rolname = %s", (STRANGER,)).fetchone():
        db.execute(f"create role {STRANGER} login")
    return make_conninfo(dsn, user=STRANGER, application_name="sneaky")


@pytest.fixture
def stranger(stranger_dsn: str) -> Iterator[Connection]:
    with psycopg.connect(stranger_dsn, autocommit=True) as conn:
        yield conn


def insert(conn: Connection, number: int) -> None:
    conn.execute("insert into dcim.device values (%s, 'sw', 'SN')", (number,))


def findings(dsn: str, capsys: pytest.CaptureFixture[str], level: str = "problem") -> list[dict[str, str]]:
    capsys.readouterr()
    call(["doctor", "--dsn", dsn, "--json"])
    return [one for one in json.loads(capsys.readouterr().out) if one["level"] == level]


async def arrived(*numbers: int) -> None:
    await eventually(lambda: sorted(Witness.seen) == list(numbers))


# The leader's lock


async def test_a_stranger_who_holds_the_leaders_lock_keeps_no_daemon_from_leading_and_is_named(
    hooked: Connection, daemon_dsn: str, stranger: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    stranger.execute(f"select pg_advisory_lock({LEADER_KEY})")
    async with running_daemon(daemon_dsn, Witness):
        insert(hooked, 1)
        await arrived(1)
    pid = stranger.info.backend_pid
    assert f"login {STRANGER} (pid {pid}, application 'sneaky') holds the leader's lock and is no daemon" in caplog.text
    assert f"select pg_terminate_backend({pid})" in caplog.text
    assert "nologin" in caplog.text
    # The next finds the key that is in force, and nobody who holds it.
    caplog.clear()
    async with running_daemon(daemon_dsn, Witness):
        insert(hooked, 2)
        await arrived(1, 2)
    assert "is no daemon" not in caplog.text


async def test_a_prepared_transaction_that_holds_it_does_not_either(
    hooked: Connection, daemon_dsn: str, stranger: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with stranger.transaction():
        stranger.execute(f"select pg_advisory_xact_lock_shared({LEADER_KEY})")
        stranger.execute("prepare transaction 'sneaky'")
    async with running_daemon(daemon_dsn, Witness):
        insert(hooked, 1)
        await arrived(1)
    stranger.execute("rollback prepared 'sneaky'")
    assert f"the prepared transaction 'sneaky' of login {STRANGER} holds the leader's lock" in caplog.text
    assert "rollback prepared 'sneaky'" in caplog.text


async def test_a_stranger_who_waits_for_it_gets_it_when_the_leader_ends_and_keeps_out_no_standby(
    hooked: Connection, daemon_dsn: str, stranger: Connection
) -> None:
    waiter = threading.Thread(target=stranger.execute, args=(f"select pg_advisory_lock({LEADER_KEY})",))
    async with running_daemon(daemon_dsn, Witness) as first:
        waiter.start()
        waits = "select true from pg_locks where locktype = 'advisory' and not granted and pid = %s"
        await eventually(lambda: hooked.execute(waits, (stranger.info.backend_pid,)).fetchone())
        successor = asyncio.create_task(_leads_once_more(hooked, daemon_dsn))
        insert(hooked, 1)
        await arrived(1)
        first.stop()
        await successor
    await asyncio.to_thread(waiter.join)
    assert Witness.seen == [1, 2]


async def _leads_once_more(db: Connection, dsn: str) -> None:
    async with running_daemon(dsn, Witness):
        insert(db, 2)
        await arrived(1, 2)


@pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed (Debian's package pgbouncer)")
async def test_behind_a_transaction_pooler_a_stranger_keeps_no_daemon_from_leading(
    hooked: Connection, daemon_dsn: str, stranger: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    stranger.execute(f"select pg_advisory_lock({LEADER_KEY})")
    with pgbouncer(daemon_dsn) as through:
        async with running_daemon(through, Witness):
            insert(hooked, 1)
            await arrived(1)
            holding = hooked.execute(
                "select a.state, a.backend_xid, a.backend_xmin from pg_locks l join pg_stat_activity a on a.pid = l.pid"
                " where l.locktype = 'advisory' and a.usename = %s and a.datname = current_database()",
                (DAEMON_LOGIN,),
            ).fetchall()
    assert holding == [("idle in transaction", None, None)]
    assert "holds the leader's lock and is no daemon" in caplog.text


async def test_of_daemons_that_go_round_a_stranger_at_once_exactly_one_leads(
    db: Connection, daemon_dsn: str, stranger: Connection
) -> None:
    target = Target(daemon_dsn, route=DIRECT)
    for _ in range(10):
        (key,) = db.execute("select leader_key from rowhooks.feed").fetchone() or (None,)
        stranger.execute("select pg_advisory_lock(%s)", (key,))
        async with contextlib.AsyncExitStack() as stack:
            connections = [await stack.enter_async_context(connected(target)) for _ in range(6)]
            locks = [LeaderLock(connection, target, pooled=False) for connection in connections]
            assert (await asyncio.gather(*(lock.try_to_take() for lock in locks))).count(True) == 1
        await eventually(
            lambda: (
                not db.execute(
                    "select true from pg_stat_activity where usename = %s and datname = current_database()",
                    (DAEMON_LOGIN,),
                ).fetchone()
            )
        )


async def test_a_daemon_that_goes_round_a_stranger_sees_another_that_has_got_the_lock_meanwhile(
    db: Connection, daemon_dsn: str, stranger: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target(daemon_dsn, route=DIRECT)
    stranger.execute(f"select pg_advisory_lock({LEADER_KEY})")
    async with connected(target) as one, connected(target) as other:
        slow, quick = LeaderLock(one, target, pooled=False), LeaderLock(other, target, pooled=False)
        lock = slow._lock
        leads: list[bool] = []

        async def lock_later(key: int) -> bool:
            taken = await lock(key)
            if taken and not leads:
                # It has another lock, and has not written it down.
                stranger.execute("select pg_advisory_unlock_all()")
                leads.append(await quick.try_to_take())
            return taken

        monkeypatch.setattr(slow, "_lock", lock_later)
        assert not await slow.try_to_take()
        assert leads == [True]
        held = db.execute("select count(*) from pg_locks where locktype = 'advisory' and granted").fetchone()
        assert held == (1,)


async def test_a_daemon_does_not_lead_by_a_lock_whose_key_is_no_longer_in_force(
    db: Connection, daemon_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target(daemon_dsn, route=DIRECT)
    async with connected(target) as one, connected(target) as other:
        late, leader = LeaderLock(one, target, pooled=False), LeaderLock(other, target, pooled=False)
        lock = late._lock
        leads: list[bool] = []

        async def lock_later(key: int) -> bool:
            if not leads:
                db.execute("update rowhooks.feed set leader_key = 42")
                leads.append(await leader.try_to_take())
            return await lock(key)

        monkeypatch.setattr(late, "_lock", lock_later)
        assert not await late.try_to_take()
        assert leads == [True]


async def test_status_and_doctor_name_a_stranger_and_take_it_for_no_leader(
    db: Connection, dsn: str, daemon_dsn: str, stranger: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger.execute(f"select pg_advisory_lock({LEADER_KEY})")
    for as_whom in (dsn, daemon_dsn):
        capsys.readouterr()
        assert call(["status", "--dsn", as_whom, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["running"] is False
        assert len(found["lock_held_by"]) == 1
        (problem,) = findings(as_whom, capsys)
        assert problem["what"].startswith(f"login {STRANGER} (pid {stranger.info.backend_pid}, application 'sneaky')")
        assert problem["way_out"] == (
            f"psql -c 'select pg_terminate_backend({stranger.info.backend_pid})'; and to keep it out:"
            f" psql -c 'alter role {STRANGER} nologin'"
        )
    assert call(["status", "--dsn", dsn]) == 0
    assert f"its lock is held by login {STRANGER}" in " ".join(capsys.readouterr().out.split())


# The bell's lock


@pytest.mark.parametrize("how", ["pg_advisory_lock", "pg_advisory_lock_shared"])
async def test_while_a_stranger_holds_the_bells_lock_changes_run_and_it_is_named(
    hooked: Connection,
    dsn: str,
    daemon_dsn: str,
    stranger: Connection,
    how: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wakeups, "LONG", 0.3)
    monkeypatch.setattr(wakeups, "WATCH_INTERVAL", 0.05)
    stranger.execute(f"select {how}({BELL_KEY})")
    # The poll is a minute away.
    async with running_daemon(daemon_dsn, Witness):
        for number in range(20):
            insert(hooked, number)
            await arrived(*range(number + 1))
            await asyncio.sleep(0.03)
        holder = f"login {STRANGER} (pid {stranger.info.backend_pid}, application 'sneaky')"
        await eventually(lambda: f"{holder} has held the bell lock" in caplog.text)
        assert caplog.text.count("has held the bell lock") == 1
        for as_whom in (dsn, daemon_dsn):
            (problem,) = findings(as_whom, capsys)
            assert problem["what"].startswith(f"{holder} holds the bell's lock")
        stranger.execute("select pg_advisory_unlock_all()")
        assert findings(dsn, capsys) == []


async def test_a_transaction_that_ends_soon_and_the_leader_are_not_named(
    hooked: Connection, dsn: str, daemon_dsn: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(wakeups, "LONG", 0.2)
    monkeypatch.setattr(wakeups, "WATCH_INTERVAL", 0.01)
    async with running_daemon(daemon_dsn, Witness):
        for number in range(100):
            insert(hooked, number)
            await asyncio.sleep(0.005)
        await settled(hooked)
        await asyncio.sleep(0.4)
        assert findings(dsn, capsys) == findings(dsn, capsys, "note") == []
    assert "bell lock" not in caplog.text


# The notification queue


@pytest.fixture
async def small_queue(device_sql: str) -> AsyncIterator[tuple[str, str]]:
    """A server with the smallest queue there is: DSNs of the administrator and of the daemon."""
    # Always the wheel's 18: only since version 17 has a server a small queue.
    with embedded_server({"max_notify_queue_pages": "64", "max_connections": "100"}) as server:
        admin = server.dsn()
        install(Target(admin), Roles())
        with psycopg.connect(admin, autocommit=True) as conn:
            conn.execute(device_sql)
            add_hook(conn, Witness, "dcim.device")
        yield admin, server.dsn(user=DAEMON_LOGIN)
        server.stop("immediate")


@pytest.fixture
def device_sql() -> str:
    return f"""
    create role {DAEMON_LOGIN} login in role rowhooks_daemon;
    create schema dcim;
    create table dcim.device (id integer primary key, name text not null, serial text);
    select rowhooks.track('dcim.device');
    grant usage on schema dcim to rowhooks_daemon;
    grant select, insert, update, delete on dcim.device to rowhooks_daemon;
    """


def fill(conn: Connection, usage: float) -> None:
    """Send notifications, of a page each, until the queue is so full."""
    while True:
        row = conn.execute("select pg_notification_queue_usage()").fetchone()
        if row is not None and row[0] >= usage:
            return
        try:
            conn.execute("select pg_notify('other', repeat('x', 7900))")
        except psycopg.errors.ProgramLimitExceeded:
            return


@pytest.mark.parametrize("usage", [0.45, 2.0])
async def test_while_the_notification_queue_is_filling_the_daemon_looks_by_itself_and_everybody_is_told(
    small_queue: tuple[str, str],
    usage: float,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(wakeups, "WATCH_INTERVAL", 0.05)
    dsn, daemon_dsn = small_queue
    with psycopg.connect(dsn, autocommit=True) as db, psycopg.connect(dsn) as listener:
        async with running_daemon(daemon_dsn, Witness, http_listen="127.0.0.1:0") as daemon:
            insert(db, 1)
            await arrived(1)
            listener.execute("listen other")
            listener.commit()
            listener.execute("select 1")
            fill(db, usage)
            await eventually(lambda: "the server's notification queue is" in caplog.text)
            await eventually(lambda: not _somebody_may_have_to_ring(db))
            rings = heard(daemon)
            for number in (2, 3, 4):
                insert(db, number)
                await arrived(*range(1, number + 1))
            assert rings == []
            await eventually(
                lambda: daemon.health.backlog is not None and daemon.health.backlog.notification_queue > 0.4
            )
            assert caplog.text.count("the server's notification queue is") == 1
            (problem,) = findings(daemon_dsn, capsys)
            assert "notification queue is" in problem["what"]
            assert f"pid {listener.info.backend_pid}" in findings(dsn, capsys)[0]["what"]
            assert f"select pg_terminate_backend({listener.info.backend_pid})" in findings(dsn, capsys)[0]["way_out"]
            assert call(["status", "--dsn", dsn]) == 0
            assert "the server's queue is" in " ".join(capsys.readouterr().out.split())
            listener.rollback()
            await eventually(lambda: "has room again" in caplog.text)
            await eventually(lambda: _somebody_may_have_to_ring(db))
            insert(db, 5)
            await arrived(1, 2, 3, 4, 5)
            await eventually(lambda: rings)
            assert findings(dsn, capsys) == []


def _somebody_may_have_to_ring(db: Connection) -> bool:
    row = db.execute(
        f"select count(*) from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'"
        f" and (classid::bigint << 32) | objid::bigint = {BELL_KEY}"
    ).fetchone()
    return row != (0,)


def heard(daemon: Daemon) -> list[BellRung]:
    """Return a list to which each ring is added from now on."""
    rings: list[BellRung] = []
    daemon.events.subscribe(BellRung, rings.append)
    return rings


# A flood of notifications


@contextlib.contextmanager
def flood(dsn: str) -> Iterator[None]:
    """Send notifications that differ, as fast as the server takes them."""
    ended = threading.Event()
    begun = threading.Event()

    def send() -> None:
        with psycopg.connect(dsn, autocommit=True) as conn:
            while not ended.is_set():
                conn.execute("select pg_notify('rowhooks', n::text) from generate_series(1, 100000) as n")
                begun.set()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        assert begun.wait(30)
        yield
    finally:
        ended.set()
        thread.join()


async def test_during_a_flood_of_notifications_changes_run_nothing_is_blocked_and_the_sender_is_named(
    hooked: Connection,
    daemon_dsn: str,
    stranger_dsn: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(loop_monitor, "SILENCE", 0.5)
    monkeypatch.setattr(loop_monitor, "INTERVAL", 0.02)
    monkeypatch.setattr(bell, "SHORTEST_SILENCE", 1.0)
    async with running_daemon(daemon_dsn, Witness) as daemon:
        rings = heard(daemon)
        insert(hooked, 0)
        await arrived(0)
        with flood(stranger_dsn):
            for number in range(1, 20):
                insert(hooked, number)
                await arrived(*range(number + 1))
            await eventually(lambda: f"most of them by login {STRANGER}" in caplog.text)
        # What was queued is not read to its end.
        assert len(rings) < 100_000
        assert caplog.text.count("is flooded with") == 1
        await eventually(lambda: "the bell is heard again" in caplog.text)
        rings = heard(daemon)
        insert(hooked, 20)
        await arrived(*range(21))
        await eventually(lambda: rings)
    assert "blocks the event loop" not in caplog.text
