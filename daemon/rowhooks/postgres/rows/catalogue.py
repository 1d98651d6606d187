"""The shapes of tables, read from PostgreSQL's catalogue: of many tables by as many queries as of one."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from rowhooks.domain.names import split_name
from rowhooks.postgres.rows.columns import array_of, read_columns
from rowhooks.postgres.rows.key_columns import compare_columns
from rowhooks.postgres.rows.shapes import REPRESENTING, ForeignKey, Shape
from rowhooks.postgres.statements import Statements

_STATEMENTS = Statements(__file__)
_NAMED = sqlalchemy.text(_STATEMENTS["named"])
_FOREIGN_KEYS = sqlalchemy.text(_STATEMENTS["foreign_keys"])
_TABLES = sqlalchemy.text(_STATEMENTS["tables"])


def find_tables(connection: sqlalchemy.Connection, names: Iterable[str]) -> list[int]:
    """Return the oids of the tables of some names, `schema.table`; a name that no table has is left out."""
    wanted = json.dumps([split_name(name) for name in names], ensure_ascii=False)
    return list(connection.execute(_NAMED, {"names": wanted}).scalars())


def read_shapes(connection: sqlalchemy.Connection, relations: Collection[int]) -> list[Shape]:
    """Return the shapes of some tables, and of the tables that these refer to; a table that is gone is left out.

    Args:
        connection: any connection.
        relations: the oids of the tables.
    """
    if not relations:
        return []
    keys = _foreign_keys(connection, relations)
    asked = set(relations)
    near = {*asked, *(key.target for key in keys if key.relation in asked)}
    columns = read_columns(connection, near)
    compared = compare_columns(connection, near)
    of_table: dict[int, dict[ForeignKey, None]] = {}
    for key in keys:
        of_table.setdefault(key.relation, {})[key] = None
        of_table.setdefault(key.target, {})[key] = None
    return [
        _shape(row, columns, compared, tuple(of_table.get(row.relation, ())))
        for row in connection.execute(_TABLES, {"relations": array_of(near)})
    ]


def read_readable_shapes(connection: sqlalchemy.Connection, relations: Collection[int]) -> list[Shape]:
    """Do the same, and leave out a table that cannot be read: it has a name that is no text.

    After an error the connection is outside a transaction.

    Raises:
        DBAPIError: the server does not answer.
    """
    try:
        return read_shapes(connection, relations)
    except (SQLAlchemyError, UnicodeDecodeError) as error:
        is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
        if is_lost or len(relations) <= 1:
            if is_lost:
                raise
            connection.rollback()
            return []
    connection.rollback()
    found: dict[int, Shape] = {}
    for relation in relations:
        found |= {shape.relation: shape for shape in read_readable_shapes(connection, [relation])}
    return list(found.values())


def _foreign_keys(connection: sqlalchemy.Connection, relations: Iterable[int]) -> list[ForeignKey]:
    rows = connection.execute(_FOREIGN_KEYS, {"relations": array_of(relations)})
    return [_foreign_key(row) for row in rows]


def _foreign_key(row: Any) -> ForeignKey:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in row._asdict().items()
    }
    return ForeignKey(**values)


def _shape(row: Any, columns: Any, compared: Any, keys: tuple[ForeignKey, ...]) -> Shape:
    own = columns.get(row.relation, ())
    names = {column.name for column in own}
    return Shape(
        relation=row.relation,
        schema_name=row.schema_name,
        table_name=row.table_name,
        kind=row.kind,
        columns=own,
        key=tuple(row.key),
        compared=compared.get(row.relation, {}),
        foreign_keys=keys,
        representing=next((name for name in REPRESENTING if name in names), None),
    )
