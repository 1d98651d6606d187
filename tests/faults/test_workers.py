"""Worker processes that are killed, frozen and replaced: each database effect once, in order, and nothing lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support.processes import Process
from tests.support.proxy import BEGINNING, MOMENTS, PARTIES, RESET, VANISH, Proxy
from tests.support.waiting import is_settled, wait

Connection = psycopg.Connection[Any]
QUEUES = {"ROWHOOKS_QUEUES": "default,elsewhere", "ROWHOOKS_DEFAULT_QUEUE": "elsewhere", "ROWHOOKS_LEADER_TIMEOUT": "3"}

RECEIVERS = '''
import ctypes, os
from pathlib import Path
from rowhooks import JobHookReceiver, register_jobs
from sqlalchemy import text

HERE = Path(os.environ["OUTSIDE"])


def note(receiver, change):
    with HERE.open("a") as file:
        file.write(f"{change.id} {os.getpid()}\\n")


class Effects(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        note(self, change)
        self.session.execute(
            text("insert into effect (change_id, row_id, n) values (:id, :row, :n)"),
            {"id": change.id, "row": change.changed_object_id["id"], "n": int(change.postchange["name"])},
        )


class Poison(JobHookReceiver):
    """Ends its process, by a segmentation fault, for the row 0."""

    def receive_job_hook(self, change, action, changed_object):
        note(self, change)
        self.session.execute(
            text("insert into effect (change_id, row_id, n) values (:id, :row, 0)"),
            {"id": change.id, "row": change.changed_object_id["id"]},
        )
        if change.changed_object_id["id"] == 0:
            ctypes.string_at(0)


class Hung(JobHookReceiver):
    """Hangs in C with the interpreter's lock: no thread of the process goes on."""

    class Meta:
        time_limit = 1

    def receive_job_hook(self, change, action, changed_object):
        note(self, change)
        if change.changed_object_id["id"] == 0:
            ctypes.PyDLL(None).sleep(3600)


