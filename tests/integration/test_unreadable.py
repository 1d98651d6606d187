"""Changes that cannot be read: each costs itself, and neither the daemon nor the changes around it."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange
from rowhooks.domain.feed import Position, Snapshot
from rowhooks.postgres.administration.changes import iterate_changes, load_change
from rowhooks.postgres.administration.doctor import examine
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.administration.status import status
from rowhooks.postgres.connections.command import connection
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.feed import FEW, PostgresFeed
from rowhooks.postgres.log_rows import LARGEST, TOO_LARGE
from rowhooks.postgres.values import RowDecoder
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

TOO_LONG_AS_TEXT = "repeat(chr(1), 200000000)"
"""2 MB on disk, and more than 1 GB as JSON text."""


class Witness(JobHookReceiver):
    """Remembers the changes; looks at no row."""

    class Meta:
        loads_object = False

    seen: ClassVar[list[ObjectChange]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(change)


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    Witness.seen.clear()


def log_directly(conn: Connection, key: int, name: str, count: int = 1) -> None:
    """Put changes into the log that capture would not make (any more); `name` is SQL."""
    conn.execute(
        "insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, postchange)"
        f" select 'create', t.id, jsonb_build_object('id', {key} + n), 'sw', jsonb_build_object('name', {name})"
        f" from rowhooks.tracked_table as t cross join generate_series(0, {count - 1}) as n"
    )


def keys() -> list[Any]:
    return [change.changed_object_id.get("id") for change in Witness.seen]


async def test_a_row_that_is_too_long_as_json_text_is_delivered_by_its_key_and_the_feed_goes_on(
    db: Connection, daemon_dsn: str, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    add_hook(db, Witness, device)
    log_directly(db, 1, "'sw'", 40)
    log_directly(db, 41, TOO_LONG_AS_TEXT)
    log_directly(db, 42, "'sw'", 40)
    with caplog.at_level(logging.WARNING, "rowhooks.postgres.unreadable"):
        async with running_daemon(daemon_dsn, Witness):
            await settled(db)
    assert sorted(keys()) == list(range(1, 82))
    (unread,) = [change for change in Witness.seen if change.capture_error]
    assert (unread.changed_object_id, unread.object_repr) == ({"id": 41}, "sw")
    assert (unread.prechange, unread.postchange) == (None, None)
    assert unread.capture_error is not None
    assert unread.capture_error.startswith("the change cannot be read: ")
    assert unread.changed("name")
    assert [line.getMessage() for line in caplog.records] == [
        f"change {unread.id} of dcim.device is delivered by its key, without its rows: {unread.capture_error}"
    ]
    assert status(db)["unreadable_changes"] == [
        {"id": unread.id, "table": "dcim.device", "error": unread.capture_error}
    ]
    (finding,) = [one for one in examine(db) if "cannot be read" in one.what]
    assert (finding.level, finding.way_out) == ("note", f"see: rowhooks changes show {unread.id}")
    assert finding.what == (
        f"change {unread.id} of dcim.device was delivered by its key, without its rows: {unread.capture_error}"
    )


async def test_rows_that_are_larger_than_a_daemon_can_hold_are_not_read(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Witness, device)
    log_directly(db, 1, f"repeat('x', {LARGEST + 1})")
    log_directly(db, 2, "'sw'")
    async with running_daemon(daemon_dsn, Witness):
        await settled(db)
        # One by one too, as they come to a daemon that has just been woken up.
        log_directly(db, 3, f"repeat('x', {LARGEST + 1})")
        db.execute("notify rowhooks")
        await settled(db)
    unread = {change.changed_object_id["id"]: change.capture_error for change in Witness.seen if change.capture_error}
    assert unread == {1: TOO_LARGE, 3: TOO_LARGE}
    assert sorted(keys()) == [1, 2, 3]


async def test_a_change_whose_key_is_too_large_comes_without_it(db: Connection, daemon_dsn: str, device: str) -> None:
    add_hook(db, Witness, device)
    db.execute(
        "insert into rowhooks.object_change (action, tracked_table, object_id, object_repr)"
        f" select 'create', t.id, jsonb_build_object('id', {TOO_LONG_AS_TEXT}), 'sw' from rowhooks.tracked_table as t"
    )
    async with running_daemon(daemon_dsn, Witness):
        await settled(db)
    (unread,) = Witness.seen
    assert unread.changed_object_id == {}
    assert unread.capture_error == "the key of the change is too large"


@pytest.fixture
def ascii_dsn(dsn: str, server: Any) -> Any:
    """A database that knows no encoding, with rowhooks and a tracked table."""
    with psycopg.connect(make_conninfo(dsn, dbname=server.maintenance_dbname), autocommit=True) as admin:
        admin.execute("create database bytes encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0")
        try:
            own = make_conninfo(dsn, dbname="bytes")
            install(Target(own), Roles())
            with psycopg.connect(own, autocommit=True) as conn:
                conn.execute("create table note (id integer primary key, name text not null)")
                conn.execute("select rowhooks.track('note')")
                conn.execute("grant select on note to rowhooks_daemon")
            yield own
        finally:
            admin.execute("drop database bytes with (force)")


async def test_bytes_that_are_no_text_cost_their_own_rows_alone(ascii_dsn: str) -> None:
    with psycopg.connect(ascii_dsn, autocommit=True) as db:
        add_hook(db, Witness, "note")
        db.execute("set client_encoding = 'SQL_ASCII'")
        for number in range(1, 31):
            drink = r"e'caf\xe9'" if number == 7 else "'tea'"
            db.execute(f"insert into note values ({number}, {drink})")
        db.execute("set client_encoding = 'UTF8'")
        async with running_daemon(make_conninfo(ascii_dsn, user=DAEMON_LOGIN), Witness):
            await settled(db)
    assert sorted(keys()) == list(range(1, 31))
    assert [change.changed_object_id["id"] for change in Witness.seen if change.capture_error] == [7]


async def test_a_table_whose_name_is_no_text_keeps_no_other_from_being_followed(ascii_dsn: str) -> None:
    with psycopg.connect(ascii_dsn, autocommit=True) as db:
        add_hook(db, Witness, "note")
        db.execute(r"""do $$ begin execute format('create table %I (id integer primary key)', e'caf\351'); end $$""")
        db.execute(r"select rowhooks.track(format('%I', e'caf\351')::regclass)")
        db.execute("insert into note values (1, 'tea')")
        db.execute("set client_encoding = 'UTF8'")
        async with running_daemon(make_conninfo(ascii_dsn, user=DAEMON_LOGIN), Witness):
            await settled(db)
            db.execute(r"""do $$ begin execute format('insert into %I values (1)', e'caf\351'); end $$""")
            db.execute("insert into note values (2, 'tea')")
            db.execute("notify rowhooks")
            await settled(db)
    assert keys() == [1, 2]


async def test_time_limits_of_the_role_are_not_those_of_the_daemon(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Witness, device)
    limits = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"]
    if db.info.server_version >= 170000:
        limits.append("transaction_timeout")
    for limit in limits:
        db.execute(
            f"alter role {DAEMON_LOGIN} in database {conninfo_to_dict(daemon_dsn)['dbname']} set {limit} = '30ms'"
        )
    log_directly(db, 1, "repeat(chr(1), 20000000)")
    async with running_daemon(daemon_dsn, Witness):
        await settled(db)
        names = db.execute("select count(*) from pg_stat_activity where usename = %s", (DAEMON_LOGIN,)).fetchone()
        assert names is not None
        assert names[0] > 2
    (change,) = Witness.seen
    assert change.capture_error is None
    assert change.postchange == {"name": "\1" * 20_000_000}


async def test_what_was_requested_by_hand_is_taken_up_beside_what_cannot_be_read(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    hook = add_hook(db, Witness, device)
    log_directly(db, 1, "'sw'")
    log_directly(db, 2, f"repeat('x', {LARGEST + 1})")
    log_directly(db, 3, "'sw'")
    db.execute("update rowhooks.feed set snapshot = pg_current_snapshot()")
    db.execute(
        """
        insert into rowhooks.job_result (trigger, status, object_change_id, job_hook_id, job_id, class_path, action)
        select 'replay', 'PENDING', c.id, h.id, j.id, j.class_path, c.action
        from rowhooks.object_change as c
        cross join rowhooks.job_hook as h
        join rowhooks.job as j on j.id = h.job_id
        where h.id = %s
        """,
        (hook,),
    )
    async with running_daemon(daemon_dsn, Witness):
        await settled(db)
    assert {change.changed_object_id["id"]: change.capture_error for change in Witness.seen} == {
        1: None, 2: TOO_LARGE, 3: None,
    }  # fmt: skip


class Pressed(JobButtonReceiver):
    """Does nothing."""

    async def receive_job_button(self, obj: Any) -> None:
        return None


async def test_a_press_that_cannot_be_read_fails_by_itself(ascii_dsn: str) -> None:
    with psycopg.connect(ascii_dsn, autocommit=True) as db:
        add_button(db, Pressed, "note", roles=["public"])
        db.execute("insert into note values (1, 'tea')")
        for name in ("alice", r"caf\351"):
            db.execute(
                f"""
                insert into rowhooks.job_result
                  (trigger, status, job_button_id, job_id, class_path, tracked_table, object_id, object_repr, user_name)
                select 'press', 'PENDING', b.id, j.id, j.class_path, t.id, '{{"id": 1}}', 'tea', e'{name}'
                from rowhooks.job_button as b
                join rowhooks.job as j on j.id = b.job_id
                cross join rowhooks.tracked_table as t
                """
            )
        db.execute("set client_encoding = 'UTF8'")
        async with running_daemon(make_conninfo(ascii_dsn, user=DAEMON_LOGIN), Pressed):
            await settled(db)
        results = db.execute("select status, exception_message from rowhooks.job_result order by id").fetchall()
    assert [status for status, _ in results] == ["SUCCESS", "FAILURE"]
    assert results[1][1].startswith("the press cannot be read: invalid byte sequence")


def test_commands_read_the_changes_around_one_that_cannot_be_read(db: Connection, dsn: str, device: str) -> None:
    log_directly(db, 1, "'sw'", 20)
    log_directly(db, 21, f"repeat('x', {LARGEST + 1})")
    log_directly(db, 22, "'sw'", 20)
    with psycopg.connect(dsn) as conn:
        found = list(iterate_changes(conn))
    assert [change.changed_object_id["id"] for change in found] == list(range(1, 42))
    assert [change.capture_error for change in found if change.capture_error] == [TOO_LARGE]
    assert load_change(db, found[20].id)[0].capture_error == TOO_LARGE


def test_commands_read_the_changes_around_one_that_is_no_text(ascii_dsn: str) -> None:
    with psycopg.connect(ascii_dsn, autocommit=True) as db:
        for number, drink in enumerate(("tea", r"caf\351", "tea"), 1):
            db.execute(f"insert into note values ({number}, e'{drink}')")
    with connection(Target(ascii_dsn)) as conn:
        found = list(iterate_changes(conn))
    assert [(change.changed_object_id, change.capture_error is None) for change in found] == [
        ({"id": 1}, True), ({"id": 2}, False), ({"id": 3}, True),
    ]  # fmt: skip


@pytest.mark.parametrize("column", ["user_name", "request_id", "change_context", "object_repr", "capture_error"])
async def test_every_column_counts_in_the_size_of_a_part(
    db: Connection, daemon_dsn: str, device: str, column: str
) -> None:
    db.execute(
        f"insert into rowhooks.object_change (action, tracked_table, object_id, {column})"
        " select 'create', t.id, '{}', repeat(md5(random()::text), 100000)"
        " from rowhooks.tracked_table as t cross join generate_series(1, 9)"
    )
    row = db.execute("select snapshot::text from rowhooks.feed").fetchone()
    assert row is not None

    async def nothing(*_: int) -> None:
        pass

    async with connected(Target(daemon_dsn)) as conn:
        reader = PostgresFeed(conn, RowDecoder(), nothing)
        _, changes, is_end = await reader.next_batch(Position(Snapshot.parse(row[0])), 1000, nothing)
    # Each is stored in a hundredth of its size, of which a part takes account.
    assert len(changes) < 9
    assert not is_end


def log_long_numbers(db: Connection, count: int, numbers: int) -> None:
    """Put changes into the log of which little is stored, and whose rows are very long as text."""
    db.execute(
        "insert into rowhooks.object_change (action, tracked_table, object_id, postchange)"
        " select 'create', t.id, '{}', (select jsonb_build_object('n', jsonb_agg(1e131071::numeric))"
        f" from generate_series(1, {numbers})) from rowhooks.tracked_table as t cross join generate_series(1, {count})"
    )


class CountingFeed(PostgresFeed):
    """Remembers how many rows a statement returned at the most."""

    most = 0

    async def _whole(self, rows: list[Any], connection: Any) -> list[ObjectChange]:
        self.most = max(self.most, len(rows))
        return await super()._whole(rows, connection)


@pytest.mark.parametrize(("numbers", "most"), [(1, 64), (8, 8), (100, 1)])
@pytest.mark.parametrize("limit", [2, 1000])
async def test_what_a_row_has_as_text_counts_in_the_size_of_a_part(
    db: Connection, daemon_dsn: str, device: str, numbers: int, most: int, limit: int
) -> None:
    log_long_numbers(db, 80, numbers)
    row = db.execute("select snapshot::text from rowhooks.feed").fetchone()
    assert row is not None

    async def nothing(*_: int) -> None:
        pass

    async with connected(Target(daemon_dsn)) as conn:
        reader = CountingFeed(conn, RowDecoder(), nothing)
        position = Position(Snapshot.parse(row[0]))
        snapshot, changes, is_end = await reader.next_batch(position, limit, nothing)
        assert len(changes) == min(most, limit)
        assert not is_end
        assert all(change.postchange_json for change in changes)
        # The others come later, each of them once; by their ids all of them come.
        position, ids = position.aim(snapshot).past(changes[-1].id), [change.id for change in changes]
        while not is_end and len(ids) < 3 * most:
            changes, is_end = await reader.fetch(position, limit)
            assert len(changes) <= most
            for change in changes:
                position = position.past(change.id)
                ids.append(change.id)
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert list(await reader.changes(ids[:20])) == ids[:20]
        assert reader.most <= max(most, FEW)


async def test_a_row_of_few_bytes_that_is_too_large_as_text_comes_by_its_key(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Witness, device)
    log_long_numbers(db, 1, 1100)
    log_directly(db, 2, "'sw'")
    async with running_daemon(daemon_dsn, Witness):
        await settled(db)
    assert [change.capture_error for change in Witness.seen] == [TOO_LARGE, None]
