"""Results and their logs: listed, shown, followed, retried, revoked, pruned."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from rowhooks.domain.errors import NotFound
from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.connections.connect import translated_errors
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)


def list_results(
    conn: Connection,
    *,
    status: str | None = None,
    hook: str | None = None,
    button: str | None = None,
    trigger: str | None = None,
    table: str | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[Row]:
    """Return the newest results, newest first: by when they were put on record, for ids come from different blocks.

    Args:
        conn: an open connection.
        status: only of this status.
        hook: only of the hook of this name.
        button: only of the button of this name.
        trigger: only `change`, `press` or `replay`.
        table: only of this table, as `schema.table`.
        since: only runs put on record from then on.
        limit: how many at the most.
    """
    return fetch(conn, _SQL["list"], status, hook, button, trigger, table, since, limit)


def show_result(conn: Connection, result_id: int) -> Row:
    """Return one result with its log, and the other runs of which it is a retry or which are retries of it.

    Raises:
        NotFound: there is none (any more).
    """
    rows = fetch(conn, "select r.* from rowhooks.results as r where r.id = $1", result_id)
    result = only(rows, "result", result_id, "see: rowhooks results list")
    first = result["original_id"] or result_id
    result["history"] = fetch(conn, _SQL["history"], first, result_id)
    result["log"] = log_lines(conn, result_id)
    return result


def log_lines(conn: Connection, result_id: int, shown: Collection[int] = ()) -> list[Row]:
    """Return the log lines of a run in the order of their times.

    Args:
        conn: an open connection.
        result_id: the run.
        shown: ids of lines that are left out. A line may become visible after others with higher ids, so that the
            highest one does not tell which lines there were.
    """
    return fetch(conn, _SQL["log_lines"], result_id, list(shown))


def run_state(conn: Connection, result_id: int) -> Row:
    """Return status, attempt, when the next one is due, and what a failed run raised.

    Raises:
        NotFound: it is not on record (any more).
    """
    rows = fetch(conn, _SQL["state"], result_id)
    return only(rows, "result", result_id, "see: rowhooks results list")


def retry(conn: Connection, result_id: int) -> int:
    """Have a finished run run again; return the id of the new run.

    Raises:
        DatabaseError: it cannot be: the message says why.
    """
    with conn.transaction(), translated_errors():
        return int(fetch(conn, "select rowhooks.retry($1) as id", result_id)[0]["id"])


def revoke(conn: Connection, result_id: int) -> str:
    """Give up a run that has not finished; return the status it had.

    Raises:
        DatabaseError: it has finished, or is not on record.
    """
    with conn.transaction(), translated_errors():
        return str(fetch(conn, "select rowhooks.revoke($1) as status", result_id)[0]["status"])


def failed_runs(conn: Connection, *, hook: str | None = None, since: datetime | None = None) -> list[int]:
    """Return the ids of the failed runs that were not run again since, oldest first.

    Args:
        conn: an open connection.
        hook: only of this hook.
        since: only runs put on record from then on.

    Raises:
        NotFound: no hook has this name, and no result.
    """
    if hook is not None and not fetch(conn, _SQL["is_known_hook"], hook):
        raise NotFound(f"there is no hook {hook}", hint="see: rowhooks hooks list")
    return [row["id"] for row in fetch(conn, _SQL["failed"], hook, since)]


def highest_id(conn: Connection) -> int:
    """Return the highest id of a result; 0 where there is none."""
    return int(fetch(conn, "select coalesce(max(r.id), 0) as id from rowhooks.job_result as r")[0]["id"])


def prune(
    conn: Connection, older_than: timedelta, *, include_failed: bool, dry_run: bool, batch: int = 5000
) -> Iterator[tuple[int, int | None]]:
    """Delete old results batch by batch, each committed by itself.

    Args:
        conn: an open connection.
        older_than: how long ago a run must have finished.
        include_failed: failures too.
        dry_run: delete nothing.
        batch: how many rows to look at between two commits.

    Yields:
        How many were (or would be) deleted, and up to which id the table has been looked at; None at its end.
    """
    after_id: int | None = 0
    while after_id is not None:
        statement = "select p.deleted, p.last_id from rowhooks.prune_results($1, $2, $3, $4, $5) as p"
        [row] = fetch(conn, statement, older_than, batch, after_id, include_failed, dry_run)
        conn.commit()
        after_id = row["last_id"]
        yield row["deleted"], after_id
