"""Job hooks: what the database refuses, whoever asks for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from rowhooks.domain.errors import ConditionsError
from rowhooks.pipeline.comparison import OPERATORS
from rowhooks.pipeline.conditions import parse
from tests.support.roles import Connection

SERIAL = {"attr": "serial", "value": "A1"}


@pytest.fixture
def rack(db: Connection, device: str) -> str:
    db.execute("create table dcim.rack (id integer primary key, height integer)")
    db.execute("select rowhooks.track('dcim.rack')")
    return "dcim.rack"


@pytest.fixture(autouse=True)
def jobs(db: Connection) -> None:
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled)"
        " values ('policies.Serial', 'hook', 'Serial', true), ('policies.Other', 'hook', 'Other', true),"
        " ('policies.Reboot', 'button', 'Reboot', true)"
    )


def add(
    conn: Connection,
    name: str,
    *tables: str,
    job: str = "policies.Serial",
    actions: str = "update",
    columns: list[str] | None = None,
    conditions: Any = None,
    enabled: bool = True,
) -> None:
    """Make a hook and its tables, in one transaction."""
    with conn.transaction():
        conn.execute(
            "insert into rowhooks.job_hook"
            " (name, job_id, type_create, type_update, type_delete, columns, conditions, enabled)"
            " select %(name)s, j.id, %(actions)s ~ 'create', %(actions)s ~ 'update', %(actions)s ~ 'delete',"
            " %(columns)s, %(conditions)s, %(enabled)s from rowhooks.job as j where j.class_path = %(job)s",
            {
                "name": name, "actions": actions, "columns": columns or [], "enabled": enabled, "job": job,
                "conditions": None if conditions is None else Jsonb(conditions),
            },
        )  # fmt: skip
        add_tables(conn, name, *tables)


def add_tables(conn: Connection, name: str, *tables: str) -> None:
    conn.execute(
        "insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)"
        " select h.id, t.id from rowhooks.job_hook as h cross join rowhooks.tracked_table as t"
        " where h.name = %s and t.relation = any (%s::regclass[])",
        (name, list(tables)),
    )


# 1. At least one action


def test_a_hook_needs_at_least_one_of_create_update_delete(db: Connection, device: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        add(db, "Serials", device, actions="")
    assert refused.value.diag.message_primary == ("You must select at least one type: create, update, and/or delete.")
    add(db, "Serials", device)
    with pytest.raises(psycopg.errors.CheckViolation, match="You must select at least one type"):
        db.execute("update rowhooks.job_hook set type_update = false")


# 2. Enabled hooks and disabled jobs


def test_a_hook_is_enabled_by_default_and_a_job_is_not(db: Connection) -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('policies.New', 'hook', 'New')")
    db.execute(
        "insert into rowhooks.job_hook (name, job_id, type_update)"
        " select 'New', j.id, true from rowhooks.job as j where j.name = 'New'"
    )
    assert db.execute("select enabled from rowhooks.job_hook").fetchone() == (True,)
    assert db.execute("select enabled from rowhooks.job where name = 'New'").fetchone() == (False,)


@pytest.mark.parametrize(
    ("state", "message", "hint"),
    [
        ("enabled = false", "its job policies.Serial is disabled", "Run: rowhooks jobs enable policies.Serial"),
        (
            "installed = false",
            "its job policies.Serial is not installed",
            "Add its module to rowhooks.toml and restart",
        ),
    ],
)
def test_enabling_a_hook_whose_job_cannot_run_is_refused_with_the_jobs_name(
    db: Connection, device: str, state: str, message: str, hint: str
) -> None:
    db.execute(f"update rowhooks.job set {state}")
    # Adding an enabled one is allowed, and so is everything but enabling.
    add(db, "Serials", device)
    db.execute("update rowhooks.job_hook set columns = '{serial}'")
    db.execute("update rowhooks.job_hook set enabled = false")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
        db.execute("update rowhooks.job_hook set enabled = true")
    assert refused.value.diag.message_primary == f"hook Serials cannot be enabled: {message}"
    assert (refused.value.diag.message_hint or "").startswith(hint)


# 3. Conflicts

CONFLICT = "A job hook already exists for update on dcim.device to job policies.Serial"


def test_two_hooks_with_the_same_table_job_action_and_conditions_are_refused(db: Connection, device: str) -> None:
    add(db, "Serials", device, actions="create update", conditions=SERIAL, columns=["serial", "name"])
    with pytest.raises(psycopg.errors.UniqueViolation) as refused:
        add(db, "Again", device, actions="update delete", conditions=SERIAL, columns=["name", "serial", "name"])
    assert refused.value.diag.message_primary == CONFLICT
    assert refused.value.diag.message_hint == "It is hook Serials. Give one of them other columns or conditions."


@pytest.mark.parametrize(
    "other",
    [
        {"job": "policies.Other"},
        {"actions": "create delete"},
        {"conditions": SERIAL},
        {"columns": ["serial"]},
        {"tables": "dcim.rack"},
    ],
    ids=["job", "action", "conditions", "columns", "table"],
)
def test_a_hook_that_differs_in_one_of_them_is_none_too_many(
    db: Connection, device: str, rack: str, other: dict[str, Any]
) -> None:
    add(db, "Serials", device)
    add(db, "Another", other.pop("tables", device), **other)
    assert db.execute("select count(*) from rowhooks.job_hook").fetchone() == (2,)


def test_the_action_that_they_have_in_common_is_named(db: Connection, device: str) -> None:
    add(db, "Serials", device, actions="update delete")
    with pytest.raises(psycopg.errors.UniqueViolation, match=r"already exists for delete on dcim\.device"):
        add(db, "Again", device, actions="create delete")


@pytest.mark.parametrize(
    "edit",
    [
        "update rowhooks.job_hook set type_update = true where name = 'Creates'",
        "update rowhooks.job_hook set conditions = null where name = 'Conditions'",
        "update rowhooks.job_hook set columns = '{}' where name = 'Columns'",
        "update rowhooks.job_hook as h set job_id = j.id from rowhooks.job as j"
        " where h.name = 'Others' and j.class_path = 'policies.Serial'",
        "insert into rowhooks.job_hook_table select h.id, t.id from rowhooks.job_hook as h, rowhooks.tracked_table as t"
        " where h.name = 'Racks' and t.table_name = 'device'",
    ],
    ids=["action", "conditions", "columns", "job", "table"],
)
def test_a_partial_edit_that_makes_two_hooks_the_same_is_refused(
    db: Connection, device: str, rack: str, edit: str
) -> None:
    add(db, "Serials", device)
    add(db, "Creates", device, actions="create")
    add(db, "Conditions", device, conditions=SERIAL)
    add(db, "Columns", device, columns=["serial"])
    add(db, "Others", device, job="policies.Other")
    add(db, "Racks", rack)
    with pytest.raises(psycopg.errors.UniqueViolation) as refused:
        db.execute(edit)
    assert refused.value.diag.message_primary == CONFLICT


def test_two_transactions_that_make_the_same_hook_at_once_do_not_both_succeed(
    db: Connection, dsn: str, device: str
) -> None:
    for isolation in (psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ):
        db.execute("delete from rowhooks.job_hook")
        with psycopg.connect(dsn) as first, psycopg.connect(dsn) as second, ThreadPoolExecutor(1) as threads:
            for conn in (first, second):
                conn.isolation_level = isolation
                conn.execute("select 1 from rowhooks.job_hook")
            add(first, "First", device)
            waiting = threads.submit(_add_and_commit, second, device)
            while not waiting.done() and not _waits(db, second.info.backend_pid):
                pass
            first.commit()
            with pytest.raises((psycopg.errors.UniqueViolation, psycopg.errors.SerializationFailure)):
                waiting.result()
            second.rollback()
        assert db.execute("select array_agg(name) from rowhooks.job_hook").fetchone() == (["First"],)


def _add_and_commit(conn: Connection, table: str) -> None:
    add(conn, "Second", table)
    conn.commit()


def _waits(db: Connection, pid: int) -> bool:
    return db.execute("select cardinality(pg_blocking_pids(%s)) > 0", (pid,)).fetchone() == (True,)


# 14. Columns


def test_a_column_that_none_of_the_tables_has_is_refused_by_name(db: Connection, device: str, rack: str) -> None:
    add(db, "Both", device, rack, columns=["serial", "height"])
    with pytest.raises(psycopg.errors.UndefinedColumn) as refused:
        add(db, "Serials", device, rack, columns=["serial", "asset_tag"])
    assert refused.value.diag.message_primary == (
        "job hook Serials: there is no column asset_tag in dcim.device, dcim.rack"
    )
    with pytest.raises(psycopg.errors.UndefinedColumn, match=r"there is no column height in dcim\.device"):
        db.execute(
            "delete from rowhooks.job_hook_table as x using rowhooks.tracked_table as t"
            " where t.id = x.tracked_table_id and t.table_name = 'rack'"
        )


def test_a_hook_whose_column_was_dropped_can_still_be_disabled_and_removed(db: Connection, device: str) -> None:
    add(db, "Serials", device, columns=["serial"])
    db.execute("alter table dcim.device drop column serial")
    db.execute("update rowhooks.job_hook set enabled = false")
    db.execute("update rowhooks.job_hook set enabled = true")
    db.execute("delete from rowhooks.job_hook")
    assert db.execute("select count(*) from rowhooks.job_hook_table").fetchone() == (0,)


# 15. Conditions

MALFORMED: list[Any] = [
    3,
    [SERIAL],
    {},
    {"and": []},
    {"or": SERIAL},
    {"and": [SERIAL], "attr": "serial"},
    {"and": [SERIAL, {"attr": "serial", "op": "equals", "value": 1}]},
    {"not": {"or": [SERIAL, 1]}},
    {"attr": "serial"},
    {"attr": "serial", "op": "changed", "value": None},
    {"attr": "serial", "value": 1, "negate": None},
    {"attr": "serial", "value": 1, "vlaue": 1},
    {"attr": 1, "value": 1},
    {"attr": "a..b", "value": 1},
    {"attr": "old", "value": 1},
    {"attr": "", "value": 1},
    {"attr": "serial", "op": None, "value": 1},
    {"attr": "serial", "op": "in", "value": "A1"},
    {"attr": "serial", "op": "gt", "value": True},
    {"attr": "serial", "op": "lte", "value": None},
    {"attr": "serial", "op": "regex", "value": 1},
    {"and": [SERIAL] * 500},
]
WELL_FORMED: list[Any] = [
    SERIAL,
    {"attr": "new.serial", "op": "regex", "value": "^A", "negate": True},
    {"attr": "old.a.0.b", "op": "changed"},
    {"and": [{"or": [SERIAL, {"not": SERIAL}]}, {"attr": "serial", "op": "in", "value": []}]},
    {"attr": "serial", "value": None},
    {"attr": "and", "op": "contains", "value": {"or": 1}},
    {"and": [SERIAL] * 499},
]


def nested(depth: int) -> Any:
    return SERIAL if depth == 1 else {"not": nested(depth - 1)}


@pytest.mark.parametrize("conditions", [*MALFORMED, nested(21)], ids=lambda value: json.dumps(value)[:40])
def test_malformed_conditions_are_refused_when_the_hook_is_saved_as_python_does(
    db: Connection, device: str, conditions: Any
) -> None:
    with pytest.raises(ConditionsError):
        parse(conditions)
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        add(db, "Serials", device, conditions=conditions)
    assert (refused.value.diag.message_primary or "").startswith("job hook Serials: conditions: ")
    assert refused.value.diag.message_hint
    add(db, "Serials", device)
    with pytest.raises(psycopg.errors.CheckViolation):
        db.execute("update rowhooks.job_hook set conditions = %s", (Jsonb(conditions),))


@pytest.mark.parametrize("conditions", [*WELL_FORMED, nested(20)], ids=lambda value: json.dumps(value)[:40])
def test_well_formed_conditions_are_saved(db: Connection, device: str, conditions: Any) -> None:
    parse(conditions)
    add(db, "Serials", device, conditions=conditions)
    assert db.execute("select conditions from rowhooks.job_hook").fetchone() == (conditions,)


def problem_in_python(conditions: Any) -> str | None:
    try:
        parse(conditions)
    except ConditionsError as error:
        return error.message
    return None


def conditions_or_nearly() -> st.SearchStrategy[Any]:
    """Conditions, and what one or two mistakes make of them."""
    value = st.sampled_from([None, True, 1, 2.5, "A1", "", [], ["A1"], {}, {"a": 1}])
    comparison = st.fixed_dictionaries(
        {},
        optional={
            "attr": st.sampled_from(["serial", "new.serial", "old", "new", "", "a..b", "a.0", ".a", "and", 1, None]),
            "op": st.sampled_from([*OPERATORS, "equals", "EQ", "", None, 1]),
            "value": value,
            "negate": st.sampled_from([True, False, None, 0]),
            "vlaue": value,
        },
    )
    well_formed = st.sampled_from([SERIAL, {"attr": "old.a", "op": "changed"}, {"attr": "a", "op": "in", "value": [1]}])

    def combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.one_of(st.lists(inner, max_size=3), inner)
        return st.one_of(
            *(st.fixed_dictionaries({logic: some}) for logic in ("and", "or")),
            st.fixed_dictionaries({"not": inner}),
            st.fixed_dictionaries({"not": inner}, optional={"or": some, "attr": st.just("a")}),
        )

    return st.recursive(st.one_of(well_formed, well_formed, comparison, value), combined, max_leaves=6)


@given(st.lists(conditions_or_nearly(), min_size=100, max_size=100))
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_python_and_the_database_refuse_the_same_conditions(db: Connection, many: list[Any]) -> None:
    """Both must: a declaration is checked before there is a database, and a row whoever writes it."""
    found = db.execute(
        "select rowhooks.check_conditions(c.value) from jsonb_array_elements(%s) with ordinality as c (value, place)"
        " order by c.place",
        (Jsonb(many),),
    ).fetchall()
    for conditions, (problem,) in zip(many, found, strict=True):
        ours = problem_in_python(conditions)
        assert (problem is None) == (ours is None), f"{problem}, in Python {ours}: {json.dumps(conditions)}"


def test_the_place_in_malformed_conditions_is_named(db: Connection, device: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        add(db, "Serials", device, conditions={"and": [SERIAL, {"attr": "serial", "op": "equals", "value": 1}]})
    assert refused.value.diag.message_primary == (
        "job hook Serials: conditions: and[1]: unknown op 'equals';"
        " known: eq, gt, gte, lt, lte, in, contains, regex, changed"
    )


def test_the_null_of_json_is_no_condition(db: Connection, device: str) -> None:
    with db.transaction():
        add(db, "Serials", device)
        db.execute("update rowhooks.job_hook set conditions = 'null'")
    assert db.execute("select conditions is null from rowhooks.job_hook").fetchone() == (True,)


# The job


def test_a_hook_cannot_start_a_button_receiver(db: Connection, device: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refused:
        add(db, "Serials", device, job="policies.Reboot")
    assert refused.value.diag.message_primary == (
        "job hook Serials cannot start job policies.Reboot: it is a button receiver"
    )


@pytest.fixture
def daemon(daemon_dsn: str) -> Iterator[Connection]:
    with psycopg.connect(daemon_dsn, autocommit=True) as conn:
        yield conn


def test_the_checks_hold_for_the_daemons_role_which_may_not_read_everything(
    daemon: Connection, db: Connection, device: str, rack: str
) -> None:
    # dcim.rack is not granted to it.
    add(daemon, "Racks", rack, columns=["height"])
    with pytest.raises(psycopg.errors.UniqueViolation):
        add(daemon, "Again", rack, columns=["height"])
    with pytest.raises(psycopg.errors.UndefinedColumn):
        add(daemon, "Serials", rack, columns=["serial"])
