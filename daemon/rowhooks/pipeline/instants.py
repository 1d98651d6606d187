"""Instants: JSON strings that are timestamps with an offset, compared as the moments that they mean. Pure, no I/O.

PostgreSQL writes a timestamptz into JSON in the time zone of the session that changes the row. Any writer may set that,
so one moment has many texts.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from rowhooks.domain import exact

# As to_jsonb writes them, and with RFC 3339's Z.
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d(:\d\d)?)", re.ASCII)
_SHORTEST = len("2026-01-01T00:00:00Z")
_BEGINNING = datetime(1, 1, 1)  # noqa: DTZ001  (what is left of a timestamp without its offset)
_MICROSECOND = timedelta(microseconds=1)


def instant_of(value: Any) -> int | None:
    """Return the moment that a JSON value means, in microseconds since one beginning.

    None for anything but a string that is a timestamp with an offset, and beyond the years 1 to 9999.
    """
    if not isinstance(value, str) or len(value) < _SHORTEST or value[10] != "T" or not _TIMESTAMP.fullmatch(value):
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    # Not by astimezone(): in UTC it may be in the year 0 or 10000.
    return (read.replace(tzinfo=None) - _BEGINNING - (read.utcoffset() or timedelta())) // _MICROSECOND


def same(a: Any, b: Any) -> bool:
    """Say whether two JSON values are equal, as exact.same; timestamps with an offset wherever they mean one moment."""
    return exact.same(a, b, _equal)


def _equal(a: Any, b: Any) -> bool:
    if a == b:
        return True
    if not (isinstance(a, str) and isinstance(b, str)):
        return False
    awaited = instant_of(b)
    return awaited is not None and awaited == instant_of(a)
