"""Errors as pages: what went wrong, and what to do. Nothing of a traceback, a statement or a secret is in them."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from urllib.parse import unquote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match, Route

from rowhooks.domain.errors import (
    ConditionFailed,
    Conflict,
    ConnectionFailed,
    ConnectionsEnded,
    DatabaseError,
    InvalidInputs,
    NotFound,
    PermissionDenied,
    RowhooksError,
    SchemaMismatch,
    TableLocked,
    TookTooLong,
    UsageError,
)
from rowhooks.postgres.console.access import check_schema
from rowhooks.postgres.console.people import STATEMENT_TIMEOUT
from rowhooks.web.linking.addresses import safe_path
from rowhooks.web.people.cookies import session_cookie
from rowhooks.web.people.person import Person
from rowhooks.web.people.sessions import MAY_BE_DONE, NOT_DONE, REASONS
from rowhooks.web.rendering import page, see

logger = logging.getLogger(__name__)

_STATUS: dict[type, HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    PermissionDenied: HTTPStatus.FORBIDDEN,
    Conflict: HTTPStatus.CONFLICT,
    UsageError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ConnectionsEnded: HTTPStatus.UNAUTHORIZED,
    ConnectionFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    TookTooLong: HTTPStatus.SERVICE_UNAVAILABLE,
    DatabaseError: HTTPStatus.UNPROCESSABLE_ENTITY,
    TableLocked: HTTPStatus.SERVICE_UNAVAILABLE,
    SchemaMismatch: HTTPStatus.SERVICE_UNAVAILABLE,
    InvalidInputs: HTTPStatus.UNPROCESSABLE_ENTITY,
    ConditionFailed: HTTPStatus.UNPROCESSABLE_ENTITY,
}
_BY_SQLSTATE = {
    "25006": HTTPStatus.SERVICE_UNAVAILABLE,
    "23505": HTTPStatus.CONFLICT,
    "40001": HTTPStatus.SERVICE_UNAVAILABLE,
    "40P01": HTTPStatus.SERVICE_UNAVAILABLE,
    "42704": HTTPStatus.NOT_FOUND,
    "42710": HTTPStatus.CONFLICT,
    "55000": HTTPStatus.CONFLICT,
    "55P03": HTTPStatus.SERVICE_UNAVAILABLE,
    "57014": HTTPStatus.SERVICE_UNAVAILABLE,
    "P0002": HTTPStatus.NOT_FOUND,
}
"""What PostgreSQL refuses with these codes: what exists already, or may pass by itself, or does not exist ..."""
_BY_CLASS = {
    "53": HTTPStatus.SERVICE_UNAVAILABLE,
    "58": HTTPStatus.INTERNAL_SERVER_ERROR,
    "XX": HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The same for classes of codes: no room, and what is wrong with the server and not with the request."""

_MISSING = {"3F000", "42703", "42883", "42P01"}
"""What PostgreSQL says when a schema, column, function or table is not there."""


def status_of(error: RowhooksError) -> int:
    """Return the HTTP status that tells of an error."""
    code = getattr(error.__cause__, "sqlstate", None) or ""
    if type(error) is DatabaseError and (status := _BY_SQLSTATE.get(code) or _BY_CLASS.get(code[:2])):
        return status
    return next((status for kind in type(error).__mro__ if (status := _STATUS.get(kind))), 500)


_HINTS: dict[type, str] = {
    TookTooLong: f"A statement of a page may take {STATEMENT_TIMEOUT[:-1]} seconds. Load the page again."
    " If that does not help, the server is overloaded, or the page asks for too much: use narrower filters.",
    ConnectionFailed: "Load the page again."
    " If that does not help, see whether the server runs, and read the console's log.",
}
"""What a page says where the error itself knows no way out."""


def hint_of(error: RowhooksError) -> str:
    """Return what to do about an error; empty if nothing is known."""
    return error.hint or next((hint for kind in type(error).__mro__ if (hint := _HINTS.get(kind))), "")


