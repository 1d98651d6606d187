"""Jobs: the receiver classes that the daemon has found."""

from __future__ import annotations

from rowhooks.domain import shell
from rowhooks.domain.errors import Conflict
from rowhooks.postgres.administration.common import Connection, Row, act, fetch, only
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)
JOBS = _SQL["jobs"]
"""The query of the jobs."""


def list_jobs(conn: Connection, *, hidden: bool = False) -> list[Row]:
    """Return the jobs that the daemon has found, with the hidden ones if `hidden`."""
    return fetch(conn, _SQL["list"], hidden)


def find_job(conn: Connection, name: str) -> Row:
    """Return a job by its class path, its name or the name of its class.

    Raises:
        NotFound: there is none.
        Conflict: several have that name.
    """
    rows = fetch(conn, _SQL["by_class_path"], name) or fetch(conn, _SQL["by_name"], name)
    return only(
        rows, "job", name,
        "see: rowhooks jobs list; a new job is known after `rowhooks jobs sync`, or once a daemon has started with its"
        " module (receivers in rowhooks.toml)",
        lambda: [one for row in list_jobs(conn, hidden=True) for one in (row["class_path"], row["name"])],
    )  # fmt: skip


def show_job(conn: Connection, name: str) -> Row:
    """Return a job with the names of its hooks and buttons; errors as in `find_job`."""
    job = find_job(conn, name)
    hooks = fetch(conn, "select h.name from rowhooks.job_hook as h where h.job_id = $1 order by 1", job["id"])
    buttons = fetch(conn, "select b.name from rowhooks.job_button as b where b.job_id = $1 order by 1", job["id"])
    return {**job, "hooks": [row["name"] for row in hooks], "buttons": [row["name"] for row in buttons]}


def set_job_enabled(conn: Connection, name: str, *, enabled: bool) -> Row:
    """Enable or disable a job; return it.

    Raises:
        Conflict: it is not installed.
    """
    job = find_job(conn, name)
    if enabled and not job["installed"]:
        raise Conflict(
            f"job {job['class_path']} is not installed",
            hint="add its module to rowhooks.toml, and restart the daemon or, where none runs: rowhooks jobs sync",
        )
    act(conn, _SQL["enable" if enabled else "disable"], job["class_path"])
    return {**job, "enabled": enabled}


def find_missing_job(conn: Connection, name: str) -> Row:
    """Return a job that the leader does not have, with the number of runs that wait for it.

    Raises:
        Conflict: the leader has it; or as in `find_job`.
        NotFound: as in `find_job`.
    """
    job = _missing_job(conn, name)
    return {**job, "waiting": fetch(conn, _SQL["count_unfinished"], job["id"])[0]["runs"]}


def remove_job(conn: Connection, name: str) -> Row:
    """Remove a job that no longer exists, with its hooks and buttons; return it, with the number of revoked runs.

    Their results stay.

    Args:
        conn: a connection in a transaction, which makes it all or nothing.
        name: as in `find_job`.

    Raises:
        Conflict: as in `find_missing_job`.
        NotFound: as in `find_job`.
    """
    job = _missing_job(conn, name)
    return {**job, "revoked": act(conn, _SQL["remove"], job["class_path"])}


def move_job(conn: Connection, name: str, new_name: str) -> Row:
    """Move hooks, buttons and runs to the job of the same class under another path; return that job.

    Args:
        conn: a connection in a transaction, which makes it all or nothing.
        name: the missing job, which is removed.
        new_name: the job that gets its hooks, buttons and runs. It is enabled if the missing one is.

    Raises:
        Conflict: the first job is not missing, or the second is missing or a receiver of the other kind.
        NotFound: as in `find_job`.
    """
    old, new = find_missing_job(conn, name), find_job(conn, new_name)
    if not new["installed"] or new["kind"] != old["kind"]:
        what = f"is a {new['kind']} receiver" if new["installed"] else "is missing too"
        raise Conflict(
            f"job {old['class_path']} cannot be moved to {new['class_path']}: that {what}",
            hint=f"name a {old['kind']} receiver that the leader has; see: rowhooks jobs list",
        )
    act(conn, _SQL["move"], old["class_path"], new["class_path"])
    return {**new, "enabled": old["enabled"] or new["enabled"], "waiting": old["waiting"]}


def _missing_job(conn: Connection, name: str) -> Row:
    job = find_job(conn, name)
    if job["installed"]:
        raise Conflict(
            f"job {job['class_path']} is in the code of the present or last leader, which would add it again",
            hint="remove its module from rowhooks.toml and restart the daemon; or: "
            + shell.command("rowhooks", "jobs", "disable", job["class_path"]),
        )
    return job
