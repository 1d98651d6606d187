"""Service: tells the service manager how the daemon or the worker is, by systemd's notification protocol.

Each message is one datagram. sd_notify(3) describes the protocol, and advises to implement it without libsystemd.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Mapping

from rowhooks.domain.display import LONG, visible
from rowhooks.domain.events import DeadlineSet, Events, LeadershipChanged
from rowhooks.observability.health import HealthState

logger = logging.getLogger(__name__)

SEND_TIMEOUT = 0.1
"""Seconds that a message may wait for the manager; state and status are sent again at the next tick."""
TICK = 1.0
"""Seconds between looks at the health of the daemon."""
LOOP_SILENCE = 30.0
"""Seconds after which an event loop that has not ticked counts as wedged."""


class Notifier:
    """Sends messages to the service manager, where there is one that listens.

    Args:
        environment: has NOTIFY_SOCKET, and WATCHDOG_USEC and WATCHDOG_PID where the manager has a watchdog.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        self.watchdog: float | None = None
        if environment.get("WATCHDOG_PID") in (None, str(os.getpid())) and "WATCHDOG_USEC" in environment:
            self.watchdog = int(environment["WATCHDOG_USEC"]) / 1e6

    @property
    def is_wanted(self) -> bool:
        """Whether a service manager listens."""
        return bool(self._address)

    def send(self, **fields: str | int) -> bool:
        """Send one message, for example READY=1; where the manager cannot be reached, log that and return False."""
        if not self._address:
            return True
        message = "\n".join(f"{name}={visible(value, LONG)}" for name, value in fields.items())
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as sender:
            # Its queue may be full for a moment.
            sender.settimeout(SEND_TIMEOUT)
            try:
                sender.sendto(message.encode(), self._address)
            except OSError as error:
                logger.warning("the service manager cannot be told %s: %s", " ".join(fields), error.strerror or error)
                return False
        return True


class Service:
    """Tells the service manager how the daemon is, and feeds its watchdog while nothing is overdue.

    Args:
        health: the state of the daemon; it has subscribed to the events before this.
        notifier: reaches the manager.
        events: those of the daemon.
    """

    def __init__(self, health: HealthState, notifier: Notifier, events: Events) -> None:
        self._health = health
        self._notifier = notifier
        self._events = events
        self._is_ready = False
        self._status = ""
        self._logged = ""
        events.subscribe(LeadershipChanged, lambda _: self._tell())

    async def watch(self) -> None:
        """Watch the daemon for ever, on its event loop, so that a wedged loop is noticed too."""
        notifier = self._notifier
        tick = min(TICK, notifier.watchdog / 3) if notifier.watchdog else TICK
        while True:
            self._events.publish(DeadlineSet("the event loop goes on", LOOP_SILENCE))
            overdue = self._health.overdue
            if overdue is not None and overdue != self._logged:
                logger.error("wedged: this should have been done by now: %s", overdue)
            self._logged = overdue or ""
            if overdue is None and notifier.watchdog:
                notifier.send(WATCHDOG=1)
            self._tell()
            await asyncio.sleep(tick)

    def stopping(self, seconds: float) -> None:
        """Say that the daemon stops, and how many seconds that may take."""
        self._notifier.send(STOPPING=1, EXTEND_TIMEOUT_USEC=int(seconds * 1e6))

    def reloading(self) -> None:
        """Say that the daemon loads new code and settings; its successor says when it is ready again."""
        self._notifier.send(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def reloaded(self) -> None:
        """Say that the daemon could not be reloaded, and goes on as it was."""
        self._notifier.send(READY=1)

    def _tell(self) -> None:
        if self._health.is_ready and not self._is_ready:
            self._is_ready = self._notifier.send(READY=1)
        status = str(self._health)
        if status != self._status:
            self._status = status if self._notifier.send(STATUS=status) else ""
