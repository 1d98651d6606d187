"""The statements that test_capture.py leaves out: each writes one change per row that really changed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.log import actions, clear, log

Connection = psycopg.Connection[Any]


@pytest.fixture
def stocked(db: Connection, item: str) -> None:
    """Two rows, and an empty log."""
    db.execute("insert into shop.item values (1, 'bolt', 1), (2, 'nut', 2)")
    clear(db)


def row(id_: int, name: str | None, price: int | None) -> dict[str, Any]:
    return {"id": id_, "name": name, "price": price}


@pytest.mark.parametrize("options", ["", "(format csv)", "(format binary)"])
def test_copy_in_every_format_records_its_rows(db: Connection, item: str, options: str) -> None:
    db.execute("create table shop.source as values (1, 'bolt'::text, 1::numeric), (2, null, 2)")
    with db.cursor() as cursor:
        with cursor.copy(f"copy shop.source to stdout {options}") as copy:
            data = b"".join(copy)
        with cursor.copy(f"copy shop.item from stdin {options}") as copy:
            copy.write(data)
    assert log(db) == [
        ("create", {"id": 1}, None, row(1, "bolt", 1)),
        ("create", {"id": 2}, None, row(2, None, 2)),
    ]


def test_copy_freeze_records_its_rows(db: Connection, item: str) -> None:
    with db.transaction():
        db.execute("truncate shop.item")
        with db.cursor().copy("copy shop.item from stdin (freeze)") as copy:
            copy.write("1\tbolt\t1\n")
    assert log(db) == [("truncate", None, None, None), ("create", {"id": 1}, None, row(1, "bolt", 1))]


def test_a_copy_that_fails_half_way_records_nothing(db: Connection, item: str) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation), db.cursor().copy("copy shop.item from stdin") as copy:
        copy.write("1\tbolt\t1\n2\tnut\t1\n1\tscrew\t1\n")
    assert log(db) == []


@pytest.mark.usefixtures("stocked")
def test_on_conflict_do_update_where_nothing_qualifies_records_nothing(db: Connection) -> None:
    db.execute(
        "insert into shop.item as i values (1, 'x', 9), (2, 'x', 9)"
        " on conflict (id) do update set price = excluded.price where i.price = 2"
    )
    assert log(db) == [("update", {"id": 2}, row(2, "nut", 2), row(2, "nut", 9))]


@pytest.mark.usefixtures("stocked")
def test_on_conflict_do_update_to_what_was_there_records_nothing(db: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1) on conflict (id) do update set name = excluded.name")
    assert log(db) == []


@pytest.mark.usefixtures("stocked")
def test_on_conflict_do_update_of_the_key_is_one_update_with_both_keys(db: Connection) -> None:
    db.execute("insert into shop.item values (1, 'x', 9) on conflict (id) do update set id = 3")
    assert log(db) == [("update", {"id": 3}, row(1, "bolt", 1), row(3, "bolt", 1))]


@pytest.mark.usefixtures("stocked")
def test_update_from_and_delete_using_record_each_row_with_its_data(db: Connection) -> None:
    db.execute("create table shop.price (id integer, price numeric)")
    db.execute("insert into shop.price values (1, 10), (2, 2), (3, 30)")
    db.execute("update shop.item as i set price = p.price from shop.price as p where p.id = i.id")
    assert log(db) == [("update", {"id": 1}, row(1, "bolt", 1), row(1, "bolt", 10))]
    clear(db)
    db.execute("delete from shop.item as i using shop.price as p where p.id = i.id and p.price = 2")
    assert log(db) == [("delete", {"id": 2}, row(2, "nut", 2), None)]


@pytest.mark.usefixtures("stocked")
def test_merge_records_each_row_with_its_data(db: Connection) -> None:
    if db.info.server_version < 150000:
        pytest.skip("MERGE came with PostgreSQL 15")
    db.execute(
        """
        merge into shop.item as t
        using (values (1, 10), (2, null), (3, 30), (4, 40)) as s (id, price) on t.id = s.id
        when matched and s.price is null then delete
        when matched then update set price = s.price
        when not matched and s.id = 4 then do nothing
        when not matched then insert values (s.id, 'new', s.price)
        """
    )
    assert sorted(log(db), key=lambda change: change[1]["id"]) == [
        ("update", {"id": 1}, row(1, "bolt", 1), row(1, "bolt", 10)),
        ("delete", {"id": 2}, row(2, "nut", 2), None),
        ("create", {"id": 3}, None, row(3, "new", 30)),
    ]


@pytest.mark.usefixtures("stocked")
def test_merge_by_source_with_returning_is_captured(db: Connection) -> None:
    if db.info.server_version < 170000:
        pytest.skip("MERGE knows NOT MATCHED BY SOURCE and RETURNING since PostgreSQL 17")
    db.execute(
        "merge into shop.item as t using (values (1)) as s (id) on t.id = s.id"
        " when not matched by source then update set price = 0 returning merge_action(), t.id"
    )
    assert log(db) == [("update", {"id": 2}, row(2, "nut", 2), row(2, "nut", 0))]


@pytest.mark.usefixtures("stocked")
def test_every_part_of_a_data_modifying_cte_is_captured(db: Connection) -> None:
    db.execute(
        "with gone as (delete from shop.item where id = 1 returning *),"
        " changed as (update shop.item set price = 3 where id = 2 returning *)"
        " insert into shop.item select id + 10, name, price from gone"
        " union all select id + 10, name, price from changed"
    )
    assert sorted(log(db), key=lambda change: change[1]["id"]) == [
        ("delete", {"id": 1}, row(1, "bolt", 1), None),
        ("update", {"id": 2}, row(2, "nut", 2), row(2, "nut", 3)),
        ("create", {"id": 11}, None, row(11, "bolt", 1)),
        ("create", {"id": 12}, None, row(12, "nut", 3)),
    ]


@pytest.mark.usefixtures("stocked")
def test_a_row_taken_out_and_put_back_by_one_statement_is_a_delete_and_a_create(db: Connection) -> None:
    db.execute(
        "with gone as (delete from shop.item where id = 1 returning *)"
        " insert into shop.item select id, 'screw', price from gone"
    )
    assert log(db) == [
        ("delete", {"id": 1}, row(1, "bolt", 1), None),
        ("create", {"id": 1}, None, row(1, "screw", 1)),
    ]


@pytest.mark.usefixtures("stocked")
def test_writes_through_a_view_its_triggers_and_rules_are_captured_in_its_table(db: Connection) -> None:
    db.execute("create view shop.cheap as select id, name from shop.item")
    db.execute("create view shop.renamed as select id, name as label from shop.item")
    db.execute(
        "create function shop.relabel() returns trigger language plpgsql as"
        " 'begin update shop.item set name = new.label where id = old.id; return new; end'"
    )
    db.execute(
        "create trigger t instead of update on shop.renamed for each row execute function shop.relabel();"
        "create rule r as on delete to shop.renamed do instead delete from shop.item where id = old.id"
    )
    db.execute("update shop.cheap set name = 'a' where id = 1")
    db.execute("update shop.renamed set label = 'b' where id = 1")
    db.execute("delete from shop.renamed where id = 2")
    assert log(db) == [
        ("update", {"id": 1}, row(1, "bolt", 1), row(1, "a", 1)),
        ("update", {"id": 1}, row(1, "a", 1), row(1, "b", 1)),
        ("delete", {"id": 2}, row(2, "nut", 2), None),
    ]


@pytest.mark.usefixtures("stocked")
def test_writes_at_a_cursor_are_captured(db: Connection) -> None:
    with db.transaction():
        db.execute("declare c cursor for select * from shop.item order by id for update")
        db.execute("fetch c")
        db.execute("update shop.item set price = 5 where current of c")
        db.execute("fetch c")
        db.execute("delete from shop.item where current of c")
    assert log(db) == [
        ("update", {"id": 1}, row(1, "bolt", 1), row(1, "bolt", 5)),
        ("delete", {"id": 2}, row(2, "nut", 2), None),
    ]


@pytest.mark.usefixtures("stocked")
def test_a_block_that_catches_its_error_leaves_no_change_of_it(db: Connection) -> None:
    db.execute(
        """
        do $$ begin
          update shop.item set price = 7 where id = 1;
          begin
            update shop.item set price = 8;
            insert into shop.item values (1, 'twice', 1);
          exception when unique_violation then null;
          end;
        end $$
        """
    )
    assert log(db) == [("update", {"id": 1}, row(1, "bolt", 1), row(1, "bolt", 7))]


@pytest.mark.usefixtures("stocked")
def test_reading_and_locking_records_nothing(db: Connection) -> None:
    db.execute("select * from shop.item for update")
    db.execute("vacuum full shop.item")
    db.execute("alter table shop.item alter column price type numeric(10, 2)")
    assert log(db) == []


@pytest.mark.usefixtures("stocked")
def test_one_truncate_of_several_tables_is_recorded_for_each(db: Connection) -> None:
    db.execute("create table shop.part (id integer generated always as identity primary key)")
    db.execute("select rowhooks.track('shop.part')")
    db.execute("truncate shop.item, shop.part restart identity")
    recorded = db.execute("select action, object_type from rowhooks.changes order by object_type").fetchall()
    assert recorded == [("truncate", "shop.item"), ("truncate", "shop.part")]


@pytest.mark.usefixtures("stocked")
def test_cascades_through_several_tables_and_to_oneself_are_captured_in_their_order(db: Connection) -> None:
    db.execute(
        "create table shop.part (id integer primary key, item integer references shop.item on delete cascade,"
        " part_of integer references shop.part on delete cascade);"
        "create table shop.note (id integer primary key, part integer default 0"
        " references shop.part on delete set default)"
    )
    db.execute("select rowhooks.track('shop.part'), rowhooks.track('shop.note')")
    db.execute("insert into shop.part values (0, null, null), (10, 1, null), (11, null, 10)")
    db.execute("insert into shop.note values (100, 11)")
    clear(db)
    db.execute("delete from shop.item where id = 1")
    assert log(db) == [
        ("delete", {"id": 1}, row(1, "bolt", 1), None),
        ("delete", {"id": 10}, {"id": 10, "item": 1, "part_of": None}, None),
        ("delete", {"id": 11}, {"id": 11, "item": None, "part_of": 10}, None),
        ("update", {"id": 100}, {"id": 100, "part": 11}, {"id": 100, "part": 0}),
    ]


@pytest.mark.usefixtures("stocked")
def test_a_cascade_carries_the_claims_of_the_statement_that_caused_it(db: Connection) -> None:
    db.execute("create table shop.part (id integer primary key, item integer references shop.item on delete cascade)")
    db.execute("select rowhooks.track('shop.part')")
    db.execute("insert into shop.part values (10, 1)")
    clear(db)
    with db.transaction():
        db.execute("select set_config('rowhooks.user', 'ada', true), set_config('rowhooks.request_id', 'r1', true)")
        db.execute("delete from shop.item")
    assert set(log(db, "user_name, request_id")) == {("ada", "r1")}
    assert len(log(db)) == 3


def before_trigger(db: Connection, body: str, events: str = "insert or update or delete") -> None:
    """Give shop.item a BEFORE trigger of the user's."""
    db.execute(f"create function shop.before_it() returns trigger language plpgsql as $$ begin {body} end $$")
    db.execute(f"create trigger b before {events} on shop.item for each row execute function shop.before_it()")


