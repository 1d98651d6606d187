"""Comparison: one comparison of a hook's conditions, made with a change's rows."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import regex

from rowhooks.domain import exact
from rowhooks.domain.change import ObjectChange, Row
from rowhooks.domain.errors import ConditionFailed
from rowhooks.pipeline.instants import instant_of, same

REGEX_TIMEOUT = 0.05
"""Seconds one search may take: the event loop waits for it."""
LONGEST_SEARCHES = 0.2
"""Seconds the searches of one hook may take together for one change; what is left is not searched for then."""

ORDERING: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip
OPERATORS = ("eq", *ORDERING, "in", "contains", "regex", "changed")
NOTHING = object()
"""What stands where a row, or a part of a column, does not exist: no comparison holds of it."""
_WITHOUT = {"old": "create", "new": "delete"}
_LEFT_OUT = "the column could not be captured"


class Question:
    """A change of which conditions are asked, and the time that its regular expressions may still take."""

    __slots__ = ("change", "seconds")

    def __init__(self, change: ObjectChange) -> None:
        self.change = change
        self.seconds = LONGEST_SEARCHES


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

    def holds(self, question: Question) -> bool:
        """Make the comparison.

        Raises:
            ConditionFailed: it cannot be made; names no value of the row.
        """
        if self.op == "changed":
            found = self._changed(question.change)
        else:
            found = self._compare(self.look_up(question.change), question)
        return found is not self.negate

    def explain(self, question: Question) -> str:
        """Return what was compared, and what stands in the row."""
        wanted = "" if self.op == "changed" else f" {_brief(self.value)}"
        negated = "not " if self.negate else ""
        actual = "" if self.op == "changed" else f" (it is {_brief(self.look_up(question.change))})"
        return f"{at(self.place)}{self.attr} {negated}{self.op}{wanted} does not hold{actual}"

    def look_up(self, change: ObjectChange) -> Any:
        """Return what is compared; NOTHING where the change has no such row, or its column no such part.

        Raises:
            ConditionFailed: the log does not tell.
        """
        side = self.row or ("old" if change.action == "delete" else "new")
        if change.action == _WITHOUT[side]:
            return NOTHING
        row = self._row(change, side)
        column = self.path[0]
        if column not in row:
            raise self._failed(_LEFT_OUT if change.capture_error else "there is no such column in the row")
        return _walk(row, self.path)

    def _row(self, change: ObjectChange, side: str) -> Row:
        try:
            row = change.exact_prechange if side == "old" else change.exact_postchange
        except (RecursionError, ValueError) as error:
            raise self._failed("the row cannot be read") from error
        if row is None:
            raise self._failed(f"the row {'before' if side == 'old' else 'after'} the change could not be captured")
        return row

    def _compare(self, found: Any, question: Question) -> bool:
        op, value = self.op, self.value
        if found is NOTHING:
            return False
        if op == "eq":
            return same(found, value)
        if op == "in":
            return any(same(found, one) for one in value)
        if found is None:
            return False
        if op == "contains":
            return self._contains(found)
        if op == "regex":
            return self._search(found, question)
        if not ((is_number(found) and is_number(value)) or (isinstance(found, str) and isinstance(value, str))):
            raise self._failed(f"{kind_of(found)} and {kind_of(value)} cannot be put in order")
        if (awaited := instant_of(value)) is not None and (instant := instant_of(found)) is not None:
            return ORDERING[op](instant, awaited)
        return ORDERING[op](found, value)

    def _contains(self, found: Any) -> bool:
        if isinstance(found, list):
            return any(same(one, self.value) for one in found)
        if isinstance(found, str | dict) and isinstance(self.value, str):
            return self.value in found
        raise self._failed(f"{kind_of(found)} cannot contain {kind_of(self.value)}")

    def _search(self, found: Any, question: Question) -> bool:
        if not isinstance(found, str):
            raise self._failed(f"a regular expression cannot be looked for in {kind_of(found)}")
        if question.seconds <= 0:
            raise self._failed(f"the regular expressions together took longer than {LONGEST_SEARCHES * 1000:.0f} ms")
        began = time.perf_counter()
        try:
            return self.pattern.search(found, timeout=REGEX_TIMEOUT) is not None
        except TimeoutError as error:
            raise self._failed(f"the regular expression took longer than {REGEX_TIMEOUT * 1000:.0f} ms") from error
        except (MemoryError, regex.error) as error:
            raise self._failed("the regular expression cannot be searched for") from error
        finally:
            question.seconds -= time.perf_counter() - began

    def _changed(self, change: ObjectChange) -> bool:
        column, *rest = self.path
        # A create has no row before it, and a delete none after it: that is no lack of the log's.
        before = {} if change.action == "create" else self._row(change, "old")
        after = {} if change.action == "delete" else self._row(change, "new")
        if change.capture_error and not (
            (change.action == "create" or column in before) and (change.action == "delete" or column in after)
        ):
            raise self._failed(_LEFT_OUT)
        if column not in before and column not in after:
            raise self._failed("there is no such column in either row")
        if not rest and (column not in before or column not in after):
            return True
        return not same(_walk(before, self.path), _walk(after, self.path))

    def _failed(self, why: str) -> ConditionFailed:
        return ConditionFailed(f"{at(self.place)}{self.attr} {self.op}: {why}")


def _walk(value: Any, path: Iterable[str]) -> Any:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step, NOTHING)
        elif isinstance(value, list) and step.isascii() and step.isdecimal() and len(step) < 10:
            value = value[int(step)] if int(step) < len(value) else NOTHING
        else:
            return NOTHING
    return value


def is_number(value: Any) -> bool:
    """Say whether a JSON value is a number."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


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
    if value is NOTHING:
        return "not there"
    text = exact.write(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
