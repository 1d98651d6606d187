"""What the pages of jobs ask of the database."""

from __future__ import annotations

from rowhooks.postgres.administration.common import Connection, Row, fetch, only
from rowhooks.postgres.administration.jobs import JOBS
from rowhooks.postgres.console.origins import RunsOfDay, runs_of_day
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__, {"jobs": JOBS})
PAGE = 50
"""How many jobs a page lists."""
MOST_OFFERED = 200
"""How many jobs are offered as those to which a missing one may be moved."""


def list_jobs(conn: Connection, after: str | None, *, hidden: bool) -> tuple[list[Row], RunsOfDay]:
    """Return the jobs behind a class path, one more than a page has if there are more; and the runs of the last day.

    Args:
        conn: a connection of the person's.
        after: the class path; None: from the first.
        hidden: whether to list hidden ones too.
    """
    return jobs_behind(conn, after, PAGE + 1, hidden=hidden), runs_of_day(conn)


def jobs_behind(conn: Connection, after: str | None, limit: int, *, hidden: bool) -> list[Row]:
    """Return so many jobs by class path, at most, behind a class path; None: from the first."""
    return fetch(conn, _SQL["list"], after, limit, hidden)


def show_job(conn: Connection, class_path: str) -> tuple[Row, RunsOfDay]:
    """Return a job with the names of its hooks and buttons, and the runs of the last day.

    A job that the leader does not have has `others`, too: the class paths of those to which it may be moved.

    Raises:
        NotFound: there is none.
    """
    job = only(fetch(conn, _SQL["find"], class_path), "job", class_path, "see: rowhooks jobs list")
    others = [] if job["installed"] else fetch(conn, _SQL["others"], job["kind"], MOST_OFFERED)
    return {**job, "others": [row["class_path"] for row in others]}, runs_of_day(conn)
