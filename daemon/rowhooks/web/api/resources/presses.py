"""Presses: a button is pressed on one row or on several, and what has become of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.console.presses import show_batch, show_press
from rowhooks.postgres.console.pressing import Pressed as Pressing
from rowhooks.postgres.console.pressing import press_rows as press_on
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.models.presses import Batch, Press, PressedRow, PressedRows, PressNumbered, Waiting
from rowhooks.web.api.models.problem import FieldError
from rowhooks.web.api.operations import Answer, Call, Keyed, Operation, Operations
from rowhooks.web.api.problems import INVALID, KEY_REUSED, Refusal
from rowhooks.web.api.waiting import wait_until

Numbered = Call[PressNumbered, Waiting, None]
_OVER = "The press is on record, and its run has ended."


async def press_row(call: Call[Nothing, Waiting, PressedRow]) -> Answer:
    """Press a button on a row."""
    press_id = await _act(call, [call.body.key], is_batch=False)
    found = await _press_after(call, press_id, call.query.wait)
    return Answer(found, _status(found.finished_at is not None), _location(call, "presses", press_id))


async def press_rows(call: Call[Nothing, Waiting, PressedRows]) -> Answer:
    """Press a button on several rows."""
    batch_id = await _act(call, call.body.keys, is_batch=True)
    found = await _batch_after(call, batch_id, call.query.wait)
    return Answer(found, _status(found.finished == found.rows), _location(call, "batches", batch_id))


async def show_own_press(call: Numbered) -> Answer:
    """Show a press of the caller's."""
    return Answer(await _press_after(call, call.path.id, call.query.wait))


async def show_own_batch(call: Numbered) -> Answer:
    """Show a press of several rows of the caller's."""
    return Answer(await _batch_after(call, call.path.id, call.query.wait))


async def _act(call: Call[Any, Any, Any], keys: Sequence[Any], *, is_batch: bool) -> int:
    given = call.body
    pressed = await call.caller.person.act(
        _press, given.button, given.table, keys, call.idempotency_key, given.inputs, is_batch=is_batch
    )
    assert pressed.id is not None, "what has a problem is refused"
    return pressed.id


def _press(
    conn: Connection, button: str, table: str, keys: Sequence[Any], key: str | None, inputs: Any, *, is_batch: bool
) -> Pressing:
    pressed = press_on(conn, button, table, keys, key, inputs, is_batch=is_batch)
    # Raised within the transaction, which PostgreSQL has ended.
    if pressed.is_key_used:
        detail = f"the idempotency key was used for another press of button {button}"
        raise Refusal(KEY_REUSED, detail, hint="give each press a key of its own")
    if pressed.problem:
        fields = [FieldError(part="body", field="/inputs", detail=pressed.problem)]
        raise Refusal(INVALID, f"button {button} does not take these inputs: {pressed.problem}", fields=fields)
    return pressed


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
