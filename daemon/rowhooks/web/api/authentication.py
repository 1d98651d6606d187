"""Who calls the API: a token, or the session of a browser. What they may do is PostgreSQL's answer."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import HTTPConnection, Request
from starlette.types import Scope

from rowhooks.web.api.holders import tokens_of
from rowhooks.web.api.problems import FORGED, INSUFFICIENT_SCOPE, NOT_BY_TOKEN, UNAUTHENTICATED, Refusal
from rowhooks.web.forms.reading import comes_from_here
from rowhooks.web.people.cookies import session_cookie
from rowhooks.web.people.person import Person

CSRF_HEADER = "X-CSRF-Token"
_SAFE = ("GET", "HEAD")


class Level(StrEnum):
    """The scopes of tokens. A token does what its scopes name and its role may do."""

    READ = "read"
    PRESS = "press"
    OPERATE = "operate"
    ADMIN = "admin"


@dataclass(frozen=True)
class Caller:
    """Who makes a request.

    Args:
        person: a role and its connections.
        scopes: what the request may do at most.
        is_token: whether a token has told who it is; otherwise it is a session.
    """

    person: Person
    scopes: frozenset[Level]
    is_token: bool

    def must_have(self, scope: Level) -> None:
        """Make sure that a scope is among the caller's.

        Raises:
            Refusal: it is not.
        """
        if scope not in self.scopes:
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            raise Refusal(
                INSUFFICIENT_SCOPE, f"the token lacks the scope {scope}",
                hint="create a token that has it", headers={"WWW-Authenticate": challenge},
            )  # fmt: skip

    def must_be_session(self) -> None:
        """Make sure that it is a session.

        Raises:
            Refusal: it is a token.
        """
        if self.is_token:
            raise Refusal(NOT_BY_TOKEN, "a token creates and revokes no tokens", hint="log in to the console")


def nobody() -> Refusal:
    """Return the one answer to a request without a session whose token is missing, unknown, expired or revoked."""
    return Refusal(
        UNAUTHENTICATED, "a token or a session is needed", headers={"WWW-Authenticate": "Bearer"},
        hint="send the header Authorization: Bearer rwh_...; or log in, and send your session's cookie",
    )  # fmt: skip


def ended_session(scope: Scope) -> Refusal:
    """Return the answer to a request of a session whose connections have ended; the session ends with them."""
    connection = HTTPConnection(scope)
    if getattr(connection.state, "session", None) is not None:
        connection.app.state.console.sessions.end(session_cookie(connection), "connections")
    return nobody()


async def caller_of(request: Request) -> Caller:
    """Return who makes a request.

    Raises:
        Refusal: it is nobody, or a page of another site makes the request in somebody's name.
    """
    given = request.headers.getlist("authorization")
    if given:
        return await _holder_of(request, given)
    person = getattr(request.state, "person", None)
    if person is None:
        raise nobody()
    if request.method not in _SAFE and not _is_meant(request):
        raise Refusal(FORGED, "the request lacks its session's token, or comes from another site",
                      hint=f"send the token of the session in the header {CSRF_HEADER}")  # fmt: skip
    return Caller(person, frozenset(Level), is_token=False)


async def _holder_of(request: Request, given: list[str]) -> Caller:
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise nobody()
    tokens = tokens_of(request.app)
    if tokens is None:
        raise Refusal(
            UNAUTHENTICATED, "this console cannot check tokens: it has no login of its own",
            hint="set dsn in [console] of rowhooks.toml", headers={"WWW-Authenticate": "Bearer"},
        )  # fmt: skip
    holder = await tokens.find(token.strip())
    if holder is None:
        raise nobody()
    # A live page of the request is counted as one of its role, and ends with the token.
    request.state.person, request.state.session = holder.person, None
    scopes = frozenset(scope for scope in Level if scope in holder.scopes)
    return Caller(holder.person, scopes, is_token=True)


def _is_meant(request: Request) -> bool:
    expected: str = getattr(request.state, "csrf_token", "")
    given = request.headers.get(CSRF_HEADER, "")
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode()) and comes_from_here(request)
