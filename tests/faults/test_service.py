"""The daemon as a service: what it tells its manager, its health over HTTP, reload, and what wedges it."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg.conninfo import make_conninfo

from tests.support.manager import Manager
from tests.support.processes import Process
from tests.support.waiting import is_settled, wait

Start = Callable[..., Process]

RECEIVERS = """
import os, time
from pathlib import Path
from rowhooks import JobHookReceiver, register_jobs
from sqlalchemy import text

class Effects(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        values = {"id": change.id, "pid": os.getpid(), "code": "OLD"}
        self.session.execute(text("insert into effect values (:id, :pid, :code)"), values)

class Wedge(JobHookReceiver):
    async def receive_job_hook(self, change, action, changed_object):
        Path(os.environ["OUTSIDE"]).touch()
        time.sleep(3600)

class Slow(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        Path(os.environ["OUTSIDE"]).touch()
        time.sleep(1)

register_jobs(Effects, Wedge, Slow)
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.socket.close()


@pytest.fixture
def start(tmp_path: Path, daemon_dsn: str, manager: Manager, port: int) -> Iterator[Start]:
    (tmp_path / "effects.py").write_text(RECEIVERS)
    (tmp_path / "rowhooks.toml").write_text(f'http_listen = "127.0.0.1:{port}"\n')
    started = []

    def start(dsn: str = daemon_dsn, command: str = "run", options: Sequence[str] = (), **settings: str) -> Process:
        told = {"NOTIFY_SOCKET": manager.address, **settings}
        process = Process(dsn, tmp_path, "effects.py", told, options, command)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def table(db: psycopg.Connection[Any]) -> None:
    db.execute("create table thing (id integer primary key)")
    db.execute("create table effect (change_id bigint, pid integer, code text)")
    db.execute("grant select on thing to rowhooks_daemon")
    db.execute("grant insert on effect to rowhooks_daemon")
    db.execute("select rowhooks.track('thing')")


def hook(db: psycopg.Connection[Any], job: str) -> None:
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values (%s, 'hook', %s, true)",
        (f"effects.{job}", job),
    )
    db.execute(
        "with hook as (insert into rowhooks.job_hook (name, job_id, type_create)"
        " select name, id, true from rowhooks.job where name = %s returning id)"
        " insert into rowhooks.job_hook_table select h.id, t.id from hook as h, rowhooks.tracked_table as t",
        (job,),
    )


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metrics(port: int) -> dict[tuple[str, str], float]:
    """Return the samples by name and status, or name alone."""
    return {
        (sample.name, sample.labels.get("status", "")): sample.value
        for family in text_string_to_metric_families(get(port, "/metrics")[1])
        for sample in family.samples
    }


def test_a_leader_tells_its_manager_and_prometheus_what_it_does(
    db: psycopg.Connection[Any], table: None, start: Start, manager: Manager, port: int
) -> None:
    hook(db, "Effects")
    process = start()
    wait(lambda: {"READY": "1"} in manager.listen())
    assert get(port, "/readyz")[0] == 200
    db.execute("insert into thing select generate_series(1, 50)")
    wait(lambda: is_settled(db))
    wait(lambda: metrics(port).get(("rowhooks_backlog_changes", "")) == 0)
    read = metrics(port)
    assert read["rowhooks_leader", ""] == 1
    assert read["rowhooks_changes_read_total", ""] == 50
    assert read["rowhooks_runs_total", "SUCCESS"] == 50
    assert read["rowhooks_run_duration_seconds_count", ""] == 50
    assert read["rowhooks_log_partitions", ""] >= 2
    assert read["rowhooks_log_bytes", ""] > 0
    while metrics(port)["rowhooks_bell_rings_total", ""] < 1:
        # It may not have been asleep yet.
        db.execute("insert into thing select max(id) + 1 from thing")
        wait(lambda: is_settled(db))
    wait(lambda: any("backlog 0 changes" in one.get("STATUS", "") for one in manager.listen()))
    process.send(signal.SIGTERM)
    assert process.ends() == 0
    assert manager.listen()[-1].keys() & {"STATUS", "STOPPING"}
    # The grace period of these tests is two seconds.
    assert [one["EXTEND_TIMEOUT_USEC"] for one in manager.heard if "STOPPING" in one] == ["32000000"]


def test_a_daemon_without_its_database_is_alive_and_not_ready_and_says_why(
    start: Start, manager: Manager, port: int, daemon_dsn: str
) -> None:
    start(make_conninfo(daemon_dsn, host="127.0.0.1", port=free_port()))
    wait(lambda: any("waiting for the database" in one.get("STATUS", "") for one in manager.listen()))
    assert get(port, "/livez")[0] == 200
    status, body = get(port, "/readyz")
    assert (status, json.loads(body)["status"].partition(":")[0]) == (503, "waiting for the database")
    wait(lambda: metrics(port)["rowhooks_reconnects_total", ""] >= 1)
    assert metrics(port)["rowhooks_leader", ""] == 0
    assert {"READY": "1"} not in manager.listen()


def test_a_reload_takes_up_new_code_and_settings_and_loses_and_repeats_nothing(
    db: psycopg.Connection[Any], table: None, start: Start, manager: Manager, tmp_path: Path, port: int
) -> None:
    hook(db, "Effects")
    process = start()
    wait(lambda: {"READY": "1"} in manager.listen())
    new_port = free_port()
    (tmp_path / "effects.py").write_text(RECEIVERS.replace("OLD", "NEW"))
    (tmp_path / "rowhooks.toml").write_text(f'http_listen = "127.0.0.1:{new_port}"\n')
    db.execute("insert into thing values (0)")
    wait(lambda: is_settled(db))
    written = 1

    def write() -> None:
        nonlocal written
        db.execute("insert into thing values (%s)", (written,))
        written += 1
        # As fast as it goes, a busy machine would have to work off in the end what a quick one wrote meanwhile.
        time.sleep(0.005)
        assert written < 20_000

    while manager.listen().count({"READY": "1"}) < 2:
        write()
        if written == 20:
            process.send(signal.SIGHUP)
    while db.execute("select 1 from effect where code = 'NEW'").fetchone() is None:
        write()
    wait(lambda: is_settled(db))
    # The manager's process goes on under its own number.
    assert not process.ended
    assert db.execute("select distinct pid from effect").fetchall() == [(process.pid,)]
    assert db.execute("select count(*), count(distinct change_id) from effect").fetchone() == (written, written)
    assert db.execute("select count(distinct code) from effect").fetchone() == (2,)
    assert get(new_port, "/readyz")[0] == 200
    order = [name for one in manager.heard for name in one if name in ("READY", "RELOADING", "STOPPING")]
    assert order == ["READY", "RELOADING", "READY"]


def test_a_reload_does_not_double_the_subscribers_of_a_receivers_module(
    db: psycopg.Connection[Any], table: None, start: Start, tmp_path: Path
) -> None:
    hook(db, "Effects")
    told = tmp_path / "told"
    (tmp_path / "effects.py").write_text(
        RECEIVERS
        + f"""
from rowhooks.events import RunEnded, subscribe

def tell(event):
    with open({str(told)!r}, "a") as file:
        file.write(event.outcome.run.object_repr + "\\n")

subscribe(RunEnded, tell)
"""
    )
    process = start()
    process.wait_for("ready:")
    for number in (1, 2):
        db.execute("insert into thing values (%s)", (number,))
        wait(lambda: is_settled(db))
        process.send(signal.SIGHUP)
        wait(lambda number=number: process.log.read_text().count("ready:") == number + 1)
    db.execute("insert into thing values (3)")
    wait(lambda: is_settled(db))
    process.send(signal.SIGTERM)
    assert process.ends() == 0
    assert told.read_text().split() == ["1", "2", "3"]


def test_a_reload_waits_for_what_runs(
    db: psycopg.Connection[Any], table: None, start: Start, manager: Manager, tmp_path: Path
) -> None:
    hook(db, "Slow")
    process = start()
    wait(lambda: {"READY": "1"} in manager.listen())
    db.execute("insert into thing values (1)")
    wait((tmp_path / "outside").exists)
    process.send(signal.SIGHUP)
    wait(lambda: manager.listen().count({"READY": "1"}) == 2)
    assert db.execute("select status, attempt from rowhooks.job_result").fetchall() == [("SUCCESS", 1)]


def test_a_reload_with_settings_that_are_wrong_leaves_everything_as_it_was(
    db: psycopg.Connection[Any], table: None, start: Start, manager: Manager, tmp_path: Path
) -> None:
    hook(db, "Effects")
    process = start()
    wait(lambda: {"READY": "1"} in manager.listen())
    (tmp_path / "rowhooks.toml").write_text("taks = 7\n")
    process.send(signal.SIGHUP)
    process.wait_for("nothing is reloaded, the daemon goes on as it was: rowhooks.toml: taks: unknown setting")
    db.execute("insert into thing values (1)")
    wait(lambda: is_settled(db))
    assert db.execute("select code from effect").fetchall() == [("OLD",)]
    assert [one for one in manager.listen() if "RELOADING" in one or "READY" in one][-1] == {"READY": "1"}


def test_a_reload_that_would_find_no_receiver_leaves_everything_as_it_was(
    db: psycopg.Connection[Any], table: None, start: Start, manager: Manager, tmp_path: Path
) -> None:
    hook(db, "Effects")
    process = start()
    wait(lambda: {"READY": "1"} in manager.listen())
    (tmp_path / "effects.py").write_text("import nothing_of_that_name")
    process.send(signal.SIGHUP)
    process.wait_for(
        "nothing is reloaded, the daemon goes on as it was: receivers' module effects.py cannot be imported"
    )
    assert process.says("No module named 'nothing_of_that_name'")
    db.execute("insert into thing values (1)")
    wait(lambda: is_settled(db))
    assert db.execute("select code from effect").fetchall() == [("OLD",)]


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ('listen_dsn = "port=none"', "the DSN's port 'none' is not a number"),
        ('listen_dsn = "sslmode=verify-full sslrootcert=/gone.crt"', "a certificate cannot be read"),
        ('permission_backend = "no.Such"', "permission_backend"),
        ('models = ["no_such"]', "models: module no_such cannot be imported"),
        ('secrets = ["NOT_SET"]', "NOT_SET is not in the environment"),
    ],
)
def test_a_reload_with_settings_that_cannot_be_had_leaves_everything_as_it_was(
    db: psycopg.Connection[Any], table: None, start: Start, manager: Manager, tmp_path: Path, setting: str, why: str
) -> None:
    process = start()
    wait(lambda: {"READY": "1"} in manager.listen())
    (tmp_path / "rowhooks.toml").write_text(setting)
    process.send(signal.SIGHUP)
    process.wait_for("nothing is reloaded, the daemon goes on as it was")
    assert process.says(why)
    wait(lambda: [one for one in manager.listen() if {"RELOADING", "READY"} & one.keys()][-1] == {"READY": "1"})
    assert not process.ended


