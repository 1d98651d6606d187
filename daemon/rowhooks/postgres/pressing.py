"""A press, on whichever kind of connection the application has. Nothing here imports a driver."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from typing import Any

from rowhooks.postgres.foreign_connections import Query, first_value

_PARAMETERS = ("button", "table", "key", "idempotency_key")
_BY_TEXT = Query(__file__, "press_by_text", _PARAMETERS)
_BY_JSON = Query(__file__, "press_by_json", _PARAMETERS)


def press(connection: Any, button: str, table: str, key: object, idempotency_key: str | None) -> int | Awaitable[int]:
    """Press a button; see `rowhooks.press`."""
    is_json = isinstance(key, Mapping)
    values = (button, table, as_json(key) if isinstance(key, Mapping) else as_text(key), idempotency_key)
    pressed: int | Awaitable[int] = first_value(connection, _BY_JSON if is_json else _BY_TEXT, values)
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
