"""One row of a table, found by its key with the rights of the asking role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import RawCursor, sql
from psycopg.adapt import Transformer

from rowhooks.domain.errors import NotFound, TableLocked
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.connections.any_bytes import adapt_to_any_bytes, as_sent
from rowhooks.postgres.connections.errors import first_line
from rowhooks.postgres.connections.loaders import adapted
from rowhooks.postgres.console.cells import WHOLE, Cell, begin_of, size, whole
from rowhooks.postgres.console.relations import Key, Relation

LARGEST_ROW = 1_000_000
"""How many bytes the values that are read whole may take in their table, together."""
LARGEST_VALUE = 100_000
"""How many bytes one of them may take."""


@dataclass(frozen=True)
class FoundRow:
    """A row.

    Args:
        key: its key as JSON, as the log has it.
        cells: what its values look like, by column.
        values: its values with Python's types, for the texts of buttons. A text is cut, and one that is too large to be
            read says so.
    """

    key: str
    cells: Mapping[str, Cell]
    values: Mapping[str, Any]


def read_row(conn: Connection, relation: Relation, key: str) -> FoundRow:
    """Return a row of a table.

    Args:
        conn: a connection of the person's.
        relation: the table.
        key: the key's columns to values, as JSON.

    Raises:
        NotFound: the table has no primary key, or there is no such row, or the role may not see it.
        TableLocked: another session keeps the table locked.
    """
    if relation.key is None:
        raise NotFound(
            f"no row of {relation.name} can be named: it has no primary key, or you may not read it",
            hint="see the rows of the table",
        )
    try:
        with RawCursor(conn) as cursor:
            result = cursor.execute(as_sent(conn, _query(relation, relation.key)), [key]).pgresult
    except psycopg.DataError as error:
        if isinstance(error, psycopg.errors.CharacterNotInRepertoire):
            raise
        raise NotFound(f"there is no row {key} in {relation.name}: {first_line(error)}") from error
    except psycopg.errors.LockNotAvailable as error:
        raise TableLocked(f"another session keeps {relation.name} locked", hint="try again later") from error
    if result is None or not result.ntuples:
        raise NotFound(f"there is no row {key} in {relation.name}, or you may not see it")
    return _found(relation, result)


def _query(relation: Relation, key: Key) -> sql.Composed:
    long = [column for column in relation.columns if column.is_long]
    largest = min(LARGEST_VALUE, LARGEST_ROW // max(len(long), 1))
    items = [
        sql.SQL("(select pg_catalog.to_jsonb(v.*) from (select {}) as v)::pg_catalog.text").format(sql.SQL(key.items)),
        sql.SQL("array[{}]::pg_catalog.int4[]").format(sql.SQL(", ").join(map(size, long))),
        *(whole(column, largest) for column in relation.columns),
    ]
    return sql.SQL(
        "select {} from {} as t, pg_catalog.jsonb_to_record($1::pg_catalog.jsonb) as k ({}) where {} limit 1"
    ).format(
        sql.SQL(", ").join(items), sql.SQL(relation.quoted), sql.SQL(key.definitions), sql.SQL(key.comparisons)
    )  # fmt: skip


def _found(relation: Relation, result: psycopg.pq.abc.PGresult) -> FoundRow:
    context = adapted()
    if any(column.is_bytewise for column in relation.columns):
        adapt_to_any_bytes(context)
    transformer = Transformer(context)
    transformer.set_pgresult(result)
    key, sizes, *loaded = transformer.load_row(0, tuple) or ()
    size_of = dict(zip((column.name for column in relation.columns if column.is_long), sizes, strict=True))
    cells, values = {}, {}
    for place, (column, value) in enumerate(zip(relation.columns, loaded, strict=True), start=2):
        raw, its_size = result.get_value(0, place), size_of.get(column.name)
        if raw is None and its_size is not None:
            cells[column.name] = Cell(None, size=its_size)
            values[column.name] = f"({its_size:,} bytes)"
            continue
        is_cut = column.is_bytes and its_size is not None and its_size > WHOLE
        cells[column.name] = begin_of(column, raw, WHOLE, is_cut=is_cut)
        values[column.name] = value
    return FoundRow(key, cells, values)
