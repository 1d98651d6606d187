"""Buttons: listed, shown, added, edited, previewed on a row, enabled, disabled, removed."""

from __future__ import annotations

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.administration.buttons import BUTTON_CLASSES, remove_button, set_button_enabled
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.console import buttons as console
from rowhooks.postgres.console.origins import Choices
from rowhooks.postgres.console.previews import Preview, preview_button
from rowhooks.web.forms.buttons import FIELDS, ButtonFields
from rowhooks.web.forms.origins import Problems, done_by, lines_of, offer, problem_of, status_of_problem, text_of
from rowhooks.web.forms.reading import read_form
from rowhooks.web.linking.names import address
from rowhooks.web.pages.row import label_of
from rowhooks.web.people.person import person_of
from rowhooks.web.people.user import user_on
from rowhooks.web.rendering import page, see
from rowhooks.web.wording.jobs import inputs_of
from rowhooks.web.wording.states import state_of_origin


async def buttons(request: Request) -> Response:
    """List the buttons."""
    given = request.query_params.get("after", "")
    after = int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else None
    rows, runs = await person_of(request).read(console.list_buttons, after)
    shown = rows[: console.PAGE]
    following = address(request, "buttons", {"after": shown[-1]["id"]}) if len(rows) > len(shown) else None
    return page(
        request, "buttons_list.html", buttons=shown, states=state_of_origin, runs=runs, following=following,
        is_first=after is None, done=done_by(request),
    )  # fmt: skip


async def button(request: Request) -> Response:
    """Show one button."""
    found, runs, unfinished = await person_of(request).read(console.show_button, request.path_params["name"])
    return page(
        request, "buttons_button.html", button=found, states=state_of_origin(found), runs=runs, unfinished=unfinished,
        inputs=inputs_of(found["inputs_schema"]), done=done_by(request),
    )  # fmt: skip


async def button_new(request: Request) -> Response:
    """Show the form of a new button, preview it on a row, or add it."""
    person = person_of(request)
    if request.method == "GET":
        _, offered = await person.read(console.button_to_edit, None)
        given = request.query_params
        fields = ButtonFields(job=given.get("job", ""), tables=tuple(given.getlist("table")))
        return _form(request, fields, offered)
    form = await read_form(request)
    fields = ButtonFields.sent(form)
    problems, status = fields.problems(previewing=_is_preview(form)), 422
    preview = None
    try:
        if _is_preview(form):
            preview = None if problems else await _preview(request, fields)
        elif not problems:
            await person.act(console.add_button, fields.wanted())
            return see(address(request, "button", {"done": "added"}, name=fields.name))
    except RowhooksError as error:
        problems, status = _problem_of(error, form), status_of_problem(error)
    _, offered = await person.read(console.button_to_edit, None)
    return _form(request, fields, offered, problems=problems, status=status, preview=preview)


async def button_edit(request: Request) -> Response:
    """Show the form of a button, preview it on a row, or change it."""
    person, name = person_of(request), request.path_params["name"]
    if request.method == "GET":
        found, offered = await person.read(console.button_to_edit, name)
        assert found is not None, "it is found, or NotFound is raised"
        return _form(request, ButtonFields.of(found, offered.chosen), offered, button=found)
    form = await read_form(request)
    fields = ButtonFields.sent(form, name)
    problems, status = fields.problems(previewing=_is_preview(form)), 422
    preview = None
    try:
        if _is_preview(form):
            preview = None if problems else await _preview(request, fields)
        elif not problems:
            await person.act(console.edit_button, name, fields.seen, fields.wanted())
            return see(address(request, "button", {"done": "changed"}, name=name))
    except RowhooksError as error:
        problems, status = _problem_of(error, form), status_of_problem(error)
    found, offered = await person.read(console.button_to_edit, name)
    return _form(request, fields, offered, button=found, problems=problems, status=status, preview=preview)


async def button_enabled(request: Request) -> Response:
    """Enable or disable a button."""
    form = await read_form(request)
    name, enabled = request.path_params["name"], text_of(form, "enabled") == "yes"
    await person_of(request).act(set_button_enabled, name, enabled=enabled)
    return see(address(request, "button", {"done": "enabled" if enabled else "disabled"}, name=name))


async def button_remove(request: Request) -> Response:
    """Remove a button."""
    await read_form(request)
    await person_of(request).act(remove_button, request.path_params["name"])
    return see(address(request, "buttons", {"done": "removed"}))


def _is_preview(form: FormData) -> bool:
    return form.get("act") == "preview"


def _problem_of(error: RowhooksError, form: FormData) -> Problems:
    """Return an error as a field's problem; in a preview it is about the row."""
    return problem_of(error, (), "preview_key") if _is_preview(form) else problem_of(error, FIELDS)


async def _preview(request: Request, fields: ButtonFields) -> Preview:
    person = person_of(request)
    return await person.read(
        preview_button, fields.preview_table, fields.preview_key, job=fields.job, roles=lines_of(fields.roles),
        user=lambda conn: user_on(conn, person.role),
        fields={
            "name": fields.name or "unnamed", "text": fields.text, "group_name": fields.group_name, "weight": 100,
            "button_class": fields.button_class, "confirmation": fields.confirmation,
        },
    )  # fmt: skip


def _form(
    request: Request, fields: ButtonFields, offered: Choices, *, button: Row | None = None,
    problems: Problems | None = None, status: int = 422, preview: Preview | None = None,
) -> Response:  # fmt: skip
    return page(
        request, "buttons_form.html", status=status if problems else 200, button=button, fields=fields,
        problems=problems or {}, preview=preview, class_options=[(name, name) for name in BUTTON_CLASSES],
        inputs=inputs_of(preview.inputs_schema) if preview else (),
        label=label_of(preview.button) if preview and preview.button else "",
        **offer(offered, fields.tables, button["waits_for"] if button else ()),
    )  # fmt: skip


routes = [
    Route("/buttons", buttons, name="buttons"),
    Route("/buttons/new", button_new, methods=["GET", "POST"], name="button_new"),
    Route("/buttons/{name:name}", button, name="button"),
    Route("/buttons/{name:name}/edit", button_edit, methods=["GET", "POST"], name="button_edit"),
    Route("/buttons/{name:name}/enabled", button_enabled, methods=["POST"], name="button_enabled"),
    Route("/buttons/{name:name}/remove", button_remove, methods=["POST"], name="button_remove"),
]
