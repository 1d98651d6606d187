"""The daemon's own life: configuration at once, standbys, lost connections, stopping."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from typing import Any, ClassVar, LiteralString

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.domain.errors import LeadershipLost, PermissionDenied, SchemaMismatch
from rowhooks.domain.events import InternalErrorOccurred
from rowhooks.pipeline.scheduling.scheduler import Scheduler
from rowhooks.postgres.connections.connect import connect
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.results import PostgresResults
from rowhooks.runtime.daemon import Daemon
from rowhooks.settings import load_settings
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, is_read, settled

Connection = psycopg.Connection[Any]


class Counted(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return change.changed_object_id["id"]


class Held(JobHookReceiver):
    """A plain receiver that writes and then waits for the test."""

    entered: threading.Event
    release: threading.Event

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object.serial = "written"
        changed_object.save()
        self.entered.set()
        assert self.release.wait(30)


@pytest.fixture(autouse=True)
def held() -> None:
    Held.entered, Held.release = threading.Event(), threading.Event()


def insert(conn: Connection, number: int) -> None:
    conn.execute("insert into dcim.device values (%s, 'sw', 'SN')", (number,))


def statuses(db: Connection) -> list[tuple[Any, ...]]:
    return db.execute("select object_id['id']::int, status from rowhooks.results order by object_change_id").fetchall()


async def test_enabling_and_disabling_take_effect_without_a_restart(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    async with running_daemon(daemon_dsn, Counted):
        hook = add_hook(db, Counted, device)
        insert(db, 1)
        await settled(db)
        db.execute("update rowhooks.job_hook set enabled = false")
        insert(db, 2)
        await settled(db)
        db.execute("update rowhooks.job_hook set enabled = true")
        insert(db, 3)
        await settled(db)
        db.execute("update rowhooks.job set enabled = false")
        insert(db, 4)
        await settled(db)
        db.execute("update rowhooks.job set enabled = true")
        db.execute("delete from rowhooks.job_hook where id = %s", (hook,))
        insert(db, 5)
        await settled(db)
    assert statuses(db) == [(1, "SUCCESS"), (3, "SUCCESS")]


async def test_a_hook_whose_job_is_disabled_or_gone_is_warned_about_once(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone(JobHookReceiver):
        pass

    add_hook(db, Counted, device)
    db.execute("update rowhooks.job set enabled = false where class_path like '%Counted'")
    async with running_daemon(daemon_dsn, Counted):
        with db.transaction():
            add_hook(db, Gone, device)
            db.execute("update rowhooks.job set installed = false where class_path like '%Gone'")
        for number in range(5):
            insert(db, number)
        db.execute("update rowhooks.job_hook set name = name")
        await eventually(lambda: is_read(db))
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 2
    assert any("Counted is disabled (rowhooks jobs enable" in warning for warning in warnings)
    assert any("hook Gone waits: this daemon does not have its job" in warning for warning in warnings)
    assert statuses(db) == [(number, "PENDING") for number in range(5)]


async def test_new_jobs_are_disabled_and_lost_ones_are_marked(db: Connection, daemon_dsn: str) -> None:
    async with running_daemon(daemon_dsn, Counted, Held):
        pass
    async with running_daemon(daemon_dsn, Counted):
        pass
    rows = db.execute("select name, enabled, installed from rowhooks.job order by name").fetchall()
    assert rows == [("Counted", False, True), ("Held", False, False)]


async def test_a_second_daemon_stands_by_and_takes_over(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    add_hook(db, Counted, device)
    standby = Daemon(load_settings(dsn=daemon_dsn), [Counted])
    async with running_daemon(daemon_dsn, Counted):
        task = asyncio.create_task(standby.run())
        await eventually(lambda: "standing by: another daemon leads" in caplog.text)
        insert(db, 1)
        await settled(db)
        assert not standby.ready.is_set()
    insert(db, 2)
    await asyncio.wait_for(standby.ready.wait(), 10)
    insert(db, 3)
    await settled(db)
    standby.stop()
    assert await task == 0
    assert statuses(db) == [(1, "SUCCESS"), (2, "SUCCESS"), (3, "SUCCESS")]


async def test_a_standby_stops_when_it_is_told_to(daemon_dsn: str) -> None:
    async with running_daemon(daemon_dsn):
        standby = Daemon(load_settings(dsn=daemon_dsn), [])
        task = asyncio.create_task(standby.run())
        standby.stop()
        assert await asyncio.wait_for(task, 10) == 0


@pytest.mark.parametrize(
    "which",
    [
        "application_name like 'rowhooks leader %'",
        # Not the one that asks which runs are not to begin: it is missed when it is to ask.
        "query ~ 'rowhooks.job_result' and query !~ 'update rowhooks.feed|[$]2::bigint'",
        "query like '%update rowhooks.feed%'",
    ],
    ids=["the leader's own", "the reading one", "the recording one"],
)
async def test_the_daemon_reconnects_when_its_connections_are_cut(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture, which: LiteralString
) -> None:
    add_hook(db, Counted, device)
    async with running_daemon(daemon_dsn, Counted):
        insert(db, 1)
        await settled(db)
        cut = db.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = current_database()"
            f" and application_name like 'rowhooks%' and pid <> pg_backend_pid() and {which}"
        ).fetchall()
        assert cut == [(True,)]
        insert(db, 2)
        await settled(db)
        insert(db, 3)
        await settled(db)
    assert statuses(db) == [(1, "SUCCESS"), (2, "SUCCESS"), (3, "SUCCESS")]
    assert "attempt 1, next in" in caplog.text


async def test_a_run_whose_connection_is_cut_is_run_again_and_takes_effect_once(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Held, device)
    async with running_daemon(daemon_dsn, Held):
        insert(db, 1)
        await eventually(Held.entered.is_set)
        row = db.execute(
            "select pid from pg_stat_activity where query like 'UPDATE dcim.device%' and state = 'idle in transaction'"
        ).fetchone()
        assert row is not None
        db.execute("select pg_terminate_backend(%s)", row)
        Held.release.set()
        await settled(db)
    assert statuses(db) == [(1, "SUCCESS")]
    assert db.execute("select serial from dcim.device").fetchone() == ("written",)


async def test_stopping_lets_a_running_receiver_finish_and_takes_no_new_one(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Held, device)
    async with running_daemon(daemon_dsn, Held, threads=1, grace_period=30.0) as daemon:
        insert(db, 1)
        insert(db, 2)
        await eventually(Held.entered.is_set)
        daemon.stop()
        Held.entered.clear()
        asyncio.get_running_loop().call_later(0.2, Held.release.set)
    assert statuses(db) == [(1, "SUCCESS")]
    assert not Held.entered.is_set()
    # Nothing is lost: the next daemon runs the other one.
    async with running_daemon(daemon_dsn, Held):
        await settled(db)
    assert statuses(db) == [(1, "SUCCESS"), (2, "SUCCESS")]


async def test_a_receiver_that_does_not_end_within_the_grace_period_is_left_behind_and_named(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Held, device)
    try:
        async with running_daemon(daemon_dsn, Held, grace_period=0.1):
            insert(db, 1)
            await eventually(Held.entered.is_set)
        assert "1 receivers did not end within 0.1 s" in caplog.text
        assert "Held" in caplog.text
    finally:
        Held.release.set()
    async with running_daemon(daemon_dsn, Held):
        await settled(db)
    assert statuses(db) == [(1, "SUCCESS")]


async def test_an_unfinished_run_of_a_dead_leader_is_taken_over(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Counted, device)
    insert(db, 1)
    # What a leader leaves that dies while a run of more than a second goes on.
    db.execute(
        "insert into rowhooks.job_result (object_change_id, job_hook_id, job_id, class_path, status, leader_epoch,"
        " started_at) select 1, h.id, h.job_id, 'x', 'STARTED', gen_random_uuid(), now() from rowhooks.job_hook as h"
    )
    db.execute("update rowhooks.feed set snapshot = pg_current_snapshot(), floor_id = 1")
    async with running_daemon(daemon_dsn, Counted):
        await settled(db)
    assert db.execute("select status, attempt, result from rowhooks.results").fetchall() == [("SUCCESS", 2, 1)]


async def test_a_run_that_another_leader_has_recorded_is_rolled_back(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A zombie: it finishes its receiver after another daemon has taken the lead and run the same."""
    caplog.set_level(logging.INFO)
    add_hook(db, Held, device)
    async with running_daemon(daemon_dsn, Held):
        insert(db, 1)
        await eventually(Held.entered.is_set)
        db.execute(
            "insert into rowhooks.job_result (object_change_id, job_hook_id, job_id, class_path, status, leader_epoch,"
            " finished_at) select 1, h.id, h.job_id, 'x', 'SUCCESS', gen_random_uuid(), now() from rowhooks.job_hook h"
        )
        Held.release.set()
        await eventually(lambda: "is on record already" in caplog.text)
        await settled(db)
    assert db.execute("select class_path, status from rowhooks.results").fetchall() == [("x", "SUCCESS")]
    assert db.execute("select serial from dcim.device").fetchone() == ("SN",)


