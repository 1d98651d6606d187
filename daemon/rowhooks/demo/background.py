"""The demo's daemon: in a thread of this process, with its log kept off the screen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from rowhooks.demo.receivers import AuditLine, DeviceCount, SerialPolicy
from rowhooks.domain.errors import RowhooksError
from rowhooks.runtime.daemon import Daemon
from rowhooks.settings import Settings

PATIENCE = 30.0
"""Seconds after which the demo says that something is wrong; never reached unless something is."""


class DaemonThread:
    """A daemon on an event loop of its own, so that what the application does cannot hold it up.

    Args:
        dsn: the database, for the daemon's login.
    """

    def __init__(self, dsn: str) -> None:
        # Every setting is given: a rowhooks.toml or an environment of the user's is about another database.
        defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
        self._settings = Settings(**{**defaults, "dsn": dsn, "listen_dsn": dsn, "grace_period": 5.0})
        self._thread = threading.Thread(target=self._run, name="rowhooks-daemon", daemon=True)
        self._stop: Callable[[], object] | None = None
        self._ready = threading.Event()
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def start(self) -> None:
        """Start the daemon; return when it is ready.

        Raises:
            RowhooksError: it is not within `PATIENCE`, or has ended.
        """
        self._thread.start()
        if not self._ready.wait(PATIENCE) or self.ended.is_set():
            raise self.error or RowhooksError(f"the daemon was not ready after {PATIENCE:.0f} s")

    def stop(self) -> None:
        """Let running receivers finish, and end the daemon."""
        if self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._stop()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001  (told to the thread that waits)
            self.error = error
        finally:
            self.ended.set()
            self._ready.set()

    async def _serve(self) -> None:
        daemon = Daemon(self._settings, [SerialPolicy, DeviceCount, AuditLine])
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(daemon.stop)
        announcing = asyncio.create_task(self._announce(daemon))
        try:
            await daemon.run()
        finally:
            announcing.cancel()

    async def _announce(self, daemon: Daemon) -> None:
        await daemon.ready.wait()
        self._ready.set()


class _Collector(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning of the daemon's own; receivers' lines are read from the database."""
        if not record.name.startswith("rowhooks.jobs"):
            self._lines.append(record.getMessage())


@contextlib.contextmanager
def quiet(lines: list[str]) -> Iterator[None]:
    """Keep the daemon's log off the screen; its warnings go into `lines`."""
    logger = logging.getLogger("rowhooks")
    handler = _Collector(lines)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
