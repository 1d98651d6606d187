"""Hooks: listed, shown, added, edited, tried against past changes, enabled, disabled, removed."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.errors import ConditionsError, RowhooksError
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.administration.hooks import remove_hook, set_hook_enabled
from rowhooks.postgres.console import hooks as console
from rowhooks.postgres.console.origins import Choices
from rowhooks.postgres.console.trials import past_changes
from rowhooks.web.acts.trials import Trial, hook_of, try_hook
from rowhooks.web.forms.hooks import FIELDS, HookFields
from rowhooks.web.forms.origins import Problems, done_by, offer, problem_of, status_of_problem, text_of
from rowhooks.web.forms.reading import read_form
from rowhooks.web.linking.names import address
from rowhooks.web.people.person import Person, person_of
from rowhooks.web.rendering import page, see
from rowhooks.web.wording.states import state_of_origin


async def hooks(request: Request) -> Response:
    """List the hooks."""
    after = request.query_params.get("after")
    rows, runs = await person_of(request).read(console.list_hooks, after)
    shown = rows[: console.PAGE]
    following = address(request, "hooks", {"after": shown[-1]["name"]}) if len(rows) > len(shown) else None
    return page(
        request, "hooks_list.html", hooks=shown, states=state_of_origin, runs=runs, following=following,
        is_first=after is None, done=done_by(request),
    )  # fmt: skip


async def hook(request: Request) -> Response:
    """Show one hook."""
    found, runs, unfinished = await person_of(request).read(console.show_hook, request.path_params["name"])
    return page(
        request, "hooks_hook.html", hook=found, states=state_of_origin(found), runs=runs, unfinished=unfinished,
        done=done_by(request),
    )  # fmt: skip


async def hook_try(request: Request) -> Response:
    """Try a hook, as it is, against past changes."""
    found, past = await person_of(request).read(console.past_of_hook, request.path_params["name"])
    trial, problem = None, ""
    try:
        trial = await run_in_threadpool(try_hook, found, past)
    except ConditionsError as error:
        problem = str(error)
    return page(request, "hooks_try.html", hook=found, trial=trial, problem=problem)


async def hook_new(request: Request) -> Response:
    """Show the form of a new hook, try what it says, or add the hook."""
    person = person_of(request)
    if request.method == "GET":
        _, offered = await person.read(console.hook_to_edit, None)
        given = request.query_params
        fields = HookFields(job=given.get("job", ""), tables=tuple(given.getlist("table")))
        return _form(request, fields, offered)
    form = await read_form(request)
    fields = HookFields.sent(form)
    problems, status = fields.problems(trying=_is_try(form)), 422
    trial = None
    try:
        if _is_try(form):
            trial = None if problems else await _try(person, fields)
        elif not problems:
            await person.act(console.add_hook, fields.wanted())
            return see(address(request, "hook", {"done": "added"}, name=fields.name))
    except RowhooksError as error:
        problems, status = problem_of(error, FIELDS), status_of_problem(error)
    _, offered = await person.read(console.hook_to_edit, None)
    return _form(request, fields, offered, problems=problems, status=status, trial=trial)


async def hook_edit(request: Request) -> Response:
    """Show the form of a hook, try what it says, or change the hook."""
    person, name = person_of(request), request.path_params["name"]
    if request.method == "GET":
        found, offered = await person.read(console.hook_to_edit, name)
        assert found is not None, "it is found, or NotFound is raised"
        return _form(request, HookFields.of(found, offered.chosen), offered, hook=found)
    form = await read_form(request)
    fields = HookFields.sent(form)
    problems, status = fields.problems(trying=_is_try(form)), 422
    trial = None
    try:
        if _is_try(form):
            trial = None if problems else await _try(person, fields)
        elif not problems:
            await person.act(console.edit_hook, name, fields.seen, fields.wanted())
            return see(address(request, "hook", {"done": "changed"}, name=fields.name))
    except RowhooksError as error:
        problems, status = problem_of(error, FIELDS), status_of_problem(error)
    found, offered = await person.read(console.hook_to_edit, name)
    return _form(request, fields, offered, hook=found, problems=problems, status=status, trial=trial)


async def hook_enabled(request: Request) -> Response:
    """Enable or disable a hook."""
    form = await read_form(request)
    name, enabled = request.path_params["name"], text_of(form, "enabled") == "yes"
    await person_of(request).act(set_hook_enabled, name, enabled=enabled)
    return see(address(request, "hook", {"done": "enabled" if enabled else "disabled"}, name=name))


async def hook_remove(request: Request) -> Response:
    """Remove a hook."""
    await read_form(request)
    name = request.path_params["name"]
    await person_of(request).act(remove_hook, name)
    return see(address(request, "hooks", {"done": "removed"}))


def _is_try(form: FormData) -> bool:
    return form.get("act") == "try"


async def _try(person: Person, fields: HookFields) -> Trial:
    wanted = fields.wanted()
    past = await person.read(past_changes, wanted.tables)
    return await run_in_threadpool(try_hook, hook_of(wanted, past, fields.conditions_json), past)


def _form(
    request: Request, fields: HookFields, offered: Choices, *, hook: Row | None = None,
    problems: Problems | None = None, status: int = 422, trial: Trial | None = None,
) -> Response:  # fmt: skip
    return page(
        request, "hooks_form.html", status=status if problems else 200, hook=hook, fields=fields,
        problems=problems or {}, trial=trial,
        **offer(offered, fields.tables, hook["waits_for"] if hook else ()),
    )  # fmt: skip


routes = [
    Route("/hooks", hooks, name="hooks"),
    Route("/hooks/new", hook_new, methods=["GET", "POST"], name="hook_new"),
    Route("/hooks/{name:name}", hook, name="hook"),
    Route("/hooks/{name:name}/edit", hook_edit, methods=["GET", "POST"], name="hook_edit"),
    Route("/hooks/{name:name}/try", hook_try, name="hook_try"),
    Route("/hooks/{name:name}/enabled", hook_enabled, methods=["POST"], name="hook_enabled"),
    Route("/hooks/{name:name}/remove", hook_remove, methods=["POST"], name="hook_remove"),
]
