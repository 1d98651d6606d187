"""The cookie of a session, and under which name a browser takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from starlette.requests import HTTPConnection
from starlette.responses import Response

from rowhooks.web.people.sessions import COOKIE, PLAIN_COOKIE

if TYPE_CHECKING:
    from rowhooks.web.app import Console


def _is_plain(connection: HTTPConnection) -> bool:
    """Say whether a browser would not take a cookie that only TLS may carry. It does from its own machine."""
    console = cast("Console", connection.scope["app"].state.console)
    return console.settings.allow_plain_http and connection.scope["scheme"] == "http"


def session_cookie(connection: HTTPConnection) -> str | None:
    """Return the value of a request's cookie of a session."""
    return connection.cookies.get(PLAIN_COOKIE if _is_plain(connection) else COOKIE)


def set_session_cookie(connection: HTTPConnection, answer: Response, value: str) -> None:
    """Give the browser the cookie of its session."""
    is_plain = _is_plain(connection)
    answer.set_cookie(
        PLAIN_COOKIE if is_plain else COOKIE, value, path="/", secure=not is_plain, httponly=True, samesite="lax"
    )


def forget_session_cookie(connection: HTTPConnection, answer: Response) -> None:
    """Let the browser forget the cookie of its session."""
    is_plain = _is_plain(connection)
    answer.delete_cookie(
        PLAIN_COOKIE if is_plain else COOKIE, path="/", secure=not is_plain, httponly=True, samesite="lax"
    )
