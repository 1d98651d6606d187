"""Leadership: an advisory lock that PostgreSQL frees when its holder's connection ends."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from rowhooks.domain.feed import Position, Snapshot
from rowhooks.postgres.errors import translated

CHANNEL = "rowhooks"
_LOCK = "select pg_try_advisory_lock(hashtextextended('rowhooks.leader', 0))"

_TAKE_OVER = """
update rowhooks.feed as f
set lease = $1, leader = $2, leader_since = now()
returning
  f.snapshot::text, f.target::text, f.after_id, f.floor_id, f.newest_id,
  f.system_identifier = (pg_control_system()).system_identifier,
  (select i.id from rowhooks.installation as i),
  (select max(r.object_change_id) from rowhooks.job_result as r where r.origin = 'change' and r.original_id is null)
"""

_ON_RECORD = """
select r.object_change_id, r.job_hook_id from rowhooks.job_result as r
where r.object_change_id = any ($1::bigint[]) and r.origin = 'change' and r.original_id is null
"""


@dataclass(frozen=True)
class Leadership:
    """What a new leader finds.

    Args:
        installation: part of every run's key.
        position: where the feed stands.
        same_cluster: False after a restore into another cluster, where the position means nothing.
        last_recorded: changes up to this id may have runs on record already; 0 for none.
    """

    installation: uuid.UUID
    position: Position
    same_cluster: bool
    last_recorded: int


async def try_to_lead(connection: asyncpg.Connection[Any]) -> bool:
    """Take the leader lock if it is free; it is held until the connection ends."""
    with translated():
        return bool(await connection.fetchval(_LOCK))


async def take_over(connection: asyncpg.Connection[Any], lease: uuid.UUID, name: str) -> Leadership:
    """Write oneself down as the leader and read the position; to be called with the lock held."""
    with translated():
        row = await connection.fetchrow(_TAKE_OVER, lease, name)
    assert row is not None, "rowhooks.feed is empty"
    snapshot, target, after_id, floor_id, newest_id, same_cluster, installation, last_recorded = row
    position = Position(
        Snapshot.parse(snapshot), None if target is None else Snapshot.parse(target), after_id, floor_id, newest_id
    )
    return Leadership(installation, position, same_cluster, last_recorded or 0)


async def runs_on_record(connection: asyncpg.Connection[Any], change_ids: list[int]) -> set[tuple[int, int]]:
    """Return change id and hook id of the runs of these changes that are on record, in any status."""
    with translated():
        return {(row[0], row[1]) for row in await connection.fetch(_ON_RECORD, change_ids)}


async def listen(connection: asyncpg.Connection[Any], ring: Callable[[], None], lost: Callable[[], None]) -> None:
    """Hear the bell on this connection.

    Args:
        connection: stays outside transactions, so that it cannot fill the server's notification queue.
        ring: called for each notification.
        lost: called when the connection ends.
    """
    with translated():
        await connection.add_listener(CHANNEL, lambda *_: ring())
    connection.add_termination_listener(lambda _: lost())


async def probe(connection: asyncpg.Connection[Any], patience: float) -> None:
    """Make a round trip on a connection: a peer that died silently is noticed.

    Raises:
        ConnectionFailed: no answer within `patience` seconds.
    """
    with translated():
        await connection.fetchval("select 1", timeout=patience)


async def extend_log(connection: asyncpg.Connection[Any]) -> None:
    """Make the log's partitions ahead."""
    with translated():
        await connection.execute("select rowhooks.extend_object_change()")


async def refresh_tables(connection: asyncpg.Connection[Any]) -> None:
    """Bring the tracked tables' names and keys, and the functions made from them, up to date after DDL."""
    with translated():
        await connection.execute("select rowhooks.refresh_tables()")


async def prune_results(connection: asyncpg.Connection[Any], older_than: timedelta, batch: int) -> int:
    """Delete successful and revoked results of that age, `batch` in one transaction; return how many."""
    count, after_id = 0, 0
    with translated():
        while after_id is not None:
            deleted, after_id = await connection.fetchrow(
                "select p.deleted, p.last_id from rowhooks.prune_results($1, $2, $3) as p", older_than, batch, after_id
            )
            count += deleted
    return count


async def prune_log(connection: asyncpg.Connection[Any], older_than: timedelta, batch: int) -> tuple[int, int]:
    """Drop what is history and older, by whole partitions where that can be, else row by row.

    Returns:
        How many partitions were dropped, and how many changes were deleted singly.
    """
    dropped = deleted = 0
    with translated():
        before = await connection.fetchval("select now() - $1::interval", older_than)
        for (name,) in await connection.fetch("select p.partition from rowhooks.prunable_partitions($1) as p", before):
            # One whose lock is not to be had at once is for the next time.
            dropped += await connection.fetchval("select rowhooks.drop_partition($1, $2)", name, before)
        after_id: int | None = 0
        while after_id is not None:
            count, after_id = await connection.fetchrow(
                "select p.deleted, p.last_id from rowhooks.prune_changes($1, $2, $3) as p", before, batch, after_id
            )
            deleted += count
    return dropped, deleted


async def empty_default_partition(connection: asyncpg.Connection[Any]) -> int:
    """Move what fell into the log's default partition to where it belongs; return how many changes that were."""
    moved = 0
    with translated():
        while step := await connection.fetchval("select rowhooks.empty_default_partition()"):
            moved += step
    return moved


async def resume_after_restore(connection: asyncpg.Connection[Any]) -> int:
    """Find the feed's place in a log restored from another cluster; return how many changes wait."""
    with translated():
        # Three transactions: what is written after the anchor has ids above the newest seen before it.
        newest_id = await connection.fetchval("select coalesce(max(c.id), 0) from rowhooks.object_change as c")
        await connection.execute("select pg_current_xact_id()")
        return int(await connection.fetchval("select rowhooks.resume_after_restore($1)", newest_id))


async def reserve_result_ids(connection: asyncpg.Connection[Any], count: int) -> list[int]:
    """Return ids for that many results: a run knows its id before it is on record."""
    with translated():
        rows = await connection.fetch("select nextval('rowhooks.job_result_id_seq') from generate_series(1, $1)", count)
    return [row[0] for row in rows]
