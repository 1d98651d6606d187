"""Buttons: listed, shown, added, edited, previewed on a row, enabled, disabled, removed."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.administration.buttons import BUTTON_CLASSES, remove_button, set_button_enabled
from rowhooks.postgres.console import buttons as console
from rowhooks.postgres.console.previews import Preview, preview_button
from rowhooks.web.forms.buttons import FIELDS, ButtonFields
from rowhooks.web.forms.origins import Problems, done_by, lines_of, problem_of
from rowhooks.web.linking.names import address
from rowhooks.web.pages.origins import OriginPages
from rowhooks.web.pages.row import label_of
from rowhooks.web.people.person import Person, person_of
from rowhooks.web.people.user import user_on
from rowhooks.web.rendering import page
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


async def _preview(person: Person, fields: ButtonFields) -> Preview:
    return await person.read(
        preview_button, fields.preview_table, fields.preview_key, job=fields.job, roles=lines_of(fields.roles),
        user=lambda conn: user_on(conn, person.role),
        fields={
            "name": fields.name or "unnamed", "text": fields.text, "group_name": fields.group_name, "weight": 100,
            "button_class": fields.button_class, "confirmation": fields.confirmation,
        },
    )  # fmt: skip


def _values_of(preview: Preview | None) -> dict[str, Any]:
    return {
        "preview": preview,
        "class_options": [(name, name) for name in BUTTON_CLASSES],
        "inputs": inputs_of(preview.inputs_schema) if preview else (),
        "label": label_of(preview.button) if preview and preview.button else "",
    }


def _problem_of(error: RowhooksError, is_preview: bool) -> Problems:
    """Return an error as a field's problem; in a preview it is about the row."""
    return problem_of(error, (), "preview_key") if is_preview else problem_of(error, FIELDS)


_PAGES = OriginPages(
    kind="button",
    fields=ButtonFields,
    keeps_name=True,  # applications press it by that
    to_edit=console.button_to_edit,
    add=console.add_button,
    edit=console.edit_button,
    set_enabled=set_button_enabled,
    remove=remove_button,
    trying="preview",
    attempt=_preview,
    values_of=_values_of,
    problem=_problem_of,
)

routes = [
    Route("/buttons", buttons, name="buttons"),
    Route("/buttons/new", _PAGES.show_new, methods=["GET", "POST"], name="button_new"),
    Route("/buttons/{name:name}", button, name="button"),
    Route("/buttons/{name:name}/edit", _PAGES.show_edit, methods=["GET", "POST"], name="button_edit"),
    Route("/buttons/{name:name}/enabled", _PAGES.enable, methods=["POST"], name="button_enabled"),
    Route("/buttons/{name:name}/remove", _PAGES.take_away, methods=["POST"], name="button_remove"),
]
