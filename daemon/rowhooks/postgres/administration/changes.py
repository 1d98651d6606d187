"""The log of changes: listed, shown, iterated."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

import psycopg

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import NotFound
from rowhooks.postgres.administration.common import LOGS, Connection, Row, fetch, log_of, only
from rowhooks.postgres.administration.reading import read_changes
from rowhooks.postgres.administration.tables import check_known_table
from rowhooks.postgres.log_rows import SQL, in_parts
from rowhooks.postgres.statements import Statements

_SQL = {log: Statements(__file__, {"size": SQL["stored_size"], "log": log}) for log in LOGS}
_LISTED = _SQL[LOGS[0]]
BATCH = 1000
"""The number of changes that are fetched together."""


def list_changes(
    conn: Connection,
    *,
    table: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    before: int | None = None,
    limit: int,
) -> list[Row]:
    """Return the newest changes first, by id: ids are drawn one by one, in the order of the times.

    Args:
        conn: an open connection.
        table: only changes of this table, as `schema.table`.
        action: only this action.
        since: only changes from this time on.
        before: only changes with a lower id.
        limit: the largest number of changes.

    Raises:
        NotFound: no table of that name is or was tracked.
    """
    # Below that id no change is from this time on: the rest of the log is not read.
    first = None if since is None else fetch(conn, "select rowhooks.first_change_since($1) as id", since)[0]["id"]
    rows = fetch(conn, _LISTED["list"], table, action, since, first, before, limit)
    if not rows:
        check_known_table(conn, table)
    return rows


def show_change(conn: Connection, change_id: int) -> Row:
    """Return one change with both rows and the runs that it started.

    Raises:
        NotFound: there is no such change, or it was pruned.
    """
    rows = fetch(conn, _LISTED["show"], change_id)
    change = only(rows, "change", change_id, "see: rowhooks changes list")
    change["runs"] = fetch(conn, _LISTED["runs"], change_id)
    return change


def load_change(conn: Connection, change_id: int) -> tuple[ObjectChange, str | None]:
    """Return one change as receivers get it, and the receiver that wrote it, if any.

    Raises:
        NotFound: there is no such change, or it was pruned.
    """
    rows = fetch(conn, "select c.receiver from rowhooks.visible_changes as c where c.id = $1", change_id)
    found = read_changes(conn, [change_id])
    if not rows or not found:
        raise NotFound(f"there is no change {change_id}", hint="see: rowhooks changes list")
    return found[0], rows[0]["receiver"]


def iterate_changes(
    conn: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    tables: Collection[int] | None = None,
) -> Iterator[ObjectChange]:
    """Yield the changes of a time span that could start hooks, by id. A server-side cursor bounds the memory.

    Args:
        conn: a connection that stays in a transaction until the end.
        since: from this time on.
        until: before this time.
        tables: the ids of tracked tables; None: all.
    """
    log = log_of(conn)
    with psycopg.RawServerCursor(conn, "rowhooks_changes") as cursor:
        cursor.itersize = BATCH
        cursor.execute(_SQL[log]["sizes"], _span(since, until, tables))
        while sizes := cursor.fetchmany(BATCH):
            for part in in_parts(sizes):
                yield from read_changes(conn, part)


def count_changes(
    conn: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    tables: Collection[int] | None = None,
) -> int:
    """Return how many changes `iterate_changes` would yield."""
    return int(fetch(conn, _SQL[log_of(conn)]["count"], *_span(since, until, tables))[0]["changes"])


def _span(since: datetime | None, until: datetime | None, tables: Collection[int] | None) -> tuple[object, ...]:
    return since, until, None if tables is None else sorted(tables)
