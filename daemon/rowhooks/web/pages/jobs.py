"""Jobs: the receiver classes that the daemon has found; listed, shown, enabled, disabled; removed, moved if missing."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain import shell
from rowhooks.postgres.administration.jobs import move_job, remove_job, set_job_enabled
from rowhooks.postgres.console import jobs as console
from rowhooks.web.forms.origins import done_by, text_of
from rowhooks.web.forms.reading import read_form
from rowhooks.web.linking.names import address
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page, see
from rowhooks.web.wording.jobs import inputs_of, meta_of
from rowhooks.web.wording.states import state_of_job


async def jobs(request: Request) -> Response:
    """List the jobs."""
    after, hidden = request.query_params.get("after"), "hidden" in request.query_params
    rows, runs = await person_of(request).read(console.list_jobs, after, hidden=hidden)
    shown = rows[: console.PAGE]
    is_hidden = "1" if hidden else None
    following = None
    if len(rows) > len(shown):
        following = address(request, "jobs", {"after": shown[-1]["class_path"], "hidden": is_hidden})
    return page(
        request, "jobs_list.html", jobs=shown, states=state_of_job, runs=runs, following=following, hidden=hidden,
        is_first=after is None, done=done_by(request),
    )  # fmt: skip


async def job(request: Request) -> Response:
    """Show one job."""
    found, runs = await person_of(request).read(console.show_job, request.path_params["name"])
    return page(
        request, "jobs_job.html", job=found, states=state_of_job(found), meta=meta_of(found["meta"]),
        inputs=inputs_of(found["inputs_schema"]), runs=runs, done=done_by(request),
        ways_out=[
            shell.command("rowhooks", "jobs", "remove", found["class_path"]),
            shell.command("rowhooks", "jobs", "move", found["class_path"], "NEW.PATH"),
        ],
    )  # fmt: skip


async def job_enabled(request: Request) -> Response:
    """Enable or disable a job."""
    form = await read_form(request)
    name, enabled = request.path_params["name"], text_of(form, "enabled") == "yes"
    await person_of(request).act(set_job_enabled, name, enabled=enabled)
    return see(address(request, "job", {"done": "enabled" if enabled else "disabled"}, name=name))


async def job_remove(request: Request) -> Response:
    """Remove a job that the leader does not have."""
    await read_form(request)
    await person_of(request).act(remove_job, request.path_params["name"])
    return see(address(request, "jobs", {"done": "removed"}))


async def job_move(request: Request) -> Response:
    """Give the hooks, buttons and waiting runs of a job that the leader does not have to another one."""
    form = await read_form(request)
    moved = await person_of(request).act(move_job, request.path_params["name"], text_of(form, "job"))
    return see(address(request, "job", {"done": "moved"}, name=moved["class_path"]))


routes = [
    Route("/jobs", jobs, name="jobs"),
    Route("/jobs/{name:name}", job, name="job"),
    Route("/jobs/{name:name}/enabled", job_enabled, methods=["POST"], name="job_enabled"),
    Route("/jobs/{name:name}/move", job_move, methods=["POST"], name="job_move"),
    Route("/jobs/{name:name}/remove", job_remove, methods=["POST"], name="job_remove"),
]
