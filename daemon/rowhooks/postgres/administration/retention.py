"""Retention of the log, by hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg

from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.connections.errors import translated_errors

PATIENCE = 10.0
"""Seconds during which the lock of a partition is requested repeatedly; each request waits only an instant."""
_PAUSE = 0.1


def time_before(conn: Connection, age: timedelta) -> datetime:
    """Return the time of the server, minus an age."""
    [row] = fetch(conn, "select now() - $1 as time", age)
    conn.commit()
    before: datetime = row["time"]
    return before


def prunable_partitions(conn: Connection, before: datetime) -> list[Row]:
    """Return the partitions of the log that hold only changes from before a time, oldest first."""
    found = fetch(conn, "select p.partition, p.changes from rowhooks.prunable_partitions($1) as p", before)
    conn.commit()
    return found


def drop_partition(conn: Connection, name: str, before: datetime) -> bool:
    """Drop one of these partitions; return False if an open transaction kept the log locked.

    Raises:
        DatabaseError: the partition holds other changes by now.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        if _by_itself(conn, "select rowhooks.drop_partition($1, $2)", name, before) is True:
            return True
        if time.monotonic() > deadline:
            return False
        # Writers must get the lock between two attempts.
        time.sleep(_PAUSE)


def prune_changes(
    conn: Connection, before: datetime, *, dry_run: bool, batch: int = 5000
) -> Iterator[tuple[int, int | None]]:
    """Delete old changes row by row; each batch is committed.

    Yields:
        How many were (or would be) deleted, and the id reached in the log; None after the last old change.
    """
    after_id: int | None = 0
    while after_id is not None:
        statement = "select p.deleted, p.last_id from rowhooks.prune_changes($1, $2, $3, $4) as p"
        [row] = fetch(conn, statement, before, batch, after_id, dry_run)
        conn.commit()
        after_id = row["last_id"]
        yield row["deleted"], after_id


def empty_default_partition(conn: Connection) -> int:
    """Move changes from the default partition to their partitions; return their number."""
    return int(_by_itself(conn, "select rowhooks.empty_default_partition()"))


def _by_itself(conn: Connection, statement: str, *values: Any) -> Any:
    """Return the value of a statement in a transaction of its own.

    COMMIT is sent together with it, because writers wait for its lock: it must not be held for a round trip.
    """
    conn.commit()
    with translated_errors(), psycopg.RawCursor(conn) as cursor:
        with conn.pipeline() if psycopg.Pipeline.is_supported() else contextlib.nullcontext():
            cursor.execute(statement, values)
            conn.commit()
        row = cursor.fetchone()
    assert row is not None
    return row[0]
