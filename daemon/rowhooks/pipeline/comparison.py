"""Comparison: one comparison of a hook's conditions, made with a change's rows."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import regex

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import ConditionFailed

REGEX_TIMEOUT = 0.05
"""Seconds one search may take: the event loop waits for it."""

ORDERING: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip
OPERATORS = ("eq", *ORDERING, "in", "contains", "regex", "changed")
_ABSENT = object()


@dataclass(frozen=True)
class Comparison:
    """One comparison.

    Args:
        place: where it stands in the conditions.
        attr: as it was written.
        row: `new`, `old`, or None for whichever the change has.
        path: the column, then keys and places.
    """

    place: str
    attr: str
    row: str | None
    path: tuple[str, ...]
    op: str
    value: Any
    negate: bool
    pattern: Any = field(default=None, compare=False)

    def holds(self, change: ObjectChange) -> bool:
        """Make the comparison.

        Raises:
            ConditionFailed: it cannot be made; names no value of the row.
        """
        found = self._changed(change) if self.op == "changed" else self._compare(self.look_up(change))
        return found is not self.negate

    def explain(self, change: ObjectChange) -> str:
        """Return what was compared, and what stands in the row."""
        wanted = "" if self.op == "changed" else f" {_brief(self.value)}"
        negated = "not " if self.negate else ""
        actual = "" if self.op == "changed" else f" (it is {_brief(self.look_up(change))})"
        return f"{at(self.place)}{self.attr} {negated}{self.op}{wanted} does not hold{actual}"

    def look_up(self, change: ObjectChange) -> Any:
        """Return what is compared.

        Raises:
            ConditionFailed: it is not there.
        """
        side = self.row or ("old" if change.action == "delete" else "new")
        row = change.prechange if side == "old" else change.postchange
        if row is None:
            raise self._failed(f"the change has no row {'before' if side == 'old' else 'after'} it")
        found = _walk(row, self.path)
        if found is _ABSENT:
            raise self._failed("there is no such value in the row")
        return found

    def _compare(self, found: Any) -> bool:
        op, value = self.op, self.value
        if op == "eq":
            return same(found, value)
        if op == "in":
            return any(same(found, one) for one in value)
        if op == "contains":
            return self._contains(found)
        if op == "regex":
            return self._search(found)
        if not ((is_number(found) and is_number(value)) or (isinstance(found, str) and isinstance(value, str))):
            raise self._failed(f"{kind_of(found)} and {kind_of(value)} cannot be put in order")
        return ORDERING[op](found, value)

    def _contains(self, found: Any) -> bool:
        if isinstance(found, list):
            return any(same(one, self.value) for one in found)
        if isinstance(found, str | dict) and isinstance(self.value, str):
            return self.value in found
        raise self._failed(f"{kind_of(found)} cannot contain {kind_of(self.value)}")

    def _search(self, found: Any) -> bool:
        if not isinstance(found, str):
            raise self._failed(f"a regular expression cannot be looked for in {kind_of(found)}")
        try:
            return self.pattern.search(found, timeout=REGEX_TIMEOUT) is not None
        except TimeoutError as error:
            raise self._failed(f"the regular expression took longer than {REGEX_TIMEOUT * 1000:.0f} ms") from error
        except (MemoryError, regex.error) as error:
            raise self._failed("the regular expression cannot be searched for") from error

    def _changed(self, change: ObjectChange) -> bool:
        column, *rest = self.path
        if not rest and change.changed(column):
            return True
        # Not the decoded rows of the change: in those, floats make two long numerics equal.
        before, after = (
            {} if text is None else json.loads(text, parse_float=Decimal)
            for text in (change.prechange_json, change.postchange_json)
        )
        if column not in before and column not in after:
            raise self._failed("there is no such column in either row")
        return not same(_walk(before, self.path), _walk(after, self.path))

    def _failed(self, why: str) -> ConditionFailed:
        return ConditionFailed(f"{at(self.place)}{self.attr} {self.op}: {why}")


def same(a: Any, b: Any) -> bool:
    """Say whether two JSON values are equal; unlike Python's ==, true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def _walk(value: Any, path: Iterable[str]) -> Any:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step, _ABSENT)
        elif isinstance(value, list) and step.isascii() and step.isdecimal() and len(step) < 10:
            value = value[int(step)] if int(step) < len(value) else _ABSENT
        else:
            return _ABSENT
    return value


def is_number(value: Any) -> bool:
    """Say whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def kind_of(value: Any) -> str:
    """Return what JSON calls a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if is_number(value):
        return "a number"
    return "a string" if isinstance(value, str) else "an array" if isinstance(value, list) else "an object"


def at(place: str) -> str:
    """Return the beginning of a message about a place in the conditions."""
    return f"conditions: {place}: " if place else "conditions: "


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
