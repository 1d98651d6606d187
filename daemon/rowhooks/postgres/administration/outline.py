"""Outlines of tables, and rows that a new receiver's test can put into them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from rowhooks.domain.errors import Conflict, ConnectionFailed, PermissionDenied, RowhooksError
from rowhooks.domain.names import TableName, join_name
from rowhooks.domain.sensitive import is_sensitive_column
from rowhooks.postgres.administration.common import Connection, fetch
from rowhooks.postgres.administration.tables import resolve_table
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.statements import Statements

_SQL = Statements(__file__)
_DEEPEST = 5
"""How many tables a row may need, one after the other; longer chains, and circles, are left to the test's author."""

_BY_TYPE: Mapping[str, tuple[Any, Any]] = {
    "uuid": ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"),
    "date": ("2026-01-31", "2026-02-28"),
    "time without time zone": ("12:00:00", "13:00:00"),
    "time with time zone": ("12:00:00+00:00", "13:00:00+00:00"),
    "timestamp without time zone": ("2026-01-31T12:00:00", "2026-02-28T12:00:00"),
    "timestamp with time zone": ("2026-01-31T12:00:00+00:00", "2026-02-28T12:00:00+00:00"),
    "json": ({}, {"sample": True}),
    "jsonb": ({}, {"sample": True}),
    "xml": ("<sample/>", "<changed/>"),
    "macaddr": ("02:00:00:00:00:01", "02:00:00:00:00:02"),
    "cidr": ("192.0.2.0/24", "198.51.100.0/24"),
    "point": ("(0,0)", "(1,1)"),
    "bytea": (b"sample", b"changed"),
}
_BY_CATEGORY: Mapping[str, tuple[Any, Any]] = {
    "N": (1, 2), "B": (False, True), "A": ([], []), "I": ("192.0.2.1", "192.0.2.2"), "T": ("1 day", "2 days"),
    "R": ("empty", "empty"), "S": ("sample", "changed"),
}  # fmt: skip
_KEYS: Mapping[str, int] = {"smallint": 32_001, "integer": 2_000_000_001}


