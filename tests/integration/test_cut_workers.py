"""Workers that lose their connections and live on: no run, no process and no other worker pays for it."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.pipeline.scheduling import records
from rowhooks.pipeline.scheduling.outgoing import MOST_LOST
from rowhooks.postgres.dispatch import leading
from rowhooks.runtime import maintenance
from rowhooks.runtime.context import process_name
from rowhooks.runtime.daemon import Daemon
from tests.support.daemons import ELSEWHERE, running_daemon, running_worker, worked_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]
CUT = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rowhooks worker %'"


class Held(JobHookReceiver):
    """Waits for the test."""

    attempts: list[int]
    actions: list[str]
    release: asyncio.Event

    class Meta:
        time_limit = 0

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.attempts.append(self.job_result.attempt)
        self.actions.append(action)
        await self.release.wait()


@pytest.fixture(autouse=True)
def held() -> None:
    Held.attempts, Held.actions, Held.release = [], [], asyncio.Event()


def have_begun(daemon: Daemon) -> bool:
    pipeline = None if daemon._leader is None else daemon._leader._pipeline
    assert pipeline is not None
    return pipeline.scheduler.running == 2 and pipeline.scheduler.admission.waiting == 0


async def test_a_run_whose_worker_loses_its_connection_again_and_again_does_not_fail(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Held, device)
    async with worked_daemon(daemon_dsn, Held):
        db.execute("insert into dcim.device values (1, 'sw')")
        for number in range(1, MOST_LOST + 2):
            await eventually(lambda number=number: len(Held.attempts) == number)
            db.execute(CUT)
        await eventually(lambda: len(Held.attempts) == MOST_LOST + 2)
        Held.release.set()
        await settled(db)
    assert db.execute("select status, exception_type from rowhooks.job_result").fetchall() == [("SUCCESS", None)]


async def test_what_a_worker_gives_back_comes_first_also_for_the_next_leader(
    db: Connection, daemon_dsn: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_hook(db, Held, device)
    place = {"queues": ("default", ELSEWHERE), "default_queue": ELSEWHERE}
    monkeypatch.setattr(records, "STARTED_AFTER", 3600.0)
    async with running_daemon(daemon_dsn, Held, **place) as daemon:
        async with running_worker(daemon_dsn, Held, tasks=1, grace_period=0.0):
            db.execute("insert into dcim.device values (1, 'sw')")
            await eventually(lambda: Held.attempts == [1])
            # It has this one, too, and no place for it.
            db.execute("insert into dcim.device values (2, 'sw')")
            await eventually(lambda: have_begun(daemon))
        db.execute("delete from dcim.device where id = 2")
        # It comes on record because it waits for long, and nothing executes what is before it.
        monkeypatch.setattr(records, "STARTED_AFTER", 0.0)
        await eventually(
            lambda: db.execute("select count(*) from rowhooks.job_result where action = 'delete'").fetchone() == (1,)
        )
    Held.release.set()
    async with worked_daemon(daemon_dsn, Held):
        await settled(db)
    assert Held.actions.index("delete") == len(Held.actions) - 1
    assert Held.actions.count("create") == 3


async def test_a_worker_of_the_same_name_that_has_ended_costs_a_live_one_nothing(
    db: Connection, daemon_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "TIDY_INTERVAL", 0.05)
    ids = "select array_agg(id) from rowhooks.worker"
    pids = "select array_agg(pid order by pid) from pg_stat_activity where application_name like 'rowhooks worker %'"
    async with running_worker(daemon_dsn, Held):
        await eventually(lambda: db.execute(ids).fetchone() != (None,))
        before = db.execute(ids).fetchone()
        sessions = db.execute(pids).fetchone()
        # Containers often have the same host name, and the process id 1.
        db.execute(
            "insert into rowhooks.worker (id, name, backend_pid, queues, threads, tasks, receivers, code_version,"
            " clock_offset, seen_at) values (%s, %s, 0, %s, 1, 1, '{}', '1', '0', now() - interval '1 hour')",
            (uuid.uuid4(), process_name(), [ELSEWHERE]),
        )
        async with running_daemon(daemon_dsn, Held):
            await eventually(lambda: db.execute(ids).fetchone() == before)
            now = db.execute(pids).fetchone()
            assert sessions is not None
            assert now is not None
            assert set(sessions[0]) <= set(now[0])


async def test_a_session_that_locks_a_group_holds_up_its_runs_alone(
    db: Connection,
    dsn: str,
    daemon_dsn: str,
    device: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(leading, "LONG_LOCK", 0.1)
    add_hook(db, Held, device)
    async with worked_daemon(daemon_dsn, Held):
        db.execute("insert into dcim.device values (1, 'sw')")
        await eventually(lambda: Held.attempts == [1])
        with psycopg.connect(dsn) as stranger:
            stranger.execute("select from rowhooks.dispatch for update")
            db.execute(CUT)
            # It is lost, and cannot be taken back.
            await eventually(lambda: "1 groups of runs have been locked in rowhooks.dispatch" in caplog.text)
            db.execute("insert into dcim.device values (2, 'sw')")
            await eventually(lambda: Held.attempts == [1, 1])
        await eventually(lambda: Held.attempts == [1, 1, 2])
        Held.release.set()
        await settled(db)
    assert db.execute("select status from rowhooks.job_result").fetchall() == [("SUCCESS",)] * 2
