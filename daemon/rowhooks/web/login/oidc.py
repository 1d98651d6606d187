"""Logging in at an OpenID provider: authorization code, PKCE, nonce, and a state that is bound to the browser."""

from __future__ import annotations

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from rowhooks.domain.display import visible
from rowhooks.domain.errors import NotFound, PermissionDenied, SettingsError
from rowhooks.web.login.entering import console_of, enter, entered, role_for, wanted
from rowhooks.web.login.provider import Provider

logger = logging.getLogger(__name__)
COOKIE, PLAIN_COOKIE = "__Host-rowhooks-oidc", "rowhooks-oidc-plain"
"""The cookie of a browser that has been sent to the provider."""
PATIENCE = 600.0
"""Seconds for which a browser may be at the provider."""
MOST_AWAY = 1000
"""How many browsers may be at the provider; the ones that left first are forgotten."""


@dataclass(frozen=True)
class Departure:
    """A browser that has been sent to the provider.

    Args:
        path: the page that it wanted.
        until: when it must be back, in seconds of the clock.
        state: what the provider sends back with it.
        nonce: what the provider's token must have.
        verifier: what proves to the provider that the code was given to us.
    """

    path: str
    until: float
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))


class Departures:
    """The browsers that are at the provider, by the value of their cookie.

    Args:
        clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._away: OrderedDict[str, Departure] = OrderedDict()

    def leave(self, path: str) -> tuple[str, Departure]:
        """Note a browser that is sent to the provider; return the value of its cookie, and what is asked for it."""
        cookie = secrets.token_urlsafe(32)
        self._away[cookie] = departure = Departure(path, self._clock() + PATIENCE)
        while len(self._away) > MOST_AWAY:
            self._away.popitem(last=False)
        return cookie, departure

    def back(self, cookie: str | None, state: str) -> Departure:
        """Return what was asked for a browser, once.

        Raises:
            PermissionDenied: this browser was not sent to the provider with this state, or it was away too long.
        """
        departure = self._away.pop(cookie or "", None)
        is_it = departure is not None and secrets.compare_digest(departure.state.encode(), state.encode())
        if departure is None or not is_it or departure.until < self._clock():
            raise PermissionDenied(
                "this log-in was not begun in this browser, or it took too long", hint="log in again"
            )
        return departure


async def begin(request: Request) -> Response:
    """Send the browser to the provider."""
    provider = _provider(request)
    cookie, departure = console_of(request).departures.leave(wanted(request, request.query_params.get("next", "")))
    address = await provider.address(
        redirect_uri=_return_address(request), state=departure.state, nonce=departure.nonce, verifier=departure.verifier
    )
    answer = RedirectResponse(address, status_code=303)
    name, is_secure = _cookie(request)
    answer.set_cookie(
        name, cookie, max_age=int(PATIENCE), path="/", secure=is_secure, httponly=True, samesite="lax"
    )  # fmt: skip
    return answer


async def finish(request: Request) -> Response:
    """Log the person in that the provider has sent back.

    Raises:
        PermissionDenied: the log-in was not begun here, the provider did not vouch for it, or it has no role.
    """
    provider, console = _provider(request), console_of(request)
    name, is_secure = _cookie(request)
    departure = console.departures.back(request.cookies.get(name), request.query_params.get("state", ""))
    code = request.query_params.get("code", "")
    if not code:
        said = request.query_params.get("error", "nothing")
        raise PermissionDenied(f"the provider did not log you in; it said: {visible(said)}", hint="log in again")
    user = await provider.user(
        code, redirect_uri=_return_address(request), nonce=departure.nonce, verifier=departure.verifier
    )
    role = role_for(console.settings, user)
    assert console.own is not None
    turns = console.settings.connections
    cookie = await enter(request, role, console.own.of(role), turns, how="oidc", user=user)
    answer = entered(request, cookie, departure.path)
    answer.delete_cookie(name, path="/", secure=is_secure, httponly=True, samesite="lax")
    return answer


def _provider(request: Request) -> Provider:
    console = console_of(request)
    if "oidc" not in console.settings.login:
        raise NotFound("this console does not log people in by an OpenID provider")
    if console.provider is None or console.own is None:
        raise SettingsError("the console has no OpenID provider")
    return console.provider


def _return_address(request: Request) -> str:
    public = console_of(request).settings.public_url
    path = request.url_for("oidc_finish").path
    return f"{public or f'{request.url.scheme}://{request.url.netloc}'}{path}"


def _cookie(request: Request) -> tuple[str, bool]:
    is_plain = console_of(request).settings.allow_plain_http and request.url.scheme == "http"
    return (PLAIN_COOKIE, False) if is_plain else (COOKIE, True)


routes = [
    Route("/login/oidc", begin, name="oidc_begin"),
    Route("/login/oidc/finish", finish, name="oidc_finish"),
]