def test_two_reloads_at_once_are_one_or_two_and_end_well(
    db: psycopg.Connection[Any], table: None, start: Start, manager: Manager
) -> None:
    hook(db, "Effects")
    process = start()
    wait(lambda: {"READY": "1"} in manager.listen())
    for _ in range(20):
        process.send(signal.SIGHUP)
        time.sleep(0.05)
    wait(lambda: [one for one in manager.listen() if {"RELOADING", "READY"} & one.keys()][-1] == {"READY": "1"})
    db.execute("insert into thing values (1)")
    wait(lambda: is_settled(db))
    assert not process.ended
    assert db.execute("select count(*) from effect").fetchone() == (1,)


def hangs_unfed(db: psycopg.Connection[Any], process: Process, manager: Manager) -> None:
    """Wait until a process feeds its watchdog, and let Wedge hang it; check that it says nothing more."""
    wait(lambda: manager.listen().count({"WATCHDOG": "1"}) >= 3)
    db.execute("insert into thing values (1)")
    wait((process.directory / "outside").exists)
    fed = len(manager.listen())
    process.wait_for("blocks the event loop")
    assert manager.listen()[fed:] == []


def test_a_wedged_event_loop_is_not_fed_and_is_found_dead(
    db: psycopg.Connection[Any], table: None, start: Start, manager: Manager, port: int
) -> None:
    hook(db, "Wedge")
    process = start(WATCHDOG_USEC="300000")
    hangs_unfed(db, process, manager)
    # Its thread answers all the same.
    assert get(port, "/metrics")[0] == 200


