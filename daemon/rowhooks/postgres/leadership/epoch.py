"""The leader epoch: what a new leader finds and records, and what a standby shows of itself."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from rowhooks.domain.feed import Position, Snapshot
from rowhooks.domain.queues import Queues
from rowhooks.domain.run_keys import Keys
from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.leadership import lock_holders
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__, lock_holders.SQL)

LONG_STATEMENT = 24 * 3600.0
"""Seconds that a statement which goes through the whole log may take."""


@dataclass(frozen=True)
class Leadership:
    """What a new leader finds.

    Args:
        keys: derives the keys of runs.
        position: where the feed stands.
        same_cluster: False after a restore into another cluster, where the position means nothing.
        same_database: False also in a copy of the database, whose runs need keys of their own.
    """

    keys: Keys
    position: Position
    same_cluster: bool
    same_database: bool


async def end_silent_leader(connection: asyncpg.Connection[Any], silence: float) -> str | None:
    """End the connections of a leader that has been silent for so long (seconds).

    The leader must use the same role as this connection: otherwise PostgreSQL does not show when it was last active.

    Returns:
        The leader's name; None where there is nothing to do.
    """
    with translated():
        row = await connection.fetchrow(SQL["silent"], timedelta(seconds=silence))
        if row is None:
            return None
        await connection.fetch(SQL["end_backends"], row[1])
        return str(row[0])


async def take_over(
    connection: asyncpg.Connection[Any],
    leader_epoch: uuid.UUID,
    name: str,
    waiting_limit: int,
    queues: Queues,
) -> Leadership:
    """Begin a leader epoch and read the position; the caller holds the leader's lock.

    Args:
        connection: the feed's.
        leader_epoch: the new one.
        name: of the daemon.
        waiting_limit: how many runs may wait for a job that this leader does not have; it holds for presses too.
        queues: those of its settings, by which doctor knows which queues need workers.
    """
    with translated():
        row = await connection.fetchrow(
            SQL["take_over"], leader_epoch, name, waiting_limit, list(queues.allowed), queues.default,
            sorted(queues.own),
        )  # fmt: skip
    assert row is not None, "rowhooks.feed is empty"
    snapshot, target, after_id, floor_id, newest_id, same_cluster, same_oid, history = row
    position = Position(
        Snapshot.parse(snapshot), None if target is None else Snapshot.parse(target), after_id, floor_id, newest_id
    )
    return Leadership(Keys(history), position, same_cluster, same_cluster and same_oid)


async def last_recorded(connection: asyncpg.Connection[Any]) -> int:
    """Return up to which id changes may have runs on record already; 0 for none.

    Nothing that former leaders have handed out is there any more: until then, workers put its runs on record.
    """
    with translated():
        return int(await connection.fetchval(SQL["last_recorded"]) or 0)


async def record_login(connection: asyncpg.Connection[Any], login: str, *, by_policy: bool) -> None:
    """Record the login whose privileges count: doctor names what that login lacks.

    Args:
        connection: the leader's.
        login: the login that loads rows and calls receivers.
        by_policy: whether the login lets policies of row security decide which rows exist.
    """
    with translated():
        await connection.execute("update rowhooks.feed set rows_login = $1, rows_by_policy = $2", login, by_policy)


async def runs_on_record(connection: asyncpg.Connection[Any], change_ids: list[int]) -> set[tuple[int, int]]:
    """Return change id and hook id of the runs of these changes that are on record, in any status."""
    with translated():
        return {(row[0], row[1]) for row in await connection.fetch(SQL["on_record"], change_ids)}


async def name_connection(connection: asyncpg.Connection[Any], name: str) -> None:
    """Show to everybody in pg_stat_activity what this connection is for."""
    with translated():
        await connection.execute("select set_config('application_name', $1, false)", name)
    # In a transaction, the last statement with parameters keeps its snapshot until the next statement.
    await probe(connection, None)


async def backend_of(connection: asyncpg.Connection[Any]) -> int:
    """Return the id of a connection's server process."""
    with translated():
        return int(await connection.fetchval("select pg_backend_pid()"))


async def announce(connection: asyncpg.Connection[Any], backend: int, name: str, receivers: Sequence[str]) -> None:
    """Record which receivers a standby has.

    Args:
        connection: in no transaction.
        backend: the server process of the connection on which the standby waits for leadership.
        name: of the daemon.
        receivers: class paths.
    """
    with translated():
        await connection.execute(SQL["announce"], backend, name, list(receivers))


async def end_when_idle(connection: asyncpg.Connection[Any], patience: float) -> None:
    """Let the server end this session when its transaction has been idle for so long (seconds).

    The position's row is locked while results are recorded; a process that was stopped must not keep it locked.
    """
    with translated():
        await connection.execute(
            "select set_config('idle_in_transaction_session_timeout', $1, false)", f"{patience * 1000:.0f}"
        )


async def probe(connection: asyncpg.Connection[Any], patience: float | None) -> None:
    """Make a round trip on a connection, so that a peer that died silently is noticed.

    Raises:
        ConnectionFailed: no answer within `patience` seconds.
    """
    with translated():
        # Not fetchval(): in a transaction, its portal would keep a snapshot.
        await connection.execute("select 1", timeout=patience)


async def resume_after_restore(connection: asyncpg.Connection[Any]) -> int:
    """Find the feed's place in a log that was restored from another cluster; return how many changes wait."""
    with translated():
        # Three transactions: what is written after the second one has ids above the newest id that the first one sees.
        newest_id = await connection.fetchval("select coalesce(max(c.id), 0) from rowhooks.object_change as c")
        await connection.execute("select pg_current_xact_id()")
        return int(
            await connection.fetchval("select rowhooks.resume_after_restore($1)", newest_id, timeout=LONG_STATEMENT)
        )


async def begin_history(connection: asyncpg.Connection[Any]) -> None:
    """Give runs other keys from now on, where the log is a copy of another database's."""
    with translated():
        await connection.execute("select rowhooks.begin_history()")


async def reserve_result_ids(connection: asyncpg.Connection[Any], count: int) -> list[int]:
    """Return ids for so many results: a run knows its id before it is on record."""
    with translated():
        rows = await connection.fetch("select nextval('rowhooks.job_result_id_seq') from generate_series(1, $1)", count)
    return [row[0] for row in rows]
