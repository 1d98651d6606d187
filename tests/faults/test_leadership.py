"""A leader that is no longer one, or whose connections are dead without knowing it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy
from psycopg.conninfo import make_conninfo

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.pipeline.execution import runner
from rowhooks.pipeline.listener import Bell
from rowhooks.pipeline.reader import Part, Reader
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.engines import async_engine, sync_engine
from rowhooks.postgres.connections.target import DIRECT, Target
from rowhooks.runtime import leader
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.hooks import add_hook
from tests.support.proxy import Proxy
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]


class Held(JobHookReceiver):
    """Writes, and waits for the test before it ends."""

    begun: ClassVar[list[tuple[int, int]]] = []
    release: ClassVar[asyncio.Event]

    class Meta:
        max_retries = 3
        autoretry_for = (ValueError,)
        retry_backoff = 0
        loads_object = False

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.begun.append((change.id, self.job_result.attempt))
        await self.session.execute(sqlalchemy.text("insert into effect values (:id)"), {"id": change.id})
        await self.release.wait()
        if change.change_context == "fail once" and self.job_result.attempt == 1:
            raise ValueError(change.id)

    async def on_retry(self, exc: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any) -> None:
        await self.session.execute(sqlalchemy.text("insert into effect values (-1)"))


class Silent(JobHookReceiver):
    """Leaves the database alone."""

    class Meta:
        loads_object = False

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        pass


class Quick(JobHookReceiver):
    """Writes."""

    class Meta:
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(sqlalchemy.text("insert into effect values (:id)"), {"id": change.id})


@pytest.fixture(autouse=True)
def effects(db: Connection, device: str) -> None:
    Held.begun.clear()
    Held.release = asyncio.Event()
    db.execute("create table effect (change_id bigint)")
    db.execute("grant select, insert on effect to rowhooks_daemon")


def found(db: Connection) -> list[int]:
    return [row[0] for row in db.execute("select change_id from effect order by ctid").fetchall()]


def another_takes_over(db: Connection) -> None:
    """What a new leader does, as the one that has been stopped finds it when it goes on."""
    db.execute("update rowhooks.feed set leader_epoch = gen_random_uuid()")
    db.execute(
        "update rowhooks.job_result set leader_epoch = f.leader_epoch from rowhooks.feed as f where finished_at is null"
    )


async def test_a_zombie_does_not_go_on_to_the_next_run_of_a_row_whose_last_one_another_leader_has(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Held, device)
    add_hook(db, Silent, device, "update")
    async with running_daemon(daemon_dsn, Held, Silent):
        db.execute("insert into dcim.device values (1, 'sw', null)")
        started = "select 1 from rowhooks.job_result where status = 'STARTED'"
        await eventually(lambda: db.execute(started).fetchone())
        # The second is in its memory, and not on record.
        db.execute("update dcim.device set serial = 'x'")
        read = "select 1 from rowhooks.job_result where hook_name = 'Silent'"
        await eventually(lambda: db.execute(read).fetchone())
        another_takes_over(db)
        Held.release.set()
        await eventually(lambda: "another daemon has taken the lead" in caplog.text)
        # The lock is free, and it leads again: what it wrote as a zombie is not there, and nothing was left out.
        await settled(db)
    assert Held.begun == [(1, 1), (1, 2), (2, 1)]
    assert found(db) == [1, 2]


async def test_a_zombie_records_no_retry_that_nobody_would_look_after(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its run is not on record yet, so that the unique row of a result does not stop it."""
    add_hook(db, Held, device)
    async with running_daemon(daemon_dsn, Held):
        db.execute("set rowhooks.context = 'fail once'")
        db.execute("insert into dcim.device values (1, 'sw', null)")
        await eventually(lambda: Held.begun)
        another_takes_over(db)
        Held.release.set()
        await eventually(lambda: "another daemon has taken the lead" in caplog.text)
        await settled(db)
    assert db.execute("select status from rowhooks.job_result").fetchall() == [("SUCCESS",)]
    # What on_retry wrote in the zombie's transaction went with it, and its attempt counts for nothing.
    assert found(db) == [-1, 1]
    assert Held.begun == [(1, 1), (1, 1), (1, 2)]


