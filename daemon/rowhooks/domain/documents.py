"""JSON documents as Python values: how they are compared and written, whatever numbers and depth they have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from rowhooks.domain import exact


def tokens(value: Any) -> list[Any]:
    """Return the parts of a value as a flat list, which no later change of the value alters.

    In the list true, 1 and 1.0 are different.

    Raises:
        ValueError: the value contains itself.
    """
    found: list[Any] = []
    # Without recursion: documents may be nested deeper than Python's recursion goes.
    todo: list[Iterator[Any]] = [iter((value,))]
    path: dict[int, None] = {}
    while todo:
        for one in todo[-1]:
            if isinstance(one, dict | list | tuple):
                if id(one) in path:
                    raise ValueError("a value that contains itself cannot be saved")
                found.append((type(one), len(one)))
                path[id(one)] = None
                todo.append(_parts(one))
                break
            found.append((type(one), str(one) if isinstance(one, Decimal | float) else one))
        else:
            todo.pop()
            if path:
                path.popitem()
    return found


def _parts(value: Any) -> Iterator[Any]:
    if not isinstance(value, dict):
        yield from value
        return
    for name, inner in value.items():
        yield name
        yield inner


def write_json(value: Any) -> str:
    """Return a value as JSON for a driver, with numbers of any length and to any depth.

    Raises:
        TypeError: JSON has no such value.
        ValueError: the value contains itself.
    """
    try:
        return json.dumps(value)
    except (RecursionError, TypeError):
        tokens(value)
        return exact.write(value, default=_refuse)


def _refuse(value: Any) -> Any:
    raise TypeError(f"a {type(value).__name__} cannot be part of a JSON document")
