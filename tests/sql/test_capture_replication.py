"""What is written under session_replication_role = replica: by subscribers, by restores of data; and `always`."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.dumps import dump, restore
from tests.support.log import actions, clear, log
from tests.support.waiting import eventually

Connection = psycopg.Connection[Any]


def write_as_replica(db: Connection, table: str = "shop.item") -> None:
    """Create, change, delete and truncate, as a subscriber would."""
    db.execute("set session_replication_role = replica")
    db.execute(f"insert into {table} values (1, 'bolt', 1)")
    db.execute(f"update {table} set price = 1")
    db.execute(f"update {table} set price = 2")
    db.execute(f"delete from {table}")
    db.execute(f"truncate {table}")
    db.execute("reset session_replication_role")


def test_writes_of_a_replica_s_session_are_not_recorded(db: Connection, item: str) -> None:
    write_as_replica(db)
    assert log(db) == []


def test_writes_of_a_replica_s_session_are_recorded_where_that_was_asked_for(db: Connection, item: str) -> None:
    db.execute("select rowhooks.track('shop.item', always => true)")
    write_as_replica(db)
    one, two = {"id": 1, "name": "bolt", "price": 1}, {"id": 1, "name": "bolt", "price": 2}
    assert log(db) == [
        ("create", {"id": 1}, None, one),
        ("update", {"id": 1}, one, two),
        ("delete", {"id": 1}, two, None),
        ("truncate", None, None, None),
    ]


def test_always_records_ordinary_sessions_once(db: Connection, item: str) -> None:
    db.execute("select rowhooks.track('shop.item', always => true)")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert actions(db) == [("create", 1)]


def test_tracking_again_without_always_takes_it_back(db: Connection, item: str) -> None:
    db.execute("select rowhooks.track('shop.item', always => true)")
    db.execute("select rowhooks.track('shop.item')")
    write_as_replica(db)
    assert log(db) == []
    assert db.execute("select always from rowhooks.tracked_table").fetchall() == [(False,)]


def test_always_holds_for_every_partition_also_those_made_later(db: Connection) -> None:
    db.execute("create table public.event (id integer primary key) partition by range (id)")
    db.execute("create table public.first partition of public.event for values from (0) to (10) partition by list (id)")
    db.execute("create table public.first_rest partition of public.first default")
    db.execute("select rowhooks.track('public.event', always => true)")
    db.execute("create table public.second partition of public.event for values from (10) to (20)")
    db.execute("create table public.third (id integer not null)")
    db.execute("alter table public.event attach partition public.third for values from (20) to (30)")
    db.execute("set session_replication_role = replica")
    db.execute("insert into public.event values (1), (11), (21)")
    assert actions(db) == [("create", 1), ("create", 11), ("create", 21)]


def test_a_receiver_s_writes_are_skipped_under_always_too(db: Connection, daemon_dsn: str, item: str) -> None:
    db.execute("select rowhooks.track('shop.item', always => true)")
    with psycopg.connect(daemon_dsn) as receiver:
        receiver.execute("select set_config('rowhooks.receiver', 'run:1', true)")
        receiver.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db) == []


@pytest.fixture
def published(db: Connection, dsn: str) -> Iterator[str]:
    """A database of the same cluster that publishes a table shop.item with one row; the name of its slot."""
    if db.execute("show wal_level").fetchone() != ("logical",):
        pytest.skip("this server does no logical replication (wal_level)")
    name = f"publisher_{uuid.uuid4().hex[:12]}"
    db.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        with psycopg.connect(make_conninfo(dsn, dbname=name), autocommit=True) as publisher:
            publisher.execute("create schema shop")
            publisher.execute("create table shop.item (id integer primary key, name text, price numeric)")
            publisher.execute("insert into shop.item values (1, 'bolt', 1)")
            publisher.execute("create publication everything for all tables")
            # By hand: made by a subscription in the same cluster it would wait for that subscription's transaction.
            publisher.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", (name,))
        yield name
        with psycopg.connect(make_conninfo(dsn, dbname=name), autocommit=True) as publisher:
            publisher.execute("select pg_drop_replication_slot(%s)", (name,))
    finally:
        db.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@contextlib.contextmanager
def subscribed(db: Connection, dsn: str, name: str) -> Iterator[Connection]:
    """Subscribe to it; gives a connection to the publisher."""
    elsewhere = make_conninfo(dsn, dbname=name)
    db.execute(
        sql.SQL(
            "create subscription s connection {} publication everything with (create_slot = false, slot_name = {})"
        ).format(sql.Literal(elsewhere), sql.Literal(name))
    )
    try:
        with psycopg.connect(elsewhere, autocommit=True) as publisher:
            yield publisher
    finally:
        db.execute("alter subscription s disable")
        db.execute("alter subscription s set (slot_name = none)")
        db.execute("drop subscription s")


async def replicate(db: Connection, dsn: str, name: str) -> None:
    """Have the first row copied, then every kind of change applied."""
    with subscribed(db, dsn, name) as publisher:
        await eventually(lambda: db.execute("select from shop.item").fetchone() is not None)
        ready = "select from pg_subscription_rel where srsubstate = 'r'"
        await eventually(lambda: db.execute(ready).fetchone() is not None)
        publisher.execute("insert into shop.item values (2, 'nut', 2)")
        publisher.execute("update shop.item set price = 3 where id = 2")
        publisher.execute("update shop.item set id = 4 where id = 2")
        publisher.execute("delete from shop.item where id = 4")
        publisher.execute("truncate shop.item")
        await eventually(lambda: db.execute("select from shop.item").fetchone() is None)


async def test_a_subscriber_records_what_it_copies_and_applies_where_that_was_asked_for(
    db: Connection, dsn: str, item: str, published: str
) -> None:
    db.execute("select rowhooks.track('shop.item', always => true)")
    await replicate(db, dsn, published)

    def nut(id_: int, price: int) -> dict[str, Any]:
        return {"id": id_, "name": "nut", "price": price}

    assert log(db) == [
        ("create", {"id": 1}, None, {"id": 1, "name": "bolt", "price": 1}),
        ("create", {"id": 2}, None, nut(2, 2)),
        ("update", {"id": 2}, nut(2, 2), nut(2, 3)),
        ("update", {"id": 4}, nut(2, 3), nut(4, 3)),
        ("delete", {"id": 4}, nut(4, 3), None),
        ("truncate", None, None, None),
    ]


async def test_a_subscriber_records_nothing_where_that_was_not_asked_for(
    db: Connection, dsn: str, item: str, published: str
) -> None:
    await replicate(db, dsn, published)
    # The first rows are copied like that too.
    assert log(db) == []
    db.execute("insert into shop.item values (9, 'own', 1)")
    assert actions(db) == [("create", 9)]


@pytest.fixture
def data(db: Connection, dsn: str, item: str) -> Callable[..., str]:
    """Dumps the data of two rows of shop.item, without its definition; the table and the log are empty again."""
    db.execute("insert into shop.item values (1, 'bolt', 1), (2, 'nut', 2)")

    def data_only(*options: str) -> str:
        script = dump(dsn, "--data-only", "--table=shop.item", *options)
        db.execute("truncate shop.item")
        clear(db)
        return script

    return data_only


def test_a_data_only_restore_that_disables_triggers_records_nothing(
    db: Connection, dsn: str, data: Callable[..., str]
) -> None:
    restore(data("--disable-triggers"), dsn)
    assert db.execute("select count(*) from shop.item").fetchone() == (2,)
    assert log(db) == []
    db.execute("update shop.item set price = 5 where id = 1")
    assert actions(db) == [("update", 1)]


def test_a_restore_that_disables_triggers_ends_always_until_the_table_is_tracked_again(
    db: Connection, dsn: str, data: Callable[..., str]
) -> None:
    # ALTER TABLE .. ENABLE TRIGGER ALL knows no other way to enable them; `rowhooks doctor` says so.
    db.execute("select rowhooks.track('shop.item', always => true)")
    restore(data("--disable-triggers"), dsn)
    assert log(db) == []
    enabled = "select distinct tgenabled from pg_trigger where tgrelid = 'shop.item'::regclass"
    assert db.execute(enabled).fetchall() == [("O",)]
    db.execute("select rowhooks.track('shop.item', always => true)")
    assert db.execute(enabled).fetchall() == [("A",)]


def test_a_data_only_restore_under_the_replica_role_records_nothing_unless_asked_to(
    db: Connection, dsn: str, data: Callable[..., str]
) -> None:
    script, replica = data(), make_conninfo(dsn, options="-c session_replication_role=replica")
    restore(script, replica)
    assert log(db) == []
    db.execute("truncate shop.item")
    clear(db)
    db.execute("select rowhooks.track('shop.item', always => true)")
    restore(script, replica)
    assert actions(db) == [("create", 1), ("create", 2)]


def test_a_data_only_restore_that_leaves_the_triggers_on_asks_to_be_recorded(
    db: Connection, dsn: str, data: Callable[..., str]
) -> None:
    restore(data(), dsn)
    assert actions(db) == [("create", 1), ("create", 2)]
