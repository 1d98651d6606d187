"""Matcher: which hooks a change starts."""

from __future__ import annotations

import pytest

from rowhooks.domain.feed import Snapshot
from rowhooks.domain.hook import Hook
from rowhooks.pipeline.matcher import Matcher
from tests.unit.make import change, configuration, hook, job


def match(*hooks: Hook, action: str = "update", table: int = 1, transaction: int = 701) -> list[int]:
    one = change(action=action, table_id=table, transaction_id=transaction)
    return [found.id for found in Matcher(configuration(*hooks)).match(one)]


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
    [hook(enabled=False), hook(job=job(enabled=False)), hook(job=job(installed=False)), hook(tables=())],
    ids=["hook disabled", "job disabled", "job not installed", "table untracked"],
)
def test_a_hook_that_is_not_ready_starts_nothing(idle: Hook) -> None:
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
    assert [one.id for one in configuration(*hooks).idle_hooks()] == [2, 3]
