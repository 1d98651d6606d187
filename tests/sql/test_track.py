"""rowhooks.track and rowhooks.untrack: what they refuse, repeat, wait for and leave behind."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.log import actions, log

Connection = psycopg.Connection[Any]

TRIGGERS = ["!rowhooks_row_1", "!rowhooks_truncate_1", "!rowhooks_update_1"]


def triggers(db: Connection, table: str) -> list[str]:
    """Return the names of a table's triggers."""
    rows = db.execute(
        "select tgname from pg_trigger where tgrelid = %s::regclass and not tgisinternal order by tgname", (table,)
    )
    return [name for (name,) in rows]


def capture_functions(db: Connection) -> list[str]:
    """Return the names of the generated functions."""
    rows = db.execute(
        "select proname from pg_proc where pronamespace = 'rowhooks'::regnamespace and proname ~ '^capture_'"
        " order by proname"
    )
    return [name for (name,) in rows]


def test_tracking_adds_three_triggers_and_a_function(db: Connection, item: str) -> None:
    assert triggers(db, item) == TRIGGERS
    assert capture_functions(db) == ["capture_1"]


def test_tracking_lists_the_table_with_its_key_and_name_column(db: Connection, item: str) -> None:
    listed = db.execute(
        "select relation::text, schema_name, table_name, key_columns, repr_column, audit_receivers, untracked_at"
        " from rowhooks.tracked_table"
    ).fetchall()
    assert listed == [("shop.item", "shop", "item", ["id"], "name", False, None)]


def test_tracking_can_be_repeated(db: Connection, item: str) -> None:
    first = db.execute("select id from rowhooks.tracked_table").fetchone()
    assert db.execute("select rowhooks.track('shop.item')").fetchone() == first
    assert triggers(db, item) == TRIGGERS
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert actions(db) == [("create", 1)]


def test_tracking_again_takes_up_a_changed_key_name_and_mode(db: Connection, item: str) -> None:
    db.execute("alter table shop.item drop constraint item_pkey, add primary key (name, id)")
    db.execute("alter table shop.item rename to article")
    db.execute("select rowhooks.track('shop.article', audit_receivers => true)")
    db.execute("insert into shop.article values (1, 'bolt', 1)")
    assert log(db, "object_id") == [({"name": "bolt", "id": 1},)]
    listed = db.execute("select table_name, key_columns, audit_receivers from rowhooks.tracked_table").fetchall()
    assert listed == [("article", ["name", "id"], True)]


def test_tracking_that_is_rolled_back_leaves_nothing(db: Connection) -> None:
    db.execute("create table public.thing (id integer primary key)")
    with db.transaction(force_rollback=True):
        db.execute("select rowhooks.track('public.thing')")
    assert_nothing_tracked(db)
    assert triggers(db, "public.thing") == []


def assert_nothing_tracked(db: Connection) -> None:
    assert db.execute("select count(*) from rowhooks.tracked_table").fetchone() == (0,)
    assert capture_functions(db) == []


