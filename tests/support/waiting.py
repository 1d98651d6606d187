"""Waits for a condition instead of a time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import psycopg

PATIENCE = float(os.environ.get("ROWHOOKS_TEST_PATIENCE", "30"))
"""Seconds after which a test gives up waiting; never reached unless something is broken."""


async def eventually(condition: Callable[..., Any], patience: float = PATIENCE) -> Any:
    """Return the first true value of a condition."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{condition} did not become true within {patience} s"
        await asyncio.sleep(0.01)


def wait(condition: Callable[..., Any], patience: float = PATIENCE) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"{condition} did not become true within {patience} s"
        time.sleep(0.01)


def is_read(conn: psycopg.Connection[Any]) -> bool:
    """Say whether the position is behind every committed change."""
    row = conn.execute(
        """
        select
          f.target is null
          and not exists (
            select from rowhooks.object_change as c where not pg_visible_in_snapshot(c.transaction_id, f.snapshot)
          )
        from rowhooks.feed as f
        """
    ).fetchone()
    return row == (True,)


def is_settled(conn: psycopg.Connection[Any]) -> bool:
    """Say whether every committed change has been dealt with and every run has ended."""
    # Before too: what a press has written is a change from when its run has ended.
    return _all_ended(conn) and is_read(conn) and _all_ended(conn)


def _all_ended(conn: psycopg.Connection[Any]) -> bool:
    return conn.execute("select 1 from rowhooks.job_result where finished_at is null").fetchone() is None


async def settled(conn: psycopg.Connection[Any]) -> None:
    """Wait until the daemon has dealt with every committed change."""
    await eventually(lambda: is_settled(conn))
