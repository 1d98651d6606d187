"""How the columns of a table's key are compared, asked of the catalogue."""

from __future__ import annotations

import sqlalchemy

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import NotFound
from rowhooks.domain.row_types import KeyColumn
from rowhooks.postgres.statements import Statements

_KEY_COLUMNS = sqlalchemy.text(Statements(__file__)["key_columns"])


def read_key_columns(connection: sqlalchemy.Connection, table: TrackedTable) -> tuple[KeyColumn, ...]:
    """Return how the columns of a table's key are compared, in the key's order.

    Raises:
        NotFound: a column of the key no longer exists.
    """
    found = {row[0]: KeyColumn(*row) for row in connection.execute(_KEY_COLUMNS, {"relation": table.relation})}
    missing = [name for _, name, _ in table.key if name not in found]
    if missing:
        raise NotFound(f"column {missing[0]!r} of {table.name} no longer exists", hint="run: rowhooks doctor")
    return tuple(found[name] for _, name, _ in table.key)
