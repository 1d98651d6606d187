"""Points in time and durations, as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from rowhooks.domain.errors import UsageError

_SPAN = re.compile(r"(?:\d+[wdhms])+", re.ASCII)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def span(text: str) -> timedelta:
    """Read a duration: numbers with w, d, h, m (minutes) or s, for example 90d or 1h30m.

    Raises:
        UsageError: the text is not a duration.
    """
    try:
        if not _SPAN.fullmatch(text):
            raise ValueError
        parts = [(int(number), _UNITS[unit]) for number, unit in re.findall(r"(\d+)(\D)", text)]
        return sum((timedelta(**{unit: number}) for number, unit in parts), timedelta())
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is not a duration", hint="for example 90s, 15m, 2h, 7d, 12w or 1h30m") from None


def point_in_time(text: str, zone: tzinfo | None = None) -> datetime:
    """Read a time: ISO 8601, or a duration before now.

    Args:
        text: the time.
        zone: what a time means that names no zone; None: local time.

    Raises:
        UsageError: the text is not a time.
    """
    try:
        if _SPAN.fullmatch(text):
            return datetime.now(UTC).astimezone() - span(text)
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo or zone is None else found.replace(tzinfo=zone)).astimezone()
    except (ValueError, OverflowError, UsageError):
        raise UsageError(
            f"{text!r} is not a time", hint="for example 2026-01-31, 2026-01-31T12:00+02:00, or so long ago: 2h, 7d"
        ) from None
