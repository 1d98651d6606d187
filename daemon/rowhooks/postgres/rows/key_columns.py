"""How the columns of a table's key are compared, asked of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import NotFound
from rowhooks.domain.row_types import KeyColumn
from rowhooks.postgres.rows.columns import array_of
from rowhooks.postgres.statements import Statements

_KEY_COLUMNS = sqlalchemy.text(Statements(__file__)["key_columns"])


def compare_columns(connection: sqlalchemy.Connection, relations: Iterable[int]) -> dict[int, dict[str, KeyColumn]]:
    """Return how the columns of some tables are compared, by the oids of the tables and the names of the columns."""
    found: dict[int, dict[str, KeyColumn]] = {}
    for relation, *column in connection.execute(_KEY_COLUMNS, {"relations": array_of(relations)}):
        found.setdefault(relation, {})[column[0]] = KeyColumn(*column)
    return found


def read_key_columns(connection: sqlalchemy.Connection, table: TrackedTable) -> tuple[KeyColumn, ...]:
    """Return how the columns of a table's key are compared, in the key's order.

    Raises:
        NotFound: a column of the key no longer exists.
    """
    return key_of(table, compare_columns(connection, [table.relation]).get(table.relation, {}))


def key_of(table: TrackedTable, compared: Mapping[str, KeyColumn]) -> tuple[KeyColumn, ...]:
    """Return the key of a table.

    Args:
        table: the table.
        compared: how its columns are compared, by their names.

    Raises:
        NotFound: a column of the key no longer exists.
    """
    missing = [name for _, name, _ in table.key if name not in compared]
    if missing:
        raise NotFound(f"column {missing[0]!r} of {table.name} no longer exists", hint="run: rowhooks doctor")
    return tuple(compared[name] for _, name, _ in table.key)
