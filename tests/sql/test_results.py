"""Runs requested, retried, revoked and pruned, and the view of them: what the database itself sees to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.hooks import add_hook
from tests.support.results import LEASE, Serial, add_button, add_line, add_result, behind_the_feed, rings
from tests.support.rows import first_value as value
from tests.support.waiting import PATIENCE

Connection = psycopg.Connection[Any]


@pytest.fixture
def hook_id(db: Connection, device: str) -> int:
    """A hook of an enabled job, and change 1."""
    hook_id = add_hook(db, Serial, device, name="Serials")
    db.execute("insert into dcim.device values (1, 'sw1', 'SN1')")
    return hook_id


@pytest.fixture
def change_id(db: Connection, hook_id: int) -> int:
    return int(value(db, "select max(id) from rowhooks.object_change"))


@pytest.fixture
def daemon(daemon_dsn: str) -> Iterator[Connection]:
    with psycopg.connect(daemon_dsn, autocommit=True) as conn:
        yield conn


def retry(conn: Connection, result_id: int) -> int:
    return int(value(conn, "select rowhooks.retry(%s)", result_id))


def refused(conn: Connection, query: str, *parameters: Any) -> tuple[str, str | None]:
    """Return message and hint of the refusal."""
    with pytest.raises(psycopg.DatabaseError) as refusal:
        conn.execute(query, parameters)
    assert refusal.value.diag.message_primary is not None
    return refusal.value.diag.message_primary, refusal.value.diag.message_hint


def ids(db: Connection) -> list[int]:
    return [row[0] for row in db.execute("select id from rowhooks.job_result order by id").fetchall()]


# The bell


def test_a_run_that_is_requested_rings_the_bell(db: Connection, hook_id: int, change_id: int, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as leader:
        leader.execute("listen rowhooks")
        leader.execute("select rowhooks.arm_bell('1 second')")
        add_result(db, hook_id, trigger="replay", object_change_id=change_id, status="PENDING", leader_epoch=None)
        assert rings(db, leader) == 1


def test_a_run_that_the_leader_puts_on_record_rings_no_bell(
    db: Connection, hook_id: int, change_id: int, dsn: str
) -> None:
    with psycopg.connect(dsn, autocommit=True) as leader:
        leader.execute("listen rowhooks")
        leader.execute("select rowhooks.arm_bell('1 second')")
        add_result(db, hook_id, object_change_id=change_id, status="PENDING")
        assert rings(db, leader) == 0


def test_many_runs_requested_at_once_ring_once(db: Connection, hook_id: int, change_id: int, dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as leader:
        leader.execute("listen rowhooks")
        leader.execute("select rowhooks.arm_bell('1 second')")
        with db.transaction():
            for _ in range(3):
                add_result(
                    db, hook_id, trigger="replay", object_change_id=change_id, status="PENDING", leader_epoch=None
                )
        assert rings(db, leader) == 1


# Retry


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "REVOKED"])
def test_a_finished_run_is_run_again_and_the_history_of_both_stays(
    db: Connection, daemon: Connection, hook_id: int, change_id: int, status: str
) -> None:
    original = add_result(
        db, hook_id, object_change_id=change_id, status=status, tracked_table=1, object_id='{"id": 1}',
        object_repr="sw1", action="create", user_name="ada", db_user="app",
    )  # fmt: skip
    again = retry(daemon, original)
    assert db.execute(
        "select trigger, original_id, object_change_id, job_hook_id, hook_name, job_button_id, class_path,"
        " tracked_table, object_id, object_repr, action, user_name, db_user, status, leader_epoch, idempotency_key,"
        " attempt"
        " from rowhooks.job_result where id = %s", (again,),
    ).fetchall() == [
        ("change", original, change_id, hook_id, "Serials", None, "tests.support.results.Serial",
         1, {"id": 1}, "sw1", "create", "ada", "app", "PENDING", None, None, 1)
    ]  # fmt: skip
    assert value(db, "select status from rowhooks.job_result where id = %s", original) == status


def test_a_retry_rings_the_bell(db: Connection, hook_id: int, change_id: int, dsn: str) -> None:
    original = add_result(db, hook_id, object_change_id=change_id)
    with psycopg.connect(dsn, autocommit=True) as leader:
        leader.execute("listen rowhooks")
        leader.execute("select rowhooks.arm_bell('1 second')")
        retry(db, original)
        assert rings(db, leader) == 1


def test_a_retry_of_a_retry_points_at_the_first_run(db: Connection, hook_id: int, change_id: int) -> None:
    first = add_result(db, hook_id, object_change_id=change_id, status="FAILURE")
    second = add_result(db, hook_id, object_change_id=change_id, status="FAILURE", original_id=first)
    third = retry(db, second)
    assert value(db, "select original_id from rowhooks.job_result where id = %s", third) == first


def test_a_press_is_run_again_for_who_pressed_and_without_its_idempotency_key(db: Connection, device: str) -> None:
    button_id = add_button(db, device)
    press = add_result(
        db, None, trigger="press", job_button_id=button_id, button_name="Reboot", status="FAILURE", db_user="ada",
        idempotency_key="once", object_id='{"id": 1}', action="press",
    )  # fmt: skip
    assert db.execute(
        "select trigger, original_id, job_button_id, button_name, db_user, idempotency_key, status"
        " from rowhooks.job_result where id = %s",
        (retry(db, press),),
    ).fetchall() == [("press", press, button_id, "Reboot", "ada", None, "PENDING")]


@pytest.mark.parametrize("status", ["PENDING", "STARTED", "RETRY"])
def test_a_run_that_has_not_finished_is_not_run_again(
    db: Connection, hook_id: int, change_id: int, status: str
) -> None:
    run = add_result(db, hook_id, object_change_id=change_id, status=status)
    assert refused(db, "select rowhooks.retry(%s)", run) == (
        f"run {run} has not finished yet: it is {status}", f"To give it up: rowhooks results revoke {run}"
    )  # fmt: skip


def test_a_run_that_is_not_on_record_is_not_run_again(db: Connection) -> None:
    assert refused(db, "select rowhooks.retry(7)") == ("there is no result 7", "See: rowhooks results list")


def test_a_run_whose_change_has_left_the_log_is_not_run_again(db: Connection, hook_id: int, change_id: int) -> None:
    run = add_result(db, hook_id, object_change_id=change_id)
    db.execute("delete from rowhooks.object_change")
    assert refused(db, "select rowhooks.retry(%s)", run)[0] == (
        f"run {run} cannot be run again: its change {change_id} is no longer in the log"
    )


def test_a_run_whose_hook_is_gone_is_not_run_again(db: Connection, hook_id: int, change_id: int) -> None:
    run = add_result(db, hook_id, object_change_id=change_id, hook_name="Serials")
    db.execute("delete from rowhooks.job_hook")
    assert (
        refused(db, "select rowhooks.retry(%s)", run)[0] == f"run {run} cannot be run again: its hook Serials is gone"
    )


def test_a_run_whose_button_is_gone_is_not_run_again(db: Connection, device: str) -> None:
    run = add_result(db, None, trigger="press", job_button_id=add_button(db, device), button_name="Reboot")
    db.execute("delete from rowhooks.job_button")
    assert (
        refused(db, "select rowhooks.retry(%s)", run)[0] == f"run {run} cannot be run again: its button Reboot is gone"
    )


def test_a_run_whose_job_is_disabled_is_not_run_again(db: Connection, hook_id: int, change_id: int) -> None:
    run = add_result(db, hook_id, object_change_id=change_id)
    db.execute("update rowhooks.job set enabled = false")
    assert refused(db, "select rowhooks.retry(%s)", run) == (
        f"run {run} cannot be run again: its job tests.support.results.Serial is disabled",
        "Run: rowhooks jobs enable tests.support.results.Serial",
    )


def test_a_run_whose_job_is_not_installed_is_not_run_again(db: Connection, hook_id: int, change_id: int) -> None:
    run = add_result(db, hook_id, object_change_id=change_id)
    db.execute("update rowhooks.job set installed = false")
    assert refused(db, "select rowhooks.retry(%s)", run)[0] == (
        f"run {run} cannot be run again: its job tests.support.results.Serial is not installed"
    )


def test_a_run_that_is_being_run_again_is_not_run_again_beside_it(db: Connection, hook_id: int, change_id: int) -> None:
    original = add_result(db, hook_id, object_change_id=change_id, status="FAILURE")
    again = retry(db, original)
    assert refused(db, "select rowhooks.retry(%s)", original) == (
        f"run {original} is being run again already, as run {again}", f"See: rowhooks results show {again}"
    )  # fmt: skip


def test_of_two_people_who_retry_a_run_at_once_one_is_refused(
    db: Connection, hook_id: int, change_id: int, dsn: str
) -> None:
    original = add_result(db, hook_id, object_change_id=change_id, status="FAILURE")
    with psycopg.connect(dsn) as one, psycopg.connect(dsn) as other, ThreadPoolExecutor(1) as thread:
        again = retry(one, original)
        refusal = thread.submit(refused, other, "select rowhooks.retry(%s)", original)
        until(db, "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s", other.info.backend_pid)
        one.commit()
        assert refusal.result()[0] == f"run {original} is being run again already, as run {again}"


def until(db: Connection, query: str, *parameters: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not value(db, query, *parameters):
        assert time.monotonic() < deadline, f"did not come true: {query}"


# Revoke


@pytest.mark.parametrize("status", ["PENDING", "STARTED", "RETRY"])
def test_a_run_that_has_not_finished_is_revoked_and_the_bell_rings(
    db: Connection, daemon: Connection, hook_id: int, change_id: int, dsn: str, status: str
) -> None:
    run = add_result(db, hook_id, object_change_id=change_id, status=status)
    with psycopg.connect(dsn, autocommit=True) as leader:
        leader.execute("listen rowhooks")
        leader.execute("select rowhooks.arm_bell('1 second')")
        assert value(daemon, "select rowhooks.revoke(%s)", run) == status
        assert rings(db, leader) == 1
    assert value(db, "select (status, finished_at > now() - interval '1 hour')::text from rowhooks.job_result") == (
        "(REVOKED,t)"
    )


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "REVOKED"])
def test_a_finished_run_is_not_revoked(db: Connection, hook_id: int, change_id: int, status: str) -> None:
    run = add_result(db, hook_id, object_change_id=change_id, status=status)
    assert refused(db, "select rowhooks.revoke(%s)", run) == (
        f"run {run} cannot be revoked: it has finished with {status}", f"See: rowhooks results show {run}"
    )  # fmt: skip
    assert value(db, "select status from rowhooks.job_result") == status


def test_a_run_that_is_not_on_record_is_not_revoked(db: Connection) -> None:
    assert refused(db, "select rowhooks.revoke(7)") == ("there is no result 7", "See: rowhooks results list")


# Prune


def prune(conn: Connection, *, batch: int = 5000, failed: bool = False, older_than: str = "1 day") -> list[Any]:
    """Prune to the end; return what each call returned."""
    calls: list[Any] = []
    after_id: int | None = 0
    while after_id is not None:
        calls += conn.execute(
            "select * from rowhooks.prune_results(%s, %s, %s, %s)", (older_than, batch, after_id, failed)
        ).fetchall()
        after_id = calls[-1][1]
    return calls


def test_old_results_are_deleted_with_their_log_lines(db: Connection, daemon: Connection, hook_id: int) -> None:
    old = add_result(db, hook_id, trigger="replay")
    add_line(db, old, "old")
    young = add_result(db, hook_id, trigger="replay", created_at="now")
    add_line(db, young, "young")
    assert prune(daemon) == [(1, None)]
    assert ids(db) == [young]
    assert db.execute("select message from rowhooks.job_log_entry").fetchall() == [("young",)]


def test_pending_and_failed_runs_survive_the_pruning(db: Connection, hook_id: int) -> None:
    kept = [
        add_result(db, hook_id, trigger="replay", status=status)
        for status in ("PENDING", "STARTED", "RETRY", "FAILURE")
    ]
    for status in ("SUCCESS", "REVOKED"):
        add_result(db, hook_id, trigger="replay", status=status)
    assert prune(db, older_than="0") == [(2, None)]
    assert ids(db) == kept


def test_failures_are_deleted_only_where_they_are_asked_for(db: Connection, hook_id: int) -> None:
    pending = add_result(db, hook_id, trigger="replay", status="PENDING")
    add_result(db, hook_id, trigger="replay", status="FAILURE")
    assert prune(db, failed=True) == [(1, None)]
    assert ids(db) == [pending]


def test_the_retry_of_a_failure_that_is_kept_is_kept_with_it(db: Connection, hook_id: int) -> None:
    failure = add_result(db, hook_id, trigger="replay", status="FAILURE")
    success = add_result(db, hook_id, trigger="replay", original_id=failure)
    prune(db)
    assert ids(db) == [failure, success]
    prune(db, failed=True)
    assert ids(db) == []


def test_a_batch_looks_at_no_more_rows_than_it_was_told_to_and_passes_over_what_was_kept(
    db: Connection, hook_id: int
) -> None:
    first = add_result(db, hook_id, trigger="replay", status="FAILURE")
    for status in ("FAILURE", "SUCCESS", "SUCCESS", "SUCCESS"):
        add_result(db, hook_id, trigger="replay", status=status)
    assert prune(db, batch=2) == [(0, first + 1), (2, first + 3), (1, None)]


def test_pruning_ends_where_nothing_is_old_any_more(db: Connection, hook_id: int) -> None:
    for _ in range(5):
        add_result(db, hook_id, trigger="replay", created_at="now")
    assert prune(db, batch=2) == [(0, None)]


def test_a_dry_run_counts_and_deletes_nothing(db: Connection, hook_id: int) -> None:
    run = add_result(db, hook_id, trigger="replay")
    assert db.execute("select * from rowhooks.prune_results('1 day', dry_run => true)").fetchall() == [(1, None)]
    assert ids(db) == [run]


@pytest.mark.parametrize(("call", "message"), [
    ("rowhooks.prune_results(null)", "rowhooks.prune_results: older_than must be zero or more, not null"),
    ("rowhooks.prune_results('-1 day')", "rowhooks.prune_results: older_than must be zero or more, not -1 days"),
    ("rowhooks.prune_results('1 day', 0)", "rowhooks.prune_results: batch must be 1 or more, not 0"),
])  # fmt: skip
def test_pruning_refuses_what_makes_no_sense(db: Connection, call: str, message: str) -> None:
    assert refused(db, f"select * from {call}")[0] == message


def test_the_result_of_a_change_that_the_feed_has_put_behind_it_goes(
    db: Connection, hook_id: int, change_id: int
) -> None:
    add_result(db, hook_id, object_change_id=change_id)
    behind_the_feed(db)
    assert prune(db) == [(1, None)]


def test_the_result_of_a_change_that_the_feed_would_read_again_stays(
    db: Connection, hook_id: int, change_id: int
) -> None:
    # No batch is in hand: the run's own transaction has put it on record before the position was stored.
    run = add_result(db, hook_id, object_change_id=change_id)
    assert value(db, "select target is null from rowhooks.feed") is True
    prune(db)
    assert ids(db) == [run]


def test_of_a_batch_in_hand_the_results_up_to_the_position_go(db: Connection, hook_id: int, change_id: int) -> None:
    db.execute("insert into dcim.device values (2, 'sw2', 'SN2')")
    add_result(db, hook_id, object_change_id=change_id)
    ahead = add_result(db, hook_id, object_change_id=change_id + 1)
    db.execute("update rowhooks.feed set target = pg_current_snapshot(), after_id = %s", (change_id,))
    assert prune(db) == [(1, None)]
    assert ids(db) == [ahead]


def test_a_late_change_below_the_position_of_a_batch_that_does_not_hold_it_stays(
    db: Connection, hook_id: int, dsn: str
) -> None:
    with psycopg.connect(dsn) as late:
        late.execute("insert into dcim.device values (2, 'sw2', 'SN2')")
        late_id = value(late, "select max(id) from rowhooks.object_change")
        db.execute("insert into dcim.device values (3, 'sw3', 'SN3')")
        newest_id = value(db, "select max(id) from rowhooks.object_change")
        db.execute("update rowhooks.feed set target = pg_current_snapshot(), after_id = %s", (newest_id,))
    assert late_id < newest_id
    add_result(db, hook_id, object_change_id=newest_id)
    run = add_result(db, hook_id, object_change_id=late_id)
    prune(db)
    assert ids(db) == [run]


def test_the_result_of_a_change_that_has_left_the_log_goes(db: Connection, hook_id: int, change_id: int) -> None:
    add_result(db, hook_id, object_change_id=change_id)
    db.execute("delete from rowhooks.object_change")
    assert prune(db) == [(1, None)]


def test_a_retry_of_a_change_not_yet_behind_the_feed_goes_as_it_starts_nothing_twice(
    db: Connection, hook_id: int, change_id: int
) -> None:
    original = add_result(db, hook_id, object_change_id=change_id)
    add_result(db, hook_id, object_change_id=change_id, original_id=original)
    prune(db)
    assert ids(db) == [original]


# The view


def test_a_result_has_the_key_that_its_receiver_was_given(db: Connection, hook_id: int, change_id: int) -> None:
    change = add_result(db, hook_id, object_change_id=change_id, key="the derived one")
    replay = add_result(db, hook_id, trigger="replay", object_change_id=change_id)
    press = add_result(db, None, trigger="press", job_button_id=1)
    keys = dict(db.execute("select id, key from rowhooks.results").fetchall())
    assert keys[change] == "the derived one"
    assert len({uuid.UUID(keys[replay]), uuid.UUID(keys[press])}) == 2


def test_a_retry_has_its_original_s_key(db: Connection, hook_id: int, change_id: int) -> None:
    db.execute("update rowhooks.job set enabled = true")
    for trigger in ("change", "replay"):
        original = add_result(db, hook_id, trigger=trigger, object_change_id=change_id)
        db.execute("select rowhooks.retry(%s)", (original,))
    keys = [row[0] for row in db.execute("select key from rowhooks.results order by id").fetchall()]
    assert (keys[0], keys[2]) == (keys[1], keys[3])
    assert keys[0] != keys[2]


def test_lines_are_counted_per_level(db: Connection, hook_id: int) -> None:
    run = add_result(db, hook_id, trigger="replay")
    for level in ("info", "warning", "info"):
        add_line(db, run, "hello", level)
    add_result(db, hook_id, trigger="replay")
    counts = db.execute("select log_counts from rowhooks.results order by id").fetchall()
    assert counts == [({"info": 2, "warning": 1},), ({},)]


def test_counting_lines_costs_nothing_where_nobody_asks(db: Connection) -> None:
    plan = "\n".join(row[0] for row in db.execute("explain select id, status from rowhooks.results").fetchall())
    assert "job_result" in plan
    assert "job_log_entry" not in plan


def test_a_result_names_the_login_and_whom_the_application_claims_apart(db: Connection, hook_id: int) -> None:
    add_result(db, hook_id, trigger="replay", user_name="ada", db_user="app")
    add_result(db, hook_id, trigger="replay", db_user="app")
    assert db.execute("select user_name, db_user from rowhooks.results order by id").fetchall() == [
        ("ada", "app"),
        (None, "app"),
    ]


def test_whoever_asks_for_a_run_needs_no_right_on_the_bell(db: Connection, hook_id: int) -> None:
    db.execute("revoke execute on function rowhooks.ring_bell() from rowhooks_daemon")
    with db.transaction():
        db.execute("set local role rowhooks_daemon")
        add_result(db, hook_id, trigger="replay", status="PENDING", leader_epoch=None)
    with pytest.raises(errors.InsufficientPrivilege), db.transaction():
        db.execute("set local role rowhooks_daemon")
        db.execute("select rowhooks.ring_bell()")
    assert value(db, "select count(*) from rowhooks.job_result where leader_epoch is distinct from %s", LEASE) == 1


def test_a_result_names_the_transaction_that_has_written_it_last(db: Connection, hook_id: int) -> None:
    with db.transaction():
        wrote = value(db, "select pg_current_xact_id()::text")
        run = add_result(db, hook_id, trigger="replay")
    assert value(db, "select transaction_id::text from rowhooks.results where id = %s", run) == wrote
    with db.transaction():
        wrote_later = value(db, "select pg_current_xact_id()::text")
        db.execute("update rowhooks.job_result set attempt = 2 where id = %s", (run,))
    assert value(db, "select transaction_id::text from rowhooks.results where id = %s", run) == wrote_later
