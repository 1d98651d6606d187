"""The console as a process: its socket, its signals, and the clients that it gives up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import operator
import os
import resource
import signal
import socket
import ssl
import stat
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool

from rowhooks.domain.errors import ConnectionFailed, LoginRefused, SettingsError
from rowhooks.service.notifications import Notifier
from rowhooks.web.app import Console, make_app
from rowhooks.web.security.peers import FindPeer, network_of
from rowhooks.web.settings import UNIX, ConsoleSettings

logger = logging.getLogger(__name__)
TICK = 1.0
"""Seconds between two looks at slow clients, and two messages to the service manager at most."""
KEEP_ALIVE = 5
"""Seconds for which an unused connection of a client stays open."""
LARGEST_HEAD = 65_536
"""Bytes of a request's line and headers."""
MOST_CONNECTIONS = 2000
"""How many clients are connected at the same time, if the process may have twice as many files open; further ones are
answered with status 503."""
MOST_WAITING = 200
"""How many connections of one client may wait for its requests; the ones that have waited longest are cut."""


def listening(settings: ConsoleSettings) -> socket.socket:
    """Return the socket that the console listens on.

    Raises:
        SettingsError: it cannot listen there.
    """
    try:
        if settings.listen.startswith(f"{UNIX}:"):
            return _listening_unix(Path(settings.listen.removeprefix(f"{UNIX}:")))
        host, _, port = settings.listen.rpartition(":")
        found = socket.getaddrinfo(host.strip("[]") or "127.0.0.1", int(port), type=socket.SOCK_STREAM)
        family, *_, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=512)
    except OSError as error:
        raise SettingsError(
            f"the console cannot listen on {settings.listen}: {error.strerror or error}",
            hint="choose another address: rowhooks console --listen 127.0.0.1:8091",
        ) from error


def _listening_unix(path: Path) -> socket.socket:
    # A socket that a killed console has left would be in the way.
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        path.unlink()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Who may write to it is a trusted peer, if the settings say so: its owner and its group.
    before = os.umask(0o117)
    try:
        made.bind(str(path))
        made.listen(512)
    except OSError:
        made.close()
        raise
    finally:
        os.umask(before)
    return made


def address_of(settings: ConsoleSettings, sock: socket.socket) -> str:
    """Return where a browser finds a console."""
    if settings.public_url:
        return settings.public_url
    if sock.family == socket.AF_UNIX:
        return settings.listen
    host, port = sock.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if settings.tls_certificate else 'http'}://{host}:{port}"


class Server(uvicorn.Server):
    """Uvicorn's server, which gives slow clients up and is stopped from outside.

    Args:
        console: the console.
        slowest: seconds that a client may take for its request's head, or for taking an answer.
        access_log: none, paths or full.
    """

    def __init__(self, console: Console) -> None:
        settings = console.settings
        self.app = make_app(console)
        super().__init__(uvicorn.Config(
            self.app, log_config=None, access_log=False, lifespan="on", http="h11", ws="none",
            proxy_headers=False, server_header=False, timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, round(settings.grace_period)), limit_concurrency=_most_connections(),
            h11_max_incomplete_event_size=LARGEST_HEAD, ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        ))  # fmt: skip
        self._console = console
        self._slowest = settings.slowest
        self._peers = FindPeer(self.app, settings.trusted_peers)
        self._seen: dict[Any, tuple[object, float]] = {}
        self._looked = -math.inf
        self.is_ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.is_ready.set()

    async def on_tick(self, counter: int) -> bool:
        """Do what is done ten times a second; say whether the server should stop."""
        if counter % 10 == 0 or len(self.server_state.connections) > MOST_WAITING:
            self.give_slow_clients_up(time.monotonic())
        self.give_crowds_up()
        return await super().on_tick(counter)

    def stop(self) -> None:
        """Let running requests end, and live pages at once; called again: stop without waiting."""
        self._console.stopping.set()
        self.force_exit = self.should_exit
        self.should_exit = True

    def give_slow_clients_up(self, now: float) -> None:
        """Cut the connections whose clients have kept the server waiting for too long."""
        before, self._seen, self._looked = self._seen, {}, now
        for connection in list(self.server_state.connections):
            if (waits_for := _waits_for(connection)) is None:
                continue
            is_same = connection in before and before[connection][0] == waits_for
            since = before[connection][1] if is_same else now
            self._seen[connection] = waits_for, since
            if now - since > self._slowest:
                # Not closed: that would wait until the client takes what is left for it.
                connection.transport.abort()

    def give_crowds_up(self) -> None:
        """Cut connections of clients that have too many wait for requests. A proxy has those of many people."""
        if len(self.server_state.connections) <= MOST_WAITING:
            return
        waiting: defaultdict[str, list[tuple[float, Any]]] = defaultdict(list)
        connection: Any
        for connection in self.server_state.connections:
            is_asked = isinstance(_waits_for(connection), tuple)
            if is_asked and not self._peers.trusts(connection.client):
                since = self._seen[connection][1] if connection in self._seen else math.inf
                waiting[network_of(connection.client)].append((since, connection))
        for crowd in waiting.values():
            crowd.sort(key=operator.itemgetter(0))
            for since, connection in crowd[:-MOST_WAITING]:
                # The request of a connection that is new may have arrived, and is read before the next look.
                if since < self._looked:
                    connection.transport.abort()


