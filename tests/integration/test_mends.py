"""The commands that doctor prints mend what it names: each is run as printed, and the line is gone."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest

from rowhooks.cli import call
from rowhooks.domain.run import WAITING
from rowhooks.postgres.administration import activity, doctor
from rowhooks.postgres.administration.doctor import Finding, examine
from rowhooks.postgres.leadership import blocking_sessions
from tests.support.brokers import NO_REDIS, REDIS, redis
from tests.support.daemons import DAEMON_LOGIN
from tests.support.mends import printed_commands, run_command
from tests.support.waiting import wait

Connection = psycopg.Connection[Any]

pytestmark = pytest.mark.usefixtures("doctor_that_expects_a_daemon")

LOOKS = ("show", "status")
"""Commands that change nothing: they come before those that mend."""

UNSEEN_DDL = "alter event trigger rowhooks_after_ddl disable; alter event trigger rowhooks_after_drop disable;"
JOB = "insert into rowhooks.job (class_path, kind, name, enabled) values ('jobs.Sync', 'hook', 'Sync', true);"
HOOK = JOB + (
    "with h as (insert into rowhooks.job_hook (name, job_id, type_update) select 'sync', id, true from rowhooks.job"
    " returning id) insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id) select id, 1 from h;"
)
BUTTON = (
    "insert into rowhooks.job (class_path, kind, name, enabled) values ('jobs.Press', 'button', 'Press', true);"
    "with b as (insert into rowhooks.job_button (name, job_id, text, roles) select 'press', id, 'Press', '{public}'"
    " from rowhooks.job where kind = 'button' returning id)"
    " insert into rowhooks.job_button_table (job_button_id, tracked_table_id) select id, 1 from b;"
)
RECEIVER = """
from rowhooks import JobHookReceiver, register_jobs

class Sync(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object): ...

register_jobs(Sync)
"""
LEADER = "select pg_advisory_lock(f.leader_key) from rowhooks.feed as f;"
RUN = (
    "insert into rowhooks.job_result (object_change_id, job_hook_id, hook_name, job_id, class_path, tracked_table,"
    " object_id, object_repr, status, leader_epoch, db_user, created_at, started_at, finished_at, exception_type,"
    " exception_message) "
)
QUEUES = "update rowhooks.feed set queues = '{default,reports}', default_queue = 'reports', own_queues = '{default}';"
WORKER = (
    "insert into rowhooks.worker (id, name, queues, threads, tasks, receivers, code_version, clock_offset, seen_at)"
    " values (gen_random_uuid(), 'machine:1', '{reports}', 10, 100, '{a.B}', '1', '0', now()"
)
FAILED = HOOK + (
    "update dcim.device set name = 'x';"
    "insert into dcim.device select n, 'sw', '' from generate_series(1, 3) as n;"
    + RUN
    + "select c.id, 1, 'sync', 1, 'jobs.Sync', 1, c.object_id, 'sw', 'FAILURE', gen_random_uuid(), session_user, now(),"
    " now(), now(), 'sqlalchemy.exc.ProgrammingError',"
    " case when c.id = 1 then 'else' else E'(psycopg.errors.InsufficientPrivilege) permission denied for table x\n"
    "[SQL: select]' end from rowhooks.object_change as c;"
)
WAITING_RUN = HOOK + (
    "update rowhooks.job_hook set queue = 'reports'; insert into dcim.device values (1, 'sw', '');"
    + RUN
    + "select c.id, 1, 'sync', 1, 'jobs.Sync', 1, c.object_id, 'sw', 'PENDING', '"
    + str(WAITING)
    + "', session_user, now(),"
    " null, null, null, null from rowhooks.object_change as c;"
)


@dataclass(frozen=True)
class Case:
    """A state of a database that doctor names.

    Args:
        check: the query, or the check, that finds it.
        what: how the line begins.
        sql: what an administrator's session does to a database in which dcim.device is tracked.
        held: what a session of somebody without rights does, and stays open.
        patched: constants of doctor that a test cannot wait for.
        undoing: what gives the server back what it had: roles are the server's.
        otherwise: what mends is the alternative ("; or"), for want of what comes before it.
    """

    check: str
    what: str
    sql: str = ""
    held: str = ""
    patched: tuple[Any, ...] = ()
    undoing: str = ""
    otherwise: bool = False


def at_once(statements: Any, name: str, text: str) -> Any:
    """Return a patch of a query of doctor's that waits for no time to pass."""
    assert text in statements[name]
    return mock.patch.object(
        sys.modules[activity.__name__ if statements is activity.SQL else blocking_sessions.__name__],
        "SQL", {**statements, name: statements[name].replace(text, text.split(" => ")[0] + " => 0")},
    )  # fmt: skip


