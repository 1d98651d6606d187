"""Job buttons: listed, shown, added, replaced, enabled, disabled, removed."""

from __future__ import annotations

from typing import TypeVar

from rowhooks.postgres.administration import buttons as administration
from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.console.buttons import buttons_behind
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing, Paged, number_of_cursor
from rowhooks.web.api.models.buttons import Button, ButtonAdded, ButtonChanged, ButtonNamed, ButtonPage
from rowhooks.web.api.operations import LINK, Answer, Call, Keyed, Operation, Operations
from rowhooks.web.api.versions import HEADERS, TAKES, check_version, tag_of, wanted_tags

B = TypeVar("B", bound=ButtonChanged | None)
Named = Call[ButtonNamed, Nothing, B]


async def list_buttons(call: Call[Nothing, Paged, None]) -> Answer:
    """List the buttons."""
    after, limit = number_of_cursor(call.query.cursor), call.query.limit
    rows = await call.caller.person.read(buttons_behind, after, limit + 1)
    return call.page_of_more(ButtonPage, rows, limit, "id")


async def show_button(call: Named[None]) -> Answer:
    """Show a button."""
    return _shown(await call.caller.person.read(administration.find_button, call.path.name))


async def add_button(call: Call[Nothing, Nothing, ButtonAdded]) -> Answer:
    """Add a button."""
    row = await call.caller.person.act(_add, call.body)
    location = call.path_to("/buttons/{name}", name=row["name"])
    return _shown(row, {"Location": location})


async def replace_button(call: Named[ButtonChanged]) -> Answer:
    """Replace a button by another one of its name."""
    tags = wanted_tags(call.request)
    return _shown(await call.caller.person.act(_replace, call.path.name, call.body, tags))


async def enable_button(call: Named[None]) -> Answer:
    """Enable a button."""
    return _shown(await call.caller.person.act(administration.set_button_enabled, call.path.name, enabled=True))


async def disable_button(call: Named[None]) -> Answer:
    """Disable a button."""
    return _shown(await call.caller.person.act(administration.set_button_enabled, call.path.name, enabled=False))


async def remove_button(call: Named[None]) -> Answer:
    """Remove a button."""
    await call.caller.person.act(_remove, call.path.name, wanted_tags(call.request))
    return Answer(None)


def _add(conn: Connection, wanted: ButtonAdded) -> Row:
    return administration.add_button(conn, **wanted.model_dump())


def _replace(conn: Connection, name: str, wanted: ButtonChanged, tags: frozenset[str] | None) -> Row:
    found = administration.find_button(conn, name)
    check_version(Button.model_validate(found), tags)
    fields = wanted.model_dump(exclude={"enabled"})
    administration.edit_button(conn, name, **fields)
    if wanted.enabled != found["enabled"]:
        administration.set_button_enabled(conn, name, enabled=wanted.enabled)
    return administration.find_button(conn, name)


def _remove(conn: Connection, name: str, tags: frozenset[str] | None) -> None:
    check_version(Button.model_validate(administration.find_button(conn, name)), tags)
    administration.remove_button(conn, name)


def _shown(row: Row, headers: dict[str, str] | None = None) -> Answer:
    button = Button.model_validate(row)
    return Answer(button, headers={"ETag": tag_of(button), **(headers or {})})


OPERATIONS: Operations = (
    Operation(
        "list_buttons", "GET", "/buttons", list_buttons, "List the buttons.", Level.READ, query=Paged,
        answer=ButtonPage, headers=LINK,
    ),
    Operation(
        "add_button", "POST", "/buttons", add_button, "Add a button.", Level.ADMIN, body=ButtonAdded, answer=Button,
        status=201, errors=(404, 409), keyed=Keyed.MEMORY, headers={"Location": "The path of the button.", **HEADERS},
    ),
    Operation(
        "show_button", "GET", "/buttons/{name}", show_button, "Show a button.", Level.READ, path_model=ButtonNamed,
        answer=Button, errors=(404,), headers=HEADERS,
    ),
    Operation(
        "replace_button", "PUT", "/buttons/{name}", replace_button, "Replace a button.", Level.ADMIN,
        path_model=ButtonNamed, body=ButtonChanged, answer=Button, errors=(404, 409, 412), headers=HEADERS, takes=TAKES,
    ),
    Operation(
        "remove_button", "DELETE", "/buttons/{name}", remove_button, "Remove a button; its runs stay on record.",
        Level.ADMIN, path_model=ButtonNamed, status=204, errors=(404, 409, 412), takes=TAKES,
    ),
    Operation(
        "enable_button", "POST", "/buttons/{name}/enable", enable_button, "Enable a button.", Level.OPERATE,
        path_model=ButtonNamed, answer=Button, errors=(404, 409), headers=HEADERS, keyed=Keyed.MEMORY,
    ),
    Operation(
        "disable_button", "POST", "/buttons/{name}/disable", disable_button, "Disable a button.", Level.OPERATE,
        path_model=ButtonNamed, answer=Button, errors=(404, 409), headers=HEADERS, keyed=Keyed.MEMORY,
    ),
)  # fmt: skip
