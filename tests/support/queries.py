"""Counting what a page asks of the database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import psycopg


@contextlib.contextmanager
def queries() -> Iterator[list[str]]:
    """Yield a list to which every query is added that a cursor of psycopg executes in this process."""
    executed: list[str] = []
    execute = psycopg.Cursor.execute

    def counting(cursor: Any, query: Any, *args: Any, **named: Any) -> Any:
        executed.append(str(query))
        return execute(cursor, query, *args, **named)

    with mock.patch.object(psycopg.Cursor, "execute", counting):
        yield executed
