"""What follows DDL by itself, and never gets into its way."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from tests.support.log import actions, log
from tests.support.roles import ConnectAs, MakeRole

Connection = psycopg.Connection[Any]


def tracked(db: Connection) -> list[str]:
    return [
        name
        for (name,) in db.execute(
            "select concat(t.schema_name, '.', t.table_name) from rowhooks.tracked_table as t"
            " where t.untracked_at is null order by 1"
        )
    ]


@pytest.fixture
def rule(db: Connection) -> None:
    """Every table of schema app that is made from now on."""
    db.execute("create schema app")
    db.execute("insert into rowhooks.tracking_rule (pattern) values ('app.*')")


def test_a_renamed_key_is_in_the_capture_function_when_the_statement_ends(db: Connection, item: str) -> None:
    with db.transaction():
        db.execute("alter table shop.item rename column id to number")
        source = db.execute("select prosrc from pg_proc where proname = 'capture_1'").fetchone()
    assert source is not None
    assert "'number'" in source[0]
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "object_id") == [({"number": 1},)]


def test_a_renamed_table_is_listed_under_its_new_name(db: Connection, item: str) -> None:
    db.execute("alter table shop.item rename to thing")
    assert tracked(db) == ["shop.thing"]
    db.execute("alter schema shop rename to store")
    assert tracked(db) == ["store.thing"]


def test_a_dropped_table_is_forgotten_and_its_history_stays(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("drop schema shop cascade")
    assert tracked(db) == []
    assert db.execute("select from pg_proc where proname = 'capture_1'").fetchone() is None
    assert actions(db) == [("create", 1)]


def test_ddl_that_is_rolled_back_changes_nothing_here(db: Connection, item: str) -> None:
    with db.transaction(force_rollback=True):
        db.execute("drop table shop.item")
    assert tracked(db) == ["shop.item"]
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert actions(db) == [("create", 1)]


def test_a_new_table_that_a_rule_means_is_tracked_in_the_transaction_that_makes_it(db: Connection, rule: None) -> None:
    with db.transaction():
        db.execute("create table app.thing (id integer primary key)")
        db.execute("insert into app.thing values (1)")
    db.execute("create table public.other (id integer primary key)")
    assert tracked(db) == ["app.thing"]
    assert actions(db) == [("create", 1)]


def test_a_table_that_gets_its_key_later_is_tracked_then(db: Connection, rule: None) -> None:
    db.execute("create table app.thing (id integer)")
    assert tracked(db) == []
    db.execute("alter table app.thing add primary key (id)")
    assert tracked(db) == ["app.thing"]


def test_a_table_that_was_untracked_by_hand_stays_so(db: Connection, rule: None) -> None:
    db.execute("create table app.thing (id integer primary key)")
    db.execute("select rowhooks.untrack('app.thing')")
    db.execute("alter table app.thing add column note text")
    assert tracked(db) == []


@pytest.mark.parametrize("statement", [
    "create table app.parted (id integer primary key) partition by range (id)",
    "create temporary table thing (id integer primary key)",
    "create table app.copy as select 1 as id",
    "create view app.view as select 1 as id",
    "create unlogged table app.fast (id integer primary key)",
    "create table if not exists app.once (id integer primary key)",
])  # fmt: skip
def test_no_statement_that_makes_a_relation_fails_under_a_rule(db: Connection, rule: None, statement: str) -> None:
    db.execute(statement)
    expected = {"parted": ["app.parted"], "fast": ["app.fast"], "once": ["app.once"]}
    assert tracked(db) == next((names for word, names in expected.items() if f"app.{word}" in statement), [])


def test_partitions_are_tracked_by_their_parent_and_not_by_the_rule(db: Connection, rule: None) -> None:
    db.execute("create table app.parted (id integer primary key) partition by range (id)")
    db.execute("create table app.parted_1 partition of app.parted default")
    db.execute("insert into app.parted values (1)")
    assert tracked(db) == ["app.parted"]
    assert actions(db) == [("create", 1)]


def test_a_table_that_is_attached_to_a_tracked_one_is_recorded_once_as_its_partition(
    db: Connection, rule: None
) -> None:
    db.execute("create table app.parted (id integer primary key) partition by range (id)")
    # As partition managers do: first a table of its own, which the rule means, then attached.
    db.execute("create table app.part (like app.parted including all)")
    db.execute("insert into app.part values (1)")
    assert tracked(db) == ["app.part", "app.parted"]
    db.execute("alter table app.parted attach partition app.part default")
    db.execute("insert into app.parted values (2)")
    db.execute("update app.part set id = 3 where id = 2")
    assert tracked(db) == ["app.parted"]
    assert log(db, "action, object_id, tracked_table") == [
        ("create", {"id": 1}, 2), ("create", {"id": 2}, 1), ("update", {"id": 3}, 1),
    ]  # fmt: skip


def test_a_tracked_subtree_that_is_attached_is_recorded_once_too(db: Connection, rule: None) -> None:
    db.execute("create table app.parted (id integer, day integer, primary key (id, day)) partition by range (id)")
    db.execute("create table app.sub (like app.parted including all) partition by range (day)")
    db.execute("create table app.leaf partition of app.sub default")
    db.execute("alter table app.parted attach partition app.sub default")
    db.execute("insert into app.leaf values (1, 1)")
    assert tracked(db) == ["app.parted"]
    assert log(db, "action, tracked_table") == [("create", 1)]


def test_a_role_that_knows_nothing_of_rowhooks_makes_tables_that_are_tracked(
    db: Connection, rule: None, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    role = make_role("developer")
    db.execute(f"grant create, usage on schema app to {role}")
    developer = connect_as(role)
    developer.execute("create table app.thing (id integer primary key)")
    developer.execute("insert into app.thing values (1)")
    developer.execute("alter table app.thing rename column id to number")
    developer.execute("drop table app.thing")
    assert actions(db) == [("create", 1)]
    assert tracked(db) == []


@pytest.mark.parametrize("caller_owns_nothing", [True, False], ids=["somebody else", "a superuser"])
def test_a_table_that_a_security_definer_function_makes_is_tracked(
    db: Connection, rule: None, make_role: MakeRole, connect_as: ConnectAs, caller_owns_nothing: bool
) -> None:
    owner, caller = make_role("owner"), make_role("caller")
    db.execute(f"grant create, usage on schema app to {owner}")
    connect_as(owner).execute(
        "create function app.provision(name text) returns void language plpgsql security definer as $$ begin"
        " execute format('create table app.%I (id integer primary key, n integer) partition by range (id)', name);"
        " execute format('create table app.%I (id integer primary key, n integer)', name || '_1');"
        " execute format('insert into app.%I values (1, 1)', name || '_1');"
        " execute format('alter table app.%I attach partition app.%I default', name, name || '_1');"
        " execute format('insert into app.%I values (2, 1)', name);"
        " execute format('alter table app.%I rename column id to number', name);"
        " execute format('insert into app.%I values (3, 1)', name); end $$"
    )
    db.execute(f"grant usage on schema app to {caller}")
    conn = connect_as(caller) if caller_owns_nothing else db
    conn.execute("select app.provision('tenant')")
    assert tracked(db) == ["app.tenant"]
    assert actions(db) == [("create", 1), ("create", 2), ("create", 3)]
    if caller_owns_nothing:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select rowhooks.register_table('app.tenant', '{id}', false, false, false, null, null, 'row')")


def test_tables_that_are_made_with_their_schema_are_tracked(
    db: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    db.execute("insert into rowhooks.tracking_rule (pattern) values ('tenant_?.*')")
    role = make_role("developer")
    db.execute(f"grant create on database {db.info.dbname} to {role}")
    connect_as(role).execute(
        "create schema tenant_1 create table thing (id integer primary key) create table item (id integer primary key)"
    )
    db.execute(f"create schema tenant_2 authorization {role} create table thing (id integer primary key)")
    assert tracked(db) == ["tenant_1.item", "tenant_1.thing", "tenant_2.thing"]
    db.execute("insert into tenant_2.thing values (1)")
    assert actions(db) == [("create", 1)]


def test_transactions_that_make_tables_do_not_wait_for_each_other(db: Connection, dsn: str, rule: None) -> None:
    with psycopg.connect(dsn) as first, psycopg.connect(dsn, autocommit=True) as second:
        first.execute("create table app.one (id integer primary key)")
        second.execute("set lock_timeout = '5s'")
        second.execute("create table app.two (id integer primary key)")
        second.execute("insert into rowhooks.job (class_path, kind, name) values ('a.B', 'hook', 'B')")
        first.commit()
    assert tracked(db) == ["app.one", "app.two"]


def test_a_rule_that_breaks_something_costs_a_line_in_the_log_and_no_statement(db: Connection, rule: None) -> None:
    db.execute(
        "alter function rowhooks.track(regclass, boolean, interval, text[], boolean, text[], text[], text)"
        " rename to no_longer"
    )
    db.execute("create table app.thing (id integer primary key)")
    assert tracked(db) == []
    assert db.execute("select to_regclass('app.thing') is not null").fetchone() == (True,)


def test_a_hostile_search_path_does_not_lead_the_event_triggers_astray(
    db: Connection, rule: None, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    role = make_role("developer")
    db.execute(f"create schema hostile authorization {role}")
    db.execute(f"grant create, usage on schema app to {role}")
    developer = connect_as(role)
    developer.execute(
        "create function hostile.format(text, variadic text[]) returns text language plpgsql as"
        " $$ begin raise exception 'led astray as %', current_user; end $$"
    )
    developer.execute("create table hostile.tracked_table (id integer)")
    developer.execute("set search_path = hostile, pg_catalog")
    developer.execute("create table app.thing (id integer primary key)")
    assert tracked(db) == ["app.thing"]


def test_a_refresh_does_not_wait_for_an_open_transaction_that_alters_a_table(
    db: Connection, dsn: str, item: str
) -> None:
    with psycopg.connect(dsn) as migration:
        migration.execute("alter table shop.item rename to thing")
        done = threading.Event()

        def refresh() -> None:
            with psycopg.connect(dsn, autocommit=True) as daemon:
                daemon.execute("select rowhooks.refresh_tables()")
            done.set()

        thread = threading.Thread(target=refresh)
        thread.start()
        assert done.wait(20)
        thread.join()
        migration.commit()
    assert tracked(db) == ["shop.thing"]


@pytest.mark.parametrize(("name", "pattern", "meant"), [
    ("app.thing", "app.*", True), ("app.thing", "app.th?ng", True), ("app.thing", "*.thing", True),
    ("app.thing", "app.[a-t]hing", True), ("app.thing", "app.[!a-s]hing", True), ("app.thing", "app.[!t]hing", False),
    ("apple.thing", "app.*", False), ("appxthing", "app.*", False), ("app.a(b)", "app.a(b)", True),
    ("app.thing", "APP.*", False), ("app.a$b", "app.a$*", True), ("app.th\\ing", "app.th\\*", True),
])  # fmt: skip
def test_a_glob_means_what_the_command_line_reads(db: Connection, name: str, pattern: str, meant: bool) -> None:
    from fnmatch import fnmatchcase

    assert db.execute("select rowhooks.matches_glob(%s, %s)", (name, pattern)).fetchone() == (meant,)
    assert fnmatchcase(name, pattern) == meant
