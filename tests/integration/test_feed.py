"""The feed: every committed change, once, in commit-safe order, whatever order transactions end in."""

from __future__ import annotations

from typing import Any, ClassVar

import psycopg
import pytest

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]


class Witness(JobHookReceiver):
    """Remembers what it was called with."""

    seen: ClassVar[list[tuple[str, Any]]] = []

    class Meta:
        # Rows are loaded at the same time, and runs of different rows may then begin in another order.
        loads_object = False

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append((action, change.changed_object_id["id"]))


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    Witness.seen.clear()


def insert(conn: Connection, number: int) -> None:
    conn.execute("insert into dcim.device values (%s, 'sw', 'SN')", (number,))


async def test_transactions_that_commit_in_the_opposite_order_of_their_ids_both_arrive(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Witness, device)
    async with running_daemon(daemon_dsn, Witness):
        with psycopg.connect(dsn) as first, psycopg.connect(dsn) as second:
            insert(first, 1)
            insert(second, 2)
            ids = db.execute("select last_value from rowhooks.object_change_id_seq").fetchone()
            assert ids == (2,)
            second.commit()
            await eventually(lambda: Witness.seen == [("create", 2)])
            # The feed is past id 2 now; a reader of `id > last` would never see id 1.
            await settled(db)
            first.commit()
            await eventually(lambda: Witness.seen == [("create", 2), ("create", 1)])
            await settled(db)


