"""Runs as the console lists them: filtered, the newest first, page by page and live."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.console.people import unseen_on
from rowhooks.postgres.console.places import Place
from rowhooks.postgres.console.sources import SOURCES
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__, SOURCES)
"""The statements; tests look at their plans."""
PAGE = 30
"""The number of runs on a page."""
LATE = timedelta(seconds=60)
"""How long a transaction may have been open that puts a run on record, for the run to be seen live."""
KINDS = ("hook", "button", "job", "table")
"""What a form offers names of."""
MOST_NAMES = 25
"""How many names of each kind a form offers; those of more than 60 characters are not offered."""


@dataclass(frozen=True)
class RunFilter:
    """Which runs are listed. None, or an empty collection: any.

    Args:
        statuses: any of these.
        job: the class path of the job.
        hook: the name of the hook.
        button: the name of the button.
        table: `schema.table`.
        trigger: `change`, `press` or `replay`.
        since: put on record from this time on.
        until: put on record before this time.
        text: a part of the exception's type or message, in any case.
        user: the role, the login or the user that the application named.
        batch: a press of several rows.
    """

    statuses: tuple[str, ...] = ()
    job: str | None = None
    hook: str | None = None
    button: str | None = None
    table: str | None = None
    trigger: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    user: str | None = None
    batch: int | None = None

    def values(self) -> tuple[Any, ...]:
        """Return the values of the placeholders of the fragment `matches`."""
        return (
            list(self.statuses) or None, self.job, self.hook, self.button, self.table, self.trigger, self.since,
            self.until, self.text, self.user, self.batch,
        )  # fmt: skip


@dataclass(frozen=True)
class Page:
    """A part of a listing, the newest first.

    Args:
        rows: what is on it.
        has_older: whether there is something older.
        has_newer: whether there is something newer, as far as this page knows.
        unseen: what was left out although the person may see it, in sentences.
    """

    rows: list[Row]
    has_older: bool
    has_newer: bool
    unseen: tuple[str, ...] = ()


def list_runs(
    conn: Connection,
    wanted: RunFilter,
    *,
    before: Place | None = None,
    after: Place | None = None,
    limit: int = PAGE,
) -> Page:
    """Return a page of runs, by the time when they were put on record.

    Args:
        conn: a person's connection.
        wanted: which runs.
        before: only older ones than this.
        after: only newer ones than this, those next to it. The newest page where there are too few for a page.
        limit: the number of runs on a page.

    Raises:
        TookTooLong: matching runs are too rare among those looked through.
    """
    newer_than = (after.at, after.id) if after else None
    older_than = (before.at, before.id) if before else (None, None)
    return read_page(conn, SQL, wanted.values(), older_than, newer_than, limit)


def read_page(
    conn: Connection,
    statements: Mapping[str, str],
    values: Sequence[Any],
    before: Sequence[Any],
    after: Sequence[Any] | None,
    limit: int,
) -> Page:
    """Return a page of a listing.

    Args:
        conn: a person's connection.
        statements: `older` and `newer`, which take `values`, a place, and how many lines to return at most.
        values: what is wanted.
        before: only what is older than this place; nulls: the newest page.
        after: only what is newer than this place, next to it; the newest page where that is too little for a page.
        limit: how many lines a page has.

    Raises:
        TookTooLong: what matches is too rare among what was looked through.
    """
    if after is not None:
        rows = fetch(conn, statements["newer"], *values, *after, limit + 1)
        if len(rows) > limit:
            return Page(rows[limit - 1 :: -1], has_older=True, has_newer=True, unseen=unseen_on(conn))
        before = [None] * len(before)
    rows = fetch(conn, statements["older"], *values, *before, limit + 1)
    is_newest = before[0] is None
    return Page(rows[:limit], has_older=len(rows) > limit, has_newer=not is_newest, unseen=unseen_on(conn))


def names_to_choose(conn: Connection) -> dict[str, list[str]]:
    """Return names for a form of filters: of `hook`, `button`, `job` and `table`, at most MOST_NAMES of each."""
    names: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for row in fetch(conn, SQL["names"], MOST_NAMES):
        names[row["kind"]].append(row["name"])
    return names


def news_of_runs(
    conn: Connection, wanted: RunFilter, *, since: datetime, sent: Collection[int], watched: Collection[int], limit: int
) -> list[Row]:
    """Return the runs that have come since a listing was made, and the present state of some in it; the newest first.

    Args:
        conn: a person's connection.
        wanted: which runs may come.
        since: those put on record from this time on are looked at.
        sent: ids of runs that are known.
        watched: ids of known runs whose present state is wanted.
        limit: the largest number of runs.
    """
    return fetch(conn, SQL["news"], *wanted.values(), since, list(sent), list(watched), limit)


def place_of(run: Row) -> Place:
    """Return the place of a run in a listing."""
    return Place(run["created_at"], run["id"])
