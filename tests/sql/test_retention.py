"""The log's history goes by age, by whole partitions, and nothing that is still needed goes with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.log import log
from tests.support.waiting import PATIENCE, eventually

Connection = psycopg.Connection[Any]


def partitions(db: Connection) -> list[tuple[int, int]]:
    return db.execute("select lower_id, upper_id from rowhooks.log_partitions() order by 1").fetchall()


def prunable(db: Connection, before: str = "now()") -> list[str]:
    return [name for (name,) in db.execute(f"select p.partition from rowhooks.prunable_partitions({before}) as p")]


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


def overflow(db: Connection, count: int) -> int:
    """Write changes that find no partition; return the upper bound of the last one that there is."""
    last = partitions(db)[-1][1]
    db.execute("select setval('rowhooks.object_change_id_seq', %s)", (last,))
    db.execute("insert into shop.item select 2000 + n from generate_series(1, %s) as n", (count,))
    assert len(in_default(db)) == count
    return last


def in_default(db: Connection) -> list[int]:
    return [id_ for (id_,) in db.execute("select id from rowhooks.object_change_default order by id")]


def empty(db: Connection, width: int = 10) -> int:
    row = db.execute("select rowhooks.empty_default_partition(%s)", (width,)).fetchone()
    assert row is not None
    return int(row[0])


def add_result(db: Connection, status: str) -> None:
    """Record a run of change 5."""
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('jobs.Sync', 'hook', 'Sync')")
    db.execute(
        "insert into rowhooks.job_result (trigger, status, object_change_id, job_id, class_path, leader_epoch,"
        " job_hook_id, hook_name, retry_at, finished_at, exception_type)"
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


def test_what_fell_into_the_default_partition_is_moved_out_of_it(db: Connection, history: None) -> None:
    last = overflow(db, 15)
    before = log(db)
    assert empty(db) == 15
    assert {(last, last + 10), (last + 10, last + 20)} <= set(partitions(db))
    assert in_default(db) == []
    assert log(db) == before
    assert empty(db) == 0


def test_what_is_in_a_gap_between_partitions_is_moved_into_the_gap(db: Connection, history: None) -> None:
    db.execute("create table public.former as select * from rowhooks.object_change where id between 12 and 17")
    db.execute("drop table rowhooks.object_change_10")
    db.execute("insert into rowhooks.object_change select * from public.former")
    before = log(db)
    assert empty(db, 1000) == 6
    assert partitions(db)[:3] == [(0, 10), (10, 20), (20, 30)]
    assert log(db) == before


def test_after_a_restore_the_default_partition_is_left_alone(db: Connection, history: None) -> None:
    overflow(db, 15)
    db.execute("update rowhooks.feed set system_identifier = 1")
    assert empty(db) == 0
    assert len(in_default(db)) == 15


def test_a_default_partition_that_is_full_is_not_scanned_under_a_lock(db: Connection, history: None) -> None:
    overflow(db, 15)
    db.execute(
        "create or replace function rowhooks.default_partition_is_small() returns boolean language sql return false"
    )
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="the default partition is full") as refused:
        db.execute("select rowhooks.extend_object_change(10, 2)")
    assert "empty_default_partition()" in (refused.value.diag.message_hint or "")
    add_result(db, "FAILURE")
    assert not drop(db, "object_change_0")


def test_what_was_kept_of_partitions_is_kept_in_one_and_not_dropped_again(db: Connection, history: None) -> None:
    add_result(db, "FAILURE")
    db.execute("insert into rowhooks.job_result (trigger, status, object_change_id, job_id, class_path, job_hook_id) "
               "select 'replay', 'PENDING', 13, id, class_path, 1 from rowhooks.job")  # fmt: skip
    assert drop(db, "object_change_0")
    assert partitions(db)[0] == (0, 10)
    assert prunable(db) == ["object_change_10"]
    assert drop(db, "object_change_10")
    assert partitions(db)[0] == (0, 20)
    assert [id_ for (id_,) in log(db, "id") if id_ < 20] == [5, 13]
    assert prunable(db) == []
    assert in_default(db) == []


def test_a_partition_of_what_was_kept_goes_when_nothing_is_left_in_it(db: Connection, history: None) -> None:
    add_result(db, "FAILURE")
    assert drop(db, "object_change_0")
    db.execute("delete from rowhooks.object_change where id = 5")
    assert prunable(db) == ["object_change_kept_10", "object_change_10"]
    assert drop(db, "object_change_kept_10")
    assert partitions(db)[0] == (10, 20)


def test_a_partition_that_another_prune_has_dropped_is_gone(db: Connection, history: None) -> None:
    assert drop(db, "object_change_0")
    assert drop(db, "object_change_0")


def test_two_prunes_at_once_do_one_thing_after_the_other(db: Connection, dsn: str, history: None) -> None:
    with psycopg.connect(dsn) as first:
        assert drop(first, "object_change_0")
        with psycopg.connect(dsn, autocommit=True) as second:
            assert not drop(second, "object_change_10")
            first.commit()
            assert drop(second, "object_change_0")
            assert drop(second, "object_change_10")
    assert log(db, "id")[0] == (20,)


@pytest.mark.parametrize("statement", [
    "select rowhooks.drop_partition('object_change_0', now())", "select rowhooks.empty_default_partition(10)",
])  # fmt: skip
def test_partitions_are_not_exchanged_by_one_snapshot_for_all(db: Connection, history: None, statement: str) -> None:
    with pytest.raises(errors.ActiveSqlTransaction, match="in a transaction that is repeatable read"), db.transaction():
        db.execute("set transaction isolation level repeatable read")
        db.execute(statement)


# What others do meanwhile. A trigger of the test's stops the copying in the middle.


@pytest.fixture
def halted_copies(db: Connection, dsn: str) -> Iterator[Connection]:
    """Each row that is copied waits for an advisory lock, which this connection holds."""
    db.execute("create function public.halt() returns trigger language plpgsql as $$ begin"
               " perform pg_advisory_xact_lock_shared(1); return new; end $$")  # fmt: skip
    source = db.execute("select pg_get_functiondef('rowhooks.make_partition(name, bigint, bigint)'::regprocedure)")
    (definition,) = source.fetchone() or ("",)
    made = definition.replace(
        "\nend\n",
        "\n  execute pg_catalog.format('create trigger halt before insert on rowhooks.%I for each row"
        " execute function public.halt()', partition);\nend\n",
    )
    attached = db.execute("select pg_get_functiondef('rowhooks.attach_partition(name, bigint, bigint)'::regprocedure)")
    (definition,) = attached.fetchone() or ("",)
    db.execute(made)
    db.execute(
        definition.replace(
            "\nbegin\n", "\nbegin\n  execute pg_catalog.format('drop trigger halt on rowhooks.%I', partition);\n"
        )
    )
    with psycopg.connect(dsn, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(1)")
        yield holder


class Housekeeping:
    """A call that goes on in a thread, until it waits for the test's lock."""

    def __init__(self, db: Connection, dsn: str, statement: str) -> None:
        self._db, self._dsn, self._statement = db, dsn, statement
        self.answer: Any = None
        self.pid = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as conn:
            self.pid = conn.info.backend_pid
            row = conn.execute(self._statement).fetchone()
            self.answer = row and row[0]

    async def waits(self) -> None:
        await eventually(
            lambda: self._db.execute(
                "select 1 from pg_locks where pid = %s and locktype = 'advisory' and not granted", (self.pid,)
            ).fetchone()
        )

    def locks(self) -> set[tuple[str, str]]:
        """Return what it holds on the log and its partitions that were there before."""
        return set(
            self._db.execute(
                "select l.relation::regclass::text, l.mode from pg_locks as l"
                " where l.pid = %s and l.locktype = 'relation' and l.granted and ("
                "   l.relation = 'rowhooks.object_change'::regclass"
                "   or exists (select from pg_inherits as i where i.inhrelid = l.relation))",
                (self.pid,),
            ).fetchall()
        )

    def end(self) -> Any:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.answer


