"""What the first page asks: how things are, at a glance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from rowhooks.domain.errors import ConnectionFailed, DatabaseError
from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.connections.errors import translated_errors
from rowhooks.postgres.console.runs import RunFilter, list_runs
from rowhooks.postgres.console.status import read_failures, read_status, tables_with_buttons

T = TypeVar("T")
LATEST = 10
"""How many of the latest runs are shown."""


@dataclass(frozen=True)
class Glance:
    """How things are. What could not be asked is None, and `problems` says why.

    Args:
        tables: the tables whose buttons the person sees; see `tables_with_buttons`.
        status: see `read_status`; None for a person who does not look on.
        failures: see `read_failures`; likewise.
        runs: the latest runs; likewise.
        problems: what could not be asked, in sentences.
    """

    tables: list[Row] | None
    status: Row | None
    failures: Row | None
    runs: list[Row] | None
    problems: tuple[str, ...]


def glance(conn: Connection, *, looks_on: bool) -> Glance:
    """Return how things are; one question that takes too long costs its own answer alone.

    Args:
        conn: the person's connection, in a transaction.
        looks_on: whether the person is a viewer at least.
    """
    problems: list[str] = []

    def asked(what: str, question: Callable[[Connection], T]) -> T | None:
        try:
            with translated_errors(), conn.transaction():
                return question(conn)
        except ConnectionFailed:
            raise
        except DatabaseError as error:
            problems.append(f"{what} not known: {error.message}")
            return None

    tables = asked("The tables with buttons are", tables_with_buttons)
    if not looks_on:
        return Glance(tables, None, None, None, tuple(problems))
    status = asked("The state is", read_status)
    failures = asked("The failures are", read_failures)
    runs: Any = asked("The latest runs are", lambda conn: list_runs(conn, RunFilter(), limit=LATEST).rows)
    return Glance(tables, status, failures, runs, tuple(problems))
