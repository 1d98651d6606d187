"""The log as a whole: its partitions, and its place after a restore into another cluster."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.log import actions

Connection = psycopg.Connection[Any]
WIDTH = 1_000_000


def partitions(db: Connection) -> list[str]:
    """Return the log's partitions without the default one, by their bounds."""
    rows = db.execute(
        "select c.relname from pg_inherits as i join pg_class as c on c.oid = i.inhrelid"
        " where i.inhparent = 'rowhooks.object_change'::regclass and c.relname <> 'object_change_default'"
        " order by substring(c.relname from '[0-9]+$')::bigint"
    )
    return [name for (name,) in rows]


def extend(db: Connection, *arguments: int) -> int:
    """Call rowhooks.extend_object_change."""
    row = db.execute(
        f"select rowhooks.extend_object_change({', '.join(['%s::bigint', '%s::integer'][: len(arguments)])})", arguments
    ).fetchone()
    assert row is not None
    return int(row[0])


def use_ids_from(db: Connection, next_id: int) -> None:
    db.execute("select setval('rowhooks.object_change_id_seq', %s, false)", (next_id,))


def test_an_installation_has_the_partition_in_use_and_two_ahead(db: Connection) -> None:
    assert partitions(db) == ["object_change_0", "object_change_1000000", "object_change_2000000"]


def test_extending_can_be_repeated(db: Connection) -> None:
    assert extend(db) == 0
    assert partitions(db) == ["object_change_0", "object_change_1000000", "object_change_2000000"]


def test_extending_keeps_ahead_of_the_ids_in_use(db: Connection, item: str) -> None:
    use_ids_from(db, 2 * WIDTH + 5)
    assert extend(db) == 2
    assert partitions(db)[-1] == "object_change_4000000"
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    stored = db.execute("select tableoid::regclass::text from rowhooks.object_change").fetchall()
    assert stored == [("rowhooks.object_change_2000000",)]


def test_extending_further_ahead_makes_only_what_is_missing(db: Connection) -> None:
    assert extend(db, WIDTH, 4) == 2


def test_a_span_whose_ids_are_in_the_default_partition_is_left_to_it(db: Connection, item: str) -> None:
    use_ids_from(db, 7 * WIDTH + 5)
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert extend(db) == 2
    assert partitions(db)[-2:] == ["object_change_8000000", "object_change_9000000"]
    db.execute("insert into shop.item values (2, 'nut', 1)")
    stored = db.execute("select distinct tableoid::regclass::text from rowhooks.object_change").fetchall()
    assert stored == [("rowhooks.object_change_default",)]


def test_a_new_partition_has_the_log_s_key_and_index(db: Connection) -> None:
    extend(db, WIDTH, 3)
    definitions = db.execute(
        "select indisprimary, indkey::text from pg_index where indrelid = 'rowhooks.object_change_3000000'::regclass"
        " except select indisprimary, indkey::text from pg_index where indrelid = 'rowhooks.object_change_0'::regclass"
    ).fetchall()
    assert definitions == []
    assert db.execute(
        "select count(*) from pg_index where indrelid = 'rowhooks.object_change_3000000'::regclass"
    ).fetchone() == (2,)


def test_writers_are_not_kept_waiting_while_the_log_is_extended(db: Connection, dsn: str, item: str) -> None:
    with psycopg.connect(dsn) as extending:
        extending.execute("select rowhooks.extend_object_change(1000000, 5)")
        db.execute("set lock_timeout = '2s'")
        db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert actions(db) == [("create", 1)]


@pytest.fixture
def restored(db: Connection, item: str) -> Connection:
    """A log as it looks after a restore: transaction ids of another cluster, which was far ahead.

    Of its changes 1 to 6, those of transactions 5000000000 (ids 1, 2) and 5000000004 (id 5) had been dealt with;
    5000000002 (ids 3, 4) was open at the last look, and 5000000009 (id 6) began after it.
    """
    db.execute("insert into shop.item select i, 'bolt', 1 from generate_series(1, 6) as i")
    for transaction, first, last in [(5000000000, 1, 2), (5000000002, 3, 4), (5000000004, 5, 5), (5000000009, 6, 6)]:
        db.execute(
            "update rowhooks.object_change set transaction_id = %s::text::xid8 where id between %s and %s",
            (str(transaction), first, last),
        )
    db.execute(
        "update rowhooks.feed set system_identifier = 1, snapshot = '5000000002:5000000006:5000000002', newest_id = 5"
    )
    return db


def resume(db: Connection) -> int:
    row = db.execute(
        "select rowhooks.resume_after_restore(coalesce(max(id), 0)) from rowhooks.object_change"
    ).fetchone()
    assert row is not None
    return int(row[0])


