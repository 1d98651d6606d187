"""Latency: how soon after a COMMIT a receiver starts, on a system that does nothing else."""

from __future__ import annotations

import random
import time

from benchmarks.daemon_process import PATIENCE, add_hooks, daemon_process, enable_only
from benchmarks.database import Database
from benchmarks.plan import Plan
from benchmarks.receivers import Stopwatch, starts
from benchmarks.results import Latency, Percentiles

_TABLE = "timed"
_WARM_UP = 10
# Longer than the daemon's group interval, and never in step with it.
_PAUSE = (0.05, 0.1)


def latency(database: Database, plan: Plan) -> Latency:
    """Measure the time from a writer's COMMIT to the first line of an `async def` receiver.

    One writer changes one row after another, with random pauses in which the daemon falls idle; both processes read
    the same clock.
    """
    changes = plan.latency_changes
    database.create_table(_TABLE, changes + _WARM_UP, tracked=True)
    add_hooks(database, _TABLE)
    enable_only(database, Stopwatch.__name__)
    commits: dict[int, tuple[int, int]] = {}
    with daemon_process(database) as process:
        with process.running():
            for row in range(1, changes + _WARM_UP + 1):
                commits[row] = _write(database, row)
                time.sleep(random.uniform(*_PAUSE))
            _wait_for_runs(database, changes + _WARM_UP)
        began = dict(starts)
    measured = [row for row in commits if row > _WARM_UP]
    return Latency(
        changes,
        Percentiles.of([(began[row] - commits[row][1]) / 1e9 for row in measured]),
        Percentiles.of([(began[row] - commits[row][0]) / 1e9 for row in measured]),
    )


def _write(database: Database, row: int) -> tuple[int, int]:
    with database.conn.transaction():
        database.execute("update bench.{table} set site = site + 1 where id = {row}", table=_TABLE, row=row)
        sent = time.monotonic_ns()
    return sent, time.monotonic_ns()


def _wait_for_runs(database: Database, expected: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while database.value("select count(*) from rowhooks.job_result") < expected:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all of {expected} changes started a run within {PATIENCE:.0f} s")
        time.sleep(0.05)
