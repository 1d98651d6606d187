"""Plans as files: what is read, what is refused and where, and what is written."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rowhooks.cli.plan_file import parse_plan, write_plan
from rowhooks.domain.errors import UsageError
from rowhooks.domain.plan import Plan, PlannedButton, PlannedHook, PlannedRule, PlannedTable

HOOK = "hooks:\n  S:\n    job: a.B\n    tables: [t]\n    actions: [create]\n"


def test_words_mean_what_they_mean_in_json() -> None:
    plan = parse_plan(f"{HOOK}    conditions: {{attr: on, value: [2026-01-31, 12:30, no, 1.10, 010, ~, 'true']}}", "f")
    assert plan.hooks is not None
    assert plan.hooks["S"].conditions == {
        "attr": "on", "value": ["2026-01-31", "12:30", "no", Decimal("1.10"), 10, None, "true"],
    }  # fmt: skip


def test_no_digit_is_lost() -> None:
    long = "1" * 5000
    plan = parse_plan(f"{HOOK}    conditions: {{attr: a, value: {long}}}", "f")
    assert plan.hooks is not None
    assert plan.hooks["S"].conditions["value"] == Decimal(long)


def test_an_empty_file_is_a_plan_of_nothing() -> None:
    assert parse_plan("# nothing yet\n", "f") == Plan()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hooks:\n  S:\n    job: a\n    colums: [a]\n", "f:4: hooks.S.colums: unknown key"),
        ("tabels: {}", "f:1: tabels: unknown key"),
        ("tables:\n  a: 1\n  a: 2", "f:3: a stands here twice"),
        ("tables:\n  a: {always: yes}", "f:2: tables.a.always: true or false is expected"),
        ("tables:\n  a:\n    exclude: pin", "f:3: tables.a.exclude: a list is expected"),
        ("buttons:\n  B:\n    job: x\n    text: x", "f:2: buttons.B.tables: this is missing"),
        (
            f"{HOOK}    queue: a b",
            "f:2: hooks.S: queue: 'a b' is no name of a queue (a name has 1 to 63 letters, digits, ",
        ),
        (f"{HOOK}    queue: 3", "f:6: hooks.S.queue: input should be a valid string"),
        (
            "buttons:\n  B: {job: x, text: x, tables: [t], queue: ''}",
            "f:2: buttons.B: queue: '' is no name of a queue",
        ),
        ("jobs:\n  a.B:\n", "f:2: jobs.a.B: a mapping is expected"),
        ("- a", "f:1: the file: a mapping is expected"),
        ("tables: [", "f:1: this is not YAML: expected the node content"),
        ("a: b: c", "f:1: this is not YAML: mapping values are not allowed here"),
        ("a: !!python/object 1", "f:1: the tag tag:yaml.org,2002:python/object means nothing here"),
        ("a: !own {}", "f:1: the tag !own means nothing here"),
        ("a: !!int x", "f:1: x is no int"),
        ("a: [1e99999999999999999999]", "f:1: 1e99999999999999999999 is no float"),
        ("? [a]\n: b", "f:1: a key is a word"),
        ("a: &x [*x]", "f: it is nested too deeply"),
        (
            "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)),
            "f:1: its aliases stand for too many values",
        ),
        ("--- {}\n--- {}", "f:2: this is not YAML: but found another document"),
        ("a: \x07", "f: this is not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_plan(text, "f")
    assert refused.value.message.startswith(message)


def test_a_section_with_nothing_in_it_is_a_section() -> None:
    plan = parse_plan("hooks:\ntables: {}\n", "f")
    assert (plan.hooks, plan.tables, plan.buttons) == ({}, {}, None)


def test_an_identity_of_no_columns_is_full() -> None:
    assert parse_plan("tables: {a: {identity: []}}", "f") == parse_plan("tables: {a: {identity: full}}", "f")


def test_all_that_is_wrong_is_named_in_order() -> None:
    with pytest.raises(UsageError) as refused:
        parse_plan("tables:\n  a: {exclude: 3, x: 1}\n  b: {y: 1}", "f")
    assert refused.value.message.count("; ") == 2
    assert refused.value.message.endswith("f:3: tables.b.y: unknown key")


def test_what_is_written_is_read_as_the_same() -> None:
    plan = Plan(
        tables={'dcim."Odd: name"': PlannedTable(identity=("no", "1e5"), exclude=("~", "true", "#", ""))},
        future={"*": PlannedRule(always=True)},
        hooks={
            "12:30": PlannedHook("a.B", ("t",), ("create",), conditions={"attr": "1.10", "value": Decimal("1.10")}),
            "é\n": PlannedHook(enabled=False),
            "Q": PlannedHook("a.B", ("t",), ("create",), queue="1e5"),
        },
        buttons={"B": PlannedButton("a.B", ("t",), "{{ obj }}: 'x'\n\\", weight=1, queue="no")},
    )
    assert parse_plan(write_plan(plan), "f") == plan