@pytest.mark.usefixtures("stocked")
def test_what_a_before_trigger_makes_of_an_update_is_what_is_recorded(db: Connection) -> None:
    before_trigger(db, "new.name := new.name || '!'; return new;", "update")
    db.execute("update shop.item set price = 5 where id = 1")
    assert log(db) == [("update", {"id": 1}, row(1, "bolt", 1), row(1, "bolt!", 5))]


@pytest.mark.usefixtures("stocked")
def test_an_update_that_a_before_trigger_undoes_records_nothing(db: Connection) -> None:
    before_trigger(db, "return old;", "update")
    db.execute("update shop.item set price = 5")
    assert log(db) == []


@pytest.mark.usefixtures("stocked")
def test_a_before_trigger_that_makes_a_change_of_a_no_op_update_is_recorded(db: Connection) -> None:
    before_trigger(db, "new.price := new.price + 1; return new;", "update")
    db.execute("update shop.item set name = name where id = 1")
    assert log(db) == [("update", {"id": 1}, row(1, "bolt", 1), row(1, "bolt", 2))]


@pytest.mark.usefixtures("stocked")
def test_a_before_trigger_that_alters_the_key_is_recorded_under_the_key_that_was_stored(db: Connection) -> None:
    before_trigger(db, "new.id := new.id + 100; return new;", "insert or update of price")
    db.execute("insert into shop.item values (3, 'screw', 3)")
    db.execute("update shop.item set price = 5 where id = 1")
    assert log(db) == [
        ("create", {"id": 103}, None, row(103, "screw", 3)),
        ("update", {"id": 101}, row(1, "bolt", 1), row(101, "bolt", 5)),
    ]


