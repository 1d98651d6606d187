"""The log's history goes by age, by whole partitions, and nothing that is still needed goes with it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.sql.conftest import log

Connection = psycopg.Connection[Any]


def partitions(db: Connection) -> list[tuple[int, int]]:
    return db.execute("select lower_id, upper_id from rowhooks.log_partitions() order by 1").fetchall()


def prunable(db: Connection, before: str = "now()") -> list[str]:
    return [
        name
        for (name,) in db.execute(f"select p.partition from rowhooks.prunable_partitions({before}) as p")  # type: ignore[arg-type]
    ]


def drop(db: Connection, name: str) -> bool:
    row = db.execute("select rowhooks.drop_partition(%s, now())", (name,)).fetchone()
    assert row is not None
    return bool(row[0])


def deliver(db: Connection) -> None:
    """Let the feed's position stand behind all that is committed."""
    db.execute("update rowhooks.feed set snapshot = pg_current_snapshot(), target = null")


@pytest.fixture
def history(db: Connection, item: str) -> None:
    """Partitions of ten ids; 27 changes, all dealt with."""
    db.execute("drop table rowhooks.object_change_0, rowhooks.object_change_1000000, rowhooks.object_change_2000000")
    for first in (1, 10, 19):
        db.execute("select rowhooks.extend_object_change(10, 2)")
        db.execute(
            "insert into shop.item select n from generate_series(%s::integer, %s::integer) as n", (first, first + 8)
        )
    deliver(db)


def add_result(db: Connection, status: str) -> None:
    """Record a run of change 5."""
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('jobs.Sync', 'hook', 'Sync')")
    db.execute(
        "insert into rowhooks.job_result (origin, status, object_change_id, job_id, class_path, lease, job_hook_id,"
        " hook_name, retry_at, finished_at, exception_type)"
        " select 'change', %(status)s, 5, id, class_path, gen_random_uuid(), 1, 'sync', now(),"
        " case when %(status)s in ('SUCCESS', 'FAILURE', 'REVOKED') then now() end,"
        " case when %(status)s = 'FAILURE' then 'ValueError' end from rowhooks.job",
        {"status": status},
    )


def test_partitions_whose_ids_are_all_drawn_and_dealt_with_are_history(db: Connection, history: None) -> None:
    assert partitions(db)[:3] == [(0, 10), (10, 20), (20, 30)]
    assert prunable(db) == ["object_change_0", "object_change_10"]


def test_what_is_younger_is_no_history(db: Connection, history: None) -> None:
    assert prunable(db, "now() - interval '1 hour'") == []
    db.execute("update rowhooks.object_change set time = time - interval '2 hours' where id < 10")
    assert prunable(db, "now() - interval '1 hour'") == ["object_change_0"]


def test_a_partition_with_a_change_that_the_feed_has_not_dealt_with_stays(db: Connection, history: None) -> None:
    db.execute("update rowhooks.object_change set transaction_id = pg_current_xact_id() where id = 15")
    assert prunable(db) == ["object_change_0"]
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="cannot drop object_change_10"):
        drop(db, "object_change_10")
    deliver(db)
    assert prunable(db) == ["object_change_0", "object_change_10"]


def test_after_a_restore_nothing_is_history_until_a_leader_has_found_its_place(db: Connection, history: None) -> None:
    db.execute("update rowhooks.feed set system_identifier = 1")
    assert prunable(db) == []
    assert db.execute("select deleted from rowhooks.prune_changes(now())").fetchone() == (0,)


def test_dropping_a_partition_takes_its_changes_and_no_others(db: Connection, history: None) -> None:
    assert drop(db, "object_change_0")
    assert log(db, "id") == [(number,) for number in range(10, 28)]
    assert (0, 10) not in partitions(db)


