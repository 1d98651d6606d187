"""The buttons of a row, and what has become of a press, for a page that speaks to the database through SQL alone."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.pressing import add_button, press
from tests.support.roles import ConnectAs, MakeRole

Connection = psycopg.Connection[Any]


@pytest.fixture
def clerk(db: Connection, item: str, make_role: MakeRole, connect_as: ConnectAs) -> Connection:
    """A login that may read shop.item, which has the row 42, and has no right on rowhooks."""
    db.execute("insert into shop.item values (42, 'bolt', 1)")
    role = make_role("clerk")
    db.execute(f"grant usage on schema shop to {role}; grant select on shop.item to {role}")
    return connect_as(role)


def groups(conn: Connection, key: str = "42", table: str = "shop.item") -> Any:
    row = conn.execute("select rowhooks.row_buttons(%s, %s)", (table, key)).fetchone()
    assert row is not None
    return row[0]["groups"]


def shown(conn: Connection) -> dict[str, list[str]]:
    return {group["name"]: [button["name"] for button in group["buttons"]] for group in groups(conn)}


def state(conn: Connection, run: int) -> Any:
    row = conn.execute("select rowhooks.run_state(%s)", (run,)).fetchone()
    assert row is not None
    return row[0]


# The buttons


def test_a_button_is_shown_with_what_a_page_needs(db: Connection, clerk: Connection) -> None:
    add_button(db, "shop.item")
    db.execute("update rowhooks.job set inputs_schema = '{\"properties\": {}}'")
    assert groups(clerk) == [
        {
            "name": "",
            "buttons": [
                {
                    "name": "Reboot", "label": "Press", "group_name": "", "weight": 100, "button_class": "default",
                    "confirmation": True, "disabled": False, "reason": "", "inputs_schema": {"properties": {}},
                    "input_fields": [],
                }
            ],
        }
    ]  # fmt: skip


def test_buttons_stand_in_groups_by_weight_and_name(db: Connection, clerk: Connection) -> None:
    for name, group, weight in (("c", "Life", 10), ("b", "Life", 20), ("a", "Life", 20), ("d", "", 1), ("E", "", 1)):
        add_button(db, "shop.item", name)
        db.execute("update rowhooks.job_button set group_name = %s, weight = %s where name = %s", (group, weight, name))
    assert shown(clerk) == {"": ["E", "d"], "Life": ["c", "a", "b"]}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Restart now", "Restart now"),
        (" Restart ", "Restart"),
        ("Restart {{ obj.name }}", "Reboot"),
        ("<b>Restart</b>", "Reboot"),
        ("Stop &amp; go", "Reboot"),
    ],
)
def test_a_text_that_must_be_rendered_is_replaced_by_the_buttons_name(
    db: Connection, clerk: Connection, text: str, label: str
) -> None:
    add_button(db, "shop.item")
    db.execute("update rowhooks.job_button set text = %s", (text,))
    assert groups(clerk)[0]["buttons"][0]["label"] == label


@pytest.mark.parametrize("change", ["enabled = false", "text = '  '"])
def test_a_button_that_is_disabled_or_blank_is_left_out(db: Connection, clerk: Connection, change: str) -> None:
    add_button(db, "shop.item")
    db.execute(f"update rowhooks.job_button set {change}")
    assert groups(clerk) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update rowhooks.job set enabled = false", "its job jobs.Reboot is disabled"),
        ("update rowhooks.job_button set roles = '{}'", "you may not press it"),
    ],
)
def test_a_button_that_cannot_be_pressed_says_why(db: Connection, clerk: Connection, change: str, reason: str) -> None:
    add_button(db, "shop.item")
    db.execute(change)
    button = groups(clerk)[0]["buttons"][0]
    assert (button["disabled"], button["reason"]) == (True, reason)


def test_a_row_that_is_not_there_or_that_row_security_hides_has_no_buttons(db: Connection, clerk: Connection) -> None:
    add_button(db, "shop.item")
    with pytest.raises(errors.NoDataFound, match="there is no row"):
        groups(clerk, "43")
    db.execute("alter table shop.item enable row level security")
    with pytest.raises(errors.NoDataFound, match="may not see it"):
        groups(clerk)


def test_the_table_must_be_readable(db: Connection, clerk: Connection) -> None:
    db.execute(f"revoke select on shop.item from {clerk.info.user}")
    with pytest.raises(errors.InsufficientPrivilege, match="it may not read that table"):
        groups(clerk)


# What has become of a press


def test_the_presser_sees_what_has_become_of_its_press_and_nobody_elses(db: Connection, clerk: Connection) -> None:
    add_button(db, "shop.item")
    run, other = press(clerk, "shop.item", "42"), press(db, "shop.item", "42")
    assert state(clerk, run) == {"id": run, "status": "PENDING", "is_finished": False, "message": None}
    assert state(clerk, other) is None
    assert clerk.execute("select id, object_type, object_id, status from rowhooks.my_presses").fetchall() == [
        (run, "shop.item", {"id": 42}, "PENDING")
    ]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("rowhooks.domain.errors.JobFailed", "no power"),
        ("rowhooks.domain.errors.InvalidInputs", "no power"),
        ("psycopg.errors.UniqueViolation", None),
        ("builtins.ValueError", None),
    ],
)
def test_a_failure_says_to_the_presser_what_is_meant_for_it(
    db: Connection, clerk: Connection, kind: str, message: str | None
) -> None:
    add_button(db, "shop.item")
    run = press(clerk, "shop.item", "42")
    db.execute(
        "update rowhooks.job_result set status = 'FAILURE', finished_at = now(), exception_type = %s,"
        " exception_message = 'no power'",
        (kind,),
    )
    assert state(clerk, run) == {"id": run, "status": "FAILURE", "is_finished": True, "message": message}


def test_a_condition_of_the_reader_never_sees_other_presses(db: Connection, clerk: Connection) -> None:
    add_button(db, "shop.item")
    press(db, "shop.item", "42")
    clerk.execute(
        "create function pg_temp.tells(bigint) returns boolean language plpgsql cost 0.0001"
        " as $$ begin raise exception 'leaked %', $1; end $$"
    )
    assert clerk.execute("select id from rowhooks.my_presses where pg_temp.tells(id)").fetchall() == []
