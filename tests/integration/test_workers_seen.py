"""What people see of workers: status, doctor, and what is counted of them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.cli import call
from rowhooks.observability.metrics import Counters
from rowhooks.postgres.administration.doctor import examine
from rowhooks.postgres.administration.status import status
from rowhooks.runtime import maintenance
from rowhooks.runtime.context import process_name
from rowhooks.runtime.daemon import Daemon
from tests.support.daemons import ELSEWHERE, running_daemon, running_worker, worked_daemon
from tests.support.hooks import add_hook
from tests.support.processes import Process
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]
LEADER: dict[str, Any] = {"queues": ("default", ELSEWHERE), "default_queue": ELSEWHERE}
WORKER = (
    "insert into rowhooks.worker (id, name, queues, threads, tasks, receivers, code_version, clock_offset)"
    " values (gen_random_uuid(), %(name)s, %(queues)s, 10, 100, %(receivers)s, %(code)s, %(offset)s)"
)

HELD = """
import pathlib
import time

from rowhooks import JobHookReceiver, register_jobs
from rowhooks.events import RunLost, subscribe


class Held(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        changed_object.name = "held"
        changed_object.save()
        pathlib.Path("entered").touch()
        while not pathlib.Path("release").exists():
            time.sleep(0.01)


register_jobs(Held)
subscribe(RunLost, lambda event: pathlib.Path("lost").write_text(f"{event.run.attempt} {event.is_last}"))
"""


class Quick(JobHookReceiver):
    """Does nothing."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return "done"


class Other(JobHookReceiver):
    """Another class."""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return "done"


QUICK = f"{Quick.__module__}.{Quick.__qualname__}"


def add_worker(
    db: Connection, name: str, receivers: list[str], code: str = "1", offset: str = "0", queue: str = ELSEWHERE
) -> None:
    """Add the row of a worker behind a transaction pooler, as it stands while that is heard of."""
    db.execute(WORKER, {"name": name, "queues": [queue], "receivers": receivers, "code": code, "offset": offset})


def said_of_workers(db: Connection, level: str = "problem") -> list[str]:
    return [one.what for one in examine(db) if one.level == level and ("worker" in one.what or "queue" in one.what)]


async def test_status_names_the_workers_and_what_they_have_in_hand(
    db: Connection, dsn: str, daemon_dsn: str, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (status(db)["workers"], status(db)["queues"]) == ([], [])
    async with running_daemon(daemon_dsn, Quick, **LEADER):
        async with running_worker(daemon_dsn, Quick, queues=(ELSEWHERE, "default"), threads=3, tasks=7):
            await eventually(lambda: status(db)["workers"])
            [worker] = status(db)["workers"]
            assert (worker["queues"], worker["threads"], worker["tasks"]) == ([ELSEWHERE, "default"], 3, 7)
            assert (worker["runs"], worker["is_stopping"]) == (0, False)
            assert worker["silent_for"] < 30
            [(id_,)] = db.execute("select id from rowhooks.worker").fetchall()
            # Two groups, of which the worker has one.
            for taken_by in (id_, None):
                db.execute(
                    "insert into rowhooks.dispatch (id, leader_epoch, queue, priority, receivers, asynchronous, runs,"
                    " worker) values (gen_random_uuid(), gen_random_uuid(), 'elsewhere', 0, '{none}', false,"
                    " '[[{}], [{}, {}]]', %s)",
                    (taken_by,),
                )
            found = status(db)
            assert [one["runs"] for one in found["workers"]] == [3]
            assert found["queues"] == [{"queue": ELSEWHERE, "groups": 2, "unclaimed": 1, "runs": 6}]
            assert call(["status", "--dsn", dsn]) == 0
            said = " ".join(capsys.readouterr().out.split())
            assert f"{worker['name']} (queues elsewhere, default; 3 threads and 7 tasks; 3 runs in hand; code " in said
            assert "elsewhere: 2 groups with 6 runs handed out, 1 not taken yet" in said
            assert call(["status", "--json", "--dsn", dsn]) == 0
            assert json.loads(capsys.readouterr().out)["workers"][0]["name"] == worker["name"]
        await eventually(lambda: status(db)["workers"] == [])


def test_a_worker_that_has_ended_is_not_among_them_and_a_silent_one_is_marked(
    db: Connection, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add_worker(db, "ended:1", [])
    db.execute("update rowhooks.worker set backend_pid = 0")
    add_worker(db, "silent:2", [])
    db.execute("update rowhooks.worker set seen_at = now() - interval '1 hour' where name = 'silent:2'")
    assert [one["name"] for one in status(db)["workers"]] == ["silent:2"]
    assert call(["status", "--dsn", dsn]) == 0
    assert "not heard of for 36" in " ".join(capsys.readouterr().out.split())
    [problem] = said_of_workers(db)
    assert problem.startswith("worker silent:2 is connected, and was last heard of 2")


async def test_a_leader_that_hands_nothing_out_takes_out_workers_that_have_ended_or_are_silent(
    db: Connection, daemon_dsn: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(maintenance, "TIDY_INTERVAL", 0.05)
    add_worker(db, "ended:1", [])
    db.execute("update rowhooks.worker set backend_pid = 0")
    add_worker(db, "silent:2", [])
    db.execute("update rowhooks.worker set seen_at = now() - interval '1 hour'")
    names = "select array_agg(name) from rowhooks.worker"
    async with running_worker(daemon_dsn, Quick):
        await eventually(lambda: db.execute("select count(*) from rowhooks.worker").fetchone() == (3,))
        async with running_daemon(daemon_dsn, Quick):
            await eventually(lambda: db.execute(names).fetchone() == ([process_name()],))
        assert "worker silent:2 has ended, or was not heard of for" in caplog.text
        assert [one["name"] for one in status(db)["workers"]] == [process_name()]
    # It goes on with those that end later.
    async with running_daemon(daemon_dsn, Quick):
        add_worker(db, "ended:3", [])
        db.execute("update rowhooks.worker set backend_pid = 0, seen_at = now() - interval '1 hour'")
        await eventually(lambda: db.execute(names).fetchone() == (None,))
    assert said_of_workers(db) == []


def test_a_viewer_sees_the_same(db: Connection, dsn: str) -> None:
    add_worker(db, "here:1", [QUICK])
    db.execute("create role rowhooks_test_looks login in role rowhooks_viewer")
    with psycopg.connect(dsn, user="rowhooks_test_looks") as viewer:
        assert [one["name"] for one in status(viewer)["workers"]] == ["here:1"]


@pytest.mark.usefixtures("doctor_that_expects_a_daemon")
async def test_a_queue_that_no_worker_serves_is_named_with_what_waits_for_it(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Quick, device)
    async with running_daemon(daemon_dsn, Quick, **LEADER):
        start = f"queue {ELSEWHERE}: no worker serves it, so nothing starts of hook Quick: "
        assert said_of_workers(db) == [f"{start}0 runs wait"]
        db.execute("insert into dcim.device values (1, 'sw')")
        await eventually(lambda: said_of_workers(db) == [f"{start}1 run waits"])
        # As when it was lost with the last worker.
        db.execute("update rowhooks.job_result set status = 'STARTED'")
        assert said_of_workers(db) == [f"{start}1 run waits"]
        async with running_worker(daemon_dsn, Other):
            lacking = (
                f"queue {ELSEWHERE}: none of its workers has {QUICK}, so nothing starts of hook Quick: 1 run waits"
            )
            await eventually(lambda: said_of_workers(db) == [lacking])
        async with running_worker(daemon_dsn, Quick):
            await settled(db)
            assert said_of_workers(db) == []
    # What the leader executes itself needs no worker.
    async with running_daemon(daemon_dsn, Quick):
        await eventually(lambda: said_of_workers(db) == [])


def test_workers_that_differ_in_code_or_clock_or_lack_a_receiver_are_named(db: Connection, device: str) -> None:
    add_hook(db, Quick, device)
    db.execute(
        "update rowhooks.feed set queues = '{default,elsewhere}', default_queue = 'elsewhere', own_queues = '{}'"
    )
    add_worker(db, "old:1", [QUICK], "1", "-7 seconds")
    add_worker(db, "new:2", [QUICK], "2", "4 seconds")
    add_worker(db, "third:3", ["a.B"], "3")
    add_worker(db, "fourth:4", ["a.B"], "4", queue="default")
    assert said_of_workers(db) == [
        f"workers of queue {ELSEWHERE} have code of different versions: 1 (old:1), 2 (new:2)",
        "the clock of worker old:1 is 7 s behind the server's: the times of its runs are wrong by as much",
    ]
    assert said_of_workers(db, "note") == [
        f"worker third:3 serves queue {ELSEWHERE} and does not have {QUICK}: their runs go to other workers"
    ]


class Again(JobHookReceiver):
    """Succeeds with its third attempt."""

    class Meta:
        autoretry_for = (ValueError,)
        retry_backoff = 0

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if self.job_result.attempt < 3:
            raise ValueError("not yet")


@pytest.mark.parametrize("daemon_of", [running_daemon, worked_daemon])
async def test_retries_are_counted_and_logged_by_the_leader_wherever_they_are_planned(
    db: Connection, daemon_dsn: str, device: str, daemon_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Again, device)
    async with daemon_of(daemon_dsn, Again) as daemon:
        counters = Counters(daemon.events)
        db.execute("insert into dcim.device select g, 'sw' from generate_series(1, 4) as g")
        # Behind the first ones in their lanes.
        db.execute("update dcim.device set name = 'x'")
        await settled(db)
    assert counters.retries == {f"{Again.__module__}.Again": 16}
    assert len([one for one in caplog.messages if ": RETRY: ValueError: not yet" in one]) == 16


def counted(daemon: Daemon) -> tuple[dict[str, int], dict[str, int]] | None:
    """Return how many workers and groups the leader has counted last; None where it has not counted yet."""
    backlog = daemon.health.backlog
    return None if backlog is None else (backlog.workers, backlog.groups)


async def test_what_is_counted_of_workers(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Quick, device)
    async with running_daemon(daemon_dsn, Quick, http_listen="127.0.0.1:0", **LEADER) as daemon:
        db.execute("insert into dcim.device select g, 'sw' from generate_series(1, 4) as g")
        await eventually(lambda: daemon.health.for_workers() == {ELSEWHERE: 4})
        add_worker(db, "busy:1", [])
        db.execute(
            "insert into rowhooks.dispatch (id, leader_epoch, queue, priority, receivers, asynchronous, runs)"
            " values (gen_random_uuid(), gen_random_uuid(), 'other', 0, '{none}', false, '[[{}]]')"
        )
        await eventually(lambda: counted(daemon) == ({ELSEWHERE: 1}, {"other": 1}))
        async with running_worker(daemon_dsn, Quick):
            await settled(db)
            assert daemon.health.for_workers() == {}


async def test_a_run_that_was_lost_with_its_worker_is_told_and_executed_again(
    db: Connection, daemon_dsn: str, device: str, tmp_path: Path
) -> None:
    (tmp_path / "held.py").write_text(HELD)
    settings = {"ROWHOOKS_QUEUES": f"default,{ELSEWHERE}", "ROWHOOKS_DEFAULT_QUEUE": ELSEWHERE}
    leader = Process(daemon_dsn, tmp_path, "held.py", settings)
    workers = []
    try:
        leader.wait_for("ready:")
        db.execute("update rowhooks.job set enabled = true")
        db.execute(
            "with h as (insert into rowhooks.job_hook (name, job_id, type_create) select 'held', id, true"
            " from rowhooks.job returning id) insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)"
            " select h.id, t.id from h, rowhooks.tracked_table as t"
        )
        workers.append(Process(daemon_dsn, tmp_path, "held.py", settings, command="worker"))
        db.execute("insert into dcim.device values (1, 'sw')")
        await eventually((tmp_path / "entered").exists)
        workers[0].send(signal.SIGKILL)
        await eventually(lambda: leader.says("attempt 1 was lost"))
        (tmp_path / "release").touch()
        workers.append(Process(daemon_dsn, tmp_path, "held.py", settings, command="worker"))
        await settled(db)
        results = db.execute("select status, attempt from rowhooks.job_result").fetchall()
        assert results == [("SUCCESS", 2)]
        assert (tmp_path / "lost").read_text() == "1 False"
    finally:
        for process in (*workers, leader):
            process.kill()
