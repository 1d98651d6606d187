"""What the daemon asks of the server, counted on the wire: bounds that keep it fast on any machine.

Not times: a statement too many for each run would show here before it shows anywhere else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import sqlalchemy
from psycopg.conninfo import make_conninfo

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.domain.events import DeadlineSet
from rowhooks.pipeline.scheduling import grouping
from rowhooks.runtime.submission import LOOK
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.proxy import Proxy
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]

RUNS = 1000
PARTS = 10
WRITE = sqlalchemy.text("insert into sink values (:id)")
WAKE_UPS = 40
IS_ASLEEP = "select not pg_try_advisory_xact_lock_shared(hashtextextended('rowhooks.bell', 0))"
# What goes on by itself meanwhile, and more often on a slow machine: looks, probes, the position. A statement for each
# run would be a thousand.
BESIDE = 300


class Idle(JobHookReceiver):
    class Meta:
        loads_object = False

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        pass


class PlainIdle(JobHookReceiver):
    class Meta:
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        pass


class Batched(JobHookReceiver):
    async def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        pass


class Reads(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        assert changed_object.name == "sw"


class Writes(JobHookReceiver):
    class Meta:
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(WRITE, {"id": change.id})


class WritesInGroups(Writes):
    class Meta:
        loads_object = False
        group_commit = 50


@pytest.fixture
def proxy(server: SimpleNamespace) -> Iterator[Proxy]:
    if not server.host.startswith("/"):
        pytest.skip("the proxy leads to a Unix socket")
    with Proxy(f"{server.host}/.s.PGSQL.{server.port}") as proxy:
        yield proxy


@pytest.fixture
def sink(db: Connection) -> None:
    db.execute("create table sink (id bigint)")
    db.execute("grant insert on sink to rowhooks_daemon")


async def drained(db: Connection, daemon_dsn: str, device: str, proxy: Proxy, receiver: type) -> Proxy:
    """Let a daemon deal with a backlog and return the proxy with what that took."""
    add_hook(db, receiver, device)
    db.execute("insert into dcim.device select n, 'sw', 'SN' from generate_series(1, %s) as n", (RUNS,))
    through = make_conninfo(daemon_dsn, host="127.0.0.1", port=proxy.port)
    async with running_daemon(through, receiver, batch_size=RUNS // PARTS):
        await settled(db)
        # Before it ends: what is cancelled then sends a request on a connection of its own.
        counted = SimpleNamespace(
            statements=proxy.statements, round_trips=proxy.round_trips, connections=proxy.connections
        )
    done = db.execute("select count(*) from rowhooks.results where status = 'SUCCESS'").fetchone()
    assert done == (RUNS,)
    proxy.statements, proxy.round_trips = counted.statements, counted.round_trips
    proxy.connections = counted.connections
    return proxy


@pytest.mark.parametrize("receiver", [Idle, PlainIdle, Batched])
async def test_runs_that_leave_the_database_alone_cost_no_round_trip_of_their_own(
    db: Connection, daemon_dsn: str, device: str, proxy: Proxy, receiver: type
) -> None:
    done = await drained(db, daemon_dsn, device, proxy, receiver)
    # A part takes its query; what is recorded together BEGIN, the fence, COPY, the position and COMMIT.
    assert done.statements <= PARTS + 6 * PARTS + BESIDE
    assert done.round_trips <= PARTS + 8 * PARTS + BESIDE
    # Control, the key of its lock, bell, LISTEN, what looks at both, feed, recorder, what asks for revoked runs, what
    # looks after the log, what checks the bindings, and the loader's that says whose rights count: none for receivers.
    assert done.connections <= 12


async def test_rows_are_loaded_together(db: Connection, daemon_dsn: str, device: str, proxy: Proxy) -> None:
    done = await drained(db, daemon_dsn, device, proxy, Reads)
    # One query for some hundred rows at once.
    assert done.statements <= PARTS + 6 * PARTS + 2 * PARTS + BESIDE


@pytest.mark.usefixtures("sink")
async def test_a_run_that_writes_costs_its_transaction_and_nothing_more(
    db: Connection, daemon_dsn: str, device: str, proxy: Proxy
) -> None:
    done = await drained(db, daemon_dsn, device, proxy, Writes)
    # BEGIN with the run's marks; its own statement; its result; COMMIT; and the driver's syncs around the first.
    assert done.round_trips <= 6 * RUNS
    assert db.execute("select count(*) from sink").fetchone() == (RUNS,)


@pytest.mark.usefixtures("sink")
async def test_a_run_that_shares_its_transaction_costs_its_savepoint_and_its_own_statement(
    db: Connection, daemon_dsn: str, device: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is.
    monkeypatch.setattr(grouping, "LONGEST_OPEN", 1000.0)
    done = await drained(db, daemon_dsn, device, proxy, WritesInGroups)
    # Its savepoint with its marks; its own statement; the driver's syncs; and a share of BEGIN, results and COMMIT.
    assert done.round_trips <= 3 * RUNS
    assert db.execute("select count(*) from sink").fetchone() == (RUNS,)


@pytest.mark.parametrize(("receiver", "of_the_row"), [(Idle, 0), (Reads, 1)])
async def test_a_change_that_wakes_the_leader_costs_one_look_and_one_statement_of_the_recorder(
    db: Connection, daemon_dsn: str, device: str, proxy: Proxy, receiver: type, of_the_row: int
) -> None:
    add_hook(db, receiver, device)
    db.execute("insert into dcim.device values (1, 'sw', 'SN')")
    looks: list[DeadlineSet] = []
    # It falls asleep as soon as it has found nothing, and stays so.
    async with running_daemon(
        make_conninfo(daemon_dsn, host="127.0.0.1", port=proxy.port), receiver, bell_linger=0.0
    ) as daemon:
        await settled(db)
        await eventually(lambda: db.execute(IS_ASLEEP).fetchone() == (True,))
        daemon.events.subscribe(DeadlineSet, lambda event: looks.append(event) if event.what == LOOK else None)
        before = proxy.statements
        for number in range(WAKE_UPS):
            db.execute("update dcim.device set serial = %s", (str(number),))
            await settled(db)
        statements = proxy.statements - before
    # There may be one more that was under way.
    assert WAKE_UPS <= len(looks) <= WAKE_UPS + 2
    # The look, also for what was requested by hand; the row, where it is loaded; the position with the result. Beside
    # them what goes on anyway.
    assert statements <= (2 + of_the_row) * WAKE_UPS + WAKE_UPS // 2


async def test_under_load_hardly_anybody_rings(db: Connection, dsn: str, daemon_dsn: str, device: str) -> None:
    add_hook(db, Idle, device)
    db.execute("insert into dcim.device select n, 'sw', 'SN' from generate_series(1, 4) as n")

    def write(row: int) -> None:
        with psycopg.connect(dsn, autocommit=True) as conn:
            for number in range(250):
                conn.execute("update dcim.device set serial = %s where id = %s", (str(number), row))

    # Awake for so long after the last change that writers who have to wait for a processor do not let it fall asleep.
    async with running_daemon(daemon_dsn, Idle, bell_linger=1.0):
        await settled(db)
        db.execute("listen rowhooks")
        writers = [threading.Thread(target=write, args=(row,)) for row in (1, 2, 3, 4)]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            await settled(db)
        await settled(db)
        rung = list(db.notifies(timeout=0.2))
    # Whoever wakes it up, and those who write until it is awake.
    assert len(rung) <= 100
    done = db.execute("select count(*) from rowhooks.results where status = 'SUCCESS'").fetchone()
    assert done == (1004,)