register_jobs(Effects, Poison, Hung)
'''


@pytest.fixture
def start(tmp_path: Path, daemon_dsn: str) -> Iterator[Callable[..., Process]]:
    (tmp_path / "effects.py").write_text(RECEIVERS)
    (tmp_path / "outside").touch()
    with contextlib.ExitStack() as stack:

        def start(
            command: str = "run", *options: str, dsn: str = daemon_dsn, stdin: int = subprocess.DEVNULL, **settings: str
        ) -> Process:
            process = Process(dsn, tmp_path, "effects.py", {**QUEUES, **settings}, options, command, stdin)
            stack.callback(process.kill)
            process.wait_for("ready: ")
            return process

        yield start


@pytest.fixture
def db(db: Connection, device: str) -> Connection:
    db.execute(
        "create table effect (change_id bigint, row_id integer, n integer, at bigint generated always as identity);"
        "grant insert on effect to rowhooks_daemon"
    )
    return db


def hook(db: Connection, job: str) -> None:
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values (%s, 'hook', %s, true)"
        " on conflict (class_path) do update set enabled = true",
        (f"effects.{job}", job),
    )
    db.execute(
        "with hook as (insert into rowhooks.job_hook (name, job_id, type_create, type_update)"
        " select %s, j.id, true, true from rowhooks.job as j where j.class_path = %s returning id)"
        " insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)"
        " select h.id, t.id from hook as h cross join rowhooks.tracked_table as t",
        (job, f"effects.{job}"),
    )


def write(db: Connection, rows: int, times: int) -> None:
    db.execute("insert into dcim.device select g, '0' from generate_series(1, %s) as g", (rows,))
    rewrite(db, 1, times)


def rewrite(db: Connection, first: int, end: int) -> None:
    for n in range(first, end):
        db.execute("update dcim.device set name = %s", (str(n),))


def reckon(db: Connection, rows: int, times: int) -> None:
    """See that each change has had its effect once, and that those of each row are in the order of its changes."""
    wait(lambda: is_settled(db), 120.0)
    assert db.execute("select count(*), count(distinct change_id) from effect").fetchone() == (rows * times,) * 2
    turned = "select count(*) from (select n, lag(n) over (partition by row_id order by at) as former from effect) as e"
    assert db.execute(f"{turned} where n <= former").fetchone() == (0,)
    assert db.execute("select count(*) from rowhooks.job_result where status <> 'SUCCESS'").fetchone() == (0,)


def has_effects(db: Connection, count: int) -> bool:
    row = db.execute("select count(*) from effect").fetchone()
    return row is not None and row[0] >= count


def test_a_worker_is_killed_again_and_again_and_another_goes_on(db: Connection, start: Callable[..., Process]) -> None:
    hook(db, "Effects")
    start()
    workers = [start("worker", "--queue", "elsewhere") for _ in range(2)]
    write(db, 60, 10)
    for count in (50, 150, 300):
        wait(lambda count=count: has_effects(db, count))
        workers.pop(0).kill()
        workers.append(start("worker", "--queue", "elsewhere"))
    reckon(db, 60, 10)


def test_a_worker_that_freezes_is_replaced_and_what_it_does_afterwards_is_fenced_off(
    db: Connection, start: Callable[..., Process]
) -> None:
    hook(db, "Effects")
    start()
    frozen = start("worker", "--queue", "elsewhere")
    write(db, 60, 5)
    wait(lambda: has_effects(db, 30))
    frozen.send(signal.SIGSTOP)
    start("worker", "--queue", "elsewhere")
    reckon(db, 60, 5)
    frozen.send(signal.SIGCONT)
    db.execute("update dcim.device set name = '5'")
    reckon(db, 60, 6)
    frozen.send(signal.SIGTERM)
    assert frozen.ends() == 0


def test_the_leader_is_killed_and_replaced_while_workers_run(db: Connection, start: Callable[..., Process]) -> None:
    hook(db, "Effects")
    leader, _ = start(), start("worker", "--queue", "elsewhere")
    write(db, 60, 10)
    wait(lambda: has_effects(db, 50))
    leader.kill()
    start()
    reckon(db, 60, 10)


def test_the_database_cuts_all_connections(db: Connection, start: Callable[..., Process]) -> None:
    hook(db, "Effects")
    start()
    start("worker", "--queue", "elsewhere")
    write(db, 60, 10)
    for count in (50, 200):
        wait(lambda count=count: has_effects(db, count))
        db.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where pid <> pg_backend_pid() and datname = current_database()"
        )
    reckon(db, 60, 10)


@pytest.fixture
def proxy(server: SimpleNamespace) -> Iterator[Proxy]:
    if not server.host.startswith("/"):
        pytest.skip("the proxy leads to a Unix socket")
    with Proxy(f"{server.host}/.s.PGSQL.{server.port}") as proxy:
        yield proxy


@pytest.fixture
def start_behind(start: Callable[..., Process], proxy: Proxy, daemon_dsn: str) -> Callable[[], Process]:
    """Starts a worker that reaches the database by way of the proxy; the daemon reaches it directly."""
    behind = make_conninfo(daemon_dsn, host="127.0.0.1", port=proxy.port)
    return lambda: start("worker", "--queue", "elsewhere", dsn=behind)


def test_the_network_resets_a_workers_connections_with_runs_in_hand_and_at_each_moment_of_a_run(
    db: Connection, start: Callable[..., Process], start_behind: Callable[[], Process], proxy: Proxy
) -> None:
    hook(db, "Effects")
    start()
    worker = start_behind()
    write(db, 60, 10)
    for count in (50, 200, 400):
        wait(lambda count=count: has_effects(db, count))
        proxy.reset()
    reckon(db, 60, 10)
    times = 10
    for moment in (BEGINNING, *MOMENTS):
        trap = proxy.set_trap(PARTIES[0], moment, RESET)
        rewrite(db, times, times + 3)
        wait(trap.sprung.is_set)
        times += 3
        reckon(db, 60, times)
    # It has come back by itself each time.
    worker.send(signal.SIGTERM)
    assert worker.ends() == 0


@pytest.mark.parametrize("moment", [BEGINNING, MOMENTS[1], MOMENTS[2]])
def test_nothing_comes_through_between_a_worker_and_the_database_and_another_worker_has_its_runs(
    db: Connection,
    start: Callable[..., Process],
    start_behind: Callable[[], Process],
    proxy: Proxy,
    tmp_path: Path,
    moment: str,
) -> None:
    """From the moment of a transaction on: with runs in hand, and before and after the server has its COMMIT."""
    hook(db, "Effects")
    leader, away = start(), start_behind()
    write(db, 60, 1)
    reckon(db, 60, 1)
    trap = proxy.set_trap(PARTIES[0], moment, VANISH)
    rewrite(db, 1, 6)
    wait(trap.sprung.is_set)
    leader.wait_for(f":{away.pid} has ended, or was not heard of")
    other = start("worker", "--queue", "elsewhere")
    reckon(db, 60, 6)
    # Nobody has told it yet. When the network is there again, it can record nothing, and comes back by itself.
    assert away.count("ready: ") == 1
    proxy.come_back()
    wait(lambda: away.count("ready: ") == 2)
    other.send(signal.SIGTERM)
    assert other.ends() == 0
    rewrite(db, 6, 8)
    reckon(db, 60, 8)
    lines = (tmp_path / "outside").read_text().splitlines()
    assert {int(line.split()[1]) for line in lines[-120:]} == {away.pid}


def test_the_network_of_the_only_worker_is_silent_for_a_while(
    db: Connection, start: Callable[..., Process], start_behind: Callable[[], Process], proxy: Proxy
) -> None:
    hook(db, "Effects")
    leader, worker = start(), start_behind()
    write(db, 60, 8)
    wait(lambda: has_effects(db, 50))
    proxy.vanish()
    leader.wait_for(f":{worker.pid} has ended, or was not heard of")
    proxy.come_back()
    reckon(db, 60, 8)


def test_a_run_that_ends_its_process_costs_no_other_run_and_fails_in_the_end(
    db: Connection, start: Callable[..., Process]
) -> None:
    hook(db, "Poison")
    daemon = start(ROWHOOKS_PROCESSES="2", ROWHOOKS_DEFAULT_QUEUE="default")
    db.execute("insert into dcim.device select g, '0' from generate_series(0, 30) as g")
    wait(lambda: is_settled(db), 120.0)
    found = db.execute(
        "select (object_id -> 'id')::int, status, exception_type from rowhooks.job_result where status <> 'SUCCESS'"
    ).fetchall()
    assert found == [(0, "FAILURE", "rowhooks.domain.errors.ExecutorLost")]
    assert db.execute("select count(*), count(distinct row_id), min(row_id) from effect").fetchone() == (30, 30, 1)
    assert daemon.says("a worker process has ended (SIGSEGV)")
    daemon.send(signal.SIGTERM)
    assert daemon.ends() == 0


def test_a_receiver_that_hangs_in_c_is_ended_with_its_process_at_its_time_limit(
    db: Connection, start: Callable[..., Process]
) -> None:
    hook(db, "Hung")
    daemon = start(ROWHOOKS_PROCESSES="1", ROWHOOKS_DEFAULT_QUEUE="default")
    db.execute("insert into dcim.device values (0, '0')")
    wait(lambda: is_settled(db), 120.0)
    db.execute("insert into dcim.device values (1, '0')")
    wait(lambda: is_settled(db), 120.0)
    found = db.execute("select (object_id -> 'id')::int, status, exception_type from rowhooks.job_result order by 1")
    assert found.fetchall() == [(0, "FAILURE", "rowhooks.domain.errors.TimeLimitExceeded"), (1, "SUCCESS", None)]
    daemon.send(signal.SIGTERM)
    assert daemon.ends() == 0


def test_a_job_of_a_queue_of_processes_hangs_in_c_and_the_other_jobs_stay_in_the_daemon(
    db: Connection, start: Callable[..., Process], tmp_path: Path
) -> None:
    hook(db, "Hung")
    db.execute("update rowhooks.job_hook set queue = 'isolated'")
    daemon = start(
        ROWHOOKS_PROCESSES="1", ROWHOOKS_PROCESS_QUEUES="isolated", ROWHOOKS_QUEUES="default,isolated",
        ROWHOOKS_DEFAULT_QUEUE="default",
    )  # fmt: skip
    db.execute("insert into dcim.device values (0, '0')")
    outside = tmp_path / "outside"
    wait(lambda: outside.read_text().count("\n") == 1)
    # It hangs. What the daemon executes goes on.
    hook(db, "Effects")
    db.execute("insert into dcim.device values (1, '0'), (2, '0')")
    wait(lambda: has_effects(db, 2))
    wait(lambda: is_settled(db), 120.0)
    statuses = (
        "select hook_name, (object_id -> 'id')::int, status, exception_type from rowhooks.job_result order by 1, 2"
    )
    limit = "rowhooks.domain.errors.TimeLimitExceeded"
    assert db.execute(statuses).fetchall() == [
        ("Effects", 1, "SUCCESS", None), ("Effects", 2, "SUCCESS", None),
        ("Hung", 0, "FAILURE", limit), ("Hung", 1, "SUCCESS", None), ("Hung", 2, "SUCCESS", None),
    ]  # fmt: skip
    ours = [int(line.split()[1]) == daemon.pid for line in outside.read_text().splitlines()]
    assert (ours.count(True), ours.count(False)) == (2, 3)
    daemon.send(signal.SIGTERM)
    assert daemon.ends() == 0


def test_a_process_of_a_daemon_that_loses_its_connections_goes_on(
    db: Connection, start: Callable[..., Process]
) -> None:
    hook(db, "Effects")
    daemon = start(ROWHOOKS_PROCESSES="1", ROWHOOKS_DEFAULT_QUEUE="default")
    write(db, 5, 1)
    reckon(db, 5, 1)
    workers = "select name, id from rowhooks.worker"
    [(name, id_)] = db.execute(workers).fetchall()
    for _ in range(3):
        db.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ '^rowhooks worker'")
        # The leader has seen that it was lost, and that it is there again.
        wait(lambda id_=id_: [one for one in db.execute(workers).fetchall() if one[1] != id_])
        rewrite(db, 1, 2)
        wait(lambda: is_settled(db), 120.0)
        wait(lambda: len(db.execute(workers).fetchall()) == 1, 120.0)
        former, [(again, id_)] = id_, db.execute(workers).fetchall()
        assert (again, id_ != former) == (name, True)
    assert not daemon.says("it is killed")
    assert not daemon.says("a worker process has ended")


def test_the_processes_of_a_daemon_that_is_killed_end_with_it(db: Connection, start: Callable[..., Process]) -> None:
    hook(db, "Effects")
    daemon = start(ROWHOOKS_PROCESSES="2", ROWHOOKS_DEFAULT_QUEUE="default")
    write(db, 5, 1)
    reckon(db, 5, 1)
    names = "select name from rowhooks.worker"
    wait(lambda: len(db.execute(names).fetchall()) == 2)
    pids = [int(name.rpartition(":")[2]) for (name,) in db.execute(names).fetchall()]
    daemon.kill()
    wait(lambda: not any(_exists(pid) for pid in pids))


def test_a_worker_loads_new_code_on_sighup_while_runs_go_on_and_keeps_what_it_has_where_that_cannot_be_loaded(
    db: Connection, start: Callable[..., Process], tmp_path: Path
) -> None:
    hook(db, "Effects")
    # New code is imported in a third of it, with the event loop waiting.
    patience = {"ROWHOOKS_LEADER_TIMEOUT": "30"}
    start(**patience)
    worker = start("worker", "--queue", "elsewhere", **patience)
    write(db, 60, 5)
    wait(lambda: has_effects(db, 50))
    code = tmp_path / "effects.py"
    code.write_text("import no_such_module\n")
    worker.send(signal.SIGHUP)
    worker.wait_for(
        "nothing is reloaded, the worker goes on as it was: receivers' module effects.py cannot be imported"
    )
    code.write_text(RECEIVERS.replace("os.getpid()", "'new'"))
    worker.send(signal.SIGHUP)
    wait(lambda: worker.count("ready: ") == 2)
    rewrite(db, 5, 7)
    reckon(db, 60, 7)
    lines = (tmp_path / "outside").read_text().splitlines()
    assert lines[0].endswith(f" {worker.pid}")
    assert lines[-1].endswith(" new")
    worker.send(signal.SIGTERM)
    assert worker.ends() == 0


def test_a_process_of_a_daemon_is_not_reloaded_alone(
    db: Connection, start: Callable[..., Process], tmp_path: Path
) -> None:
    daemon = start(ROWHOOKS_PROCESSES="1", ROWHOOKS_DEFAULT_QUEUE="default")
    wait(lambda: daemon.count("ready: ") == 2)
    ((name,),) = db.execute("select name from rowhooks.worker").fetchall()
    os.kill(int(name.rpartition(":")[2]), signal.SIGHUP)
    daemon.wait_for("goes on as it was: this is a process of a daemon, which loads new code for all of them on SIGHUP")
    hook(db, "Effects")
    write(db, 5, 1)
    reckon(db, 5, 1)


@pytest.mark.parametrize("command", [["run"], ["worker", "--queue", "elsewhere"]])
def test_a_closed_terminal_stops_a_daemon_or_a_worker_in_good_order(
    start: Callable[..., Process], command: list[str]
) -> None:
    outer, inner = os.openpty()
    try:
        process = start(*command, stdin=inner)
        process.send(signal.SIGHUP)
        assert process.ends() == 0
        assert process.says("SIGHUP received")
    finally:
        os.close(inner)
        os.close(outer)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
