"""Conditions: what is well-formed, what holds of a change, and what cannot be decided."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import ConditionFailed, ConditionsError
from rowhooks.pipeline.conditions import MAX_CONDITIONS, MAX_DEPTH, parse, parse_json
from tests.support.make import change

ROW = {
    "name": "sw1",
    "serial": "A1",
    "height": 2,
    "price": 10.5,
    "active": True,
    "status": {"value": "active", "tags": ["core", "edge"]},
    "gone": None,
    "new": "n",
}


def update(**columns: Any) -> ObjectChange:
    """Return an update of ROW that changes these columns."""
    return change(before=ROW, after={**ROW, **columns})


def holds(condition: Any, of: ObjectChange | None = None) -> bool:
    return parse(condition).holds(of or update())


def compare(attr: str, op: str, *value: Any, of: ObjectChange | None = None) -> bool:
    return holds({"attr": attr, "op": op, **({"value": value[0]} if value else {})}, of)


# Comparisons


@pytest.mark.parametrize(
    ("attr", "op", "value", "expected"),
    [
        ("name", "eq", "sw1", True),
        ("name", "eq", "sw2", False),
        ("gone", "eq", None, True),
        ("height", "eq", 2.0, True),
        ("status", "eq", {"tags": ["core", "edge"], "value": "active"}, True),
        ("height", "gt", 1, True),
        ("height", "gt", 2, False),
        ("height", "gte", 2, True),
        ("price", "lt", 11, True),
        ("price", "lte", 10.5, True),
        ("price", "lte", 10.4, False),
        ("name", "gt", "sw0", True),
        ("serial", "in", ["A1", "A2"], True),
        ("serial", "in", [], False),
        ("gone", "in", [None], True),
        ("name", "contains", "w", True),
        ("name", "contains", "x", False),
        ("status.tags", "contains", "core", True),
        ("status.tags", "contains", "spine", False),
        ("status", "contains", "value", True),
        ("status", "contains", "active", False),
        ("name", "regex", r"\d$", True),
        ("name", "regex", r"^\d", False),
        ("status.value", "eq", "active", True),
        ("status.tags.1", "eq", "edge", True),
        ("new.new", "eq", "n", True),
    ],
)
def test_a_comparison(attr: str, op: str, value: Any, expected: bool) -> None:
    assert compare(attr, op, value) is expected
    assert holds({"attr": attr, "op": op, "value": value, "negate": True}) is not expected


@pytest.mark.parametrize(("attr", "value"), [("active", 1), ("height", True)])
def test_true_is_not_one(attr: str, value: Any) -> None:
    one = update(height=1)
    assert compare(attr, "eq", value, of=one) is False
    assert compare(attr, "in", [value], of=one) is False


NEW_YEAR = "2026-01-01T00:00:00+00:00"
LATER = "2026-01-01T00:00:00.000001+00:00"


@pytest.mark.parametrize(
    ("found", "op", "value", "expected"),
    [
        ("2026-01-01T09:00:00+09:00", "eq", NEW_YEAR, True),
        ("2026-01-01T00:00:00Z", "eq", NEW_YEAR, True),
        ("2025-12-31T14:30:00-09:30", "eq", "2026-01-01T00:00:00Z", True),
        ("2026-01-01T09:18:59+09:18:59", "eq", NEW_YEAR, True),
        ("2026-01-01T00:00:00.5+00:00", "eq", "2026-01-01T00:00:00.500Z", True),
        ("0001-01-01T00:00:00+09:00", "eq", "0001-01-01T00:00:00+09:00", True),
        ("0001-01-01T00:00:00+09:00", "lt", "0001-01-01T00:00:00Z", True),
        ("9999-12-31T23:59:59-09:00", "gt", "9999-12-31T23:59:59Z", True),
        ("2026-01-01T09:00:00+09:00", "in", ["2025-01-01T00:00:00Z", NEW_YEAR], True),
        ("2026-01-01T09:00:00.000001+09:00", "eq", NEW_YEAR, False),
        ("2026-01-01T09:00:00.000001+09:00", "gt", NEW_YEAR, True),
        ("2026-01-01T09:00:00+09:00", "lt", LATER, True),
        ("2026-01-01T09:00:00+09:00", "gte", NEW_YEAR, True),
        ("2026-01-01T09:00:00+09:00", "lte", NEW_YEAR, True),
        ("2026-01-01T09:00:00+09:00", "gt", NEW_YEAR, False),
        ("2026-01-01T08:59:59+09:00", "gte", NEW_YEAR, False),
        (["2026-01-01T09:00:00+09:00", None], "eq", [NEW_YEAR, None], True),
        ({"at": "2026-01-01T09:00:00+09:00"}, "eq", {"at": NEW_YEAR}, True),
        (["2026-01-01T09:00:00+09:00"], "contains", NEW_YEAR, True),
        # By their text, as any other strings.
        ("2026-01-01T09:00:00", "eq", NEW_YEAR, False),
        ("2026-01-01 09:00:00+09:00", "eq", NEW_YEAR, False),
        ("2026-01-01T09:00:00+09:00", "eq", "2026-01-01T00:00:00", False),
        ("2026-13-01T09:00:00+09:00", "eq", "2026-13-01T00:00:00+00:00", False),
        ("2026-01-01T09:00:00+24:00", "gt", NEW_YEAR, True),
        ("infinity", "gt", NEW_YEAR, True),
        ("-infinity", "lt", NEW_YEAR, True),
        ("0044-03-15T00:00:00+00:00 BC", "lt", NEW_YEAR, True),
        ("12026-01-01T00:00:00+00:00", "eq", "12026-01-01T00:00:00+00:00", True),
        ("2026-01-01T09:00:00+09:00", "contains", "T00", False),
    ],
)
def test_timestamps_with_an_offset_are_compared_as_moments(found: Any, op: str, value: Any, expected: bool) -> None:
    assert compare("name", op, value, of=update(name=found)) is expected


def test_a_timestamp_that_is_only_written_otherwise_has_not_changed() -> None:
    def changed(before: Any, after: Any) -> bool:
        return compare("due", "changed", of=change(before={"due": before}, after={"due": after}))

    assert changed(NEW_YEAR, "2026-01-01T09:00:00+09:00") is False
    assert changed([NEW_YEAR], ["2026-01-01T00:00:00Z"]) is False
    assert changed(NEW_YEAR, LATER) is True
    assert changed(NEW_YEAR, "2026-01-01T00:00:00") is True


MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.timezones())  # noqa: DTZ001


@given(MOMENTS, MOMENTS)
def test_any_two_timestamps_compare_as_they_do_in_python(a: datetime, b: datetime) -> None:
    of = update(name=a.isoformat())
    first, second = a.astimezone(UTC), b.astimezone(UTC)
    assert compare("name", "eq", b.isoformat(), of=of) is (first == second)
    assert compare("name", "gt", b.isoformat(), of=of) is (first > second)
    assert compare("name", "eq", first.isoformat(), of=of) is True


def test_true_is_not_one_inside_of_objects_either() -> None:
    assert compare("status", "eq", {"a": [1]}, of=update(status={"a": [True]})) is False
    assert compare("status", "eq", {"a": [True]}, of=update(status={"a": [True]})) is True


def test_without_an_op_it_is_eq() -> None:
    assert holds({"attr": "name", "value": "sw1"}) is True


def test_new_and_old_pick_the_row() -> None:
    one = update(serial="B2")
    assert compare("serial", "eq", "B2", of=one)
    assert compare("new.serial", "eq", "B2", of=one)
    assert compare("old.serial", "eq", "A1", of=one)


def test_of_a_delete_the_row_before_is_asked() -> None:
    assert compare("serial", "eq", "A1", of=change(action="delete", before=ROW))


# changed


def test_changed_compares_the_two_rows() -> None:
    one = update(serial="B2")
    assert compare("serial", "changed", of=one) is True
    assert compare("name", "changed", of=one) is False
    assert compare("old.serial", "changed", of=one) is True


def test_changed_goes_into_objects() -> None:
    one = update(status={"value": "active", "tags": ["core"], "note": "x"})
    assert compare("status.tags", "changed", of=one) is True
    assert compare("status.tags.0", "changed", of=one) is False
    assert compare("status.tags.1", "changed", of=one) is True
    assert compare("status.note", "changed", of=one) is True
    assert compare("status.value", "changed", of=one) is False
    assert compare("status.nowhere", "changed", of=one) is False


def test_in_a_create_or_delete_any_column_has_changed() -> None:
    assert compare("serial", "changed", of=change(action="create", after=ROW)) is True
    assert compare("status.value", "changed", of=change(action="delete", before=ROW)) is True


def test_long_numbers_are_told_apart() -> None:
    before, after = '{"a": {"b": 0.12345678901234567891}}', '{"a": {"b": 0.12345678901234567892}}'
    one = change(prechange_json=before, postchange_json=after)
    assert compare("a.b", "changed", of=one) is True


def test_a_value_that_is_compared_is_read_to_its_last_digit() -> None:
    one = change(
        postchange_json='{"a": 100.00000000000000001, "b": 0.1, "c": {"d": [1e400]}, "e": -' + "9" * 5000 + "}"
    )
    assert compare("a", "gt", 100, of=one) is True
    assert compare("a", "eq", 100, of=one) is False
    assert compare("b", "eq", 0.1, of=one) is True
    assert parse_json('{"attr": "a", "value": 100.00000000000000001}').holds(one) is True
    assert parse_json('{"attr": "c", "value": {"d": [1E+400]}}').holds(one) is True
    assert compare("e", "lt", 0, of=one) is True


@pytest.mark.parametrize("depth", [3000, 100_000])
def test_a_row_is_read_however_deep_it_is_nested(depth: int) -> None:
    text = '{"name": {"x": ' + "[" * depth + "]" * depth + ', "y": 1}}'
    one = change(prechange_json=text, postchange_json=text.replace('"y": 1', '"y": 2'))
    assert compare("name.y", "eq", 2, of=one) is True
    assert compare("name.x", "changed", of=one) is False
    assert compare("name", "changed", of=one) is True
    assert compare("name.x", "eq", [], of=one) is False
    assert one.changed_columns == ["name"]


# and, or, not

YES, NO = {"attr": "name", "value": "sw1"}, {"attr": "name", "value": "other"}
FAILS = {"attr": "nowhere", "value": 1}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"and": [YES, YES]}, True),
        ({"and": [YES, NO]}, False),
        ({"or": [NO, YES]}, True),
        ({"or": [NO, NO]}, False),
        ({"not": NO}, True),
        ({"not": {"or": [NO, {"and": [YES, NO]}]}}, True),
    ],
)
def test_logic(condition: Any, expected: bool) -> None:
    assert holds(condition) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"and": [NO, FAILS]}, False),
        ({"and": [FAILS, NO]}, False),
        ({"and": [FAILS, YES]}, None),
        ({"or": [YES, FAILS]}, True),
        ({"or": [FAILS, YES]}, True),
        ({"or": [FAILS, NO]}, None),
        ({"not": FAILS}, None),
        ({"not": {"and": [FAILS, NO]}}, True),
        ({"and": [{"or": [FAILS, YES]}, YES]}, True),
        ({"or": [{"and": [FAILS, NO]}, FAILS, NO]}, None),
    ],
)
def test_what_is_so_whatever_the_undecided_part_would_be_is_decided(condition: Any, expected: bool | None) -> None:
    assert decided(condition) is expected


# What cannot be decided


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (FAILS, "nowhere eq: there is no such column in the row"),
        ({"attr": "nowhere.x", "op": "in", "value": []}, "nowhere.x in: there is no such column in the row"),
        ({"attr": "name", "op": "gt", "value": 1}, "name gt: a string and a number cannot be put in order"),
        ({"attr": "active", "op": "gt", "value": 0}, "active gt: a boolean and a number cannot be put in order"),
        ({"attr": "height", "op": "contains", "value": 2}, "height contains: a number cannot contain a number"),
        ({"attr": "name", "op": "contains", "value": 1}, "name contains: a string cannot contain a number"),
        ({"attr": "height", "op": "regex", "value": "2"},
         "height regex: a regular expression cannot be looked for in a number"),
        ({"attr": "nowhere", "op": "changed"}, "nowhere changed: there is no such column in either row"),
    ],
)  # fmt: skip
def test_a_comparison_that_cannot_be_made_leaves_the_whole_undecided(condition: Any, message: str) -> None:
    for whole in (condition, {**condition, "negate": True}):
        with pytest.raises(ConditionFailed) as failed:
            holds(whole)
        assert failed.value.message == f"conditions: {message}"
    for whole in ({"not": condition}, {"and": [YES, condition]}, {"or": [NO, {"not": {"not": condition}}]}):
        with pytest.raises(ConditionFailed):
            holds(whole)


OPS = [("eq", "sw1"), ("eq", None), ("in", [None]), ("gt", 1), ("lte", "x"), ("contains", "x"), ("regex", "x")]


@pytest.mark.parametrize(("op", "value"), OPS)
@pytest.mark.parametrize("attr", ["status.nowhere", "status.tags.2", "name.x", "gone.x"])
def test_of_a_part_that_a_column_does_not_have_nothing_holds(attr: str, op: str, value: Any) -> None:
    assert compare(attr, op, value) is False
    assert holds({"attr": attr, "op": op, "value": value, "negate": True}) is True


@pytest.mark.parametrize(("op", "value"), OPS)
def test_of_a_row_that_the_change_cannot_have_nothing_holds(op: str, value: Any) -> None:
    assert compare("old.name", op, value, of=change(action="create", after=ROW)) is False
    assert compare("new.name", op, value, of=change(action="delete", before=ROW)) is False


@pytest.mark.parametrize(("op", "value"), OPS[3:])
def test_null_is_in_no_order_and_has_nothing_in_it(op: str, value: Any) -> None:
    assert compare("gone", op, value) is False
    assert holds({"not": {"attr": "gone", "op": op, "value": value}}) is True


@pytest.mark.parametrize("op", ["eq", "changed"])
def test_what_could_not_be_captured_leaves_it_undecided(op: str) -> None:
    condition = {"attr": "name", "op": op, **({} if op == "changed" else {"value": "sw1"})}
    rest = {"serial": "A1"}
    for of, why in (
        (change(capture_error="too large"), "the row (before|after) the change could not be captured"),
        (change(before=rest, after=rest, capture_error="name: too large"), "the column could not be captured"),
    ):
        for whole in (condition, {**condition, "negate": True}):
            with pytest.raises(ConditionFailed, match=f"name {op}: {why}"):
                holds(whole, of)
    created = change(action="create", after=ROW, capture_error="price: too large")
    assert holds(condition, created) is True


def test_a_catastrophic_regular_expression_is_given_up_soon() -> None:
    began = time.monotonic()
    with pytest.raises(ConditionFailed, match="name regex: the regular expression took longer than 50 ms"):
        compare("name", "regex", "(a+)+$", of=update(name="a" * 5000 + "b"))
    assert time.monotonic() - began < 5


def test_many_catastrophic_regular_expressions_are_given_up_soon_too() -> None:
    slow = [{"attr": "name", "op": "regex", "value": f"(a+)+{number}$"} for number in range(300)]
    began = time.monotonic()
    with pytest.raises(ConditionFailed, match="name regex: the regular expression took longer than 50 ms"):
        holds({"or": slow}, update(name="a" * 5000 + "b"))
    assert time.monotonic() - began < 5
    assert holds({"or": [*slow, YES | {"attr": "old.name"}]}, update(name="a" * 5000 + "b")) is True


@pytest.mark.parametrize("text", ['{"name": ', '{"name": 1e99999999999999999999}'])
@pytest.mark.parametrize("op", ["eq", "changed"])
def test_a_row_that_cannot_be_read_leaves_it_undecided(text: str, op: str) -> None:
    condition = parse({"attr": "name.x", "op": op, **({} if op == "changed" else {"value": 1})})
    with pytest.raises(ConditionFailed, match=f"name.x {op}: the row cannot be read"):
        condition.holds(change(prechange_json='{"name": 1}', postchange_json=text))


def test_no_value_of_the_row_is_in_the_message() -> None:
    with pytest.raises(ConditionFailed) as failed:
        compare("name", "gt", 1, of=update(name="hunter2"))
    assert "hunter2" not in str(failed.value)


# Why not


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (YES, None),
        (NO, 'name eq "other" does not hold (it is "sw1")'),
        ({"attr": "height", "op": "gt", "value": 1, "negate": True}, "height not gt 1 does not hold (it is 2)"),
        ({"attr": "name", "op": "changed"}, "name changed does not hold"),
        ({"and": [YES, {"attr": "height", "op": "gt", "value": 3}]}, "and[1]: height gt 3 does not hold (it is 2)"),
        ({"or": [NO]}, 'or[0]: name eq "other" does not hold (it is "sw1")'),
        ({"not": YES}, "not: what is under not holds"),
        ({"and": [FAILS, NO]}, 'and[1]: name eq "other" does not hold (it is "sw1")'),
        ({"attr": "status.x", "value": 1}, "status.x eq 1 does not hold (it is not there)"),
    ],
)  # fmt: skip
def test_why_not_names_the_comparison(condition: Any, why: str | None) -> None:
    assert parse(condition).why_not(update()) == (why and f"conditions: {why}")


# What is well-formed


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (None, "expected an object, not null"),
        ([YES], "expected an object, not an array"),
        ({}, "'attr' must name a column"),
        ({"and": YES}, "and: expected a list of at least one condition"),
        ({"or": []}, "or: expected a list of at least one condition"),
        ({"and": [YES], "or": [NO]}, "'and' stands alone in its object"),
        ({"and": [YES], "attr": "name"}, "'and' stands alone in its object"),
        ({"and": [YES, {"attr": "name", "op": "equals", "value": 1}]},
         "and[1]: unknown op 'equals'; known: eq, gt, gte, lt, lte, in, contains, regex, changed"),
        ({"not": {"or": [YES, 1]}}, "not.or[1]: expected an object, not a number"),
        ({"attr": "name"}, "'eq' needs a value"),
        ({"attr": "name", "op": "changed", "value": 1}, "'changed' takes no value"),
        ({"attr": "name", "value": 1, "negate": "no"}, "'negate' must be true or false"),
        ({"attr": "name", "vlaue": 1}, "unknown key 'vlaue'; known: and, or, not, attr, op, value, negate"),
        ({"attr": 1, "value": 1}, "'attr' must name a column"),
        ({"attr": "a..b", "value": 1}, "attr 'a..b' names no column"),
        ({"attr": "new", "value": 1}, "attr 'new' names no column"),
        ({"attr": "name", "op": "in", "value": "sw1"}, "'in' needs a list, not a string"),
        ({"attr": "name", "op": "gt", "value": True}, "'gt' needs a number or a string, not a boolean"),
        ({"attr": "name", "op": "regex", "value": 1}, "'regex' needs a string, not a number"),
        ({"attr": "name", "op": "regex", "value": "(" * 3}, "'(((' is not a regular expression: "),
        ({"attr": "name", "op": "regex", "value": "((a{1000}){1000}){1000}"}, "a regular expression that repeats "),
        ({"attr": "name", "op": "regex", "value": "a" * 1001}, "a regular expression of more than 1000"),
        ({"attr": "name", "value": float("nan")}, "a number that JSON does not have"),
    ],
)  # fmt: skip
def test_malformed_conditions_are_refused_with_their_place(condition: Any, message: str) -> None:
    with pytest.raises(ConditionsError) as refused:
        parse(condition)
    assert refused.value.message.startswith(f"conditions: {message}")


def test_conditions_are_not_nested_without_end() -> None:
    condition: Any = YES
    for _ in range(MAX_DEPTH - 1):
        condition = {"not": condition}
    assert holds(condition) is False
    with pytest.raises(ConditionsError, match="nested more than 20 deep"):
        parse({"not": condition})


def test_conditions_are_not_many_without_end() -> None:
    assert holds({"and": [YES] * (MAX_CONDITIONS - 1)})
    with pytest.raises(ConditionsError, match="more than 500 conditions"):
        parse({"and": [YES] * MAX_CONDITIONS})


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"attr": "a", "value": ' + "9" * 5000 + "}"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ConditionsError, match="conditions: not valid JSON"):
        parse_json(text)


def test_conditions_are_compiled_once() -> None:
    text = json.dumps(YES)
    assert parse_json(text) is parse_json(text)


# Whatever comes

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3),
    max_leaves=10,
)
COMPARISONS = st.fixed_dictionaries(
    {"attr": st.sampled_from([*ROW, "status.value", "status.tags.0", "old.name", "nowhere", "a..b"]) | VALUES},
    optional={
        "op": st.sampled_from(["eq", "gt", "gte", "lt", "lte", "in", "contains", "regex", "changed", "like"]) | VALUES,
        "value": VALUES,
        "negate": st.booleans() | VALUES,
    },
)
CONDITIONS = st.recursive(
    COMPARISONS | VALUES,
    lambda part: st.one_of(
        st.fixed_dictionaries({"and": st.lists(part, max_size=3)}),
        st.fixed_dictionaries({"or": st.lists(part, max_size=3)}),
        st.fixed_dictionaries({"not": part}),
    ),
    max_leaves=8,
)
ONE = st.builds(
    lambda attr, op, value: {"attr": attr, "op": op, **({} if op == "changed" else {"value": value})},
    st.sampled_from(["name", "serial", "height", "price", "gone", "status", "status.value", "nowhere"]),
    st.sampled_from(["eq", "contains", "gt", "changed"]),
    st.sampled_from(["sw1", "core", 2, 10.5]),
)
WELL_FORMED = st.recursive(
    ONE,
    lambda part: st.one_of(
        st.builds(lambda parts: {"and": parts}, st.lists(part, min_size=1, max_size=3)),
        st.builds(lambda parts: {"or": parts}, st.lists(part, min_size=1, max_size=3)),
        st.builds(lambda one: {"not": one}, part),
    ),
    max_leaves=8,
)


def decided(condition: Any) -> bool | None:
    try:
        return holds(condition, update(serial="B2"))
    except ConditionFailed:
        return None


@settings(deadline=None)
@given(CONDITIONS)
def test_parsing_raises_nothing_but_its_own_error_and_what_is_parsed_is_decided_or_not(condition: Any) -> None:
    try:
        parsed = parse(condition)
    except ConditionsError:
        return
    try:
        answer = parsed.holds(update())
    except ConditionFailed:
        with pytest.raises(ConditionFailed):
            parsed.why_not(update())
        return
    assert (parsed.why_not(update()) is None) is answer


@given(WELL_FORMED)
def test_not_turns_an_answer_around_and_twice_is_nothing(condition: Any) -> None:
    answer = decided(condition)
    assert decided({"not": condition}) == (None if answer is None else not answer)
    assert decided({"not": {"not": condition}}) == answer


@given(ONE)
def test_negate_is_not(condition: Any) -> None:
    assert decided({**condition, "negate": True}) == decided({"not": condition})


@given(st.lists(WELL_FORMED, min_size=1, max_size=3))
def test_an_or_of_answers_is_no_and_of_their_opposites(parts: list[Any]) -> None:
    assert decided({"or": parts}) == decided({"not": {"and": [{"not": one} for one in parts]}})