def hindering(locks: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those that somebody waits for who writes or reads."""
    return {lock for lock in locks if lock[1] not in ("AccessShareLock", "RowShareLock", "ShareUpdateExclusiveLock")}


async def test_nobody_waits_while_what_a_partition_keeps_is_copied(
    db: Connection, dsn: str, history: None, halted_copies: Connection
) -> None:
    add_result(db, "FAILURE")
    dropping = Housekeeping(db, dsn, "select rowhooks.drop_partition('object_change_0', now())")
    await dropping.waits()
    assert hindering(dropping.locks()) == set()
    db.execute("set lock_timeout = '2s'")
    db.execute("insert into shop.item values (1000)")
    # A run that appears meanwhile needs its change too.
    db.execute("update rowhooks.job_result set status = 'SUCCESS', exception_type = null")
    db.execute("insert into rowhooks.job_result (trigger, status, object_change_id, job_id, class_path, job_hook_id) "
               "select 'replay', 'PENDING', 7, id, class_path, 1 from rowhooks.job")  # fmt: skip
    halted_copies.execute("select pg_advisory_unlock(1)")
    assert dropping.end() is True
    assert [id_ for (id_,) in log(db, "id") if id_ < 10] == [5, 7]


async def test_nobody_waits_while_the_default_partition_is_emptied(
    db: Connection, dsn: str, history: None, halted_copies: Connection
) -> None:
    overflow(db, 15)
    emptying = Housekeeping(db, dsn, "select rowhooks.empty_default_partition(10)")
    await emptying.waits()
    assert hindering(emptying.locks()) == set()
    db.execute("set lock_timeout = '2s'")
    # They go where the others are that are being moved, and beyond.
    db.execute("insert into shop.item select 3000 + n from generate_series(1, 20) as n")
    assert len(in_default(db)) == 35
    before = log(db)
    halted_copies.execute("select pg_advisory_unlock(1)")
    assert emptying.end() == 35
    assert log(db) == before
    assert in_default(db) == []


async def test_a_change_of_a_transaction_that_was_open_while_others_were_copied_is_moved_too(
    db: Connection, dsn: str, history: None, halted_copies: Connection
) -> None:
    overflow(db, 5)
    with psycopg.connect(dsn) as writer:
        writer.execute("insert into shop.item values (3000)")
        overflow_of_others = log(db)
        emptying = Housekeeping(db, dsn, "select rowhooks.empty_default_partition(10)")
        await emptying.waits()
        writer.commit()
    halted_copies.execute("select pg_advisory_unlock(1)")
    assert emptying.end() == 6
    assert len(log(db)) == len(overflow_of_others) + 1
    assert in_default(db) == []


async def test_a_change_that_is_committed_while_its_partition_is_about_to_go_stays(
    db: Connection, dsn: str, history: None, halted_copies: Connection
) -> None:
    add_result(db, "FAILURE")
    dropping = Housekeeping(db, dsn, "select rowhooks.drop_partition('object_change_0', now())")
    await dropping.waits()
    # As of a transaction that had drawn its id long ago.
    db.execute("delete from rowhooks.object_change where id = 3")
    db.execute("insert into rowhooks.object_change (id, action, tracked_table) values (3, 'truncate', 1)")
    halted_copies.execute("select pg_advisory_unlock(1)")
    assert dropping.end() is False
    assert (3,) in log(db, "id")
    assert partitions(db)[0] == (0, 10)


@pytest.mark.parametrize("statement", [
    "select rowhooks.drop_partition('object_change_0', now())", "select rowhooks.empty_default_partition(10)",
])  # fmt: skip
async def test_housekeeping_that_dies_in_the_middle_leaves_the_log_as_it_was(
    db: Connection, dsn: str, history: None, halted_copies: Connection, statement: str
) -> None:
    add_result(db, "FAILURE")
    overflow(db, 15)
    before, found = log(db), partitions(db)
    with psycopg.connect(dsn, autocommit=True) as conn:

        def housekeep() -> None:
            with pytest.raises(errors.AdminShutdown):
                conn.execute(statement)

        thread = threading.Thread(target=housekeep)
        thread.start()
        await eventually(
            lambda: db.execute(
                "select pg_terminate_backend(pid) from pg_locks where pid = %s and locktype = 'advisory'"
                " and not granted",
                (conn.info.backend_pid,),
            ).fetchone()
        )
        thread.join(PATIENCE)
    await eventually(
        lambda: db.execute("select count(*) = 0 from pg_stat_activity where pid = %s", (conn.info.backend_pid,))
        .fetchone() == (True,)
    )  # fmt: skip
    assert (log(db), partitions(db)) == (before, found)
    assert db.execute(
        "select count(*) from pg_class where relnamespace = 'rowhooks'::regnamespace and relname ~ '^object_change_'"
        " and relkind = 'r' and not relispartition"
    ).fetchone() == (0,)


def test_a_lock_that_is_not_had_leaves_nothing_of_the_copy(db: Connection, dsn: str, history: None) -> None:
    add_result(db, "FAILURE")
    overflow(db, 15)
    found = db.execute("select relname from pg_class where relnamespace = 'rowhooks'::regnamespace").fetchall()
    with psycopg.connect(dsn) as reader:
        reader.execute("select count(*) from rowhooks.object_change")
        assert not drop(db, "object_change_0")
        assert empty(db) == 0
        assert (
            db.execute("select relname from pg_class where relnamespace = 'rowhooks'::regnamespace").fetchall() == found
        )
    assert len(log(db)) == 27 + 15


def test_no_login_but_the_owner_can_take_the_lock_that_extending_takes(
    db: Connection, daemon_dsn: str, history: None
) -> None:
    with psycopg.connect(daemon_dsn) as daemon:
        # The names that could be guessed.
        daemon.execute("select pg_advisory_lock(hashtextextended('rowhooks.extend_object_change', 0))")
        db.execute("set statement_timeout = '10s'")
        db.execute("select rowhooks.extend_object_change(10, 4)")
        with pytest.raises(errors.InsufficientPrivilege):
            daemon.execute("lock table only rowhooks.object_change in share update exclusive mode")
