"""Which statements are captured, and what is recorded of each row."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.log import actions, clear, log

Connection = psycopg.Connection[Any]


def test_an_inserted_row_is_a_create_with_the_new_row(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1.50)")
    assert log(db) == [("create", {"id": 1}, None, {"id": 1, "name": "bolt", "price": 1.50})]


def test_an_updated_row_is_an_update_with_the_row_before_and_after(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    clear(db)
    db.execute("update shop.item set price = 2")
    before, after = {"id": 1, "name": "bolt", "price": 1}, {"id": 1, "name": "bolt", "price": 2}
    assert log(db) == [("update", {"id": 1}, before, after)]


def test_a_deleted_row_is_a_delete_with_the_old_row(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    clear(db)
    db.execute("delete from shop.item")
    assert log(db) == [("delete", {"id": 1}, {"id": 1, "name": "bolt", "price": 1}, None)]


def test_a_truncate_is_one_change_without_a_key(db: Connection, item: str) -> None:
    db.execute("insert into shop.item select i, 'bolt', 1 from generate_series(1, 3) as i")
    clear(db)
    db.execute("truncate shop.item")
    assert log(db) == [("truncate", None, None, None)]


def test_a_truncate_that_cascades_is_recorded_for_each_tracked_table(db: Connection, item: str) -> None:
    db.execute("create table shop.part (id integer primary key, item integer references shop.item)")
    db.execute("select rowhooks.track('shop.part')")
    db.execute("truncate shop.item cascade")
    recorded = db.execute("select action, object_type from rowhooks.changes order by object_type").fetchall()
    assert recorded == [("truncate", "shop.item"), ("truncate", "shop.part")]


def test_a_change_names_its_table_time_login_and_transaction(db: Connection, item: str) -> None:
    with db.transaction():
        db.execute("insert into shop.item values (1, 'bolt', 1)")
        xact = db.execute("select pg_current_xact_id()::text").fetchone()
    recorded = db.execute(
        "select object_type, db_user, transaction_id::text, time between now() - interval '1 minute' and now(),"
        " user_name, request_id, change_context, receiver, capture_error from rowhooks.changes"
    ).fetchone()
    assert xact is not None
    assert recorded == ("shop.item", db.info.user, xact[0], True, None, None, None, None, None)


def test_rows_of_one_statement_are_recorded_in_the_order_they_were_written(db: Connection, item: str) -> None:
    db.execute("insert into shop.item select i, 'bolt', 1 from generate_series(1, 50) as i")
    assert actions(db) == [("create", i) for i in range(1, 51)]


def test_copy_is_captured(db: Connection, item: str) -> None:
    with db.cursor().copy("copy shop.item from stdin") as copy:
        copy.write("1\tbolt\t1\n2\tnut\t\\N\n")
    assert log(db, "action, object_id, postchange ->> 'price'") == [
        ("create", {"id": 1}, "1"),
        ("create", {"id": 2}, None),
    ]


def test_on_conflict_do_update_is_a_create_or_an_update(db: Connection, item: str) -> None:
    upsert = (
        "insert into shop.item values (1, 'bolt', 1), (2, 'nut', 2) on conflict (id) do update set name = excluded.name"
    )
    db.execute("insert into shop.item values (1, 'screw', 1)")
    clear(db)
    db.execute(upsert)
    assert actions(db) == [("update", 1), ("create", 2)]


def test_on_conflict_do_nothing_records_only_the_row_it_wrote(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'screw', 1)")
    clear(db)
    db.execute("insert into shop.item values (1, 'bolt', 1), (2, 'nut', 2) on conflict do nothing")
    assert actions(db) == [("create", 2)]


def test_merge_is_captured_by_what_it_did_to_each_row(db: Connection, item: str) -> None:
    if db.info.server_version < 150000:
        pytest.skip("MERGE came with PostgreSQL 15")
    db.execute("insert into shop.item values (1, 'bolt', 1), (2, 'nut', 2)")
    clear(db)
    db.execute(
        """
        merge into shop.item as t
        using (values (1, 10), (2, null), (3, 30)) as s (id, price) on t.id = s.id
        when matched and s.price is null then delete
        when matched then update set price = s.price
        when not matched then insert values (s.id, 'new', s.price)
        """
    )
    assert sorted(actions(db)) == [("create", 3), ("delete", 2), ("update", 1)]


def test_update_from_records_each_row_once_however_many_rows_join(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1), (2, 'nut', 2)")
    clear(db)
    db.execute(
        "update shop.item as i set price = 9 from (values (1), (1), (2)) as s (id) where s.id = i.id and i.id = 1"
    )
    assert actions(db) == [("update", 1)]


def test_data_modifying_ctes_are_captured(db: Connection, item: str) -> None:
    db.execute("create table shop.archive (like shop.item including all)")
    db.execute("select rowhooks.track('shop.archive')")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    clear(db)
    db.execute(
        "with gone as (delete from shop.item returning *), moved as (insert into shop.archive select * from gone)"
        " select 1"
    )
    recorded = db.execute("select action, object_type, object_id from rowhooks.changes").fetchall()
    assert sorted(recorded) == [("create", "shop.archive", {"id": 1}), ("delete", "shop.item", {"id": 1})]


def test_cascaded_deletes_and_updates_are_captured_row_by_row(db: Connection, item: str) -> None:
    db.execute(
        "create table shop.part (id integer primary key,"
        " item integer references shop.item on delete cascade on update cascade)"
    )
    db.execute("select rowhooks.track('shop.part')")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("insert into shop.part values (10, 1), (11, 1)")
    clear(db)
    db.execute("update shop.item set id = 2")
    assert actions(db) == [("update", 2), ("update", 10), ("update", 11)]
    clear(db)
    db.execute("delete from shop.item")
    assert actions(db) == [("delete", 2), ("delete", 10), ("delete", 11)]


def test_a_cascade_that_sets_null_or_the_default_is_captured(db: Connection, item: str) -> None:
    db.execute("create table shop.part (id int primary key, item integer references shop.item on delete set null)")
    db.execute("select rowhooks.track('shop.part')")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("insert into shop.part values (10, 1)")
    clear(db)
    db.execute("delete from shop.item")
    assert log(db, "action, postchange") == [("delete", None), ("update", {"id": 10, "item": None})]


def test_what_a_before_trigger_makes_of_a_row_is_what_is_recorded(db: Connection, item: str) -> None:
    db.execute(
        "create function shop.upper_name() returns trigger language plpgsql"
        " as 'begin new.name := upper(new.name); return new; end'"
    )
    db.execute("create trigger a before insert on shop.item for each row execute function shop.upper_name()")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "postchange ->> 'name'") == [("BOLT",)]


def test_a_row_that_a_before_trigger_suppressed_is_not_recorded(db: Connection, item: str) -> None:
    db.execute("create function shop.refuse() returns trigger language plpgsql as 'begin return null; end'")
    db.execute("create trigger a before insert on shop.item for each row execute function shop.refuse()")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db) == []


def test_an_update_that_changes_nothing_records_nothing(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', null)")
    clear(db)
    db.execute("update shop.item set name = name, price = null")
    assert log(db) == []


def test_a_no_op_update_is_known_for_types_without_an_equality_operator(db: Connection) -> None:
    db.execute("create table public.spot (id integer primary key, doc json, place point, shape polygon)")
    db.execute("select rowhooks.track('public.spot')")
    db.execute("""insert into public.spot values (1, '{"a": 1}', '(1,2)', '((0,0),(1,1),(2,0))')""")
    clear(db)
    db.execute("update public.spot set place = '(1,2)', doc = doc")
    assert log(db) == []
    db.execute("update public.spot set place = '(1,3)'")
    assert log(db, "action, postchange ->> 'place'") == [("update", "(1,3)")]


def test_a_no_op_update_of_a_toasted_value_records_nothing(db: Connection, item: str) -> None:
    db.execute("insert into shop.item select 1, string_agg(md5(i::text), ''), 1 from generate_series(1, 5000) as i")
    clear(db)
    db.execute("update shop.item set name = name || ''")
    assert log(db) == []


def test_a_changed_key_is_one_update_with_both_keys(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    clear(db)
    db.execute("update shop.item set id = 7")
    assert log(db, "action, object_id, prechange -> 'id', postchange -> 'id'") == [("update", {"id": 7}, 1, 7)]


def test_a_composite_key_is_recorded_with_all_its_columns(db: Connection) -> None:
    db.execute("create table public.seat (price numeric, row_no integer, hall text, primary key (hall, row_no))")
    db.execute("select rowhooks.track('public.seat')")
    db.execute("insert into public.seat values (9, 3, 'big')")
    assert log(db, "object_id, object_repr") == [({"hall": "big", "row_no": 3}, "big, 3")]


def test_included_columns_of_the_key_s_index_are_no_part_of_the_key(db: Connection) -> None:
    db.execute("create table public.seat (id integer, note text, primary key (id) include (note))")
    db.execute("select rowhooks.track('public.seat')")
    db.execute("insert into public.seat values (9, 'x')")
    assert log(db, "object_id") == [({"id": 9},)]


def test_a_row_is_called_by_its_name_column_or_else_by_its_key(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1), (2, null, 1)")
    assert log(db, "object_repr") == [("bolt",), ("2",)]


def test_the_name_of_a_deleted_row_is_kept(db: Connection, item: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("delete from shop.item")
    assert log(db, "action, object_repr") == [("create", "bolt"), ("delete", "bolt")]


def test_a_transaction_rolled_back_leaves_nothing(db: Connection, item: str) -> None:
    with db.transaction(force_rollback=True):
        db.execute("insert into shop.item values (1, 'bolt', 1)")
        assert len(log(db)) == 1
    assert log(db) == []


def test_what_is_rolled_back_to_a_savepoint_leaves_nothing(db: Connection, item: str) -> None:
    with db.transaction():
        db.execute("insert into shop.item values (1, 'bolt', 1)")
        with db.transaction(force_rollback=True):
            db.execute("insert into shop.item values (2, 'nut', 1)")
        db.execute("insert into shop.item values (3, 'screw', 1)")
    assert actions(db) == [("create", 1), ("create", 3)]


def test_a_change_inside_a_savepoint_carries_the_top_level_transaction(db: Connection, item: str) -> None:
    with db.transaction():
        db.execute("insert into shop.item values (1, 'bolt', 1)")
        with db.transaction():
            db.execute("insert into shop.item values (2, 'nut', 1)")
        top = db.execute("select pg_current_xact_id()::text").fetchone()
    assert log(db, "distinct transaction_id::text, 1 as id") == [(*(top or ()), 1)]


def test_the_log_has_the_order_of_changes_when_an_after_trigger_updates_the_same_row(db: Connection, item: str) -> None:
    db.execute(
        """
        create function shop.next_price() returns trigger language plpgsql as $$
        begin
          if new.price < 3 then update shop.item set price = price + 1 where id = new.id; end if;
          return null;
        end $$
        """
    )
    db.execute(
        'create trigger "Aaa" after insert or update on shop.item for each row execute function shop.next_price()'
    )
    db.execute("insert into shop.item values (1, 'bolt', 0)")
    assert log(db, "action, prechange -> 'price', postchange -> 'price'") == [
        ("create", None, 0),
        ("update", 0, 1),
        ("update", 1, 2),
        ("update", 2, 3),
    ]


def test_a_missing_partition_of_the_log_falls_into_the_default_partition(db: Connection, item: str) -> None:
    for (name,) in db.execute(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'rowhooks.object_change'::regclass"
        " and inhrelid <> 'rowhooks.object_change_default'::regclass"
    ).fetchall():
        db.execute(f"drop table {name}")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "tableoid::regclass::text, action") == [("rowhooks.object_change_default", "create")]


def test_a_serializable_transaction_writes_as_before(db: Connection, item: str) -> None:
    db.execute("begin isolation level serializable")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("commit")
    assert actions(db) == [("create", 1)]
