"""Columns that were renamed: the conditions of a hook, under the names that the columns of a row have. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_ROWS = ("new", "old")


def names_of(column: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names that a column may have in a row of the log, the present name first.

    Args:
        column: the name by which a hook asks for it.
        names: former names of the table's columns, each with its present one.
    """
    present = names.get(column, column)
    former = [name for name, now in names.items() if now == present]
    return tuple(dict.fromkeys((present, *former, column)))


def columns_in(conditions: Any) -> Iterator[str]:
    """Yield the columns that well-formed conditions (as json.loads returns them) ask for."""
    if isinstance(conditions, list):
        for condition in conditions:
            yield from columns_in(condition)
    elif isinstance(conditions, dict):
        if isinstance(attr := conditions.get("attr"), str):
            yield _apart(attr)[1]
        for logic in ("and", "or", "not"):
            yield from columns_in(conditions.get(logic))


def with_columns(conditions: Any, name: Callable[[str], str]) -> Any:
    """Return well-formed conditions with other names of columns.

    Args:
        conditions: as json.loads returns them.
        name: returns the new name of a column.
    """
    if isinstance(conditions, list):
        return [with_columns(condition, name) for condition in conditions]
    if not isinstance(conditions, dict):
        return conditions
    renamed = {
        key: with_columns(value, name) if key in ("and", "or", "not") else value for key, value in conditions.items()
    }
    if isinstance(attr := conditions.get("attr"), str):
        row, column, rest = _apart(attr)
        present = name(column)
        # A column with such a name would be taken for the row.
        row = row or ("new." if present in _ROWS and present != column else "")
        renamed["attr"] = f"{row}{present}{rest}"
    return renamed


def without_columns(conditions: Any, is_gone: Callable[[str], bool]) -> Any:
    """Return well-formed conditions without the comparisons of certain columns; None where no comparison is left."""
    if not isinstance(conditions, dict):
        return None
    if "not" in conditions:
        part = without_columns(conditions["not"], is_gone)
        return None if part is None else {"not": part}
    for logic in ("and", "or"):
        if logic in conditions:
            parts = [part for one in conditions[logic] if (part := without_columns(one, is_gone)) is not None]
            return {logic: parts} if parts else None
    return None if is_gone(_apart(str(conditions.get("attr")))[1]) else conditions


def _apart(attr: str) -> tuple[str, str, str]:
    """Return row, column and the rest of the path of an attr: `old.status.value` is `old.`, status, `.value`."""
    first, dot, rest = attr.partition(".")
    row = ""
    if first in _ROWS and dot:
        row = f"{first}."
        first, dot, rest = rest.partition(".")
    return row, first, f"{dot}{rest}"
