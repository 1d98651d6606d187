"""The backlog, counted for the daemon."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from rowhooks.domain.backlog import Backlog
from rowhooks.postgres.backlog import SQL
from rowhooks.postgres.connections.asyncpg_errors import translated


async def count_backlog(connection: asyncpg.Connection[Any]) -> Backlog:
    """Count what waits, up to MOST_COUNTED; the time that takes grows with what waits, not with the history."""
    with translated():
        row = await connection.fetchrow(SQL["backlog"])
    return Backlog(
        changes=row["backlog"],
        lag=max(0.0, row["lag"] or 0.0),
        newest_id=row["captured"],
        unfinished=json.loads(row["unfinished"]),
        log_bytes=row["log_bytes"],
        partitions=row["partitions"],
        notification_queue=row["notification_queue"],
        missing=json.loads(row["missing"]),
        not_kept=row["missed"],
        workers=json.loads(row["workers"]),
        groups=json.loads(row["groups"]),
    )
