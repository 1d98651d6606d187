"""Columns that were renamed: what a hook asks for, under the names that a row has. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_ROWS = ("new", "old")


def names_of(column: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """Return what a column that is asked for may be called in a row of the log, its present name first.

    Args:
        column: the name by which it is asked for.
        names: former names of the table's columns, each with its present one.
    """
    present = names.get(column, column)
    former = [name for name, now in names.items() if now == present]
    return tuple(dict.fromkeys((present, *former, column)))


def columns_in(conditions: Any) -> Iterator[str]:
    """Yield the columns that well-formed conditions ask for, as json.loads returns them."""
    if isinstance(conditions, list):
        for condition in conditions:
            yield from columns_in(condition)
    elif isinstance(conditions, dict):
        if isinstance(attr := conditions.get("attr"), str):
            yield _apart(attr)[1]
        for logic in ("and", "or", "not"):
            yield from columns_in(conditions.get(logic))


def with_columns(conditions: Any, name: Callable[[str], str]) -> Any:
    """Return well-formed conditions that ask for other columns.

    Args:
        conditions: as json.loads returns them.
        name: gives each column the name that it is to have.
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
        # A column that is called so would be taken for the row.
        row = row or ("new." if present in _ROWS and present != column else "")
        renamed["attr"] = f"{row}{present}{rest}"
    return renamed


def without_columns(conditions: Any, is_gone: Callable[[str], bool]) -> Any:
    """Return well-formed conditions without the comparisons that ask for certain columns; None where none is left."""
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
