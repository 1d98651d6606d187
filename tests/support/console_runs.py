"""Runs for the console's tests: for a device that alice, oscar and ada may read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg

from tests.support.results import add_result

Connection = psycopg.Connection[Any]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
"""What is no text if it is put into a page as it is."""


def let_people_read(db: Connection, table: str = "dcim.device") -> None:
    """Let viewers, operators and admins read a table, as the people that they are."""
    schema = table.partition(".")[0]
    db.execute(f"grant usage on schema {schema} to alice, oscar, ada")
    db.execute(f"grant select on {table} to alice, oscar, ada")


def add_run(db: Connection, hook: int | None, **columns: Any) -> int:
    """Put a run for a device on record; see add_result."""
    return add_result(db, hook, **{"tracked_table": 1, "object_id": '{"id": 1}', "trigger": "replay", **columns})
