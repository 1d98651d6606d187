"""The log's retention, by hand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from rowhooks.postgres.administration.common import Connection, Row, fetch
from rowhooks.postgres.connect import translated_errors

PATIENCE = 10.0
"""Seconds in which a partition's lock is asked for again and again, an instant each time."""
_PAUSE = 0.1


def moment_before(conn: Connection, age: timedelta) -> datetime:
    """Return the server's time that long ago."""
    row = conn.execute("select now() - %s", (age,)).fetchone()
    conn.commit()
    assert row is not None
    moment: datetime = row[0]
    return moment


def prunable_partitions(conn: Connection, before: datetime) -> list[Row]:
    """Return the partitions of the log that hold no more than history from before a moment, oldest first."""
    found = fetch(conn, "select p.partition, p.changes from rowhooks.prunable_partitions(%s) as p", (before,))
    conn.commit()
    return found


def drop_partition(conn: Connection, name: str, before: datetime) -> bool:
    """Drop one of them; return False where somebody's open transaction did not let go of the log.

    Raises:
        Conflict: it holds more than history by now.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        with _one_statement(conn), translated_errors():
            row = conn.execute("select rowhooks.drop_partition(%s, %s)", (name, before)).fetchone()
        if row == (True,):
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
        row = fetch(
            conn,
            "select p.deleted, p.last_id from rowhooks.prune_changes(%s, %s, %s, %s) as p",
            (before, batch, after_id, dry_run),
        )[0]
        conn.commit()
        after_id = row["last_id"]
        yield row["deleted"], after_id


def empty_default_partition(conn: Connection) -> int:
    """Move what fell into the default partition to where it belongs; return how many changes that were."""
    with _one_statement(conn), translated_errors():
        row = conn.execute("select rowhooks.empty_default_partition()").fetchone()
    assert row is not None
    return int(row[0])


@contextlib.contextmanager
def _one_statement(conn: Connection) -> Iterator[None]:
    """Let a statement be a transaction by itself: its lock, which writers wait for, must not wait for our COMMIT."""
    conn.commit()
    conn.autocommit = True
    try:
        # Whatever the database's default: what others commit meanwhile must be seen.
        conn.execute("set default_transaction_isolation = 'read committed'")
        yield
    finally:
        if not conn.closed:
            conn.autocommit = False
