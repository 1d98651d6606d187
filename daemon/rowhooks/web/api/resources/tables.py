"""Tables and their rows, as the caller may see them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace

from rowhooks.domain.errors import TableLocked, TookTooLong, UsageError
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.console.conditions import Filter
from rowhooks.postgres.console.relations import Column, describe
from rowhooks.postgres.console.row import read_row
from rowhooks.postgres.console.row_buttons import buttons_of_table, render_on_row
from rowhooks.postgres.console.rows import Place, RowsPage, Wanted, read_rows
from rowhooks.postgres.console.tables import list_tables
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing, number_of_cursor
from rowhooks.web.api.models.problem import FieldError
from rowhooks.web.api.models.tables import (
    KINDS,
    ListedRow,
    RowPage,
    RowsWanted,
    RowWanted,
    Table,
    TableNamed,
    TablePage,
    TableRow,
    TableSummary,
    TablesWanted,
)
from rowhooks.web.api.operations import LINK, Answer, Call, Operation, Operations
from rowhooks.web.api.problems import INVALID, Refusal
from rowhooks.web.linking.row_addresses import read_key, read_place, write_place
from rowhooks.web.people.user import user_on

LENGTH = 1000
"""How many characters of a value are listed."""


async def list_known_tables(call: Call[Nothing, TablesWanted, None]) -> Answer:
    """List the tables."""
    number = number_of_cursor(call.query.cursor) or 1
    found = await call.caller.person.read(list_tables, call.query.search or "", number)
    tables = [TableSummary.model_validate(replace(one, kind=KINDS[one.kind])) for one in found.tables]
    return call.page(TablePage, tables, str(number + 1) if found.has_more else None)


async def show_table(call: Call[TableNamed, Nothing, None]) -> Answer:
    """Show a table."""
    relation = await call.caller.person.read(describe, call.path.table, with_references=True)
    return Answer(Table.of(relation))


async def list_rows(call: Call[TableNamed, RowsWanted, None]) -> Answer:
    """List rows of a table."""
    columns, found = await call.caller.person.read(_rows, call.path.table, call.query)
    _check(found)
    shown = list(found.rows)
    # Behind a row whose values are too long for a cursor, no page can begin.
    while found.has_next and shown and shown[-1].place is None:
        shown.pop()
    if found.has_next and not shown:
        raise UsageError(
            "no page can begin behind these rows: the values of their order are too long", hint="sort by another column"
        )
    place = shown[-1].place if found.has_next else None
    rows = [ListedRow.of(row.key, columns, row.cells) for row in shown]
    return call.page(RowPage, rows, None if place is None else _cursor(place), is_cut=found.is_cut)


async def show_row(call: Call[TableNamed, RowWanted, None]) -> Answer:
    """Show a row with its buttons."""
    role = call.caller.person.role
    return Answer(await call.caller.person.read(_row, call.path.table, call.query.key, role))


def _rows(conn: Connection, table: str, asked: RowsWanted) -> tuple[list[Column], RowsPage]:
    relation = describe(conn, table)
    unknown = [name for name in asked.show if relation.column(name) is None]
    if unknown:
        raise UsageError(f"there is no column {unknown[0]}, or you may not read it")
    columns = [column for column in relation.columns if not asked.show or column.name in asked.show]
    wanted = Wanted(
        filters=_filters(asked), sort=asked.sort, descending=asked.descending, after=_place(asked.cursor),
        shown=tuple(column.name for column in columns), length=LENGTH, limit=asked.limit,
    )  # fmt: skip
    return columns, read_rows(conn, relation, wanted)


def _row(conn: Connection, table: str, key: str, role: str) -> TableRow:
    relation = describe(conn, table)
    names = relation.key.columns if relation.key else ()
    found = read_row(conn, relation, read_key(key, names, relation.name) if names else "")
    buttons = buttons_of_table(conn, relation.root_oid)
    groups = render_on_row(buttons, found.values, names, user_on(conn, role))
    return TableRow.with_buttons(relation, found.key, found.cells, [one for group in groups for one in group.buttons])


def _filters(asked: RowsWanted) -> tuple[Filter, ...]:
    if not len(asked.column) == len(asked.operator) == len(asked.value):
        raise UsageError(
            "each filter needs a column, an operator and a value",
            hint="give the three parameters the same number of times; the value of null and notnull is empty",
        )
    return tuple(map(Filter, asked.column, asked.operator, asked.value))


def _check(found: RowsPage) -> None:
    """Refuse to answer where rows could not be read.

    Raises:
        TookTooLong: PostgreSQL needs more time than an answer has.
        Refusal: a filter's value is none of its column's type.
        UsageError: something else is wrong with what was asked for.
    """
    if found.is_too_slow:
        raise TookTooLong("the rows were not found in time", hint="filter or sort by a column that has an index")
    if found.is_locked:
        raise TableLocked(found.problem, hint="try again later")
    if found.problems:
        fields = [
            FieldError(part="query", field=f"value[{number}]", detail=said) for number, said in found.problems.items()
        ]
        raise Refusal(INVALID, f"a filter cannot be used: {fields[0].detail}", fields=fields)
    if found.problem:
        raise UsageError(found.problem)


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(write_place(place).encode("utf-8", "surrogatepass")).decode("ascii").rstrip("=")


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("utf-8")
    except (ValueError, binascii.Error):
        return ()
    return read_place(text) or ()


OPERATIONS: Operations = (
    Operation(
        "list_tables", "GET", "/tables", list_known_tables, "List the tables and views whose rows you may see.",
        Level.READ, query=TablesWanted, answer=TablePage, headers=LINK,
    ),
    Operation(
        "show_table", "GET", "/tables/{table}", show_table, "Show a table: its columns, key and foreign keys.",
        Level.READ, path_model=TableNamed, answer=Table, errors=(404,),
    ),
    Operation(
        "list_rows", "GET", "/tables/{table}/rows", list_rows, "List rows of a table by filters, in an order.",
        Level.READ, path_model=TableNamed, query=RowsWanted, answer=RowPage, errors=(404,), headers=LINK,
        description="The first column, operator and value are the first filter, and so on.",
    ),
    Operation(
        "show_row", "GET", "/tables/{table}/row", show_row, "Show a row with its values and its buttons.",
        Level.READ, path_model=TableNamed, query=RowWanted, answer=TableRow, errors=(404,),
    ),
)  # fmt: skip