CASES = [
    Case("dropped_table", "tracked table dcim.device was dropped", UNSEEN_DDL + "drop table dcim.device"),
    Case(
        "dropped_table", "tracked table dcim.device was dropped and made anew",
        UNSEEN_DDL + "drop table dcim.device; create table dcim.device (id integer primary key)",
    ),
    Case("triggers", "dcim.device: trigger", 'alter table dcim.device disable trigger "!rowhooks_row_1"'),
    Case(
        "tracked_twice", "dcim.late is tracked by itself",
        UNSEEN_DDL + "create table dcim.event (id integer primary key) partition by range (id);"
        "create table dcim.late (like dcim.event including all);"
        "select rowhooks.track('dcim.event'); select rowhooks.track('dcim.late');"
        "alter table dcim.event attach partition dcim.late default",
    ),
    Case(
        "lost_primary_key", "dcim.device has lost its primary key",
        "alter table dcim.device drop constraint device_pkey",
    ),
    Case(
        "altered_table", "rowhooks does not know yet that dcim.machine",
        UNSEEN_DDL + "alter table dcim.device rename to machine",
    ),
    Case(
        "untracked_child", "dcim.rack_device inherits from",
        "create table dcim.rack_device (rack integer) inherits (dcim.device)",
    ),
    Case(
        "untracked_by_rule", "dcim.port matches",
        UNSEEN_DDL + "insert into rowhooks.tracking_rule (pattern) values ('dcim.*');"
        "create table dcim.port (id integer primary key)",
    ),
    Case(
        "untracked_by_rule", "dcim.heap matches",
        UNSEEN_DDL + "insert into rowhooks.tracking_rule (pattern) values ('dcim.*'); "
        "create table dcim.heap (id integer)",
    ),
    Case("disabled_job", "hook sync starts nothing", HOOK + "update rowhooks.job set enabled = false"),
    Case(
        "missing_job",
        "the present or last leader does not have job",
        HOOK + "update rowhooks.job set installed = false",
        otherwise=True,
    ),
    Case(
        "stray_queue", "hook sync: 1 runs wait, because queues in the leader's settings does not name", WAITING_RUN,
        otherwise=True,
    ),
    Case(
        "missed_changes", "hook sync: 5 changes between",
        HOOK + "insert into rowhooks.job_hook_missed select id, 5, now(), now() from rowhooks.job_hook",
    ),
    Case("no_partition", "the log has no partition", "select setval('rowhooks.object_change_id_seq', 50000000)"),
    Case(
        "default_partition", "the default partition of the log holds",
        "select setval('rowhooks.object_change_id_seq', 7000000);"
        "insert into rowhooks.object_change (action, tracked_table) select 'truncate', 1 from "
        "generate_series(1, 100000)",
    ),
    Case(
        "capture_function", "dcim.device: its capture function",
        "alter function rowhooks.capture_1() set work_mem = '1MB'",
    ),
    Case(
        "unsafe_statement_form", "dcim.device is captured by statement triggers",
        "select rowhooks.track('dcim.device', capture => 'statement');" + UNSEEN_DDL
        + "create function dcim.f() returns trigger language plpgsql as 'begin return null; end';"
        "create trigger z after insert on dcim.device for each row execute function dcim.f()",
    ),
    Case(
        "left_statement_form", "dcim.device is captured by row triggers",
        "select rowhooks.track('dcim.device', capture => 'statement');"
        "create function dcim.f() returns trigger language plpgsql as 'begin return null; end';"
        "create trigger z after insert on dcim.device for each row execute function dcim.f()",
    ),
    Case(
        "key_types", "rows of dcim.kind cannot be loaded",
        "create schema types; create type types.kind as enum ('a'); create table dcim.kind (id types.kind primary key);"
        "grant select on dcim.kind to rowhooks_daemon; select rowhooks.track('dcim.kind')",
    ),
    Case(
        "dead_leader", "1 runs of a former leader",
        HOOK + "insert into dcim.device values (1, 'sw', '');" + RUN
        + "select c.id, 1, 'sync', 1, 'jobs.Sync', 1, c.object_id, 'sw', 'STARTED', gen_random_uuid(), session_user,"
        " now(), now(), null, null, null from rowhooks.object_change as c",
    ),
    Case(
        "unread", "1 changes wait to be dealt with",
        "insert into dcim.device values (1, 'sw', ''); update rowhooks.object_change set time = now() - interval '1 h'",
    ),
    Case("queue_without_worker", "queue reports: no worker serves it", QUEUES + HOOK + LEADER),
    Case(
        "queue_without_worker", "queue reports: none of its workers has jobs.Sync",
        QUEUES + HOOK + LEADER + WORKER + ")", otherwise=True,
    ),
    Case(
        "silent_worker", "worker machine:1 is connected, and was last heard of",
        QUEUES + WORKER + " - interval '1 hour')",
    ),
    Case("no_event_trigger", "no event trigger follows DDL", UNSEEN_DDL),
    Case("failures", "job jobs.Sync: 3 runs of the last hour have failed, 2 of them with sqlalchemy.exc", FAILED),
    Case("no_daemon", "no daemon runs, and nothing starts: 1 hook and 1 button are enabled", HOOK + BUTTON),
    Case(
        "long_runs", "job jobs.Sync: 1 run is running for more than 10 minutes",
        HOOK + LEADER + "insert into dcim.device values (1, 'sw', '');" + RUN
        + "select c.id, 1, 'sync', 1, 'jobs.Sync', 1, c.object_id, 'sw', 'STARTED', gen_random_uuid(), session_user,"
        " now(), now() - interval '11 min', null, null, null from rowhooks.object_change as c",
    ),
    Case(
        "endless_runs", "hook sync has run 10 times within the last hour for one row, sw of dcim.device",
        HOOK + "update rowhooks.feed set rows_login = session_user;"
        "insert into dcim.device values (1, 'sw', '');"
        + "update dcim.device set serial = serial || 'x';" * 9 + RUN
        + "select c.id, 1, 'sync', 1, 'jobs.Sync', 1, c.object_id, 'sw', 'SUCCESS', gen_random_uuid(), session_user,"
        " now(), now(), now(), null, null from rowhooks.object_change as c",
    ),
    Case("idle", "hook sync is disabled", HOOK + "update rowhooks.job_hook set enabled = false"),
    Case("idle", "button press is disabled", BUTTON + "update rowhooks.job_button set enabled = false"),
    Case(
        "idle",
        "button press may be pressed by superusers",
        BUTTON + "update rowhooks.job_button set roles = '{nobody}'",
    ),
    Case("idle", "job jobs.Sync is enabled, and no hook starts it", JOB),
    Case(
        "replica_sessions", f"sessions of {DAEMON_LOGIN} begin with session_replication_role = replica",
        f"alter role {DAEMON_LOGIN} set session_replication_role = replica",
        undoing=f"alter role {DAEMON_LOGIN} reset session_replication_role",
    ),
    Case(
        "replica_sessions", f"sessions of {DAEMON_LOGIN} in this database begin",
        f"do $$ begin execute format('alter role {DAEMON_LOGIN} in database %I set session_replication_role = replica',"
        " current_database()); end $$",
    ),
    Case(
        "replica_sessions", "sessions of every login in this database begin",
        "do $$ begin execute format('alter database %I set session_replication_role = replica', current_database());"
        " end $$",
    ),
    Case(
        "full_connections", f"login {DAEMON_LOGIN} has 0 of the 0 connections",
        f"alter role {DAEMON_LOGIN} connection limit 0", undoing=f"alter role {DAEMON_LOGIN} connection limit -1",
    ),
    Case(
        "full_connections", "database rowhooks_test_",
        "do $$ begin execute format('alter database %I connection limit 1', current_database()); end $$",
    ),
    Case(
        "old_transactions", "login ", held="begin; select 1",
        patched=(lambda: at_once(activity.SQL, "old_transactions", "hours => 24"),),
    ),
    Case(
        "long_transactions", "login ", held="begin; insert into dcim.device values (9, 'sw', '')",
        patched=(lambda: at_once(blocking_sessions.SQL, "long_transactions", "secs => 30.0"),),
    ),
    Case(
        "locked_tables", "login ", held="begin; lock table dcim.device in access exclusive mode",
        patched=(lambda: at_once(blocking_sessions.SQL, "locked_tables", "secs => 5.0"),),
    ),
    Case(
        "leader_lock",
        "login rowhooks_test_mends (",
        held="select pg_advisory_lock(hashtextextended('rowhooks.leader', 0))",
    ),
    Case("bell", "login rowhooks_test_mends (", held="select pg_advisory_lock(hashtextextended('rowhooks.bell', 0))"),
    Case(
        "the functions of schema rowhooks", "function rowhooks.is_receiver is not",
        "alter function rowhooks.is_receiver() volatile",
    ),
    Case(
        "the functions of schema rowhooks",
        "function rowhooks.after_ddl is not",
        "alter function rowhooks.after_ddl() security invoker",
    ),
    Case(
        "who may replace what runs", "function rowhooks.stray() is none of rowhooks'",
        "create function rowhooks.stray() returns integer language sql as 'select 1'",
    ),
    Case(
        "the rights of the daemon's login",
        "no login of role rowhooks_daemon may not read",
        "revoke select on dcim.device from rowhooks_daemon",
    ),
    Case(
        "the rights of the daemon's login",
        "no login of role rowhooks_daemon may not use schema",
        HOOK + "revoke usage on schema dcim from rowhooks_daemon",
    ),
]  # fmt: skip

