"""The bell lock: an advisory lock, on a connection of its own, because waiting for it blocks the connection."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg

from rowhooks.postgres.errors import translated
from rowhooks.postgres.leadership import probe

_ARM = "select rowhooks.arm_bell($1)"
_DISARM = "select pg_advisory_unlock(hashtextextended('rowhooks.bell', 0))"


class PostgresBellLock:
    """Holds the bell lock for its session: PostgreSQL frees it when the connection ends.

    Args:
        connection: asyncpg, not through a transaction pooler.
        patience: seconds to wait for transactions that have not rung.
    """

    def __init__(self, connection: asyncpg.Connection[Any], patience: float) -> None:
        self._connection = connection
        self._patience = timedelta(seconds=patience)
        self._turn = asyncio.Lock()

    async def arm(self) -> bool:
        """Take the lock; False when somebody who has not rung kept it for too long."""
        async with self._turn:
            with translated():
                return bool(await self._connection.fetchval(_ARM, self._patience))

    async def disarm(self) -> None:
        """Give the lock back: nobody need ring any more."""
        async with self._turn:
            with translated():
                await self._connection.execute(_DISARM)

    async def probe(self, patience: float) -> None:
        """Make a round trip; raise ConnectionFailed when none is possible within `patience` seconds.

        A lock that the server has freed, because to it this connection has ended, would wake nobody up.
        """
        async with self._turn:
            await probe(self._connection, patience)
