"""A press is a row in the presser's transaction, and the database decides whether there may be one."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.pressing import add_button, press, presses
from tests.support.roles import ConnectAs, MakeRole
from tests.support.waiting import PATIENCE, eventually

Connection = psycopg.Connection[Any]


# What a press is


def test_a_press_is_a_run_that_waits_for_the_daemon(db: Connection, button: int, clerk: Connection) -> None:
    result = press(clerk, "shop.item", "42")
    assert presses(
        db,
        "id, status, leader_epoch, job_button_id, button_name, class_path, object_id, object_repr, action, db_user,"
        " user_name, object_change_id, job_hook_id, idempotency_key",
    ) == [
        (
            result, "PENDING", None, button, "Reboot", "jobs.Reboot", {"id": 42}, "bolt", "press", clerk.info.user,
            None, None, None, None,
        )
    ]  # fmt: skip
    table = db.execute("select id from rowhooks.tracked_table where relation = 'shop.item'::regclass").fetchone()
    job = db.execute("select id from rowhooks.job").fetchone()
    assert presses(db, "tracked_table, job_id") == [(*table, *job)]  # type: ignore[misc]


def test_what_is_pressed_and_rolled_back_is_not_pressed(db: Connection, button: int, clerk: Connection) -> None:
    with clerk.transaction(force_rollback=True):
        press(clerk, "shop.item", "42")
    assert presses(db) == []


def test_a_press_rings_the_bell_when_it_is_committed(dsn: str, button: int, clerk: Connection) -> None:
    with psycopg.connect(dsn, autocommit=True) as daemon:
        daemon.execute("listen rowhooks")
        daemon.execute("select rowhooks.arm_bell('1 second')")
        with clerk.transaction():
            press(clerk, "shop.item", "42")
            assert list(daemon.notifies(timeout=0)) == []
        assert [heard.channel for heard in daemon.notifies(timeout=PATIENCE, stop_after=1)] == ["rowhooks"]


def test_a_press_carries_the_user_that_the_application_names(db: Connection, button: int, clerk: Connection) -> None:
    clerk.execute("select set_config('rowhooks.user', 'alice', false)")
    press(clerk, "shop.item", "42")
    clerk.execute("select set_config('rowhooks.user', '', false)")
    press(clerk, "shop.item", "42")
    assert presses(db, "user_name, db_user") == [("alice", clerk.info.user), (None, clerk.info.user)]


def test_a_row_without_a_name_is_called_by_its_key(db: Connection, button: int) -> None:
    db.execute("insert into shop.item values (7, null, 1)")
    press(db, "shop.item", "7")
    assert presses(db, "object_repr") == ["7"]


def test_a_press_for_a_job_with_sensitive_variables_does_not_name_the_row(
    db: Connection, button: int, clerk: Connection
) -> None:
    db.execute("update rowhooks.job set meta = '{\"has_sensitive_variables\": true}'")
    press(clerk, "shop.item", "42")
    assert presses(db, "object_id, object_repr") == [({"id": 42}, None)]


def test_a_repr_column_that_was_renamed_since_is_not_missed(db: Connection, button: int) -> None:
    db.execute("alter event trigger rowhooks_after_ddl disable")
    db.execute("alter table shop.item rename column name to title")
    press(db, "shop.item", "42")
    assert presses(db, "object_repr") == ["42"]


def test_a_press_records_the_login_beside_the_role_in_force(db: Connection, button: int, clerk: Connection) -> None:
    with db.transaction():
        db.execute(sql.SQL("set local role {}").format(sql.Identifier(clerk.info.user)))
        press(db, "shop.item", "42")
    press(clerk, "shop.item", "42")
    assert presses(db, "db_user, login") == [(clerk.info.user, db.info.user), (clerk.info.user, clerk.info.user)]
    assert db.execute("select login from rowhooks.results order by id").fetchall() == [
        (db.info.user,), (clerk.info.user,),
    ]  # fmt: skip


def test_nobody_gives_another_login_or_role_for_his_own(db: Connection, button: int, clerk: Connection) -> None:
    clerk.execute("select set_config('rowhooks.user', 'postgres', false)")
    clerk.execute("insert into rowhooks.press (button, object_table, object_text, presser, id)"
                  " values ('Reboot', 'shop.item', '42', 'postgres', 1)")  # fmt: skip
    assert presses(db, "db_user, login") == [(clerk.info.user, clerk.info.user)]
    with pytest.raises(errors.UndefinedColumn):
        clerk.execute("insert into rowhooks.press (button, object_table, object_text, login)"
                      " values ('Reboot', 'shop.item', '42', 'postgres')")  # fmt: skip


def test_a_retry_of_a_press_names_its_login_too(db: Connection, button: int, clerk: Connection) -> None:
    first = press(clerk, "shop.item", "42")
    db.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now()")
    db.execute("select rowhooks.retry(%s)", (first,))
    assert presses(db, "login") == [clerk.info.user] * 2


def test_what_the_application_says_of_its_user_is_cut(db: Connection, button: int, clerk: Connection) -> None:
    clerk.execute("select set_config('rowhooks.user', repeat('é', 1000000), false)")
    press(clerk, "shop.item", "42")
    assert presses(db, "user_name") == ["é" * 255]


# Who may press


@pytest.mark.parametrize("roles", ["{}", "{no_such_role}", "{rowhooks_owner}"])
def test_a_role_that_the_button_does_not_name_may_not_press(
    db: Connection, button: int, clerk: Connection, roles: str
) -> None:
    db.execute("update rowhooks.job_button set roles = %s", (roles,))
    with pytest.raises(errors.InsufficientPrivilege, match=f"role {clerk.info.user} may not press button Reboot"):
        press(clerk, "shop.item", "42")
    assert presses(db) == []


def test_members_of_a_role_that_the_button_names_may_press(
    db: Connection, button: int, clerk: Connection, make_role: MakeRole
) -> None:
    desk, company = make_role("desk"), make_role("company")
    db.execute(f"grant {company} to {desk}; grant {desk} to {clerk.info.user}")
    db.execute("update rowhooks.job_button set roles = array[%s]", (company,))
    press(clerk, "shop.item", "42")
    assert presses(db, "db_user") == [clerk.info.user]


def test_a_superuser_and_the_daemons_role_may_press_every_button(db: Connection, button: int, daemon_dsn: str) -> None:
    db.execute("update rowhooks.job_button set roles = '{}'")
    press(db, "shop.item", "42")
    with psycopg.connect(daemon_dsn) as daemon:
        press(daemon, "shop.item", "42")
    assert presses(db, "db_user") == [db.info.user, "rowhooks_test_daemon"]


def test_the_presser_is_the_role_in_force_and_not_the_login(db: Connection, button: int, clerk: Connection) -> None:
    db.execute("update rowhooks.job_button set roles = '{}'")
    with db.transaction(), pytest.raises(errors.InsufficientPrivilege):
        db.execute(sql.SQL("set local role {}").format(sql.Identifier(clerk.info.user)))
        press(db, "shop.item", "42")
    db.execute("update rowhooks.job_button set roles = '{public}'")
    with db.transaction():
        db.execute(sql.SQL("set local role {}").format(sql.Identifier(clerk.info.user)))
        press(db, "shop.item", "42")
    assert presses(db, "db_user") == [clerk.info.user]


def test_a_role_that_may_not_read_the_table_may_not_press(
    db: Connection, button: int, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    nobody = connect_as(make_role("nobody"))
    db.execute(f"grant usage on schema shop to {nobody.info.user}")
    with pytest.raises(errors.InsufficientPrivilege, match="it may not read that table") as caught:
        press(nobody, "shop.item", "42")
    assert caught.value.diag.message_hint == (f"Let its owner run: grant select on shop.item to {nobody.info.user}")
    assert presses(db) == []


def test_a_role_that_may_not_use_the_tables_schema_may_not_press(
    db: Connection, button: int, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    nobody = connect_as(make_role("nobody"))
    db.execute(f"grant select on shop.item to {nobody.info.user}")
    row = db.execute("select 'shop.item'::regclass::oid").fetchone()
    assert row is not None
    # By its oid, as its name would be refused before the press.
    with pytest.raises(errors.InsufficientPrivilege, match="may not press a button on a row of"):
        press(nobody, str(row[0]), "42")


def test_row_security_of_the_presser_decides_whether_there_is_such_a_row(
    db: Connection, button: int, clerk: Connection
) -> None:
    db.execute("insert into shop.item values (43, 'nut', 1)")
    db.execute("alter table shop.item enable row level security")
    db.execute("create policy bolts on shop.item using (name = 'bolt')")
    press(clerk, "shop.item", "42")
    with pytest.raises(errors.NoDataFound, match=f"or role {clerk.info.user} may not see it"):
        press(clerk, "shop.item", "43")
    assert presses(db, "object_id") == [{"id": 42}]


def test_turning_row_security_off_lets_nobody_past_it(db: Connection, button: int, clerk: Connection) -> None:
    db.execute("alter table shop.item enable row level security")
    clerk.execute("set row_security = off")
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        press(clerk, "shop.item", "42")


# What may be pressed


def test_a_button_that_does_not_exist_is_named(db: Connection, button: int) -> None:
    with pytest.raises(errors.UndefinedObject, match="there is no button Rebot"):
        press(db, "shop.item", "42", button="Rebot")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("update rowhooks.job_button set enabled = false", "button Reboot is disabled"),
        ("update rowhooks.job set enabled = false", "its job jobs.Reboot is disabled"),
        ("update rowhooks.job set kind = 'hook'", "its job jobs.Reboot is a hook receiver"),
        ("delete from rowhooks.job_button_table", "button Reboot is not on table shop.item"),
        ("select rowhooks.untrack('shop.item')", "table shop.item is not tracked"),
    ],
)
def test_what_cannot_run_cannot_be_pressed(db: Connection, button: int, statement: str, message: str) -> None:
    db.execute(statement)
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=message) as caught:
        press(db, "shop.item", "42")
    assert caught.value.diag.message_hint
    assert presses(db) == []


def test_a_button_of_another_table_is_refused(db: Connection, button: int) -> None:
    db.execute("create table shop.box (id integer primary key); insert into shop.box values (42)")
    db.execute("select rowhooks.track('shop.box')")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=r"button Reboot is not on table shop\.box"):
        press(db, "shop.box", "42")


def test_a_row_that_does_not_exist_is_refused(db: Connection, button: int) -> None:
    with pytest.raises(errors.NoDataFound, match=r'there is no row \{"id": "43"\} in shop.item'):
        press(db, "shop.item", "43")
    assert presses(db) == []


def test_what_has_no_primary_key_is_refused(db: Connection, button: int) -> None:
    db.execute("create table shop.keyless (id integer)")
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match=r"shop\.keyless has no primary key"):
        press(db, "shop.keyless", "42")


@pytest.mark.parametrize("relation", ["shop.names", "shop.copies", "shop.item_pkey"])
def test_what_is_no_table_is_refused(db: Connection, button: int, relation: str) -> None:
    db.execute("create view shop.names as select * from shop.item")
    db.execute("create materialized view shop.copies as select * from shop.item")
    with pytest.raises(errors.WrongObjectType, match=f"rowhooks: {relation} is no table"):
        press(db, relation, "42")


def test_a_table_that_is_gone_is_refused(db: Connection, button: int) -> None:
    with pytest.raises(errors.UndefinedTable):
        press(db, "4000000000", "42")


@pytest.mark.parametrize(
    "arguments",
    [
        "null, 'shop.item', '42'",
        "'Reboot', null, '42'",
        "'Reboot', 'shop.item', null",
        "'Reboot', 'shop.item', null::text",
        "'Reboot', 'shop.item', null::jsonb",
    ],
)
def test_nothing_is_pressed_where_something_is_not_named(db: Connection, button: int, arguments: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match=r"rowhooks: no (button|table|row) was named"):
        db.execute(f"select rowhooks.press({arguments})")


# Idempotency


def test_two_presses_with_one_key_are_one_press(db: Connection, button: int) -> None:
    first = press(db, "shop.item", "42", idempotency_key="k")
    assert press(db, "shop.item", "42", idempotency_key="k") == first
    assert press(db, "shop.item", "42", idempotency_key="l") != first
    assert presses(db, "idempotency_key") == ["k", "l"]


def test_two_presses_without_a_key_are_two_presses(db: Connection, button: int) -> None:
    assert press(db, "shop.item", "42") != press(db, "shop.item", "42")


def test_another_button_may_use_the_same_key(db: Connection, button: int) -> None:
    add_button(db, "shop.item", name="Audit")
    first = press(db, "shop.item", "42", idempotency_key="k")
    assert press(db, "shop.item", "42", button="Audit", idempotency_key="k") != first


def test_a_key_that_was_used_for_another_row_is_refused(db: Connection, button: int) -> None:
    db.execute("insert into shop.item values (43, 'nut', 1)")
    press(db, "shop.item", "42", idempotency_key="k")
    with pytest.raises(errors.UniqueViolation, match="idempotency key k has been used"):
        press(db, "shop.item", "43", idempotency_key="k")


def test_an_empty_idempotency_key_is_refused(db: Connection, button: int) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="the idempotency key is empty"):
        press(db, "shop.item", "42", idempotency_key="")


def test_an_idempotency_key_is_bounded(db: Connection, button: int) -> None:
    press(db, "shop.item", "42", idempotency_key="é" * 255)
    with pytest.raises(errors.InvalidParameterValue, match="is longer than 255 characters"):
        press(db, "shop.item", "42", idempotency_key="k" * 256)
    assert presses(db, "length(idempotency_key)") == [255]


def test_nobody_uses_up_or_learns_of_another_s_key(
    db: Connection, button: int, clerk: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    other = connect_as(make_role("other"))
    db.execute(f"grant usage on schema shop to {other.info.user}; grant select on shop.item to {other.info.user}")
    db.execute("insert into shop.item values (43, 'nut', 1)")
    squatted = press(other, "shop.item", "43", idempotency_key="k")
    # Neither refused for the other row, nor answered with the other's press.
    mine = press(clerk, "shop.item", "42", idempotency_key="k")
    assert mine != squatted
    assert presses(db, "db_user, object_id") == [(other.info.user, {"id": 43}), (clerk.info.user, {"id": 42})]
    assert press(clerk, "shop.item", "42", idempotency_key="k") == mine


def test_another_s_open_transaction_with_the_same_key_keeps_nobody_waiting(
    db: Connection, dsn: str, button: int, clerk: Connection
) -> None:
    with psycopg.connect(dsn) as other:
        press(other, "shop.item", "42", idempotency_key="k")
        clerk.execute("set lock_timeout = '2s'")
        press(clerk, "shop.item", "42", idempotency_key="k")
    assert len(presses(db)) == 2


@pytest.mark.parametrize("commits", [True, False])
async def test_two_presses_at_once_with_one_key_are_one_press(
    db: Connection,
    dsn: str,
    button: int,
    commits: bool,
) -> None:
    answers: list[int] = []
    with psycopg.connect(dsn) as first, psycopg.connect(dsn, autocommit=True) as second:
        answers.append(press(first, "shop.item", "42", idempotency_key="k"))
        waiting = threading.Thread(target=lambda: answers.append(press(second, "shop.item", "42", idempotency_key="k")))
        waiting.start()
        # It waits for the first, of which nobody knows yet whether it will have been.
        await eventually(
            lambda: db.execute(
                "select 1 from pg_stat_activity where pid = %s and wait_event_type = 'Lock'", (second.info.backend_pid,)
            ).fetchone()
        )
        if commits:
            first.commit()
        else:
            first.rollback()
        waiting.join(30)
    assert presses(db) == [answers[1]]
    assert (answers[0] == answers[1]) is commits