async def on_rowhooks_error(request: Request, error: Exception) -> Response:
    """Show an error of ours."""
    assert isinstance(error, RowhooksError)
    error = await explained(getattr(request.state, "person", None), error)
    status = status_of(error)
    hint = hint_of(error)
    if not error.hint and request.method == "POST" and isinstance(error, ConnectionFailed):
        hint = "look whether it was done before you send it again"
    return page(request, "error.html", status=status, title=HTTPStatus(status).phrase, message=error.message,
                hint=hint)  # fmt: skip


async def explained(person: Person | None, error: RowhooksError) -> RowhooksError:
    """Return an error, or the one that explains it: what is not there may be of another release's schema.

    Sessions check the schema when they begin; an upgrade may come while they go on.

    Args:
        person: who has met the error, if anybody is logged in.
        error: the error.
    """
    if person is None or getattr(error.__cause__, "sqlstate", None) not in _MISSING:
        return error
    try:
        await person.read(check_schema)
    except SchemaMismatch as mismatch:
        return mismatch
    except RowhooksError as other:
        logger.debug("the schema was not checked: %s", other)
    return error


async def on_http_error(request: Request, error: Exception) -> Response:
    """Show an error of a request: an unknown path, a method that is not allowed."""
    assert isinstance(error, HTTPException)
    title = HTTPStatus(error.status_code).phrase
    message = "There is no such page." if error.detail == title == HTTPStatus.NOT_FOUND.phrase else error.detail
    return page(request, "error.html", status=error.status_code, title=title, message=message, hint="")


async def on_any_error(request: Request, error: Exception) -> Response:
    """Say that something went wrong in the console; its log says what."""
    logger.error("request %s %s failed", request.method, request.url.path, exc_info=error)
    return page(request, "error.html", status=500, title="Error", hint="The console's log says what.",
                message="Something went wrong in the console.")  # fmt: skip


async def on_connections_ended(request: Request, error: Exception) -> Response:
    """Send a person whose connections have ended to the log-in, and afterwards back to the page that it wanted."""
    session = getattr(request.state, "session", None)
    if session is None:
        return await on_rowhooks_error(request, error)
    request.app.state.console.sessions.end(session_cookie(request), "connections")
    return _to_the_log_in(request, MAY_BE_DONE)


async def on_nobody(request: Request, error: Exception) -> Response:
    """Send a person that is not logged in to the log-in, and afterwards back to the page that it wanted."""
    return _to_the_log_in(request, NOT_DONE)


def _to_the_log_in(request: Request, done: str) -> Response:
    reason = request.app.state.console.sessions.why_ended(session_cookie(request))
    accepted = request.headers.get("accept", "*/*")
    is_script = request.headers.get("sec-fetch-dest") == "empty" or not re.search(r"text/html|\*/\*", accepted)
    if is_script:
        # A script must not take the log-in for what it asked for, nor ask again and again.
        text = REASONS.get(reason, "Nobody is logged in.")
        return PlainTextResponse(f"{text}\n", status_code=401)
    if request.method in ("GET", "HEAD"):
        query_string = request.scope["query_string"].decode("latin-1")
        path = request.scope.get("raw_path", b"").decode("latin-1")
        wanted = f"{path}?{query_string}" if query_string else path
    else:
        # What was to be done is not done after the log-in; the page with its form is shown again.
        origin = f"{request.url.scheme}://{request.url.netloc}"
        wanted = _page_near(request, request.headers.get("referer", "").removeprefix(origin))
    home = request.url_for("home").path
    wanted = safe_path(wanted, home)
    is_form = request.method == "POST" and request.scope["path"] != request.url_for("logout").path
    query = {"next": wanted if wanted != home else "", "reason": reason, "done": done if is_form else ""}
    query = {name: value for name, value in query.items() if value}
    login = request.url_for("login").path
    return see(f"{login}?{urlencode(query)}" if query else login)


def _page_near(request: Request, path: str) -> str:
    """Return a path, or, where it is the address of a form that was sent, the nearest one above it with a page."""
    while path.startswith("/"):
        where = {"type": "http", "method": "GET", "path": unquote(path.partition("?")[0])}
        if any(route.matches(where)[0] == Match.FULL for route in request.app.routes if isinstance(route, Route)):
            return path
        path = path.partition("?")[0].rpartition("/")[0]
    return path
