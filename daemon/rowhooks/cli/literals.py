"""Values as Python's source, laid out as formatters leave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_INDENT = 4


def quoted(text: str) -> str:
    """Return a text as Python reads it, in double quotes where that needs no escape."""
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain.startswith("'") and '"' not in plain else plain


def literal(value: Any, indent: int | None = None) -> str:
    """Return the source of a value.

    Args:
        value: texts, bytes, numbers, truth values, None; lists and dicts of such.
        indent: that of the line in which it begins, if a dict is to have a line for each item.
    """
    if isinstance(value, str):
        return quoted(str(value))
    if isinstance(value, bytes):
        return f"b{quoted(value.decode('ascii'))}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, Mapping):
        items = [f"{quoted(str(name))}: {literal(one)}" for name, one in value.items()]
        if indent is None or not items:
            return f"{{{', '.join(items)}}}"
        inner = " " * (indent + _INDENT)
        return "{\n" + "".join(f"{inner}{item},\n" for item in items) + " " * indent + "}"
    return repr(value)
