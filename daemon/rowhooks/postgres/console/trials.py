"""Past changes that the person may see, for what a hook would do with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from rowhooks.domain.change import ObjectChange
from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.console.sources import SOURCES
from rowhooks.postgres.log_rows import SQL as LOG_ROWS
from rowhooks.postgres.log_rows import VISIBLE_COLUMNS, visible_change
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__, SOURCES, {"size": LOG_ROWS["stored_size"], "visible_columns": VISIBLE_COLUMNS})
LOOKED_AT = 1000
"""How many changes are looked at."""
FEW = 50
"""How many are looked at where it takes too long to find out which ones the person may see."""
PATIENCE = "2s"
"""How long that may take."""
WINDOW = 200_000
"""How many of the newest ids of the log are searched for them."""
LARGEST = 32 * 2**20
"""Bytes of all their rows together, roughly and without compression, that are read."""


@dataclass(frozen=True)
class Past:
    """Past changes of some tables.

    Args:
        tables: the ids of the tables.
        changes: the changes, newest first.
        left_out: how many were left out because their rows, or those of newer changes, are too large.
        most: how many were looked for.
    """

    tables: frozenset[int]
    changes: tuple[ObjectChange, ...]
    left_out: int = 0
    most: int = LOOKED_AT


def past_changes(conn: Connection, tables: Sequence[str], count: int = LOOKED_AT) -> Past:
    """Return the newest changes of some tables that the person may see and that could start a hook.

    Args:
        conn: a connection of the person's.
        tables: as PostgreSQL reads names.
        count: how many at most.

    Raises:
        NotFound: there is no such table.
    """
    with translated_errors():
        return past_changes_of(conn, frozenset(row["id"] for row in fetch(conn, _SQL["ids"], list(tables))), count)


def past_changes_of(conn: Connection, tables: frozenset[int], count: int = LOOKED_AT) -> Past:
    """Return the same of tables by their ids in the list of tracked tables."""
    rows, most = _newest(conn, tables, count)
    changes = tuple(visible_change(row) for row in rows if not row["is_left_out"])
    return Past(tables, changes, len(rows) - len(changes), most)


def _newest(conn: Connection, tables: frozenset[int], count: int) -> tuple[list[Row], int]:
    """Return the newest changes, and how many were looked for: where row security takes its time, few."""
    try:
        with conn.transaction():
            conn.execute(f"set local statement_timeout = '{PATIENCE}'".encode())
            return fetch(conn, _SQL["past"], sorted(tables), count, WINDOW, LARGEST), count
    except psycopg.errors.QueryCanceled:
        return fetch(conn, _SQL["past"], sorted(tables), FEW, WINDOW, LARGEST), FEW