def test_a_worker_tells_its_manager_and_its_probes_how_it_is(
    db: psycopg.Connection[Any], start: Start, manager: Manager
) -> None:
    # Not the port in the settings file, which is the daemon's.
    port = free_port()
    process = start(command="worker", options=["--http-listen", str(port)], WATCHDOG_USEC="300000")
    wait(lambda: {"READY": "1"} in manager.listen() and manager.heard.count({"WATCHDOG": "1"}) >= 3)
    assert [get(port, path) for path in ("/livez", "/readyz", "/metrics")] == [
        (200, '{"status": "working", "overdue": null}\n'),
        (200, '{"status": "working", "overdue": null}\n'),
        (404, "there are /livez and /readyz\n"),
    ]
    db.execute(
        "select pg_terminate_backend(a.pid) from pg_stat_activity as a where a.application_name like 'rowhooks w%'"
    )
    wait(lambda: any("waiting for the database" in one.get("STATUS", "") for one in manager.listen()))
    wait(lambda: [one["STATUS"] for one in manager.listen() if "STATUS" in one][-1] == "working")
    process.send(signal.SIGHUP)
    wait(lambda: any("RELOADING" in one for one in manager.listen()))
    wait(lambda: [one for one in manager.listen() if {"RELOADING", "READY"} & one.keys()][-1] == {"READY": "1"})
    wait(lambda: get(port, "/readyz")[0] == 200)
    process.send(signal.SIGTERM)
    assert process.ends() == 0
    assert [one["EXTEND_TIMEOUT_USEC"] for one in manager.listen() if "STOPPING" in one] == ["32000000"]


