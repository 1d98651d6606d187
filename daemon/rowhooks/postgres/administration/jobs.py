"""Jobs: the receiver classes that the daemon has found."""

from __future__ import annotations

from rowhooks.domain import shell
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


_UNFINISHED = """
r.status in ('PENDING', 'STARTED', 'RETRY') and (
  r.job_hook_id in (select h.id from rowhooks.job_hook as h where h.job_id = %(job)s)
  or r.job_button_id in (select b.id from rowhooks.job_button as b where b.job_id = %(job)s)
)
"""
_COUNT_UNFINISHED = f"select count(*) as runs from rowhooks.job_result as r where {_UNFINISHED}"  # noqa: S608  (constants)
_REVOKE_UNFINISHED = f"""
update rowhooks.job_result as r set status = 'REVOKED', finished_at = clock_timestamp() where {_UNFINISHED}
"""  # noqa: S608  (constants)


def find_missing_job(conn: Connection, name: str) -> Row:
    """Return a job that the daemon which leads does not have, with how many runs wait for it.

    Raises:
        Conflict: the daemon that leads has it; or as in `find_job`.
        NotFound: as in `find_job`.
    """
    job = find_job(conn, name)
    if job["installed"]:
        raise Conflict(
            f"job {job['class_path']} is in the code of the daemon that leads, or led last: it would come again",
            hint="take its module out of rowhooks.toml and restart the daemon; or: "
            + shell.command("rowhooks", "jobs", "disable", job["class_path"]),
        )
    return {**job, "waiting": fetch(conn, _COUNT_UNFINISHED, {"job": job["id"]})[0]["runs"]}


def remove_job(conn: Connection, name: str) -> Row:
    """Remove a job that is gone for good, with its hooks and buttons; return it, with how many runs were revoked.

    Their results stay.

    Args:
        conn: in a transaction, which makes it all or nothing.
        name: as in `find_job`.

    Raises:
        Conflict: as in `find_missing_job`.
        NotFound: as in `find_job`.
    """
    job = find_missing_job(conn, name)
    revoked = conn.execute(_REVOKE_UNFINISHED, {"job": job["id"]}).rowcount
    conn.execute("delete from rowhooks.job where id = %s", (job["id"],))
    return {**job, "revoked": revoked}


def move_job(conn: Connection, name: str, new_name: str) -> Row:
    """Give all that waits for a class to the same class under another path; return the latter's job.

    Args:
        conn: in a transaction, which makes it all or nothing.
        name: the job that is missing; it is removed.
        new_name: the job that its hooks, buttons and runs are given to. It is enabled if the former is.

    Raises:
        Conflict: the former is not missing, the latter is, or is a receiver of the other kind.
        NotFound: as in `find_job`.
    """
    old, new = find_missing_job(conn, name), find_job(conn, new_name)
    if not new["installed"] or new["kind"] != old["kind"]:
        what = f"is a {new['kind']} receiver" if new["installed"] else "is missing too"
        raise Conflict(
            f"what waits for job {old['class_path']} cannot be given to {new['class_path']}: it {what}",
            hint=f"name a {old['kind']} receiver that the daemon which leads has; see: rowhooks jobs list",
        )
    given = {"old": old["id"], "new": new["id"]}
    conn.execute("update rowhooks.job_hook set job_id = %(new)s where job_id = %(old)s", given)
    conn.execute("update rowhooks.job_button set job_id = %(new)s where job_id = %(old)s", given)
    if old["enabled"] and not new["enabled"]:
        conn.execute("update rowhooks.job set enabled = true where id = %(new)s", given)
        # Changes that have not been read are from before this moment.
        conn.execute(
            "update rowhooks.job as n set enabled_since = o.enabled_since from rowhooks.job as o"
            " where n.id = %(new)s and o.id = %(old)s",
            given,
        )
    conn.execute("delete from rowhooks.job where id = %(old)s", given)
    return {**new, "enabled": old["enabled"] or new["enabled"], "waiting": old["waiting"]}
