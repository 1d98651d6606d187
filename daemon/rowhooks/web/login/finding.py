"""Finds who makes a request."""

from __future__ import annotations

from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from rowhooks.web.login.proxy import named_users
from rowhooks.web.people.cookies import session_cookie
from rowhooks.web.people.sessions import Session, Sessions
from rowhooks.web.security.answers import refuse
from rowhooks.web.settings import ConsoleSettings


class FindSession:
    """Finds the session of a request: `request.state.session`, `.person` and `.csrf_token`.

    Where proxies log people in, a header that names a user is refused from anybody else. A session that the proxy began
    for one user ends when the proxy names another one, or none.

    Args:
        app: the application.
        sessions: the sessions.
        settings: the console's settings.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, settings: ConsoleSettings) -> None:
        self._app, self._sessions, self._settings = app, sessions, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            connection = HTTPConnection(scope)
            state: dict[str, Any] = scope.setdefault("state", {})
            user = ""
            if "proxy" in self._settings.login and (users := named_users(connection, self._settings)):
                if not state.get("is_trusted_peer"):
                    why = f"The header {self._settings.proxy_header} is believed from trusted_peers alone."
                    await refuse(scope, receive, send, 403, why)
                    return
                if len(users) > 1 or not users[0].strip():
                    await refuse(scope, receive, send, 400, f"{self._settings.proxy_header} does not name one user.")
                    return
                user = users[0].strip()
            session = self._find(connection, user)
            state["session"] = session
            state["person"] = session.person if session else None
            state["csrf_token"] = session.csrf_token if session else ""
        await self._app(scope, receive, send)

    def _find(self, connection: HTTPConnection, user: str) -> Session | None:
        cookie = session_cookie(connection)
        # A browser asks for a stream by itself, again and again.
        session = self._sessions.find(cookie, is_use="text/event-stream" not in connection.headers.get("accept", ""))
        if session is not None and session.how == "proxy" and session.user != user:
            self._sessions.end(cookie, "user")
            return None
        return session
