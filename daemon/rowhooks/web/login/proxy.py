"""Logging in by the word of a trusted proxy, which names the user in a header of each request."""

from __future__ import annotations

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from rowhooks.domain.errors import SettingsError
from rowhooks.web.login.entering import console_of, enter, entered, role_for
from rowhooks.web.settings import ConsoleSettings


def named_users(connection: HTTPConnection, settings: ConsoleSettings) -> list[str]:
    """Return what a request has in the header that names its user."""
    return connection.headers.getlist(settings.proxy_header)


def user_of(request: Request) -> str:
    """Return the user that the proxy has named; empty if it named none. Others cannot: see FindSession."""
    users = named_users(request, console_of(request).settings)
    return users[0].strip() if users else ""


async def log_in(request: Request, user: str, path: str) -> Response:
    """Begin a session for the user that the proxy has named.

    Raises:
        PermissionDenied: the user has no role, or one that may not come in.
    """
    console = console_of(request)
    if console.own is None:
        raise SettingsError("the console has no login of its own", hint="set dsn in [console] of rowhooks.toml")
    role = role_for(console.settings, user)
    turns = console.settings.connections
    cookie = await enter(request, role, console.own.of(role), turns, how="proxy", user=user)
    return entered(request, cookie, path)