ELSEWHERE = {
    "owners of tables": "integration/test_change_of_owner.py",
    "members of the owner's role": "migration/test_roles.py",
    "triggers that a restore has left": "integration/test_partial_restores.py",
    "tables and columns that hooks and buttons mean": "integration/test_bindings.py",
}
"""Checks whose commands other tests run as they are printed."""

WITHOUT_A_COMMAND = {
    "the clocks of the server and of this machine": "the clock is the machine's",
    "roles that other databases have too": "whoever installed the others decides which roles they have",
    "standby_with_other_receivers": "a standby's receivers are a matter of its settings and its code",
    "other_code": "which code a worker has is a matter of what is installed on its machine",
    "other_clock": "the clock is the machine's",
    "lacking_receivers": "a worker's receivers are a matter of its settings and its code",
    "unreadable_change": "the change is over; its row can be looked at",
    "queue": "only the server's log knows which session listens; the oldest transaction is a guess",
}
"""Checks that name no command that mends, and why."""


@pytest.fixture
def stranger(dsn: str, db: Connection) -> Iterator[Connection]:
    """A login without a right on rowhooks that may write to dcim.device."""
    db.execute("drop role if exists rowhooks_test_mends; create role rowhooks_test_mends login")
    db.execute("create schema if not exists dcim; grant usage on schema dcim to rowhooks_test_mends")
    db.execute("grant all on dcim.device to rowhooks_test_mends")
    conn = psycopg.connect(dsn, user="rowhooks_test_mends", autocommit=True)
    yield conn
    # Perhaps it was ended by the server.
    conn.close()
    db.execute("drop owned by rowhooks_test_mends; drop role rowhooks_test_mends")


