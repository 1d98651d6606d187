"""Peer results: what the measurements of other queues return, as frozen values. Pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.results import Percentiles, Series


@dataclass(frozen=True)
class PeerFigures:
    """What another queue reached with the same work on the same server.

    Args:
        name: as its project writes it.
        version: of its package.
        settings: those that differ from its defaults, in one line.
        write_ratio: single-row throughput with its trigger / untracked.
        bulk_ratio: time of one UPDATE of many rows with its trigger / untracked.
        drain_rate: waiting jobs that do nothing, a second.
        sustained_rate: jobs a second that were done when the writers stopped, worker and writers at once.
        latency: from the writer's sending its COMMIT to the job's first line, on an idle system.
    """

    name: str
    version: str
    settings: str
    write_ratio: Series
    bulk_ratio: Series
    drain_rate: Series
    sustained_rate: Series
    latency: Percentiles


@dataclass(frozen=True)
class Capture:
    """What one way to capture changes costs the writers.

    Args:
        name: of the way.
        single: single-row throughput / untracked.
        update: time of one UPDATE of many rows / untracked.
        insert: time of one INSERT of many rows / untracked.
        handled: changes a second that were dealt with when the writers stopped, a worker beside them; None where that
            was not measured.
    """

    name: str
    single: Series
    update: Series
    insert: Series
    handled: Series | None


@dataclass(frozen=True)
class BesidePgQ:
    """Rowhooks and PgQ on one server that has PgQ's files.

    Args:
        postgresql: the server's version.
        version: PgQ's.
        settings: PgQ's, in one line.
        row: rowhooks with row triggers, and a receiver for each change.
        statement: rowhooks with statement triggers.
        pgq: PgQ's trigger in C, and whole batches.
        drain_single: changes a second of a backlog, by a receiver for each change.
        drain_batch: by a batch receiver.
        drain_pgq: by PgQ's consumer, which does nothing with its batches.
    """

    postgresql: str
    version: str
    settings: str
    row: Capture
    statement: Capture
    pgq: Capture
    drain_single: Series
    drain_batch: Series
    drain_pgq: Series

    @property
    def single_over_pgq(self) -> Series:
        """Single-row throughput with row triggers / with PgQ's, of the same round."""
        return self.row.single.over(self.pgq.single)

    @property
    def handled_over_pgq(self) -> Series:
        """Changes that were handled beside the writers / PgQ's, of the same round."""
        assert self.row.handled is not None
        assert self.pgq.handled is not None
        return self.row.handled.over(self.pgq.handled)
