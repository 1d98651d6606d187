"""Values of rows as people read them: the server's own text, of which no more is read than is shown.

A value that takes much room is not read at all, unless its beginning can be read by itself.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from psycopg import sql

from rowhooks.postgres.connections.any_bytes import SCHEME
from rowhooks.postgres.console.conditions import plain
from rowhooks.postgres.console.relations import Column

LISTED = 80
"""How many characters of a value are read for a page of many rows."""
WHOLE = 4000
"""How many characters of a value are shown on a page of one row."""
LARGEST = 100_000
"""How many bytes a value may take in its table to be read for a page of many rows, if it has to be read whole."""


@dataclass(frozen=True)
class Cell:
    """A value of a row.

    Args:
        text: the beginning of its text; None: it is null, or was not read.
        is_cut: whether there is more of it.
        size: how many bytes it takes, where it takes too many to be read; else None.
    """

    text: str | None
    is_cut: bool = False
    size: int | None = None


def listed(column: Column, length: int = LISTED) -> sql.Composable:
    """Return the expression that reads so many characters of a value; `cell_of` reads its result."""
    value = plain(column)
    if column.is_plain_text:
        return sql.SQL("pg_catalog.left({}, {})").format(value, sql.SQL(str(length + 1)))
    if not column.is_long:
        return value
    if column.is_bytes:
        cut = sql.SQL("pg_catalog.substring({}, 1, {})").format(value, sql.SQL(str(length)))
        return sql.SQL("case when {} is distinct from null then pg_catalog.concat({}) end").format(value, cut)
    return sql.SQL(
        "case when {0} is not distinct from null then null"
        " when pg_catalog.pg_column_size({0}) operator(pg_catalog.>) {1}"
        " then pg_catalog.concat('#', pg_catalog.pg_column_size({0}))"
        " else pg_catalog.concat('=', pg_catalog.left(pg_catalog.concat({0}), {2})) end"
    ).format(value, sql.SQL(str(LARGEST)), sql.SQL(str(length + 1)))


def whole(column: Column, largest: int) -> sql.Composable:
    """Return the expression that reads a value as it is, with its type: of a text or bytes the beginning.

    Args:
        column: the column.
        largest: how many bytes it may take in its table; a larger value is null here. See `size`.
    """
    value = plain(column)
    if column.is_plain_text:
        return sql.SQL("pg_catalog.left({}, {})").format(value, sql.SQL(str(WHOLE + 1)))
    if not column.is_long:
        return value
    if column.is_bytes:
        return sql.SQL("pg_catalog.substring({}, 1, {})").format(value, sql.SQL(str(WHOLE)))
    return sql.SQL("case when pg_catalog.pg_column_size({0}) operator(pg_catalog.<=) {1} then {0} end").format(
        value, sql.SQL(str(largest))
    )


def size(column: Column) -> sql.Composable:
    """Return the expression for how many bytes a value takes in its table; null for no value."""
    return sql.SQL("case when {0} is distinct from null then pg_catalog.pg_column_size({0}) end").format(plain(column))


def cell_of(column: Column, value: bytes | None, length: int = LISTED) -> Cell:
    """Return what `listed` has read of a column."""
    if value is not None and column.is_long and not column.is_plain_text and not column.is_bytes:
        if value.startswith(b"#"):
            return Cell(None, size=int(value[1:]))
        value = value[1:]
    return begin_of(column, value, length)


def begin_of(column: Column, value: bytes | None, length: int, *, is_cut: bool = False) -> Cell:
    """Return the beginning of a column's value.

    Args:
        column: the column.
        value: the value, of which the server has sent the beginning alone where it is longer; None for null.
        length: how many characters are shown; bytes, where the server counts these.
        is_cut: whether there is more of the value in any case.
    """
    if value is None:
        return Cell(None)
    if column.is_bytewise and len(value) > length:
        # Not the first bytes of a character that was cut.
        text = codecs.getincrementaldecoder("utf-8")(SCHEME).decode(value[:length])
        return Cell(text, is_cut=True)
    text = text_of(value) or ""
    return Cell(text[:length], is_cut=is_cut or len(text) > length)


def text_of(value: bytes | None) -> str | None:
    """Return the text that a server has sent: in UTF-8, or with any bytes; see `any_bytes`."""
    return None if value is None else value.decode("utf-8", SCHEME)
