"""The log."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from psycopg import sql

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import NotFound
from rowhooks.postgres.administration.common import Connection, Row, conditions, fetch, only
from rowhooks.postgres.administration.reading import read_changes
from rowhooks.postgres.log_rows import SQL, in_parts

BATCH = 1000
"""Changes that the server hands over at once."""

# What the feed leaves out too: truncates have no row, and what hook receivers wrote starts no hook.
_WANTED = """
where c.receiver is null
  and c.action <> 'truncate'
  and (%(since)s::timestamptz is null or c.time >= %(since)s::timestamptz)
  and (%(until)s::timestamptz is null or c.time < %(until)s::timestamptz)
  and (%(tables)s::integer[] is null or c.tracked_table = any (%(tables)s::integer[]))
"""


def list_changes(conn: Connection, *, table: str | None, action: str | None, limit: int) -> list[Row]:
    """Return the newest changes, newest first: their ids are drawn one by one, in the order of their times."""
    query = sql.SQL(
        "select c.id, c.time, c.action, c.object_type, c.object_id, c.object_repr, c.user_name, c.db_user,"
        " c.request_id, c.change_context, c.receiver from rowhooks.changes as c where {} order by c.id desc limit {}"
    ).format(conditions(object_type=("c.object_type", table), action=("c.action", action)), sql.Literal(limit))
    return fetch(conn, query.as_string(conn))


def show_change(conn: Connection, change_id: int) -> Row:
    """Return one change with both rows and the runs it started.

    Raises:
        NotFound: there is none (any more).
    """
    rows = fetch(conn, "select c.* from rowhooks.changes as c where c.id = %s", (change_id,))
    change = only(rows, "change", change_id, "see: rowhooks changes list")
    change["runs"] = fetch(
        conn,
        "select r.id, r.status, r.hook_name, r.class_path from rowhooks.results as r"
        " where r.object_change_id = %s order by r.created_at, r.id",
        (change_id,),
    )
    return change


def load_change(conn: Connection, change_id: int) -> tuple[ObjectChange, str | None]:
    """Return one change as receivers get it, and the receiver that wrote it, if one did.

    Raises:
        NotFound: there is none (any more).
    """
    row = conn.execute("select c.receiver from rowhooks.object_change as c where c.id = %s", (change_id,)).fetchone()
    found = read_changes(conn, [change_id])
    if row is None or not found:
        raise NotFound(f"there is no change {change_id}", hint="see: rowhooks changes list")
    return found[0], row[0]


def iterate_changes(
    conn: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    tables: Collection[int] | None = None,
) -> Iterator[ObjectChange]:
    """Yield the changes of a time span that could start hooks, by id; in bounded memory, over a server-side cursor.

    Args:
        conn: in a transaction, until the last one was taken.
        since: from this time on.
        until: before this time.
        tables: ids of tracked tables; None: all.
    """
    with conn.cursor(name="rowhooks_changes") as cursor:
        cursor.itersize = BATCH
        cursor.execute(
            f"select c.id, {SQL['stored_size']} from rowhooks.object_change as c {_WANTED} order by c.id",  # noqa: S608  (constants)
            _span(since, until, tables),
        )
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
    (counted,) = fetch(
        conn,
        f"select count(*) as changes from rowhooks.object_change as c {_WANTED}",  # noqa: S608  (constants)
        _span(since, until, tables),
    )
    return int(counted["changes"])


def _span(since: datetime | None, until: datetime | None, tables: Collection[int] | None) -> Row:
    return {"since": since, "until": until, "tables": None if tables is None else sorted(tables)}
