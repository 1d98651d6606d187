"""Blocking sessions: those that are not ours and hold up what rowhooks shares with every login of the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import asyncpg

from rowhooks.domain.backlog import QUEUE_IS_FILLING
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.leadership import lock_holders
from rowhooks.postgres.statements import Statements

LONG = 30.0
"""Seconds after which a transaction that holds the bell's lock is named."""
LONG_LOCK = 5.0
"""Seconds after which a transaction that keeps a tracked table from being read is named."""

SQL = Statements(
    __file__, lock_holders.SQL, {"LONG": LONG, "LONG_LOCK": LONG_LOCK, "QUEUE_IS_FILLING": QUEUE_IS_FILLING}
)


@dataclass(frozen=True)
class BlockingSession:
    """A session, or a prepared transaction, that holds the bell's lock and is not the leader's.

    Args:
        pid: its process; None for a prepared transaction.
        transaction: the transaction in which it holds the lock; empty where it holds the lock exclusively.
        name: login, process and application.
        ending: the statement that takes the lock from it.
    """

    pid: int | None
    transaction: str
    name: str = field(compare=False)
    ending: str = field(compare=False)


async def bell_holders(connection: asyncpg.Connection[Any]) -> list[BlockingSession]:
    """Return what holds the bell's lock beside the leader; most are transactions that end soon."""
    with translated():
        found = await connection.fetch(SQL["holders_of_the_bell"])
    return [
        BlockingSession(
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
