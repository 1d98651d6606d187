"""Matcher: change x hooks -> the hooks that start. Pure, no I/O; indexed by table and action."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import ConditionFailed, ConditionsError
from rowhooks.domain.hook import Configuration, Hook
from rowhooks.pipeline.conditions import Condition, parse_json

logger = logging.getLogger(__name__)


class Rule:
    """One hook, with its conditions compiled: what a change must be to start it.

    Raises:
        ConditionsError: the hook's conditions are malformed.
    """

    def __init__(self, hook: Hook) -> None:
        self.hook = hook
        self._condition: Condition | None = None if hook.conditions_json is None else parse_json(hook.conditions_json)

    def starts(self, change: ObjectChange) -> bool:
        """Say whether a change of one of the hook's tables, by one of its actions, starts it.

        Raises:
            ConditionFailed: its conditions cannot be decided for this change.
        """
        hook = self.hook
        if hook.predates(change.transaction_id) or (hook.columns and not self._touches_columns(change)):
            return False
        return self._condition is None or self._condition.holds(change)

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
        if hook.columns and not self._touches_columns(change):
            yield f"the update changes none of its columns ({', '.join(sorted(hook.columns))})"
        unmet = None if self._condition is None else self._condition.why_not(change)
        if unmet is not None:
            yield unmet

    def why_not(self, change: ObjectChange, *, replaying: bool = False) -> str | None:
        """Return the first reason why a change does not start the hook; None if it does. As `reasons`."""
        return next(self.reasons(change, replaying=replaying), None)

    def _touches_columns(self, change: ObjectChange) -> bool:
        if change.action != "update" or change.prechange_json is None or change.postchange_json is None:
            # Of a row that could not be captured nobody knows what has changed, and a change must not be lost.
            return True
        try:
            return any(map(change.changed, self.hook.columns))
        except (RecursionError, ValueError):
            # The same for one that is nested too deep to be read.
            return True


def why_not(hook: Hook, change: ObjectChange, *, replaying: bool = False) -> str | None:
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


def idle(hook: Hook) -> str | None:
    """Return why a hook starts nothing at all; None if it may."""
    if not hook.enabled:
        return "the hook is disabled"
    if not hook.job.installed:
        return f"its job {hook.job.class_path} is not installed"
    if not hook.job.enabled:
        return f"its job {hook.job.class_path} is disabled"
    return None


class Matcher:
    """The enabled hooks of one configuration, by table and action.

    Args:
        configuration: what changes are matched against.
        former: the matcher of the configuration before; what it has complained of is not said again.
    """

    def __init__(self, configuration: Configuration, former: Matcher | None = None) -> None:
        self._rules: dict[tuple[int, str], list[Rule]] = {}
        # Hook, its conditions, and the problem: bounded by the comparisons there are.
        self.said: set[tuple[int, str | None, str]] = set()
        if former is not None:
            kept = {(hook.id, hook.conditions_json) for hook in configuration.hooks}
            self.said = {said for said in former.said if said[:2] in kept}
        for hook in configuration.hooks:
            if idle(hook) is None:
                self._add(hook)

    def _add(self, hook: Hook) -> None:
        try:
            rule = Rule(hook)
        except ConditionsError as error:
            self._say(hook, "hook %s starts nothing: %s", error.message)
            return
        for table in hook.tables:
            for action in hook.actions:
                self._rules.setdefault((table, action), []).append(rule)

    def match(self, change: ObjectChange) -> list[Hook]:
        """Return the hooks that the change starts."""
        candidates = self._rules.get((change.table_id, change.action))
        if not candidates:
            return []
        return [rule.hook for rule in candidates if self._starts(rule, change)]

    def _starts(self, rule: Rule, change: ObjectChange) -> bool:
        try:
            return rule.starts(change)
        except ConditionFailed as error:
            self._say(
                rule.hook, "hook %s does not start on such a change, its conditions count as not met: %s", error.message
            )
            return False

    def _say(self, hook: Hook, message: str, problem: str) -> None:
        """Log a problem of a hook's conditions once, not for each change."""
        said = (hook.id, hook.conditions_json, problem)
        if said not in self.said:
            self.said.add(said)
            logger.warning(message, hook.name, problem, extra={"hook": hook.name})
