"""What happened to one row: its changes, the runs that they have started, and the presses of its buttons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.console.sources import SOURCES
from rowhooks.postgres.statements import Statements

LARGEST = 50_000
"""Bytes that a row may take in the log for its differences to be shown."""
SQL = Statements(__file__, SOURCES, {"LARGEST": LARGEST})
"""The statements; tests look at their plans."""
PAGE = 12
"""How many changes are shown at once."""
FIRST_PART, LARGEST_PART = 5_000, 500_000
"""How many changes of the log, of all rows, are looked through at first, and at the most."""
MOST_PRESSES = 8
"""How many presses are shown."""
MOST_RUNS = 60
"""How many runs of the changes are shown, and as many that repeat them."""


@dataclass(frozen=True)
class HistoryPlace:
    """Where a part of a row's history is looked for.

    Args:
        before: only changes with lower ids; None: from the newest on.
        part: how many changes of the log are looked through.
    """

    before: int | None = None
    part: int = FIRST_PART


@dataclass(frozen=True)
class History:
    """A part of the history of a row, the newest first.

    Args:
        changes: its changes.
        runs: what they have started, and what repeats that.
        presses: the newest presses on it; only the newest part has them.
        older: where there may be more; None: the log has nothing before this.
        looked: how many changes of the log were looked through, where more of it was not; 0: there is more of the row
            itself, or nothing older in the log.
        is_too_slow: whether nothing was found out in the time that a page has.
    """

    changes: tuple[Row, ...] = ()
    runs: tuple[Row, ...] = ()
    presses: tuple[Row, ...] = ()
    older: HistoryPlace | None = None
    looked: int = 0
    is_too_slow: bool = False


def read_history(conn: Connection, relation: int, key: str, place: HistoryPlace) -> History:
    """Return a part of the history of a row, by two queries.

    It may be the last question of a transaction: this is of no more use where the history is too slow.

    Args:
        conn: a connection of a person's that may see changes and runs.
        relation: the oid of the row's table; for a partition that of its root.
        key: the row's key as JSON, as the log has it.
        place: where to look.
    """
    part = min(place.part, LARGEST_PART)
    try:
        head, *found = fetch(conn, SQL["changes_of_row"], relation, key, place.before, part, PAGE + 1)
        changes = found[:PAGE]
        is_newest = place.before is None
        ids = [change["id"] for change in changes]
        runs = (
            fetch(conn, SQL["runs_of_row"], ids, relation, key, MOST_PRESSES, is_newest, MOST_RUNS)
            if ids or is_newest
            else []
        )
    except psycopg.errors.QueryCanceled:
        return History(is_too_slow=True)
    older, looked = _older(head, changes, len(found) > PAGE, part)
    return History(
        changes=tuple(changes),
        runs=tuple(run for run in runs if run["trigger"] != "press"),
        presses=tuple(run for run in runs if run["trigger"] == "press"),
        older=older,
        looked=looked,
    )


def _older(head: Row, changes: Sequence[Row], has_more: bool, part: int) -> tuple[HistoryPlace | None, int]:
    if has_more:
        return HistoryPlace(changes[-1]["id"]), 0
    if head["is_indexed"] or head["log_begins"] is None or head["part_begins"] <= head["log_begins"]:
        return None, 0
    # The further back, the larger the steps.
    return HistoryPlace(head["part_begins"], min(part * 5, LARGEST_PART)), part
