"""A press of several rows is one batch. Each row is checked as in a press of its own: all are pressed, or none."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from tests.support.pressing import add_button, press, presses

Connection = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def rows(db: Connection, button: int) -> None:
    db.execute("insert into shop.item values (43, 'nut', 1), (44, null, 1)")


def press_many(conn: Connection, *keys: str | None, **given: Any) -> int:
    row = conn.execute(
        "select rowhooks.press_many('Reboot', 'shop.item', %s, idempotency_key => %s)", (list(keys), given.get("key"))
    ).fetchone()
    assert row is not None
    return int(row[0])


def batches(db: Connection, columns: str) -> list[tuple[Any, ...]]:
    return db.execute(f"select {columns} from rowhooks.batches order by id").fetchall()


def test_a_press_of_several_rows_is_a_batch_with_a_run_for_each(db: Connection, clerk: Connection) -> None:
    clerk.execute("select set_config('rowhooks.user', 'alice', false)")
    batch = press_many(clerk, "43", "42", "44")
    assert batches(db, "id, button_name, class_path, object_type, row_count, finished, states, user_name") == [
        (batch, "Reboot", "jobs.Reboot", "shop.item", 3, 0, {"PENDING": 3}, "alice")
    ]
    assert batches(db, "db_user, login") == [(clerk.info.user, clerk.info.user)]
    assert presses(db, "object_id, object_repr, status, db_user, login, user_name, batch_id, leader_epoch") == [
        ({"id": id_}, name, "PENDING", clerk.info.user, clerk.info.user, "alice", batch, None)
        for id_, name in ((43, "nut"), (42, "bolt"), (44, "44"))
    ]
    assert batch not in presses(db)


def test_a_batch_that_is_rolled_back_is_none(db: Connection, clerk: Connection) -> None:
    with clerk.transaction(force_rollback=True):
        press_many(clerk, "42", "43")
    assert (presses(db), batches(db, "id")) == ([], [])


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        (
            ["42", "45", "46"],
            errors.NoDataFound,
            r'there is no row \{"id": "45"\} in shop.item, .* \(nor 1 of the others\)',
        ),
        (["42", "x"], errors.InvalidParameterValue, r"x is no key of shop\.item"),
        (["42", None], errors.InvalidParameterValue, "a value is missing"),
        (["42", "042"], errors.InvalidParameterValue, r'row \{"id": 42\} of shop.item is named twice'),
        ([], errors.InvalidParameterValue, "no row was named"),
    ],
)
def test_one_row_that_cannot_be_pressed_keeps_all_from_being_pressed(
    db: Connection, clerk: Connection, keys: list[str | None], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        press_many(clerk, *keys)
    assert (presses(db), batches(db, "id")) == ([], [])


def test_row_security_of_the_presser_decides_on_each_row(db: Connection, clerk: Connection) -> None:
    db.execute("alter table shop.item enable row level security")
    db.execute("create policy most on shop.item using (id <> 43)")
    with pytest.raises(errors.NoDataFound, match=f'"43".*role {clerk.info.user} may not see it'):
        press_many(clerk, "42", "43")
    press_many(clerk, "42", "44")
    assert presses(db, "object_id") == [{"id": 42}, {"id": 44}]


def test_who_may_not_press_one_row_may_not_press_several(db: Connection, clerk: Connection) -> None:
    db.execute("update rowhooks.job_button set roles = '{}'")
    with pytest.raises(errors.InsufficientPrivilege, match="may not press button Reboot"):
        press_many(clerk, "42", "43")
    db.execute("update rowhooks.job_button set roles = '{public}'; revoke select on shop.item from " + clerk.info.user)
    with pytest.raises(errors.InsufficientPrivilege, match="it may not read that table"):
        press_many(clerk, "42", "43")


def test_what_the_database_finds_out_by_itself_cannot_be_forged(db: Connection, clerk: Connection) -> None:
    db.execute("alter sequence rowhooks.job_result_id_seq restart 500")
    clerk.execute(
        "insert into rowhooks.press (id, button, object_table, object_ids, object_reprs, object_repr, presser)"
        " values (1, 'Reboot', 'shop.item', '[42, 43]', '[\"a lie\"]', 'a lie', 'postgres')"
    )
    clerk.execute(
        "insert into rowhooks.press (button, object_table, object_id, object_reprs)"
        " values ('Reboot', 'shop.item', '42', '[\"a lie\"]')"
    )
    assert batches(db, "id, db_user") == [(500, clerk.info.user)]
    assert presses(db, "object_repr, db_user, batch_id") == [
        (name, clerk.info.user, batch) for name, batch in (("bolt", 500), ("nut", 500), ("bolt", None))
    ]
    with pytest.raises(errors.UndefinedColumn):
        clerk.execute(
            "insert into rowhooks.press (button, object_table, object_id, batch_id) values ('x', 'shop.item', '1', 500)"
        )


@pytest.mark.parametrize("keys", ["'[42]', '42'", "'{\"id\": 42}', null", "'42', null"])
def test_what_is_no_array_of_keys_is_refused(clerk: Connection, keys: str) -> None:
    with pytest.raises(errors.InvalidParameterValue):
        clerk.execute(
            "insert into rowhooks.press (button, object_table, object_ids, object_text)"
            f" values ('Reboot', 'shop.item', {keys})"
        )


def test_a_row_that_is_named_in_two_ways_is_refused(clerk: Connection) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="is named in more than one way"):
        clerk.execute(
            "insert into rowhooks.press (button, object_table, object_id, object_text)"
            " values ('Reboot', 'shop.item', '42', '43')"
        )


def test_the_message_of_one_missing_row_speaks_of_no_others(clerk: Connection) -> None:
    with pytest.raises(errors.NoDataFound) as caught:
        press_many(clerk, "99")
    assert str(caught.value.diag.message_primary).endswith("may not see it")


@pytest.mark.parametrize("relation", ["press_batch", "batches"])
def test_a_presser_reads_no_batch(clerk: Connection, relation: str) -> None:
    press_many(clerk, "42")
    with pytest.raises(errors.InsufficientPrivilege):
        clerk.execute(f"select * from rowhooks.{relation}")
    for function in ("record_many", "record_one", "checked_inputs"):
        with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedFunction)):
            clerk.execute(f"select rowhooks.{function}(null, null, null)")


def test_composite_keys_are_objects_or_their_text(db: Connection) -> None:
    db.execute(
        "create table shop.pair (a integer, b text, primary key (a, b));"
        " insert into shop.pair values (1, 'x'), (2, 'y')"
    )
    db.execute("select rowhooks.track('shop.pair')")
    add_button(db, "shop.pair", name="Pair")
    db.execute("select rowhooks.press_many('Pair', 'shop.pair', %s)", (['{"a": 1, "b": "x"}', '{"b": "y", "a": "2"}'],))
    db.execute(
        "insert into rowhooks.press (button, object_table, object_ids) values ('Pair', 'shop.pair', %s)",
        (Jsonb([{"a": 1, "b": "x"}, '{"a": 2, "b": "y"}']),),
    )
    assert presses(db, "object_id") == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}] * 2


def test_two_presses_of_several_rows_with_one_key_are_one(db: Connection, clerk: Connection) -> None:
    first = press_many(clerk, "42", "43", key="k")
    assert press_many(clerk, "43", "42", key="k") == first
    # A press of one row has its keys for itself.
    press(clerk, "shop.item", "42", idempotency_key="k")
    with pytest.raises(errors.UniqueViolation, match="idempotency key k has been used"):
        press_many(clerk, "42", "44", key="k")
    assert len(presses(db)) == 3


def test_states_are_counted_by_the_newest_run_of_each_row(db: Connection, clerk: Connection) -> None:
    press_many(clerk, "42", "43")
    first, second = presses(db)
    end = "update rowhooks.job_result set status = %s, finished_at = now(), exception_type = 'E' where id = %s"
    db.execute(end, ("FAILURE", first))
    assert batches(db, "finished, states, finished_at is null") == [(1, {"FAILURE": 1, "PENDING": 1}, True)]
    again = db.execute("select rowhooks.retry(%s)", (first,)).fetchone()
    db.execute(end, ("SUCCESS", second))
    assert batches(db, "finished, states") == [(1, {"PENDING": 1, "SUCCESS": 1})]
    db.execute(end, ("SUCCESS", again[0] if again else None))
    assert batches(db, "row_count, finished, states, finished_at is null") == [(2, 2, {"SUCCESS": 2}, False)]


def test_a_batch_goes_with_the_last_of_its_runs(db: Connection, clerk: Connection) -> None:
    press_many(clerk, "42", "43")
    end = (
        "update rowhooks.job_result set status = 'SUCCESS', finished_at = now() - interval '1 day' where object_id = %s"
    )
    db.execute(end, (Jsonb({"id": 42}),))
    db.execute("select rowhooks.prune_results('1 hour')")
    assert batches(db, "row_count, states") == [(2, {"PENDING": 1})]
    db.execute(end, (Jsonb({"id": 43}),))
    db.execute("select rowhooks.prune_results('1 hour')")
    assert db.execute("select count(*) from rowhooks.press_batch").fetchone() == (0,)


def test_as_many_rows_as_may_wait_for_a_missing_class_are_pressed(db: Connection, clerk: Connection) -> None:
    db.execute("update rowhooks.job set installed = false; update rowhooks.feed set waiting_limit = 2")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="as many presses as may wait"):
        press_many(clerk, "42", "43", "44")
    press_many(clerk, "42", "43")
    with pytest.raises(errors.ObjectNotInPrerequisiteState):
        press(clerk, "shop.item", "44")
    assert presses(db, "leader_epoch::text") == ["00000000-0000-0000-0000-000000000000"] * 2


def test_each_of_many_rows_is_looked_up_by_its_key(db: Connection) -> None:
    db.execute("insert into shop.item select n, 'bolt', 1 from generate_series(100, 5099) as n; analyze shop.item")
    with db.transaction():
        press_many(db, *map(str, range(100, 1100)))
        scans = db.execute("select pg_stat_get_xact_numscans('shop.item_pkey'::regclass)").fetchone()
    assert scans == (1000,)
    assert batches(db, "states") == [({"PENDING": 1000},)]
