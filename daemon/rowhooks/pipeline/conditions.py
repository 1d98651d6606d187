"""Conditions: what must hold of a change's two rows, as JSON; compiled once, asked for each change. Pure, no I/O.

The language is near that of NetBox's event rules:

    {"and": [condition, ...]}   {"or": [condition, ...]}   {"not": condition}
    {"attr": "status.value", "op": "eq", "value": "active", "negate": false}

`attr` is a dotted path: a column, then keys of objects and places in arrays. It is looked up in the row after the
change (before it, for a delete); `new.` or `old.` in front picks the row. Conditions are asked in the order in which
they are written, and no further than the answer needs. A comparison that cannot be made (a column that the log does not
have, unlike types) is not false but undecided, and so is its opposite. The whole is decided where its other parts
suffice: an `and` with a false part is false, an `or` with a true part is true (Kleene's logic of three values).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol

import regex

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import ConditionFailed, ConditionsError
from rowhooks.pipeline.comparison import OPERATORS, ORDERING, Comparison, Question, at, is_number, kind_of

# What rowhooks.check_conditions (sql/functions/check_conditions.sql) refuses too. The grammar stands in both places: a
# declaration is checked where no database is, and a row of rowhooks.job_hook whoever writes it, with SQL alone.
# tests/sql/test_job_hook.py holds the two equal, with examples that it makes up.
MAX_DEPTH = 20
MAX_CONDITIONS = 500
MAX_PATTERN = 1000
"""Characters of a regular expression."""
MAX_REPEATS = 100_000
"""The product of all {n} in a regular expression: nested ones are written out when it is compiled."""

_EXAMPLE = 'for example {"attr": "status", "op": "eq", "value": "active"}'
_REPEAT = regex.compile(r"\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}")


class _Node(Protocol):
    def holds(self, question: Question) -> bool: ...

    def explain(self, question: Question) -> str: ...


@dataclass(frozen=True)
class Condition:
    """A hook's conditions, compiled."""

    _root: _Node

    def holds(self, change: ObjectChange) -> bool:
        """Say whether the conditions hold of a change.

        Raises:
            ConditionFailed: that cannot be decided; names the comparison, and no value of the row.
        """
        return self._root.holds(Question(change))

    def first_comparison(self) -> Comparison | None:
        """Return the comparison that is made first, if the whole can only hold where it does."""
        node = self._root
        while isinstance(node, _All):
            node = node.parts[0]
        return node if isinstance(node, Comparison) else None

    def why_not(self, change: ObjectChange) -> str | None:
        """Return the comparison for which the conditions do not hold, with what stands in the row; None if they do.

        Raises:
            ConditionFailed: that cannot be decided.
        """
        return None if self.holds(change) else self._root.explain(Question(change))


def parse(value: Any) -> Condition:
    """Compile conditions.

    Args:
        value: the conditions, as json.loads returns them.

    Raises:
        ConditionsError: they are malformed; names the place and what is wrong with it.
    """
    return Condition(_Parser().parse(value, "", 1))


@lru_cache(maxsize=1024)
def parse_json(text: str) -> Condition:
    """Compile conditions written as JSON.

    Raises:
        ConditionsError: they are malformed, or no JSON.
    """
    try:
        value = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ConditionsError(f"conditions: not valid JSON: {error}", hint=_EXAMPLE) from error
    return parse(value)


@dataclass(frozen=True)
class _All:
    parts: Sequence[_Node]

    def holds(self, question: Question) -> bool:
        return _until(self.parts, question, answer=False)

    def explain(self, question: Question) -> str:
        return next(part.explain(question) for part in self.parts if _is_false(part, question))


@dataclass(frozen=True)
class _Any:
    parts: Sequence[_Node]

    def holds(self, question: Question) -> bool:
        return _until(self.parts, question, answer=True)

    def explain(self, question: Question) -> str:
        return ", and ".join(part.explain(question) for part in self.parts)


@dataclass(frozen=True)
class _Not:
    part: _Node
    place: str

    def holds(self, question: Question) -> bool:
        return not self.part.holds(question)

    def explain(self, question: Question) -> str:
        return f"{at(self.place)}what is under not holds"


def _until(parts: Sequence[_Node], question: Question, *, answer: bool) -> bool:
    """Return the answer that decides the whole if a part gives it, else its opposite.

    Raises:
        ConditionFailed: no part gives it, and one, the first of which is named, cannot be decided.
    """
    failed: ConditionFailed | None = None
    for part in parts:
        try:
            if part.holds(question) is answer:
                return answer
        except ConditionFailed as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return not answer


def _is_false(part: _Node, question: Question) -> bool:
    try:
        return not part.holds(question)
    except ConditionFailed:
        return False


