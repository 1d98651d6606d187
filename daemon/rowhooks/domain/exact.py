"""JSON as PostgreSQL stores it, read and written whole: numbers of any length, nested as deep as it may be.

The json module stops at integers of 4,300 digits and where Python's recursion ends, and its floats make two long
numbers equal. Here it does what it can, and the rest is done without recursion.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

_TOKEN = re.compile(r'[ \t\n\r]*(?:([][{}:,])|"((?:[^"\\]|\\.)*)"|([^][{}:,"\s]+))', re.DOTALL)
_BEYOND = "not valid JSON here: a number with an exponent beyond all bounds"
_WORDS = {"true": True, "false": False, "null": None}


def read(text: str) -> Any:
    """Return the value of a JSON document, as json.loads does; an integer too long for it is a Decimal.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        return _read(text, float)


def read_exactly(text: str) -> Any:
    """Return the value of a JSON document, its numbers as int and Decimal.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(text, parse_float=Decimal)
    except (RecursionError, ValueError):
        return _read(text, Decimal)
    except ArithmeticError as error:
        raise ValueError(_BEYOND) from error


def write(value: Any, default: Callable[[Any], Any] = str, indent: int | None = None) -> str:
    """Return a value as JSON; a Decimal is a number with all its digits.

    Args:
        value: anything.
        default: makes of a value that JSON does not have one that it has.
        indent: spaces for each level; None: all on one line.
    """
    parts: list[str] = []
    add = parts.append
    # What is still to be written, the next one last: text as it is, or (value, depth).
    todo: list[Any] = [(value, 0)]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            add(item)
            continue
        one, depth = item
        if isinstance(one, dict) and one:
            between = _break(indent, depth + 1)
            todo.append(f"{_break(indent, depth)}}}")
            entries = list(one.items())
            for number in range(len(entries) - 1, -1, -1):
                name, inner = entries[number]
                todo.append((inner, depth + 1))
                separator = ("," if indent is not None else ", ") if number else ""
                todo.append(f"{separator}{between}{json.dumps(str(name), ensure_ascii=False)}: ")
            add("{")
        elif isinstance(one, list | tuple) and one:
            between = _break(indent, depth + 1)
            todo.append(f"{_break(indent, depth)}]")
            for number in range(len(one) - 1, -1, -1):
                separator = ("," if indent is not None else ", ") if number else ""
                todo += [(one[number], depth + 1), f"{separator}{between}"]
            add("[")
        elif isinstance(one, Decimal) and one.is_finite():
            add(str(one))
        elif one is None or isinstance(one, bool | str | int | float | dict | list | tuple):
            add(json.dumps(one, ensure_ascii=False))
        else:
            todo.append((default(one), depth))
    return "".join(parts)


def same(a: Any, b: Any, equal: Callable[[Any, Any], bool] = operator.eq) -> bool:
    """Say whether two JSON values are equal; unlike Python's ==, true is not 1.

    Args:
        a: one.
        b: the other.
        equal: says it of two that are neither booleans nor both objects or both arrays.
    """
    todo = [(a, b)]
    while todo:
        a, b = todo.pop()
        if isinstance(a, bool) or isinstance(b, bool):
            if a is not b:
                return False
        elif isinstance(a, dict) and isinstance(b, dict):
            if a.keys() != b.keys():
                return False
            todo += [(value, b[name]) for name, value in a.items()]
        elif isinstance(a, list) and isinstance(b, list):
            if len(a) != len(b):
                return False
            todo += zip(a, b, strict=True)
        elif not equal(a, b):
            return False
    return True


def _break(indent: int | None, depth: int) -> str:
    return "" if indent is None else "\n" + " " * (indent * depth)


def _integer(text: str) -> int | Decimal:
    try:
        return int(text)
    except ValueError:
        # Longer than sys.get_int_max_str_digits().
        return Decimal(text)


def _read(text: str, number: Callable[[str], Any]) -> Any:
    """Read a document without recursion."""
    document: list[Any] = []
    # What is open: the document itself, objects and arrays.
    open_: list[Any] = [document]
    position, end = 0, len(text.rstrip(" \t\n\r"))
    name: str | None = None
    expected = "value"
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:
            raise _wrong(text, position)
        position = found.end()
        sign, string, word = found.groups()
        container = open_[-1]
        is_object = isinstance(container, dict)
        if sign in ("}", "]"):
            if (sign == "}") != is_object or len(open_) == 1 or expected not in ("comma", "first"):
                raise _wrong(text, position)
            open_.pop()
            expected = "comma"
        elif sign == ",":
            if expected != "comma" or len(open_) == 1:
                raise _wrong(text, position)
            expected = "name" if is_object else "value"
        elif sign == ":":
            if expected != "colon":
                raise _wrong(text, position)
            expected = "value"
        elif is_object and expected in ("name", "first"):
            if string is None:
                raise _wrong(text, position)
            name, expected = json.loads(f'"{string}"'), "colon"
        elif expected in ("value", "first"):
            value: Any = {} if sign == "{" else [] if sign == "[" else None
            if string is not None:
                value = json.loads(f'"{string}"')
            elif word is not None:
                value = _word(word, number)
            if is_object:
                container[name] = value
            else:
                container.append(value)
            expected = "comma"
            if sign is not None:
                open_.append(value)
                expected = "first"
        else:
            raise _wrong(text, position)
    if len(open_) != 1 or len(document) != 1:
        raise _wrong(text, position)
    return document[0]


def _word(word: str, number: Callable[[str], Any]) -> Any:
    if word in _WORDS:
        return _WORDS[word]
    if not _NUMBER.fullmatch(word):
        raise ValueError(f"not valid JSON: {word[:20]!r}")
    try:
        return _integer(word) if word.lstrip("-").isdecimal() else number(word)
    except ArithmeticError as error:
        raise ValueError(_BEYOND) from error


_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)


def _wrong(text: str, position: int) -> ValueError:
    return ValueError(f"not valid JSON at character {position} of {len(text)}")
