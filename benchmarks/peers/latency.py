"""Latency: how soon after a COMMIT a peer's job begins, on a system that does nothing else."""

from __future__ import annotations

import random
import time

from benchmarks.daemon_process import PATIENCE
from benchmarks.database import Database
from benchmarks.peers.peer import Peer
from benchmarks.peers.prepare import create_table
from benchmarks.plan import Plan
from benchmarks.results import Percentiles

_WARM_UP = 10
_PAUSE = (0.05, 0.1)
_POLL = 0.05


def latency(database: Database, peer: Peer, plan: Plan) -> Percentiles:
    """Return the times from a writer's sending its COMMIT to the first line of a job, as rowhooks' own is measured.

    One writer changes one row after another, with random pauses in which the worker falls idle; both processes read
    the same clock.
    """
    changes = plan.latency_changes
    table = create_table(database, peer, "timed", changes + _WARM_UP)
    peer.clear(database)
    database.settle(table)
    commits: dict[int, int] = {}
    with peer.worker(database) as worker:
        for row in range(1, changes + _WARM_UP + 1):
            commits[row] = _write(database, table, row)
            time.sleep(random.uniform(*_PAUSE))
        deadline = time.monotonic() + PATIENCE
        while not peer.is_empty(database):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{peer.name}: not all of {changes} jobs ended within {PATIENCE:.0f} s")
            time.sleep(_POLL)
    began = worker.handled.began
    if began.keys() != commits.keys() or worker.handled.jobs != len(commits):
        raise RuntimeError(f"{peer.name}: {len(commits)} changes were written and {worker.handled.jobs} jobs run")
    measured = [row for row in commits if row > _WARM_UP]
    return Percentiles.of([(began[row] - commits[row]) / 1e9 for row in measured])


def _write(database: Database, table: str, row: int) -> int:
    with database.conn.transaction():
        database.execute("update bench.{table} set site = site + 1 where id = {row}", table=table, row=row)
        return time.monotonic_ns()
