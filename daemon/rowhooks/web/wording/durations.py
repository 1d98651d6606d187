"""Durations for people."""

from __future__ import annotations

from datetime import datetime, timedelta

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def duration(of: timedelta) -> str:
    """Return a duration as people read it: 12 ms, 3.4 s, 2 min 5 s, 1 h 2 min, 3 d 4 h."""
    seconds = max(of.total_seconds(), 0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    parts = []
    for size, name in _STEPS:
        count, whole = divmod(whole, size)
        parts.append((count, name))
    parts.append((whole, "s"))
    first = next(number for number, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count)


def took(begun: datetime | None, ended: datetime | None) -> str:
    """Return how long something took; nothing where it has not begun or not ended."""
    return "" if begun is None or ended is None else duration(ended - begun)
