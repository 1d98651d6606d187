"""Presses: a button is pressed on one row or on several, and what has become of that."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rowhooks.domain.errors import DatabaseError
from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.console.presses import show_batch, show_press
from rowhooks.pressing import press, press_many
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.models.presses import Batch, Press, PressedRow, PressedRows, PressNumbered, Waiting
from rowhooks.web.api.operations import Answer, Call, Keyed, Operation, Operations
from rowhooks.web.api.problems import KEY_REUSED, Refusal
from rowhooks.web.api.waiting import wait_until
from rowhooks.web.errors import status_of

Numbered = Call[PressNumbered, Waiting, None]
_OVER = "The press is on record, and its run has ended."


async def press_row(call: Call[Nothing, Waiting, PressedRow]) -> Answer:
    """Press a button on a row."""
    press_id = await _act(call, _press)
    found = await _press_after(call, press_id, call.query.wait)
    return Answer(found, _status(found.finished_at is not None), _location(call, "presses", press_id))


async def press_rows(call: Call[Nothing, Waiting, PressedRows]) -> Answer:
    """Press a button on several rows."""
    batch_id = await _act(call, _press_many)
    found = await _batch_after(call, batch_id, call.query.wait)
    return Answer(found, _status(found.finished == found.rows), _location(call, "batches", batch_id))


async def show_own_press(call: Numbered) -> Answer:
    """Show a press of the caller's."""
    return Answer(await _press_after(call, call.path.id, call.query.wait))


async def show_own_batch(call: Numbered) -> Answer:
    """Show a press of several rows of the caller's."""
    return Answer(await _batch_after(call, call.path.id, call.query.wait))


async def _act(call: Call[Any, Any, Any], act: Any) -> int:
    try:
        pressed: int = await call.caller.person.act(act, call.body, call.idempotency_key)
    except DatabaseError as error:
        if call.idempotency_key is not None and status_of(error) == 409 and _is_about_the_key(error):
            raise Refusal(KEY_REUSED, error.message, error.hint) from error
        raise
    return pressed


def _is_about_the_key(error: DatabaseError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) == "23505"


def _press(conn: Connection, wanted: PressedRow, key: str | None) -> int:
    inputs = _as_floats(wanted.inputs)
    return press(conn, wanted.button, wanted.table, wanted.key, idempotency_key=key, inputs=inputs)


def _press_many(conn: Connection, wanted: PressedRows, key: str | None) -> int:
    inputs = _as_floats(wanted.inputs)
    return press_many(conn, wanted.button, wanted.table, wanted.keys, idempotency_key=key, inputs=inputs)


async def _press_after(call: Call[Any, Any, Any], press_id: int, seconds: int) -> Press:
    async def look() -> Row:
        return await call.caller.person.read(show_press, press_id)

    return Press.model_validate(await wait_until(look, lambda row: row["finished_at"] is not None, seconds))


async def _batch_after(call: Call[Any, Any, Any], batch_id: int, seconds: int) -> Batch:
    async def look() -> Row:
        return await call.caller.person.read(show_batch, batch_id)

    return Batch.model_validate(await wait_until(look, lambda row: row["finished"] == row["rows"], seconds))


def _status(is_over: bool) -> int:
    return 200 if is_over else 202


def _location(call: Call[Any, Any, Any], what: str, id_: int) -> dict[str, str]:
    return {"Location": call.path_to(f"/{what}/{{id}}", id=id_)}


def _as_floats(value: Any) -> Any:
    """Return inputs with floats for decimals, which the checks of a job expect, where no digit is lost."""
    if isinstance(value, dict):
        return {name: _as_floats(one) for name, one in value.items()}
    if isinstance(value, list):
        return list(map(_as_floats, value))
    if isinstance(value, Decimal):
        near = float(value)
        return near if Decimal(repr(near)) == value else value
    return value


_HEADERS = {"Location": "Where to see what has become of it."}
OPERATIONS: Operations = (
    Operation(
        "press_row", "POST", "/presses", press_row, "Press a button on a row.", Level.PRESS, query=Waiting,
        body=PressedRow, answer=Press, status=202, others={200: _OVER}, errors=(404, 409), keyed=Keyed.DATABASE,
        headers=_HEADERS,
    ),
    Operation(
        "show_press", "GET", "/presses/{id}", show_own_press, "Show what has become of a press that you have made.",
        Level.PRESS, path_model=PressNumbered, query=Waiting, answer=Press, errors=(404,),
    ),
    Operation(
        "press_rows", "POST", "/batches", press_rows, "Press a button on several rows: on all of them, or on none.",
        Level.PRESS, query=Waiting, body=PressedRows, answer=Batch, status=202, others={200: _OVER},
        errors=(404, 409), keyed=Keyed.DATABASE, headers=_HEADERS,
    ),
    Operation(
        "show_batch", "GET", "/batches/{id}", show_own_batch,
        "Show what has become of a press of several rows that you have made.", Level.PRESS, path_model=PressNumbered,
        query=Waiting, answer=Batch, errors=(404,),
    ),
)  # fmt: skip
