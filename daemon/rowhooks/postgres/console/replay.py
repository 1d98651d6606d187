"""Replays in the console: past changes are matched part by part, and runs are requested part by part.

Nothing is kept between two parts but what the page says, so that each request is short and a restart loses nothing. A
part that is asked for twice requests nothing the second time: the runs of a replay are known by its hook and its
beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import psycopg

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobHook
from rowhooks.domain.errors import Conflict
from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.administration.hooks import load_hook
from rowhooks.postgres.administration.replay import ask_for_runs, check_replay, made_up_for, tables_of
from rowhooks.postgres.console.origins import fingerprint_of
from rowhooks.postgres.console.sources import SOURCES
from rowhooks.postgres.log_rows import LARGEST, TOO_LARGE, VISIBLE_COLUMNS, visible_change
from rowhooks.postgres.log_rows import SQL as LOG_ROWS
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__, SOURCES, {"size": LOG_ROWS["stored_size"], "visible_columns": VISIBLE_COLUMNS})
MOST_OFFERED = 500
"""How many hooks and tables a form offers."""
PART = 5000
"""How many changes are looked at in one request."""
WINDOW = 500_000
"""How many ids of the log are searched for them in one request, at first."""
PART_SIZE = 32 * 2**20
"""Bytes of rows after which a part ends, roughly and without compression."""
MARGIN = timedelta(hours=1)
"""How far the server's clock may have been turned for no change to be left out."""
COUNTED = 100_000
"""How many runs of a replay are counted by status."""


@dataclass(frozen=True)
class Wanted:
    """What is to be replayed.

    Args:
        hook: the hook's name.
        table: one of its tables, as PostgreSQL reads names; None: all of them.
        since: from this time on.
        until: before this time.
        begun: the server's time when it was first asked for; its runs are known by it.
        seen: the fingerprint of the hook as it was then.
    """

    hook: str
    table: str | None
    since: datetime
    until: datetime
    begun: datetime
    seen: str


@dataclass(frozen=True)
class Place:
    """How far the changes of a time span have been looked at.

    Args:
        first: no change up to this id belongs to it.
        after: up to this id of the log they have been looked at.
        last: no change behind this id belongs to it.
        window: how many ids are searched at once.
    """

    first: int
    after: int
    last: int
    window: int = WINDOW

    @property
    def is_end(self) -> bool:
        """Whether all have been looked at."""
        return self.after >= self.last

    @property
    def beginning(self) -> Place:
        """The place before all of them."""
        return Place(self.first, self.first, self.last)


@dataclass(frozen=True)
class Part:
    """Changes that are to be looked at next.

    Args:
        hook: the hook, as the daemon matches it.
        changes: the changes, by id.
        place: where the part behind them begins.
    """

    hook: JobHook
    changes: tuple[ObjectChange, ...]
    place: Place


@dataclass(frozen=True)
class Requested:
    """What a request for runs has done.

    Args:
        asked: how many runs it has requested.
        known: how many of the changes had runs requested since the replay's beginning.
    """

    asked: int
    known: int


def choices(conn: Connection) -> Row:
    """Return what the form offers: `hooks` (name, job) and `tables` (quoted, name), at most MOST_OFFERED of each."""
    return fetch(conn, _SQL["hooks"], MOST_OFFERED)[0]


