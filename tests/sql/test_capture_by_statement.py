"""The statement form of the capture: what it records, and when row triggers take its place."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.log import actions, clear, log

Connection = psycopg.Connection[Any]

MADE = """
create schema if not exists shop;
create table shop.thing (
  id integer primary key, name text not null, number integer, seen_at timestamptz, note json, secret text,
  twice integer generated always as (number * 2) stored
);
"""


@pytest.fixture
def thing(db: Connection) -> int:
    """A table in the statement form with two rows, and an empty log; the number of its entry."""
    db.execute(MADE)
    found = db.execute("select rowhooks.track('shop.thing', capture => 'statement')").fetchone()
    assert found is not None
    db.execute("insert into shop.thing (id, name, number) values (1, 'bolt', 10), (2, 'nut', 20)")
    clear(db)
    return int(found[0])


def form(db: Connection) -> str:
    found = db.execute("select rowhooks.form_in_force(t.*) from rowhooks.tracked_table as t order by t.id").fetchone()
    assert found is not None
    return str(found[0])


def track(db: Connection, options: str) -> None:
    db.execute(f"select rowhooks.track('shop.thing', {options})")


def unbroken(db: Connection) -> list[tuple[str, Any, Any]]:
    """Return action and numbers before and after of each change of the row with the key 1, in the order of the log."""
    return db.execute(
        "select action, prechange -> 'number', postchange -> 'number' from rowhooks.object_change"
        " where coalesce(postchange, prechange) -> 'id' = '1' order by id"
    ).fetchall()


@pytest.mark.usefixtures("thing")
def test_a_statement_of_many_rows_is_recorded_as_row_triggers_record_it(db: Connection) -> None:
    db.execute("create type shop.kind as enum ('a', 'b')")
    db.execute("alter table shop.thing add gone integer; alter table shop.thing add kind shop.kind default 'a'")
    db.execute("alter table shop.thing drop column gone")
    assert form(db) == "statement"
    records = []
    for capture in ("statement", "row"):
        db.execute("truncate shop.thing")
        track(db, f"exclude => '{{secret}}', ignore => '{{seen_at}}', capture => '{capture}'")
        clear(db)
        db.execute("set timezone = 'Asia/Tokyo'")
        db.execute(
            "insert into shop.thing (id, name, number, secret, seen_at)"
            " select n, 'n' || n, n, 's', '2026-01-01' from generate_series(1, 30) as n"
        )
        # Nothing, what does not count, and what does.
        db.execute("update shop.thing set number = number where id < 10")
        db.execute("update shop.thing set seen_at = '2026-02-02', secret = 'other'")
        db.execute("update shop.thing set number = number + 1, kind = 'b', seen_at = '2026-03-03' where id > 5")
        db.execute("set timezone = 'UTC'")
        records.append(log(db, "action, object_id, object_repr, prechange, postchange, user_name, capture_error"))
    assert records[0] == records[1]
    assert [action for action, *_ in records[0]] == ["create"] * 30 + ["update"] * 25


@pytest.mark.usefixtures("thing")
def test_what_the_session_says_is_recorded_and_what_a_receiver_writes_is_not(db: Connection) -> None:
    db.execute("select set_config('rowhooks.user', 'ann', false), set_config('rowhooks.context', 'nightly', false)")
    db.execute("update shop.thing set number = 1")
    db.execute("select set_config('rowhooks.receiver', '1', false)")
    db.execute("update shop.thing set number = 2")
    assert log(db, "user_name, change_context, receiver") == [("ann", "nightly", None)] * 2
    track(db, "audit_receivers => true, capture => 'statement'")
    db.execute("update shop.thing set number = 3")
    assert log(db, "change_context, receiver")[2:] == [("job-hook", "1")] * 2


@pytest.mark.usefixtures("thing")
def test_a_value_that_cannot_be_captured_costs_its_column_and_no_other_row(db: Connection) -> None:
    db.execute(
        """update shop.thing set number = 0, note = case id when 2 then '{"a": "\\u0000"}' else '[]' end::json"""
    )
    changed = log(db, "object_id ->> 'id', postchange -> 'number', postchange -> 'note', capture_error")
    assert changed[0] == ("1", 0, [], None)
    assert changed[1][:3] == ("2", 0, None)
    assert changed[1][3].startswith("note: ")


def test_a_column_may_have_the_name_of_a_variable_of_the_capture(db: Connection) -> None:
    db.execute(
        "create schema shop; create table shop.thing (id integer primary key, at timestamptz, is_zoned boolean,"
        " is_foreign boolean, request integer, problem integer, row_data integer, tg_op integer)"
    )
    track(db, "capture => 'statement'")
    db.execute("set timezone = 'Asia/Tokyo'")
    db.execute("insert into shop.thing values (1, '2026-01-01', false), (2, '2026-01-01', true)")
    assert log(db, "postchange ->> 'at'") == [("2025-12-31T15:00:00+00:00",)] * 2
    db.execute("alter event trigger rowhooks_after_ddl disable; alter table shop.thing add extra text")
    db.execute("update shop.thing set request = 5")
    assert [problem[:18] for (problem,) in log(db, "capture_error")[2:]] == ["columns were added"] * 2


@pytest.mark.parametrize("claim", ["99", "-1", "x", "9" * 30])
def test_a_session_cannot_say_that_row_triggers_have_captured_its_rows(db: Connection, thing: int, claim: str) -> None:
    for variable in (f"rowhooks.captured_{thing}_{what}_1" for what in ("INSERT", "UPDATE")):
        db.execute("select set_config(%s, %s, false)", (variable, claim))
    db.execute("insert into shop.thing (id, name) values (3, 'a'), (4, 'b')")
    db.execute("update shop.thing set number = 7 where id < 3")
    expected = [("create", 3), ("create", 4), ("update", 1), ("update", 2)]
    assert actions(db) == expected
    # Row triggers have taken its place.
    db.execute("create schema other; create table other.heir () inherits (shop.thing)")
    assert form(db) == "row"
    db.execute("update shop.thing set number = 8 where id < 3")
    assert actions(db) == [*expected, ("update", 1), ("update", 2)]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        # The rest of the DELETE runs after the INSERT has ended.
        (
            "with gone as (delete from shop.thing returning *)"
            " insert into shop.thing (id, name) select id, 'new' from gone order by id = 0 limit 1",
            [("delete", 1), ("delete", 2), ("create", 1)],
        ),
        (
            "with gone as (delete from shop.thing returning *)"
            " insert into shop.thing (id, name) select id, 'new' from gone limit 1",
            [("delete", 1), ("create", 1), ("delete", 2)],
        ),
        (
            "with moved as (update shop.thing set id = id + 10 returning id - 10 as former)"
            " insert into shop.thing (id, name) select former, 'new' from moved limit 1",
            [("update", 11), ("create", 1), ("update", 12)],
        ),
        (
            "with gone as (delete from shop.thing where id = 1 returning *),"
            " other as (insert into shop.thing (id, name) select id, 'new' from gone returning id)"
            " delete from shop.thing as t using other where t.id = other.id + 1",
            [("delete", 1), ("create", 1), ("delete", 2)],
        ),
        ("update shop.thing set id = id - 1", [("update", 0), ("update", 1)]),
    ],
)  # fmt: skip
def test_a_key_that_one_statement_frees_and_takes_again_is_freed_first(
    db: Connection, thing: int, statement: str, expected: list[tuple[str, int]]
) -> None:
    db.execute(statement)
    assert form(db) == "statement"
    found = actions(db)
    assert sorted(found) == sorted(expected)
    # Of one key.
    assert [one for one in found if one[1] in (1, 11)] == [one for one in expected if one[1] in (1, 11)]


# Each makes it possible that a statement's row is written once more before the statement's AFTER STATEMENT triggers, or
# that the trigger does not see its own rows alone.
UNSAFE = {
    "trigger": "create trigger a after update on shop.thing for each row execute function shop.write_again()",
    "statement trigger": "create trigger a after insert on shop.thing execute function shop.nothing()",
    "trigger on another": "create trigger a after update on shop.other for each row"
    " execute function shop.write_again()",
    "rule of a table that an action writes": "create rule r as on delete to shop.child do also notify x",
    "trigger of such a table": "create trigger a before delete on shop.child execute function shop.nothing()",
    "action": "alter table shop.thing add foreign key (number) references shop.other on delete set null",
    "self-reference": "alter table shop.thing add foreign key (number) references shop.thing on delete cascade"
    " not valid",
    "child": "create table shop.heir () inherits (shop.thing)",
    "later child": "create table shop.heir (like shop.thing including generated);"
    " alter table shop.heir inherit shop.thing",
    "parent": "create table shop.ancestor (name text not null); alter table shop.thing inherit shop.ancestor",
    "partition": "create table shop.root (like shop.thing including generated) partition by range (id);"
    " alter table shop.root attach partition shop.thing for values from (0) to (9)",
    "no key": "alter table shop.thing drop constraint thing_pkey",
}
NEIGHBOURS = """
create table shop.other (id integer primary key, number integer);
create table shop.child (id integer primary key, other integer references shop.other on delete cascade);
create function shop.nothing() returns trigger language plpgsql as 'begin return old; end';
create function shop.write_again() returns trigger language plpgsql as $$
begin
  if pg_trigger_depth() < 2 then
    update shop.thing set number = number + 100 where id = new.id;
  end if;
  return null;
