"""What the modules of this package share: rows as dictionaries, and the one row that was meant."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from rowhooks.domain.errors import Conflict, NotFound

Connection = psycopg.Connection[Any]
Row = dict[str, Any]


def fetch(conn: Connection, query: str, parameters: Any = None) -> list[Row]:
    """Return what a query finds, as dictionaries."""
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


def only(found: list[Row], what: str, wanted: object, hint: str) -> Row:
    """Return the one row found.

    Raises:
        NotFound: there is none.
        Conflict: there are several.
    """
    if not found:
        raise NotFound(f"there is no {what} {wanted}", hint=hint)
    if len(found) > 1:
        names = ", ".join(str(row.get("class_path") or row.get("name")) for row in found)
        raise Conflict(f"{what} {wanted} could be any of: {names}", hint="give the full name")
    return found[0]


def conditions(**wanted: tuple[str, Any]) -> sql.Composable:
    """Return a WHERE clause of the comparisons whose value is given; names are columns of ours, values are quoted."""
    chosen = [
        sql.SQL("{} = {}").format(sql.SQL(column), sql.Literal(value))
        for column, value in wanted.values()
        if value is not None
    ]
    return sql.SQL(" and ").join(chosen) if chosen else sql.SQL("true")
