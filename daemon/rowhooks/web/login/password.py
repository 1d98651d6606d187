"""Logging in with a role and its password, which opens the person's connections."""

from __future__ import annotations

import asyncio
import logging
import math

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.errors import ConnectionFailed, LoginRefused, PermissionDenied
from rowhooks.postgres.console.pools import OwnConnections
from rowhooks.postgres.console.refusals import AWAY
from rowhooks.web.forms.reading import comes_from_here
from rowhooks.web.login import proxy
from rowhooks.web.login.entering import console_of, enter, entered, wanted
from rowhooks.web.people.sessions import DONE, REASONS
from rowhooks.web.rendering import page
from rowhooks.web.security.peers import network_of

logger = logging.getLogger(__name__)
REFUSED = "PostgreSQL did not let this role in with this password."
"""The one answer to whatever is wrong with a role or its password; the console's log has what PostgreSQL said."""
LONGEST_ROLE, LONGEST_PASSWORD = 63, 1000
"""Bytes of a role's name, as PostgreSQL has them; characters of a password."""


async def login(request: Request) -> Response:
    """Show the log-in, or log a person in."""
    if request.method == "POST":
        return await _log_in(request)
    console = console_of(request)
    path = wanted(request, request.query_params.get("next", ""))
    reason = REASONS.get(request.query_params.get("reason", ""), "")
    if done := DONE.get(request.query_params.get("done", "")):
        reason = f"{reason} {done}".strip()
    if "proxy" in console.settings.login and (user := proxy.user_of(request)):
        return await proxy.log_in(request, user, path)
    return _page(request, path, reason=reason)


async def _log_in(request: Request) -> Response:
    form = await request.form(max_files=0, max_fields=10)
    role, password = str(form.get("role", "")), str(form.get("password", ""))
    path = wanted(request, str(form.get("next", "")))
    console = console_of(request)
    if "postgres" not in console.settings.login or not comes_from_here(request):
        raise PermissionDenied("this form was not sent by a page of this console", hint="open the page again")
    # The same time for every refusal tells nobody which of them it was.
    answered_at = asyncio.get_running_loop().time() + console.refusal_time
    client = network_of(request.scope.get("client"))
    name = role[:LONGEST_ROLE]
    if wait := console.attempts.begin(name, client):
        problem = f"There were too many attempts. Try again in {math.ceil(wait / 60)} minutes."
        answer = _page(request, path, status=429, role=role, problem=problem)
        answer.headers["retry-after"] = str(math.ceil(wait))
        return answer
    try:
        connections = await _connect(request, role, password)
    except LoginRefused as error:
        logger.warning("%s was not let in from %s: %s", role, client, error)
        await _sleep_until(answered_at, console.refusal_time)
        return _page(request, path, status=401, role=role, problem=REFUSED)
    except ConnectionFailed as error:
        console.attempts.not_made(name, client)
        logger.error("%s could not log in from %s: %s", role, client, error)
        return _page(request, path, status=503, role=role, problem=error.hint or AWAY)
    console.attempts.succeeded(name, client)
    cookie = await enter(request, role, connections, connections.count, how="postgres", user="")
    return entered(request, cookie, path)


async def _connect(request: Request, role: str, password: str) -> OwnConnections:
    console = console_of(request)
    if len(role.encode()) > LONGEST_ROLE or len(password) > LONGEST_PASSWORD:
        raise LoginRefused("a role or a password is longer than PostgreSQL's")

    def connect() -> OwnConnections:
        return OwnConnections(
            console.target, role, password, console.settings.connections,
            allow_passwordless=console.settings.allow_passwordless,
        )  # fmt: skip

    return await anyio.to_thread.run_sync(connect, limiter=console.log_ins)


async def _sleep_until(moment: float, step: float) -> None:
    left = moment - asyncio.get_running_loop().time()
    if step and left < 0:
        left %= step
    await asyncio.sleep(max(left, 0.0))


def _page(
    request: Request, path: str, status: int = 200, role: str = "", problem: str = "", reason: str = ""
) -> Response:
    console = console_of(request)
    return page(
        request, "login.html", status=status, role=role, problem=problem, reason=reason, next=path,
        ways=console.settings.login,
    )  # fmt: skip


routes = [Route("/login", login, methods=["GET", "POST"], name="login")]
