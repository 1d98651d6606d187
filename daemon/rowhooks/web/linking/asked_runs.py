"""The filters of a listing of runs, as they stand in an address or in a form."""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime
from typing import Any

from rowhooks.domain.errors import UsageError
from rowhooks.domain.run import FAILURE, PENDING, RETRY, REVOKED, STARTED, SUCCESS
from rowhooks.domain.times import point_in_time
from rowhooks.postgres.console.runs import RunFilter
from rowhooks.web.linking.asked_changes import number

STATUSES = (PENDING, STARTED, RETRY, SUCCESS, FAILURE, REVOKED)
TRIGGERS = ("change", "press", "replay")
LABELS = {
    "job": "job", "hook": "hook", "button": "button", "table": "table", "trigger": "started by", "since": "since",
    "until": "until", "text": "in the exception", "user": "user", "batch": "press of several rows",
}  # fmt: skip
"""The filters beside `status`, which may be given several times, and what people read for them."""
LONGEST = 200
"""Characters of a filter."""


class AskedRuns:
    """The filters of an address.

    Args:
        given: the query of the address, or the fields of a form.
    """

    def __init__(self, given: Any) -> None:
        self.statuses = [status.upper() for status in given.getlist("status") if status]
        self.texts = {name: str(given.get(name) or "").strip()[:LONGEST] for name in LABELS}

    def query(self, *more: tuple[str, Any]) -> list[tuple[str, Any]]:
        """Return them as the query of an address, with more."""
        return [*(("status", status) for status in self.statuses), *self.texts.items(), *more]

    def or_failed(self) -> AskedRuns:
        """Return the same filters; without a status, those of runs that have failed."""
        other = copy(self)
        other.statuses = self.statuses or [FAILURE]
        return other

    def fixed(self) -> AskedRuns:
        """Return the same filters; times that are given as so long ago are points in time, so that they stay."""
        other, wanted = copy(self), self.filter()
        times = {"since": wanted.since, "until": wanted.until}
        other.texts = {**self.texts, **{name: at.isoformat() for name, at in times.items() if at is not None}}
        return other

    def in_words(self) -> list[tuple[str, str]]:
        """Return the filters that are given, each with what it is called."""
        statuses = [("status", " or ".join(self.statuses))] if self.statuses else []
        return statuses + [(LABELS[name], text) for name, text in self.texts.items() if text]

    def filter(self) -> RunFilter:
        """Return what they ask for.

        Raises:
            UsageError: a filter makes no sense.
        """
        for status in self.statuses:
            if status not in STATUSES:
                raise UsageError(f"there is no status {status}", hint=f"choose from: {', '.join(STATUSES)}")
        text = {name: value or None for name, value in self.texts.items()}
        if text["trigger"] not in (None, *TRIGGERS):
            raise UsageError(f"no run has the trigger {text['trigger']}", hint=f"choose from: {', '.join(TRIGGERS)}")
        return RunFilter(
            statuses=tuple(dict.fromkeys(self.statuses)), job=text["job"], hook=text["hook"], button=text["button"],
            table=text["table"], trigger=text["trigger"], since=_time(text["since"]), until=_time(text["until"]),
            text=text["text"], user=text["user"], batch=number(text["batch"], "press of several rows"),
        )  # fmt: skip


def _time(text: str | None) -> datetime | None:
    return None if text is None else point_in_time(text, UTC)
