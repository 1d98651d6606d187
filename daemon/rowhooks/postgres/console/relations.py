"""Tables as the console's pages need them: columns, key, foreign keys. All of it is what the asking role may know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rowhooks.domain.errors import NotFound
from rowhooks.domain.names import quoting_hint, split_name
from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.connections.any_bytes import may_hold_any_bytes
from rowhooks.postgres.console.tables import IS_SHOWN
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__, {"is_shown": IS_SHOWN})
_STRATEGIES = {"1": "<", "2": "<=", "3": "=", "4": ">=", "5": ">"}
"""The numbers of a B-tree's operators."""


@dataclass(frozen=True)
class Column:
    """A column that the asking role may select.

    Args:
        name: its name.
        type: its type with the modifiers, as PostgreSQL writes it.
        base_type: the type that its values are compared as, as SQL needs it: no domain, without modifiers.
        operators: `<`, `<=`, `=`, `>=` and `>` to schema and name of the type's default operators. Empty: its values
            are compared by their text. The type has no order, or its owner's code would have to make a value of it.
        is_plain_text: whether it is text or varchar.
        is_bytes: whether it is bytea.
        is_long: whether its values have no fixed length.
        is_loosely_collated: whether its collation takes different texts for equal.
        is_nullable: whether it may be null.
        is_indexed: whether an index begins with it.
        comment: the beginning of its comment; None for none.
        is_bytewise: whether the server counts the bytes of a text for its characters: it knows no encoding.
    """

    name: str
    type: str
    base_type: str
    operators: Mapping[str, tuple[str, str]]
    is_plain_text: bool
    is_bytes: bool
    is_long: bool
    is_loosely_collated: bool
    is_nullable: bool
    is_indexed: bool
    comment: str | None
    is_bytewise: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key, seen from the table that it belongs to or from the one that it refers to.

    Args:
        name: its name.
        relation: the table at the other end, `schema.table`.
        columns: the columns of the key.
        target_columns: the columns that they refer to, in the same order.
        is_primary: whether these are the primary key of their table.
    """

    name: str
    relation: str
    columns: tuple[str, ...]
    target_columns: tuple[str, ...]
    is_primary: bool


@dataclass(frozen=True)
class Key:
    """The primary key of a table, and the parts of a query that finds a row by it: see rowhooks.key_to_find.

    Args:
        columns: its columns, in order.
        definitions: the columns of the record k that holds a key.
        comparisons: the condition under which the row t has the key k.
        items: the key of the row t, as the log has it.
    """

    columns: tuple[str, ...]
    definitions: str
    comparisons: str
    items: str


@dataclass(frozen=True)
class Relation:
    """A table or view whose rows the asking role may see.

    Args:
        oid: its oid.
        root_oid: that of the partitioned table of which it is a partition; its own where it is none.
        quoted: its name as SQL needs it.
        name: its name, `schema.table`.
        kind: as pg_class.relkind has it.
        comment: the beginning of its comment; None for none.
        root: the partitioned table of which it is a partition; None: it is none.
        key: its primary key; None: it has none, or the role may not read all of it.
        columns: those that the role may select.
        referred: its foreign keys to tables that the role may select from.
        referring: the foreign keys to it, of such tables.
        buttons: its buttons, as the view rowhooks.buttons has them; of a partition those of its root.
    """

    oid: int
    root_oid: int
    quoted: str
    name: str
    kind: str
    comment: str | None
    root: str | None
    key: Key | None
    columns: tuple[Column, ...]
    referred: tuple[ForeignKey, ...]
    referring: tuple[ForeignKey, ...]
    buttons: tuple[Row, ...] = ()

    def column(self, name: str) -> Column | None:
        """Return a column by its name; None where there is none that the role may select."""
        return next((column for column in self.columns if column.name == name), None)


def describe(conn: Connection, table: str, *, with_references: bool = False, with_buttons: bool = False) -> Relation:
    """Return a table or view as the asking role may see it.

    Args:
        conn: a connection of the person's.
        table: `schema.table`, as stored.
        with_references: whether to look foreign keys up.
        with_buttons: whether to look its buttons up.

    Raises:
        NotFound: there is no such table, or the role may select nothing from it.
    """
    parts = split_name(table)
    found = fetch(conn, _SQL["relation"], *parts, with_references, with_buttons) if parts and "\0" not in table else []
    if not found:
        raise NotFound(f"there is no table {table}, or you may not read it", hint=quoting_hint(table))
    (row,) = found
    is_bytewise = may_hold_any_bytes(conn)
    columns = tuple(_column(column, is_bytewise=is_bytewise) for column in row["columns"])
    return Relation(
        oid=row["oid"], root_oid=row["root_oid"], quoted=row["quoted"], name=row["name"], kind=row["kind"],
        comment=row["comment"], root=row["root"], key=_key(row, columns), columns=columns,
        referred=tuple(map(_foreign_key, row["referred"])), referring=tuple(map(_foreign_key, row["referring"])),
        buttons=tuple(row["buttons"]),
    )  # fmt: skip


def _column(row: Mapping[str, Any], *, is_bytewise: bool) -> Column:
    operators = {_STRATEGIES[number]: (schema, name) for number, (schema, name) in (row["operators"] or {}).items()}
    return Column(
        name=row["name"], type=row["type"], base_type=row["base_type"],
        operators=operators if len(operators) == len(_STRATEGIES) else {},
        is_plain_text=row["is_plain_text"], is_bytes=row["is_bytes"], is_long=row["is_long"],
        is_loosely_collated=row["is_loosely_collated"], is_nullable=row["is_nullable"], is_indexed=row["is_indexed"],
        comment=row["comment"], is_bytewise=is_bytewise,
    )  # fmt: skip


def _key(row: Mapping[str, Any], columns: tuple[Column, ...]) -> Key | None:
    names = tuple(row["key_columns"])
    if not names or not set(names) <= {column.name for column in columns}:
        return None
    return Key(names, row["key_definitions"], row["key_comparisons"], row["key_items"])


def _foreign_key(row: Mapping[str, Any]) -> ForeignKey:
    return ForeignKey(
        row["name"], row["relation"], tuple(row["columns"]), tuple(row["target_columns"]), row["is_primary"]
    )
