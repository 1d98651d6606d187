"""`rowhooks replay`: changes of a time span, given to one hook again."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.cli import Rowhooks
from tests.support.hooks import add_hook
from tests.support.results import Serial, rings

Connection = psycopg.Connection[Any]


@pytest.fixture
def hook_id(db: Connection, device: str) -> int:
    """A hook that was made when changes 1 to 4 were there already: two creates, an update, a delete."""
    db.execute("insert into dcim.device values (1, 'sw1', 'SN1'), (2, 'sw2', 'SN2')")
    db.execute("update dcim.device set serial = 'SN9' where id = 1")
    db.execute("delete from dcim.device where id = 2")
    return add_hook(db, Serial, device, name="Serials")


def replayed(db: Connection) -> list[int]:
    """Return the changes of the runs that were requested, in the order of the runs."""
    return [
        row[0]
        for row in db.execute(
            "select object_change_id from rowhooks.job_result"
            " where trigger = 'replay' and status = 'PENDING' and leader_epoch is null order by id"
        ).fetchall()
    ]


def replay(run: Rowhooks, *arguments: object) -> str:
    done = run("replay", "--hook", "Serials", "--since", "1h", "--yes", *arguments)
    assert (done.code, done.err) == (0, "")
    return done.out


def test_every_change_of_the_span_is_replayed_in_order_though_it_is_older_than_the_hook(
    run: Rowhooks, db: Connection, hook_id: int
) -> None:
    assert replay(run) == "4 runs of hook Serials requested. See: rowhooks results list\n"
    assert replayed(db) == [1, 2, 3, 4]


def test_a_replayed_run_has_the_row_and_the_author_of_its_change(run: Rowhooks, db: Connection, device: str) -> None:
    with db.transaction():
        db.execute("select set_config('rowhooks.user', 'ada', true)")
        db.execute("insert into dcim.device values (1, 'sw1', 'SN1')")
    hook_id = add_hook(db, Serial, device, name="Serials")
    replay(run)
    assert db.execute(
        "select job_hook_id, hook_name, class_path, original_id, tracked_table, object_id, object_repr, action,"
        " user_name, db_user, idempotency_key from rowhooks.job_result"
    ).fetchall() == [
        (
            hook_id,
            "Serials",
            "tests.support.results.Serial",
            None,
            1,
            {"id": 1},
            "sw1",
            "create",
            "ada",
            db.info.user,
            None,
        )
    ]


def test_a_run_of_a_job_with_sensitive_variables_does_not_name_the_row(
    run: Rowhooks, db: Connection, hook_id: int
) -> None:
    db.execute("update rowhooks.job set meta = '{\"has_sensitive_variables\": true}'")
    replay(run)
    assert db.execute("select distinct object_repr from rowhooks.job_result").fetchall() == [(None,)]


def test_only_changes_with_the_hook_s_actions_are_replayed(run: Rowhooks, db: Connection, hook_id: int) -> None:
    db.execute("update rowhooks.job_hook set type_create = false, type_delete = false")
    replay(run)
    assert replayed(db) == [3]


def test_only_changes_of_the_hook_s_columns_are_replayed(run: Rowhooks, db: Connection, hook_id: int) -> None:
    db.execute("update rowhooks.job_hook set columns = '{name}', type_create = false, type_delete = false")
    replay(run)
    assert replayed(db) == []
    db.execute("update rowhooks.job_hook set columns = '{serial}'")
    replay(run)
    assert replayed(db) == [3]


def test_only_changes_that_meet_the_hook_s_conditions_are_replayed(run: Rowhooks, db: Connection, hook_id: int) -> None:
    db.execute("update rowhooks.job_hook set conditions = %s", (Jsonb({"attr": "serial", "op": "eq", "value": "SN2"}),))
    replay(run)
    # Of a delete the row before it counts.
    assert replayed(db) == [2, 4]


def test_only_changes_of_the_span_are_replayed(run: Rowhooks, db: Connection, hook_id: int) -> None:
    start = datetime(2026, 1, 31, 12).astimezone()
    for change_id in range(1, 5):
        db.execute(
            "update rowhooks.object_change set time = %s where id = %s",
            (start + timedelta(hours=change_id), change_id),
        )
    run("replay", "--hook", "Serials", "--since", "2026-01-31T14:00", "--until", "2026-01-31T16:00", "--yes")
    assert replayed(db) == [2, 3]


def test_only_changes_of_the_table_that_is_named_are_replayed(run: Rowhooks, db: Connection, hook_id: int) -> None:
    db.execute("create table dcim.rack (id integer primary key)")
    db.execute("select rowhooks.track('dcim.rack')")
    db.execute("insert into rowhooks.job_hook_table select %s, max(id) from rowhooks.tracked_table", (hook_id,))
    db.execute("insert into dcim.rack values (1)")
    replay(run, "--table", "dcim.rack")
    assert replayed(db) == [5]
    db.execute("delete from rowhooks.job_result")
    replay(run)
    assert replayed(db) == [1, 2, 3, 4, 5]


def test_a_table_that_is_none_of_the_hook_s_is_refused(run: Rowhooks, db: Connection, hook_id: int) -> None:
    db.execute("create table dcim.rack (id integer primary key)")
    assert run("replay", "--hook", "Serials", "--since", "1h", "--table", "dcim.rack", "--yes") == (
        1, "", "rowhooks: hook Serials is not on table dcim.rack\n  see: rowhooks hooks list\n"
    )  # fmt: skip


def test_a_disabled_hook_can_be_replayed(run: Rowhooks, db: Connection, hook_id: int) -> None:
    db.execute("update rowhooks.job_hook set enabled = false")
    replay(run)
    assert replayed(db) == [1, 2, 3, 4]


def test_a_change_can_be_replayed_that_has_had_its_run_and_a_replay(
    run: Rowhooks, db: Connection, hook_id: int
) -> None:
    replay(run)
    replay(run)
    assert replayed(db) == [1, 2, 3, 4, 1, 2, 3, 4]


@pytest.mark.parametrize(("setting", "complaint"), [
    ("enabled = false", "its job tests.support.results.Serial is disabled\n"
    "  run: rowhooks jobs enable tests.support.results.Serial\n"),
    ("installed = false", "its job tests.support.results.Serial is not installed\n  add its module to rowhooks.toml and"
     " restart the daemon\n"),
])  # fmt: skip
def test_a_hook_whose_job_would_not_run_is_refused(
    run: Rowhooks, db: Connection, hook_id: int, setting: str, complaint: str
) -> None:
    db.execute(f"update rowhooks.job set {setting}")
    assert run("replay", "--hook", "Serials", "--since", "1h", "--yes") == (
        1, "", f"rowhooks: hook Serials cannot be replayed: {complaint}"
    )  # fmt: skip
    assert replayed(db) == []


def test_a_hook_that_there_is_not_is_refused(run: Rowhooks, hook_id: int) -> None:
    assert run("replay", "--hook", "Nmaes", "--since", "1h", "--yes") == (
        1, "", "rowhooks: there is no hook Nmaes\n  see: rowhooks hooks list\n"
    )  # fmt: skip


def test_a_span_that_ends_before_it_begins_is_refused(run: Rowhooks, hook_id: int) -> None:
    assert run("replay", "--hook", "Serials", "--since", "1h", "--until", "2h", "--yes") == (
        2, "", "rowhooks: --until 2h is not after --since 1h\n"
    )  # fmt: skip


def test_a_dry_run_says_how_many_and_lists_the_first(run: Rowhooks, db: Connection, hook_id: int) -> None:
    db.execute("insert into dcim.device select n, 'sw' || n from generate_series(11, 20) as n")
    done = run("replay", "--hook", "Serials", "--since", "1h", "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Hook Serials would run for 14 changes.\n")
    assert done.out.rstrip().endswith("... and 4 more")
    assert "sw16" in done.out
    assert "sw17" not in done.out
    assert replayed(db) == []
    shown = run("replay", "--hook", "Serials", "--since", "1h", "--dry-run", "--json").json
    assert (shown["runs"], [row["id"] for row in shown["first"]]) == (14, list(range(1, 11)))


def test_nothing_is_replayed_unless_somebody_says_yes(
    run: Rowhooks, db: Connection, hook_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    done = run("replay", "--hook", "Serials", "--since", "1h")
    assert done.code == 1
    assert "Run hook Serials for 4 changes?" in done.out
    assert replayed(db) == []


def test_a_hook_that_was_changed_while_somebody_thought_is_not_replayed(
    run: Rowhooks, db: Connection, hook_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def think(*_: object, **__: object) -> None:
        db.execute("update rowhooks.job_hook set type_update = false")

    monkeypatch.setattr("typer.confirm", think)
    assert run("replay", "--hook", "Serials", "--since", "1h") == (
        1, "", "rowhooks: hook Serials was changed meanwhile\n  repeat the command\n"
    )  # fmt: skip
    assert replayed(db) == []


def test_a_replay_that_fails_half_way_leaves_nothing(
    capsys: pytest.CaptureFixture[str], daemon_dsn: str, run: Rowhooks, db: Connection, hook_id: int
) -> None:
    db.execute("insert into dcim.device select n, 'sw' || n from generate_series(11, 1510) as n")
    db.execute(
        "create function rowhooks.refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'the disk is full'; end $$"
    )
    db.execute(
        "create trigger refuse before insert on rowhooks.job_result"
        " for each row when (new.object_change_id = 1400) execute function rowhooks.refuse()"
    )
    # By the daemon's login: a superuser's command would not run what is none of rowhooks'.
    done = Rowhooks(capsys, daemon_dsn)("replay", "--hook", "Serials", "--since", "1h", "--yes")
    assert (done.code, done.out, done.err) == (1, "", "rowhooks: the disk is full\n")
    assert replayed(db) == []


def test_more_changes_than_a_batch_holds_are_replayed_in_order_and_ring_the_bell_once(
    run: Rowhooks, db: Connection, hook_id: int, dsn: str
) -> None:
    db.execute("insert into dcim.device select n, 'sw' || n from generate_series(11, 2510) as n")
    with psycopg.connect(dsn, autocommit=True) as leader:
        leader.execute("listen rowhooks")
        leader.execute("select rowhooks.arm_bell('1 second')")
        assert replay(run).startswith("2,504 runs of hook Serials requested.")
        assert rings(db, leader) == 1
    assert replayed(db) == list(range(1, 2505))


def test_the_daemon_s_login_may_replay(
    capsys: pytest.CaptureFixture[str], daemon_dsn: str, run: Rowhooks, db: Connection, hook_id: int
) -> None:
    replay(Rowhooks(capsys, daemon_dsn))
    assert replayed(db) == [1, 2, 3, 4]