def test_a_worker_without_its_database_is_alive_and_not_ready_and_says_why(
    start: Start, manager: Manager, daemon_dsn: str
) -> None:
    port = free_port()
    away = make_conninfo(daemon_dsn, host="127.0.0.1", port=free_port())
    start(away, command="worker", options=["--http-listen", f"127.0.0.1:{port}"])
    wait(lambda: any("waiting for the database" in one.get("STATUS", "") for one in manager.listen()))
    assert get(port, "/livez")[0] == 200
    assert get(port, "/readyz")[0] == 503
    assert {"READY": "1"} not in manager.listen()


def test_a_worker_whose_event_loop_hangs_is_not_fed(
    db: psycopg.Connection[Any], table: None, start: Start, manager: Manager
) -> None:
    hook(db, "Wedge")
    place = {"ROWHOOKS_QUEUES": "default, work", "ROWHOOKS_DEFAULT_QUEUE": "work"}
    start(NOTIFY_SOCKET="", **place)
    process = start(command="worker", WATCHDOG_USEC="300000", **place)
    hangs_unfed(db, process, manager)


def test_the_processes_of_a_daemon_tell_its_manager_nothing(
    db: psycopg.Connection[Any], start: Start, manager: Manager
) -> None:
    start(ROWHOOKS_PROCESSES="2")
    wait(lambda: db.execute("select count(*) from rowhooks.worker").fetchone() == (2,))
    assert not any(one.get("STATUS") == "working" for one in manager.listen())
    assert sum(one == {"READY": "1"} for one in manager.heard) == 1


def test_an_address_of_a_worker_that_is_none_is_refused(start: Start) -> None:
    process = start(command="worker", options=["--http-listen", "nowhere"])
    assert process.ends() == 2
    assert process.says("--http-listen nowhere is no address")


def test_a_port_that_is_taken_stops_it_before_it_begins(start: Start, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        process = start()
        assert process.ends() == 1
    assert process.says(f"http_listen: 127.0.0.1:{port} cannot be listened on: Address already in use")


def test_a_daemon_of_old_code_goes_on_with_a_newer_schema_until_it_is_reloaded(
    db: psycopg.Connection[Any], table: None, start: Start, manager: Manager
) -> None:
    hook(db, "Effects")
    process = start()
    wait(lambda: {"READY": "1"} in manager.listen())
    db.execute("update rowhooks.alembic_version set version_num = '9999'")
    db.execute("insert into thing values (1)")
    wait(lambda: is_settled(db))
    assert db.execute("select count(*) from effect").fetchone() == (1,)
    process.send(signal.SIGHUP)
    assert process.ends() == 1
    assert process.says("the schema (revision 9999) is newer than this rowhooks")


def test_a_daemon_does_not_begin_without_a_schema_and_says_what_to_do(
    db: psycopg.Connection[Any], start: Start
) -> None:
    db.execute("delete from rowhooks.alembic_version")
    process = start()
    assert process.ends() == 1
    assert process.says("rowhooks init")


def test_a_standby_of_old_code_does_not_take_the_lead_of_a_newer_schema(
    db: psycopg.Connection[Any], start: Start
) -> None:
    leader = start()
    leader.wait_for("ready: ")
    standby = start(ROWHOOKS_HTTP_LISTEN="0")
    standby.wait_for("standing by")
    db.execute("update rowhooks.alembic_version set version_num = '9999'")
    leader.send(signal.SIGTERM)
    assert standby.ends() == 1
    assert standby.says("the schema (revision 9999) is newer than this rowhooks")


def test_a_leader_that_takes_long_to_take_over_is_not_silent(
    db: psycopg.Connection[Any], dsn: str, start: Start
) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("select from rowhooks.feed for update")
        leader = start(ROWHOOKS_LEADER_TIMEOUT="1")
        # It waits for that row, with the leader's lock in hand.
        leads = (
            "select 1 from pg_locks as l join pg_stat_activity as a on a.pid = l.pid"
            " where l.locktype = 'advisory' and l.granted and a.application_name like 'rowhooks %'"
        )
        wait(lambda: db.execute(leads).fetchone())
        standby = start(ROWHOOKS_LEADER_TIMEOUT="1", ROWHOOKS_HTTP_LISTEN="0")
        standby.wait_for("standing by")
        # Three times as long as a leader may be silent.
        time.sleep(3)
        other.rollback()
    leader.wait_for("ready: ")
    assert not standby.says("has been silent")
