"""Filters for env.py: schema rowhooks is made by `rowhooks init`, and autogenerate is to leave it alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SCHEMA = "rowhooks"


def include_name(name: str | None, type_: str, parent_names: Mapping[str, Any]) -> bool:
    """Leave schema rowhooks out of what autogenerate reads: `context.configure(include_name=include_name, ...)`.

    It is needed with `include_schemas=True`. In a function of your own, return what this one returns where yours is
    true.
    """
    schema = name if type_ == "schema" else parent_names.get("schema_name")
    return schema != _SCHEMA


def include_object(object_: Any, name: str | None, type_: str, reflected: bool, compare_to: Any) -> bool:
    """Leave schema rowhooks out of what autogenerate compares; for env.py files that have `include_object` alone."""
    table = object_ if type_ == "table" else getattr(object_, "table", None)
    return getattr(table, "schema", None) != _SCHEMA
