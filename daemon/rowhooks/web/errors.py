"""Errors as pages: what went wrong, and what to do. Nothing of a traceback, a statement or a secret is in them."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

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
from rowhooks.web.linking.addresses import safe_path
from rowhooks.web.people.cookies import session_cookie
from rowhooks.web.people.sessions import REASONS
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


def status_of(error: RowhooksError) -> int:
    """Return the HTTP status that tells of an error."""
    code = getattr(error.__cause__, "sqlstate", None) or ""
    if type(error) is DatabaseError and (status := _BY_SQLSTATE.get(code) or _BY_CLASS.get(code[:2])):
        return status
    return next((status for kind in type(error).__mro__ if (status := _STATUS.get(kind))), 500)


async def on_rowhooks_error(request: Request, error: Exception) -> Response:
    """Show an error of ours."""
    assert isinstance(error, RowhooksError)
    status = status_of(error)
    return page(request, "error.html", status=status, title=HTTPStatus(status).phrase, message=error.message,
                hint=error.hint or "")  # fmt: skip


async def on_http_error(request: Request, error: Exception) -> Response:
    """Show an error of a request: an unknown path, a method that is not allowed."""
    assert isinstance(error, HTTPException)
    title = HTTPStatus(error.status_code).phrase
    return page(request, "error.html", status=error.status_code, title=title, message=error.detail, hint="")


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
    return await on_nobody(request, error)


async def on_nobody(request: Request, error: Exception) -> Response:
    """Send a person that is not logged in to the log-in, and afterwards back to the page that it wanted."""
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
        wanted = request.headers.get("referer", "").removeprefix(origin)
    home = request.url_for("home").path
    wanted = safe_path(wanted, home)
    query = {**({"next": wanted} if wanted != home else {}), **({"reason": reason} if reason else {})}
    login = request.url_for("login").path
    return see(f"{login}?{urlencode(query)}" if query else login)
