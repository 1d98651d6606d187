"""The tables whose rows a person may see."""

from __future__ import annotations

from dataclasses import dataclass

from rowhooks.postgres.administration.common import Connection, fetch
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)

PAGE = 50
"""How many tables are on a page."""

IS_SHOWN = _SQL["is_shown"]
"""The condition under which a table has pages; c is its row of pg_class, n its schema's of pg_namespace."""


@dataclass(frozen=True)
class TableEntry:
    """A table in the list of tables.

    Args:
        name: `schema.table`.
        kind: as pg_class.relkind has it: r, p (partitioned), f (foreign), v (a view) or m (a materialized view).
        is_tracked: whether it carries rowhooks' triggers.
        comment: the beginning of its comment; None for none.
        estimated_rows: how many rows PostgreSQL believes it has; None: it was never analysed.
    """

    name: str
    kind: str
    is_tracked: bool
    comment: str | None
    estimated_rows: int | None


@dataclass(frozen=True)
class TablesPage:
    """A page of the list of tables.

    Args:
        tables: those with rowhooks' triggers first, then by name.
        has_more: whether there is a further page.
    """

    tables: tuple[TableEntry, ...]
    has_more: bool


def list_tables(conn: Connection, search: str, number: int) -> TablesPage:
    """Return a page of the tables that the asking role may select anything from.

    Args:
        conn: a connection of the person's.
        search: a part of the name, in any case; empty: all tables.
        number: the number of the page, from 1.
    """
    found = fetch(conn, _SQL["tables"], search, PAGE + 1, (number - 1) * PAGE)
    return TablesPage(tuple(TableEntry(**row) for row in found[:PAGE]), len(found) > PAGE)
