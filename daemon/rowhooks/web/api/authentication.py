"""Who calls the API: a token, or the session of a browser. What they may do is PostgreSQL's answer."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import Request

from rowhooks.web.api.problems import FORGED, INSUFFICIENT_SCOPE, UNAUTHENTICATED, Refusal
from rowhooks.web.forms import comes_from_here
from rowhooks.web.person import Person

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


def nobody() -> Refusal:
    """Return the one answer to a request without a session whose token is missing, unknown, expired or revoked."""
    return Refusal(
        UNAUTHENTICATED, "a token or a session is needed", headers={"WWW-Authenticate": "Bearer"},
        hint="send the header Authorization: Bearer rwh_...; or log in, and send your session's cookie",
    )  # fmt: skip


async def caller_of(request: Request) -> Caller:
    """Return who makes a request.

    Raises:
        Refusal: it is nobody, or a page of another site makes the request in somebody's name.
    """
    if request.headers.get("authorization") is not None:
        raise nobody()
    person = getattr(request.state, "person", None)
    if person is None:
        raise nobody()
    if request.method not in _SAFE and not _is_meant(request):
        raise Refusal(FORGED, "the request lacks its session's token, or comes from another site",
                      hint=f"send the token of the session in the header {CSRF_HEADER}")  # fmt: skip
    return Caller(person, frozenset(Level), is_token=False)


def _is_meant(request: Request) -> bool:
    expected: str = getattr(request.state, "csrf_token", "")
    given = request.headers.get(CSRF_HEADER, "")
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode()) and comes_from_here(request)
