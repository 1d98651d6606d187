"""Links between pages. A page that this console does not have is not linked to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.routing import NoMatchFound

from rowhooks.domain.errors import NotFound

SURROGATES = re.compile("[\ud800-\udfff]")
"""What Python's text has for bytes that are no text."""
LARGEST_ID = 2**63 - 1
"""The largest id that there can be."""


def path_of(request: Request, name: str, /, query: Iterable[tuple[str, Any]] = (), **parameters: Any) -> str | None:
    """Return the path of a page; None where there is no such page.

    Args:
        request: the request whose page links to it.
        name: the name of its route.
        query: what stands behind the question mark; what is None or empty is left out.
        parameters: those of the path.
    """
    try:
        path = request.url_for(name, **parameters).path
    except (NoMatchFound, AssertionError):
        # Starlette asserts that a parameter fits, such as that a name is not empty.
        return None
    return with_query(path, query)


def with_query(path: str, query: Iterable[tuple[str, Any]]) -> str:
    """Return a path with a query; what is None or empty is left out."""
    given = [(name, value) for name, value in query if value not in (None, "")]
    return f"{path}?{urlencode(given, errors='surrogateescape')}" if given else path


def json_in_address(document: str) -> str:
    """Return equal JSON with escapes for bytes that are no text, which an address cannot have."""
    return SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def id_in(request: Request) -> int:
    """Return the id in the path of a page.

    Raises:
        NotFound: no id is so large.
    """
    found: int = request.path_params["id"]
    if found > LARGEST_ID:
        raise NotFound("there is nothing with so large an id")
    return found
