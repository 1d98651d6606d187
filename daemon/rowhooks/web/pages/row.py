"""One row: its values, its buttons, the rows around it, and what happened to it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.inline_markup import inline_only
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.console.conditions import Filter
from rowhooks.postgres.console.history import History, HistoryPlace, read_history
from rowhooks.postgres.console.relations import ForeignKey, Relation, describe
from rowhooks.postgres.console.row import FoundRow, read_row
from rowhooks.postgres.console.row_buttons import render_safely
from rowhooks.postgres.labels import ButtonGroup, RenderedButton
from rowhooks.web.linking.links import SURROGATES
from rowhooks.web.linking.navigation import at_least
from rowhooks.web.linking.page_numbers import page_number
from rowhooks.web.linking.row_addresses import Listing, key_in_address, read_key, row_path
from rowhooks.web.pages.rows import ShownCell, shown_cell
from rowhooks.web.pages.tables import KINDS
from rowhooks.web.people.person import person_of
from rowhooks.web.people.user import user_on
from rowhooks.web.rendering import page
from rowhooks.web.showing.fitting import length_that_fits
from rowhooks.web.showing.row_history import read_history_place, shown_history

COLUMNS = 150
"""How many columns are shown at once."""
LENGTHS = (4000, 1000, 300, 100, 40, 10)
"""To how many characters values are shortened."""
ROOM = 25_000
"""How many bytes of the page are for values."""
MOST_REFERRING = 40
"""How many of the tables are named that refer to the row."""


@dataclass(frozen=True)
class ShownValue:
    """A column of the row, as the page shows it.

    Args:
        column: the column's name.
        type: its type.
        comment: its comment.
        cell: what its value looks like.
        path: the page of the row that it refers to; empty for none.
    """

    column: str
    type: str
    comment: str
    cell: ShownCell
    path: str


@dataclass(frozen=True)
class Link:
    """A link to another row, or to others.

    Args:
        path: where it leads.
        table: the other table.
        columns: the columns that refer.
    """

    path: str
    table: str
    columns: str


async def row(request: Request) -> Response:
    """Show a row."""
    person, query = person_of(request), request.query_params
    wanted = _Wanted(
        request.path_params["table"], query.get("key", ""), query.get("was", ""),
        read_history_place(query) if at_least(person.level, "viewer") else None, person.role,
    )  # fmt: skip
    relation, found, buttons, history = await person.read(_ask, wanted)
    number = page_number(query.get("columns"))
    return page(
        request, "row.html", relation=relation, kind=KINDS[relation.kind], key=key_in_address(found.key),
        values=_values(request, relation, found, number), number=number,
        column_pages=-(-len(relation.columns) // COLUMNS), here=row_path(request, relation.name, found.key),
        referred=_composite(request, relation, found), referring=_referring(request, relation, found),
        groups=buttons, label_of=label_of, new_key=lambda: secrets.token_urlsafe(24),
        history=shown_history(request, relation, found, wanted.was, history),
    )  # fmt: skip


@dataclass(frozen=True)
class _Wanted:
    """What an address of a row says: the table, the key, a former key whose history is asked for; and who asks."""

    table: str
    key: str
    was: str
    place: HistoryPlace | None
    role: str


def _ask(conn: Connection, wanted: _Wanted) -> tuple[Relation, FoundRow, list[ButtonGroup], History | None]:
    relation = describe(conn, wanted.table, with_references=True, with_buttons=True)
    columns = relation.key.columns if relation.key else ()
    found = read_row(conn, relation, read_key(wanted.key, columns, relation.name) if columns else "")
    # A button that is for others is no business of this person's.
    buttons = [one for one in relation.buttons if one["may_press"]]
    groups = render_safely(conn, buttons, found.values, columns, user_on(conn, wanted.role))
    if wanted.place is None:
        return relation, found, groups, None
    key = read_key(wanted.was, columns, relation.name) if wanted.was else found.key
    return relation, found, groups, read_history(conn, relation.root_oid, key, wanted.place)


def label_of(button: RenderedButton) -> Markup:
    """Return the label of a button as the console shows it: with no markup but what is harmless within a line."""
    return Markup(inline_only(button.label)) or escape(button.name)  # noqa: S704  (nothing else is left in it)


def _values(request: Request, relation: Relation, found: FoundRow, number: int) -> list[ShownValue]:
    columns = relation.columns[(number - 1) * COLUMNS :][:COLUMNS]
    cells = [found.cells[column.name] for column in columns]
    length = length_that_fits([cell.text for cell in cells if cell.text is not None], LENGTHS, ROOM)
    paths = {key.columns[0]: _path_of(request, key, found) for key in relation.referred if len(key.columns) == 1}
    return [
        ShownValue(column.name, column.type, column.comment or "", shown_cell(cell, length), paths.get(column.name, ""))
        for column, cell in zip(columns, cells, strict=True)
    ]


def _composite(request: Request, relation: Relation, found: FoundRow) -> list[Link]:
    return [
        Link(path, key.relation, ", ".join(key.columns))
        for key in relation.referred
        if len(key.columns) > 1 and (path := _path_of(request, key, found))
    ]


def _referring(request: Request, relation: Relation, found: FoundRow) -> list[Link]:
    links = []
    for key in relation.referring:
        texts = _texts(found, key.target_columns)
        if texts is not None:
            filters = tuple(Filter(column, "eq", text) for column, text in zip(key.columns, texts, strict=True))
            path = Listing(filters=filters).path(request, key.relation)
            links.append(Link(path, key.relation, ", ".join(key.columns)))
    return links[:MOST_REFERRING]


def _path_of(request: Request, key: ForeignKey, found: FoundRow) -> str:
    """Return the page of the row that a foreign key leads to; empty where it leads nowhere."""
    texts = _texts(found, key.columns)
    if texts is None:
        return ""
    if key.is_primary:
        return row_path(request, key.relation, dict(zip(key.target_columns, texts, strict=True)))
    filters = tuple(Filter(column, "eq", text) for column, text in zip(key.target_columns, texts, strict=True))
    return Listing(filters=filters).path(request, key.relation)


def _texts(found: FoundRow, columns: Sequence[str]) -> list[str] | None:
    """Return the whole values of some columns as text; None where one is null, or longer than an address may be."""
    texts: list[str] = []
    for column in columns:
        cell: Any = found.cells.get(column)
        if cell is None or cell.text is None or cell.is_cut or len(cell.text) > 300 or SURROGATES.search(cell.text):
            return None
        texts.append(cell.text)
    return texts


routes = [Route("/tables/{table:name}/row", row, name="row")]