@pytest.mark.parametrize(("status", "stays"), [
    ("PENDING", True), ("STARTED", True), ("RETRY", True), ("FAILURE", True), ("SUCCESS", False), ("REVOKED", False),
])  # fmt: skip
def test_changes_of_pending_and_failed_runs_outlive_their_partition(
    db: Connection, history: None, status: str, stays: bool
) -> None:
    add_result(db, status)
    assert drop(db, "object_change_0")
    assert ((5,) in log(db, "id")) == stays
    # Nor are they deleted one by one, as long as they are needed.
    db.execute("select rowhooks.prune_changes(now())")
    assert log(db, "id") == ([(5,)] if stays else [])


def test_changes_in_a_partition_with_younger_ones_go_one_by_one(db: Connection, history: None) -> None:
    db.execute("update rowhooks.object_change set time = time - interval '2 hours' where id < 25")
    pruned = "select deleted, last_id from rowhooks.prune_changes(now() - interval '1 hour', 100)"
    assert db.execute(pruned).fetchone() == (24, None)
    assert log(db, "id") == [(25,), (26,), (27,)]


def test_each_call_looks_at_a_batch_and_says_where_to_go_on(db: Connection, history: None) -> None:
    assert db.execute("select deleted, last_id from rowhooks.prune_changes(now(), 10)").fetchone() == (10, 10)
    assert db.execute("select deleted, last_id from rowhooks.prune_changes(now(), 10, 10)").fetchone() == (10, 20)
    assert db.execute("select deleted, last_id from rowhooks.prune_changes(now(), 10, 20)").fetchone() == (7, None)


def test_a_dry_run_deletes_nothing(db: Connection, history: None) -> None:
    assert db.execute("select deleted from rowhooks.prune_changes(now(), dry_run => true)").fetchone() == (27,)
    assert len(log(db)) == 27


def test_dropping_gives_up_at_once_while_somebody_has_written_and_nobody_waits_for_it(
    db: Connection, dsn: str, history: None
) -> None:
    with psycopg.connect(dsn) as writer, psycopg.connect(dsn, autocommit=True) as other:
        writer.execute("insert into shop.item values (1000)")
        assert not drop(db, "object_change_0")
        other.execute("set lock_timeout = '5s'")
        other.execute("insert into shop.item values (1001)")
        writer.commit()
    assert drop(db, "object_change_0")


def test_a_drop_that_has_given_up_holds_no_lock(db: Connection, dsn: str, history: None) -> None:
    with psycopg.connect(dsn) as writer, psycopg.connect(dsn) as pruner:
        writer.execute("insert into shop.item values (1000)")
        assert not drop(pruner, "object_change_0")
        with psycopg.connect(dsn, autocommit=True) as other:
            other.execute("set lock_timeout = '5s'")
            other.execute("insert into shop.item values (1001)")
        writer.commit()


def test_what_fell_into_the_default_partition_is_moved_out_once_its_ids_are_drawn(
    db: Connection, history: None
) -> None:
    last = partitions(db)[-1][1]
    db.execute("select setval('rowhooks.object_change_id_seq', %s)", (last,))
    db.execute("insert into shop.item select 2000 + n from generate_series(1, 15) as n")
    before = log(db)
    assert db.execute("select count(*) from rowhooks.object_change_default").fetchone() == (15,)
    assert db.execute("select rowhooks.empty_default_partition(10)").fetchone() == (9,)
    assert (last, last + 10) in partitions(db)
    assert db.execute("select count(*) from rowhooks.object_change_default").fetchone() == (6,)
    assert db.execute("select rowhooks.empty_default_partition(10)").fetchone() == (0,)
    assert log(db) == before


def test_what_was_kept_of_a_dropped_partition_stays_where_it_is(db: Connection, history: None) -> None:
    add_result(db, "FAILURE")
    assert drop(db, "object_change_0")
    assert db.execute("select rowhooks.empty_default_partition(10)").fetchone() == (0,)
    assert db.execute("select id from rowhooks.object_change_default").fetchall() == [(5,)]
