"""Replays on pages: what is known of one between two requests, as fields of a form; and what matches. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from rowhooks.domain import exact
from rowhooks.domain.change import ObjectChange
from rowhooks.domain.display import visible
from rowhooks.domain.errors import UsageError
from rowhooks.pipeline.rules import Rule
from rowhooks.postgres.console.replay import WINDOW, Part, Place, Wanted

SHOWN = 10
"""How many of the matching changes are shown."""
PATIENCE = 2.5
"""Seconds after which a part ends: regular expressions may be slow."""
SMALLEST_WINDOW = 500
"""Ids of the log that are searched at once at least."""
_BEGIN_AGAIN = "begin again with a dry run"
_MOST = 2**62


@dataclass(frozen=True)
class Sample:
    """A change that matches, as a page shows it."""

    id: int
    time: str
    action: str
    table: str
    row: str

    @classmethod
    def of(cls, change: ObjectChange) -> Sample:
        """Return what is shown of a change."""
        table, row = visible(change.changed_object_type, 100), visible(change.object_repr, 100)
        return cls(change.id, change.time.isoformat(), change.action, table, row)


@dataclass(frozen=True)
class Progress:
    """How far a replay has come.

    Args:
        wanted: what is replayed.
        place: how far the log was looked at.
        looked_at: how many changes were looked at.
        matching: how many of them match.
        asked: how many runs were requested.
        known: for how many changes runs had been requested since its beginning.
        at: the time of the last change that was looked at; None: of none.
        samples: the first that match.
    """

    wanted: Wanted
    place: Place
    looked_at: int = 0
    matching: int = 0
    asked: int = 0
    known: int = 0
    at: datetime | None = None
    samples: tuple[Sample, ...] = ()

    @property
    def percent(self) -> int:
        """How much of the time span was looked at, from 0 to 100."""
        if self.place.is_end:
            return 100
        whole = (self.wanted.until - self.wanted.since).total_seconds()
        done = ((self.at or self.wanted.since) - self.wanted.since).total_seconds()
        return max(0, min(99, int(100 * done / whole))) if whole > 0 else 0

    def smaller(self) -> Progress | None:
        """Return the same with a smaller window; None where it is the smallest."""
        window = self.place.window // 10
        return replace(self, place=replace(self.place, window=window)) if window >= SMALLEST_WINDOW else None

    def from_the_beginning(self) -> Progress:
        """Return the same before anything was looked at."""
        return Progress(self.wanted, self.place.beginning)

    def fields(self) -> dict[str, str]:
        """Return it as hidden fields of a form."""
        wanted, place = self.wanted, self.place
        return {
            "hook": wanted.hook,
            "table": wanted.table or "",
            "since": wanted.since.isoformat(),
            "until": wanted.until.isoformat(),
            "begun": wanted.begun.isoformat(),
            "seen": wanted.seen,
            "first": str(place.first),
            "after": str(place.after),
            "last": str(place.last),
            "window": str(place.window),
            "looked_at": str(self.looked_at),
            "matching": str(self.matching),
            "asked": str(self.asked),
            "known": str(self.known),
            "at": self.at.isoformat() if self.at else "",
            "samples": exact.write([list(vars(one).values()) for one in self.samples]),
        }

    @classmethod
    def sent(cls, given: Mapping[str, object]) -> Progress:
        """Return what a form has sent.

        Raises:
            UsageError: it was not sent by such a form.
        """
        try:
            texts = {name: value for name, value in given.items() if isinstance(value, str)}
            return cls._read(texts)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError("this form was altered", hint=_BEGIN_AGAIN) from error

    @classmethod
    def _read(cls, texts: Mapping[str, str]) -> Progress:
        wanted = Wanted(
            texts["hook"], texts["table"] or None, _time(texts["since"]), _time(texts["until"]), _time(texts["begun"]),
            texts["seen"],
        )  # fmt: skip
        window = min(max(_number(texts["window"]), SMALLEST_WINDOW), WINDOW)
        return cls(
            wanted,
            Place(_number(texts["first"]), _number(texts["after"]), _number(texts["last"]), window),
            looked_at=_number(texts["looked_at"]),
            matching=_number(texts["matching"]),
            asked=_number(texts["asked"]),
            known=_number(texts["known"]),
            at=_time(texts["at"]) if texts["at"] else None,
            samples=tuple(_sample(*one) for one in exact.read(texts["samples"])[:SHOWN]),
        )


@dataclass(frozen=True)
class Matched:
    """What of a part matches.

    Args:
        ids: the ids of the changes that match.
        place: the place behind the last that was looked at.
        looked_at: how many were looked at.
        at: the time of the last of them; None: there was none.
        samples: the first that match.
    """

    ids: tuple[int, ...]
    place: Place
    looked_at: int
    at: datetime | None
    samples: tuple[Sample, ...]


def match(part: Part, clock: Callable[[], float] = time.monotonic) -> Matched:
    """Match the changes of a part by the pipeline's own rule, whether the hook was enabled then or not.

    Args:
        part: the changes.
        clock: returns the time in seconds.

    Raises:
        ConditionsError: the hook's conditions are malformed.
    """
    rule = Rule(part.hook)
    until = clock() + PATIENCE
    found: list[ObjectChange] = []
    looked_at, last = 0, None
    for change in part.changes:
        if looked_at and clock() > until:
            break
        looked_at, last = looked_at + 1, change
        if rule.why_not(change, replaying=True) is None:
            found.append(change)
        change.forget()
    is_whole = looked_at == len(part.changes)
    place = part.place if is_whole or last is None else replace(part.place, after=last.id)
    samples = tuple(Sample.of(change) for change in found[:SHOWN])
    return Matched(tuple(change.id for change in found), place, looked_at, last.time if last else None, samples)


def advanced(progress: Progress, matched: Matched, *, asked: int = 0, known: int = 0) -> Progress:
    """Return how far a replay has come with one more part."""
    return replace(
        progress,
        place=matched.place,
        looked_at=progress.looked_at + matched.looked_at,
        matching=progress.matching + len(matched.ids),
        asked=progress.asked + asked,
        known=progress.known + known,
        at=matched.at or progress.at,
        samples=(*progress.samples, *matched.samples)[:SHOWN],
    )


def _number(text: str) -> int:
    number = int(text[:20])
    if not -1 <= number <= _MOST:
        raise ValueError(text)
    return number


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


def _sample(id_: object, at: object, action: object, table: object, row: object) -> Sample:
    return Sample(int(str(id_)), _time(str(at)).isoformat(), str(action)[:20], str(table)[:200], str(row)[:200])
