"""Buttons as rows: what one consists of, what the database refuses, and what those see of them who may press."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.roles import ConnectAs, MakeRole

Connection = psycopg.Connection[Any]


@pytest.fixture
def job(db: Connection) -> int:
    """An enabled button receiver."""
    row = db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values ('jobs.Reboot', 'button', 'Reboot', true)"
        " returning id"
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def button(db: Connection, job: int, item: str) -> int:
    """`Reboot` on shop.item."""
    row = db.execute(
        "with made as (insert into rowhooks.job_button (name, job_id, text) values ('Reboot', %s, 'Go') returning id)"
        " insert into rowhooks.job_button_table select m.id, t.id from made as m, rowhooks.tracked_table as t"
        " returning job_button_id",
        (job,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def seen(conn: Connection, columns: str = "name") -> list[Any]:
    found = conn.execute(f"select {columns} from rowhooks.buttons order by name, object_type").fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def version(db: Connection) -> int:
    row = db.execute("select version from rowhooks.configuration").fetchone()
    assert row is not None
    return int(row[0])


# Fields


def test_a_button_has_nautobots_defaults_and_nobodys_permission(db: Connection, button: int) -> None:
    assert db.execute(
        "select enabled, group_name, weight, button_class, confirmation, roles from rowhooks.job_button"
    ).fetchone() == (True, "", 100, "default", True, [])


@pytest.mark.parametrize("look", ["default", "primary", "success", "info", "warning", "danger", "link"])
def test_a_button_has_one_of_nautobots_classes(db: Connection, button: int, look: str) -> None:
    db.execute("update rowhooks.job_button set button_class = %s", (look,))
    assert seen(db, "button_class") == [look]


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("name", "", "job_button_has_a_name"),
        ("text", "x" * 501, "job_button_text_is_short"),
        ("weight", -1, "job_button_weight_is_not_negative"),
        ("button_class", "pink", "job_button_class_check"),
        ("queue", "a b", "job_button_queue_has_a_name"),
        ("queue", "", "job_button_queue_has_a_name"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(
    db: Connection, button: int, column: str, value: object, constraint: str
) -> None:
    with pytest.raises(errors.CheckViolation) as caught:
        db.execute(f"update rowhooks.job_button set {column} = %s", (value,))
    assert caught.value.diag.constraint_name == constraint


def test_a_text_may_have_500_characters(db: Connection, button: int) -> None:
    db.execute("update rowhooks.job_button set text = %s", ("ß" * 500,))
    assert seen(db, "length(text)") == [500]


def test_two_buttons_of_one_name_are_refused(db: Connection, button: int, job: int) -> None:
    with pytest.raises(errors.UniqueViolation):
        db.execute("insert into rowhooks.job_button (name, job_id, text) values ('Reboot', %s, 'x')", (job,))


# Jobs


def test_a_button_that_would_start_a_hook_receiver_is_refused(db: Connection, button: int) -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('jobs.Serial', 'hook', 'Serial')")
    with pytest.raises(
        errors.InvalidParameterValue, match=r"button Reboot cannot start job jobs\.Serial: it is a hook"
    ):
        db.execute("update rowhooks.job_button set job_id = (select id from rowhooks.job where kind = 'hook')")
    with pytest.raises(errors.InvalidParameterValue, match=r"button New cannot start job jobs\.Serial"):
        db.execute(
            "insert into rowhooks.job_button (name, job_id, text)"
            " select 'New', id, 'x' from rowhooks.job where kind = 'hook'"
        )


def test_a_job_that_does_not_exist_is_refused(db: Connection, job: int) -> None:
    with pytest.raises(errors.ForeignKeyViolation):
        db.execute("insert into rowhooks.job_button (name, job_id, text) values ('New', %s, 'x')", (job + 1,))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("enabled", "button Reboot cannot be enabled: its job jobs.Reboot is disabled"),
        ("installed", "button Reboot cannot be enabled: its job jobs.Reboot is not installed"),
    ],
)
def test_enabling_a_button_whose_job_cannot_run_is_refused_with_the_jobs_name(
    db: Connection, button: int, what: str, message: str
) -> None:
    db.execute("update rowhooks.job_button set enabled = false")
    db.execute(f"update rowhooks.job set {what} = false")
    with pytest.raises(errors.ObjectNotInPrerequisiteState) as caught:
        db.execute("update rowhooks.job_button set enabled = true")
    assert caught.value.diag.message_primary == message
    assert caught.value.diag.message_hint


def test_a_button_stays_enabled_and_can_be_changed_while_its_job_is_disabled(db: Connection, button: int) -> None:
    db.execute("update rowhooks.job set enabled = false")
    db.execute("update rowhooks.job_button set enabled = true, weight = 5")
    assert seen(db, "enabled, job_enabled, weight") == [(True, False, 5)]


def test_a_button_can_be_made_before_its_job_is_enabled(db: Connection, job: int) -> None:
    db.execute("update rowhooks.job set enabled = false")
    db.execute("insert into rowhooks.job_button (name, job_id, text) values ('New', %s, 'x')", (job,))
    assert db.execute("select enabled from rowhooks.job_button").fetchall() == [(True,)]


def test_a_button_goes_with_its_job(db: Connection, button: int) -> None:
    db.execute("delete from rowhooks.job")
    assert db.execute("select count(*) from rowhooks.job_button_table").fetchone() == (0,)


@pytest.mark.parametrize("statement", [
    "insert into rowhooks.job_button (name, job_id, text) select 'New', id, 'x' from rowhooks.job",
    "update rowhooks.job_button set weight = 1",
    "delete from rowhooks.job_button_table",
    "delete from rowhooks.job_button",
    "truncate rowhooks.job_button cascade",
])  # fmt: skip
def test_every_change_of_a_button_is_a_change_of_the_configuration(db: Connection, button: int, statement: str) -> None:
    before = version(db)
    db.execute(statement)
    assert version(db) > before


# The view


def test_the_view_has_what_a_page_needs(db: Connection, button: int) -> None:
    db.execute(
        "update rowhooks.job_button set text = 'Go {{ obj }}', group_name = 'Power', weight = 5,"
        " button_class = 'danger', confirmation = false"
    )
    assert seen(
        db,
        "id, name, object_type, relation::text, text, group_name, weight, button_class, confirmation, job, enabled,"
        " job_enabled, may_press, repr_column::text",
    ) == [
        (
            button, "Reboot", "shop.item", "shop.item", "Go {{ obj }}", "Power", 5, "danger", False, "jobs.Reboot",
            True, True, True, "name",
        )
    ]  # fmt: skip


def test_a_button_of_two_tables_is_seen_on_each(db: Connection, button: int) -> None:
    db.execute("create table shop.box (id integer primary key)")
    db.execute("select rowhooks.track('shop.box')")
    db.execute("insert into rowhooks.job_button_table select %s, max(id) from rowhooks.tracked_table", (button,))
    assert seen(db, "name, object_type") == [("Reboot", "shop.box"), ("Reboot", "shop.item")]


def test_only_the_buttons_of_tables_that_may_be_read_are_seen(
    db: Connection, button: int, clerk: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    assert seen(clerk) == ["Reboot"]
    nobody = connect_as(make_role("nobody"))
    assert seen(nobody) == []
    db.execute(f"grant select on shop.item to {nobody.info.user}")
    assert seen(nobody) == [], "the schema may not be used"


def test_a_condition_of_the_reader_sees_no_other_rows(button: int, db: Connection, stranger: Connection) -> None:
    db.execute(f"revoke select on shop.item from {stranger.info.user}")
    stranger.execute(
        "create function hostile.leak(text) returns boolean language plpgsql cost 0.0000001 as"
        " $$ begin raise exception 'leaked %', $1; end $$"
    )
    assert stranger.execute("select name from rowhooks.buttons where hostile.leak(text)").fetchall() == []


def test_the_view_says_who_may_press_for_the_role_that_asks(
    db: Connection, button: int, clerk: Connection, make_role: MakeRole, daemon_dsn: str
) -> None:
    db.execute("grant usage on schema shop to rowhooks_daemon; grant select on shop.item to rowhooks_daemon")
    desk = make_role("desk")
    with psycopg.connect(daemon_dsn, autocommit=True) as daemon:
        assert [seen(conn, "may_press") for conn in (db, daemon, clerk)] == [[True], [True], [False]]
        db.execute("update rowhooks.job_button set roles = array[%s, 'no such role']", (desk,))
        assert seen(clerk, "may_press") == [False]
        db.execute(f"grant {desk} to {clerk.info.user}")
        assert seen(clerk, "may_press") == [True]
        db.execute("update rowhooks.job_button set roles = array['public']")
        db.execute(f"revoke {desk} from {clerk.info.user}")
        assert seen(clerk, "may_press") == [True]


def test_the_view_and_the_press_agree_on_who_may(db: Connection, button: int, clerk: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    for roles in ([], ["no such role"], ["public"], [clerk.info.user], [clerk.info.user[:-1]], ["rowhooks_daemon"]):
        db.execute("update rowhooks.job_button set roles = %s", (roles,))
        try:
            clerk.execute("select rowhooks.press('Reboot', 'shop.item', '1')")
            pressed = True
        except errors.InsufficientPrivilege:
            pressed = False
        assert seen(clerk, "may_press") == [pressed], roles


def test_an_untracked_table_has_no_buttons(db: Connection, button: int) -> None:
    db.execute("select rowhooks.untrack('shop.item')")
    assert seen(db) == []


def test_a_dropped_table_has_no_buttons(db: Connection, button: int) -> None:
    db.execute("drop table shop.item")
    assert seen(db) == []