async def test_a_run_that_a_former_leader_is_just_committing_is_waited_for_and_run_first_if_that_fails(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Quick, device)
    db.execute("insert into dcim.device values (1, 'sw', null)")
    db.execute("update dcim.device set serial = 'x'")
    db.execute(
        "insert into rowhooks.job_result (object_change_id, job_hook_id, job_id, class_path, status, leader_epoch)"
        " select 1, h.id, h.job_id, 'x', 'STARTED', gen_random_uuid() from rowhooks.job_hook as h"
    )
    with psycopg.connect(dsn) as zombie:
        zombie.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now()")
        task = asyncio.create_task(_until_settled(db, daemon_dsn))
        waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%for update%'"
        await eventually(lambda: db.execute(waiting).fetchone() or task.done())
        zombie.rollback()
    await task
    assert found(db) == [1, 2]


async def _until_settled(db: Connection, dsn: str) -> None:
    async with running_daemon(dsn, Quick):
        await settled(db)


async def test_what_a_former_leader_records_while_it_loses_the_lead_is_not_run_again(
    db: Connection, dsn: str, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    add_hook(db, Quick, device)
    db.execute("insert into dcim.device values (1, 'sw', null)")
    with psycopg.connect(dsn) as former:
        former.execute("select from rowhooks.feed for share")
        former.execute(
            "insert into rowhooks.job_result (object_change_id, job_hook_id, job_id, class_path, status, leader_epoch,"
            " finished_at) select 1, h.id, h.job_id, 'x', 'SUCCESS', gen_random_uuid(), now() from rowhooks.job_hook h"
        )
        task = asyncio.create_task(_until_settled(db, daemon_dsn))
        waiting = (
            "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%update rowhooks.feed%'"
        )
        await eventually(lambda: db.execute(waiting).fetchone())
        former.commit()
    await task
    assert found(db) == []
    assert "on record already" not in caplog.text


async def test_a_run_that_finds_no_connection_waits_for_one_however_long_it_takes(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "TRANSIENT_PAUSE", 0.001)
    monkeypatch.setattr(runner, "LONGEST_PAUSE", 0.01)
    add_hook(db, Silent, device, "create")
    add_hook(db, Quick, device, "update")
    async with running_daemon(daemon_dsn, Silent, Quick):
        # The daemon's own connections are open after that.
        db.execute("insert into dcim.device values (1, 'sw', null)")
        await settled(db)
        try:
            db.execute(f"alter role {DAEMON_LOGIN} connection limit 1")
            db.execute("update dcim.device set serial = 'x'")
            await eventually(
                lambda: caplog.text.count("the run waits for a connection") > 2 * runner.TRANSIENT_ATTEMPTS
            )
        finally:
            db.execute(f"alter role {DAEMON_LOGIN} connection limit -1")
        await settled(db)
    assert found(db) == [2]


async def test_a_bell_that_rings_while_one_reads_is_not_forgotten(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_hook(db, Quick, device)
    rung = asyncio.Event()
    read, ring = Reader.next_part, Bell.ring
    waiting = [2, 1]

    def is_armed() -> bool:
        taken = "select not pg_try_advisory_xact_lock_shared(hashtextextended('rowhooks.bell', 0))"
        return db.execute(taken).fetchone() == (True,)

    async def read_and_be_overtaken(reader: Reader, limit: int | None = None) -> Part | None:
        part = await read(reader, limit)
        if waiting and is_armed():
            # It has the bell lock and has looked, and something is committed before it goes to sleep.
            rung.clear()
            db.execute("insert into dcim.device values (%s, 'sw', null)", (waiting.pop(),))
            await rung.wait()
        return part

    def ring_and_tell(bell: Bell) -> None:
        ring(bell)
        rung.set()

    monkeypatch.setattr(Reader, "next_part", read_and_be_overtaken)
    monkeypatch.setattr(Bell, "ring", ring_and_tell)
    # The poll is a minute away.
    async with running_daemon(daemon_dsn, Quick):
        await eventually(lambda: sorted(found(db)) == [1, 2])
        await settled(db)


@pytest.fixture
def proxy(server: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    if not server.host.startswith("/"):
        pytest.skip("the proxy leads to a Unix socket")
    monkeypatch.setattr(leader, "RECORD_PATIENCE", 1.0)
    monkeypatch.setattr(leader, "FEED_PATIENCE", 1.0)
    with Proxy(f"{server.host}/.s.PGSQL.{server.port}") as proxy:
        yield proxy


def through(proxy: Proxy, dsn: str) -> str:
    return make_conninfo(dsn, host="127.0.0.1", port=proxy.port)


@pytest.mark.parametrize("statement", [b"moved_at = now()", b"pg_current_snapshot"])
async def test_a_connection_that_has_died_silently_is_noticed_and_nothing_is_lost(
    db: Connection, daemon_dsn: str, device: str, proxy: Proxy, statement: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The recorder's and the feed's; the probe of the one with the leader lock is another test's."""
    add_hook(db, Quick, device)
    async with running_daemon(through(proxy, daemon_dsn), Quick, poll_interval=0.5, batch_size=1):
        for number in range(3):
            db.execute("insert into dcim.device values (%s, 'sw', null)", (number,))
        await settled(db)
        proxy.silence(lambda links: [link for link in links if link.has_said(statement)])
        for number in range(3, 6):
            db.execute("insert into dcim.device values (%s, 'sw', null)", (number,))
        await eventually(lambda: "TimeoutError" in caplog.text)
        await settled(db)
    assert sorted(found(db)) == [1, 2, 3, 4, 5, 6]


async def test_both_ends_of_the_daemons_connections_notice_a_peer_that_has_gone(daemon_dsn: str, proxy: Proxy) -> None:
    # The server sees a Unix socket behind the proxy, where the values read as zero; what counts is who set them.
    asked = "select name from pg_settings where name like 'tcp_%' and source = 'session' order by name"
    set_by_us = ["tcp_keepalives_count", "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_user_timeout"]
    target = Target(through(proxy, daemon_dsn), route=DIRECT)
    async with connected(target) as connection:
        assert [row[0] for row in await connection.fetch(asked)] == set_by_us
        end = connection._transport.get_extra_info("socket")
        assert end.getsockopt(6, 18) == 20_000  # TCP_USER_TIMEOUT, in milliseconds
    engine, asynchronous = sync_engine(target, 1), async_engine(target, 1)
    with engine.connect() as opened:
        assert list(opened.exec_driver_sql(asked.replace("%", "%%")).scalars()) == set_by_us
        driver: Any = opened.connection.driver_connection
        assert driver.info.get_parameters()["tcp_user_timeout"] == "20000"
    engine.dispose()
    async with asynchronous.connect() as opened_too:
        assert list((await opened_too.exec_driver_sql(asked.replace("%", "%%"))).scalars()) == set_by_us
    await asynchronous.dispose()


async def test_a_leader_is_ready_only_while_it_leads(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Quick, device)
    async with running_daemon(daemon_dsn, Quick) as daemon:
        with psycopg.connect(db.info.dsn, autocommit=True) as blocker:
            blocker.execute(
                "select pg_terminate_backend(l.pid), pg_advisory_lock(hashtextextended('rowhooks.leader', 0))"
                " from pg_locks as l where l.locktype = 'advisory' and l.granted"
                " and l.database = (select oid from pg_database where datname = current_database())"
            )
            await eventually(lambda: not daemon.ready.is_set())
        await eventually(daemon.ready.is_set)


async def test_a_listener_never_sits_in_a_transaction(db: Connection, daemon_dsn: str, device: str) -> None:
    """It would keep the server from forgetting notifications, until their queue is full."""
    add_hook(db, Quick, device)
    async with running_daemon(daemon_dsn, Quick, poll_interval=0.05):
        states = set()
        for number in range(20):
            db.execute("insert into dcim.device values (%s, 'sw', null)", (number,))
            states |= set(
                db.execute(
                    "select a.state, a.xact_start from pg_stat_activity as a where a.datname = current_database()"
                    " and a.application_name like 'rowhooks leader %' and a.state <> 'active'"
                ).fetchall()
            )
            await asyncio.sleep(0.01)
        await settled(db)
    assert states == {("idle", None)}


async def test_unfinished_runs_of_a_class_that_is_gone_wait_for_it_and_stall_nothing(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Held, device)
    add_hook(db, Quick, device)
    statuses = "select array_agg(status order by id) from rowhooks.job_result where hook_name = %s"

    async def become(hook: str, expected: list[str]) -> None:
        await eventually(lambda: db.execute(statuses, (hook,)).fetchone() == (expected,))

    async with running_daemon(daemon_dsn, Held, Quick, grace_period=0.1):
        db.execute("insert into dcim.device values (1, 'sw', null)")
        db.execute("update dcim.device set serial = 'x'")
        await become("Held", ["STARTED", "PENDING"])
    async with running_daemon(daemon_dsn, Quick):
        db.execute("update dcim.device set serial = 'y'")
        await become("Quick", ["SUCCESS"] * 3)
        await become("Held", ["PENDING"] * 3)
    async with running_daemon(daemon_dsn, Held, Quick, grace_period=0.1):
        await become("Held", ["STARTED", "PENDING", "PENDING"])
    assert db.execute("select min(attempt) from rowhooks.job_result where status = 'STARTED'").fetchone() == (2,)
