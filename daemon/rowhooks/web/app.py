"""The console as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from rowhooks.domain.errors import ConnectionsEnded, RowhooksError
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.console.logins import OwnLogin, names_login
from rowhooks.web import api, errors, login
from rowhooks.web.acts.bulk import BulkActs
from rowhooks.web.embed import console as embed
from rowhooks.web.embed.origins import AllowOrigins
from rowhooks.web.live.streams import Streams
from rowhooks.web.login.finding import FindSession
from rowhooks.web.login.oidc import Departures
from rowhooks.web.login.provider import Provider
from rowhooks.web.pages import (
    batches,
    bulk,
    buttons,
    changes,
    home,
    hooks,
    jobs,
    press,
    replay,
    row,
    rows,
    run,
    runs,
    status,
    tables,
)
from rowhooks.web.people.person import NotLoggedIn
from rowhooks.web.people.sessions import Sessions
from rowhooks.web.security.access_log import NONE, LogRequests
from rowhooks.web.security.attempts import Attempts
from rowhooks.web.security.bodies import LimitBodies
from rowhooks.web.security.headers import AddHeaders
from rowhooks.web.security.hosts import CheckHost, CheckPath
from rowhooks.web.security.limits import LimitRequests
from rowhooks.web.security.peers import FindPeer
from rowhooks.web.settings import ConsoleSettings
from rowhooks.web.static_files import HashedFiles

logger = logging.getLogger(__name__)

PAGES = (
    home,
    login,
    runs,
    bulk,
    run,
    changes,
    hooks,
    jobs,
    buttons,
    tables,
    press,
    row,
    rows,
    batches,
    replay,
    status,
    api,
    embed,
)
"""The modules with pages: each has `routes`."""
LOG_INS = 4
"""How many passwords are tried at the same time; others wait."""
REFUSAL_TIME = 1.0
"""Seconds after which a refused log-in is answered, or a multiple of them."""
PURGE_EVERY = 30.0
"""Seconds between two looks for sessions whose time is over."""


@dataclass(frozen=True)
class Console:
    """What the pages share: `request.app.state.console`.

    Args:
        target: the database. A person's log-in does not use its user and password.
        sessions: who is logged in.
        settings: the console's settings.
        own: the console's own login, which checks tokens and lends roles; None: it has none.
        attempts: log-ins that failed.
        log_ins: limits how many passwords are tried at the same time.
        refusal_time: seconds after which a refused log-in is answered.
        provider: the OpenID provider, where people log in by one.
        departures: the browsers that are there.
        stopping: set when the console is about to stop: live pages end then.
        streams: the streams of events that are open.
        bulk_acts: acts on many runs that go on.
    """

    target: Target
    sessions: Sessions
    settings: ConsoleSettings
    own: OwnLogin | None = None
    attempts: Attempts = field(default_factory=Attempts)
    log_ins: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(LOG_INS))
    refusal_time: float = REFUSAL_TIME
    provider: Provider | None = None
    departures: Departures = field(default_factory=Departures)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    streams: Streams = field(default_factory=Streams)
    bulk_acts: BulkActs = field(default_factory=BulkActs)

    @classmethod
    def open(
        cls,
        settings: ConsoleSettings,
        target: Target,
        *,
        clock: Callable[[], float] = time.monotonic,
        refusal_time: float = REFUSAL_TIME,
    ) -> Console:
        """Return a console with these settings.

        Args:
            settings: the console's settings.
            target: rowhooks' database; `dsn` of the console's settings comes before it.
            clock: returns the time in seconds.
            refusal_time: seconds after which a refused log-in is answered.
        """
        if settings.dsn:
            target = Target(settings.dsn, password=settings.password)
        needs_own = settings.login != ("postgres",) or names_login(settings.dsn)
        own = OwnLogin(target, settings.own_connections, settings.impersonation) if needs_own else None
        most, most_of_one = settings.sessions, settings.sessions_per_person
        sessions = Sessions(settings.idle, settings.longest, most, most_of_one, clock)
        provider = Provider(settings) if "oidc" in settings.login else None
        return cls(
            target, sessions, settings, own, Attempts(clock), refusal_time=refusal_time, provider=provider,
            departures=Departures(clock),
        )  # fmt: skip

    def purge(self) -> None:
        """End what nobody uses any more."""
        self.sessions.purge()
        if self.own is not None:
            self.own.purge(self.settings.idle)

    def close(self) -> None:
        """End all sessions and connections."""
        self.sessions.end_all()
        if self.own is not None:
            self.own.close()


class ConsoleApp(Starlette):
    """The application. Its errors have headers too, and are logged once."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the layers around the pages, the outermost first."""
        console: Console = self.state.console
        settings = console.settings
        inner = super().build_middleware_stack()
        checked = CheckHost(CheckPath(inner), settings.names, allow_plain_http=settings.allow_plain_http)
        logged = checked if settings.access_log == NONE else LogRequests(checked, settings.access_log)
        return AllowOrigins(AddHeaders(FindPeer(logged, settings.trusted_peers)), settings.embed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            await super().__call__(scope, receive, send)
        except ClientDisconnect:
            logger.debug("a client has gone")
        except Exception:
            # The error page was sent, and `on_any_error` has logged it. In the lifespan, the server must know.
            if scope["type"] != "http":
                raise


def make_app(console: Console) -> ConsoleApp:
    """Return the console as an ASGI application."""
    routes: list[BaseRoute] = [route for module in PAGES for route in module.routes]
    routes.append(Mount("/static", HashedFiles(), name="static"))
    settings = console.settings

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        purging = asyncio.create_task(_purge(console))
        try:
            yield
        finally:
            purging.cancel()
            console.close()

    app = ConsoleApp(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            Middleware(LimitBodies, settings.largest_body, settings.slowest),
            Middleware(FindSession, console.sessions, settings),
            Middleware(
                LimitRequests, settings.requests_per_person, settings.streams_per_person, stopping=console.stopping
            ),
        ],
        exception_handlers={
            ConnectionsEnded: errors.on_connections_ended,
            RowhooksError: errors.on_rowhooks_error,
            HTTPException: errors.on_http_error,
            NotLoggedIn: errors.on_nobody,
            Exception: errors.on_any_error,
        },
    )
    app.router.redirect_slashes = False
    app.state.console = console
    return app


async def _purge(console: Console) -> None:
    while True:
        await asyncio.sleep(PURGE_EVERY)
        console.purge()
