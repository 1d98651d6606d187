"""The first page: who is logged in, what that means, and where else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.web.person import person_of
from rowhooks.web.rendering import page


async def home(request: Request) -> Response:
    """Show the first page."""
    person = person_of(request)
    sessions = request.app.state.console.sessions.of_role(person.role)
    return page(request, "home.html", sessions=sessions, own=request.state.session)


routes = [Route("/", home, name="home")]
