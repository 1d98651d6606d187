"""rowhooks doctor: names what is wrong and what mends it."""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

import psycopg
import pytest

from rowhooks.cli import call
from rowhooks.postgres.administration import doctor
from rowhooks.postgres.leadership import blocking_sessions

Connection = psycopg.Connection[Any]


@pytest.fixture
def job(db: Connection) -> str:
    db.execute("insert into rowhooks.job (class_path, kind, name, enabled) values ('jobs.Sync', 'hook', 'Sync', true)")
    return "jobs.Sync"


def hook_on(db: Connection, table: str) -> None:
    db.execute(
        "with h as (insert into rowhooks.job_hook (name, job_id, type_update) select 'sync', id, true from rowhooks.job"
        " returning id) insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)"
        " select h.id, t.id from h, rowhooks.tracked_table as t where t.relation = %s::regclass",
        (table,),
    )


def findings(dsn: str, capsys: pytest.CaptureFixture[str], level: str = "problem") -> list[tuple[str, str]]:
    code = call(["doctor", "--dsn", dsn, "--json"])
    found = [(one["what"], one["way_out"]) for one in json.loads(capsys.readouterr().out) if one["level"] == level]
    if level == "problem":
        assert code == (1 if found else 0)
    return found


def without_event_triggers(db: Connection) -> None:
    db.execute("alter event trigger rowhooks_after_ddl disable")
    db.execute("alter event trigger rowhooks_after_drop disable")


