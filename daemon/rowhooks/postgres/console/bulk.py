"""Acts on all runs that match filters: which runs that would be, and the acts, some at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rowhooks.domain.errors import ConnectionFailed, DatabaseError, PermissionDenied
from rowhooks.postgres.administration import results
from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.console.places import Place
from rowhooks.postgres.console.runs import SQL as LISTING
from rowhooks.postgres.console.runs import RunFilter
from rowhooks.postgres.console.sources import SOURCES
from rowhooks.postgres.statements import Statements

MOST = 10_000
"""How many runs one act is for."""
SAMPLE = 20
"""How many of them are shown beforehand."""
SQL = Statements(__file__, SOURCES, {"matches": LISTING["matches"], "columns": LISTING["columns"]})
"""The statements; tests look at their plans."""

RETRY, REVOKE = "retry", "revoke"


@dataclass(frozen=True)
class Chosen:
    """What an act on all runs that match would be done to.

    Args:
        ids: the runs, the oldest first.
        statuses: how many of them have which status.
        unfit: how many others match, by the reason why the act is not for them.
        has_more: whether more than MOST runs match; then these are among the newest.
        until: the place of the newest run that was looked at; None: none matches.
        sample: some of the runs, the newest first.
    """

    ids: list[int]
    statuses: dict[str, int]
    unfit: dict[str, int]
    has_more: bool
    until: Place | None
    sample: list[Row]


def choose(
    conn: Connection, act: str, wanted: RunFilter, *, until: Place | None = None, sample: int = SAMPLE
) -> Chosen:
    """Return the runs that an act would be done to.

    Args:
        conn: a person's connection.
        act: RETRY or REVOKE.
        wanted: the filters.
        until: the newest run that may be among them; None: whichever there is.
        sample: how many of them are shown.

    Raises:
        TookTooLong: matching runs are too rare among those looked through.
    """
    at, id_ = (until.at, until.id) if until else (None, None)
    found = fetch(conn, SQL["candidates"], *wanted.values(), at, id_, MOST + 1)
    has_more, found = len(found) > MOST, found[:MOST]
    unfit: Counter[str] = Counter()
    fit = []
    newest = _newest_repeats(conn, found) if act == RETRY else {}
    for run in found:
        reason = _why_unfit(act, run, newest)
        if reason is None:
            fit.append(run)
        else:
            unfit[reason] += 1
    ids = [run["id"] for run in reversed(fit)]
    shown = fetch(conn, SQL["lines"], ids[-sample:]) if sample and ids else []
    return Chosen(
        ids, dict(Counter(run["status"] for run in fit)), dict(unfit), has_more,
        Place(found[0]["created_at"], found[0]["id"]) if found else None, shown,
    )  # fmt: skip


def _newest_repeats(conn: Connection, found: Sequence[Row]) -> dict[int, Place]:
    """Return the newest run of those that repeat each first one."""
    newest: dict[int, Place] = {}
    for row in fetch(conn, SQL["repeats"], sorted({run["first_id"] for run in found})):
        place = Place(row["created_at"], row["id"])
        newest[row["first_id"]] = max(place, newest.get(row["first_id"], place))
    return newest


def _why_unfit(act: str, run: Row, newest: dict[int, Place]) -> str | None:
    if act == REVOKE:
        return "have finished" if run["is_finished"] else None
    if not run["is_finished"]:
        return "have not finished"
    repeat = newest.get(run["first_id"])
    return "were run again since" if repeat and repeat > Place(run["created_at"], run["id"]) else None


def do_some(conn: Connection, act: str, ids: Sequence[int]) -> list[tuple[int, str]]:
    """Do an act to some runs, each by itself; return those that were refused, with the reasons.

    Args:
        conn: a person's connection, in a transaction.
        act: RETRY or REVOKE.
        ids: the runs.

    Raises:
        PermissionDenied: the person may not do it.
        ConnectionFailed: the connection was lost; nothing of these is done.
    """
    do: Callable[[Connection, int], object] = {RETRY: results.retry, REVOKE: results.revoke}[act]
    refused = []
    for run_id in ids:
        try:
            do(conn, run_id)
        except (PermissionDenied, ConnectionFailed):
            raise
        except DatabaseError as error:
            refused.append((run_id, error.message))
    return refused
