"""Addresses of rows and of listings of rows, and what stands in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request

from rowhooks.domain import exact
from rowhooks.domain.errors import UsageError
from rowhooks.postgres.console.conditions import Filter
from rowhooks.postgres.console.rows import Place
from rowhooks.web.linking.links import SURROGATES, json_in_address
from rowhooks.web.linking.names import NameConvertor
from rowhooks.web.linking.page_numbers import page_number

assert NameConvertor.regex, "names of tables stand in addresses"

MOST_FILTERS = 10
"""How many filters an address may have; further ones are refused."""
LONGEST_FILTERS = 1000
"""How many characters they may have together: they stand in each link of the page."""


@dataclass(frozen=True)
class Listing:
    """What the address of a listing of rows says.

    Args:
        filters: which rows.
        sort: by which column; empty: by the primary key, from its least values on.
        descending: whether the largest values come first.
        after: where the page begins, as in the address; empty: at the first row.
        before: where the page ends.
        columns: the number of the group of columns that is shown, from 1.
    """

    filters: tuple[Filter, ...] = ()
    sort: str = ""
    descending: bool = False
    after: str = ""
    before: str = ""
    columns: int = 1

    def path(self, request: Request, table: str, **changes: Any) -> str:
        """Return the address of this listing of a table, or of one that differs.

        Args:
            request: the request.
            table: `schema.table`.
            changes: what is different, by the names of the attributes.
        """
        other = replace(self, **changes)
        given = [*filter_fields(other.filters)]
        if other.sort:
            given.append(("sort_desc" if other.descending else "sort", other.sort))
        given += [(name, text) for name in ("after", "before") if (text := getattr(other, name))]
        if other.columns > 1:
            given.append(("columns", str(other.columns)))
        path = request.url_for("table_rows", table=table).path
        return f"{path}?{urlencode(given, errors='surrogateescape')}" if given else path


def read_listing(query: QueryParams) -> Listing:
    """Return what the address of a listing says.

    Raises:
        UsageError: it has too many filters, or too long ones.
    """
    columns, operators, values = (query.getlist(name) for name in ("column", "operator", "value"))
    filters = tuple(
        Filter(column, operators[number] if number < len(operators) else "eq",
               values[number] if number < len(values) else "")
        for number, column in enumerate(columns) if column
    )  # fmt: skip
    if len(filters) > MOST_FILTERS:
        raise UsageError(f"there are more than {MOST_FILTERS} filters", hint="leave some out")
    if sum(len(one.column) + len(one.value) for one in filters) > LONGEST_FILTERS:
        raise UsageError(f"the filters have more than {LONGEST_FILTERS} characters", hint="shorten their values")
    # The last one counts: a form sends the present order, and what was pressed behind it.
    order, sort = next(
        ((name, text) for name, text in reversed(query.multi_items()) if name in ("sort", "sort_desc")), ("sort", "")
    )
    return Listing(
        filters=filters,
        sort=sort,
        descending=order == "sort_desc",
        after=query.get("after", ""),
        before=query.get("before", ""),
        columns=page_number(query.get("columns")),
    )


def filter_fields(filters: Iterable[Filter]) -> list[tuple[str, str]]:
    """Return filters as the fields of an address."""
    return [
        field for one in filters for field in (("column", one.column), ("operator", one.operator), ("value", one.value))
    ]


def read_place(text: str) -> Place | None:
    """Return where a page begins; None for the first page. What is no place is an empty one, which no page has."""
    if not text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    is_place = isinstance(found, list) and found and all(isinstance(value, str | None) for value in found)
    return tuple(found) if is_place else ()


def write_place(place: Place | None) -> str:
    """Return a place as it stands in an address; empty for none."""
    return "" if place is None else json_in_address(json.dumps(place, ensure_ascii=False, separators=(",", ":")))


def row_path(request: Request, table: str, key: str | Mapping[str, Any], **more: str) -> str:
    """Return the address of a row.

    Args:
        request: the request.
        table: `schema.table`.
        key: its key: columns to values, also as JSON text.
        more: further fields of the address.
    """
    return path_of_row(request, table, key_in_address(key), **more)


def path_of_row(request: Request, table: str, address: str, **more: str) -> str:
    """Return the address of a row whose key is given as it stands in an address."""
    return f"{request.url_for('row', table=table).path}?{urlencode({'key': address, **more}, errors='surrogateescape')}"


def key_in_address(key: str | Mapping[str, Any]) -> str:
    """Return a row's key as it stands in an address: the value of a key of one column, else JSON."""
    columns = exact.read_exactly(key) if isinstance(key, str) else dict(key)
    if isinstance(columns, dict) and len(columns) == 1:
        (value,) = columns.values()
        if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
            text = format(value, "f") if isinstance(value, Decimal) else str(value)
            # A form changes the ends of lines in a text, and JSON has none.
            is_plain = not any(character < " " or SURROGATES.match(character) for character in text)
            if is_plain and not text.lstrip().startswith("{"):
                return text
    return json_in_address(exact.write(columns))


def read_key(text: str, columns: Sequence[str], table: str) -> str:
    """Return the key that an address names, as JSON: columns to values.

    Args:
        text: what the address says.
        columns: the columns of the key.
        table: the table's name, for the message.

    Raises:
        UsageError: it is no key of the table.
    """
    found: Any = None
    if text.lstrip().startswith("{"):
        try:
            found = exact.read_given(text)
        except ValueError:
            found = None
    if isinstance(found, dict) and found.keys() == set(columns):
        written = exact.write(found)
        return written if SURROGATES.search(written) else text
    if len(columns) == 1 and "\0" not in text:
        return exact.write({columns[0]: text})
    raise UsageError(f"{text[:200]} is no key of {table}", hint=f"its columns are {', '.join(columns)}")