def test_a_healthy_installation_has_nothing_wrong(
    dsn: str, daemon_dsn: str, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert findings(dsn, capsys) == []
    assert findings(daemon_dsn, capsys) == []
    assert call(["doctor", "--dsn", dsn]) == 0
    assert capsys.readouterr().out == "Nothing is wrong.\n"


def test_two_drivers_for_django_in_this_environment_are_a_note(
    dsn: str, device: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowhooks.postgres.connections.drivers.chooses_for_django", lambda: True)
    ((what, way_out),) = findings(dsn, capsys, "note")
    assert "Django uses psycopg 3" in what
    assert "rowhooks[daemon]" in way_out


def test_a_session_that_keeps_a_tracked_table_locked_is_named(
    dsn: str, daemon_dsn: str, device: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(dsn, application_name="locker") as locker:
        locker.execute("lock table dcim.device in access exclusive mode")
        pid = locker.info.backend_pid
        holder = f"login {locker.info.user} (pid {pid}, application 'locker')"
        assert findings(dsn, capsys) == []
        # A login that may not know since when names it at once.
        what = f"{holder} keeps dcim.device locked: runs that need a row of it wait"
        assert findings(daemon_dsn, capsys) == [(what, f"psql -c 'select pg_terminate_backend({pid})'")]
        young = {
            **blocking_sessions.SQL,
            "locked_tables": blocking_sessions.SQL["locked_tables"].replace("secs => 5.0", "secs => 0"),
        }
        monkeypatch.setattr(blocking_sessions, "SQL", young)
        ((what, way_out),) = findings(dsn, capsys)
    assert what.startswith(f"{holder} keeps dcim.device locked, in a transaction that has been open since 2")
    assert what.endswith(": runs that need a row of it wait")
    assert way_out == f"psql -c 'select pg_terminate_backend({pid})'"


def test_a_hook_on_a_table_that_was_dropped_and_made_anew_is_named(
    dsn: str, db: Connection, device: str, job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hook_on(db, device)
    db.execute("drop table dcim.device")
    assert findings(dsn, capsys) == [(
        "hook sync waits for dcim.device, which was dropped", "rowhooks hooks remove sync"
    )]  # fmt: skip
    db.execute("create table dcim.device (id integer primary key, serial text)")
    db.execute("grant select on dcim.device to rowhooks_daemon")
    assert findings(dsn, capsys) == [(
        "hook sync waits for dcim.device, which was dropped and made anew", "rowhooks track dcim.device",
    )]  # fmt: skip
    assert call(["track", "dcim.device", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(dsn, capsys) == []


def test_a_table_that_was_dropped_and_made_anew_is_named_where_no_event_trigger_has_seen_it(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    without_event_triggers(db)
    db.execute("drop table dcim.device")
    assert findings(dsn, capsys) == [
        ("tracked table dcim.device was dropped", "psql -c 'select rowhooks.refresh_tables()'")
    ]
    db.execute("create table dcim.device (id integer primary key)")
    assert findings(dsn, capsys) == [
        ("tracked table dcim.device was dropped and made anew", "rowhooks track dcim.device")
    ]
    assert call(["track", "dcim.device", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(dsn, capsys) == []


@pytest.mark.parametrize(("damage", "what"), [
    ('drop trigger "!rowhooks_row_1" on dcim.device', "dcim.device: trigger !rowhooks_row_1 is missing"),
    (
        'alter table dcim.device disable trigger "!rowhooks_update_1"',
        "dcim.device: trigger !rowhooks_update_1 is disabled",
    ),
    (
        'alter table dcim.device enable always trigger "!rowhooks_truncate_1"',
        "dcim.device: trigger !rowhooks_truncate_1 is enabled always, though it is tracked without --always",
    ),
    (
        "create function public.f() returns trigger language plpgsql as 'begin return null; end';"
        ' create or replace trigger "!rowhooks_row_1" after insert on dcim.device execute function public.f()',
        "dcim.device: trigger !rowhooks_row_1 does not call rowhooks",
    ),
])  # fmt: skip
def test_a_trigger_that_was_altered_by_hand_is_named_and_tracking_again_mends_it(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str], damage: str, what: str
) -> None:
    db.execute(damage)
    assert findings(dsn, capsys) == [(what, "rowhooks track dcim.device")]
    assert call(["track", "dcim.device", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(dsn, capsys) == []


def test_the_command_that_mends_a_trigger_keeps_the_table_s_options(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create table public.loose (a integer)")
    assert call(["track", "public.loose", "--identity", "full", "--always", "--audit-receivers", "--dsn", dsn]) == 0
    db.execute('alter table public.loose disable trigger "!rowhooks_row_1"')
    capsys.readouterr()
    assert findings(dsn, capsys) == [(
        "public.loose: trigger !rowhooks_row_1 is disabled",
        "rowhooks track public.loose --identity full --audit-receivers --always",
    )]  # fmt: skip


def test_a_partition_whose_trigger_was_disabled_is_named(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create table public.event (id integer primary key) partition by range (id)")
    db.execute("create table public.event_1 partition of public.event default")
    db.execute("select rowhooks.track('public.event')")
    assert findings(dsn, capsys) == []
    db.execute('alter table public.event_1 disable trigger "!rowhooks_row_1"')
    assert findings(dsn, capsys) == [
        ("public.event_1: trigger !rowhooks_row_1 is disabled", "rowhooks track public.event")
    ]


def test_a_partition_that_is_tracked_by_itself_too_is_named(
    dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    without_event_triggers(db)
    db.execute("create table public.event (id integer primary key) partition by range (id)")
    db.execute("create table public.late (like public.event including all)")
    for name in ("event", "late"):
        db.execute(f"select rowhooks.track('public.{name}')")
    db.execute("alter table public.event attach partition public.late default")
    assert findings(dsn, capsys) == [(
        "public.late is tracked by itself and a partition of tracked table public.event:"
        " its changes are recorded twice",
        "rowhooks untrack public.late",
    )]  # fmt: skip
    assert call(["untrack", "public.late", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(dsn, capsys) == []
    db.execute("insert into public.event values (1)")
    assert db.execute("select tracked_table from rowhooks.object_change").fetchall() == [(1,)]


def test_a_table_that_has_lost_its_key_is_named(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("alter table dcim.device drop constraint device_pkey")
    ((what, _),) = findings(dsn, capsys)
    assert what == "dcim.device has lost its primary key: changes are recorded without a key"


def test_a_rename_that_no_event_trigger_has_seen_is_named(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    without_event_triggers(db)
    db.execute("alter table dcim.device rename to machine")
    assert findings(dsn, capsys) == [
        (
            "rowhooks does not know yet that dcim.machine was altered or renamed",
            "psql -c 'select rowhooks.refresh_tables()'",
        )
    ]
    db.execute("select rowhooks.refresh_tables()")
    assert findings(dsn, capsys) == []


def test_a_child_table_that_is_not_tracked_is_named(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("create table dcim.rack_device (rack integer) inherits (dcim.device)")
    assert findings(dsn, capsys) == [(
        "dcim.rack_device inherits from tracked table dcim.device and is not tracked: its rows are not recorded",
        "by columns that identify its rows (--identity COLUMN,COLUMN), or without a key:"
        " rowhooks track dcim.rack_device --identity full",
    )]  # fmt: skip


def test_a_hook_whose_job_is_disabled_or_gone_is_named(
    dsn: str, db: Connection, device: str, job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hook_on(db, device)
    db.execute("update rowhooks.job set enabled = false")
    assert findings(dsn, capsys) == [
        ("hook sync starts nothing: its job jobs.Sync is disabled", "rowhooks jobs enable jobs.Sync")
    ]
    db.execute("update rowhooks.job set enabled = true, installed = false")
    assert findings(dsn, capsys) == [(
        "the present or last leader does not have job jobs.Sync (waiting for it: hook sync): 0 runs are kept",
        "start a daemon that has it, and see why the leader does not (receivers in its rowhooks.toml; its log);"
        " or, if the class no longer exists: rowhooks jobs remove jobs.Sync",
    )]  # fmt: skip


def test_a_log_without_a_partition_for_its_ids_is_named(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("select setval('rowhooks.object_change_id_seq', 50000000)")
    ((what, _),) = findings(dsn, capsys)
    assert what == "the log has no partition for the ids in use: changes go into the default partition"
    db.execute("select rowhooks.extend_object_change()")
    assert findings(dsn, capsys) == []


def test_that_no_event_trigger_is_there_is_a_note_and_no_problem(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert findings(dsn, capsys, "note") == []
    without_event_triggers(db)
    ((_, way_out),) = findings(dsn, capsys, "note")
    assert way_out == "let a superuser run: rowhooks upgrade"
    assert call(["upgrade", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(dsn, capsys, "note") == []


@pytest.mark.parametrize(
    ("altered", "what"),
    [
        (
            "create or replace function rowhooks.is_receiver() returns boolean language sql as 'select false'",
            "function rowhooks.is_receiver is not what this version of rowhooks installs",
        ),
        (
            "alter function rowhooks.is_receiver() security invoker",
            "function rowhooks.is_receiver is not what this version of rowhooks installs",
        ),
        (
            "alter function rowhooks.is_receiver() reset all",
            "function rowhooks.is_receiver is not what this version of rowhooks installs",
        ),
        (
            "alter function rowhooks.is_receiver() volatile",
            "function rowhooks.is_receiver is not what this version of rowhooks installs",
        ),
        (
            "alter function rowhooks.drop_partition(name, timestamptz) set lock_timeout = '1h'",
            "function rowhooks.drop_partition is not what this version of rowhooks installs",
        ),
        ("drop function rowhooks.is_receiver()", "function rowhooks.is_receiver is missing"),
    ],
)
def test_a_function_that_drifted_is_named(
    dsn: str, daemon_dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str], altered: str, what: str
) -> None:
    db.execute(altered)
    # A superuser's command would run it, and refuses.
    assert call(["doctor", "--dsn", dsn]) == 1
    assert "is not what a superuser has installed" in capsys.readouterr().err
    assert findings(daemon_dsn, capsys) == [(what, "rowhooks upgrade --trust-schema")]
    assert call(["upgrade", "--dsn", dsn]) == 1
    assert call(["upgrade", "--trust-schema", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(daemon_dsn, capsys) == []


@pytest.mark.parametrize(("name", "altered"), [
    ("row", "after insert or delete on dcim.device for each row when (pg_trigger_depth() > 99)"),
    ("row", "after insert on dcim.device for each row"),
    ("update", "after update on dcim.device for each row when (false)"),
    ("update", "after update on dcim.device for each row when (old.* *<> old.*)"),
    ("update", "after update of name on dcim.device for each row when (old.* *<> new.*)"),
])  # fmt: skip
def test_a_trigger_that_its_tables_owner_has_muted_is_named(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str], name: str, altered: str
) -> None:
    db.execute(f'create or replace trigger "!rowhooks_{name}_1" {altered} execute function rowhooks.capture_1()')
    ((what, way_out),) = findings(dsn, capsys)
    assert what == f"dcim.device: trigger !rowhooks_{name}_1 is not what rowhooks makes"
    assert way_out == "rowhooks track dcim.device"
    assert call(["track", device, "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(dsn, capsys) == []


def test_a_silent_bell_is_no_drift(dsn: str, daemon_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["upgrade", "--no-notify", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(daemon_dsn, capsys) == []


def test_an_event_triggers_function_that_drifted_is_named(
    dsn: str, daemon_dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("alter function rowhooks.after_ddl() security invoker")
    assert findings(daemon_dsn, capsys) == [(
        "function rowhooks.after_ddl is not what this version of rowhooks installs",
        "let a superuser run: rowhooks upgrade",
    )]  # fmt: skip
    assert call(["upgrade", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(daemon_dsn, capsys) == []


def test_a_function_that_became_somebody_elses_is_named(
    daemon_dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("alter function rowhooks.is_receiver() owner to current_user")
    ((what, way_out),) = findings(daemon_dsn, capsys)
    assert what == "function rowhooks.is_receiver() does not belong to rowhooks_owner"
    assert shlex.split(way_out)[:2] == ["psql", "-c"]
    db.execute(shlex.split(way_out)[2].encode())
    assert findings(daemon_dsn, capsys) == []


@pytest.mark.parametrize(
    "altered",
    [
        "create or replace function rowhooks.capture_1() returns trigger language plpgsql security definer"
        " as 'begin return null; end'",
        "alter function rowhooks.capture_1() security invoker",
        "alter function rowhooks.capture_1() set work_mem = '1MB'",
    ],
)
def test_a_capture_function_that_drifted_is_named(
    dsn: str, daemon_dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str], altered: str
) -> None:
    db.execute("select rowhooks.track('dcim.device', audit_receivers => true)")
    db.execute(altered)
    assert findings(daemon_dsn, capsys) == [(
        "dcim.device: its capture function is not what rowhooks makes", "rowhooks track dcim.device --audit-receivers"
    )]  # fmt: skip
    assert call(["track", "dcim.device", "--audit-receivers", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(dsn, capsys) == []


def test_runs_that_a_dead_leader_has_left_are_named_while_no_daemon_leads(
    daemon_dsn: str, db: Connection, device: str, job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute(
        "insert into rowhooks.job_result (object_change_id, job_hook_id, job_id, class_path, status, leader_epoch)"
        " select n, 1, j.id, 'x', case n when 1 then 'STARTED' else 'PENDING' end, gen_random_uuid()"
        " from rowhooks.job as j cross join generate_series(1, 3) as n"
    )
    assert findings(daemon_dsn, capsys) == [(
        "3 runs of a former leader have not finished (2 PENDING, 1 STARTED)",
        "rowhooks run (the next leader takes them up)",
    )]  # fmt: skip
    db.execute("select pg_advisory_lock(hashtextextended('rowhooks.leader', 0))")
    assert findings(daemon_dsn, capsys) == []


def test_a_log_that_nobody_reads_is_named(
    daemon_dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("insert into dcim.device values (1, 'sw', null), (2, 'sw', null)")
    # What waits for a moment is no problem.
    assert findings(daemon_dsn, capsys) == []
    db.execute("update rowhooks.object_change set time = '2026-01-02 03:04:05+00'")
    waiting = "2 changes wait to be dealt with, the oldest since 2026-01-02 03:04:05+00"
    assert findings(daemon_dsn, capsys) == [(f"{waiting}, and no daemon runs", "rowhooks run")]
    db.execute("select pg_advisory_lock(hashtextextended('rowhooks.leader', 0))")
    db.execute("update rowhooks.feed set leader = 'here:1', moved_at = '2026-01-02 03:05+00'")
    assert findings(daemon_dsn, capsys) == [(
        f"{waiting}, and the leader, here:1, has dealt with nothing since 2026-01-02 03:05:00+00",
        "see the log of that daemon, and: rowhooks status",
    )]  # fmt: skip
    db.execute("update rowhooks.feed set moved_at = now()")
    ((what, _),) = findings(daemon_dsn, capsys)
    assert what == f"{waiting}: the leader, here:1, lags behind"


@pytest.mark.parametrize(("ahead", "says"), [(90.0, "90 s behind"), (-90.0, "90 s ahead of")])
def test_clocks_that_differ_are_named(
    daemon_dsn: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ahead: float, says: str
) -> None:
    class Clock:
        @staticmethod
        def time() -> float:
            return time.time() + ahead

    monkeypatch.setattr(doctor, "time", Clock)
    ((what, way_out),) = findings(daemon_dsn, capsys)
    assert what == f"the server's clock is {says} this machine's: retries are due, and history is kept, by both"
    assert "chronyc" in way_out


def test_a_default_partition_that_is_full_is_named_and_mended(
    dsn: str, db: Connection, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("select setval('rowhooks.object_change_id_seq', 7000000)")
    db.execute(
        "insert into rowhooks.object_change (action, tracked_table)"
        " select 'truncate', 1 from generate_series(1, 100000)"
    )
    begins = "the default partition of the log holds"
    assert next(way_out for what, way_out in findings(dsn, capsys) if what.startswith(begins)).startswith("psql -c")
    assert call(["prune", "--older-than", "90d", "--dsn", dsn]) == 0
    assert "100,000 changes moved out of the default partition." in capsys.readouterr().out
    assert not [what for what, _ in findings(dsn, capsys) if what.startswith(begins)]


def test_a_function_of_the_event_triggers_that_was_dropped_is_named(
    dsn: str, daemon_dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("set role rowhooks_owner; drop function rowhooks.forget_dropped(); reset role")
    assert findings(daemon_dsn, capsys) == [
        ("function rowhooks.forget_dropped is missing", "let a superuser run: rowhooks upgrade")
    ]
    assert call(["upgrade", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(daemon_dsn, capsys) == []


def test_a_function_of_the_event_triggers_that_is_no_superusers_is_named(
    dsn: str, daemon_dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("alter function rowhooks.forget_dropped() owner to rowhooks_owner")
    assert findings(daemon_dsn, capsys) == [(
        "function rowhooks.forget_dropped() does not belong to a superuser", "let a superuser run: rowhooks upgrade",
    )]  # fmt: skip
    assert call(["upgrade", "--dsn", dsn]) == 0
    capsys.readouterr()
    assert findings(daemon_dsn, capsys) == []
