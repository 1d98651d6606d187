"""A press, on whichever kind of connection the application has. Nothing here imports a driver."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

from rowhooks.domain.input_values import inputs_as_json
from rowhooks.postgres.foreign_connections import Query, first_value

_PARAMETERS = ("button", "table", "key", "idempotency_key", "inputs")
_BY_TEXT = Query.read(__file__, "press_by_text", _PARAMETERS)
_BY_JSON = Query.read(__file__, "press_by_json", _PARAMETERS)
_MANY = Query.read(__file__, "press_many", _PARAMETERS)


def press(
    connection: Any, button: str, table: str, key: object, idempotency_key: str | None, inputs: Any
) -> int | Awaitable[int]:
    """Press a button; see `rowhooks.press`."""
    is_json = isinstance(key, Mapping)
    given = as_json(key) if isinstance(key, Mapping) else as_text(key)
    values = (button, table, given, idempotency_key, inputs_as_json(inputs))
    pressed: int | Awaitable[int] = first_value(connection, _BY_JSON if is_json else _BY_TEXT, values)
    return pressed


def press_many(
    connection: Any, button: str, table: str, keys: Iterable[object], idempotency_key: str | None, inputs: Any
) -> int | Awaitable[int]:
    """Press a button on several rows; see `rowhooks.press_many`."""
    if isinstance(keys, str | bytes | Mapping):
        raise TypeError(f"keys are a list of keys, not one {type(keys).__qualname__}: its parts would be keys")
    given = [dict(key) if isinstance(key, Mapping) else as_text(key) for key in keys]
    text = json.dumps(given, default=as_text, ensure_ascii=False)
    pressed: int | Awaitable[int] = first_value(
        connection, _MANY, (button, table, text, idempotency_key, inputs_as_json(inputs))
    )
    return pressed


def as_text(value: object) -> str | None:
    """Return a key's value as text; PostgreSQL reads numbers, dates and UUIDs as Python writes them."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"\\x{bytes(value).hex()}"
    return None if value is None else str(value)


def as_json(value: Mapping[str, object]) -> str:
    """Return a key of named columns as JSON."""
    # json knows no mapping but dict.
    return json.dumps(dict(value), default=as_text, ensure_ascii=False)
