"""How the columns of a table's key are compared, asked of the catalogue."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import NotFound
from rowhooks.postgres.statements import Statements

_KEY_COLUMNS = sqlalchemy.text(Statements(__file__)["key_columns"])


class KeyColumn(NamedTuple):
    """A column of a key, as it is compared.

    Args:
        name: the column's name.
        equal: the operator of its index, qualified.
        type: the type that a value of the log is read as, qualified. It is the type below all domains: the checks of a
            domain are code of its owner.
        by_text: whether it is compared by its text, because reading a value of its own type would run such code.
    """

    name: str
    equal: str
    type: str
    by_text: bool

    @property
    def is_indistinct(self) -> bool:
        """Whether JSON may not lead back to a value: bounds of arrays, and the null of jsonb."""
        others = ("pg_catalog.jsonb", "pg_catalog.int2vector", "pg_catalog.oidvector")
        return not self.by_text and (self.type.startswith("pg_catalog._") or self.type in others)

    @property
    def is_conflated(self) -> bool:
        """Whether Python takes several of its values for one: 10:00+00 and 11:00+01, the true and the 1 of jsonb."""
        return self.type.removeprefix("pg_catalog.").removeprefix("_") in ("timetz", "jsonb")


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