def _most_connections() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Connections to PostgreSQL and files need some too.
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 2)


def _waits_for(connection: Any) -> object:
    """Return what a connection waits for its client to do; None if it does not wait."""
    if connection.transport.is_closing():
        return "closing"
    if connection.flow.write_paused:
        return "reading"
    if connection.cycle is None or connection.cycle.response_complete:
        return "asking", connection.cycle
    return None


def run(console: Console) -> None:
    """Run a console until SIGTERM or SIGINT.

    Raises:
        SettingsError: it cannot listen, or its certificate cannot be used.
        PermissionDenied: its own login may do more than it needs.
        LoginRefused: PostgreSQL does not let its own login in.
        SchemaMismatch: rowhooks' schema is missing, or does not fit this code.
    """
    try:
        server = Server(console)
        server.config.load()
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"the console's certificate or key cannot be used: {error}") from error
    # Its own lines are about a server of an application; ours say the same.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    sock = listening(console.settings)
    try:
        with _runner() as runner:
            runner.run(_serve(console, server, sock))
    finally:
        sock.close()
        if console.settings.listen.startswith(f"{UNIX}:"):
            Path(console.settings.listen.removeprefix(f"{UNIX}:")).unlink(missing_ok=True)


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _serve(console: Console, server: Server, sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    notifier = Notifier(os.environ)

    def on_signal(number: signal.Signals) -> None:
        logger.info("%s received", number.name)
        notifier.send(STOPPING=1, EXTEND_TIMEOUT_USEC=int((console.settings.grace_period + 5) * 1e6))
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    await check_own_login(console)
    telling = asyncio.create_task(_tell(notifier, server, address_of(console.settings, sock)))
    try:
        await server.serve([sock])
    finally:
        telling.cancel()
    logger.info("stopped")


async def check_own_login(console: Console) -> None:
    """Check the console's own login when it starts, and warn of roles whose code could take up others.

    Args:
        console: the console.

    Raises:
        LoginRefused: the server does not let it in.
        PermissionDenied: it may do more than it needs.
        SchemaMismatch: rowhooks' schema does not fit this code.
    """
    if console.own is None:
        return
    try:
        await run_in_threadpool(console.own.check)
        if planters := await run_in_threadpool(console.own.planters):
            logger.warning(
                "role %s may make views, policies or functions, or owns some. If somebody looks at them in the console,"
                " such code can take up every role that the console's own login may take up. Set impersonation ="
                ' "connect", or take the right from the role; see "Whose rights" in docs/console.md',
                ", ".join(planters),
            )
    except LoginRefused:
        raise
    except ConnectionFailed as error:
        # It may come back; the login is checked when it is first used.
        logger.warning("PostgreSQL cannot be reached yet: %s", error)


async def _tell(notifier: Notifier, server: Server, address: str) -> None:
    """Say when the console answers, and go on saying that its event loop does not stand still."""
    await server.is_ready.wait()
    logger.info("the console answers on %s", address)
    notifier.send(READY=1, STATUS=f"answers on {address}")
    while True:
        await asyncio.sleep(min(TICK, notifier.watchdog / 3) if notifier.watchdog else TICK)
        if notifier.watchdog:
            notifier.send(WATCHDOG=1)
