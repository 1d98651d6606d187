"""Conditions on rows, as a page's filters have them, written as SQL. A value is typed by the server when it is sent.

Nothing here calls what a table's or a type's owner has written, beyond what a SELECT of the column calls: see `Column`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from rowhooks.domain.display import shortened
from rowhooks.postgres.connections.errors import first_line
from rowhooks.postgres.console.relations import Column, Relation

OPERATORS = {
    "eq": "equals",
    "contains": "contains, in any case",
    "starts": "starts with",
    "lt": "is less than",
    "gt": "is greater than",
    "null": "is null",
    "notnull": "is not null",
}
"""The operators of filters, and what they are called."""
WITHOUT_VALUE = ("null", "notnull")
LONGEST_VALUE = 500
"""How many characters a filter's value may have."""
_SIGNS = {"eq": "=", "lt": "<", "gt": ">"}
_TEXT_COLLATION = sql.SQL(' collate pg_catalog."C"')
_PARAMETER = re.compile(r"\$(\d+)")


@dataclass(frozen=True)
class Filter:
    """What a column is compared with.

    Args:
        column: the column's name.
        operator: one of OPERATORS.
        value: what a person has written; it has no meaning for an operator WITHOUT_VALUE.
    """

    column: str
    operator: str
    value: str = ""


class Values:
    """The values of a statement, in the order of its placeholders."""

    def __init__(self) -> None:
        self.sent: list[str | None] = []

    def add(self, value: str | None, type_name: str) -> sql.Composed:
        """Return a placeholder for a value that the server reads as one of a type."""
        self.sent.append(value)
        return sql.SQL("cast({} as {})").format(sql.SQL(f"${len(self.sent)}"), sql.SQL(type_name))


def problem_of(one: Filter, relation: Relation) -> str | None:
    """Return what is wrong with a filter as far as that shows without its value being read; None for nothing."""
    column = relation.column(one.column)
    if column is None:
        return f"there is no column {shortened(one.column, 100)}, or you may not read it"
    if one.operator not in OPERATORS:
        return "this is no operator"
    if one.operator in ("lt", "gt") and not column.operators:
        return f"values of type {column.type} have no order"
    if "\0" in one.value:
        return "PostgreSQL has no text with a zero byte"
    if len(one.value) > LONGEST_VALUE:
        return f"the value has more than {LONGEST_VALUE} characters"
    return None


def condition(one: Filter, column: Column, values: Values) -> sql.Composable:
    """Return the condition of a filter.

    Args:
        one: the filter, which `problem_of` has found nothing wrong with.
        column: its column.
        values: where its value is added.
    """
    if one.operator in WITHOUT_VALUE:
        form = "{} is not distinct from null" if one.operator == "null" else "{} is distinct from null"
        return sql.SQL(form).format(plain(column))
    if one.operator in _SIGNS:
        return compare(column, _SIGNS[one.operator], one.value, values)
    escaped = re.sub(r"([\\%_])", r"\\\1", one.value)
    pattern, like = (f"%{escaped}%", "~~*") if one.operator == "contains" else (f"{escaped}%", "~~")
    subject = sql.SQL("{}::pg_catalog.text").format(plain(column)) if column.is_plain_text else as_text(column)
    # A collation that takes different texts for equal has no patterns before PostgreSQL 18.
    collation = sql.SQL(' collate pg_catalog."default"' if column.is_loosely_collated else "")
    return sql.SQL("{}{} operator(pg_catalog.{}) {}").format(
        subject, collation, sql.SQL(like), values.add(pattern, "pg_catalog.text")
    )


def compare(column: Column, sign: str, value: str, values: Values) -> sql.Composable:
    """Return the comparison of a column with a value.

    Args:
        column: the column.
        sign: `<`, `<=`, `=`, `>=` or `>`.
        value: the value as text.
        values: where it is added.
    """
    return sql.SQL("{} {} {}").format(comparable(column), operator_of(column, sign), sent(column, value, values))


def plain(column: Column) -> sql.Composable:
    """Return the column itself."""
    return sql.Identifier("t", column.name)


def as_text(column: Column) -> sql.Composable:
    """Return the text of a column's value, as a SELECT shows it; null stays null. It calls no cast."""
    return sql.SQL("case when {0} is distinct from null then pg_catalog.concat({0}) end").format(plain(column))


def comparable(column: Column) -> sql.Composable:
    """Return what stands for the column in comparisons, and in the order of rows."""
    if not column.operators:
        return sql.SQL("({}){}").format(as_text(column), _TEXT_COLLATION)
    return sql.SQL("{}::{}").format(plain(column), sql.SQL(column.base_type))


def operator_of(column: Column, sign: str) -> sql.Composable:
    """Return the operator of a column's comparisons, qualified."""
    schema, name = name_of_operator(column, sign)
    # The name of an operator is never quoted.
    return sql.SQL("operator({}.{})").format(sql.Identifier(schema), sql.SQL(name))


def name_of_operator(column: Column, sign: str) -> tuple[str, str]:
    """Return schema and name of the operator of a column's comparisons."""
    return column.operators.get(sign, ("pg_catalog", sign))


def sent(column: Column, value: str, values: Values) -> sql.Composable:
    """Return the placeholder of a value that is compared with a column."""
    return values.add(value, column.base_type if column.operators else "pg_catalog.text")


def refused_value(error: psycopg.Error, owners: Sequence[int | None]) -> tuple[int | None, str] | None:
    """Return which filter has a value that the server refuses, and what it says; None where that is not the error.

    Args:
        error: what the server has raised.
        owners: for each value of the statement the number of its filter; None for one that is no filter's.
    """
    if error.sqlstate is None or not error.sqlstate.startswith("22"):
        return None
    found = _PARAMETER.search(error.diag.context or "")
    number = int(found[1]) - 1 if found else -1
    return (owners[number] if 0 <= number < len(owners) else None), shortened(first_line(error), 300)
