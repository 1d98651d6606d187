"""Changes of the log, read for a command. A change that cannot be read is returned with its key alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from rowhooks.domain.change import ObjectChange
from rowhooks.postgres.administration.common import LOGS, Connection, log_of
from rowhooks.postgres.connections.errors import is_lost_connection
from rowhooks.postgres.log_rows import IS_LARGE, LARGE_BY_ID, SMALL_COLUMNS, object_change
from rowhooks.postgres.statements import Statements
from rowhooks.postgres.unreadable import FIXED, TEXT_OF, TEXTS, Text, reason_of, row_of_texts

_SQL = Statements(__file__, {"columns": SMALL_COLUMNS})


def read_changes(conn: Connection, ids: Sequence[int]) -> list[ObjectChange]:
    """Return the changes with these ids that are in the log, as receivers get them, in the order of their ids.

    Args:
        conn: an open connection, in a transaction or not.
        ids: rowhooks.object_change.id.
    """
    try:
        rows = _fetch(conn, _SQL["by_id"], list(ids))
    except _Unreadable as error:
        if len(ids) > 1:
            half = len(ids) // 2
            return read_changes(conn, ids[:half]) + read_changes(conn, ids[half:])
        return _without_rows(conn, ids[0], str(error))
    changes = []
    for row in rows:
        changes += _large(conn, row[0], row[-1]) if row[IS_LARGE] else [object_change(row, row[-1])]
    return changes


class _Unreadable(Exception):
    """The rows cannot be read."""


def _fetch(conn: Connection, query: str, parameter: Any) -> list[Any]:
    try:
        with conn.transaction():
            return _rows(conn, query, parameter)
    except psycopg.errors.InsufficientPrivilege:
        raise
    except Exception as error:  # Python may be unable to hold a value
        if is_lost_connection(error) or conn.closed:
            raise
        raise _Unreadable(reason_of(error)) from error


def _large(conn: Connection, id_: int, table: str) -> list[ObjectChange]:
    try:
        return [object_change(row, table) for row in _fetch(conn, LARGE_BY_ID, id_)]
    except _Unreadable as error:
        return _without_rows(conn, id_, str(error))


def _without_rows(conn: Connection, id_: int, reason: str) -> list[ObjectChange]:
    texts: dict[str, Text] = {}
    for name in TEXTS:
        try:
            texts[name] = next((tuple(row) for row in _fetch(conn, TEXT_OF[name], id_)), (None, False))
        except _Unreadable:
            texts[name] = (None, True)
    fixed = _rows(conn, FIXED, id_)
    names = _rows(conn, _SQL["table_of"], id_)
    return [object_change(row_of_texts(row, texts, reason), name[0]) for row, name in zip(fixed, names, strict=False)]


def _rows(conn: Connection, query: str, parameter: Any) -> list[Any]:
    # A role that may not read the log reads what it may see of it, which has the same columns.
    query = query.replace(LOGS[0], log_of(conn))
    with psycopg.RawCursor(conn) as cursor:
        return cursor.execute(query, (parameter,)).fetchall()
