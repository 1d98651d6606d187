"""The endpoint of `<rowhooks-buttons>` in the console: for pages of its own origin, and of others by tokens."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from rowhooks.domain.button_tokens import ButtonToken, read_button_token
from rowhooks.domain.errors import PermissionDenied
from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.console.access import admit
from rowhooks.postgres.embedded_buttons import name_user
from rowhooks.postgres.embedded_problems import NOBODY, Refused
from rowhooks.web.embed.answers import FORGED, Asker, comes_from_here
from rowhooks.web.embed.answers import routes as routes_of
from rowhooks.web.people.person import Person

if TYPE_CHECKING:
    from rowhooks.web.app import Console

CSRF_HEADER = "X-CSRF-Token"
clock = time.time


async def find(request: Request) -> Asker:
    """Return who makes a request: the one for whom a token was made, or who is logged in.

    Raises:
        Refused: nobody does, or a page of another site does it in somebody's name.
    """
    console: Console = request.app.state.console
    given = request.headers.get("authorization")
    if given is not None:
        return _by_token(console, given)
    person: Person | None = getattr(request.state, "person", None)
    if person is None:
        raise NOBODY
    token: str = getattr(request.state, "csrf_token", "")
    is_meant = request.method == "GET" or hmac.compare_digest(
        request.headers.get(CSRF_HEADER, "").encode(), token.encode()
    )
    if not (is_meant and token and comes_from_here(request)):
        raise FORGED
    return Asker(_AsPerson(person), person.role, headers={CSRF_HEADER: token})


def _by_token(console: Console, given: str) -> Asker:
    scheme, _, text = given.partition(" ")
    if not console.settings.embed_secret or console.own is None:
        raise Refused(401, "this console takes no tokens for buttons", "set embed_secret and dsn in [console]")
    try:
        if scheme.lower() != "bearer":
            raise PermissionDenied("the request has no token", hint="send Authorization: Bearer ...")
        token = read_button_token(console.settings.embed_secret, text.strip(), clock())
    except PermissionDenied as error:
        raise Refused(401, error.message, error.hint) from error
    # The connections are the console's own, which take up the role for one transaction.
    person = Person(token.role, console.own.of(token.role), turns=1)
    allow = console.settings.allow_superusers
    return Asker(_ByToken(person, token, allow_superusers=allow), token.role, token.user, (token.table, token.key))


class _AsPerson:
    """Asks as the person who is logged in."""

    def __init__(self, person: Person) -> None:
        self._person = person

    async def __call__(self, question: Callable[..., dict[str, Any]], /, *args: Any, writes: bool) -> dict[str, Any]:
        return await (self._person.act if writes else self._person.read)(question, *args)


class _ByToken:
    """Asks as the person for whom a token was made."""

    def __init__(self, person: Person, token: ButtonToken, *, allow_superusers: bool) -> None:
        self._person, self._token, self._allow_superusers = person, token, allow_superusers

    async def __call__(self, question: Callable[..., dict[str, Any]], /, *args: Any, writes: bool) -> dict[str, Any]:
        def ask(conn: Connection) -> dict[str, Any]:
            admit(conn, allow_superusers=self._allow_superusers)
            if writes and self._token.user:
                name_user(conn, self._token.user)
            return question(conn, *args)

        return await (self._person.act if writes else self._person.read)(ask)


async def preflight(request: Request) -> Response:
    """Answer what a browser asks before a request of another origin's page; see AllowOrigins for what it is told."""
    return Response(status_code=204)


_ROUTES = routes_of(find)
_PREFLIGHTS = [Route(route.path, preflight, methods=["OPTIONS"], name=f"{route.name}_preflight") for route in _ROUTES]
routes = [Mount("/embed/v1", routes=[*_ROUTES, *_PREFLIGHTS], name="embed")]
