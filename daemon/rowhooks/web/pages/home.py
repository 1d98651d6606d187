"""The first page."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.web.person import person_of
from rowhooks.web.rendering import page


async def home(request: Request) -> Response:
    """Show the first page."""
    person_of(request)
    return page(request, "home.html")


routes = [Route("/", home, name="home")]
