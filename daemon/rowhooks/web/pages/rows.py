"""The rows of a table: by filters, in an order, page after page."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain import exact
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.console.cells import Cell
from rowhooks.postgres.console.conditions import OPERATORS, WITHOUT_VALUE, Filter
from rowhooks.postgres.console.relations import Column, Relation, describe
from rowhooks.postgres.console.rows import PAGE, ListedRow, RowsPage, Wanted, read_rows
from rowhooks.web.linking.row_addresses import Listing, key_in_address, read_listing, read_place, row_path, write_place
from rowhooks.web.pages.tables import KINDS
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page
from rowhooks.web.showing.fitting import length_that_fits, shown

COLUMNS = 12
"""How many columns a listing shows, apart from those of the key."""
MOST_CHOICES = 100
"""How many columns a list of choices has; of a table with more columns a name has to be written."""
LENGTHS = (80, 40, 20, 10)
"""To how many characters values are shortened."""
ROOM = 30_000
"""How many bytes of the page are for values."""
ROOM_FOR_KEYS = 8_000
"""How many bytes of the page are for keys in addresses; each stands there twice."""


@dataclass(frozen=True)
class ShownRow:
    """A row as the page shows it.

    Args:
        key: what its key is called.
        address: its key in addresses; empty: it has none.
        path: its page.
        cells: what its values look like.
    """

    key: str
    address: str
    path: str
    cells: Sequence[ShownCell]


@dataclass(frozen=True)
class ShownCell:
    """A value as a page shows it.

    Args:
        text: its beginning; None: see `what`.
        is_cut: whether there is more of it.
        what: what stands for it: `null`, or its size.
    """

    text: str | None
    is_cut: bool
    what: str


async def table_rows(request: Request) -> Response:
    """List rows of a table."""
    listing = read_listing(request.query_params)
    found = await person_of(request).read(_ask, request.path_params["table"], listing)
    relation, rows, columns, buttons = found
    status = 503 if rows.is_too_slow or rows.is_locked else 422 if rows.problem or rows.problems else 200
    return page(
        request, "rows.html", status=status, relation=relation, kind=KINDS[relation.kind], listing=listing,
        columns=columns, column_pages=_pages_of_columns(relation), buttons=buttons, found=rows, most=PAGE,
        rows=_shown_rows(request, relation, rows.rows), filters=[*listing.filters, Filter("", "eq")],
        operators=OPERATORS, without_value=WITHOUT_VALUE, is_listed=len(relation.columns) <= MOST_CHOICES,
        choices=relation.columns[:MOST_CHOICES], idempotency_key=secrets.token_urlsafe(24),
        **_links(request, relation, listing, rows),
    )  # fmt: skip


def _ask(
    conn: Connection, table: str, listing: Listing
) -> tuple[Relation, RowsPage, list[Column], list[dict[str, Any]]]:
    relation = describe(conn, table, with_buttons=True)
    buttons = [one for one in relation.buttons if _is_pressable(one)] if relation.key else []
    key = relation.key.columns if relation.key else ()
    others = [column for column in relation.columns if column.name not in key]
    columns = others[(listing.columns - 1) * COLUMNS :][:COLUMNS]
    wanted = Wanted(
        filters=listing.filters, sort=listing.sort or None, descending=listing.descending,
        after=read_place(listing.after), before=read_place(listing.before),
        shown=tuple(column.name for column in columns),
    )  # fmt: skip
    return relation, _within_room(read_rows(conn, relation, wanted), listing), columns, buttons


def _is_pressable(button: Mapping[str, Any]) -> bool:
    return bool(button["enabled"] and button["job_enabled"] and button["may_press"])


def _within_room(found: RowsPage, listing: Listing) -> RowsPage:
    """Return a page without the rows for whose keys, in addresses, there is no room."""
    backwards = bool(listing.before)
    room, kept = ROOM_FOR_KEYS, list[ListedRow]()
    for row in reversed(found.rows) if backwards else found.rows:
        room -= len(quote(row.key or "", errors="surrogatepass"))
        if room < 0 and kept:
            break
        kept.append(row)
    if len(kept) == len(found.rows):
        return found
    if backwards:
        return replace(found, rows=tuple(reversed(kept)), has_previous=True)
    return replace(found, rows=tuple(kept), has_next=found.has_next or kept[-1].place is not None)


def _pages_of_columns(relation: Relation) -> int:
    key = relation.key.columns if relation.key else ()
    return math.ceil((len(relation.columns) - len(key)) / COLUMNS)


def _shown_rows(request: Request, relation: Relation, rows: Sequence[ListedRow]) -> list[ShownRow]:
    keys = [list(exact.read_exactly(row.key).values()) if row.key and relation.key else [] for row in rows]
    texts = [", ".join(value if isinstance(value, str) else exact.write(value) for value in key) for key in keys]
    length = length_that_fits(
        [*texts, *(cell.text for row in rows for cell in row.cells if cell.text is not None)], LENGTHS, ROOM
    )
    return [
        ShownRow(
            key=shown(text, length) + ("…" if len(text) > length else ""),
            address=key_in_address(row.key) if row.key else "",
            path=row_path(request, relation.name, row.key) if row.key else "",
            cells=[shown_cell(cell, length) for cell in row.cells],
        )
        for row, text in zip(rows, texts, strict=True)
    ]


def shown_cell(cell: Cell, length: int) -> ShownCell:
    """Return a value as a page shows it.

    Args:
        cell: the value.
        length: how many characters of it are shown.
    """
    if cell.text is None:
        return ShownCell(None, is_cut=False, what="null" if cell.size is None else f"{cell.size:,} bytes, not shown")
    return ShownCell(shown(cell.text, length), is_cut=cell.is_cut or len(cell.text) > length, what="")


def _links(request: Request, relation: Relation, listing: Listing, found: RowsPage) -> dict[str, Any]:
    def path(**changes: Any) -> str:
        return listing.path(request, relation.name, **changes)

    first, last = (found.rows[0].place, found.rows[-1].place) if found.rows else (None, None)
    return {
        "previous": path(before=write_place(first), after="") if found.has_previous and first else "",
        "next": path(after=write_place(last), before="") if found.has_next and last else "",
        "first": path(after="", before="") if listing.after or listing.before else "",
        "is_stuck": found.has_next and not last,
        "all": Listing().path(request, relation.name),
        "fewer_columns": path(columns=listing.columns - 1) if listing.columns > 1 else "",
        "more_columns": path(columns=listing.columns + 1) if listing.columns < _pages_of_columns(relation) else "",
    }


routes = [Route("/tables/{table:name}", table_rows, name="table_rows")]
