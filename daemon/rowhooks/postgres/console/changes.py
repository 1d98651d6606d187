"""Changes as the console lists them: filtered, the newest first, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rowhooks.postgres.administration.common import Connection, fetch, only
from rowhooks.postgres.console.runs import MOST_NAMES, Page, read_page
from rowhooks.postgres.console.sources import GONE, SOURCES
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__, SOURCES)
"""The statements; tests look at their plans."""
PAGE = 40
"""The number of changes on a page."""
SLACK = timedelta(minutes=1)
"""How far the times of changes may be out of the order of their ids."""
HIGHEST = 2**63 - 1


@dataclass(frozen=True)
class ChangeFilter:
    """Which changes are listed. None: any.

    Args:
        table: `schema.table`.
        action: `create`, `update`, `delete` or `truncate`.
        user: the login, or the user that the application named.
        since: made from this time on.
        until: made before this time.
        key: the row's key, as JSON: columns to values.
        key_value: the value of a column of the key, as text.
        request_id: the request that the application named; a receiver's is its run's key.
        run: the run that wrote them.
    """

    table: str | None = None
    action: str | None = None
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    key: str | None = None
    key_value: str | None = None
    request_id: str | None = None
    run: int | None = None


def list_changes(
    conn: Connection,
    wanted: ChangeFilter,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int = PAGE,
) -> tuple[Page, list[str]]:
    """Return a page of changes by their ids, and names of tables to choose from.

    Args:
        conn: a person's connection.
        wanted: which changes.
        before: only lower ids than this.
        after: only higher ids than this, those next to it. The newest page where there are too few for a page.
        limit: the number of changes on a page.

    Raises:
        NotFound: there is no such run.
        TookTooLong: matching changes are too rare among those looked through.
    """
    tables = fetch(conn, SQL["tables"], wanted.table, MOST_NAMES)
    names = list(dict.fromkeys(row["name"] for row in tables if not row["is_wanted"]))
    values = _values(conn, wanted, [row["id"] for row in tables if row["is_wanted"]])
    return read_page(conn, SQL, values, [before], None if after is None else [after], limit), names


def _values(conn: Connection, wanted: ChangeFilter, tables: list[int]) -> tuple[Any, ...]:
    """Return the values of the placeholders of the fragment `matches`."""
    request_id, transaction = wanted.request_id, None
    if wanted.run is not None:
        found = fetch(conn, SQL["run"], wanted.run)
        run = only(found, "run", wanted.run, GONE)
        request_id, transaction = run["key"], run["transaction_id"]
    return (
        None if wanted.table is None else tables, wanted.action, wanted.user, wanted.since, wanted.until, wanted.key,
        wanted.key_value, request_id, transaction, _ids(conn, wanted),
    )  # fmt: skip


def _ids(conn: Connection, wanted: ChangeFilter) -> list[int] | None:
    """Return between which ids the changes of a time span are, with some more; None where any may be."""
    if wanted.run is not None or (wanted.since is None and wanted.until is None):
        return None
    times = [wanted.since and wanted.since - SLACK, wanted.until and wanted.until + SLACK]
    found = [row["id"] for row in fetch(conn, SQL["boundaries"], [at for at in times if at is not None])]
    lowest = found.pop(0) + 1 if wanted.since else 0
    return [lowest, found.pop(0) + 1 if wanted.until else HIGHEST]
