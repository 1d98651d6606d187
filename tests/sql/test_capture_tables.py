"""Tables known by other columns than a primary key or by none; keys, values, partitions, inheritance."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.log import actions, clear, log
from tests.support.rows import first_value

Connection = psycopg.Connection[Any]


def test_a_table_without_a_key_is_recorded_row_by_row_and_without_one(db: Connection) -> None:
    db.execute("create table public.reading (at integer, name text)")
    db.execute("select rowhooks.track('public.reading', identity => '{}')")
    db.execute("insert into public.reading values (1, 'a'), (1, 'a')")
    db.execute("update public.reading set at = 2 where ctid = '(0,1)'")
    db.execute("delete from public.reading where at = 1")
    one, two = {"at": 1, "name": "a"}, {"at": 2, "name": "a"}
    assert log(db) == [
        ("create", None, None, one),
        ("create", None, None, one),
        ("update", None, one, two),
        ("delete", None, one, None),
    ]


def test_a_row_without_a_key_is_called_by_its_name_or_its_contents(db: Connection) -> None:
    db.execute("create table public.named (name text)")
    db.execute("create table public.nameless (n integer, body text)")
    db.execute("select rowhooks.track('public.named', identity => '{}')")
    db.execute("select rowhooks.track('public.nameless', identity => '{}')")
    db.execute("insert into public.named values ('ada')")
    db.execute("insert into public.nameless values (1, repeat('x', 300))")
    assert log(db, "object_repr") == [("ada",), (('{"n": 1, "body": "' + "x" * 300)[:200],)]


def test_a_row_that_jsonb_refuses_in_a_table_without_a_key_is_recorded_by_its_action(db: Connection) -> None:
    db.execute("create table public.doc (body json)")
    db.execute("select rowhooks.track('public.doc', identity => '{}')")
    db.execute(r"""insert into public.doc values ('{"x": "\u0000"}')""")
    assert log(db, "action, object_id, postchange, capture_error is not null") == [("create", None, None, True)]


def test_rows_are_known_by_the_columns_that_were_named(db: Connection) -> None:
    db.execute('create table public.tag (id integer primary key, "Größe" text not null, n integer not null)')
    db.execute('create unique index on public.tag (n, "Größe")')
    db.execute("""select rowhooks.track('public.tag', identity => '{"Größe",n}')""")
    db.execute("insert into public.tag values (1, 'XL', 7)")
    db.execute("update public.tag set n = 8")
    db.execute("delete from public.tag")
    assert log(db, "action, object_id, object_repr") == [
        ("create", {"Größe": "XL", "n": 7}, "XL, 7"),
        ("update", {"Größe": "XL", "n": 8}, "XL, 8"),
        ("delete", {"Größe": "XL", "n": 8}, "XL, 8"),
    ]


@pytest.mark.parametrize("index", [
    "create index on public.tag (code)",
    "create unique index on public.tag (code) where code <> ''",
    "create unique index on public.tag (lower(code))",
    "create unique index on public.tag (code, note)",
    "alter table public.tag add unique (code) deferrable",
    "create unique index on public.tag (nullable)",
])  # fmt: skip
def test_columns_that_do_not_tell_rows_apart_are_refused(db: Connection, index: str) -> None:
    db.execute("create table public.tag (code text not null, note text not null, nullable text)")
    db.execute(index)
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="nothing says that they tell its rows apart"):
        db.execute("select rowhooks.track('public.tag', identity => '{code}')")


# type, what is written, what the log holds
VALUES = [
    ("smallint", "-32768", -32768),
    ("bigint", "9223372036854775807", 9223372036854775807),
    ("numeric(6,2)", "1.5", "1.50"),
    ("numeric", "1e-30", "0.000000000000000000000000000001"),
    ("numeric", "NaN", "NaN"),
    ("numeric", "-Infinity", "-Infinity"),
    ("double precision", "NaN", "NaN"),
    ("double precision", "1e300", None),
    ("real", "0.1", "0.1"),
    ("boolean", "yes", True),
    ("text", "Größe \\ \"'日本", "Größe \\ \"'日本"),
    ("char(3)", "x", "x  "),
    ("varchar(5)", "", ""),
    ("uuid", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000001"),
    ("bytea", "\\x00ff", "\\x00ff"),
    ("date", "infinity", "infinity"),
    ("date", "0044-03-15 BC", "0044-03-15 BC"),
    ("timestamp", "2024-02-29 12:00:00.000001", "2024-02-29T12:00:00.000001"),
    ("timestamptz", "2024-02-29 12:00:00+00", "2024-02-29T12:00:00+00:00"),
    ("timestamptz", "-infinity", "-infinity"),
    ("interval", "1 day 2 hours", "1 day 02:00:00"),
    ("integer[]", "{1,NULL,3}", [1, None, 3]),
    ("text[]", '{"a,b","c\\"d"}', ["a,b", 'c"d']),
    ("integer[]", "{{1,2},{3,4}}", [[1, 2], [3, 4]]),
    ("int4range", "[1,5)", "[1,5)"),
    ("numrange", "(,1.50]", "(,1.50]"),
    ("int4range", "empty", "empty"),
    ("int4multirange", "{[1,3),[7,9)}", "{[1,3),[7,9)}"),
    ("jsonb", '{"b": [1, null], "a": "é"}', {"a": "é", "b": [1, None]}),
    ("inet", "10.0.0.1/8", "10.0.0.1/8"),
    ("bit(3)", "101", "101"),
    ("public.mood", "Größe '1'", "Größe '1'"),
    ("public.positive", "3", 3),
    ("public.moods", "{ok}", ["ok"]),
    ("public.pair", '(1,"a b")', {"a": 1, "b": "a b"}),
]


@pytest.mark.parametrize(("type_", "text", "recorded"), VALUES)
def test_a_value_of_any_type_is_recorded_in_the_row_and_in_its_key(
    db: Connection, type_: str, text: str, recorded: Any
) -> None:
    db.execute("create type public.mood as enum ('sad', 'ok', 'Größe ''1''')")
    db.execute("create domain public.positive as integer check (value > 0)")
    db.execute("create domain public.moods as public.mood[]")
    db.execute("create type public.pair as (a integer, b text)")
    db.execute("set timezone = 'UTC'")
    db.execute(sql.SQL("create table public.t (k {0} primary key, v {0}, a {0}[])").format(sql.SQL(type_)))
    db.execute("select rowhooks.track('public.t')")
    value = sql.SQL("{}::{}").format(sql.Literal(text), sql.SQL(type_))
    db.execute(sql.SQL("insert into public.t values ({0}, {0}, array[{0}])").format(value))
    db.execute("update public.t set v = null")
    db.execute("delete from public.t")
    # What the server itself makes of the value; where numbers are concerned, with their digits.
    expected = first_value(db, sql.SQL("select jsonb_build_object('k', {})::text").format(value))
    assert log(db, "action, object_id::text, capture_error") == [
        ("create", expected, None), ("update", expected, None), ("delete", expected, None),
    ]  # fmt: skip
    written = "select postchange ->> 'k' from rowhooks.object_change where action = 'create'"
    if isinstance(recorded, str):
        assert db.execute(written).fetchone() == (recorded,)
    elif recorded is not None:
        assert log(db, "postchange -> 'k'")[0] == (recorded,)
    rows = (
        "postchange -> 'v' is not distinct from object_id -> 'k', prechange -> 'v' = 'null',"
        " jsonb_typeof(postchange -> 'a')"
    )
    assert log(db, rows)[0] == (True, None, "array")
    assert log(db, "prechange -> 'v' = prechange -> 'k', postchange -> 'v' = 'null'")[1] == (True, True)


def test_identity_columns_sequences_and_defaults_are_recorded_as_stored(db: Connection) -> None:
    db.execute(
        "create table public.made (a bigint generated always as identity primary key,"
        " b integer generated by default as identity, c serial, d integer default 7,"
        " e integer generated always as (d * 2) stored)"
    )
    db.execute("select rowhooks.track('public.made')")
    db.execute("insert into public.made default values")
    db.execute("insert into public.made (a, b, d) overriding system value values (10, 20, 8)")
    db.execute("update public.made set d = 9 where a = 10")
    assert log(db) == [
        ("create", {"a": 1}, None, {"a": 1, "b": 1, "c": 1, "d": 7, "e": 14}),
        ("create", {"a": 10}, None, {"a": 10, "b": 20, "c": 2, "d": 8, "e": 16}),
        ("update", {"a": 10}, {"a": 10, "b": 20, "c": 2, "d": 8, "e": 16}, {"a": 10, "b": 20, "c": 2, "d": 9, "e": 18}),
    ]


def test_a_generated_column_may_be_the_key(db: Connection) -> None:
    db.execute("create table public.made (n integer, k integer generated always as (n * 2) stored primary key)")
    db.execute("select rowhooks.track('public.made')")
    db.execute("insert into public.made values (1)")
    db.execute("update public.made set n = 2")
    assert log(db, "object_id, prechange -> 'k'") == [({"k": 2}, None), ({"k": 4}, 2)]


@pytest.fixture
def event(db: Connection) -> str:
    """A table partitioned at two levels, tracked."""
    db.execute(
        "create table public.event (id integer, day integer, note text, primary key (id, day)) partition by range (day)"
    )
    db.execute("create table public.early partition of public.event for values from (0) to (10) partition by list (id)")
    db.execute("create table public.early_one partition of public.early for values in (1)")
    db.execute("create table public.early_rest partition of public.early default")
    db.execute("create table public.late partition of public.event for values from (10) to (20)")
    db.execute("select rowhooks.track('public.event')")
    return "public.event"


def at(id_: int, day: int, note: str | None = None) -> dict[str, Any]:
    return {"id": id_, "day": day, "note": note}


def key(id_: int, day: int) -> dict[str, Any]:
    return {"id": id_, "day": day}


def test_rows_are_recorded_at_whichever_level_they_were_written(db: Connection, event: str) -> None:
    db.execute("insert into public.event values (1, 5, 'top')")
    db.execute("insert into public.early values (1, 6, 'middle')")
    db.execute("insert into public.early_one values (1, 7, 'leaf')")
    with db.cursor().copy("copy public.early_rest from stdin") as copy:
        copy.write("2\t3\tcopied\n")
    db.execute("update public.early_one set note = 'x' where day = 5")
    db.execute("update public.early set note = 'y' where day = 6")
    db.execute("delete from public.early_rest")
    assert log(db) == [
        ("create", key(1, 5), None, at(1, 5, "top")),
        ("create", key(1, 6), None, at(1, 6, "middle")),
        ("create", key(1, 7), None, at(1, 7, "leaf")),
        ("create", key(2, 3), None, at(2, 3, "copied")),
        ("update", key(1, 5), at(1, 5, "top"), at(1, 5, "x")),
        ("update", key(1, 6), at(1, 6, "middle"), at(1, 6, "y")),
        ("delete", key(2, 3), at(2, 3, "copied"), None),
    ]
    assert log(db, "distinct tracked_table, 1 as id") == [(1, 1)]


def test_an_update_that_moves_a_row_between_partitions_is_a_delete_and_a_create(db: Connection, event: str) -> None:
    db.execute("insert into public.event values (1, 5, 'a')")
    clear(db)
    db.execute("update public.event set id = 2")
    db.execute("update public.event set day = 15")
    db.execute("update public.early set day = 6")
    assert log(db) == [
        ("delete", key(1, 5), at(1, 5, "a"), None),
        ("create", key(2, 5), None, at(2, 5, "a")),
        ("delete", key(2, 5), at(2, 5, "a"), None),
        ("create", key(2, 15), None, at(2, 15, "a")),
    ]


def test_an_update_within_its_partition_is_one_update(db: Connection, event: str) -> None:
    db.execute("insert into public.event values (1, 5)")
    clear(db)
    db.execute("update public.event set day = 6")
    assert log(db) == [("update", key(1, 6), at(1, 5), at(1, 6))]


def test_an_upsert_into_a_partitioned_table_is_captured(db: Connection, event: str) -> None:
    for note in ("a", "b", "b"):
        db.execute(
            "insert into public.event values (1, 5, %s) on conflict (id, day) do update set note = excluded.note",
            (note,),
        )
    assert log(db) == [("create", key(1, 5), None, at(1, 5, "a")), ("update", key(1, 5), at(1, 5, "a"), at(1, 5, "b"))]


def test_an_attached_partition_is_captured_from_then_on_with_its_own_order_of_columns(
    db: Connection, event: str
) -> None:
    db.execute("create table public.more (note text, gone text, day integer not null, id integer not null)")
    db.execute("alter table public.more drop column gone")
    db.execute("insert into public.more values ('before', 25, 1)")
    db.execute("alter table public.event attach partition public.more for values from (20) to (30)")
    assert log(db) == []
    db.execute("insert into public.event values (2, 26, 'through')")
    db.execute("insert into public.more values ('directly', 27, 3)")
    db.execute("update public.event set note = 'later' where id = 1")
    assert log(db) == [
        ("create", key(2, 26), None, at(2, 26, "through")),
        ("create", key(3, 27), None, at(3, 27, "directly")),
        ("update", key(1, 25), at(1, 25, "before"), at(1, 25, "later")),
    ]


def test_an_attached_subtree_is_captured_at_its_leaves(db: Connection, event: str) -> None:
    db.execute("create table public.tree (like public.event including all) partition by list (id)")
    db.execute("create table public.leaf partition of public.tree default")
    db.execute("alter table public.event attach partition public.tree for values from (20) to (30)")
    db.execute("insert into public.leaf values (1, 25, 'x')")
    assert log(db) == [("create", key(1, 25), None, at(1, 25, "x"))]


@pytest.mark.parametrize("how", ["", "concurrently"])
def test_a_detached_partition_writes_as_before_and_the_others_are_captured(
    db: Connection, event: str, how: str
) -> None:
    db.execute(f"alter table public.event detach partition public.late {how}")
    db.execute("insert into public.late values (1, 12)")
    db.execute("insert into public.event values (2, 5)")
    assert log(db) == [("create", key(2, 5), None, at(2, 5))]


def test_a_detached_partition_may_be_tracked_by_itself_and_attached_again(db: Connection, event: str) -> None:
    db.execute("alter table public.event detach partition public.late")
    db.execute("select rowhooks.track('public.late')")
    db.execute("insert into public.late values (1, 12)")
    db.execute("select rowhooks.untrack('public.late')")
    db.execute("alter table public.event attach partition public.late for values from (10) to (20)")
    db.execute("insert into public.late values (2, 12)")
    assert log(db, "object_id, tracked_table") == [(key(1, 12), 2), (key(2, 12), 1)]


def test_a_truncate_of_a_partitioned_table_is_one_change(db: Connection, event: str) -> None:
    db.execute("insert into public.event values (1, 5)")
    clear(db)
    db.execute("truncate public.event")
    assert log(db, "action, object_id, tracked_table") == [("truncate", None, 1)]


def test_a_tracked_parent_records_no_rows_of_a_child_that_is_not_tracked(db: Connection, item: str) -> None:
    db.execute("create table shop.book (isbn text) inherits (shop.item)")
    db.execute("insert into shop.book values (1, 'novel', 5, 'x-1')")
    db.execute("update shop.item set price = 6")
    assert log(db) == []


def test_a_row_of_a_tracked_child_is_recorded_once_and_with_all_its_columns(db: Connection, item: str) -> None:
    db.execute("create table shop.book (isbn text, primary key (id)) inherits (shop.item)")
    db.execute("create table shop.comic (hero text, primary key (id)) inherits (shop.book)")
    db.execute("select rowhooks.track('shop.book'), rowhooks.track('shop.comic')")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("insert into shop.book values (2, 'novel', 2, 'x')")
    db.execute("insert into shop.comic values (3, 'strip', 3, 'y', 'cat')")
    clear(db)
    db.execute("update shop.item set price = 9")
    db.execute("delete from only shop.book")
    assert log(db, "tracked_table, action, postchange") == [
        (1, "update", {"id": 1, "name": "bolt", "price": 9}),
        (2, "update", {"id": 2, "name": "novel", "price": 9, "isbn": "x"}),
        (3, "update", {"id": 3, "name": "strip", "price": 9, "isbn": "y", "hero": "cat"}),
        (2, "delete", None),
    ]


def test_an_unlogged_table_s_updates_and_deletes_are_captured(db: Connection) -> None:
    db.execute("create unlogged table public.quick (id integer primary key, n integer)")
    db.execute("select rowhooks.track('public.quick')")
    db.execute("insert into public.quick values (1, 1)")
    db.execute("update public.quick set n = 2")
    db.execute("alter table public.quick set logged")
    db.execute("delete from public.quick")
    assert actions(db) == [("create", 1), ("update", 1), ("delete", 1)]


def test_new_partitions_are_noted_and_nobody_waits_or_fails_for_an_entry_that_another_has(
    db: Connection, dsn: str
) -> None:
    db.execute("alter event trigger rowhooks_after_ddl disable")
    db.execute("create table public.parted (id integer primary key) partition by range (id)")
    db.execute("create table public.other (id integer primary key)")
    db.execute("create table public.late (id integer primary key)")
    db.execute("select rowhooks.track('public.parted'), rowhooks.track('public.other')")
    db.execute("create table public.parted_1 partition of public.parted for values from (0) to (10)")
    db.execute("alter table public.other rename to another")
    noted = "select table_name, cardinality(partitions) from rowhooks.tracked_table order by id"
    with psycopg.connect(dsn) as holder:
        holder.execute("select from rowhooks.tracked_table where table_name = 'parted' for update")
        db.execute("select rowhooks.track('public.late')")
        db.execute("select rowhooks.refresh_tables()")
        assert db.execute(noted).fetchall() == [("parted", 0), ("another", 0), ("late", 0)]
    db.execute("select rowhooks.refresh_tables()")
    assert db.execute(noted).fetchall() == [("parted", 1), ("another", 0), ("late", 0)]
