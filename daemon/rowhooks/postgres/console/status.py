"""The state of things: what a person may know of it who looks on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.console.sources import SOURCES
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__, SOURCES)
MOST_COUNTED = 100_000
"""How many waiting changes, and waiting runs, are counted."""
MOST_SHOWN = 20_000
"""How many changes, and runs, are counted over time."""
MOST_FAILURES = 20_000
"""How many of the newest runs are counted for failures."""
MOST_ERRORS = 200
"""How many of the newest failures are looked at for their errors."""
MOST_TABLES = 50
"""How many tables with buttons are listed."""


@dataclass(frozen=True)
class Activity:
    """Changes and runs over time.

    Args:
        step: how long a part of the time is.
        begun: when each part began, in order; parts in which nothing came are among them.
        numbers: by what came (`change`, or the status of a run), how many in each part.
        changes_since, runs_since: since when they were counted, where that is less than was asked for.
    """

    step: timedelta
    begun: tuple[datetime, ...]
    numbers: Mapping[str, tuple[int, ...]]
    changes_since: datetime | None = None
    runs_since: datetime | None = None


def read_status(conn: Connection) -> Row:
    """Return the state of rowhooks.

    Raises:
        RowhooksError: rowhooks.feed is empty, which no command of rowhooks causes.
    """
    rows = fetch(conn, _SQL["status"], MOST_COUNTED)
    if not rows:
        raise RowhooksError("rowhooks.feed is empty", hint="insert into rowhooks.feed default values")
    return rows[0]


def read_activity(conn: Connection, span: timedelta, step: timedelta) -> Activity:
    """Return the changes and runs of the last time, in parts.

    Args:
        conn: the person's connection.
        span: how long ago it begins.
        step: how long a part is.
    """
    rows = fetch(conn, _SQL["activity"], span, step, MOST_SHOWN)
    if not rows:
        return Activity(step, (), {})
    first, last = rows[0]["begun"], rows[-1]["begun"]
    begun = tuple(first + step * n for n in range(int((last - first) / step) + 1))
    places = {at: place for place, at in enumerate(begun)}
    numbers: dict[str, list[int]] = {}
    for row in rows:
        numbers.setdefault(row["what"], [0] * len(begun))[places[row["begun"]]] = row["number"]
    return Activity(
        step,
        begun,
        {what: tuple(of) for what, of in numbers.items()},
        changes_since=_cut([row for row in rows if row["what"] == "change"]),
        runs_since=_cut([row for row in rows if row["what"] != "change"]),
    )


def read_failures(conn: Connection) -> Row:
    """Return the failures of the last day among the newest runs, with errors as far as the person may see them.

    Returns:
        `looked_at`, the number of runs; `oldest`, the time of the oldest of them; `jobs`, each with `job`, `failures`,
        `seen` (how many of the newest failures the person sees), `kinds` (how many errors differ among these) and the
        commonest error: `type`, `message`, `runs`, `example` (a run's id).
    """
    return fetch(conn, _SQL["failures"], MOST_FAILURES, MOST_ERRORS)[0]


def tables_with_buttons(conn: Connection) -> list[Row]:
    """Return the tables whose buttons the person sees: `object_type`, `buttons`, and how many it may press."""
    return fetch(conn, _SQL["tables_with_buttons"], MOST_TABLES)


def _cut(rows: list[Row]) -> datetime | None:
    """Return since when something was counted, where there was too much to count it all."""
    counted: int = sum(row["number"] for row in rows)
    oldest: Any = min((row["oldest"] for row in rows), default=None)
    return oldest if counted >= MOST_SHOWN else None
