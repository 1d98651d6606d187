"""Logging in as a PostgreSQL role, and out."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.errors import LoginRefused
from rowhooks.postgres.console.people import Access, OwnConnections, access
from rowhooks.web.forms import read_form
from rowhooks.web.person import Person
from rowhooks.web.rendering import page, see
from rowhooks.web.sessions import COOKIE

CONNECTIONS = 2
"""How many connections a session has."""


async def login(request: Request) -> Response:
    """Show the log-in, or log a person in."""
    if request.method == "GET":
        return page(request, "login.html", role="", problem="")
    form = await request.form(max_files=0, max_fields=10)
    role, password = str(form.get("role", "")), str(form.get("password", ""))
    console = request.app.state.console
    try:
        connections = await run_in_threadpool(OwnConnections, console.target, role, password, CONNECTIONS)
    except LoginRefused:
        return page(request, "login.html", status=401, role=role, problem="PostgreSQL does not let this role in.")
    found = await run_in_threadpool(_access, connections)
    console.sessions.end(request.cookies.get(COOKIE))
    cookie = console.sessions.begin(Person(found.role, connections, CONNECTIONS, found.level))
    answer = see(request.url_for("home").path)
    answer.set_cookie(COOKIE, cookie, path="/", secure=True, httponly=True, samesite="lax")
    return answer


def _access(connections: OwnConnections) -> Access:
    with connections.lend(read_only=True) as conn:
        return access(conn)


async def logout(request: Request) -> Response:
    """Log a person out."""
    await read_form(request)
    request.app.state.console.sessions.end(request.cookies.get(COOKIE))
    answer = see(request.url_for("login").path)
    answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return answer


routes = [
    Route("/login", login, methods=["GET", "POST"], name="login"),
    Route("/logout", logout, methods=["POST"], name="logout"),
]
