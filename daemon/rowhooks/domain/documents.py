"""JSON documents as Python values: compared, and written, whatever numbers and depth they have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from rowhooks.domain import exact


def tokens(value: Any) -> list[Any]:
    """Return what a value consists of, in a form that is altered by nothing and compares true, 1 and 1.0 as unlike.

    Raises:
        ValueError: it contains itself.
    """
    found: list[Any] = []
    # Without recursion: documents may be nested deeper than Python goes.
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
    """Return a value as JSON for a driver: numbers of any length, nested as deep as it may be.

    Raises:
        TypeError: JSON has no such value.
        ValueError: it contains itself.
    """
    try:
        return json.dumps(value)
    except (RecursionError, TypeError):
        tokens(value)
        return exact.write(value, default=_refuse)


def _refuse(value: Any) -> Any:
    raise TypeError(f"a {type(value).__name__} cannot be part of a JSON document")
