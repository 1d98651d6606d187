"""Peer: what a queue has to offer to be measured. Leaf; imports nothing of the measurements."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from psycopg import sql

from benchmarks.database import Database


class Unavailable(Exception):
    """A peer cannot be measured here; the message is the reason."""


@dataclass(frozen=True)
class Handled:
    """What a worker did between its start and its stop.

    Args:
        jobs: how many jobs it ran.
        began: row id -> CLOCK_MONOTONIC in nanoseconds when the row's last job began.
    """

    jobs: int
    began: dict[int, int]


@dataclass
class Worker:
    """A worker in a process of its own.

    Args:
        ready: CLOCK_MONOTONIC in seconds when it began to look for jobs; its connections are open and its programs
            loaded.
        handled: what it did, once it has stopped; a stop lets it finish what it has begun.
    """

    ready: float
    handled: Handled = field(default_factory=lambda: Handled(0, {}))


def empty(database: Database, *tables: str) -> None:
    """Leave tables as they are in a queue that has been in use for a while and is idle.

    Not truncated: on a table without pages the planner takes a sequential scan, keeps it for the session, and
    enqueuing a row takes the longer the more rows wait (Graphile Worker's `add_job` does).

    Args:
        tables: their names, each with its schema.
    """
    for name in tables:
        table = sql.Identifier(*name.split("."))
        database.conn.execute(sql.SQL("delete from {}").format(table))
    for name in tables:
        table = sql.Identifier(*name.split("."))
        database.conn.execute(sql.SQL("vacuum (truncate off) {}").format(table))


class Peer(Protocol):
    """A queue in PostgreSQL whose jobs a row trigger makes."""

    @property
    def name(self) -> str:
        """What the peer is called."""

    @property
    def version(self) -> str:
        """The version that is measured."""

    @property
    def settings(self) -> str:
        """The settings that differ from the defaults, in one line."""

    @property
    def backlog_divisor(self) -> int:
        """By how much shorter a backlog suffices, for a peer that takes its time."""

    def install(self, database: Database) -> None:
        """Make the peer's schema in a database."""

    def attach(self, database: Database, table: str) -> None:
        """Make an AFTER INSERT OR UPDATE row trigger on bench.<table> whose job holds the row's id and both rows."""

    def clear(self, database: Database) -> None:
        """Empty the queue and its history, and leave no dead rows; the tables keep their pages (see `empty`)."""

    def queued(self, database: Database) -> int:
        """Return how many jobs are not finished."""

    def is_empty(self, database: Database) -> bool:
        """Say whether no job is left, at next to no cost for a worker that is running."""

    def worker(self, database: Database) -> AbstractContextManager[Worker]:
        """Run a worker whose job does nothing but note the time, until the block ends."""


class Rival(NamedTuple):
    """A peer, and the database in which it is installed: those that are compared are on one server."""

    peer: Peer
    database: Database
