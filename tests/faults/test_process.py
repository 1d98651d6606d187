"""The daemon as a process: signals, sudden death, a server that goes away."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rowhooks.demo.embedded import EmbeddedPostgres
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.connections.target import Target
from tests.support.processes import Process
from tests.support.waiting import is_settled, wait

RECEIVERS = '''
import asyncio, os, signal, threading, time
from pathlib import Path
from rowhooks import JobHookReceiver, register_jobs
from sqlalchemy import text

class Effects(JobHookReceiver):
    """One effect inside its transaction, one outside; dies where the test says."""

    def receive_job_hook(self, change, action, changed_object):
        outside = Path(os.environ["OUTSIDE"])
        with outside.open("a") as file:
            file.write(f"{change.id}\\\\n")
        self.session.execute(text("insert into effect values (:id)"), {"id": change.id})
        marker = outside.with_suffix(".die")
        if marker.exists() and change.id % 7 == 0:
            marker.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

class Grouped(Effects):
    class Meta:
        group_commit = 20
        loads_object = False

class Sleeper(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        Path(os.environ["OUTSIDE"]).with_suffix(".entered").touch()
        time.sleep(0.5)

class Stubborn(JobHookReceiver):
    async def receive_job_hook(self, change, action, changed_object):
        Path(os.environ["OUTSIDE"]).with_suffix(".entered").touch()
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

class Hung(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        Path(os.environ["OUTSIDE"]).with_suffix(".entered").touch()
        threading.Event().wait()

class Crashing(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        os.abort()

register_jobs(Effects, Grouped, Sleeper, Stubborn, Hung, Crashing)
'''.replace("\\\\n", "\\n")


@pytest.fixture
def start(tmp_path: Path, daemon_dsn: str) -> Iterator[Any]:
    (tmp_path / "effects.py").write_text(RECEIVERS)
    with contextlib.ExitStack() as stack:

        def start(dsn: str = daemon_dsn, **settings: str) -> Process:
            process = Process(dsn, tmp_path, "effects.py", settings)
            stack.callback(process.kill)
            return process

        yield start


def set_up(conn: psycopg.Connection[Any], job: str = "Effects") -> None:
    conn.execute("create table thing (id integer primary key)")
    conn.execute("create table effect (change_id bigint)")
    conn.execute("grant select on thing to rowhooks_daemon")
    conn.execute("grant select, insert on effect to rowhooks_daemon")
    conn.execute("select rowhooks.track('thing')")
    conn.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values (%s, 'hook', %s, true)",
        (f"effects.{job}", job),
    )
    conn.execute("insert into rowhooks.job_hook (name, job_id, type_create) select name, id, true from rowhooks.job")
    conn.execute(
        "insert into rowhooks.job_hook_table select h.id, t.id from rowhooks.job_hook h, rowhooks.tracked_table t"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_receiver_finish_and_exits_with_0(
    db: psycopg.Connection[Any], start: Any, tmp_path: Path, number: signal.Signals
) -> None:
    set_up(db, "Sleeper")
    process = start()
    process.wait_for("ready: ")
    db.execute("insert into thing values (1)")
    wait((tmp_path / "outside.entered").exists)
    process.send(number)
    assert process.ends() == 0
    assert process.says("stopped")
    assert db.execute("select status from rowhooks.results").fetchall() == [("SUCCESS",)]


@pytest.mark.parametrize("job", ["Stubborn", "Hung"])
def test_a_receiver_that_never_ends_does_not_keep_the_process_from_ending(
    db: psycopg.Connection[Any], start: Any, tmp_path: Path, job: str
) -> None:
    set_up(db, job)
    process = start()
    process.wait_for("ready: ")
    db.execute("insert into thing values (1)")
    wait((tmp_path / "outside.entered").exists)
    process.send(signal.SIGTERM)
    assert process.ends() == 0
    assert process.says(f"1 receivers did not end within 2.0 s: effects.{job}")


def test_a_process_that_c_ends_says_in_which_line_of_python(db: psycopg.Connection[Any], start: Any) -> None:
    set_up(db, "Crashing")
    process = start()
    process.wait_for("ready: ")
    db.execute("insert into thing values (1)")
    assert process.ends() == -signal.SIGABRT
    assert process.says("Fatal Python error: Aborted")
    assert process.says("in receive_job_hook")


@pytest.mark.parametrize("job", ["Effects", "Grouped"])
@pytest.mark.parametrize("own_login", [False, True])
def test_killed_in_the_middle_of_a_run_database_effects_happen_once_and_others_at_least_once(
    db: psycopg.Connection[Any], dsn: str, start: Any, tmp_path: Path, own_login: bool, job: str
) -> None:
    set_up(db, job)
    settings = {}
    if own_login:
        if not db.execute("select 1 from pg_roles where rolname = 'rowhooks_test_receiver'").fetchone():
            db.execute("create role rowhooks_test_receiver login in role rowhooks_receiver")
        db.execute("revoke all on thing, effect from rowhooks_daemon")
        db.execute("grant select on thing to rowhooks_receiver")
        db.execute("grant select, insert on effect to rowhooks_receiver")
        settings["ROWHOOKS_RECEIVER_DSN"] = make_conninfo(dsn, user="rowhooks_test_receiver")
    for deaths in range(4):
        (tmp_path / "outside.die").touch()
        process = start(**settings)
        process.wait_for("ready: ")
        db.execute(
            "insert into thing select n from generate_series(%s::int, %s::int) as n", (deaths * 50, deaths * 50 + 49)
        )
        assert process.ends() == -signal.SIGKILL
    process = start(**settings)
    wait(lambda: is_settled(db))
    changes = [row[0] for row in db.execute("select id from rowhooks.object_change order by id").fetchall()]
    assert len(changes) == 200
    # Each exactly once in the database; outside, at least once, and at least one of them twice.
    assert [row[0] for row in db.execute("select change_id from effect order by 1").fetchall()] == changes
    outside = [int(line) for line in (tmp_path / "outside").read_text().splitlines()]
    assert set(outside) == set(changes)
    assert len(outside) > len(changes)
    assert db.execute("select count(*) from rowhooks.job_result where status = 'SUCCESS'").fetchone() == (200,)


def test_a_daemon_waits_for_its_server_and_survives_its_crash(tmp_path: Path, start: Any) -> None:
    directory = Path(tempfile.mkdtemp(prefix="rowhooks-test-", dir="/tmp"))
    server = EmbeddedPostgres(directory, settings={"fsync": "on"})
    dsn = server.dsn()
    with server:
        install(Target(dsn), Roles())
        with psycopg.connect(dsn, autocommit=True) as conn:
            set_up(conn)
    process = start(dsn)
    process.wait_for("cannot connect to postgres on")
    assert process.says("attempt 1, next in")
    with server:
        process.wait_for("ready: ")
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("insert into thing values (1)")
            wait(lambda: is_settled(conn))
        server.run("pg_ctl", "restart", "-w", "-s", "-m", "immediate", "-D", str(server.data), "-l", str(server.log))
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute("insert into thing values (2)")
            wait(lambda: conn.execute("select count(*) from effect").fetchone() == (2,))
            wait(lambda: is_settled(conn))
        process.send(signal.SIGTERM)
        assert process.ends() == 0
    shutil.rmtree(directory)
