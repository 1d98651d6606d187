"""Hooks: listed, shown, added, edited, tried against past changes, enabled, disabled, removed."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.errors import ConditionsError
from rowhooks.postgres.administration.hooks import remove_hook, set_hook_enabled
from rowhooks.postgres.console import hooks as console
from rowhooks.postgres.console.trials import past_changes
from rowhooks.web.acts.trials import Trial, hook_of, try_hook
from rowhooks.web.forms.hooks import FIELDS, HookFields
from rowhooks.web.forms.origins import done_by, problem_of
from rowhooks.web.linking.names import address
from rowhooks.web.pages.origins import OriginPages
from rowhooks.web.people.person import Person, person_of
from rowhooks.web.rendering import page
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


async def _try(person: Person, fields: HookFields) -> Trial:
    wanted = fields.wanted()
    past = await person.read(past_changes, wanted.tables)
    return await run_in_threadpool(try_hook, hook_of(wanted, past, fields.conditions_json), past)


_PAGES = OriginPages(
    kind="hook",
    fields=HookFields,
    keeps_name=False,
    to_edit=console.hook_to_edit,
    add=console.add_hook,
    edit=console.edit_hook,
    set_enabled=set_hook_enabled,
    remove=remove_hook,
    trying="try",
    attempt=_try,
    values_of=lambda trial: {"trial": trial},
    problem=lambda error, _: problem_of(error, FIELDS),
)

routes = [
    Route("/hooks", hooks, name="hooks"),
    Route("/hooks/new", _PAGES.show_new, methods=["GET", "POST"], name="hook_new"),
    Route("/hooks/{name:name}", hook, name="hook"),
    Route("/hooks/{name:name}/edit", _PAGES.show_edit, methods=["GET", "POST"], name="hook_edit"),
    Route("/hooks/{name:name}/try", hook_try, name="hook_try"),
    Route("/hooks/{name:name}/enabled", _PAGES.enable, methods=["POST"], name="hook_enabled"),
    Route("/hooks/{name:name}/remove", _PAGES.take_away, methods=["POST"], name="hook_remove"),
]