end $$;
insert into shop.other values (1, 1), (2, 2), (10, 10), (20, 20);
"""


@pytest.mark.parametrize("ddl", UNSAFE.values(), ids=UNSAFE)
def test_row_triggers_take_its_place_in_the_transaction_that_makes_it_unsafe(
    db: Connection, thing: int, ddl: str
) -> None:
    db.execute(NEIGHBOURS)
    with db.transaction(force_rollback=True):
        db.execute(ddl)
        assert form(db) == "row"
        found = db.execute("select rowhooks.why_not_by_statement(t.*) from rowhooks.tracked_table as t").fetchone()
        assert found is not None
        assert found[0]
        if "partition" not in ddl:
            db.execute("update shop.thing set name = name || '!'")
            db.execute("insert into shop.thing (id, name) values (8, 'x'), (9, 'x')")
            # write_again() has updated them once more.
            assert list(dict.fromkeys(actions(db))) == [("update", 1), ("update", 2), ("create", 8), ("create", 9)]
    # The transaction is rolled back, and so the mark is there again.
    assert form(db) == "statement"
    db.execute("update shop.thing set number = number + 10")
    assert actions(db) == [("update", 1), ("update", 2)]


def test_a_change_by_a_users_trigger_comes_after_the_change_that_fired_it(db: Connection, thing: int) -> None:
    db.execute(NEIGHBOURS)
    db.execute(UNSAFE["trigger on another"])
    clear(db)
    # One statement that writes both, row by row.
    db.execute(
        "with a as (update shop.thing set number = number + 1 returning id)"
        " update shop.other as o set number = 0 from a where o.id = a.id"
    )
    assert unbroken(db) == [("update", 10, 11), ("update", 11, 111)]


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
def test_a_row_that_an_action_writes_twice_is_recorded_in_that_order(
    db: Connection, thing: int, first: str, second: str
) -> None:
    db.execute(NEIGHBOURS)
    db.execute("create table shop.owner (id integer primary key); insert into shop.owner values (1), (2)")
    db.execute("alter table shop.thing add owner integer references shop.owner on delete cascade")
    db.execute("alter table shop.thing add foreign key (number) references shop.other on delete set null")
    db.execute("update shop.thing set owner = id")
    clear(db)
    # Foreign keys' actions join the triggers of the statement that starts them: the second UPDATE those of the first.
    part = {"a": "update shop.thing set name = 'new' where id = 1", "b": "delete from shop.other where id = 20"}
    db.execute(f"with {first} as ({part[first]}), {second} as ({part[second]}) delete from shop.owner where id = 1")
    assert [action for action, *_ in unbroken(db)] == ["update", "delete"]


def test_a_mark_that_goes_while_a_statement_runs_costs_and_doubles_no_row(db: Connection, thing: int) -> None:
    db.execute(
        "create function shop.meddle(id integer) returns integer language plpgsql as $$ begin if id = 2 then"
        " create trigger a after update on shop.neighbour execute function shop.nothing(); end if; return 0; end $$;"
        " create table shop.neighbour ();"
        " create function shop.nothing() returns trigger language plpgsql as 'begin return null; end'"
    )
    db.execute("insert into shop.thing (id, name) values (3, 'a'), (4, 'b'), (5, 'c')")
    clear(db)
    with db.transaction():
        db.execute("update shop.thing set number = shop.meddle(id)")
        assert form(db) == "row"
        db.execute("update shop.thing set number = 7")
    assert sorted(actions(db)) == sorted([("update", id_) for id_ in (1, 2, 3, 4, 5)] * 2)
    assert unbroken(db) == [("update", 10, 0), ("update", 0, 7)]


def test_a_table_that_has_changed_unseen_fails_no_write(db: Connection, thing: int) -> None:
    db.execute("alter event trigger rowhooks_after_ddl disable; alter event trigger rowhooks_after_drop disable")
    db.execute("alter table shop.thing add extra text default 'x'")
    db.execute("update shop.thing set number = 5")
    assert [problem[:18] for (problem,) in log(db, "capture_error")] == ["columns were added"] * 2
    db.execute("alter table shop.thing drop column note")
    db.execute("update shop.thing set number = 6")
    assert [problem is None for (problem,) in log(db, "capture_error")[2:]] == [False] * 2
    # The daemon does the same when it meets such a change.
    db.execute("select rowhooks.refresh_tables()")
    assert form(db) == "row"
    db.execute("update shop.thing set number = 7")
    assert log(db, "postchange -> 'number', capture_error")[4:] == [(7, None)] * 2


@pytest.mark.usefixtures("thing")
def test_a_key_that_is_renamed_unseen_fails_no_write(db: Connection) -> None:
    db.execute("alter event trigger rowhooks_after_ddl disable; alter event trigger rowhooks_after_drop disable")
    db.execute("alter table shop.thing rename id to number_of_thing")
    db.execute("update shop.thing set number_of_thing = 3 where number_of_thing = 1")
    db.execute("delete from shop.thing where number_of_thing = 2")
    recorded = log(db, "action, capture_error")
    assert (recorded[0], recorded[-1]) == (("update", None), ("delete", None))


@pytest.mark.usefixtures("thing")
def test_the_row_form_takes_its_place_where_a_trigger_goes_with_a_column_of_the_key(db: Connection) -> None:
    db.execute("alter table shop.thing drop column id cascade")
    assert form(db) == "row"
    db.execute("insert into shop.thing (name) values ('screw')")
    db.execute("update shop.thing set number = 7 where name = 'bolt'")
    db.execute("delete from shop.thing where name = 'nut'")
    assert log(db, "action, coalesce(postchange, prechange) ->> 'name', capture_error") == [
        ("create", "screw", None),
        ("update", "bolt", None),
        ("delete", "nut", None),
    ]


@pytest.mark.usefixtures("thing")
def test_auto_takes_the_row_form_where_the_other_is_not_safe_and_untracking_leaves_nothing(db: Connection) -> None:
    db.execute(NEIGHBOURS + UNSAFE["trigger"])
    track(db, "capture => 'auto'")
    assert form(db) == "row"
    db.execute("drop trigger a on shop.thing")
    assert form(db) == "row"
    track(db, "capture => 'auto'")
    assert form(db) == "statement"
    db.execute("select rowhooks.untrack('shop.thing')")
    left = "select tgname from pg_trigger where tgrelid = 'shop.thing'::regclass union all" \
        " select proname from pg_proc where proname ~ '^capture_'"  # fmt: skip
    assert db.execute(left).fetchall() == []


def test_without_event_triggers_it_is_refused(db: Connection) -> None:
    db.execute(MADE + "drop event trigger rowhooks_after_drop")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="event triggers are missing"):
        track(db, "capture => 'statement'")
