"""Pressing a button: on one row or on several. A page asks before, where the button or its inputs want that.

The page that asks has an address, so that it can be gone back to and kept. Nothing is pressed by opening it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import NoMatchFound, Route

from rowhooks.domain import exact
from rowhooks.domain.errors import Conflict, NotFound, UsageError
from rowhooks.postgres.console.pressing import PressableButton, Pressed, find_button, press_rows
from rowhooks.web.forms.input_fields import fields_of
from rowhooks.web.forms.inputs import Filled, filled_with_defaults, read_inputs, with_problem
from rowhooks.web.forms.reading import read_form
from rowhooks.web.linking.names import address
from rowhooks.web.linking.row_addresses import path_of_row
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page, see

MOST_ROWS = 100
"""On how many rows a button is pressed at once."""
LONGEST_ADDRESS = 6000
"""How many characters the address of the page may have that asks: proxies take no more than about 8,000."""


async def ask(request: Request) -> Response:
    """Ask before a press. What is pressed, and on which rows, stands in the address; values of inputs do not."""
    person, table = person_of(request), request.path_params["table"]
    if not request.query_params:
        # A form whose session had ended was sent to here.
        return see(address(request, "table_rows", table=table))
    name, keys = _named(request.query_params)
    button = await person.read(find_button, table, name)
    if button is None:
        raise _missing(table, name)
    if not button.is_pressable:
        raise Conflict(
            f"{person.role} cannot press button {name} on {table} now",
            hint="it or its job is disabled, or it names no role of yours",
        )
    return _ask(request, button, keys, filled_with_defaults(fields_of(button.inputs_schema)))


async def press(request: Request) -> Response:
    """Press a button, or lead to the page that asks before."""
    person, table = person_of(request), request.path_params["table"]
    form = await read_form(request)
    name, keys = _named(form)
    button = await person.read(find_button, table, name)
    fields = fields_of(button.inputs_schema) if button else []
    is_confirmed = form.get("confirmed") == "yes"
    if not is_confirmed and button is None:
        raise _missing(table, name)
    if button and button.is_pressable and not is_confirmed and (fields or button.confirmation or len(keys) > 1):
        asking = address(request, "press", {"button": name, "key": keys}, table=table)
        if len(asking) <= LONGEST_ADDRESS:
            return see(asking)
        return _ask(request, button, keys, filled_with_defaults(fields))
    inputs, filled = read_inputs(fields, form)
    if button and any(one.problem for one in filled):
        return _ask(request, button, keys, filled, status=422)
    token = str(form.get("idempotency_key") or "") or None
    pressed = await person.act(press_rows, name, table, [_key(text) for text in keys], token, inputs)
    if pressed.problem and button:
        filled, problem = with_problem(filled, pressed.problem)
        return _ask(request, button, keys, filled, status=422, problem=problem)
    if pressed.is_key_used or pressed.is_earlier:
        return _was_sent(request, name, keys, pressed)
    return see(_path_of(request, keys, pressed))


def _missing(table: str, name: str) -> NotFound:
    return NotFound(f"there is no button {name} on {table}, or you may not read the table")


def _named(form: FormData | QueryParams) -> tuple[str, list[str]]:
    """Return the button's name and the rows' keys.

    Raises:
        UsageError: one is missing, or there are too many rows.
    """
    name, keys = str(form.get("button") or ""), [str(key) for key in form.getlist("key")]
    if not name:
        raise UsageError("no button was named")
    if not keys:
        raise UsageError("no row is selected", hint="go back, select rows, and press the button again")
    if len(keys) > MOST_ROWS:
        raise UsageError(f"{len(keys)} rows are selected", hint=f"a button is pressed on {MOST_ROWS} at the most")
    if "\0" in name or any("\0" in key for key in keys):
        raise UsageError("PostgreSQL has no text with a zero byte")
    return name, keys


def _key(text: str) -> str | Mapping[str, Any]:
    """Return a row's key as an address has it: see key_in_address."""
    if text.lstrip().startswith("{"):
        try:
            found = exact.read_given(text)
        except ValueError:
            return text
        return found if isinstance(found, dict) else text
    return text


def _ask(
    request: Request, button: PressableButton, keys: Sequence[str], filled: Sequence[Filled], *, status: int = 200,
    problem: str = "",
) -> Response:  # fmt: skip
    return page(
        request, "press.html", status=status, button=button, table=request.path_params["table"], keys=keys,
        filled=filled, problem=problem, back=_back(request, keys), idempotency_key=secrets.token_urlsafe(24),
    )  # fmt: skip


def _was_sent(request: Request, name: str, keys: Sequence[str], pressed: Pressed) -> Response:
    return page(
        request, "press_sent.html", status=409, name=name, back=_back(request, keys),
        path=_path_of(request, keys, pressed) if pressed.id is not None else "",
    )  # fmt: skip


def _path_of(request: Request, keys: Sequence[str], pressed: Pressed) -> str:
    try:
        return str(request.url_for("run" if len(keys) == 1 else "batch", id=pressed.id).path)
    except NoMatchFound:
        return _back(request, keys)


def _back(request: Request, keys: Sequence[str]) -> str:
    table = request.path_params["table"]
    if len(keys) == 1:
        return path_of_row(request, table, keys[0])
    return str(request.url_for("table_rows", table=table).path)


routes = [
    Route("/tables/{table:name}/press", ask, name="press"),
    Route("/tables/{table:name}/press", press, methods=["POST"], name="press_now"),
]
