"""Results and their logs: listed, shown, followed, retried, revoked, pruned; and presses of several rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from rowhooks.domain.errors import NotFound
from rowhooks.domain.likeness import hinted
from rowhooks.postgres.administration.common import Connection, Row, act, fetch, only
from rowhooks.postgres.administration.jobs import find_job
from rowhooks.postgres.administration.tables import check_known_table
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)
RUN = _SQL["run"]
"""What is known of a run, `r`, but for long values."""


def list_results(
    conn: Connection,
    *,
    status: str | None = None,
    hook: str | None = None,
    button: str | None = None,
    trigger: str | None = None,
    table: str | None = None,
    since: datetime | None = None,
    batch: int | None = None,
    job: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[Row]:
    """Return the newest results first, by the time of their creation: ids come from different blocks.

    Args:
        conn: an open connection.
        status: only this status.
        hook: only runs of the hook with this name.
        button: only runs of the button with this name.
        trigger: only `change`, `press` or `replay`.
        table: only runs for this table, as `schema.table`.
        since: only results created from this time on.
        batch: only the runs of this press of several rows.
        job: only runs of this job, as `known_job` understands it.
        before: only results older than this one.
        limit: the largest number of results.

    Raises:
        NotFound: there is no such job, hook, button or table, and no result of one; or no result `before`.
        Conflict: several jobs have that name.
    """
    path = None if job is None else known_job(conn, job)
    place = None
    if before is not None:
        place = only(fetch(conn, _SQL["place"], before), "result", before, "see: rowhooks results list")["created_at"]
    rows = fetch(
        conn, _SQL["list"], status, hook, button, trigger, table, since, batch, path, place, before, limit
    )  # fmt: skip
    if not rows:
        # A name that nothing has is no answer.
        _check_origins(conn, hook, button)
        check_known_table(conn, table)
    return rows


def _check_origins(conn: Connection, hook: str | None, button: str | None) -> None:
    for kind, name, is_known, all_names in (
        ("hook", hook, _SQL["is_known_hook"], _SQL["hooks"]),
        ("button", button, _SQL["is_known_button"], _SQL["buttons"]),
    ):
        if name is not None and not fetch(conn, is_known, name):
            names = [row["name"] for row in fetch(conn, all_names)]
            hint = hinted(name, names, f"see: rowhooks {kind}s list")
            raise NotFound(f"there is no {kind} {name}", hint=hint)


def known_job(conn: Connection, name: str) -> str:
    """Return the class path of a job that exists, or of which there are results.

    Raises:
        NotFound: there is neither.
        Conflict: several jobs have that name.
    """
    try:
        return str(find_job(conn, name)["class_path"])
    except NotFound:
        if not fetch(conn, _SQL["is_known_job"], name):
            raise
        return name


def show_result(conn: Connection, result_id: int) -> Row:
    """Return one result with its log, the run that it repeats, and the runs that repeat it.

    Raises:
        NotFound: there is no such result, or it was pruned.
    """
    rows = fetch(conn, _SQL["show"], result_id)
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
        shown: the ids of lines to leave out. A line may become visible after lines with higher ids, so the highest
            id does not tell which lines were shown.
    """
    return fetch(conn, _SQL["log_lines"], result_id, list(shown))


def run_state(conn: Connection, result_id: int) -> Row:
    """Return the state of a run: status, attempt, the time of the next one, and the exception of a failure.

    Raises:
        NotFound: there is no such run, or it was pruned.
    """
    rows = fetch(conn, _SQL["state"], result_id)
    return only(rows, "result", result_id, "see: rowhooks results list")


def retry(conn: Connection, result_id: int) -> int:
    """Ask for another run of a finished one; return the id of the new run.

    Raises:
        DatabaseError: the database refuses; the message says why.
    """
    with conn.transaction():
        return int(act(conn, "select rowhooks.retry($1) as id", result_id))


def revoke(conn: Connection, result_id: int) -> str:
    """Revoke a run that has not finished; return the status that it had.

    Raises:
        DatabaseError: it has finished, or there is no such run.
    """
    with conn.transaction():
        return str(act(conn, "select rowhooks.revoke($1) as status", result_id))


def failed_runs(
    conn: Connection, *, hook: str | None = None, job: str | None = None, since: datetime | None = None
) -> list[int]:
    """Return the ids of the failed runs that were not retried since, oldest first.

    Args:
        conn: an open connection.
        hook: only runs of this hook.
        job: only runs of this job, as `known_job` understands it.
        since: only results created from this time on.

    Raises:
        NotFound: neither a hook, or a job, nor a result has this name.
        Conflict: several jobs have that name.
    """
    _check_origins(conn, hook, None)
    path = None if job is None else known_job(conn, job)
    return [row["id"] for row in fetch(conn, _SQL["failed"], hook, since, path)]


def highest_id(conn: Connection) -> int:
    """Return the highest id of a result; 0 if there is none."""
    return int(fetch(conn, "select coalesce(max(r.id), 0) as id from rowhooks.job_result as r")[0]["id"])


def prune(
    conn: Connection, older_than: timedelta, *, include_failed: bool, dry_run: bool, batch: int = 5000
) -> Iterator[tuple[int, int | None]]:
    """Delete old results batch by batch; each batch is committed.

    Args:
        conn: an open connection.
        older_than: the time since the end of a run.
        include_failed: whether to delete failures too.
        dry_run: whether to delete nothing.
        batch: the number of rows between two commits.

    Yields:
        How many were (or would be) deleted, and the id reached in the table; None at its end.
    """
    after_id: int | None = 0
    while after_id is not None:
        statement = "select p.deleted, p.last_id from rowhooks.prune_results($1, $2, $3, $4, $5) as p"
        [row] = fetch(conn, statement, older_than, batch, after_id, include_failed, dry_run)
        conn.commit()
        after_id = row["last_id"]
        yield row["deleted"], after_id


def find_batch(conn: Connection, batch_id: int) -> Row | None:
    """Return a press of several rows, with the states of its runs; None where there is none with this id."""
    found = fetch(conn, _SQL["batch"], batch_id)
    return found[0] if found else None


def batch_state(conn: Connection, batch_id: int) -> Row:
    """Return a press of several rows, with the states of its runs.

    Raises:
        NotFound: there is no such press, or its runs were pruned.
    """
    batch = find_batch(conn, batch_id)
    if batch is None:
        raise NotFound(f"there is no batch {batch_id}", hint="see: rowhooks results list")
    return batch
