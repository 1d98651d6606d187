"""Results and their logs: listed, shown, followed, retried, revoked, pruned."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from psycopg import sql

from rowhooks.domain.errors import NotFound
from rowhooks.postgres.administration.common import Connection, Row, conditions, fetch, only
from rowhooks.postgres.connections.connect import translated_errors


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
    query = sql.SQL(
        "select r.id, r.status, r.trigger, r.original_id, r.class_path, r.hook_name, r.button_name, r.action,"
        " r.object_type, r.object_repr, r.object_change_id, r.db_user, r.user_name, r.created_at, r.started_at,"
        " r.finished_at, r.exception_type, r.exception_message"
        " from rowhooks.results as r where {} and {} order by r.created_at desc, r.id desc limit {}"
    ).format(
        conditions(
            status=("r.status", status),
            hook=("r.hook_name", hook),
            button=("r.button_name", button),
            trigger=("r.trigger", trigger),
            table=("r.object_type", table),
        ),
        _since(since),
        sql.Literal(limit),
    )
    return fetch(conn, query.as_string(conn))


def show_result(conn: Connection, result_id: int) -> Row:
    """Return one result with its log, and the other runs of which it is a retry or which are retries of it.

    Raises:
        NotFound: there is none (any more).
    """
    rows = fetch(conn, "select r.* from rowhooks.results as r where r.id = %s", (result_id,))
    result = only(rows, "result", result_id, "see: rowhooks results list")
    first = result["original_id"] or result_id
    result["history"] = fetch(
        conn,
        "select r.id, r.status, r.created_at from rowhooks.job_result as r"
        " where (r.id = %(first)s or r.original_id = %(first)s) and r.id <> %(id)s"
        " order by r.created_at, r.id",
        {"first": first, "id": result_id},
    )
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
    return fetch(
        conn,
        "select e.id, e.time, e.level, e.grouping, e.message, e.object_type, e.object_repr"
        " from rowhooks.job_log_entry as e"
        " where e.job_result_id = %s and not (e.id = any (%s::bigint[])) order by e.time, e.id",
        (result_id, list(shown)),
    )


def run_state(conn: Connection, result_id: int) -> Row:
    """Return status, attempt, when the next one is due, and what a failed run raised.

    Raises:
        NotFound: it is not on record (any more).
    """
    rows = fetch(
        conn,
        "select r.id, r.status, r.attempt, r.retry_at, r.finished_at, r.result, r.exception_type, r.exception_message,"
        " r.traceback from rowhooks.job_result as r where r.id = %s",
        (result_id,),
    )
    return only(rows, "result", result_id, "see: rowhooks results list")


def retry(conn: Connection, result_id: int) -> int:
    """Have a finished run run again; return the id of the new run.

    Raises:
        DatabaseError: it cannot be: the message says why.
    """
    with conn.transaction(), translated_errors():
        return int(fetch(conn, "select rowhooks.retry(%s) as id", (result_id,))[0]["id"])


def revoke(conn: Connection, result_id: int) -> str:
    """Give up a run that has not finished; return the status it had.

    Raises:
        DatabaseError: it has finished, or is not on record.
    """
    with conn.transaction(), translated_errors():
        return str(fetch(conn, "select rowhooks.revoke(%s) as status", (result_id,))[0]["status"])


def failed_runs(conn: Connection, *, hook: str | None = None, since: datetime | None = None) -> list[int]:
    """Return the ids of the failed runs that were not run again since, oldest first.

    Args:
        conn: an open connection.
        hook: only of this hook.
        since: only runs put on record from then on.

    Raises:
        NotFound: no hook has this name, and no result.
    """
    if hook is not None and not fetch(
        conn,
        "select from rowhooks.job_hook as h where h.name = %(hook)s"
        " union all (select from rowhooks.job_result as r where r.hook_name = %(hook)s limit 1)",
        {"hook": hook},
    ):
        raise NotFound(f"there is no hook {hook}", hint="see: rowhooks hooks list")
    query = sql.SQL(
        "select r.id from rowhooks.job_result as r where r.status = 'FAILURE' and not exists ("
        "select from rowhooks.job_result as n where n.original_id = coalesce(r.original_id, r.id) and n.id > r.id"
        ") and {} and {} order by r.created_at, r.id"
    ).format(conditions(hook=("r.hook_name", hook)), _since(since))
    return [row["id"] for row in fetch(conn, query.as_string(conn))]


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
        row = fetch(
            conn,
            "select p.deleted, p.last_id from rowhooks.prune_results(%s, %s, %s, %s, %s) as p",
            (older_than, batch, after_id, include_failed, dry_run),
        )[0]
        conn.commit()
        after_id = row["last_id"]
        yield row["deleted"], after_id


def _since(since: datetime | None) -> sql.Composable:
    return sql.SQL("true") if since is None else sql.SQL("r.created_at >= {}").format(sql.Literal(since))
