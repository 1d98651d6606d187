"""The HTTP server of health: /livez, /readyz and /metrics. Its own thread answers while the loop hangs."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from rowhooks.domain.errors import RowhooksError
from rowhooks.domain.events import Events
from rowhooks.observability.health import HealthState
from rowhooks.observability.metrics import Counters, registry

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT = 10.0
"""Seconds in which a client must send its request."""


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name is http.server's)
        logger.debug(f"%s: {format}", self.address_string(), *args)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # WSGIServer's own method looks the host's name up, which may take long where there is no name server.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("a request of %s failed", client_address, exc_info=True)


class HealthServer:
    """Answers for the length of a block.

    Args:
        address: host and port, or a port of localhost.
        health: the state of the daemon or the worker.
        events: those of the daemon; the metrics count them from now on. None: there are no metrics; what workers
            execute is in those of the leader.

    Raises:
        RowhooksError: the server cannot listen on the address.
    """

    def __init__(self, address: str, health: HealthState, events: Events | None = None) -> None:
        self._health = health
        self._metrics = None if events is None else make_wsgi_app(registry(health, Counters(events)))
        host, _, port = address.rpartition(":")
        self.host = host.strip("[]") or "127.0.0.1"
        try:
            self._server = _Server(self.host, int(port))
        except OSError as error:
            # This is no SettingsError: the address may be free later, and the service manager starts the daemon again.
            raise RowhooksError(
                f"http_listen: {address} cannot be listened on: {error.strerror or error}",
                hint="name another address, or end what listens there",
            ) from error
        self._server.set_app(self._answer)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        what = "health is" if self._metrics is None else "health and metrics are"
        logger.info("%s at %s, port %d", what, self.host, self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _text("405 Method Not Allowed", "GET and HEAD are answered\n", start_response)
        path = environ["PATH_INFO"]
        if path == "/metrics" and self._metrics is not None:
            metrics: Iterable[bytes] = self._metrics(environ, start_response)
            return metrics
        overdue = self._health.overdue
        if path == "/livez":
            return self._state(overdue is None, overdue, start_response)
        if path == "/readyz":
            return self._state(overdue is None and self._health.is_ready, overdue, start_response)
        what = "there are /livez and /readyz" if self._metrics is None else "there are /livez, /readyz and /metrics"
        return _text("404 Not Found", f"{what}\n", start_response)

    def _state(self, is_well: bool, overdue: str | None, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = {"status": str(self._health), "overdue": overdue}
        status = "200 OK" if is_well else "503 Service Unavailable"
        return _text(status, json.dumps(body) + "\n", start_response, "application/json")


def _text(
    status: str, text: str, start_response: Callable[..., Any], content_type: str = "text/plain; charset=utf-8"
) -> Iterable[bytes]:
    body = text.encode()
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]
