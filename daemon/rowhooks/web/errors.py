"""Errors as pages: what went wrong, and what to do. Nothing of a traceback, a statement or a secret is in them."""

from __future__ import annotations

import logging
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rowhooks.domain.errors import (
    ConditionFailed,
    Conflict,
    ConnectionFailed,
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
from rowhooks.web.person import NotLoggedIn
from rowhooks.web.rendering import page, see

logger = logging.getLogger(__name__)

_STATUS: dict[type, HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    PermissionDenied: HTTPStatus.FORBIDDEN,
    Conflict: HTTPStatus.CONFLICT,
    UsageError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ConnectionFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    TookTooLong: HTTPStatus.SERVICE_UNAVAILABLE,
    DatabaseError: HTTPStatus.UNPROCESSABLE_ENTITY,
    TableLocked: HTTPStatus.SERVICE_UNAVAILABLE,
    SchemaMismatch: HTTPStatus.SERVICE_UNAVAILABLE,
    InvalidInputs: HTTPStatus.UNPROCESSABLE_ENTITY,
    ConditionFailed: HTTPStatus.UNPROCESSABLE_ENTITY,
}
_BY_SQLSTATE = {
    "23505": HTTPStatus.CONFLICT,
    "40001": HTTPStatus.SERVICE_UNAVAILABLE,
    "40P01": HTTPStatus.SERVICE_UNAVAILABLE,
    "42704": HTTPStatus.NOT_FOUND,
    "42710": HTTPStatus.CONFLICT,
    "53300": HTTPStatus.SERVICE_UNAVAILABLE,
    "55000": HTTPStatus.CONFLICT,
    "55P03": HTTPStatus.SERVICE_UNAVAILABLE,
    "57014": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""What PostgreSQL refuses with these codes: what exists already, or may pass by itself, or does not exist ..."""


def status_of(error: RowhooksError) -> int:
    """Return the HTTP status that tells of an error."""
    if type(error) is DatabaseError and (status := _BY_SQLSTATE.get(getattr(error.__cause__, "sqlstate", None) or "")):
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


async def on_nobody(request: Request, error: Exception) -> Response:
    """Send a person that is not logged in to the log-in."""
    assert isinstance(error, NotLoggedIn)
    return see(request.url_for("login").path)
