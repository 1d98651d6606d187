"""Maintenance: partitions made ahead, pruning, and what follows DDL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg

from rowhooks.postgres.connections.asyncpg_errors import translated
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__)
LENT_TO_ANOTHER = SQL["is_lent_to_another"]
"""Whether a capture function, `p`, is lent to others than the owner of its table, `c`; see rowhooks.build_capture."""


async def extend_log(connection: asyncpg.Connection[Any]) -> None:
    """Make the log's partitions ahead of time."""
    with translated():
        await connection.execute("select rowhooks.extend_object_change()")


async def refresh_moved_tables(connection: asyncpg.Connection[Any]) -> None:
    """Make the capture functions again that have a former oid after a restore, or are lent to a former owner."""
    with translated():
        await connection.execute(SQL["refresh_moved"])


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
    """Delete the changes that are history and of that age: whole partitions where that is possible, else row by row.

    Returns:
        The number of partitions that were dropped, and of changes that were deleted row by row.
    """
    dropped = deleted = 0
    with translated():
        before = await connection.fetchval("select now() - $1::interval", older_than)
        for (name,) in await connection.fetch("select p.partition from rowhooks.prunable_partitions($1) as p", before):
            # A partition whose lock cannot be taken now is dropped the next time.
            dropped += await connection.fetchval("select rowhooks.drop_partition($1, $2)", name, before)
        after_id: int | None = 0
        while after_id is not None:
            count, after_id = await connection.fetchrow(
                "select p.deleted, p.last_id from rowhooks.prune_changes($1, $2, $3) as p", before, batch, after_id
            )
            deleted += count
    return dropped, deleted


async def prune_audit(connection: asyncpg.Connection[Any], older_than: timedelta) -> int:
    """Delete the lines of who did what that are of that age; return how many. That is written down as an act."""
    with translated():
        if not await connection.fetchval(SQL["has_old_acts"], older_than):
            return 0
        return int(await connection.fetchval("select rowhooks.prune_audit($1)", older_than))


async def empty_default_partition(connection: asyncpg.Connection[Any]) -> int:
    """Move the changes in the log's default partition to their partitions; return their number."""
    with translated():
        return int(await connection.fetchval("select rowhooks.empty_default_partition()"))


async def forget_new_keys(connection: asyncpg.Connection[Any]) -> None:
    """Delete the notes of rows with another key once all runs from before them have ended."""
    with translated():
        await connection.execute(SQL["forget_new_keys"])
