"""Loaders of our connections: psycopg's Python values, and text for what Python cannot hold.

A value that has no Python value (infinity, a year beyond 9999, 24:00) keeps the text that change.prechange has for it.
The rest of the row is not affected, and the text means the same to PostgreSQL when it is written back.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import psycopg
from psycopg import pq
from psycopg.abc import AdaptContext, Buffer, Loader
from psycopg.adapt import AdaptersMap
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from rowhooks.domain import exact
from rowhooks.domain.documents import write_json

# Python's other types hold every value of the server: numbers, text, bytes, uuid.
_SCALARS = ("date", "time", "timetz", "inet", "cidr")
_TIMESTAMPS = ("timestamp", "timestamptz")
_RANGES = ("numrange", "daterange", "tsrange", "tstzrange")
_MULTIRANGES = ("nummultirange", "datemultirange", "tsmultirange", "tstzmultirange")

_INTERVAL = re.compile(
    r"(?=.)(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?"
    r"(?:([+-])?(\d+):(\d\d):(\d\d(?:\.\d+)?))?"
)
_WITHOUT_MINUTES = re.compile(r"([+-]\d\d)(?= BC$|$)")


def read_json(document: str | bytes) -> Any:
    """Return the value of a JSON document of a driver's, with numbers of any length and any depth of nesting."""
    return exact.read(document if isinstance(document, str) else document.decode())


def read_json_exactly(document: str | bytes) -> Any:
    """Return the value of a JSON document of a driver's without losing a digit: its numbers are int and Decimal."""
    return exact.read_exactly(document if isinstance(document, str) else document.decode())


def read_interval(text: str) -> timedelta:
    """Return an interval in PostgreSQL's default style: a year has 365 days, a month 30, as psycopg has it.

    psycopg itself reads infinity and the texts of other styles as zero, and long intervals as other intervals.

    Raises:
        ValueError: the text is in another style, or infinite.
        OverflowError: the interval is too long for Python.
    """
    found = _INTERVAL.fullmatch(text)
    if found is None:
        raise ValueError(f"not an interval in the style of PostgreSQL: {text!r}")
    years, months, days, sign, hours, minutes, seconds = found.groups(default="")
    whole, _, fraction = seconds.partition(".")
    time = timedelta(
        hours=int(hours or 0), minutes=int(minutes or 0), seconds=int(whole or 0),
        microseconds=int(f"{fraction:0<6}" or 0),
    )  # fmt: skip
    date = timedelta(days=365 * int(years or 0) + 30 * int(months or 0) + int(days or 0))
    return date - time if sign == "-" else date + time


def adapt(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """Let a connection load values as this module does."""
    set_json_loads(read_json, connection)
    set_json_dumps(write_json, connection)
    _register(connection.adapters)


def adapted() -> AdaptContext:
    """Return what a psycopg Transformer needs to load values in the same way without a connection."""
    return _Detached()


def _register(adapters: AdaptersMap) -> None:
    for name, loader in _LOADERS.items():
        adapters.register_loader(name, loader)


class _Detached:
    connection = None

    def __init__(self) -> None:
        self.adapters = AdaptersMap(psycopg.adapters)
        set_json_loads(read_json, self)
        _register(self.adapters)


class _OrText(Loader):
    """A loader of psycopg's, with the text where it finds no value."""

    format = pq.Format.TEXT
    theirs: ClassVar[type[Loader]]

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        self._load: Callable[[Buffer], Any] = self.theirs(oid, context).load

    def load(self, data: Buffer) -> Any:
        try:
            return self._load(data)
        except (psycopg.Error, ValueError, ArithmeticError):
            return self.text(data)

    @staticmethod
    def text(data: Buffer) -> str:
        return bytes(data).decode("utf-8", "replace")


class _TimestampOrText(_OrText):
    @staticmethod
    def text(data: Buffer) -> str:
        return in_json(_OrText.text(data))


class _RangeOrText(_OrText):
    """A range one of whose bounds is text is text as a whole: its bounds could not be compared."""

    def load(self, data: Buffer) -> Any:
        found = super().load(data)
        ranges = found if isinstance(found, Multirange) else [found]
        is_held = all(not isinstance(one, Range) or _is_held(one) for one in ranges)
        return found if is_held else self.text(data)


def _is_held(one: Range[Any]) -> bool:
    return not (isinstance(one.lower, str) or isinstance(one.upper, str))


class _IntervalOrText(_OrText):
    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        self._load = self._read

    def _read(self, data: Buffer) -> timedelta:
        return read_interval(self.text(data))


def in_json(text: str) -> str:
    """Return the text of a timestamp, in the ISO style, as to_jsonb writes it."""
    if not text[:1].isdigit():
        return text
    day, _, time = text.partition(" ")
    return day + "T" + _WITHOUT_MINUTES.sub(r"\1:00", time)


def _made(kind: type[_OrText], name: str) -> type[Loader]:
    theirs = psycopg.adapters.get_loader(psycopg.adapters.types.get_oid(name), pq.Format.TEXT)
    assert theirs is not None
    return type(kind.__name__, (kind,), {"theirs": theirs})


_LOADERS: dict[str, type[Loader]] = {
    **{name: _made(_OrText, name) for name in _SCALARS},
    **{name: _made(_TimestampOrText, name) for name in _TIMESTAMPS},
    **{name: _made(_RangeOrText, name) for name in (*_RANGES, *_MULTIRANGES)},
    "interval": _IntervalOrText,
}
