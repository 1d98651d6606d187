"""Rows of a table, page after page: by filters, in the order of a column, however many rows there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import RawCursor, sql

from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.connections.any_bytes import as_sent
from rowhooks.postgres.connections.errors import first_line
from rowhooks.postgres.console.cells import LISTED, Cell, cell_of, listed, text_of
from rowhooks.postgres.console.conditions import (
    Filter,
    Values,
    as_text,
    comparable,
    compare,
    condition,
    name_of_operator,
    plain,
    problem_of,
    refused_value,
    sent,
)
from rowhooks.postgres.console.relations import Column, Relation

PAGE = 50
"""How many rows are on a page."""
LONGEST_PLACE = 1500
"""How many characters the values have that say where a page begins: they stand in an address."""

Place = tuple[str | None, ...]
"""Where a page begins or ends: the values of the order's columns in a row, as text. Only the first may be null."""


@dataclass(frozen=True)
class Wanted:
    """Which rows are asked for.

    Args:
        filters: they all have to hold.
        sort: a column; None: the primary key gives the order.
        descending: whether the largest values come first.
        after: the page begins behind this place.
        before: the page ends ahead of this place.
        shown: the columns whose values are read.
        length: how many characters of a value are read.
        limit: how many rows are on the page.
    """

    filters: tuple[Filter, ...] = ()
    sort: str | None = None
    descending: bool = False
    after: Place | None = None
    before: Place | None = None
    shown: tuple[str, ...] = ()
    length: int = LISTED
    limit: int = PAGE


@dataclass(frozen=True)
class ListedRow:
    """A row on a page of rows.

    Args:
        key: its primary key as JSON, as the log has it; None where the table has none.
        cells: the values of the columns that were asked for.
        place: where it stands in the order; None where no page can begin with it.
    """

    key: str | None
    cells: tuple[Cell, ...]
    place: Place | None


@dataclass(frozen=True)
class RowsPage:
    """A page of rows, or what keeps it from being read.

    Args:
        rows: the rows, in order.
        has_previous: whether there are rows before them.
        has_next: whether there are rows behind them.
        problem: why there is nothing, apart from a filter's value; empty for nothing.
        problems: what is wrong with filters, by their number.
        is_too_slow: whether the rows were not found in the time that a page has.
        is_locked: whether another session keeps the table locked.
        is_cut: whether there are more rows, which no page has: without a primary key there is no order.
    """

    rows: tuple[ListedRow, ...] = ()
    has_previous: bool = False
    has_next: bool = False
    problem: str = ""
    problems: Mapping[int, str] = field(default_factory=dict)
    is_too_slow: bool = False
    is_locked: bool = False
    is_cut: bool = False


def read_rows(conn: Connection, relation: Relation, wanted: Wanted) -> RowsPage:
    """Return a page of rows: at most as many as it has, by one query, or two where the order's column may be null.

    The transaction is of no more use where the page has a problem.

    Args:
        conn: a connection of the person's.
        relation: the table.
        wanted: which rows.
    """
    problems = {number: problem for number, one in enumerate(wanted.filters) if (problem := problem_of(one, relation))}
    if problems:
        return RowsPage(problems=problems)
    question = _Question(relation, wanted)
    if question.problem:
        return RowsPage(problem=question.problem)
    try:
        found = question.rows(conn)
    except psycopg.errors.QueryCanceled:
        return RowsPage(is_too_slow=True)
    except psycopg.errors.LockNotAvailable:
        return RowsPage(problem="another session keeps the table locked: try again later", is_locked=True)
    except psycopg.errors.CharacterNotInRepertoire:
        # It is asked once more, in a way that takes such bytes.
        raise
    except psycopg.DataError as error:
        refused = refused_value(error, question.owners)
        if refused and refused[0] is not None:
            return RowsPage(problems={refused[0]: refused[1]})
        return RowsPage(problem=first_line(error))
    backwards = wanted.before is not None
    has_more, kept = len(found) > wanted.limit, found[: wanted.limit]
    return RowsPage(
        rows=tuple(reversed(kept) if backwards else kept),
        has_previous=question.is_ordered and (has_more if backwards else wanted.after is not None),
        has_next=question.is_ordered and (backwards or has_more),
        is_cut=has_more and not question.is_ordered,
    )


def query_of(relation: Relation, wanted: Wanted) -> tuple[sql.Composed, list[str | None]]:
    """Return the first query of a page, and its values."""
    question = _Question(relation, wanted)
    return question.query(question.parts()[0], wanted.limit + 1)


@dataclass(frozen=True)
class _Part:
    """Rows that one query finds, in one order: those whose order's column is null, those where it is not, or all."""

    null: bool | None
    place: Place | None


