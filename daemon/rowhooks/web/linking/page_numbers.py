"""Numbers of pages in addresses."""

from __future__ import annotations

_LAST = 100_000
"""Nothing has more pages; a higher number is this one."""


def page_number(text: str | None) -> int:
    """Return the number of a page that an address names; 1 for what is no such number."""
    is_number = text is not None and text.isascii() and text.isdecimal() and len(text) < 10
    return min(max(int(text or "1"), 1), _LAST) if is_number else 1