def named(db: Connection, what: str) -> list[Finding]:
    return [one for one in examine(db) if one.what.startswith(what)]


@contextlib.contextmanager
def going_on(words: list[str], dsn: str, directory: Path) -> Iterator[None]:
    """Run `rowhooks run` or `rowhooks worker` as it is printed, in a directory with settings."""
    environment = {**os.environ, "ROWHOOKS_DSN": dsn, "ROWHOOKS_ALLOW_NONE": "true"}
    if words[1] == "worker":
        (directory / "jobs.py").write_text(RECEIVER)
        environment |= {"ROWHOOKS_RECEIVERS": "jobs.py", "ROWHOOKS_QUEUES": "default,reports"}
    with subprocess.Popen(
        [sys.executable, "-m", *words], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as daemon:  # fmt: skip
        yield
        daemon.terminate()
        assert daemon.wait() == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}: {case.what}")
def test_the_commands_of_a_line_mend_it(
    dsn: str, db: Connection, device: str, stranger: Connection, tmp_path: Path, case: Case
) -> None:
    with contextlib.ExitStack() as stack:
        for patch in case.patched:
            stack.enter_context(patch())
        if case.undoing:
            stack.callback(lambda: db.execute(case.undoing.encode()))
        assert named(db, case.what) == []
        if case.sql:
            db.execute(case.sql.encode())
        if case.held:
            stranger.execute(case.held.encode())
        (found, *_) = named(db, case.what)
        commands = printed_commands(found.way_out.partition("; or")[2] if case.otherwise else found.way_out)
        mends = [words for words in commands if not (words[0] == "rowhooks" and words[-2:][0] in LOOKS)]
        assert mends, found.way_out
        for words in commands:
            if words[:2] in (["rowhooks", "run"], ["rowhooks", "worker"]):
                stack.enter_context(going_on(words, dsn, tmp_path))
                wait(lambda: named(db, case.what) == [])
            else:
                run_command(words, dsn)
        assert named(db, case.what) == []


