"""Matcher: change x hooks -> the hooks that start. Pure, no I/O.

Hooks are filed by table and action, and among those by a column that must have changed, or by a value that must stand
in a row: a change is compared with the hooks that it may start, and not with all there are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import Configuration, JobHook
from rowhooks.domain.errors import ConditionFailed, ConditionsError
from rowhooks.pipeline.comparison import Comparison
from rowhooks.pipeline.rules import Rule, changed_columns_of, idle, reason_of

logger = logging.getLogger(__name__)


class _Index:
    """The rules of one table and action, by what a change must have for them.

    Args:
        action: `create`, `update` or `delete`.
    """

    def __init__(self, action: str) -> None:
        self._action = action
        # The numbers of the rules, which are their order, by what a change must have for them.
        self._rules: list[Rule] = []
        self._any: list[int] = []
        self._columns: dict[str, list[int]] = {}
        self._values: dict[tuple[str | None, tuple[str, ...]], _Values] = {}

    def add(self, rule: Rule, *, is_renamed: bool = False) -> None:
        """Add a rule behind the others; one whose columns have several names is asked of each change."""
        number = len(self._rules)
        self._rules.append(rule)
        if is_renamed:
            self._any.append(number)
        elif self._action == "update" and rule.hook.columns:
            for column in rule.hook.columns:
                self._columns.setdefault(column, []).append(number)
        elif (awaited := rule.awaited_values()) is not None:
            first, values = awaited
            self._values.setdefault((first.row, first.path), _Values(first)).add(number, values)
        else:
            self._any.append(number)

    def candidates(self, change: ObjectChange) -> list[Rule]:
        """Return the rules that the change may start, in their order; the others would not."""
        if not (self._columns or self._values):
            return self._rules
        found = self._any.copy()
        if self._columns:
            found += self._by_columns(change)
        for values in self._values.values():
            found += values.awaiting(change)
        return [self._rules[number] for number in sorted(set(found))]

    def _by_columns(self, change: ObjectChange) -> Iterator[int]:
        changed = changed_columns_of(change)
        for column, numbers in self._columns.items():
            if changed is None or column in changed or change.is_unknown(column):
                yield from numbers


class _Values:
    """Rules whose first comparisons look at the same place of a row, by the values that these wait for."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._all: list[int] = []
        self._by_value: dict[tuple[bool, Any], list[int]] = {}

    def add(self, number: int, values: list[Any]) -> None:
        self._all.append(number)
        for value in values:
            self._by_value.setdefault(_scalar(value), []).append(number)

    def awaiting(self, change: ObjectChange) -> list[int]:
        try:
            found = self._comparison.look_up(change)
        except ConditionFailed:
            # Each rule says for itself whether it can be decided.
            return self._all
        # What is not there hashes as itself, and no rule waits for it.
        return [] if isinstance(found, dict | list) else self._by_value.get(_scalar(found), [])


def _scalar(value: Any) -> tuple[bool, Any]:
    # As `same`: true is not 1.
    return isinstance(value, bool), value


class Matcher:
    """The enabled hooks of one configuration, by table and action.

    Args:
        configuration: what changes are matched against.
        former: the matcher of the configuration before; what it has complained of is not said again.
    """

    def __init__(self, configuration: Configuration, former: Matcher | None = None) -> None:
        self._indexes: dict[tuple[int, str], _Index] = {}
        self._hooks_of: dict[int, dict[int, JobHook]] = {}
        self.keeps = any(hook.lacks_class for hook in configuration.hooks)
        """Whether what it finds of some hooks waits for a leader that has their job."""
        # Hook, its conditions, and the problem: bounded by the comparisons there are.
        self.said: set[tuple[int, str | None, str]] = set()
        if former is not None:
            kept = {(hook.id, hook.conditions_json) for hook in configuration.hooks}
            self.said = {said for said in former.said if said[:2] in kept}
        for hook in configuration.hooks:
            for table in hook.tables:
                self._hooks_of.setdefault(table, {})[hook.id] = hook
            if idle(hook) is None:
                self._add(hook)

    def _add(self, hook: JobHook) -> None:
        try:
            rule = Rule(hook)
        except ConditionsError as error:
            self._say(hook, "hook %s starts nothing: %s", error.message)
            return
        for table in hook.tables:
            for action in hook.actions:
                index = self._indexes.setdefault((table, action), _Index(action))
                index.add(rule, is_renamed=rule.asks_for_renamed(table))

    def match(self, change: ObjectChange) -> list[tuple[JobHook, str | None]]:
        """Return the hooks that the change starts, each with why its conditions could not be decided, if that is so."""
        index = self._indexes.get((change.table_id, change.action))
        if index is None:
            return []
        found: list[tuple[JobHook, str | None]] = []
        for rule in index.candidates(change):
            try:
                if rule.starts(change):
                    found.append((rule.hook, None))
            except ConditionFailed as error:
                reason = reason_of(error)
                if rule.runs_undecided:
                    self._say(rule.hook, "hook %s runs because on_undecided = run: %s", reason)
                    found.append((rule.hook, reason))
                else:
                    self._say(rule.hook, "hook %s does not run because on_undecided = skip: %s", reason)
        return found

    def hooks_of(self, table_id: int) -> Mapping[int, JobHook]:
        """Return the hooks of a table by id, also those that start nothing: they may have started something before."""
        return self._hooks_of.get(table_id, {})

    def _say(self, hook: JobHook, message: str, problem: str) -> None:
        """Log a problem of a hook's conditions once, not for each change."""
        said = (hook.id, hook.conditions_json, problem)
        if said not in self.said:
            self.said.add(said)
            logger.warning(message, hook.name, problem, extra={"hook": hook.name})
