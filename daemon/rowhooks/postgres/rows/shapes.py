"""The shape of a table: its columns, its key, its foreign keys; and what its relations are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rowhooks.domain.names import join_name
from rowhooks.domain.row_types import KeyColumn

REPRESENTING = (
    "display_name", "display", "name", "label", "title", "hostname", "username", "slug", "code", "serial", "email",
)  # fmt: skip
"""Columns by which people call a row, as in rowhooks.representing_column()."""


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key.

    Args:
        name: the constraint's name.
        relation: the oid of the table that refers.
        schema_name: its schema.
        table_name: its name.
        columns: the columns that refer.
        target: the oid of the table that is referred to.
        target_schema: its schema.
        target_name: its name.
        target_columns: the columns that are referred to.
        equal: the operator for each pair of columns, the target's on the left, qualified.
        is_unique: whether at most one row refers to a row.
        is_of_partition: whether it is that of the table to which this partition belongs; that one has the other end.
    """

    name: str
    relation: int
    schema_name: str
    table_name: str
    columns: tuple[str, ...]
    target: int
    target_schema: str
    target_name: str
    target_columns: tuple[str, ...]
    equal: tuple[str, ...]
    is_unique: bool
    is_of_partition: bool = False

    @property
    def refers_by(self) -> str:
        """What the relation is called, before columns and other relations take the name."""
        if len(self.columns) > 1:
            return self.target_name
        return self.columns[0].removesuffix("_id") or self.columns[0]

    @property
    def other_name(self) -> str:
        """The table that refers, `schema.table`."""
        return join_name(self.schema_name, self.table_name)


@dataclass(frozen=True)
class Relation:
    """One end of a foreign key.

    Args:
        key: the foreign key.
        is_forward: whether it leads from the row that refers to the row that is referred to.
    """

    key: ForeignKey
    is_forward: bool

    @property
    def is_set(self) -> bool:
        """Whether it leads to several rows."""
        return not (self.is_forward or self.key.is_unique)

    @property
    def leads_to(self) -> int:
        """The oid of the table that it leads to."""
        return self.key.target if self.is_forward else self.key.relation


@dataclass(frozen=True)
class Shape:
    """A table as it is now.

    Args:
        relation: its oid.
        schema_name: its schema.
        table_name: its name.
        kind: pg_class.relkind.
        columns: its columns, see `columns`.
        key: the columns that tell its rows apart; none: it can only be read.
        compared: how each column is compared.
        foreign_keys: those that it has, and those that refer to it.
        representing: the column by which people call a row.
    """

    relation: int
    schema_name: str
    table_name: str
    kind: str
    columns: tuple[Any, ...]
    key: tuple[str, ...]
    compared: Mapping[str, KeyColumn] = field(default_factory=dict)
    foreign_keys: tuple[ForeignKey, ...] = ()
    representing: str | None = None

    @property
    def name(self) -> str:
        """`schema.table`."""
        return join_name(self.schema_name, self.table_name)


@dataclass(frozen=True)
class RelationNames:
    """The relations of a table by name, and the names that could mean several of them."""

    relations: Mapping[str, Relation]
    ambiguous: Mapping[str, tuple[str, ...]]

    def name_of(self, key: ForeignKey, *, is_forward: bool) -> str:
        """Return what one end of a foreign key is called."""
        wanted = Relation(key, is_forward)
        return next(name for name, found in self.relations.items() if found == wanted)


def relation_names(shape: Shape, taken: Iterable[str]) -> RelationNames:
    """Return what the relations of a table are called.

    A relation to the row that a foreign key refers to has the name of the key's column without `_id`; where the key has
    several columns, that of the table. The other end is `<table>_set`; `<table>` where at most one row refers. Where
    several would have one name, each gets `_by_` and the columns of its key. What columns and methods have is theirs:
    the relation gets `_`. Where both kinds of relation want a name, the first has it.

    Args:
        shape: the table.
        taken: the names of columns' attributes and of methods.
    """
    keys = shape.foreign_keys
    found: dict[str, Relation] = {}
    ambiguous: dict[str, tuple[str, ...]] = {}
    used = set(taken)
    for is_forward in (True, False):
        wanted: dict[str, list[ForeignKey]] = {}
        for key in keys:
            if key.is_of_partition and not is_forward:
                continue
            if (key.relation if is_forward else key.target) == shape.relation:
                wanted.setdefault(_first_name(key, is_forward=is_forward), []).append(key)
        for first, rivals in wanted.items():
            is_plain = len(rivals) == 1 and (is_forward or first not in found)
            names = [first] if is_plain else [_full_name(first, key, rivals) for key in rivals]
            free = []
            for name in names:
                while name in used:
                    name += "_"
                used.add(name)
                free.append(name)
            found.update(zip(free, (Relation(key, is_forward) for key in rivals), strict=True))
            if not is_plain and first not in used:
                ambiguous[first] = tuple(free)
    return RelationNames(found, ambiguous)


def _first_name(key: ForeignKey, *, is_forward: bool) -> str:
    if is_forward:
        return key.refers_by
    return key.table_name if key.is_unique else f"{key.table_name}_set"


def _full_name(first: str, key: ForeignKey, rivals: list[ForeignKey]) -> str:
    columns = "_".join(key.columns) if len(key.columns) > 1 else key.refers_by
    others = {one.other_name for one in rivals if one is not key and one.columns == key.columns}
    return f"{first}_by_{columns}" + (f"_of_{key.schema_name}" if others else "")