@pytest.mark.skipif(REDIS is None, reason=NO_REDIS)
def test_a_celery_broker_that_is_away_is_named_by_doctor_and_status_until_it_is_started(
    dsn: str, db: Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said() -> tuple[list[str], Any]:
        call(["doctor", "--json", "--dsn", dsn])
        lines = [one["what"] for one in json.loads(capsys.readouterr().out) if "Celery" in one["what"]]
        assert call(["status", "--json", "--dsn", dsn]) == 0
        return lines, json.loads(capsys.readouterr().out)["celery_broker"]

    with redis() as broker:
        monkeypatch.setenv("ROWHOOKS_CELERY_BROKER", broker.url)
        assert said() == ([], "reachable")
        broker.stop()
        (line,), status = said()
        assert line.startswith("the Celery broker cannot be reached from here: ConnectionError: ")
        assert status.startswith("cannot be reached from here: ConnectionError: ")
        assert call(["status", "--dsn", dsn]) == 0
        assert "cannot be reached from here" in capsys.readouterr().out
        # As the line says.
        broker.start()
        assert said() == ([], "reachable")
    monkeypatch.delenv("ROWHOOKS_CELERY_BROKER")
    assert said() == ([], None)


def test_every_check_of_doctor_has_its_commands_run_or_says_why_not() -> None:
    whats = {check.what for check in (doctor._DRIFT, *doctor._CHECKS)}
    queries = {*doctor._PROBLEMS, *doctor._NOTES, *doctor._WORKER_PROBLEMS, *doctor._WORKER_NOTES}
    queries |= {name for name in activity.SQL if not name.startswith("operand_of")}
    queries |= {"leader_lock", "bell", "queue", "locked_tables", "long_transactions"}
    by_query = {*doctor._PROBLEMS.values(), *doctor._NOTES.values()}
    by_query |= {*doctor._ACTIVE_PROBLEMS.values(), *doctor._ACTIVE_NOTES.values()}
    by_query |= {*doctor._WORKER_PROBLEMS.values(), *doctor._WORKER_NOTES.values()}
    by_query |= {
        "sessions that hold up the leader and the bell", "tables that are locked", "long transactions",
        "transactions of days",
    }  # fmt: skip
    wanted = queries | (whats - by_query)
    assert wanted == {case.check for case in CASES} | ELSEWHERE.keys() | WITHOUT_A_COMMAND.keys()


def test_with_many_runs_failed_by_permission_denied_doctor_does_not_say_that_nothing_is_wrong(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """So it was said once: with 205 of the last 1,000 runs failed."""
    db.execute((JOB + "update rowhooks.job set enabled = false").encode())
    assert call(["doctor", "--dsn", dsn]) == 0
    assert "Nothing is wrong." in capsys.readouterr().out
    db.execute(
        (
            RUN + "select n, 1, 'sync', 1, 'jobs.Sync', 1, '{\"id\": 1}', 'sw',"
            " case when n <= 205 then 'FAILURE' else 'SUCCESS' end,"
            " gen_random_uuid(), session_user, now(), now(), now(), case when n <= 205 then 'E' end,"
            " case when n <= 205 then 'permission denied for table ledger' end from generate_series(1, 1000) as n"
        ).encode()
    )
    assert call(["doctor", "--dsn", dsn]) == 1
    said = capsys.readouterr().out
    assert "Nothing is wrong" not in said
    assert (
        "problem: job jobs.Sync: 205 runs of the last hour have failed, with E: permission denied for table ledger\n"
        in said
    )
