"""Wake-ups: how the leader learns that there is something to read: by the bell where possible, else by polling."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any

from rowhooks.domain.backlog import QUEUE_IS_FILLING
from rowhooks.domain.errors import ConnectionFailed, DatabaseError
from rowhooks.domain.events import BellRung, Events
from rowhooks.pipeline.concurrency import together
from rowhooks.pipeline.listener import Bell, Sleep
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.leadership.bell import Listener, PostgresBellLock
from rowhooks.postgres.leadership.blocking_sessions import (
    LONG,
    BlockingSession,
    bell_holders,
    queue_usage,
)
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)

POLL_WITHOUT_BELL = 0.5
"""Seconds between looks where no transaction rings (two-phase commit mode), or where no ring is heard (a pooler)."""
WATCH_INTERVAL = 5.0
"""Seconds between looks at the server's notification queue, and at the sessions that hold the bell lock."""


class WakeUps:
    """Wakes the reader.

    Args:
        settings: the intervals.
        events: those of the daemon.
    """

    def __init__(self, settings: Settings, events: Events) -> None:
        self._settings = settings
        self._events = events
        self.bell = Bell(settings.poll_interval)
        self.sleep = Sleep(self.bell, settings.bell_linger)
        self._lock: PostgresBellLock | None = None
        self._listener: Listener | None = None
        self._target = Target()
        self._writers_ring = True
        self._is_filling = False
        self._lost = asyncio.Event()
        self._holders: dict[BlockingSession, float] = {}
        self._told: set[BlockingSession] = set()

    async def begin(self, stack: contextlib.AsyncExitStack, target: Target) -> None:
        """Open the connections, unless they would go through a transaction pooler; `stack` closes them."""
        stack.callback(self.sleep.close)
        self._target = target
        if target.pooled:
            return
        listener = self._listener = Listener(target, self._rung, self._changed)
        stack.callback(listener.close)
        connection, _ = await together(stack.enter_async_context(connected(target)), listener.open())
        connection.add_termination_listener(lambda _: self._lost.set())
        self._lock = PostgresBellLock(connection, self._settings.bell_lock_timeout)

    def use(self, *, writers_ring: bool) -> None:
        """Note whether transactions that write ring at all."""
        self._writers_ring = writers_ring
        is_heard = (
            writers_ring
            and not self._is_filling
            and self._lock is not None
            and self._listener is not None
            and self._listener.hears
        )
        interval = self._settings.poll_interval
        self.bell.poll_interval = interval if is_heard else min(interval, POLL_WITHOUT_BELL)
        self.sleep.use(self._lock if is_heard else None)

    async def probe(self, patience: float) -> None:
        """Make a round trip on the connection that has the bell lock, within so many seconds."""
        if self._lock is not None:
            await self._lock.probe(patience)

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Return what goes on for ever beside the reader. It ends with ConnectionFailed when a connection was lost."""
        return [] if self._listener is None else [self._listener.run(), self._watch(), self._notice_the_end()]

    async def _notice_the_end(self) -> None:
        await self._lost.wait()
        raise ConnectionFailed("the connection with the bell lock was lost")

    def _rung(self) -> None:
        self._events.publish(BellRung())
        self.bell.ring()

    def _changed(self) -> None:
        self.use(writers_ring=self._writers_ring)
        # The reader may sleep with the former interval.
        self.bell.ring()

    async def _watch(self) -> None:
        is_told = False
        while True:
            try:
                async with connected(self._target) as connection:
                    while True:
                        self._look_at_the_queue(await queue_usage(connection))
                        self._look_at_holders(await bell_holders(connection))
                        is_told = False
                        await asyncio.sleep(WATCH_INTERVAL)
            except DatabaseError as error:
                if not is_told:
                    logger.warning("the notification queue cannot be looked at: %s", error.message)
                is_told = True
                await asyncio.sleep(WATCH_INTERVAL)

    def _look_at_the_queue(self, usage: float) -> None:
        is_filling = usage >= QUEUE_IS_FILLING
        if is_filling == self._is_filling:
            return
        self._is_filling = is_filling
        if is_filling:
            logger.warning(
                "the server's notification queue is %.0f %% full, and soon no transaction rings: the log is looked at"
                " every %s s (a session that listens in an open transaction holds the queue up; see: rowhooks doctor)",
                100 * usage, POLL_WITHOUT_BELL,
            )  # fmt: skip
        else:
            logger.info("the server's notification queue has room again: the bell is heard")
        self._changed()

    def _look_at_holders(self, holders: list[BlockingSession]) -> None:
        moment = time.monotonic()
        self._holders = {holder: self._holders.get(holder, moment) for holder in holders}
        self._told &= self._holders.keys()
        for holder, since in self._holders.items():
            if moment - since >= LONG and holder not in self._told:
                self._told.add(holder)
                logger.warning(
                    "%s has held the bell lock for more than %.0f s, so that the leader cannot sleep; nothing is lost"
                    " (%s)", holder.name, LONG, holder.ending,
                )  # fmt: skip
