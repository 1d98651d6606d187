"""Jobs: listed, shown, enabled, disabled, moved, removed."""

from __future__ import annotations

from rowhooks.postgres.administration import jobs as administration
from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.console.jobs import jobs_behind
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.models.jobs import Job, JobMove, JobMoved, JobNamed, JobPage, JobRemoved, JobsWanted
from rowhooks.web.api.operations import Answer, Call, Keyed, Operation, Operations

Named = Call[JobNamed, Nothing, None]


async def list_jobs(call: Call[Nothing, JobsWanted, None]) -> Answer:
    """List the jobs."""
    after, limit = call.query.cursor, call.query.limit
    rows = await call.caller.person.read(jobs_behind, after, limit + 1, hidden=call.query.hidden)
    return call.page_of_more(JobPage, rows, limit, "class_path")


async def show_job(call: Named) -> Answer:
    """Show a job."""
    return Answer(Job.model_validate(await call.caller.person.read(administration.show_job, call.path.job)))


async def enable_job(call: Named) -> Answer:
    """Enable a job."""
    return Answer(Job.model_validate(await call.caller.person.act(_set_enabled, call.path.job, enabled=True)))


async def disable_job(call: Named) -> Answer:
    """Disable a job."""
    return Answer(Job.model_validate(await call.caller.person.act(_set_enabled, call.path.job, enabled=False)))


async def remove_job(call: Named) -> Answer:
    """Remove a job that no longer exists."""
    return Answer(JobRemoved.model_validate(await call.caller.person.act(administration.remove_job, call.path.job)))


async def move_job(call: Call[JobNamed, Nothing, JobMove]) -> Answer:
    """Move what a job has that no longer exists to another one."""
    moved = await call.caller.person.act(administration.move_job, call.path.job, call.body.to)
    return Answer(JobMoved.model_validate(moved))


def _set_enabled(conn: Connection, name: str, *, enabled: bool) -> Row:
    job = administration.set_job_enabled(conn, name, enabled=enabled)
    return administration.show_job(conn, job["class_path"])


OPERATIONS: Operations = (
    Operation(
        "list_jobs", "GET", "/jobs", list_jobs, "List the jobs.", Level.READ, query=JobsWanted,
        answer=JobPage,
    ),
    Operation(
        "show_job", "GET", "/jobs/{job}", show_job, "Show a job.", Level.READ, path_model=JobNamed, answer=Job,
        errors=(404, 409),
    ),
    Operation(
        "enable_job", "POST", "/jobs/{job}/enable", enable_job, "Enable a job.", Level.OPERATE, path_model=JobNamed,
        answer=Job, errors=(404, 409), keyed=Keyed.MEMORY,
    ),
    Operation(
        "disable_job", "POST", "/jobs/{job}/disable", disable_job, "Disable a job.", Level.OPERATE,
        path_model=JobNamed, answer=Job, errors=(404, 409), keyed=Keyed.MEMORY,
    ),
    Operation(
        "move_job", "POST", "/jobs/{job}/move", move_job,
        "Move the hooks, buttons and waiting runs of a job that no longer exists to another one.", Level.ADMIN,
        path_model=JobNamed, body=JobMove, answer=JobMoved, errors=(404, 409), keyed=Keyed.MEMORY,
    ),
    Operation(
        "remove_job", "DELETE", "/jobs/{job}", remove_job,
        "Remove a job that no longer exists, with its hooks and buttons.", Level.ADMIN, path_model=JobNamed,
        answer=JobRemoved, errors=(404, 409),
    ),
)  # fmt: skip
