"""What all ways of logging in have in common: who comes in, where it goes next, what it gets."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from rowhooks.domain.errors import PermissionDenied
from rowhooks.postgres.console.access import Access, admit
from rowhooks.postgres.console.people import Connections
from rowhooks.web.linking.addresses import safe_path
from rowhooks.web.people.cookies import session_cookie, set_session_cookie
from rowhooks.web.people.person import Person
from rowhooks.web.rendering import see
from rowhooks.web.security.peers import network_of

if TYPE_CHECKING:
    from rowhooks.web.app import Console
    from rowhooks.web.settings import ConsoleSettings

logger = logging.getLogger(__name__)


def console_of(request: Request) -> Console:
    """Return what the pages share."""
    console: Console = request.app.state.console
    return console


def wanted(request: Request, text: str) -> str:
    """Return where the person that logs in goes: where it wanted to, if that is a page of the console."""
    home = request.url_for("home").path
    path = safe_path(text, home)
    is_login = path.partition("?")[0] in (request.url_for("login").path, request.url_for("logout").path)
    return home if is_login else path


def role_for(settings: ConsoleSettings, user: str) -> str:
    """Return the role of a user that a proxy or a provider has named.

    Raises:
        PermissionDenied: the user has no role.
    """
    if user in settings.roles:
        return settings.roles[user]
    if settings.unlisted == "same" and user:
        return user
    raise PermissionDenied(
        f"no role of PostgreSQL belongs to user {user}", hint="name it under [console.roles] in rowhooks.toml"
    )


async def enter(request: Request, role: str, connections: Connections, turns: int, *, how: str, user: str) -> str:
    """Begin a session, and end the one that the browser had; return the value of its cookie.

    Args:
        request: the request.
        role: the role.
        connections: its connections; they are ended if it may not come in.
        turns: how many questions it asks at the same time.
        how: postgres, proxy or oidc.
        user: the name that a proxy or a provider gave.

    Raises:
        PermissionDenied: the role is a superuser, or the console's login may not take it up.
        SchemaMismatch: rowhooks' schema does not fit this code.
        ConnectionFailed: there are too many sessions.
    """
    console = console_of(request)

    def ask() -> Access:
        with connections.lend(read_only=True) as conn:
            return admit(conn, allow_superusers=console.settings.allow_superusers)

    try:
        found = await run_in_threadpool(ask)
    except BaseException:
        connections.close()
        raise
    console.sessions.end(session_cookie(request))
    client = network_of(request.scope.get("client"))
    person = Person(found.role, connections, turns, found.level)
    cookie = console.sessions.begin(person, how, user, client)
    logger.info("%s logged in from %s by %s%s", role, client, how, f" as {user}" if user else "")
    return cookie


def entered(request: Request, cookie: str, path: str) -> Response:
    """Return the answer that gives a browser the cookie of its new session, and shows it the page that it wanted."""
    answer = see(path)
    set_session_cookie(request, answer, cookie)
    return answer
