"""One run as the console shows it: its outcome, its log, what it wrote, its repeats; and the acts on it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rowhooks.domain.errors import DatabaseError
from rowhooks.postgres.administration import results
from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.console.places import Place
from rowhooks.postgres.console.sources import GONE, SOURCES
from rowhooks.postgres.statements import Statements

LARGEST = 100_000
"""Bytes of a value, and characters of a text, that are fetched for a page."""
LONGEST_MESSAGE = 2000
"""Characters of a log line that are shown."""
SQL = Statements(
    __file__, SOURCES, {"LARGEST": LARGEST, "LONGEST_MESSAGE": LONGEST_MESSAGE, "run_columns": results.RUN}
)
"""The statements; tests look at their plans."""
MOST_REPEATS = 20
"""How many other runs of a run's history are shown."""


@dataclass(frozen=True)
class ShownRun:
    """A run and what belongs to it.

    Args:
        run: the run.
        history: the run that it repeats, and others that repeat the same; the newest first.
        lines: a part of its log.
        written: the last changes that its last transaction has made, in their order.
        has_more_lines: whether there is more of the log behind this part.
        has_more_written: whether the transaction has made earlier changes.
    """

    run: Row
    history: list[Row]
    lines: list[Row]
    written: list[Row]
    has_more_lines: bool
    has_more_written: bool


def show_run(conn: Connection, run_id: int, *, behind: Place | None, lines: int, changes: int) -> ShownRun:
    """Return a run with its history, a part of its log and what it wrote.

    Args:
        conn: a person's connection.
        run_id: the run.
        behind: where the part of the log begins; None: at the beginning.
        lines: how many lines of the log.
        changes: how many changes.

    Raises:
        NotFound: there is no such run, or the person may not see it.
    """
    run = only(fetch(conn, SQL["run"], run_id), "run", run_id, GONE)
    history = fetch(conn, SQL["history"], run["original_id"] or run_id, run_id, MOST_REPEATS)
    log, has_more_lines = _lines(conn, run_id, behind, lines)
    times = run["started_at"] or run["created_at"], run["finished_at"]
    is_hook = run["trigger"] != "press"
    written = fetch(conn, SQL["written"], run["transaction_id"], run["key"], is_hook, *times, changes + 1)
    return ShownRun(run, history, log, written[:changes][::-1], has_more_lines, len(written) > changes)


def log_of_run(conn: Connection, run_id: int, *, behind: Place | None, lines: int) -> tuple[list[Row], bool]:
    """Return a part of the log of a run, and whether there is more behind it.

    Args:
        conn: a person's connection.
        run_id: the run.
        behind: where the part begins; None: at the beginning.
        lines: how many lines.

    Raises:
        NotFound: there is no such run, or the person may not see it.
    """
    state_of_run(conn, run_id)
    return _lines(conn, run_id, behind, lines)


def state_of_run(conn: Connection, run_id: int) -> Row:
    """Return how a run stands.

    Raises:
        NotFound: there is no such run, or the person may not see it.
    """
    return only(fetch(conn, SQL["state"], run_id), "run", run_id, GONE)


def _lines(conn: Connection, run_id: int, behind: Place | None, lines: int) -> tuple[list[Row], bool]:
    at, id_ = (behind.at, behind.id) if behind else (None, None)
    found = fetch(conn, SQL["log_lines"], run_id, at, id_, lines + 1)
    return found[:lines], len(found) > lines


def known_lines(conn: Connection, run_id: int, highest: int, count: int) -> set[int]:
    """Return the lines that a follower has which has got so many up to this id; none where that is not certain.

    A line may have become visible after others with higher ids. Then the follower gets all of them again.
    """
    found = fetch(conn, SQL["lines_up_to"], run_id, highest, count + 1)
    return {row["id"] for row in found} if len(found) == count else set()


def news_of_run(conn: Connection, run_id: int, known: Collection[int], limit: int) -> tuple[Row, list[Row]]:
    """Return how a run stands, and lines of its log that are not known.

    Args:
        conn: a person's connection.
        run_id: the run.
        known: the ids of the lines that are known.
        limit: the largest number of lines. Where fewer are returned for a run that has ended, there will be no more.

    Raises:
        NotFound: there is no such run any more, or the person may not see it any more.
    """
    # The state is read first: then all lines written before the end of the run are visible.
    state = state_of_run(conn, run_id)
    return state, fetch(conn, SQL["new_lines"], run_id, list(known), limit) if limit else []


def retry_once(conn: Connection, run_id: int, seen: int) -> int:
    """Ask for another run of a finished one; return its id. If it was repeated meanwhile, return that repeat.

    Args:
        conn: a person's connection.
        run_id: the run.
        seen: how many repeats the person knew of.

    Raises:
        NotFound: there is no such run, or the person may not see it.
        DatabaseError: the database refuses; the message says why.
    """
    first = only(fetch(conn, SQL["first"], run_id), "run", run_id, GONE)["id"]
    if (newest := _newest_repeat(conn, first, seen)) is not None:
        return newest
    try:
        return results.retry(conn, run_id)
    except DatabaseError:
        if (newest := _newest_repeat(conn, first, seen)) is not None:
            return newest
        raise


def _newest_repeat(conn: Connection, first: int, seen: int) -> int | None:
    repeats = fetch(conn, SQL["repeats"], first)
    return int(repeats[0]["id"]) if len(repeats) > seen else None