async def test_a_younger_transaction_with_lower_ids_arrives_although_no_snapshot_names_it(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    """A snapshot's xmax is one past the last transaction that has ended: a running one may lie above it."""
    add_hook(db, Witness, device)
    async with running_daemon(daemon_dsn, Witness):
        with psycopg.connect(dsn) as older, psycopg.connect(dsn) as younger:
            for number in range(0, 20, 2):
                older.execute("select pg_current_xact_id()")
                insert(younger, number)
                insert(older, number + 1)
                older.commit()
                await settled(db)
                younger.commit()
                await settled(db)
                assert [seen for _, seen in Witness.seen[-2:]] == [number + 1, number]


async def test_a_transaction_left_open_delays_nobody(db: Connection, dsn: str, daemon_dsn: str, device: str) -> None:
    add_hook(db, Witness, device)
    async with running_daemon(daemon_dsn, Witness):
        with psycopg.connect(dsn) as idle:
            insert(idle, 1)
            for number in range(2, 30):
                insert(db, number)
                await eventually(lambda number=number: ("create", number) in Witness.seen)
            assert ("create", 1) not in Witness.seen
        await settled(db)
        assert sorted(number for _, number in Witness.seen) == list(range(1, 30))
        assert Witness.seen[-1] == ("create", 1)


async def test_a_long_transaction_in_another_database_of_the_cluster_delays_nothing(
    db: Connection, dsn: str, daemon_dsn: str, device: str, empty_dsn: str
) -> None:
    add_hook(db, Witness, device)
    with psycopg.connect(empty_dsn) as elsewhere:
        # It has a transaction id, and so holds back the horizon of the whole cluster.
        elsewhere.execute("create table busy (id integer)")
        async with running_daemon(daemon_dsn, Witness):
            for number in range(1, 5):
                insert(db, number)
                await settled(db)
    assert Witness.seen == [("create", number) for number in range(1, 5)]


async def test_a_rolled_back_change_starts_no_run_nor_does_one_rolled_back_to_a_savepoint(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Witness, device)
    async with running_daemon(daemon_dsn, Witness):
        with psycopg.connect(dsn) as conn:
            insert(conn, 1)
            conn.rollback()
            insert(conn, 2)
            with pytest.raises(ZeroDivisionError), conn.transaction():
                insert(conn, 3)
                raise ZeroDivisionError
            conn.commit()
        await settled(db)
        assert Witness.seen == [("create", 2)]


async def test_changes_made_while_no_daemon_ran_arrive_when_one_starts(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Witness, device)
    insert(db, 1)
    async with running_daemon(daemon_dsn, Witness):
        await settled(db)
    db.execute("update dcim.device set serial = 'SN2'")
    db.execute("delete from dcim.device")
    async with running_daemon(daemon_dsn, Witness):
        await settled(db)
    assert Witness.seen == [("create", 1), ("update", 1), ("delete", 1)]


async def test_a_backlog_larger_than_a_batch_is_read_in_parts_and_in_order(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Witness, device)
    with psycopg.connect(dsn) as late:
        insert(late, 0)
        db.execute("insert into dcim.device select n, 'sw', 'SN' from generate_series(1, 500) as n")
        async with running_daemon(daemon_dsn, Witness, batch_size=7):
            await eventually(lambda: len(Witness.seen) == 500)
            assert [number for _, number in Witness.seen] == list(range(1, 501))
            late.commit()
            await settled(db)
            assert Witness.seen[-1] == ("create", 0)
            assert len(Witness.seen) == 501


async def test_a_lost_bell_costs_no_more_than_the_poll_interval(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Witness, device)
    db.execute("select rowhooks.set_notify(false)")
    db.execute("update rowhooks.installation set notify = true")
    async with running_daemon(daemon_dsn, Witness, poll_interval=0.2):
        insert(db, 1)
        await settled(db)
        assert Witness.seen == [("create", 1)]


async def test_changes_from_before_a_hook_was_enabled_do_not_start_it(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    insert(db, 1)
    add_hook(db, Witness, device)
    insert(db, 2)
    db.execute("update rowhooks.job_hook set enabled = false")
    insert(db, 3)
    db.execute("update rowhooks.job_hook set enabled = true")
    insert(db, 4)
    db.execute("update rowhooks.job set enabled = false")
    db.execute("update rowhooks.job set enabled = true")
    insert(db, 5)
    async with running_daemon(daemon_dsn, Witness):
        await settled(db)
    assert Witness.seen == [("create", 5)]


async def test_a_hook_sees_the_first_change_after_it_was_made_by_a_running_daemon(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    async with running_daemon(daemon_dsn, Witness):
        for number in range(1, 11):
            # Made and used in one breath: the change must not be matched against the configuration before it.
            with db.transaction():
                add_hook(db, Witness, device, "create")
            insert(db, number)
            await settled(db)
            db.execute("delete from rowhooks.job_hook")
        assert [number for _, number in Witness.seen] == list(range(1, 11))


async def test_a_table_tracked_while_the_daemon_runs_is_known_by_its_name(db: Connection, daemon_dsn: str) -> None:
    async with running_daemon(daemon_dsn, Witness):
        db.execute("create table late (id integer primary key)")
        db.execute("select rowhooks.track('late')")
        db.execute("grant select on late to rowhooks_daemon")
        add_hook(db, Witness, "late")
        db.execute("insert into late values (7)")
        await settled(db)
        assert Witness.seen == [("create", 7)]
        assert db.execute("select object_type, status from rowhooks.results").fetchall() == [("public.late", "SUCCESS")]


async def test_a_log_restored_into_another_cluster_goes_on_where_it_stood(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Witness, device)
    insert(db, 1)
    async with running_daemon(daemon_dsn, Witness):
        await settled(db)
    insert(db, 2)
    # What a dump carries over: the other cluster's identifier, and transaction ids far beyond this cluster's.
    db.execute(
        "update rowhooks.object_change set transaction_id = (transaction_id::text::bigint + 1000000)::text::xid8"
    )
    db.execute(
        "update rowhooks.feed set system_identifier = 1, snapshot = ("
        " (pg_snapshot_xmin(snapshot)::text::bigint + 1000000) || ':' ||"
        " (pg_snapshot_xmax(snapshot)::text::bigint + 1000000) || ':')::pg_snapshot"
    )
    async with running_daemon(daemon_dsn, Witness):
        insert(db, 3)
        await settled(db)
    assert [number for _, number in Witness.seen] == [1, 2, 3]
    assert "restored from another cluster; 1 changes wait" in caplog.text