@pytest.mark.parametrize(
    ("setup", "table", "message", "hint"),
    [
        ("create view public.x as select 1 as id", "public.x", "it is a view", "Track the tables"),
        ("create materialized view public.x as select 1 as id", "public.x", "it is a view", "Track the tables"),
        ("create temporary table x (id int primary key)", "x", "it is a temporary table", "permanent table"),
        ("create sequence public.x", "public.x", "it is not a table", "Name a table"),
        ("create type public.x as (id int)", "public.x", "it is not a table", "Name a table"),
        ("create table public.t (id int primary key)", "public.t_pkey", "it is not a table", "Name a table"),
        ("select", "rowhooks.job", "it belongs to rowhooks or to PostgreSQL", "of your own"),
        ("select", "rowhooks.object_change", "it belongs to rowhooks or to PostgreSQL", "of your own"),
        ("select", "pg_catalog.pg_class", "it belongs to rowhooks or to PostgreSQL", "of your own"),
        ("select", "information_schema.sql_features", "it belongs to rowhooks or to PostgreSQL", "of your own"),
        (
            'create table public."A b" (id int primary key) partition by range (id);'
            'create table public.x partition of public."A b" default',
            "public.x",
            "it is a partition",
            """select rowhooks.track('public."A b"')""",
        ),
        ('create table public."A b" (id int)', 'public."A b"', "no primary key", 'public."A b" add primary'),
        (
            "create table public.x (id int not null unique)",
            "public.x",
            "it has no primary key",
            "alter table public.x add primary key",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_tracked_is_refused_with_the_way_out(
    db: Connection, setup: str, table: str, message: str, hint: str
) -> None:
    db.execute(setup)
    with pytest.raises(psycopg.Error, match=message) as refused:
        db.execute("select rowhooks.track(%s::regclass)", (table,))
    assert hint in (refused.value.diag.message_hint or "")
    assert_nothing_tracked(db)


def test_a_foreign_table_without_named_columns_is_refused(db: Connection) -> None:
    db.execute("create foreign data wrapper nowhere")
    db.execute("create server elsewhere foreign data wrapper nowhere")
    db.execute("create foreign table public.far (id integer) server elsewhere")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=r"cannot track public\.far: it has no primary key"):
        db.execute("select rowhooks.track('public.far')")
    assert_nothing_tracked(db)


def test_null_is_refused(db: Connection) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="no table was named"):
        db.execute("select rowhooks.track(null)")


def test_a_table_that_does_not_exist_is_refused(db: Connection) -> None:
    with pytest.raises(errors.UndefinedTable):
        db.execute("select rowhooks.track('public.nothing')")
    with pytest.raises(errors.UndefinedTable, match="cannot track 999999"):
        db.execute("select rowhooks.track(999999::regclass)")


def test_tracking_gives_up_when_it_does_not_get_the_lock(db: Connection, dsn: str) -> None:
    db.execute("create table public.busy (id integer primary key)")
    with psycopg.connect(dsn) as writer:
        writer.execute("insert into public.busy values (1)")
        with pytest.raises(errors.LockNotAvailable, match=r"lock on public\.busy within 00:00:00\.05") as refused:
            db.execute("select rowhooks.track('public.busy', wait => '50 milliseconds')")
        assert "pg_stat_activity" in (refused.value.diag.message_hint or "")
    assert_nothing_tracked(db)
    assert triggers(db, "public.busy") == []
    assert db.execute("show lock_timeout").fetchone() == ("0",)


@pytest.mark.parametrize("wait", ["0", "1 microsecond"])
def test_no_wait_at_all_does_not_mean_to_wait_for_ever(db: Connection, dsn: str, wait: str) -> None:
    db.execute("create table public.busy (id integer primary key)")
    db.execute("set statement_timeout = '10s'")
    with psycopg.connect(dsn) as writer:
        writer.execute("insert into public.busy values (1)")
        with pytest.raises(errors.LockNotAvailable):
            db.execute("select rowhooks.track('public.busy', wait => %s)", (wait,))


def test_tracking_restores_the_lock_timeout(db: Connection) -> None:
    db.execute("create table public.thing (id integer primary key)")
    db.execute("set lock_timeout = '7s'")
    with db.transaction():
        db.execute("select rowhooks.track('public.thing')")
        assert db.execute("show lock_timeout").fetchone() == ("7s",)
        db.execute("select rowhooks.untrack('public.thing')")
        assert db.execute("show lock_timeout").fetchone() == ("7s",)
    assert db.execute("show lock_timeout").fetchone() == ("7s",)


def test_a_refused_track_inside_a_transaction_restores_the_lock_timeout(db: Connection, dsn: str) -> None:
    db.execute("create table public.busy (id integer primary key)")
    db.execute("set lock_timeout = '7s'")
    with psycopg.connect(dsn) as writer, db.transaction():
        writer.execute("insert into public.busy values (1)")
        with pytest.raises(errors.LockNotAvailable), db.transaction():
            db.execute("select rowhooks.track('public.busy', wait => '50 milliseconds')")
        assert db.execute("show lock_timeout").fetchone() == ("7s",)


def test_untracking_removes_triggers_and_function_and_keeps_the_history(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert db.execute("select rowhooks.untrack('shop.item')").fetchone() == (True,)
    assert triggers(db, item) == []
    assert capture_functions(db) == []
    db.execute("insert into shop.item values (2, 'nut', 1)")
    assert actions(db) == [("create", 1)]
    assert db.execute("select object_type from rowhooks.changes").fetchone() == ("shop.item",)
    assert db.execute("select untracked_at is not null from rowhooks.tracked_table").fetchall() == [(True,)]


def test_untracking_can_be_repeated(db: Connection, item: str) -> None:
    db.execute("select rowhooks.untrack('shop.item')")
    assert db.execute("select rowhooks.untrack('shop.item')").fetchone() == (False,)


def test_untracking_leaves_the_user_s_triggers_alone(db: Connection, item: str) -> None:
    db.execute("create function shop.f() returns trigger language plpgsql as 'begin return null; end'")
    db.execute("create trigger mine after insert on shop.item for each row execute function shop.f()")
    db.execute("select rowhooks.untrack('shop.item')")
    assert triggers(db, item) == ["mine"]


def test_untracking_rowhooks_own_table_leaves_its_triggers(db: Connection) -> None:
    before = triggers(db, "rowhooks.job")
    assert db.execute("select rowhooks.untrack('rowhooks.job')").fetchone() == (False,)
    assert triggers(db, "rowhooks.job") == before != []


def test_untracking_gives_up_when_it_does_not_get_the_lock(db: Connection, dsn: str, item: str) -> None:
    with psycopg.connect(dsn) as reader:
        reader.execute("select * from shop.item")
        with pytest.raises(errors.LockNotAvailable, match=r"lock on shop\.item within"):
            db.execute("select rowhooks.untrack('shop.item', wait => '50 milliseconds')")
    assert triggers(db, item) == TRIGGERS
    assert db.execute("select untracked_at from rowhooks.tracked_table").fetchone() == (None,)


def test_a_table_tracked_again_gets_an_entry_of_its_own(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("select rowhooks.untrack('shop.item')")
    db.execute("select rowhooks.track('shop.item')")
    db.execute("insert into shop.item values (2, 'nut', 1)")
    assert log(db, "object_id, tracked_table") == [({"id": 1}, 1), ({"id": 2}, 2)]
    assert capture_functions(db) == ["capture_2"]


def test_a_table_made_anew_under_the_same_name_is_tracked_by_itself(db: Connection, item: str) -> None:
    db.execute("drop table shop.item")
    db.execute("create table shop.item (id integer primary key)")
    assert db.execute("select rowhooks.track('shop.item')").fetchone() == (2,)
    db.execute("insert into shop.item values (1)")
    assert log(db, "tracked_table, object_id") == [(2, {"id": 1})]


def test_tracking_and_untracking_raise_the_configuration_s_version(db: Connection) -> None:
    versions = ["select rowhooks.configuration_version()"]
    db.execute("create table public.thing (id integer primary key)")
    seen = [db.execute(versions[0]).fetchone()]
    for call in ("track", "untrack"):
        db.execute(f"select rowhooks.{call}('public.thing')")
        seen.append(db.execute(versions[0]).fetchone())
    assert len(set(seen)) == 3


def test_a_partitioned_table_is_captured_through_and_in_its_partitions(db: Connection) -> None:
    db.execute("create table public.event (id integer, day integer, primary key (id, day)) partition by range (day)")
    db.execute(
        "create table public.event_1 partition of public.event for values from (0) to (10) partition by list (id)"
    )
    db.execute("create table public.event_1_1 partition of public.event_1 default")
    db.execute("select rowhooks.track('public.event')")
    db.execute("create table public.event_2 partition of public.event for values from (10) to (20)")
    db.execute("insert into public.event values (1, 5), (2, 15)")
    db.execute("insert into public.event_1_1 values (3, 6)")
    recorded = log(db, "object_id -> 'id', tracked_table")
    assert recorded == [(1, 1), (2, 1), (3, 1)]


def test_a_row_that_moves_to_another_partition_is_a_delete_and_a_create(db: Connection) -> None:
    db.execute("create table public.event (id integer primary key) partition by range (id)")
    db.execute("create table public.event_1 partition of public.event for values from (0) to (10)")
    db.execute("create table public.event_2 partition of public.event for values from (10) to (20)")
    db.execute("select rowhooks.track('public.event')")
    db.execute("insert into public.event values (1)")
    db.execute("update public.event set id = 11")
    assert actions(db) == [("create", 1), ("delete", 1), ("create", 11)]


def test_untracking_a_partitioned_table_frees_its_partitions(db: Connection) -> None:
    db.execute("create table public.event (id integer primary key) partition by range (id)")
    db.execute("create table public.event_1 partition of public.event default")
    db.execute("select rowhooks.track('public.event')")
    db.execute("select rowhooks.untrack('public.event')")
    assert triggers(db, "public.event_1") == []


def test_a_detached_partition_is_no_longer_captured(db: Connection) -> None:
    db.execute("create table public.event (id integer primary key) partition by range (id)")
    db.execute("create table public.event_1 partition of public.event default")
    db.execute("select rowhooks.track('public.event')")
    db.execute("alter table public.event detach partition public.event_1")
    db.execute("insert into public.event_1 values (1)")
    assert log(db) == []
