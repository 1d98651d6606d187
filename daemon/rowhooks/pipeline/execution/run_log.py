"""The lines a run has logged and that are not yet on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from rowhooks.domain.run import LogEntry, now

MOST_LINES = 10_000
"""Lines kept in memory until they are written, a quarter of a second later; further lines are only counted."""
LONGEST_LINE = 100_000
"""Characters of a line."""


current_log: ContextVar[RunLog | None] = ContextVar("rowhooks_run_log", default=None)
"""The log of the run whose receiver runs in this context."""


class RunLog:
    """Collects the lines of one run; the receiver's thread adds, the event loop takes.

    Args:
        clean: blanks secrets.
        fields: returns the fields that every line about the run has in the daemon's log.
    """

    _left_out = 0

    def __init__(
        self, clean: Callable[[str], str] = str, fields: Callable[[], Mapping[str, Any]] = dict[str, Any]
    ) -> None:
        self._clean = clean
        self.fields = fields
        self._entries: list[LogEntry] = []

    def add(self, entry: LogEntry) -> None:
        """Keep a line."""
        if len(self._entries) >= MOST_LINES:
            self._left_out += 1
            return
        message = self._clean(entry.message)
        if len(message) > LONGEST_LINE:
            message = f"{message[:LONGEST_LINE]}... ({len(message) - LONGEST_LINE} more characters)"
        self._entries.append(entry if message == entry.message else replace(entry, message=message))

    def note(self, level: str, message: str) -> None:
        """Add a line of rowhooks' own."""
        self.add(LogEntry(now(), level, message))

    def take(self) -> tuple[LogEntry, ...]:
        """Return the lines so far, and forget them."""
        if not (self._entries or self._left_out):
            return ()
        # The thread only appends, so what was copied stands at the beginning.
        taken = tuple(self._entries)
        del self._entries[: len(taken)]
        if self._left_out:
            left_out, self._left_out = self._left_out, 0
            taken += (LogEntry(now(), "warning", f"{left_out} lines were left out: too many at once"),)
        return taken

    def put_back(self, entries: tuple[LogEntry, ...]) -> None:
        """Give lines back that could not be written."""
        self._entries[:0] = entries