@pytest.mark.usefixtures("stocked")
def test_a_delete_that_a_before_trigger_turns_into_an_update_is_an_update(db: Connection) -> None:
    before_trigger(db, "update shop.item set name = 'gone' where id = old.id; return null;", "delete")
    db.execute("delete from shop.item where id = 1")
    assert log(db) == [("update", {"id": 1}, row(1, "bolt", 1), row(1, "gone", 1))]


@pytest.mark.usefixtures("stocked")
def test_a_deferred_trigger_s_write_is_recorded_in_its_transaction(db: Connection) -> None:
    db.execute(
        "create function shop.later() returns trigger language plpgsql as"
        " 'begin update shop.item set price = 99 where id = new.id and price <> 99; return null; end'"
    )
    db.execute(
        "create constraint trigger z after update on shop.item deferrable initially deferred"
        " for each row execute function shop.later()"
    )
    with db.transaction():
        db.execute("update shop.item set price = 5 where id = 1")
        assert len(log(db)) == 1
    assert log(db) == [
        ("update", {"id": 1}, row(1, "bolt", 1), row(1, "bolt", 5)),
        ("update", {"id": 1}, row(1, "bolt", 5), row(1, "bolt", 99)),
    ]
    assert len(set(log(db, "transaction_id::text, 1"))) == 1


