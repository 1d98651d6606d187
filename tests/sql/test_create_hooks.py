"""The SQL functions that add, replace and drop hooks and buttons, and the texts of the calls that migrations make."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from rowhooks.domain.plan import Plan, PlannedButton, PlannedHook, PlannedJob, PlannedTable
from rowhooks.postgres import calls
from rowhooks.postgres.administration.plans import apply_plan
from tests.support.roles import ConnectAs, Connection, MakeRole

ITEM = ("shop.item",)
HOOK = PlannedHook("policies.Serial", ("shop.item",), ("create",))
BUTTON = PlannedButton("policies.Reboot", ("shop.item",), "Reboot")


@pytest.fixture(autouse=True)
def jobs(db: Connection, item: str) -> None:
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled)"
        " values ('policies.Serial', 'hook', 'Serial', true), ('policies.Reboot', 'button', 'Reboot', true)"
    )


def run(db: Connection, call: calls.Call) -> Any:
    row = db.execute(call.script().encode()).fetchone()
    assert row is not None
    return row[0]


def test_a_replaced_hook_keeps_its_id_and_whether_it_is_enabled(db: Connection) -> None:
    its_id = run(db, calls.create_hook("S", HOOK))
    db.execute("update rowhooks.job_hook set enabled = false")
    again = PlannedHook(
        "policies.Serial", ("shop.item",), ("delete",), ("name",), conditions={"attr": "id", "value": 1}
    )
    assert run(db, calls.create_hook("S", again, or_replace=True)) == its_id
    row = db.execute("select enabled, type_create, type_delete, columns, conditions from rowhooks.job_hook").fetchone()
    assert row == (False, False, True, ["name"], {"attr": "id", "value": 1})


def test_a_replaced_button_is_on_its_new_tables_alone(db: Connection) -> None:
    db.execute("create table shop.other (id integer primary key)")
    db.execute("select rowhooks.track('shop.other')")
    its_id = run(db, calls.create_button("B", BUTTON))
    moved = PlannedButton("policies.Reboot", ("shop.other",), "Start", enabled=False)
    assert run(db, calls.create_button("B", moved, or_replace=True)) == its_id
    assert db.execute("select table_name::text from rowhooks.job_button_table").fetchall() == [("other",)]
    assert db.execute("select text, enabled from rowhooks.job_button").fetchone() == ("Start", False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (calls.create_hook("S", PlannedHook("a.New", ("shop.item",), ("create",))), "there is no job a.New"),
        (calls.create_hook("S", PlannedHook("New", ("shop.item",), ("create",)), expected=True), "not the path of a"),
        (calls.create_hook("S", PlannedHook("policies.Serial", (), ("create",))), "hook S is on no table"),
        (
            calls.create_hook("S", PlannedHook("policies.Reboot", ("shop.item",), ("create",))),
            "is a button receiver",
        ),
        (calls.create_hook("S", PlannedHook("policies.Serial", ("shop.item",))), "must select at least one type"),
        (
            calls.create_button("B", PlannedButton("policies.Reboot", ITEM, "x", roles=("nobody_",))),
            "no role",
        ),
        (calls.drop_hook("S"), "there is no hook S"),
        (calls.drop_button("B"), "there is no button B"),
    ],
)
def test_what_cannot_be_is_refused(db: Connection, call: calls.Call, message: str) -> None:
    with pytest.raises(psycopg.Error, match=message):
        run(db, call)
    assert db.execute("select name from rowhooks.job where not installed").fetchall() == []


def test_an_action_that_does_not_exist_is_refused(db: Connection) -> None:
    with pytest.raises(psycopg.Error, match="hook S: its actions are create, truncate"):
        db.execute(
            "select rowhooks.create_job_hook('S', 'policies.Serial', array['shop.item']::regclass[],"
            " array['create', 'truncate'])"
        )


@pytest.mark.parametrize("queue", ["", "a b", "ü", "a\n", "a" * 64])
@pytest.mark.parametrize("kind", ["hook", "button"])
def test_a_queue_that_is_no_name_is_refused_whoever_asks(db: Connection, kind: str, queue: str) -> None:
    run(db, calls.create_hook("S", HOOK))
    run(db, calls.create_button("S", BUTTON))
    rest = {"hook": "'{shop.item}', '{delete}'", "button": "'{shop.item}', 'x'"}[kind]
    job = {"hook": "policies.Serial", "button": "policies.Reboot"}[kind]
    for statement, value in (
        (f"select rowhooks.create_job_{kind}('T', '{job}', {rest}, queue => %s)", queue),
        (f"select rowhooks.alter_job_{kind}('S', %s)", Jsonb({"queue": queue})),
        (f"update rowhooks.job_{kind} set queue = %s", queue),
    ):
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            db.execute(statement, (value,))
        assert refused.value.diag.constraint_name == f"job_{kind}_queue_has_a_name"


@pytest.mark.parametrize("kind", ["hook", "button"])
def test_a_queue_is_given_replaced_altered_and_taken_away(db: Connection, kind: str) -> None:
    create: Any = {"hook": calls.create_hook, "button": calls.create_button}[kind]
    planned: Any = {"hook": HOOK, "button": BUTTON}[kind]

    def queue() -> Any:
        return db.execute(f"select queue from rowhooks.job_{kind}").fetchall()

    run(db, create("S", replace(planned, queue="reports")))
    assert queue() == [("reports",)]
    run(db, create("S", replace(planned, queue="a.B_c-1"), or_replace=True))
    assert queue() == [("a.B_c-1",)]
    long = "x" * 63
    for changes, expected in (({"queue": long}, long), ({"job": planned.job}, long), ({"queue": None}, None)):
        db.execute(f"select rowhooks.alter_job_{kind}('S', %s)", (Jsonb(changes),))
        assert queue() == [(expected,)]
    run(db, create("S", replace(planned, queue="reports"), or_replace=True))
    run(db, create("S", planned, or_replace=True))
    assert queue() == [(None,)]


def test_a_hook_that_exists_is_replaced_only_on_request(db: Connection) -> None:
    run(db, calls.create_hook("S", HOOK))
    run(db, calls.create_button("B", BUTTON))
    with pytest.raises(psycopg.errors.DuplicateObject, match="a hook named S exists already"):
        run(db, calls.create_hook("S", HOOK))
    with pytest.raises(psycopg.errors.DuplicateObject, match="a button named B exists already"):
        run(db, calls.create_button("B", BUTTON))


def test_a_job_that_is_expected_is_entered_disabled(db: Connection) -> None:
    notices: list[str] = []
    db.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
    run(db, calls.create_hook("S", PlannedHook("a.New", ("shop.item",), ("create",)), expected=True))
    row = db.execute("select kind, name, enabled, installed from rowhooks.job where class_path = 'a.New'").fetchone()
    assert row == ("hook", "New", False, False)
    assert any("no daemon has had job a.New yet" in notice for notice in notices)


def test_a_role_without_rights_makes_no_hook(db: Connection, make_role: MakeRole, connect_as: ConnectAs) -> None:
    other = connect_as(make_role("other"))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(other, calls.create_hook("S", HOOK))


def test_the_daemons_role_may_do_it_all(db: Connection, make_role: MakeRole, connect_as: ConnectAs) -> None:
    name = make_role("manager")
    db.execute(f"grant rowhooks_daemon to {name}")
    manager = connect_as(name)
    run(manager, calls.create_hook("S", HOOK))
    run(manager, calls.create_hook("S", HOOK, or_replace=True))
    run(manager, calls.create_hook("N", PlannedHook("a.New", ("shop.item",), ("create",)), expected=True))
    run(manager, calls.create_button("B", BUTTON))
    run(manager, calls.drop_hook("S"))
    run(manager, calls.drop_button("B"))
    plan = Plan(jobs={"Serial": PlannedJob(enabled=False)}, hooks={"S": HOOK}, buttons={"B": BUTTON})
    assert len(apply_plan(manager, plan, prune=True).differences) == 5
    assert apply_plan(manager, plan, prune=True).differences == []


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS | st.sampled_from(["'", "\\", "\\'", "%s", ":x", "$1", "E'"]), max_size=3), st.booleans())
def test_a_text_in_a_script_is_the_text(db: Connection, texts: list[str], conforming: bool) -> None:
    """Whatever the client's standard_conforming_strings."""
    db.execute(f"set standard_conforming_strings = {'on' if conforming else 'off'}")
    script = calls.Call("f", {"a": ("text[]", texts), "b": ("text", "".join(texts))}).script()
    written = script.replace('rowhooks.f("a" => ', "").replace('"b" => ', "").removesuffix(")")
    row = psycopg.ClientCursor(db).execute(written.encode()).fetchone()
    assert row == (texts, "".join(texts))


def test_a_text_that_postgresql_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="zero byte"):
        calls.track("a\0", PlannedTable()).script()
