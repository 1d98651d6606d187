"""Drain: how fast a peer's worker deals with a backlog that was written while it was away."""

from __future__ import annotations

import time

from benchmarks.daemon_process import PATIENCE
from benchmarks.database import Database
from benchmarks.peers.peer import Peer
from benchmarks.peers.prepare import create_table
from benchmarks.plan import Plan
from benchmarks.results import Series

_POLL = 0.01


def drain(database: Database, peer: Peer, plan: Plan) -> Series:
    """Return the jobs a second, for a backlog of one UPDATE of as many different rows.

    The time is from the worker's beginning to look for jobs to the moment when the queue is empty.
    """
    jobs = plan.backlog // peer.backlog_divisor
    table = create_table(database, peer, "drained", jobs)
    return Series(tuple(_drain_once(database, peer, table, jobs) for _ in range(plan.rounds)))


def _drain_once(database: Database, peer: Peer, table: str, jobs: int) -> float:
    peer.clear(database)
    database.execute("update bench.{table} set site = site + 1", table=table)
    database.execute("vacuum (analyze)")
    database.execute("checkpoint")
    if (queued := peer.queued(database)) != jobs:
        raise RuntimeError(f"{peer.name}: {jobs} rows were changed and {queued} jobs queued")
    with peer.worker(database) as worker:
        while not peer.is_empty(database):
            if time.monotonic() - worker.ready > PATIENCE:
                raise RuntimeError(f"{peer.name}: {jobs} jobs were not drained within {PATIENCE:.0f} s")
            time.sleep(_POLL)
        seconds = time.monotonic() - worker.ready
    if worker.handled.jobs != jobs or len(worker.handled.began) != jobs or peer.queued(database):
        raise RuntimeError(
            f"{peer.name}: of {jobs} jobs {worker.handled.jobs} were run for {len(worker.handled.began)} rows"
        )
    return jobs / seconds
