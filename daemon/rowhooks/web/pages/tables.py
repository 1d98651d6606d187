"""The tables whose rows a person may see."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.postgres.console.tables import list_tables
from rowhooks.web.linking.page_numbers import page_number
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page
from rowhooks.web.showing.fitting import length_that_fits

LONGEST_SEARCH = 200
"""How many characters of a search count."""
NAME_LENGTHS, COMMENT_LENGTHS = (260, 60), (100, 40)
"""To how many characters names and comments are shortened."""
ROOM_FOR_NAMES, ROOM_FOR_COMMENTS = 20_000, 12_000
"""How many bytes of the page are for them."""
KINDS = {"r": "table", "p": "partitioned table", "f": "foreign table", "v": "view", "m": "materialized view"}
"""What people call the kinds of pg_class."""


async def tables(request: Request) -> Response:
    """List the tables, found by a part of their name."""
    search = request.query_params.get("search", "").replace("\0", "")[:LONGEST_SEARCH]
    number = page_number(request.query_params.get("page"))
    found = await person_of(request).read(list_tables, search, number)

    def path_of(other: int) -> str:
        return f"{request.url_for('tables').path}?{urlencode({'search': search, 'page': other})}"

    return page(
        request, "tables.html", tables=found.tables, name_length=length_that_fits(
            (table.name for table in found.tables), NAME_LENGTHS, ROOM_FOR_NAMES
        ), comment_length=length_that_fits(
            (table.comment or "" for table in found.tables), COMMENT_LENGTHS, ROOM_FOR_COMMENTS
        ), search=search, number=number, kinds=KINDS,
        previous=path_of(number - 1) if number > 1 else "", next=path_of(number + 1) if found.has_more else "",
    )  # fmt: skip


routes = [Route("/tables", tables, name="tables")]
