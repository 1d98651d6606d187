"""What a query returns."""

from __future__ import annotations

from typing import Any

import psycopg


def first_value(db: psycopg.Connection[Any], query: Any, *parameters: Any) -> Any:
    """Return the first column of a query's first row."""
    row = db.execute(query, parameters).fetchone()
    assert row is not None
    return row[0]