class _Question:
    """The queries of a page.

    Args:
        relation: the table.
        wanted: which rows.
    """

    def __init__(self, relation: Relation, wanted: Wanted) -> None:
        self._relation = relation
        self._wanted = wanted
        self.problem = ""
        self.owners: list[int | None] = []
        key = relation.key.columns if relation.key else ()
        self._key = [column for name in key if (column := relation.column(name))]
        sort = relation.column(wanted.sort) if wanted.sort is not None else None
        if wanted.sort is not None and sort is None:
            self.problem = f"there is no column {wanted.sort[:100]} to sort by, or you may not read it"
        self._sort = sort if sort not in self._key[:1] else None
        self._order = [*([self._sort] if self._sort else []), *(one for one in self._key if one != self._sort)]
        self.is_ordered = bool(self._key)
        place = wanted.before if wanted.before is not None else wanted.after
        if place is not None and not self._is_place(place):
            self.problem = "this address does not say where the page begins: start from the first page"
        self._shown = [column for name in wanted.shown if (column := relation.column(name))]
        # Rows before a place are looked for from there backwards.
        self._descends = wanted.descending != (wanted.before is not None)
        self._place = place

    def rows(self, conn: Connection) -> list[ListedRow]:
        """Return the rows from the page's place on, at most one more than there is room for."""
        found: list[ListedRow] = []
        for part in self.parts():
            if len(found) <= self._wanted.limit:
                query, values = self.query(part, self._wanted.limit + 1 - len(found))
                with RawCursor(conn) as cursor:
                    result = cursor.execute(as_sent(conn, query), values or None).pgresult
                assert result is not None
                found += [
                    self._row([result.get_value(line, place) for place in range(result.nfields)])
                    for line in range(result.ntuples)
                ]
        return found

    def parts(self) -> list[_Part]:
        """Return the parts that the page's rows are in, from its place on."""
        if self._sort is None or not self._sort.is_nullable:
            return [_Part(None, self._place)]
        # Null counts as larger than all values, as in PostgreSQL's indexes.
        nulls = [True, False] if self._descends else [False, True]
        if self._place is None:
            return [_Part(null, None) for null in nulls]
        is_null = self._place[0] is None
        return [_Part(null, self._place if null == is_null else None) for null in nulls[nulls.index(is_null) :]]

    def query(self, part: _Part, limit: int) -> tuple[sql.Composed, list[str | None]]:
        """Return the query of a part, and its values."""
        values = Values()
        self.owners = []
        conditions: list[sql.Composable] = []
        for number, one in enumerate(self._wanted.filters):
            column = self._relation.column(one.column)
            assert column is not None
            conditions.append(condition(one, column, values))
            self.owners += [number] * (len(values.sent) - len(self.owners))
        if part.null is not None:
            assert self._sort is not None
            conditions.append(
                condition(Filter(self._sort.name, "null" if part.null else "notnull"), self._sort, values)
            )
        order = [one for one in self._order if not (part.null and one == self._sort)]
        if part.place is not None:
            place = [value or "" for value in part.place[1 if part.null else 0 :]]
            conditions.append(self._beyond(order, place, values))
        return self._written(conditions, order, limit), values.sent

    def _written(self, conditions: Sequence[sql.Composable], order: Sequence[Column], limit: int) -> sql.Composed:
        # The values are made into text outside, of no more rows than are shown.
        read = {column.name: plain(column) for column in (*self._key, *self._order, *self._shown)}
        direction = sql.SQL(" desc" if self._descends else "")
        inner = sql.SQL("select {} from {} as t{}{} limit {}").format(
            sql.SQL(", ").join(read.values()),
            sql.SQL(self._relation.quoted),
            sql.SQL(" where {}").format(sql.SQL(" and ").join(conditions)) if conditions else sql.SQL(""),
            sql.SQL(" order by {}").format(
                sql.SQL(", ").join(sql.SQL("{}{}").format(self._ordered(one), direction) for one in order)
            ) if order else sql.SQL(""),
            sql.SQL(str(limit)),
        )  # fmt: skip
        key = self._relation.key
        key_item = sql.SQL("(select pg_catalog.to_jsonb(v.*) from (select {}) as v)::pg_catalog.text").format(
            sql.SQL(key.items if key else "")
        )
        outer = [
            key_item if key else sql.SQL("null"),
            *map(as_text, self._order),
            *(listed(column, self._wanted.length) for column in self._shown),
        ]
        return sql.SQL("select {} from ({}) as t").format(sql.SQL(", ").join(outer), inner)

    def _ordered(self, column: Column) -> sql.Composable:
        # Without the cast of a domain to its base type, an index is seen more easily.
        return plain(column) if column.operators else comparable(column)

    def _beyond(self, order: Sequence[Column], place: Sequence[str], values: Values) -> sql.Composable:
        """Return the condition under which a row stands behind a place."""
        sign = "<" if self._descends else ">"
        names = {name_of_operator(column, sign) for column in order}
        if names == {("pg_catalog", sign)}:
            # As one comparison, an index finds the place.
            return sql.SQL("row({}) operator(pg_catalog.{}) row({})").format(
                sql.SQL(", ").join(map(comparable, order)),
                sql.SQL(sign),
                sql.SQL(", ").join(sent(column, value, values) for column, value in zip(order, place, strict=True)),
            )
        first, *others = order
        beyond = compare(first, sign, place[0], values)
        if not others:
            return beyond
        return sql.SQL("({} and ({} or {}))").format(
            compare(first, f"{sign}=", place[0], values), beyond, self._beyond(others, place[1:], values)
        )

    def _is_place(self, place: Place) -> bool:
        first_may_be_null = self._sort is not None and self._sort.is_nullable
        return (
            self.is_ordered
            and len(place) == len(self._order)
            and None not in place[1:]
            and (first_may_be_null or place[0] is not None)
            and not any("\0" in value for value in place if value is not None)
        )

    def _row(self, values: Sequence[bytes | None]) -> ListedRow:
        key, rest = values[0], values[1:]
        place = tuple(text_of(value) for value in rest[: len(self._order)])
        is_short = sum(len(value or "") for value in place) <= LONGEST_PLACE
        cells = tuple(
            cell_of(column, value, self._wanted.length)
            for column, value in zip(self._shown, rest[len(self._order) :], strict=True)
        )
        return ListedRow(text_of(key), cells, place if is_short and self.is_ordered else None)