@pytest.mark.usefixtures("stocked")
def test_a_prepared_transaction_is_in_the_log_once_it_is_committed(db: Connection, dsn: str) -> None:
    if db.execute("show max_prepared_transactions").fetchone() == ("0",):
        pytest.skip("this server takes no prepared transactions (max_prepared_transactions = 0)")
    with psycopg.connect(dsn) as sleeper:
        # Somebody sleeps, and must be woken.
        assert sleeper.execute("select rowhooks.arm_bell('1 second')").fetchone() == (True,)
        db.execute("begin")
        db.execute("update shop.item set price = 5 where id = 1")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="NOTIFY"):
            db.execute("prepare transaction 'rowhooks test'")
    db.execute("select rowhooks.set_notify(false)")
    db.execute("begin")
    db.execute("update shop.item set price = 5 where id = 1")
    db.execute("prepare transaction 'rowhooks test'")
    assert log(db) == []
    db.execute("commit prepared 'rowhooks test'")
    assert actions(db) == [("update", 1)]


def test_thousands_of_changes_and_megabytes_in_one_transaction_are_captured(db: Connection, item: str) -> None:
    with db.transaction():
        db.execute("insert into shop.item select i, repeat('é', 500), i from generate_series(1, 5000) as i")
        db.execute("update shop.item set name = repeat('x', 3000000) where id <= 2")
        db.execute("update shop.item set price = 0 where id = 1")
    assert db.execute("select action, count(*) from rowhooks.object_change group by action order by 1").fetchall() == [
        ("create", 5000), ("update", 3),
    ]  # fmt: skip
    lengths = "length(prechange ->> 'name'), length(postchange ->> 'name'), capture_error"
    assert log(db, lengths)[-3:] == [(500, 3000000, None), (500, 3000000, None), (3000000, 3000000, None)]
