"""Rules: what a hook asks of a change, compiled. Pure, no I/O."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rowhooks.domain import exact
from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobHook
from rowhooks.domain.errors import ConditionFailed, ConditionsError
from rowhooks.domain.renaming import columns_in, names_of, with_columns
from rowhooks.pipeline.comparison import Comparison
from rowhooks.pipeline.conditions import Condition, parse_json
from rowhooks.pipeline.instants import instant_of


@dataclass(frozen=True)
class Terms:
    """What a hook asks of a change: columns that must have changed or do not count, and conditions, compiled."""

    columns: frozenset[str]
    ignored: frozenset[str]
    condition: Condition | None
    conditions_json: str | None

    @classmethod
    def of(cls, columns: frozenset[str], ignored: frozenset[str], conditions_json: str | None) -> Terms:
        """Compile them.

        Raises:
            ConditionsError: the conditions are malformed.
        """
        condition = None if conditions_json is None else parse_json(conditions_json)
        return cls(columns, ignored, condition, conditions_json)

    def under(self, names: Mapping[str, str]) -> Terms:
        """Return the same of columns by other names."""
        text = self.conditions_json
        if text is not None:
            text = exact.write(with_columns(exact.read_exactly(text), lambda column: names.get(column, column)))
        columns, ignored = (
            frozenset(names.get(column, column) for column in asked) for asked in (self.columns, self.ignored)
        )
        return Terms.of(columns, ignored, text)

    def are_touched(self, change: ObjectChange) -> bool:
        """Say whether a change is no update, or changes a column that counts, or whether that is not known."""
        if not (self.columns or self.ignored) or change.action != "update":
            return True
        changed = changed_columns_of(change)
        if changed is None:
            return True
        if not self.columns:
            # Where a column is missing in the log, or the two rows look the same, something else may have changed.
            return change.capture_error is not None or not changed or not self.ignored.issuperset(changed)
        counting = self.columns - self.ignored
        return not counting.isdisjoint(changed) or any(map(change.is_unknown, counting))

    def untouched(self) -> str:
        """Say what an update changes that touches nothing of this."""
        if self.columns:
            return f"none of its columns ({', '.join(sorted(self.columns - self.ignored))})"
        return f"nothing but columns that it ignores ({', '.join(sorted(self.ignored))})"


class Rule:
    """One hook, with its conditions compiled: what a change must be to start it.

    A column that was renamed is looked for under its present name, and under its former ones in rows from before.

    Raises:
        ConditionsError: the hook's conditions are malformed.
    """

    def __init__(self, hook: JobHook) -> None:
        self.hook = hook
        self._terms = Terms.of(hook.columns, hook.ignored_columns, hook.conditions_json)
        self._asks_for_nothing = not (hook.columns or hook.ignored_columns or hook.conditions_json)
        # By table: the columns that it asks for and that are, or were, called otherwise, with all their names.
        self._names = {table: found for table in hook.names if (found := _names_of_asked(hook, table))}
        # By the names that its renamed columns have in a row.
        self._renamed: dict[tuple[tuple[str, str], ...], Terms] = {}

    def asks_for_renamed(self, table: int) -> bool:
        """Say whether one of the columns that it asks for is, or was, called otherwise in a table."""
        return table in self._names

    def _terms_for(self, change: ObjectChange) -> Terms:
        """Return what it asks for under the names that the columns have in a change's rows."""
        names = self._names.get(change.table_id)
        if names is None:
            return self._terms
        try:
            rows = {**(change.prechange or {}), **(change.postchange or {})}
        except (RecursionError, ValueError):
            # It is no JSON that can be read.
            rows = {}
        found = {column: next((name for name in known if name in rows), known[0]) for column, known in names.items()}
        key = tuple(sorted(found.items()))
        if key not in self._renamed:
            self._renamed[key] = self._terms.under(found)
        return self._renamed[key]

    def awaited_values(self) -> tuple[Comparison, list[Any]] | None:
        """Return the first comparison, and of what its value must be one for the rule to start; None if of anything."""
        condition = self._terms.condition
        first = None if condition is None else condition.first_comparison()
        if first is None or first.negate or first.op not in ("eq", "in"):
            return None
        values = first.value if first.op == "in" else [first.value]
        # One moment is written in many ways: such a value is not looked up by its text.
        is_filed = not any(isinstance(value, dict | list) or instant_of(value) is not None for value in values)
        return (first, values) if is_filed else None

    def starts(self, change: ObjectChange) -> bool:
        """Say whether a change of one of the hook's tables, by one of its actions, starts it.

        Raises:
            ConditionFailed: its conditions cannot be decided for this change, and `on_undecided` is to be asked.
        """
        if self.hook.predates(change.transaction_id):
            return False
        if self._asks_for_nothing:
            return True
        terms = self._terms_for(change)
        return terms.are_touched(change) and (terms.condition is None or terms.condition.holds(change))

    def reasons(self, change: ObjectChange, *, replaying: bool = False) -> Iterator[str]:
        """Yield why a change does not start the hook, in the order in which it is checked; nothing if it does.

        Args:
            change: any change, of any table.
            replaying: leave out whether hook and job are enabled, and since when.
        """
        hook = self.hook
        if not replaying:
            yield from filter(None, [idle(hook)])
        if change.table_id not in hook.tables:
            yield f"{change.changed_object_type} is not one of its tables"
        if change.action not in hook.actions:
            yield f"it does not start on {change.action}, only on {', '.join(sorted(hook.actions))}"
        if not replaying and hook.predates(change.transaction_id):
            yield "the change is from before the hook or its job was enabled"
        terms = self._terms_for(change)
        if not terms.are_touched(change):
            yield f"the update changes {terms.untouched()}"
        try:
            unmet = None if terms.condition is None else terms.condition.why_not(change)
        except ConditionFailed as error:
            unmet = (
                None if self.runs_undecided else f"{reason_of(error)}; the hook skips it, because on_undecided = skip"
            )
        if unmet is not None:
            yield unmet

    @property
    def runs_undecided(self) -> bool:
        """Whether a change of which the conditions cannot be decided starts the hook."""
        return self.hook.on_undecided == "run"

    def undecided(self, change: ObjectChange) -> str | None:
        """Return why the conditions cannot be decided of a change that starts the hook; None where they can."""
        try:
            condition = self._terms_for(change).condition
            if condition is not None and self.runs_undecided:
                condition.holds(change)
        except ConditionFailed as error:
            return reason_of(error)
        return None

    def why_not(self, change: ObjectChange, *, replaying: bool = False) -> str | None:
        """Return the first reason why a change does not start the hook; None if it does. As `reasons`."""
        return next(self.reasons(change, replaying=replaying), None)


