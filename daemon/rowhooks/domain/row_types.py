"""What rowhooks knows of a class whose instances are rows of a table: ours, or a user's own model.

The classes say nothing of it themselves, because a user's own class need not know rowhooks.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rowhooks.domain.configuration import TrackedTable


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


@dataclass(frozen=True)
class RowType:
    """A class whose instances are the rows of one table.

    Args:
        cls: the class, mapped by SQLAlchemy.
        table_name: `schema.table`.
        key: the columns that tell the rows apart.
        attributes: columns to attributes of the class.
        name_of: returns what people call a row.
        loaded_with: SQLAlchemy's execution options for queries of it.
        queries: those that were made for it, which find rows by their keys, by the table's name as SQL has it.
    """

    cls: type
    table_name: str
    key: tuple[KeyColumn, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    name_of: Callable[[Any], str] = str
    loaded_with: Mapping[str, Any] = field(default_factory=dict)
    queries: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


class RowTypes:
    """The row types of one daemon, by the ids of tracked tables."""

    def __init__(self) -> None:
        self._by_table: dict[int, tuple[TrackedTable, RowType]] = {}

    def of_table(self, table: TrackedTable) -> RowType | None:
        """Return the row type of a table; None where it is not known, or where the table was altered since."""
        known = self._by_table.get(table.id)
        return known[1] if known is not None and known[0] == table else None

    def learn(self, table: TrackedTable, row_type: RowType) -> None:
        """Note the row type of a table, as the table is now."""
        self._by_table[table.id] = table, row_type
        describe_rows(row_type)

    def forget(self) -> None:
        """Forget the row types of all tables: there are new ones."""
        self._by_table.clear()


_described: weakref.WeakKeyDictionary[type, RowType] = weakref.WeakKeyDictionary()


def describe_rows(row_type: RowType) -> None:
    """Let `row_type_of` find a row type by its class."""
    _described[row_type.cls] = row_type


def row_type_of(cls: type) -> RowType | None:
    """Return the row type of a class or of its nearest base; None where instances of it are no rows."""
    found = _described.get(cls)
    if found is None:
        for base in cls.__mro__[1:]:
            found = _described.get(base)
            if found is not None:
                break
    return found


def table_of(instance: object) -> str | None:
    """Return the table, `schema.table`, of an object that is a row; None of another object."""
    found = row_type_of(type(instance))
    return None if found is None else found.table_name


def is_row_of(instance: object, table_name: str) -> bool:
    """Say whether an object is a row of a table; a row of a class that inherits from that of the table is one too."""
    return any(
        found is not None and found.table_name == table_name for found in map(_described.get, type(instance).__mro__)
    )
