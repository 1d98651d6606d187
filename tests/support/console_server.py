"""The console as a server: in a thread of the test's process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from rowhooks.web.server import Server
from tests.support.console import make_console
from tests.support.waiting import PATIENCE, wait


class Clock:
    """A clock that a test turns forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return time.monotonic() + self._ahead

    def turn(self, seconds: float) -> None:
        """Turn it forward."""
        self._ahead += seconds


@contextlib.contextmanager
def console_thread(
    dsn: str, /, *, port: int = 0, clock: Callable[[], float] = time.monotonic, **settings: Any
) -> Iterator[str]:
    """Run the console in a thread; yield its address.

    Args:
        dsn: the database.
        port: of loopback; 0: any.
        clock: what sessions have their time from.
        settings: settings of the console that are not the defaults.
    """
    server = Server(make_console(dsn, clock, **{"grace_period": 1.0, **settings}).state.console)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        thread = threading.Thread(target=server.run, args=([listening],), name="console")
        thread.start()
        try:
            wait(lambda: server.started or not thread.is_alive())
            assert server.started
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
