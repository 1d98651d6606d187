"""The bell: the lock by which the triggers see whether to ring, and the connection on which the bell is heard."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg

from rowhooks.domain.errors import ConnectionFailed, DatabaseError
from rowhooks.pipeline.concurrency import first_of
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.connections.connect import connect, connected
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.leadership.epoch import probe

logger = logging.getLogger(__name__)

_ARM = "select rowhooks.arm_bell($1)"
_DISARM = "select pg_advisory_unlock(hashtextextended('rowhooks.bell', 0))"
_LISTEN = "listen rowhooks"
_SENDER = "select a.usename::text, a.application_name from pg_stat_activity as a where a.pid = $1"

MOST_RINGS = 2000
"""Notifications a second; more of them are a flood, and the channel is not listened to for a while."""
SHORTEST_SILENCE, LONGEST_SILENCE = 5.0, 300.0
"""Seconds without listening after a flood; doubled each time the flood goes on."""


class PostgresBellLock:
    """Holds the bell lock for its session: PostgreSQL frees it when the connection ends.

    It has its own connection, because waiting for the lock blocks the connection.

    Args:
        connection: asyncpg, not through a transaction pooler.
        patience: seconds to wait for transactions that have not rung.
    """

    def __init__(self, connection: asyncpg.Connection[Any], patience: float) -> None:
        self._connection = connection
        self._patience = timedelta(seconds=patience)
        self._turn = asyncio.Lock()

    async def arm(self) -> bool:
        """Take the lock; False where a transaction that has not rung kept it for too long."""
        async with self._turn:
            with translated():
                return bool(await self._connection.fetchval(_ARM, self._patience))

    async def disarm(self) -> None:
        """Release the lock: no transaction need ring any more."""
        async with self._turn:
            with translated():
                await self._connection.execute(_DISARM)

    async def probe(self, patience: float) -> None:
        """Make a round trip; raise ConnectionFailed when none is possible within `patience` seconds.

        Where the server has seen this connection end, it has freed the lock, and nothing would wake the leader.
        """
        async with self._turn:
            await probe(self._connection, patience)


class ListeningConnection(asyncpg.Connection):  # type: ignore[misc]
    """An asyncpg connection that passes each notification on as it is read, with the sender's process id.

    asyncpg itself puts a callback for each into the event loop's queue, and nothing else has its turn before the last.
    """

    heard: Callable[[int], None]

    def _process_notification(self, pid: int, channel: str, payload: str) -> None:
        self.heard(pid)


class Listener:
    """Hears the bell on its own connection: any login may ring it, as often as it likes.

    A flood of notifications delays every answer on the same connection, so nothing else is asked on this one. In a
    flood it is closed, since nothing else stops the server from sending what is queued, and opened again later.

    Args:
        target: the database, not through a transaction pooler.
        ring: called for each notification.
        changed: called when the bell is heard no more, or again.
    """

    def __init__(self, target: Target, ring: Callable[[], None], changed: Callable[[], None]) -> None:
        self._target = target
        self._ring = ring
        self._changed = changed
        self._connection: asyncpg.Connection[Any] | None = None
        self._lost = asyncio.Event()
        self._flooded = asyncio.Event()
        self._began = 0.0
        self._senders: Counter[int] = Counter()

    @property
    def hears(self) -> bool:
        """Whether the bell is heard."""
        return self._connection is not None and not self._flooded.is_set()

    async def open(self) -> None:
        """Connect and listen.

        The connection stays outside transactions, so that it cannot fill the server's notification queue.
        """
        connection = await connect(self._target, kind=ListeningConnection)
        try:
            connection.heard = self._heard
            connection.add_termination_listener(self._ended)
            self._flooded.clear()
            self._senders.clear()
            self._connection = connection
            with translated():
                await connection.execute(_LISTEN)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Listen no more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def run(self) -> None:
        """Watch the connection for ever.

        Raises:
            ConnectionFailed: it was lost.
        """
        silence = SHORTEST_SILENCE
        is_told = False
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(silence if is_told else None):
                    await first_of(self._lost.wait(), self._flooded.wait())
            if self._lost.is_set():
                raise ConnectionFailed("the listening connection was lost")
            if not self._flooded.is_set():
                logger.info("the flood on channel rowhooks has ended: the bell is heard again")
                silence, is_told = SHORTEST_SILENCE, False
                continue
            self.close()
            self._changed()
            if not is_told:
                await self._tell()
            await asyncio.sleep(silence)
            silence, is_told = min(2 * silence, LONGEST_SILENCE), True
            await self.open()
            self._changed()

    def _heard(self, pid: int) -> None:
        if self._flooded.is_set():
            return
        moment = time.monotonic()
        if moment - self._began > 1:
            self._began = moment
            self._senders.clear()
        self._senders[pid] += 1
        if self._senders.total() > MOST_RINGS:
            self._flooded.set()
            # Only what has been read already is processed.
            if self._connection is not None:
                self._connection._transport.pause_reading()  # noqa: SLF001
        self._ring()

    def _ended(self, connection: Any) -> None:
        if connection is self._connection:
            self._lost.set()

    async def _tell(self) -> None:
        (pid, _), *_ = self._senders.most_common(1)
        try:
            async with connected(self._target) as connection:
                with translated():
                    row = await connection.fetchrow(_SENDER, pid)
        except DatabaseError as error:
            logger.warning("the session that floods channel rowhooks cannot be found: %s", error.message)
            row = None
        sender = f"a session that has ended (pid {pid})" if row is None else f"login {row[0]} (pid {pid}, {row[1]!r})"
        logger.warning(
            "channel rowhooks is flooded with more than %d notifications a second, most of them by %s: the bell is not"
            " heard for a while, and the log is looked at now and then instead (select pg_terminate_backend(%d);"
            " alter role ... nologin)", MOST_RINGS, sender, pid,
        )  # fmt: skip
