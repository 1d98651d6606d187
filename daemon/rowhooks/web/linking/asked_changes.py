"""The filters of a listing of changes, as they stand in an address."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from rowhooks.domain import exact
from rowhooks.domain.errors import UsageError
from rowhooks.domain.times import point_in_time
from rowhooks.postgres.console.changes import ChangeFilter

ACTIONS = ("create", "update", "delete", "truncate")
NAMES = ("table", "action", "user", "since", "until", "key", "request_id", "run")
"""The filters."""
LONGEST = 300
"""Characters of a filter."""


class AskedChanges:
    """The filters of an address.

    Args:
        given: the query of the address.
    """

    def __init__(self, given: Any) -> None:
        self.texts = {name: str(given.get(name) or "").strip()[:LONGEST] for name in NAMES}

    def query(self, *more: tuple[str, Any]) -> list[tuple[str, Any]]:
        """Return them as the query of an address, with more."""
        return [*self.texts.items(), *more]

    def filter(self) -> ChangeFilter:
        """Return what they ask for.

        Raises:
            UsageError: a filter makes no sense.
        """
        text = {name: value or None for name, value in self.texts.items()}
        if text["action"] not in (None, *ACTIONS):
            raise UsageError(f"there is no action {text['action']}", hint=f"choose from: {', '.join(ACTIONS)}")
        key, value = key_of(text["key"])
        since, until = (text[name] and point_in_time(text[name] or "", UTC) for name in ("since", "until"))
        return ChangeFilter(
            table=text["table"], action=text["action"], user=text["user"], since=since or None, until=until or None,
            key=key, key_value=value, request_id=text["request_id"], run=number(text["run"], "run"),
        )  # fmt: skip


def key_of(text: str | None) -> tuple[str | None, str | None]:
    """Return a key as JSON, or the value of a column of it."""
    if text is None:
        return None, None
    try:
        is_object = isinstance(exact.read(text), dict)
    except ValueError:
        is_object = False
    return (text, None) if is_object else (None, text)


def number(text: str | None, what: str) -> int | None:
    """Return the id that stands in an address.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UsageError(f"{text[:50]!r} is not the id of a {what}")
    return int(text)
