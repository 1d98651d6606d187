"""Jobs: the receiver classes that the daemon has found."""

from __future__ import annotations

from rowhooks.domain.errors import Conflict
from rowhooks.postgres.administration.common import Connection, Row, fetch, only

_JOBS = """
select j.id, j.class_path, j.kind, j.name, j.grouping, j.description, j.hidden, j.enabled, j.installed, j.meta,
  (select count(*) from rowhooks.job_hook as h where h.job_id = j.id) as hooks,
  (select count(*) from rowhooks.job_button as b where b.job_id = j.id) as buttons
from rowhooks.job as j
"""


def list_jobs(conn: Connection, *, hidden: bool = False) -> list[Row]:
    """Return the jobs the daemon has found; the hidden ones too, if asked."""
    return fetch(conn, f"{_JOBS} where not j.hidden or %s order by j.class_path", (hidden,))


def find_job(conn: Connection, name: str) -> Row:
    """Return a job by its class path, its name or its class's name.

    Raises:
        NotFound: there is none.
        Conflict: several have that name.
    """
    exact = fetch(conn, f"{_JOBS} where j.class_path = %s", (name,))
    rows = exact or fetch(
        conn, f"{_JOBS} where j.name = %(name)s or substring(j.class_path from '[^.]*$') = %(name)s", {"name": name}
    )
    return only(
        rows, "job", name, "see: rowhooks jobs list; a job is known once `rowhooks run` has started with its module"
    )


def show_job(conn: Connection, name: str) -> Row:
    """Return a job with the names of its hooks and buttons; errors as in `find_job`."""
    job = find_job(conn, name)
    hooks = fetch(conn, "select h.name from rowhooks.job_hook as h where h.job_id = %s order by 1", (job["id"],))
    buttons = fetch(conn, "select b.name from rowhooks.job_button as b where b.job_id = %s order by 1", (job["id"],))
    return {**job, "hooks": [row["name"] for row in hooks], "buttons": [row["name"] for row in buttons]}


def set_job_enabled(conn: Connection, name: str, *, enabled: bool) -> Row:
    """Enable or disable a job; return it.

    Raises:
        Conflict: it is not installed.
    """
    job = find_job(conn, name)
    if enabled and not job["installed"]:
        raise Conflict(
            f"job {job['class_path']} is not installed", hint="add its module to rowhooks.toml and restart the daemon"
        )
    conn.execute("update rowhooks.job set enabled = %s where id = %s", (enabled, job["id"]))
    return {**job, "enabled": enabled}