async def test_a_leader_whose_lease_was_taken_stops_moving_the_position(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Counted, device)
    async with running_daemon(daemon_dsn, Counted):
        db.execute("update rowhooks.feed set leader_epoch = gen_random_uuid()")
        insert(db, 1)
        # It notices, gives up this leadership, and, the lock being free, takes a new one.
        await eventually(lambda: "another daemon has taken the lead" in caplog.text)
        await settled(db)
    assert statuses(db) == [(1, "SUCCESS")]


async def test_a_login_without_the_daemons_role_is_refused_with_the_way_out(db: Connection, dsn: str) -> None:
    role = f"stranger_{time.time_ns()}"
    db.execute(f"create role {role} login")
    try:
        daemon = Daemon(load_settings(dsn=psycopg.conninfo.make_conninfo(dsn, user=role)), [])
        with pytest.raises(PermissionDenied, match="grant the daemon's role"):
            await daemon.run()
    finally:
        db.execute(f"drop role {role}")


async def test_a_tracked_table_that_has_lost_its_last_column_keeps_no_daemon_from_starting(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    db.execute("create table public.gone (id integer primary key)")
    db.execute("select rowhooks.track('public.gone')")
    db.execute("alter table public.gone drop column id")
    add_hook(db, Counted, device)
    async with running_daemon(daemon_dsn, Counted):
        insert(db, 1)
        db.execute("insert into public.gone default values")
        await settled(db)
    assert statuses(db) == [(1, "SUCCESS")]


async def test_a_role_that_is_read_only_by_default_leads_all_the_same(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Counted, device)
    db.execute(f"alter role {DAEMON_LOGIN} in database {db.info.dbname} set default_transaction_read_only = on")
    db.execute(
        f"alter role {DAEMON_LOGIN} in database {db.info.dbname} set default_transaction_isolation = serializable"
    )
    async with running_daemon(daemon_dsn, Counted):
        insert(db, 1)
        await settled(db)
    assert statuses(db) == [(1, "SUCCESS")]


async def test_a_statement_that_is_refused_ends_a_leadership_and_not_the_daemon(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Counted, device)
    async with running_daemon(daemon_dsn, Counted, poll_interval=0.1) as daemon:
        # A function that goes while the server prepares the first look is used for as long as that look is kept.
        db.execute("insert into dcim.device values (1, 'sw', 'SN')")
        await settled(db)
        db.execute("alter function rowhooks.configuration_version() rename to away")
        await eventually(lambda: not daemon.ready.is_set())
        db.execute("insert into dcim.device values (2, 'sw', 'SN')")
        db.execute("alter function rowhooks.away() rename to configuration_version")
        await settled(db)
        assert daemon.ready.is_set()
    assert (
        "a statement was refused while the daemon led: function rowhooks.configuration_version() does not"
        in caplog.text
    )


async def test_a_database_without_rowhooks_or_with_another_revision_is_refused(
    empty_dsn: str, db: Connection, daemon_dsn: str
) -> None:
    with pytest.raises(SchemaMismatch, match="rowhooks init"):
        await Daemon(load_settings(dsn=empty_dsn), []).run()
    db.execute("update rowhooks.alembic_version set version_num = '9999'")
    with pytest.raises(SchemaMismatch, match="newer than this rowhooks"):
        await Daemon(load_settings(dsn=daemon_dsn), []).run()


async def test_the_log_has_partitions_ahead_once_a_daemon_runs(db: Connection, daemon_dsn: str) -> None:
    db.execute("select setval('rowhooks.object_change_id_seq', 5400000)")
    async with running_daemon(daemon_dsn):
        names = db.execute("select relid::regclass::text from pg_partition_tree('rowhooks.object_change')").fetchall()
    assert {(f"rowhooks.object_change_{start}",) for start in (5000000, 6000000, 7000000)} <= set(names)


class Holds(JobHookReceiver):
    """Holds a session until the test lets go."""

    release: asyncio.Event

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await self.session.connection()
        await self.release.wait()


async def test_receivers_that_hold_every_connection_fail_no_other_run(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    Holds.release = asyncio.Event()
    db.execute("create table other (id integer primary key)")
    db.execute("select rowhooks.track('other')")
    db.execute("grant select on other to rowhooks_daemon")
    add_hook(db, Holds, device)
    add_hook(db, Counted, "other")
    async with running_daemon(daemon_dsn, Holds, Counted, async_connections=2):
        db.execute("insert into dcim.device select n, 'sw', '' from generate_series(1, 5) as n")
        db.execute("insert into other values (1)")
        await eventually(lambda: ("Counted",) in db.execute("select hook_name from rowhooks.results").fetchall())
        Holds.release.set()
        await settled(db)
    assert {row[0] for row in db.execute("select status from rowhooks.results").fetchall()} == {"SUCCESS"}


async def test_a_receiver_that_hangs_holds_back_its_own_row_and_nothing_else(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    Holds.release = asyncio.Event()
    db.execute("create table other (id integer primary key)")
    db.execute("select rowhooks.track('other')")
    db.execute("grant select on other to rowhooks_daemon")
    add_hook(db, Holds, device)
    add_hook(db, Counted, "other")
    async with running_daemon(daemon_dsn, Holds, Counted, batch_size=10):
        insert(db, 1)
        # It waits behind the first in its lane, and must not keep the position, and with it the reader, from moving.
        db.execute("update dcim.device set serial = 'x'")
        db.execute("insert into other select generate_series(1, 60)")
        done = "select count(*) from rowhooks.results where hook_name = 'Counted'"
        await eventually(lambda: db.execute(done).fetchone() == (60,))
        await eventually(lambda: is_read(db))
        held = "select action, status from rowhooks.results where hook_name = 'Holds' order by object_change_id"
        assert db.execute(held).fetchall() == [("create", "STARTED"), ("update", "PENDING")]
        Holds.release.set()
        await settled(db)
        assert db.execute(held).fetchall() == [("create", "SUCCESS"), ("update", "SUCCESS")]


class Sequence(JobHookReceiver):
    done: ClassVar[list[str]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await asyncio.sleep(1.5 if action == "create" else 0)
        self.done.append(action)


async def test_losing_the_lead_does_not_turn_the_order_of_a_row_around(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    Sequence.done.clear()
    add_hook(db, Sequence, device)
    async with running_daemon(daemon_dsn, Sequence, poll_interval=0.2):
        insert(db, 1)
        await eventually(lambda: db.execute("select 1 from rowhooks.job_result where status = 'STARTED'").fetchone())
        db.execute(
            "select pg_terminate_backend(l.pid) from pg_locks as l where l.locktype = 'advisory' and l.granted"
            " and l.database = (select oid from pg_database where datname = current_database())"
        )
        db.execute("update dcim.device set serial = 'x'")
        await settled(db)
    assert Sequence.done == ["create", "update"]


async def test_a_leader_without_its_lease_records_nothing(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Counted, device)
    connection = await connect(Target(daemon_dsn))
    try:
        stale = PostgresResults(connection, uuid.uuid4())
        with pytest.raises(LeadershipLost):
            await stale.record([], [], None)
    finally:
        await connection.close()


async def test_stopping_waits_for_the_results_that_are_being_written(
    db: Connection, dsn: str, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Counted, device)
    with psycopg.connect(dsn) as blocker:
        async with running_daemon(daemon_dsn, Counted) as daemon:
            blocker.execute("lock table rowhooks.job_result in share mode")
            insert(db, 1)
            await eventually(
                lambda: db.execute("select 1 from pg_stat_activity where wait_event = 'relation'").fetchone()
            )
            daemon.stop()
            insert(db, 2)
            asyncio.get_running_loop().call_later(0.3, blocker.rollback)
    assert (1, "SUCCESS") in statuses(db)
    assert "connection was lost" not in caplog.text


async def test_an_error_of_rowhooks_ends_a_leadership_and_not_the_daemon(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Counted, device)
    end, ends = Scheduler._end, iter(range(1))

    def broken(*args: Any) -> None:
        if next(ends, None) is not None:
            raise KeyError("a lane")
        end(*args)

    monkeypatch.setattr(Scheduler, "_end", broken)
    async with running_daemon(daemon_dsn, Counted) as daemon:
        errors: list[InternalErrorOccurred] = []
        daemon.events.subscribe(InternalErrorOccurred, errors.append)
        insert(db, 1)
        await settled(db)
        assert len(errors) == 1
    assert "the leadership ended by an error of rowhooks" in caplog.text
    assert statuses(db) == [(1, "SUCCESS")]
