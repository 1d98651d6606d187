"""JSON as PostgreSQL stores it, read and written with numbers of any length and to any depth.

The json module refuses integers of more than 4,300 digits and documents deeper than Python's recursion goes, and its
floats make two long numbers equal. It is used for what it can do. The rest is done here, without recursion.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

_TOKEN = re.compile(r'[ \t\n\r]*(?:([][{}:,])|"((?:[^"\\]|\\.)*)"|([^][{}:,"\s]+))', re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_BEYOND = "not valid JSON here: a number with an exponent beyond all bounds"
LARGEST_EXPONENT = 150_000
"""A bit more than PostgreSQL stores of a number, before its decimal point or behind it."""
_WORDS = {"true": True, "false": False, "null": None}


def read(text: str) -> Any:
    """Return the value of a JSON document, as json.loads does; an integer that is too long for it is a Decimal.

    Raises:
        ValueError: the text is not JSON.
    """
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        return _read(text, float)


def read_exactly(text: str) -> Any:
    """Return the value of a JSON document, with its numbers as int and Decimal.

    Raises:
        ValueError: the text is not JSON.
    """
    try:
        return json.loads(text, parse_float=Decimal)
    except (RecursionError, ValueError):
        return _read(text, Decimal)
    except ArithmeticError as error:
        raise ValueError(_BEYOND) from error


class Unstorable(ValueError):
    """A document has a number that PostgreSQL does not store."""


def read_given(text: str) -> Any:
    """Return the value of a JSON document that somebody has sent, with its numbers as int and Decimal.

    What takes long is refused at once: a few characters of exponent make an integer that takes all memory, and a
    document that is nested more deeply than the json module reads takes seconds.

    Raises:
        Unstorable: it has a number beyond all that PostgreSQL stores.
        ValueError: the text is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text, parse_float=_storable, parse_int=_storable_integer)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise _wrong(text, error.pos) from None
    except ArithmeticError as error:
        raise Unstorable(_BEYOND) from error


def write(value: Any, default: Callable[[Any], Any] = str, indent: int | None = None) -> str:
    """Return a value as JSON; a Decimal is a number with all its digits.

    Args:
        value: any value.
        default: turns a value that JSON does not have into one that it has.
        indent: spaces for each level; None: everything is on one line.
    """
    parts: list[str] = []
    add = parts.append
    # What is still to be written, the next item last: text as it is, or (value, depth).
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
    """Say whether two JSON values are equal; unlike in Python, true is not 1.

    Args:
        a: one value.
        b: the other value.
        equal: compares two values that are neither booleans, nor two objects, nor two arrays.
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


def _storable(text: str) -> Decimal:
    number = Decimal(text)
    if number and abs(number.adjusted()) > LARGEST_EXPONENT:
        raise Unstorable(_BEYOND)
    return number


def _storable_integer(text: str) -> int | Decimal:
    return int(text) if len(text) < 4000 else _storable(text)


def _read(text: str, number: Callable[[str], Any]) -> Any:
    """Read a document without recursion."""
    reader = _Reader(number)
    position, end = 0, len(text.rstrip(" \t\n\r"))
    while position < end:
        found = _TOKEN.match(text, position)
        position = position if found is None else found.end()
        if found is None or not reader.take(*found.groups()):
            raise _wrong(text, position)
    if not reader.is_done:
        raise _wrong(text, position)
    return reader.document[0]


class _Reader:
    """Makes a document of its tokens.

    Args:
        number: makes a number that is no integer of its text.
    """

    def __init__(self, number: Callable[[str], Any]) -> None:
        self._number = number
        self.document: list[Any] = []
        # What is open: the document itself, objects and arrays.
        self._open: list[Any] = [self.document]
        self._name: str | None = None
        self._expected = "value"

    @property
    def is_done(self) -> bool:
        """Whether there is one value, and nothing is open."""
        return len(self._open) == 1 and len(self.document) == 1

    def take(self, sign: str | None, string: str | None, word: str | None) -> bool:
        """Take one token, of which two are None; return False where it cannot come next."""
        container, expected = self._open[-1], self._expected
        is_object, is_inner = isinstance(container, dict), len(self._open) > 1
        if sign in ("}", "]"):
            self._expected = "comma"
            self._open.pop()
            return (sign == "}") == is_object and is_inner and expected in ("comma", "first")
        if sign == ",":
            self._expected = "name" if is_object else "value"
            return expected == "comma" and is_inner
        if sign == ":":
            self._expected = "value"
            return expected == "colon"
        if is_object and expected in ("name", "first"):
            if string is not None:
                self._name, self._expected = json.loads(f'"{string}"'), "colon"
            return string is not None
        if expected in ("value", "first"):
            self._add(container, self._value(sign, string, word), opens=sign is not None)
            return True
        return False

    def _value(self, sign: str | None, string: str | None, word: str | None) -> Any:
        if string is not None:
            return json.loads(f'"{string}"')
        if word is not None:
            return _word(word, self._number)
        return {} if sign == "{" else []

    def _add(self, container: Any, value: Any, *, opens: bool) -> None:
        if isinstance(container, dict):
            container[self._name] = value
        else:
            container.append(value)
        self._expected = "first" if opens else "comma"
        if opens:
            self._open.append(value)


def _word(word: str, number: Callable[[str], Any]) -> Any:
    if word in _WORDS:
        return _WORDS[word]
    if not _NUMBER.fullmatch(word):
        raise ValueError(f"not valid JSON: {word[:20]!r}")
    try:
        return _integer(word) if word.lstrip("-").isdecimal() else number(word)
    except ArithmeticError as error:
        raise ValueError(_BEYOND) from error


def _wrong(text: str, position: int) -> ValueError:
    return ValueError(f"not valid JSON at character {position} of {len(text)}")
