"""Life: how the process of a daemon or a worker comes to its end, and how it says what it is doing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from rowhooks.domain.events import DaemonState, DeadlineSet, Events, LeadershipChanged
from rowhooks.observability.health import HealthState
from rowhooks.service.notifications import Notifier, Service

logger = logging.getLogger(__name__)


class Life:
    """The life of one daemon or worker.

    Args:
        what: `daemon` or `worker`, for messages.
        longest_end: seconds that its end may take.
        events: its own.
        health: its state; it has subscribed to the events before this.
        notifier: reaches the service manager.
        clean: blanks secrets.
    """

    def __init__(
        self,
        what: str,
        longest_end: float,
        events: Events,
        health: HealthState,
        notifier: Notifier,
        clean: Callable[[str], str],
    ) -> None:
        self.stopping = asyncio.Event()
        """Set when it is to take no new runs and to end."""
        self.reloads = False
        """Whether it ends for a successor in the same process."""
        self._what = what
        self._longest_end = longest_end
        self._events = events
        self._clean = clean
        self._service = Service(health, notifier, events)

    async def watch(self) -> None:
        """Watch it for ever, on its event loop, and tell the service manager."""
        await self._service.watch()

    def become(self, state: DaemonState, error: str = "") -> None:
        """Note what it is doing now, and the error that has led there; only the first line of that is told."""
        self._events.publish(LeadershipChanged(state, self._clean(error.partition("\n")[0])))

    def stop(self) -> None:
        """End in good order."""
        self._end(DaemonState.STOPPING)

    def reload(self, check: Callable[[], object]) -> None:
        """End in good order for a successor in the same process.

        Args:
            check: raises where the successor could not begin: then nothing happens.
        """
        if self.stopping.is_set():
            return
        self._service.reloading()
        try:
            check()
        except Exception as error:
            logger.error("nothing is reloaded, the %s goes on as it was: %s", self._what, self._clean(str(error)))
            self._service.reloaded()
            return
        self.reloads = True
        self._end(DaemonState.RELOADING)

    def _end(self, state: DaemonState) -> None:
        self.become(state)
        self._events.publish(DeadlineSet(f"the end of the {self._what}", self._longest_end))
        if state == DaemonState.STOPPING:
            self.reloads = False
            self._service.stopping(self._longest_end)
        self.stopping.set()
