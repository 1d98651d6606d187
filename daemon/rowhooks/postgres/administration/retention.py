"""The log's retention, by hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg

from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.connections.connect import translated_errors

PATIENCE = 10.0
"""Seconds in which a partition's lock is asked for again and again, an instant each time."""
_PAUSE = 0.1


def moment_before(conn: Connection, age: timedelta) -> datetime:
    """Return the server's time that long ago."""
    [row] = fetch(conn, "select now() - $1 as time", age)
    conn.commit()
    time_before: datetime = row["time"]
    return time_before


def prunable_partitions(conn: Connection, before: datetime) -> list[Row]:
    """Return the partitions of the log that hold no more than history from before a moment, oldest first."""
    found = fetch(conn, "select p.partition, p.changes from rowhooks.prunable_partitions($1) as p", before)
    conn.commit()
    return found


def drop_partition(conn: Connection, name: str, before: datetime) -> bool:
    """Drop one of them; return False where somebody's open transaction did not let go of the log.

    Raises:
        Conflict: it holds more than history by now.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        if _by_itself(conn, "select rowhooks.drop_partition($1, $2)", name, before) is True:
            return True
        if time.monotonic() > deadline:
            return False
        # Whoever writes must come through between two tries.
        time.sleep(_PAUSE)


def prune_changes(
    conn: Connection, before: datetime, *, dry_run: bool, batch: int = 5000
) -> Iterator[tuple[int, int | None]]:
    """Delete old changes row by row, each batch committed by itself.

    Yields:
        How many were (or would be) deleted, and up to which id the log has been looked at; None at the end of what is
        old.
    """
    after_id: int | None = 0
    while after_id is not None:
        statement = "select p.deleted, p.last_id from rowhooks.prune_changes($1, $2, $3, $4) as p"
        [row] = fetch(conn, statement, before, batch, after_id, dry_run)
        conn.commit()
        after_id = row["last_id"]
        yield row["deleted"], after_id


def empty_default_partition(conn: Connection) -> int:
    """Move what fell into the default partition to where it belongs; return how many changes that were."""
    return int(_by_itself(conn, "select rowhooks.empty_default_partition()"))


def _by_itself(conn: Connection, statement: str, *values: Any) -> Any:
    """Return the value of a statement that is a transaction by itself.

    COMMIT is sent along with it: its lock, which writers wait for, must not wait for ours.
    """
    conn.commit()
    with translated_errors(), psycopg.RawCursor(conn) as cursor:
        with conn.pipeline() if psycopg.Pipeline.is_supported() else contextlib.nullcontext():
            cursor.execute(statement, values)
            conn.commit()
        row = cursor.fetchone()
    assert row is not None
    return row[0]