# What the feed reads next: everything not visible in its snapshot.
UNREAD = """
select c.id from rowhooks.object_change as c cross join rowhooks.feed as f
where not pg_visible_in_snapshot(c.transaction_id, f.snapshot) order by c.id
"""
READ_IN_THE_END = "select count(*) from rowhooks.object_change where transaction_id > pg_current_xact_id()"


def test_in_the_same_cluster_there_is_nothing_to_resume(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    before = db.execute("select * from rowhooks.object_change").fetchall(), db.execute("table rowhooks.feed").fetchall()
    assert resume(db) == 0
    after = db.execute("select * from rowhooks.object_change").fetchall(), db.execute("table rowhooks.feed").fetchall()
    assert after == before


def test_after_a_restore_the_changes_not_yet_dealt_with_are_read_next(restored: Connection) -> None:
    assert resume(restored) == 3
    assert restored.execute(UNREAD).fetchall() == [(3,), (4,), (6,)]


def test_after_a_restore_what_had_been_dealt_with_is_never_read_again(restored: Connection) -> None:
    resume(restored)
    assert restored.execute(READ_IN_THE_END).fetchone() == (0,)


def test_a_batch_in_hand_at_the_dump_is_taken_up_behind_its_last_change(restored: Connection) -> None:
    restored.execute(
        "update rowhooks.feed set snapshot = '5000000000:5000000000:', target = '5000000002:5000000006:5000000002',"
        " after_id = 1, newest_id = 5"
    )
    assert resume(restored) == 5
    assert restored.execute(UNREAD).fetchall() == [(2,), (3,), (4,), (5,), (6,)]


def test_resuming_is_refused_in_a_transaction_that_has_written(restored: Connection) -> None:
    with pytest.raises(errors.ActiveSqlTransaction, match="has written nothing"), restored.transaction():
        restored.execute("insert into shop.item values (7, 'late', 1)")
        resume(restored)


def test_resuming_happens_once(restored: Connection) -> None:
    resume(restored)
    assert resume(restored) == 0


def test_changes_written_after_the_restore_and_before_resuming_are_read(restored: Connection) -> None:
    restored.execute("insert into shop.item values (7, 'late', 1)")
    assert resume(restored) == 4
    assert restored.execute(UNREAD).fetchall() == [(3,), (4,), (6,), (7,)]


def test_a_second_restore_brings_back_nothing_that_had_been_dealt_with(restored: Connection) -> None:
    resume(restored)
    # The feed deals with all of it; then the database moves on once more.
    restored.execute("update rowhooks.feed set snapshot = pg_current_snapshot(), newest_id = 6")
    restored.execute("update rowhooks.feed set system_identifier = 1")
    assert resume(restored) == 0
    restored.execute("update rowhooks.feed set system_identifier = 1")
    assert resume(restored) == 0


def test_a_second_restore_before_the_first_batch_brings_back_only_what_waits(restored: Connection) -> None:
    resume(restored)
    restored.execute("update rowhooks.feed set system_identifier = 1")
    assert resume(restored) == 3
    assert restored.execute(UNREAD).fetchall() == [(3,), (4,), (6,)]


def test_a_restore_into_a_cluster_that_is_ahead_keeps_the_place_too(db: Connection, item: str) -> None:
    db.execute("insert into shop.item select i, 'bolt', 1 from generate_series(1, 4) as i")
    db.execute("update rowhooks.object_change set transaction_id = (10 + id)::text::xid8")
    db.execute("update rowhooks.feed set system_identifier = 1, snapshot = '12:15:12', newest_id = 3")
    assert resume(db) == 2
    assert db.execute(UNREAD).fetchall() == [(2,), (4,)]
    db.execute("update rowhooks.feed set system_identifier = 1")
    assert resume(db) == 2


def test_a_transaction_open_while_the_feed_resumes_is_read_afterwards(restored: Connection, dsn: str) -> None:
    with psycopg.connect(dsn) as writer:
        writer.execute("insert into shop.item values (7, 'late', 1)")
        assert resume(restored) == 3
    unread = restored.execute(UNREAD).fetchall()
    assert unread == [(3,), (4,), (6,), (7,)]


def test_after_a_restore_the_feed_stands_in_this_cluster(restored: Connection) -> None:
    resume(restored)
    stands = restored.execute(
        "select target, after_id, system_identifier = (pg_control_system()).system_identifier,"
        " pg_snapshot_xmax(snapshot)::text::bigint < 5000000000 from rowhooks.feed"
    ).fetchone()
    assert stands == (None, 0, True, True)


def test_after_a_restore_hooks_enabled_in_the_other_cluster_start_from_everything_unread(restored: Connection) -> None:
    restored.execute("insert into rowhooks.job (class_path, kind, name, enabled) values ('a.B', 'hook', 'b', true)")
    assert restored.execute("select enabled_since is null from rowhooks.job").fetchone() == (False,)
    resume(restored)
    assert restored.execute("select enabled_since is null, enabled from rowhooks.job").fetchone() == (True, True)