def _names_of_asked(hook: JobHook, table: int) -> dict[str, tuple[str, ...]]:
    """Return the columns that a hook asks for and that have several names in a table."""
    text = hook.conditions_json
    asked = hook.columns | hook.ignored_columns
    asked |= set(() if text is None else columns_in(json.loads(text)))
    return {column: found for column in asked if len(found := names_of(column, hook.names[table])) > 1}


def changed_columns_of(change: ObjectChange) -> Collection[str] | None:
    """Return the columns that an update has changed; None where that is not known, and none of them must be missed."""
    if change.prechange_json is None or change.postchange_json is None:
        # The row could not be captured.
        return None
    try:
        return change.changed_columns
    except (RecursionError, ValueError):
        # It is no JSON that can be read.
        return None


def reason_of(error: ConditionFailed) -> str:
    """Return why conditions could not be decided."""
    return f"the conditions could not be decided: {error.message.removeprefix('conditions: ')}"


def undecided(hook: JobHook, change: ObjectChange) -> str | None:
    """Return why the conditions of a hook cannot be decided of a change that starts it all the same; None otherwise."""
    try:
        return Rule(hook).undecided(change)
    except ConditionsError:
        return None


def why_not(hook: JobHook, change: ObjectChange, *, replaying: bool = False) -> str | None:
    """Return why a change does not start a hook; None if it does.

    Args:
        hook: any hook, in any state.
        change: any change.
        replaying: leave out whether hook and job are enabled, and since when.
    """
    try:
        return Rule(hook).why_not(change, replaying=replaying)
    except ConditionsError as error:
        return error.message


def idle(hook: JobHook) -> str | None:
    """Return why a hook starts nothing at all; None if it may. A missing class is no reason: its runs wait."""
    if not hook.enabled:
        return "the hook is disabled"
    if not hook.job.enabled:
        return f"its job {hook.job.class_path} is disabled"
    return None
