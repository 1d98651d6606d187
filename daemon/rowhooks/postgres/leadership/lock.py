"""The leader's lock: an advisory lock whose key changes where a session that is not a daemon's has taken it.

PostgreSQL lets any login take any advisory lock. So a lock counts only where its holder is a member of the daemon's
role. A daemon that finds the lock in other hands takes another lock and records its key.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from typing import Any

import asyncpg

from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.leadership.lock_holders import HOLDERS_OF_THE_LEADER_LOCK, SQL

logger = logging.getLogger(__name__)

LOOKS = 5
"""How often a lock that changes hands is tried, before it is left for the next time."""
PAUSE = 0.02
"""Seconds between them."""

RESERVE_LEADERSHIP = "select pg_try_advisory_xact_lock(f.leader_key) from rowhooks.feed as f"
"""Keeps daemons from leading until the transaction ends; false where one leads."""

_LOCK = "select pg_try_advisory_lock($1)"
_LOCK_IN_TRANSACTION = "select pg_try_advisory_xact_lock($1)"
_UNLOCK = "select pg_advisory_unlock($1)"


@dataclass(frozen=True)
class Holder:
    """A holder of the leader's lock.

    Args:
        is_ours: whether it is a daemon, or may be one.
        name: login, process and application.
        ending: the statement that takes the lock from it.
        login: the login alone.
    """

    is_ours: bool
    name: str
    ending: str
    login: str


class LeaderLock:
    """The lock as one daemon sees it.

    Args:
        connection: holds the lock, until it ends.
        target: the database, for what is asked on other connections.
        pooled: whether the connection goes through a transaction pooler, where a session's lock would stay in a server
            connection that others use. There a transaction begins and never ends. It has neither a snapshot nor an id,
            and holds up neither VACUUM nor other sessions.
    """

    def __init__(self, connection: asyncpg.Connection[Any], target: Target, *, pooled: bool) -> None:
        self._connection = connection
        self._target = target
        self._pooled = pooled
        self._transaction: Any = None

    async def try_to_take(self) -> bool:
        """Take the lock if no daemon has it; a stranger that has it is named in the log, and another lock is taken."""
        with translated():
            for _ in range(LOOKS):
                key = await self._connection.fetchval(SQL["look"])
                if await self._lock(key):
                    if await self._is_in_force(key):
                        return True
                    await self._unlock(key)
                    continue
                holders = await self._holders()
                if any(holder.is_ours for holder in holders):
                    return False
                if holders and await self._go_round(key, holders):
                    return True
                await asyncio.sleep(PAUSE)
        return False

    async def _go_round(self, key: int, strangers: list[Holder]) -> bool:
        """Take another lock, whose key cannot be guessed; False where another daemon was quicker."""
        for stranger in strangers:
            logger.warning(
                "%s holds the leader's lock and is no daemon: a lock with another key is taken instead (it is ended"
                " by: %s; and kept out by: alter role %s nologin)",
                stranger.name, stranger.ending, stranger.login,
            )  # fmt: skip
        another = secrets.randbits(63)
        if not await self._lock(another):
            return False
        async with connected(self._target) as desk, desk.transaction():
            # A daemon that has taken the former lock meanwhile is seen here, or finds its key no longer in force.
            is_free = await desk.fetchval(SQL["reserve"], key) and not any(
                holder.is_ours for holder in await self._holders(desk)
            )
            if is_free:
                await desk.execute("update rowhooks.feed set leader_key = $1", another)
        if not is_free:
            await self._unlock(another)
        return bool(is_free)

    async def _is_in_force(self, key: int) -> bool:
        # Not on the connection that holds the lock, whose transaction would keep the row.
        async with connected(self._target) as desk:
            while True:
                try:
                    return bool(await desk.fetchval(SQL["look_again"], key))
                except asyncpg.LockNotAvailableError:
                    # A holder of the lock that makes no round trips counts as silent.
                    await self._connection.execute("select 1")
                    await asyncio.sleep(PAUSE)

    async def _holders(self, connection: asyncpg.Connection[Any] | None = None) -> list[Holder]:
        found = await (connection or self._connection).fetch(HOLDERS_OF_THE_LEADER_LOCK)
        if any(row["is_gone"] for row in found):
            # A holder has ended between the reads of the two views: the next try sees what is left.
            return []
        return [Holder(row["is_ours"], row["holder"], row["ending"], row["login"] or "that login") for row in found]

    async def _lock(self, key: int) -> bool:
        if not self._pooled:
            return bool(await self._connection.fetchval(_LOCK, key))
        self._transaction = self._connection.transaction()
        await self._transaction.start()
        if await self._connection.fetchval(_LOCK_IN_TRANSACTION, key):
            return True
        await self._transaction.rollback()
        return False

    async def _unlock(self, key: int) -> None:
        if self._pooled:
            await self._transaction.rollback()
        else:
            await self._connection.execute(_UNLOCK, key)
