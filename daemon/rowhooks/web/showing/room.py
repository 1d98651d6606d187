"""Room on a page: what stands on it is shown until the room is used up, and the rest is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import escape

from rowhooks.domain.change import differing_columns
from rowhooks.domain.display import SHORT, value

MARKUP = 150
"""Bytes of markup around a value."""


class Room:
    """Bytes of HTML that a part of a page may take.

    Args:
        size: the bytes.
    """

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, *texts: str) -> bool:
        """Say whether there is room for these texts and their markup, and take it."""
        needed = sum(len(escape(text).encode("utf-8", "replace")) + MARKUP for text in texts)
        if needed > self._left:
            return False
        self._left -= needed
        return True


@dataclass(frozen=True)
class Differences:
    """What the columns of a row were before and after a change, as a page shows it.

    Args:
        removed: values before; None where there was no row.
        added: values after; None where there is no row.
        left_out: how many columns there was no room for.
    """

    removed: dict[str, str | None] | None
    added: dict[str, str | None] | None
    left_out: int


def differences(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, room: Room, longest: int
) -> Differences:
    """Return the columns that differ, as `ui.diff` shows them.

    Args:
        before: the row before the change; None for a create, or where it is not known.
        after: the row after the change; None for a delete, or where it is not known.
        room: the room for them.
        longest: characters of a value that are shown.
    """
    rows = (before, after)
    shown: tuple[dict[str, str | None], ...] = ({}, {})
    left_out = 0
    for column in differing_columns(before, after):
        pair = [_shown(row, column, longest) for row in rows]
        # A long value stands there twice: shortened, and to be opened.
        if left_out or not room.take(value(column), *(f"{text or ''}{(text or '')[:SHORT]}" for text in pair)):
            left_out += 1
            continue
        for row, part, text in zip(rows, shown, pair, strict=True):
            if row is not None and column in row:
                part[column] = text
    removed, added = (None if row is None else part for row, part in zip(rows, shown, strict=True))
    return Differences(removed, added, left_out)


def _shown(row: Mapping[str, Any] | None, column: str, longest: int) -> str | None:
    found = None if row is None else row.get(column)
    return None if found is None else value(found, longest)


def cut(text: str, head: int, tail: int, room: int) -> str:
    """Return a text; of a long one the beginning and the end, with what was left out counted between them.

    Args:
        text: the text.
        head: characters of the beginning.
        tail: characters of the end.
        room: bytes of HTML that it may take; head and tail are made shorter for it.
    """
    while True:
        left_out = len(text) - head - tail
        shown = text
        if left_out > 0:
            shown = f"{text[:head]}\n... ({left_out:,} characters left out)\n{text[len(text) - tail :]}"
        if head + tail < 100 or len(escape(shown).encode("utf-8", "replace")) <= room:
            return shown
        head, tail = min(head, len(text)) * 3 // 4, min(tail, len(text)) * 3 // 4
