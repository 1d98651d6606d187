"""The columns of a tracked table as SQLAlchemy's columns. They are read from the catalogue, so that no type is unknown.

A type without a counterpart in Python (an enum, a composite type, xml, ltree, geometry ...) is text, as PostgreSQL
writes it. So nothing goes out of date when such a type is altered.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import types
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.ranges import AbstractMultiRange, AbstractSingleRange

from rowhooks.postgres.rows.column_types import ArrayType, DriverType, KeyType, ServerType
from rowhooks.postgres.rows.in_place import as_document
from rowhooks.postgres.statements import Statements

_COLUMNS = sqlalchemy.text(Statements(__file__)["columns"])

_KNOWN: dict[str, Callable[[], types.TypeEngine[Any]]] = {
    "bool": postgresql.BOOLEAN,
    "int2": postgresql.SMALLINT, "int4": postgresql.INTEGER, "int8": postgresql.BIGINT,
    # Otherwise a parameter would be a float8, which equals few values of float4.
    "float4": lambda: ServerType("pg_catalog.float4"), "float8": postgresql.DOUBLE_PRECISION,
    "numeric": postgresql.NUMERIC,
    "text": postgresql.TEXT, "varchar": postgresql.VARCHAR,
    "bpchar": lambda: ServerType("pg_catalog.bpchar"),
    "bytea": postgresql.BYTEA, "uuid": postgresql.UUID,
    "date": postgresql.DATE, "time": postgresql.TIME, "timetz": lambda: postgresql.TIME(timezone=True),
    "timestamp": postgresql.TIMESTAMP, "timestamptz": lambda: postgresql.TIMESTAMP(timezone=True),
    "interval": postgresql.INTERVAL,
    "json": postgresql.JSON, "jsonb": postgresql.JSONB,
    "inet": postgresql.INET, "cidr": postgresql.CIDR,
    "int4range": postgresql.INT4RANGE, "int8range": postgresql.INT8RANGE, "numrange": postgresql.NUMRANGE,
    "daterange": postgresql.DATERANGE, "tsrange": postgresql.TSRANGE, "tstzrange": postgresql.TSTZRANGE,
    "int4multirange": postgresql.INT4MULTIRANGE, "int8multirange": postgresql.INT8MULTIRANGE,
    "nummultirange": postgresql.NUMMULTIRANGE, "datemultirange": postgresql.DATEMULTIRANGE,
    "tsmultirange": postgresql.TSMULTIRANGE, "tstzmultirange": postgresql.TSTZMULTIRANGE,
    "hstore": postgresql.HSTORE, "citext": postgresql.CITEXT,
}  # fmt: skip
"""SQLAlchemy's types by the names that PostgreSQL's own types, and two of its extensions, have in the catalogue."""


class ColumnShape(NamedTuple):
    """A column as the catalogue has it; `as_column` makes SQLAlchemy's of it."""

    relation: int
    name: str
    is_generated: bool
    has_default: bool
    quoted: str
    known_as: str | None
    item: int | None
    item_quoted: str | None
    item_known_as: str | None
    delimiter: str | None

    def type(self, *, is_key: bool) -> types.TypeEngine[Any]:
        """Return SQLAlchemy's type."""
        if self.item is None:
            return _scalar(self.known_as, self.quoted, is_key=is_key)
        item = _scalar(self.item_known_as, str(self.item_quoted), is_key=is_key)
        return ArrayType(self.quoted, item, self.item, str(self.delimiter), is_compared=is_key)

    @property
    def has_parts(self) -> bool:
        """Whether a value has parts, which makes it a list or a dict."""
        name = self.known_as or ""
        return self.item is not None or name in ("json", "jsonb", "hstore") or name.endswith("multirange")


def _scalar(known_as: str | None, quoted: str, *, is_key: bool) -> types.TypeEngine[Any]:
    make = _KNOWN.get(known_as or "")
    if make is None:
        return ServerType(quoted, is_compared=is_key)
    found = make()
    if isinstance(found, types.JSON):
        return as_document(found)
    is_converted = isinstance(found, types.Numeric | postgresql.HSTORE | AbstractSingleRange | AbstractMultiRange)
    return DriverType(found) if is_converted else found


def read_columns(connection: sqlalchemy.Connection, relations: Iterable[int]) -> dict[int, tuple[ColumnShape, ...]]:
    """Return the columns of some tables, in order, by the oids of the tables; a table that is gone is left out.

    Args:
        connection: any connection.
        relations: the oids.
    """
    rows = connection.execute(_COLUMNS, {"relations": array_of(relations)})
    return {
        relation: tuple(columns)
        for relation, columns in itertools.groupby(map(ColumnShape._make, rows), lambda column: column.relation)
    }


def array_of(relations: Iterable[int]) -> str:
    """Return oids as PostgreSQL writes an array of them."""
    return f"{{{','.join(map(str, relations))}}}"


def as_column(found: ColumnShape, *, is_key: bool) -> sqlalchemy.Column[Any]:
    """Return SQLAlchemy's column.

    Args:
        found: what the catalogue has.
        is_key: whether it is part of the key.
    """
    type_ = found.type(is_key=is_key)
    # RETURNING reads the values back that the server chooses.
    return sqlalchemy.Column(
        found.name,
        KeyType(type_) if is_key and found.has_parts else type_,
        server_default=sqlalchemy.FetchedValue() if found.has_default or found.is_generated else None,
        server_onupdate=sqlalchemy.FetchedValue() if found.is_generated else None,
        primary_key=is_key,
        autoincrement=False,
    )
