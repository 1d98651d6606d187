"""The leader's lock: an advisory lock whose key changes where somebody who is no daemon has taken it.

PostgreSQL lets any login take any advisory lock. So a lock counts only where its holder is a member of the daemon's
role, and a daemon that finds the lock in foreign hands takes another one and writes its key down.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from typing import Any

import asyncpg

from rowhooks.postgres.connections.connect import Target, connected
from rowhooks.postgres.connections.errors import translated

logger = logging.getLogger(__name__)

LOOKS = 5
"""Looks at a lock that changes hands, before it is left for the next time."""
PAUSE = 0.02
"""Seconds between them."""

IS_OURS = """
  pg_has_role(a.usesysid, (select i.daemon_role from rowhooks.installation as i), 'member')
"""
"""Whether the session `a` of pg_stat_activity belongs to a login that a daemon may have; superusers do."""


def is_advisory_lock(key: str) -> str:
    """Return what is true of a row `l` of pg_locks that holds the advisory lock of a key, an SQL expression."""
    return f"""
  l.locktype = 'advisory' and l.granted and l.objsubid = 1
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and (l.classid::bigint << 32) | l.objid::bigint = {key}
"""  # noqa: S608  (constants)


_KEY_IN_FORCE = "(select f.leader_key from rowhooks.feed as f)"
LEADER_LOCK = f"""
  {is_advisory_lock(_KEY_IN_FORCE)}
    and exists (select from pg_stat_activity as a where a.pid = l.pid and {IS_OURS})
"""
"""What is true of a row `l` of pg_locks that is the leader's lock, in the hands of a daemon."""

# A prepared transaction holds its locks without a session, also through a restart.
HOLDERS = """
select
  a.pid is null and l.pid is not null as is_gone,
  coalesce({is_ours}, false) as is_ours,
  case
    when l.pid is null then format('the prepared transaction %L of login %s', p.gid, p.owner)
    else format('login %s (pid %s, application %s)', coalesce(a.usename, 'of an unknown name'), l.pid, coalesce(
      quote_nullable(nullif(left(a.application_name, 64), '')), 'without a name'
    ))
  end as holder,
  case
    when l.pid is null then format('rollback prepared %L', p.gid)
    else format('select pg_terminate_backend(%s)', l.pid)
  end as ending,
  coalesce(a.usename, p.owner) as login,
  l.pid, l.mode, l.relation, l.virtualtransaction, a.xact_start, p.prepared
from pg_locks as l
left join pg_stat_activity as a on a.pid = l.pid
left join pg_locks as x
  on l.pid is null and x.pid is null and x.locktype = 'transactionid' and x.virtualtransaction = l.virtualtransaction
left join pg_prepared_xacts as p on p.transaction = x.transactionid
where {lock}
order by l.pid
"""
"""A query of those who hold a lock: {lock} is what is true of a row `l` of pg_locks, {is_ours} of the session `a`."""
HOLDERS_OF_THE_LEADER_LOCK = HOLDERS.format(lock=is_advisory_lock(_KEY_IN_FORCE), is_ours=IS_OURS)

_LOOK = "select f.leader_key from rowhooks.feed as f"
# Not while a daemon is writing down another key; and keeps it from doing so as long as this transaction lasts.
_LOOK_AGAIN = "select f.leader_key = $1 from rowhooks.feed as f for share nowait"
_RESERVE = "select f.leader_key = $1 from rowhooks.feed as f for update"
_WRITE_DOWN = "update rowhooks.feed set leader_key = $1"

_LOCK = "select pg_try_advisory_lock($1)"
_LOCK_IN_TRANSACTION = "select pg_try_advisory_xact_lock($1)"
_UNLOCK = "select pg_advisory_unlock($1)"


@dataclass(frozen=True)
class Holder:
    """Somebody who holds the leader's lock.

    Args:
        is_ours: it is a daemon, or may be one.
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
        target: the database, for what is to be asked beside.
        pooled: the connection goes through a transaction pooler, where a session's lock would stay in a server
            connection of others. A transaction is begun that is never ended; it has neither a snapshot nor an id, and
            holds up neither VACUUM nor anybody else.
    """

    def __init__(self, connection: asyncpg.Connection[Any], target: Target, *, pooled: bool) -> None:
        self._connection = connection
        self._target = target
        self._pooled = pooled
        self._transaction: Any = None

    async def try_to_take(self) -> bool:
        """Take the lock if no daemon has it; a stranger who has it is named in the log, and gone round."""
        with translated():
            for _ in range(LOOKS):
                key = await self._connection.fetchval(_LOOK)
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
        """Lead by another lock, whose key nobody could have guessed; False where another daemon was quicker."""
        for stranger in strangers:
            logger.warning(
                "%s holds the leader's lock and is no daemon: a lock with another key is taken instead (it is ended"
                " by: %s; and kept out by: revoke connect on database ... from %s)",
                stranger.name, stranger.ending, stranger.login,
            )  # fmt: skip
        another = secrets.randbits(63)
        if not await self._lock(another):
            return False
        async with connected(self._target) as desk, desk.transaction():
            # A daemon that has taken the former lock meanwhile is seen here, or finds its key no longer in force.
            is_free = await desk.fetchval(_RESERVE, key) and not any(
                holder.is_ours for holder in await self._holders(desk)
            )
            if is_free:
                await desk.execute(_WRITE_DOWN, another)
        if not is_free:
            await self._unlock(another)
        return bool(is_free)

    async def _is_in_force(self, key: int) -> bool:
        # Not on the connection that holds the lock, whose transaction would keep the row.
        async with connected(self._target) as desk:
            while True:
                try:
                    return bool(await desk.fetchval(_LOOK_AGAIN, key))
                except asyncpg.LockNotAvailableError:
                    # Whoever holds the lock and makes no round trips counts as silent.
                    await self._connection.execute("select 1")
                    await asyncio.sleep(PAUSE)

    async def _holders(self, connection: asyncpg.Connection[Any] | None = None) -> list[Holder]:
        found = await (connection or self._connection).fetch(HOLDERS_OF_THE_LEADER_LOCK)
        if any(row["is_gone"] for row in found):
            # It has ended between the two views: whose it was shows at the next look.
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