@dataclass(frozen=True)
class Column:
    """A column, as far as a value for it is concerned.

    Args:
        name: as it is stored.
        type: the type, or that below a domain.
        category: PostgreSQL's category of the type.
        length: the longest text; less than 1: no limit.
        labels: the values that an enum, or a check constraint of a text, allows.
        is_needed: a row cannot be inserted without a value.
        is_generated: the server makes the value.
    """

    name: str
    type: str
    category: str
    length: int
    labels: Sequence[str] | None
    is_needed: bool
    is_generated: bool

    def samples(self, *, in_key: bool = False) -> tuple[Any, Any] | None:
        """Return two different values, None where there is no telling what the type takes."""
        if self.labels:
            return self.labels[0], self.labels[-1]
        if in_key and self.category == "N":
            # Beside the rows that are there.
            return _KEYS.get(self.type, 2_000_000_001), _KEYS.get(self.type, 2_000_000_001) + 1
        pair = _BY_TYPE.get(self.type) or _BY_CATEGORY.get(self.category)
        if pair is not None and self.category == "S" and self.length > 0:
            return pair[0][: self.length], pair[1][: self.length]
        return pair


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key.

    Args:
        table: the table that it refers to, as the server quotes it.
        columns: its columns.
        referred: those that they refer to.
    """

    table: str
    columns: Sequence[str]
    referred: Sequence[str]


@dataclass(frozen=True)
class Outline:
    """A table, for who writes a receiver for it.

    Args:
        quoted: its name as the server quotes it.
        name: its name as Python's API takes it.
        owner: the role that owns it.
        key: the columns of its primary key.
        identity: `key`; or `columns` or `full`, where something else tells its rows apart.
        columns: all of them.
        foreign_keys: all of them.
    """

    quoted: str
    name: TableName
    owner: str
    key: Sequence[str]
    identity: str
    columns: Sequence[Column]
    foreign_keys: Sequence[ForeignKey]

    def subject(self) -> Column | None:
        """Return the column that an example is about: one that people change, and that holds no secret."""
        taken = {*self.key, *(name for one in self.foreign_keys for name in one.columns)}
        fit = [
            column
            for column in self.columns
            if column.name not in taken and not column.is_generated and not is_sensitive_column(column.name)
            and len(set(map(repr, column.samples() or ("", "")))) == 2
        ]  # fmt: skip
        # A text is easier to follow than the time of the last change.
        return next((column for column in fit if column.category == "S"), next(iter(fit), None))


@dataclass
class SampleRows:
    """Rows that a test can put into a table.

    Args:
        row: the row.
        others: the rows that it refers to, in their order; each with its table.
        unknown: needed columns for which no value is known, as `schema.table.column`.
    """

    row: dict[str, Any] = field(default_factory=dict)
    others: list[tuple[TableName, dict[str, Any]]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def find_outline(conn: Connection, name: str) -> Outline:
    """Return the outline of a table that rowhooks can track.

    Args:
        conn: an open connection with our search_path.
        name: the table's name, as PostgreSQL reads it.

    Raises:
        NotFound: there is no such table; the hint names those that are called nearly so.
        Conflict: it is a view, a partition, or anything else that is not tracked.
    """
    quoted = resolve_table(conn, name)
    [row] = fetch(conn, _SQL["table"], quoted)
    if row["wrong_kind"]:
        raise Conflict(
            f"rowhooks cannot track {quoted}: it is {row['wrong_kind']}",
            hint=f"name the table that it belongs to: {row['root']}" if row["root"] else "name a table of your own",
        )
    return read_outline(conn, quoted)


def read_outline(conn: Connection, quoted: str) -> Outline:
    """Return the outline of a table.

    Args:
        conn: an open connection with our search_path.
        quoted: the table's name, as the server quotes it.
    """
    [row] = fetch(conn, _SQL["table"], quoted)
    key, identity = row["key"], "key" if row["key"] else "full"
    if fetch(conn, _SQL["is_readable"])[0]["is_so"]:
        for tracked in fetch(conn, _SQL["identity"], quoted):
            identity = tracked["identity"]
            key = tracked["columns"] if identity == "columns" else key
    return Outline(
        quoted, join_name(row["schema"], row["name"]), row["owner"], key, identity,
        [Column(**column) for column in row["columns"] or ()],
        [ForeignKey(**one) for one in row["foreign_keys"]],
    )  # fmt: skip


def sample_rows(conn: Connection, outline: Outline) -> SampleRows:
    """Return a row for a table, and the rows that it needs in other tables. No row of the database is read."""
    samples = SampleRows()
    samples.row = _sample(conn, outline, {}, samples, (outline.quoted,))
    return samples


def first_key(conn: Connection, outline: Outline) -> dict[str, Any] | None:
    """Return the key of a row of a table; None if there is no row, or nothing tells the rows apart.

    Raises:
        DatabaseError: PostgreSQL refuses, for example because this login may not read the table.
    """
    if not outline.key:
        return None
    columns = sql.SQL(", ").join(map(sql.Identifier, outline.key))
    with conn.transaction(), translated_errors():
        rows = fetch(conn, sql.SQL("select {} from {} limit 1").format(columns, sql.SQL(outline.quoted)))
    return rows[0] if rows else None


def was_tried(error: RowhooksError) -> bool:
    """Say whether an error of a rehearsal is about its rows, and not about a right or a lock that it did not get."""
    cause = error.__cause__
    return not isinstance(error, PermissionDenied | ConnectionFailed) and not isinstance(
        cause, psycopg.errors.LockNotAvailable
    )


def _sample(
    conn: Connection, outline: Outline, given: Mapping[str, Any], samples: SampleRows, way: tuple[str, ...]
) -> dict[str, Any]:
    needed = {column.name: column for column in outline.columns if column.is_needed}
    row = dict(given)
    for foreign_key in outline.foreign_keys:
        if not set(foreign_key.columns) & needed.keys() or set(foreign_key.columns) <= row.keys():
            continue
        if foreign_key.table in way or len(way) >= _DEEPEST:
            samples.unknown += [f"{outline.name}.{name}" for name in foreign_key.columns if name in needed]
            continue
        row.update(_referred(conn, foreign_key, samples, (*way, foreign_key.table)))
    row.update(_own_values(outline, needed, row, samples))
    return {column.name: row[column.name] for column in outline.columns if column.name in row}


def _own_values(
    outline: Outline, needed: Mapping[str, Column], row: Mapping[str, Any], samples: SampleRows
) -> Iterator[tuple[str, Any]]:
    """Yield values for the needed columns that have none yet, and for the column that the example is about."""
    subject = outline.subject()
    wanted = needed if subject is None else {**needed, subject.name: subject}
    for name, column in wanted.items():
        values = column.samples(in_key=name in outline.key)
        if name in row or f"{outline.name}.{name}" in samples.unknown:
            continue
        if values is None:
            samples.unknown.append(f"{outline.name}.{name}")
        else:
            yield name, values[0]


def _referred(conn: Connection, foreign_key: ForeignKey, samples: SampleRows, way: tuple[str, ...]) -> dict[str, Any]:
    """Put the row that a foreign key needs before the others; return the values of the foreign key's columns."""
    other = read_outline(conn, foreign_key.table)
    columns = {column.name: column for column in other.columns}
    # Also where the server would make the value: it has to be known.
    values = {name: columns[name].samples(in_key=True) for name in foreign_key.referred}
    given = {name: pair[0] for name, pair in values.items() if pair is not None}
    row = _sample(conn, other, given, samples, way)
    samples.others.append((other.name, row))
    return {
        own: row[theirs] for own, theirs in zip(foreign_key.columns, foreign_key.referred, strict=True) if theirs in row
    }
