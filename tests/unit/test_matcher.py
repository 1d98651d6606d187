"""Matcher: which hooks a change starts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import ON_UNDECIDED, JobHook
from rowhooks.domain.feed import Snapshot
from rowhooks.pipeline.matcher import Matcher
from rowhooks.pipeline.rules import Rule, undecided, why_not
from tests.support.make import change, configuration, hook, job


def match(*hooks: JobHook, action: str = "update", table: int = 1, transaction: int = 701) -> list[int]:
    one = change(action=action, table_id=table, transaction_id=transaction)
    return started(Matcher(configuration(*hooks)), one)


def started(matcher: Matcher, one: ObjectChange) -> list[int]:
    return [found.id for found, _ in matcher.match(one)]


def test_a_change_starts_the_hooks_of_its_table_and_action_and_no_others() -> None:
    hooks = (
        hook(1, tables=[1], actions=["update"]),
        hook(2, tables=[2], actions=["update"]),
        hook(3, tables=[1, 2], actions=["create", "delete"]),
        hook(4, tables=[1, 2], actions=["create", "update"]),
    )
    assert match(*hooks) == [1, 4]
    assert match(*hooks, table=2) == [2, 4]
    assert match(*hooks, action="delete") == [3]
    assert match(*hooks, table=3) == []


def test_without_hooks_nothing_starts() -> None:
    assert match() == []


def test_a_truncate_starts_nothing() -> None:
    assert match(hook(), action="truncate") == []


@pytest.mark.parametrize(
    "idle",
    [hook(enabled=False), hook(job=job(enabled=False)), hook(tables=())],
    ids=["hook disabled", "job disabled", "table untracked"],
)
def test_a_hook_that_is_not_ready_starts_nothing(idle: JobHook) -> None:
    assert match(idle, hook(2)) == [2]


def test_changes_from_before_the_hook_or_its_job_was_enabled_start_nothing() -> None:
    since = Snapshot(700, 710, frozenset({705}))
    for late in (hook(enabled_since=since), hook(job=job(enabled_since=since))):
        assert match(late, transaction=704) == []
        # It was still open when the hook was enabled.
        assert match(late, transaction=705) == [1]
        assert match(late, transaction=710) == [1]


def test_the_later_of_the_two_moments_counts() -> None:
    late = hook(enabled_since=Snapshot(700, 700), job=job(enabled_since=Snapshot(800, 800)))
    assert match(late, transaction=750) == []
    assert match(late, transaction=800) == [1]


def test_idle_hooks_are_the_enabled_ones_that_can_start_nothing() -> None:
    hooks = [hook(1), hook(2, job=job(enabled=False)), hook(3, job=job(installed=False)), hook(4, enabled=False)]
    assert [one.id for one in configuration(*hooks).idle_hooks()] == [2]


def test_a_hook_whose_class_is_missing_starts_what_waits() -> None:
    missing = job(installed=False)
    hooks = [hook(1), hook(2, job=missing), hook(3, job=missing, enabled=False), hook(4, job=job(enabled=False))]
    assert match(*hooks) == [1, 2]
    assert [one.id for one in configuration(*hooks).hooks_that_lack_their_class()] == [2]
    # What is on record of a hook that was disabled later waits too.
    assert configuration(*hooks).without_class().hooks == {2, 3}


ROW = {"id": 1, "name": "sw1", "serial": "A1", "height": None}
SERIAL_A1 = {"attr": "serial", "value": "A1"}
TALL = {"attr": "height", "op": "gt", "value": 3}


def with_conditions(value: Any, id_: int = 1, **given: Any) -> JobHook:
    return hook(id_, conditions_json=json.dumps(value), **given)


def update(**columns: Any) -> ObjectChange:
    return change(before=ROW, after={**ROW, **columns})


def starts(one: JobHook, of: ObjectChange) -> bool:
    """Say whether a hook starts; the matcher and the explanation must agree."""
    matched = started(Matcher(configuration(one)), of) == [one.id]
    assert (why_not(one, of) is None) is matched
    return matched


# Columns


def test_an_update_that_touches_none_of_the_hooks_columns_starts_nothing() -> None:
    serials = hook(columns=frozenset({"serial", "asset_tag"}))
    assert starts(serials, update(serial="B2")) is True
    assert starts(serials, update(name="sw2")) is False
    assert why_not(serials, update(name="sw2")) == "the update changes none of its columns (asset_tag, serial)"


def test_an_update_that_changes_nothing_but_ignored_columns_starts_nothing() -> None:
    careful = hook(ignored_columns=frozenset({"serial"}))
    assert starts(careful, update(name="sw2")) is True
    assert starts(careful, update(name="sw2", serial="B2")) is True
    assert starts(careful, update(serial="B2")) is False
    assert why_not(careful, update(serial="B2")) == "the update changes nothing but columns that it ignores (serial)"
    for action in ("create", "delete"):
        assert starts(hook(actions=[action], ignored_columns=frozenset({"serial"})), change(action=action)) is True
    both = hook(columns=frozenset({"name", "serial"}), ignored_columns=frozenset({"serial"}))
    assert starts(both, update(name="sw2")) is True
    assert why_not(both, update(serial="B2")) == "the update changes none of its columns (name)"


def test_where_the_log_does_not_tell_what_else_has_changed_ignored_columns_hide_nothing() -> None:
    careful = hook(ignored_columns=frozenset({"serial"}))
    # Values that JSON makes the same, and a column that could not be captured.
    assert starts(careful, update()) is True
    unknown = change(before=ROW, after={**ROW, "serial": "B2"}, capture_error="column photo: too large")
    assert starts(careful, unknown) is True
    assert starts(careful, change()) is True


def test_creates_and_deletes_touch_every_column() -> None:
    serials = hook(columns=frozenset({"serial"}))
    assert starts(serials, change(action="create", after={"id": 1, "serial": None})) is True
    assert starts(serials, change(action="delete", before={"id": 1, "serial": None})) is True


@pytest.mark.parametrize(
    "unread", [change(), change(prechange_json="{}", postchange_json='{"a": ')], ids=["not captured", "no JSON"],
)  # fmt: skip
def test_of_a_row_that_cannot_be_read_every_column_may_have_changed(unread: ObjectChange) -> None:
    assert starts(hook(columns=frozenset({"serial"})), unread) is True


# Conditions


def test_conditions_decide() -> None:
    assert starts(with_conditions(SERIAL_A1), update(name="sw2")) is True
    assert starts(with_conditions(SERIAL_A1), update(serial="B2")) is False


UNDECIDED = "the conditions could not be decided: height gt: a string and a number cannot be put in order"


@pytest.mark.parametrize("on_undecided", ["run", "skip"])
def test_conditions_that_cannot_be_decided_start_the_hook_or_are_skipped_and_it_is_logged_once(
    caplog: pytest.LogCaptureFixture, on_undecided: str
) -> None:
    hooks = (
        with_conditions(TALL, on_undecided=on_undecided),
        with_conditions({"not": TALL}, 2, on_undecided=on_undecided),
        hook(3),
    )
    runs = on_undecided == "run"
    whys = [UNDECIDED, UNDECIDED.replace("height", "not: height")]
    matcher = Matcher(configuration(*hooks))
    for id_ in range(3):
        found = [
            (one.id, why) for one, why in matcher.match(change(id_, before=ROW, after={**ROW, "height": str(id_)}))
        ]
        assert found == [*((number, why) for number, why in enumerate(whys, 1) if runs), (3, None)]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            f"hook hook {number} {'runs' if runs else 'does not run'} because on_undecided = {on_undecided}: {why}",
        )
        for number, why in enumerate(whys, 1)
    ]
    one = update(height="1")
    assert undecided(hooks[0], one) == (UNDECIDED if runs else None)
    assert why_not(hooks[0], one) == (None if runs else f"{UNDECIDED}; the hook skips it, because on_undecided = skip")


def test_what_is_decided_says_nothing_of_undecided() -> None:
    assert undecided(with_conditions(SERIAL_A1), update()) is None
    assert undecided(with_conditions(SERIAL_A1), update(serial="B")) is None
    assert undecided(hook(), update()) is None
    assert undecided(hook(conditions_json="["), update()) is None


@pytest.mark.parametrize("conditions", [SERIAL_A1, {"and": [SERIAL_A1, {"attr": "name", "value": "sw1"}]}])
def test_a_value_that_nobody_can_read_starts_the_hook_that_waits_for_one(conditions: Any) -> None:
    waits = with_conditions(conditions)
    rest = {"id": 1, "name": "sw1"}
    for of in (change(capture_error="too large"), change(before=rest, after=rest, capture_error="serial: too large")):
        assert starts(waits, of) is True
        assert undecided(waits, of) is not None


def test_each_kind_of_problem_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    matcher = Matcher(configuration(with_conditions(TALL)))
    heights: list[Any] = [[], "3", [], "4"]
    for height in heights:
        matcher.match(update(height=height, name="sw2"))
    assert len(caplog.records) == 2


def test_a_new_configuration_does_not_say_it_again_but_of_new_conditions(caplog: pytest.LogCaptureFixture) -> None:
    first = Matcher(configuration(with_conditions(TALL)))
    first.match(update(height="3"))
    second = Matcher(configuration(with_conditions(TALL), hook(2)), first)
    second.match(update(height="3"))
    assert len(caplog.records) == 1
    Matcher(configuration(with_conditions({**TALL, "value": 4})), second).match(update(height="3"))
    assert len(caplog.records) == 2


def test_a_hook_whose_conditions_cannot_be_read_starts_nothing_and_is_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = with_conditions({"attr": "name", "op": "regex", "value": "("})
    matcher = Matcher(configuration(broken, hook(2)))
    Matcher(configuration(broken), matcher)
    assert started(matcher, update(name="sw2")) == [2]
    (record,) = caplog.records
    assert record.getMessage().startswith("hook hook 1 starts nothing: conditions: '(' is not a regular expression: ")
    assert (why_not(broken, update()) or "").startswith("conditions: '(' is not a regular expression: ")


def test_an_update_of_which_a_column_could_not_be_captured_starts_the_hook_of_that_column() -> None:
    serials = hook(columns=frozenset({"serial"}))
    row = {"id": 1, "name": "sw1"}
    told = change(before=row, after=row, capture_error="column serial: too large")
    assert starts(serials, told) is True
    assert why_not(serials, told) is None
    assert starts(hook(columns=frozenset({"name"})), told) is False


def test_columns_come_before_conditions(caplog: pytest.LogCaptureFixture) -> None:
    both = with_conditions(TALL, columns=frozenset({"serial"}))
    assert Matcher(configuration(both)).match(update(name="sw2")) == []
    assert caplog.records == []


# Why not

PAST = Snapshot(900, 900)


@pytest.mark.parametrize(
    ("one", "of", "why"),
    [
        (hook(enabled=False), update(), "the hook is disabled"),
        (hook(job=job(enabled=False)), update(), "its job policies.Serial is disabled"),
        (hook(tables=[2]), update(), "dcim.device is not one of its tables"),
        (hook(actions=["create", "delete"]), update(), "it does not start on update, only on create, delete"),
        (hook(enabled_since=PAST), update(), "the change is from before the hook or its job was enabled"),
        (hook(job=job(enabled_since=PAST)), update(), "the change is from before the hook or its job was enabled"),
        (with_conditions(TALL), update(height=2), "conditions: height gt 3 does not hold (it is 2)"),
        (hook(), update(), None),
    ],
)
def test_why_not(one: JobHook, of: ObjectChange, why: str | None) -> None:
    assert why_not(one, of) == why
    assert starts(one, of) is (why is None)


def test_a_replay_does_not_ask_whether_and_since_when_the_hook_is_enabled() -> None:
    off = hook(enabled=False, enabled_since=PAST, job=job(enabled=False, enabled_since=PAST))
    assert why_not(off, update(), replaying=True) is None
    assert why_not(hook(tables=[2]), update(), replaying=True) == "dcim.device is not one of its tables"


# Many hooks

NEW_YEAR, IN_TOKYO = "2026-01-01T00:00:00+00:00", "2026-01-01T09:00:00+09:00"
VALUES = st.sampled_from([None, True, False, 0, 1, 1.0, "1", "A1", [1], {"a": 1}, NEW_YEAR, IN_TOKYO])
ROWS = st.fixed_dictionaries({"id": st.just(1)}, optional={"name": VALUES, "serial": VALUES})
COMPARISONS = st.one_of(
    st.builds(
        lambda attr, value, negate: {"attr": attr, "value": value, "negate": negate},
        st.sampled_from(["name", "serial", "old.serial", "serial.a"]), VALUES, st.booleans(),
    ),
    st.builds(
        lambda attr, values: {"attr": attr, "op": "in", "value": values},
        st.sampled_from(["name", "new.name"]), st.lists(VALUES, max_size=3),
    ),
    st.just(TALL),
)  # fmt: skip
CONDITIONS = st.none() | st.recursive(
    COMPARISONS,
    lambda inner: (
        st.builds(
            lambda logic, parts: {logic: parts}, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)
        )
        | st.builds(lambda one: {"not": one}, inner)
    ),
    max_leaves=5,
)
HOOKS = st.lists(
    st.tuples(
        st.frozensets(st.sampled_from(["name", "serial"])), st.frozensets(st.sampled_from(["name", "serial"])),
        CONDITIONS, st.sampled_from(ON_UNDECIDED),
    ),
    max_size=8,
)  # fmt: skip


@given(HOOKS, st.sampled_from(["create", "update", "delete"]), ROWS, ROWS)
def test_a_change_starts_the_same_hooks_together_as_each_alone(
    given_hooks: list[tuple[frozenset[str], frozenset[str], Any, str]],
    action: str,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    hooks = [
        hook(
            number,
            actions=["create", "update", "delete"],
            columns=columns,
            ignored_columns=ignored,
            conditions_json=None if conditions is None else json.dumps(conditions),
            on_undecided=on_undecided,
        )
        for number, (columns, ignored, conditions, on_undecided) in enumerate(given_hooks)
    ]
    one = change(
        action=action, before=None if action == "create" else before, after=None if action == "delete" else after
    )
    assert Matcher(configuration(*hooks)).match(one) == [
        (each, undecided(each, one)) for each in hooks if why_not(each, one) is None
    ]


@pytest.mark.parametrize("awaited", [{"value": NEW_YEAR}, {"op": "in", "value": ["A1", NEW_YEAR]}], ids=["eq", "in"])
def test_a_moment_that_is_written_otherwise_is_not_missed(awaited: Any) -> None:
    waits = with_conditions({"attr": "serial", **awaited})
    assert starts(waits, update(serial=IN_TOKYO)) is True
    assert starts(waits, update(serial="2026-01-01T09:00:01+09:00")) is False


def test_of_a_thousand_hooks_only_those_that_may_start_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    by_value = [with_conditions({"attr": "serial", "value": f"B{number}"}, number) for number in range(500)]
    by_column = [hook(number, columns=frozenset({f"column {number}"})) for number in range(500, 1000)]
    matcher = Matcher(configuration(*by_value, *by_column, hook(1000)))
    asked = []
    starts_ = Rule.starts

    def starts(rule: Rule, of: ObjectChange) -> bool:
        asked.append(rule.hook.id)
        return starts_(rule, of)

    monkeypatch.setattr(Rule, "starts", starts)
    assert started(matcher, update(serial="B7")) == [7, 1000]
    assert asked == [7, 1000]