class _Parser:
    """Compiles one condition and what it is made of, and counts."""

    def __init__(self) -> None:
        self._count = 0

    def parse(self, value: Any, place: str, depth: int) -> _Node:
        self._count += 1
        if depth > MAX_DEPTH:
            raise _wrong(place, f"nested more than {MAX_DEPTH} deep")
        if self._count > MAX_CONDITIONS:
            raise _wrong("", f"more than {MAX_CONDITIONS} conditions")
        if not isinstance(value, dict):
            raise _wrong(place, f"expected an object, not {kind_of(value)}", _EXAMPLE)
        for logic in ("and", "or", "not"):
            if logic in value:
                if len(value) > 1:
                    raise _wrong(place, f"{logic!r} stands alone in its object")
                return self._combine(logic, value[logic], f"{place}.{logic}" if place else logic, depth)
        return _comparison(value, place)

    def _combine(self, logic: str, value: Any, place: str, depth: int) -> _Node:
        if logic == "not":
            return _Not(self.parse(value, place, depth + 1), place)
        if not isinstance(value, list) or not value:
            raise _wrong(place, "expected a list of at least one condition")
        parts = [self.parse(one, f"{place}[{index}]", depth + 1) for index, one in enumerate(value)]
        return _All(parts) if logic == "and" else _Any(parts)


def _comparison(given: dict[str, Any], place: str) -> Comparison:
    if unknown := sorted(map(str, given.keys() - {"attr", "op", "value", "negate"})):
        raise _wrong(place, f"unknown key {unknown[0]!r}; known: and, or, not, attr, op, value, negate")
    attr, op, negate = given.get("attr"), given.get("op", "eq"), given.get("negate", False)
    if not isinstance(attr, str):
        raise _wrong(place, "'attr' must name a column", _EXAMPLE)
    if not isinstance(op, str):
        raise _wrong(place, f"'op' must be one of {', '.join(OPERATORS)}")
    if op not in OPERATORS:
        raise _wrong(place, f"unknown op {op!r}; known: {', '.join(OPERATORS)}")
    if not isinstance(negate, bool):
        raise _wrong(place, "'negate' must be true or false")
    if op == "changed" and "value" in given:
        raise _wrong(place, "'changed' takes no value")
    if op != "changed" and "value" not in given:
        raise _wrong(place, f"{op!r} needs a value")
    value = _checked(op, given.get("value"), place)
    row, path = _split(attr, place)
    return Comparison(place, attr, row, path, op, value, negate, _compile(str(value), place) if op == "regex" else None)


def _checked(op: str, value: Any, place: str) -> Any:
    if op in ORDERING and not (is_number(value) or isinstance(value, str)):
        raise _wrong(place, f"{op!r} needs a number or a string, not {kind_of(value)}")
    if op == "in" and not isinstance(value, list):
        raise _wrong(place, f"'in' needs a list, not {kind_of(value)}")
    if op == "regex" and not isinstance(value, str):
        raise _wrong(place, f"'regex' needs a string, not {kind_of(value)}")
    return _exactly(value, place, MAX_DEPTH)


def _exactly(value: Any, place: str, levels: int) -> Any:
    """Return a value as it is read from JSON; no digit of its numbers is lost where rows are compared with it."""
    if levels < 0:
        raise _wrong(place, f"a value nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise _wrong(place, "a key that is no string")
        return {key: _exactly(one, place, levels - 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_exactly(one, place, levels - 1) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(place, "a number that JSON does not have")
    if not (value is None or isinstance(value, str | int | float | Decimal)):
        raise _wrong(place, f"a value that JSON does not have: {type(value).__name__}")
    return Decimal(repr(value)) if isinstance(value, float) else value


def _split(attr: str, place: str) -> tuple[str | None, tuple[str, ...]]:
    first, *rest = attr.split(".")
    row = first if first in ("new", "old") else None
    path = tuple(rest) if row else (first, *rest)
    if not path or not all(path):
        hint = f"a column of that name is '{first}.{first}'" if row else None
        raise _wrong(place, f"attr {attr!r} names no column", hint)
    return row, path


def _compile(pattern: str, place: str) -> Any:
    if len(pattern) > MAX_PATTERN:
        raise _wrong(place, f"a regular expression of more than {MAX_PATTERN} characters")
    repeats = math.prod(max(1, *(int(n or 1) for n in found)) for found in _REPEAT.findall(pattern))
    if repeats > MAX_REPEATS:
        raise _wrong(place, f"a regular expression that repeats parts {repeats} times; at the most {MAX_REPEATS}")
    try:
        return regex.compile(pattern)
    except (regex.error, ArithmeticError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise _wrong(place, f"{pattern!r} is not a regular expression: {error}") from error


def _wrong(place: str, what: str, hint: str | None = None) -> ConditionsError:
    return ConditionsError(f"{at(place)}{what}", hint=hint)
