"""Bystanders: sessions that are none of ours, and hold up what rowhooks shares with every login of the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import asyncpg
import psycopg

from rowhooks.postgres.connections.errors import translated
from rowhooks.postgres.leadership.lock import HOLDERS, HOLDERS_OF_THE_LEADER_LOCK, IS_OURS, is_advisory_lock

LONG = 30.0
"""Seconds: a transaction that has held the bell's lock for so long is worth naming."""
LONG_LOCK = 5.0
"""Seconds: likewise one that lets nobody read a tracked table."""
QUEUE_IS_FILLING = 0.4
"""Of the server's notification queue; those who write stop ringing when half of it is full."""

HOLDERS_OF_THE_BELL = HOLDERS.format(
    lock=is_advisory_lock("hashtextextended('rowhooks.bell', 0)"), is_ours=f"({IS_OURS}) and l.mode = 'ExclusiveLock'"
)

_WAY_OUT = """
  h.ending || format('; and to keep it out: revoke connect on database %I from %I', current_database(), h.login)
"""

_LEADER_LOCK = f"""
select
  format('%s holds the leader''s lock, and is no member of role %s: no daemon leads before one has gone round it',
    h.holder, (select i.daemon_role from rowhooks.installation as i)),
  {_WAY_OUT}
from ({HOLDERS_OF_THE_LEADER_LOCK}) as h
where not h.is_ours and not h.is_gone
"""  # noqa: S608  (constants)

# A transaction lets go at its end, and holds the lock shared; a session that does without a transaction is a stranger.
_BELL = f"""
select
  format('%s holds the bell''s lock: the leader cannot sleep, and everybody who writes may have to ring', h.holder),
  {_WAY_OUT}
from ({HOLDERS_OF_THE_BELL}) as h
where not h.is_ours and not h.is_gone and (h.mode = 'ExclusiveLock' or h.virtualtransaction like '%/0')
"""  # noqa: S608  (constants)

_LONG_TRANSACTIONS = f"""
select
  format('%s has written to tracked tables and not ended since %s: the leader cannot sleep', h.holder,
    date_trunc('second', coalesce(h.xact_start, h.prepared))),
  h.ending
from ({HOLDERS_OF_THE_BELL}) as h
where not h.is_ours and h.mode = 'ShareLock' and h.virtualtransaction not like '%/0'
  and coalesce(h.xact_start, h.prepared) < clock_timestamp() - interval '{LONG:.0f} s'
"""  # noqa: S608  (constants)

# When it took the lock is not known; it goes by the transaction, if this login may know when that began.
_LOCKED_TABLES = HOLDERS.format(
    lock="""
  l.locktype = 'relation' and l.granted and l.mode = 'AccessExclusiveLock'
    and l.pid is distinct from pg_backend_pid()
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and l.relation in (select t.relation from rowhooks.tracked_table as t where t.untracked_at is null)
""",
    is_ours=IS_OURS,
)
_LOCKED = f"""
select
  format('%s keeps %s locked%s: runs that need a row of it wait', h.holder, h.relation::regclass,
    ', in a transaction that has been open since ' || date_trunc('second', coalesce(h.xact_start, h.prepared))),
  h.ending
from ({_LOCKED_TABLES}) as h
where not h.is_gone
  and coalesce(coalesce(h.xact_start, h.prepared) < clock_timestamp() - interval '{LONG_LOCK:.0f} s', true)
"""  # noqa: S608  (constants)

# Nobody but a session itself is told on which channels it listens.
_QUEUE = f"""
select
  format('the server''s notification queue is %s %% full (when it is full, every COMMIT with a NOTIFY fails)%s',
    round(100 * u.usage::numeric), case
      when a.pid is not null then format('; the oldest open transaction is that of %s (pid %s, since %s)',
        a.usename, a.pid, date_trunc('second', a.xact_start))
    end
  ),
  concat('end the session that listens and sits in a transaction (the server''s log names it)',
    ': select pg_terminate_backend(' || a.pid || ')')
from pg_notification_queue_usage() as u (usage)
left join lateral (
  select o.pid, o.usename, o.xact_start from pg_stat_activity as o
  where o.backend_type = 'client backend' and o.pid <> pg_backend_pid() and o.xact_start is not null
  order by o.xact_start
  limit 1
) as a on true
where u.usage >= {QUEUE_IS_FILLING}
"""  # noqa: S608  (constants)


@dataclass(frozen=True)
class Bystander:
    """Somebody who holds the bell's lock, and is not the leader.

    Args:
        pid: its process; None for a prepared transaction.
        transaction: the one in which it holds the lock; empty where it holds it exclusively, in whatever transaction.
        name: login, process and application.
        ending: the statement that takes the lock from it.
    """

    pid: int | None
    transaction: str
    name: str = field(compare=False)
    ending: str = field(compare=False)


async def bell_holders(connection: asyncpg.Connection[Any]) -> list[Bystander]:
    """Return who holds the bell's lock beside the leader; most are transactions that end soon."""
    with translated():
        found = await connection.fetch(HOLDERS_OF_THE_BELL)
    return [
        Bystander(
            row["pid"],
            "" if row["mode"] == "ExclusiveLock" else row["virtualtransaction"],
            row["holder"],
            row["ending"],
        )
        for row in found
        if not row["is_gone"] and not row["is_ours"]
    ]


async def queue_usage(connection: asyncpg.Connection[Any]) -> float:
    """Return how full the server's notification queue is, from 0 to 1."""
    with translated():
        return float(await connection.fetchval("select pg_notification_queue_usage()"))


def hindrances(conn: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Return what bystanders keep from working, as sentences: what is wrong, and the way out."""
    return [row for query in (_LEADER_LOCK, _BELL, _QUEUE) for row in conn.execute(query)]


def locked_tables(conn: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Return who keeps tracked tables from being read, likewise."""
    return list(conn.execute(_LOCKED))


def long_transactions(conn: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Return the transactions that keep the leader awake, likewise."""
    return list(conn.execute(_LONG_TRANSACTIONS))
