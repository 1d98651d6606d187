"""Ours: rowhooks itself as one of the queues, where both sides are measured by the same functions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.metadata import version

from benchmarks.daemon_process import add_hooks, add_to_hooks, daemon_process, enable_only
from benchmarks.database import Database
from benchmarks.drain import is_drained
from benchmarks.peers.peer import Handled, Worker
from benchmarks.receivers import starts
from rowhooks import JobHookReceiver


class Rowhooks:
    """Rowhooks with its default settings, in a database in which it is installed.

    Args:
        name: that tells it from others in the same database.
        capture: by which triggers; see `rowhooks.track`.
        receiver: the receiver that the changes start; one that notes when it began.
    """

    backlog_divisor = 1
    settings = "default settings"

    def __init__(self, name: str, capture: str, receiver: type[JobHookReceiver]) -> None:
        self.name = name
        self._capture = capture
        self._receiver = receiver.__name__

    @property
    def version(self) -> str:
        """The installed version."""
        return version("rowhooks")

    def install(self, database: Database) -> None:
        """Make a hook for each receiver, on no table yet."""
        if not database.value("select exists (select from rowhooks.job_hook)"):
            add_hooks(database)

    def attach(self, database: Database, table: str) -> None:
        """Track the table."""
        database.conn.execute("select rowhooks.track(%s::regclass, capture => %s)", (f"bench.{table}", self._capture))
        add_to_hooks(database, table)

    def clear(self, database: Database) -> None:
        """Empty the log and the results; from now on, changes are for this receiver."""
        database.forget()
        enable_only(database, self._receiver)

    def queued(self, database: Database) -> int:
        """Return how many changes have no result."""
        return database.captured() - database.handled()

    def is_empty(self, database: Database) -> bool:
        """Look whether the position is behind the newest change, and no run is under way."""
        return is_drained(database, database.value("select max(id) from rowhooks.object_change"))

    @contextlib.contextmanager
    def worker(self, database: Database) -> Iterator[Worker]:
        """Run a daemon."""
        before = database.handled()
        with daemon_process(database) as process:
            with process.running() as ready:
                worker = Worker(ready)
                yield worker
            # What a batch receiver was given is counted by itself: it need not have a result each.
            worker.handled = Handled(process.batched or database.handled() - before, dict(starts))
