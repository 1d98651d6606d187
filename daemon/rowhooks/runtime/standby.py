"""Standby: waits for the leader lock. Leader: watches it, over the same connection."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from rowhooks.domain.errors import ConnectionFailed
from rowhooks.domain.events import DaemonState, DeadlineMet, DeadlineSet, LeadershipChanged
from rowhooks.pipeline.concurrency import first_of
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.leadership import epoch as leadership
from rowhooks.postgres.leadership.lock import LeaderLock
from rowhooks.runtime.context import DaemonContext, Targets
from rowhooks.runtime.wakeups import WakeUps

logger = logging.getLogger(__name__)

STANDBY_INTERVAL = 0.5
"""Seconds between a standby's attempts to take the leadership."""
PROBE_TIMEOUT = 10.0
"""Seconds that the server has to answer a probe."""
LONGEST_STANDBY = 120.0
"""Seconds that one attempt of a standby may take; its statements have time-outs of their own."""
START, STAND_BY, PROBE = "taking the leadership", "an attempt to take the leader lock", "a probe of the leader lock"
"""The names of what must end in time."""


class Elector:
    """Waits for the leadership, and notices its loss.

    Args:
        context: of the daemon.
        targets: the ways to the database.
        control: the connection that is to hold the leader lock.
    """

    def __init__(self, context: DaemonContext, targets: Targets, control: Any) -> None:
        self._context = context
        self._targets = targets
        self._control = control
        self._lost = asyncio.Event()
        control.add_termination_listener(lambda _: self._lost.set())

    async def wait_for_leadership(self) -> bool:
        """Return True when this daemon has the leader lock, False when it is told to stop before."""
        lock = LeaderLock(self._control, self._targets.main, pooled=self._targets.listen.pooled)
        publish = self._context.events.publish
        is_first = True
        while not await lock.try_to_take():
            if is_first:
                await self._stand_by()
                is_first = False
            publish(DeadlineSet(STAND_BY, LONGEST_STANDBY))
            await self._depose_silent_leader()
            await first_of(self._context.stopping.wait(), asyncio.sleep(STANDBY_INTERVAL))
            if self._context.stopping.is_set():
                return False
        publish(DeadlineMet(STAND_BY))
        return True

    async def _stand_by(self) -> None:
        logger.info("standing by: another daemon leads %s", self._targets.main.label)
        await leadership.name_connection(self._control, f"rowhooks standby {self._context.name}")
        await self._announce_receivers()
        self._context.events.publish(LeadershipChanged(DaemonState.STANDBY))
        self._context.events.publish(DeadlineMet(START))

    async def _announce_receivers(self) -> None:
        """Let people see which receivers a standby has."""
        # Behind a pooler, the control connection stays in a transaction. Others would not see what it writes there.
        async with connected(self._targets.main) as connection:
            receivers = sorted(job.class_path for job in self._context.catalog)
            backend = await leadership.backend_of(self._control)
            await leadership.announce(connection, backend, self._context.name, receivers)

    async def _depose_silent_leader(self) -> None:
        timeout = self._context.settings.leader_timeout
        if silent := await leadership.end_silent_leader(self._control, timeout):
            logger.warning(
                "the leader %s has been silent for %s s; its connections were ended", silent, timeout
            )  # fmt: skip

    async def watch_lock(self, wakeups: WakeUps) -> None:
        """Notice that the connection with the leader lock has ended, also when its peer died silently.

        Args:
            wakeups: its connection with the bell lock is probed too.

        Raises:
            ConnectionFailed: the connection was lost.
        """
        settings, publish = self._context.settings, self._context.events.publish
        # The standbys see by these round trips that the leader lives; so they happen often enough.
        interval = min(settings.poll_interval, settings.leader_timeout / 3)
        while True:
            publish(DeadlineSet(PROBE, interval + 4 * PROBE_TIMEOUT + settings.bell_lock_timeout))
            await first_of(self._lost.wait(), asyncio.sleep(interval))
            if self._lost.is_set():
                publish(DeadlineMet(PROBE))
                raise ConnectionFailed("the connection with the leader lock was lost")
            patience = min(PROBE_TIMEOUT, settings.leader_timeout)
            await leadership.probe(self._control, patience)
            await wakeups.probe(patience)