def begin(
    conn: Connection, hook: str, table: str | None, since: datetime, until: datetime | None
) -> tuple[Wanted, Part]:
    """Return what is to be replayed, and its first part.

    Args:
        conn: the person's connection.
        hook: the hook's name.
        table: one of its tables, as PostgreSQL reads names; None: all of them.
        since: from this time on.
        until: before this time; None: until now.

    Raises:
        NotFound: there is no such hook or table.
        Conflict: its job is disabled or not installed, or it is not on the table.
    """
    found = load_hook(conn, hook)
    check_replay(found)
    tables = tables_of(conn, found, table)
    [where] = fetch(conn, _SQL["place"], since, until, MARGIN)
    wanted = Wanted(hook, table, since, until or where["now"], where["now"], fingerprint(found))
    first = where["first_id"] - 1
    place = Place(first, first, where["last_id"])
    try:
        with conn.transaction():
            return wanted, _part(conn, found, wanted, place, tables)
    except psycopg.errors.QueryCanceled:
        # Row security may take a long time for each row: the next part is a smaller one.
        return wanted, Part(found, (), replace(place, window=WINDOW // 100))


def next_part(conn: Connection, wanted: Wanted, place: Place) -> Part:
    """Return the part behind a place; errors as in `begin`.

    Raises:
        Conflict: the hook was changed meanwhile.
    """
    found = load_hook(conn, wanted.hook)
    check_replay(found)
    if fingerprint(found) != wanted.seen:
        raise Conflict(f"hook {wanted.hook} was changed meanwhile", hint="begin again with a dry run")
    return _part(conn, found, wanted, place, tables_of(conn, found, wanted.table))


def request_part(
    conn: Connection, wanted: Wanted, place: Place, match: Callable[[Part], tuple[Sequence[int], Place]]
) -> tuple[Part, Requested, Place]:
    """Request runs for the changes of the part behind a place that match, unless they have been requested already.

    Args:
        conn: the person's connection, in a transaction that is to be committed.
        wanted: what is replayed.
        place: where the part begins.
        match: returns the ids of the matching changes of a part, and the place behind the last that was looked at.

    Raises:
        Conflict: the hook was changed meanwhile, or its job is disabled or not installed.
        PermissionDenied: the person may not replay.
    """
    fetch(conn, _SQL["lock"], f"rowhooks replay {wanted.begun.isoformat()} {wanted.hook}")
    part = next_part(conn, wanted, place)
    matching, behind = match(part)
    known = {row["id"] for row in fetch(conn, _SQL["requested"], part.hook.id, list(matching), wanted.begun)}
    asked = ask_for_runs(conn, part.hook, [id_ for id_ in matching if id_ not in known], lambda _: None)
    if behind.is_end and wanted.table is None and fetch(conn, _SQL["sees_all"])[0]["is_so"]:
        # Who does not see all changes has not made up for all of them.
        made_up_for(conn, part.hook, since=wanted.since, until=wanted.until)
    return part, Requested(asked, len(known)), behind


def states_of(conn: Connection, hook: str, begun: datetime) -> tuple[dict[str, int], bool]:
    """Return the runs of a replay by status, and whether these are all of them.

    Args:
        conn: the person's connection.
        hook: the hook's name.
        begun: the beginning of the replay.

    Raises:
        NotFound: there is no such hook.
    """
    found = load_hook(conn, hook)
    [row] = fetch(conn, _SQL["states"], found.id, begun, COUNTED)
    return row["states"], row["looked_at"] < COUNTED


def fingerprint(hook: JobHook) -> str:
    """Return a text that is another one when the hook, or its job, is another one."""
    names = {str(table): dict(sorted(of.items())) for table, of in sorted(hook.names.items())}
    said = [
        hook.id, hook.job.id, hook.job.class_path, sorted(hook.tables), sorted(hook.actions), sorted(hook.columns),
        sorted(hook.ignored_columns), hook.conditions_json, hook.on_undecided, names,
    ]  # fmt: skip
    return fingerprint_of(said)


def _part(conn: Connection, hook: JobHook, wanted: Wanted, place: Place, tables: frozenset[int]) -> Part:
    end = min(place.after + place.window, place.last)
    rows = fetch(
        conn, _SQL["part"], place.after, end, sorted(tables), wanted.since, wanted.until, PART, PART_SIZE, LARGEST
    )
    changes = tuple(_change(row) for row in rows)
    # The last of them is not the last of the window where the rows were too large, or too many.
    is_cut = len(rows) == PART or (bool(rows) and rows[-1]["has_more"])
    behind = changes[-1].id if is_cut else end
    return Part(hook, changes, replace(place, after=behind))


def _change(row: Row) -> ObjectChange:
    if row["is_too_large"]:
        row = {**row, "capture_error": "; ".join(filter(None, (TOO_LARGE, row["capture_error"])))}
    return visible_change(row)
