"""Names of users' making in the paths of pages: `Route("/hooks/{name:name}", ...)` takes any name that there can be.

A server decodes a path before it is matched with routes, and a browser resolves dots in it. So slashes, percent signs
and names that could be something else in a path are encoded once more than is usual.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote, unquote, urlencode

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request

_TAKEN = {".", "..", "new"}


class NameConvertor(Convertor[str]):
    """One segment of a path that stands for a name."""

    regex: ClassVar[str] = "[^/]+"

    def convert(self, value: str) -> str:
        """Return the name that a segment stands for; the server has decoded it once."""
        return unquote(value)

    def to_string(self, value: str) -> str:
        """Return the segment of a name, for links."""
        within = str(value).replace("%", "%25").replace("/", "%2F")
        if within in _TAKEN:
            within = f"%{ord(within[0]):02X}{within[1:]}"
        return quote(within, safe="", errors="surrogateescape")


register_url_convertor("name", NameConvertor())


def address(request: Request, route: str, query: Mapping[str, object] | None = None, /, **names: object) -> str:
    """Return the path of a page, with a query.

    Args:
        request: the request, for its routes.
        route: the name of the page's route.
        query: what stands in the query; what is None is left out.
        names: the parameters in the path.
    """
    path = request.url_for(route, **names).path
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True, errors='surrogateescape')}" if given else path
