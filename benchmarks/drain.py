"""Drain: how fast the daemon deals with a backlog that was written while it was away."""

from __future__ import annotations

import time

from benchmarks.daemon_process import PATIENCE, DaemonProcess, add_hooks, daemon_process, enable_only
from benchmarks.database import Database
from benchmarks.plan import Plan
from benchmarks.receivers import AsyncNoOp, PlainNoOp, Saving
from benchmarks.results import Drain, Series

_TABLE = "drained"
_POLL = 0.01
# Cheap enough not to disturb: one row, and a partial index. The position is behind a change once the change's runs are
# on record, also as PENDING where they wait for more than a second.
_IS_DRAINED = """
select
  (f.newest_id >= %(last)s or (f.target is not null and f.after_id >= %(last)s))
  and not exists (select from rowhooks.job_result as r where r.status in ('PENDING', 'STARTED', 'RETRY'))
from rowhooks.feed as f
"""


def drain(database: Database, plan: Plan) -> tuple[Drain, ...]:
    """Measure changes a second, for a backlog of one UPDATE of as many different rows.

    The daemon runs in a process of its own with the default settings. The time is from its being ready to the moment
    when the position is behind the last change and the results of all runs are committed.
    """
    cells = ((AsyncNoOp, plan.backlog), (PlainNoOp, plan.backlog), (Saving, plan.saving_backlog))
    database.create_table(_TABLE, max(plan.backlog, plan.saving_backlog), tracked=True)
    add_hooks(database, _TABLE)
    rates: dict[str, list[float]] = {receiver.__name__: [] for receiver, _ in cells}
    with daemon_process(database) as process:
        for _ in range(plan.rounds):
            for receiver, changes in cells:
                rates[receiver.__name__].append(_drain_once(database, process, receiver.__name__, changes))
    return tuple(
        Drain((receiver.__doc__ or "").removesuffix("."), changes, Series(tuple(rates[receiver.__name__])))
        for receiver, changes in cells
    )


def _drain_once(database: Database, process: DaemonProcess, receiver: str, changes: int) -> float:
    enable_only(database, receiver)
    database.execute("update bench.{table} set site = site + 1 where id <= {changes}", table=_TABLE, changes=changes)
    database.execute("vacuum (analyze) bench.{table}", table=_TABLE)
    database.execute("checkpoint")
    last = database.value("select max(id) from rowhooks.object_change")
    on_record = _successes(database)
    with process.running() as ready:
        while not _is_drained(database, last):
            if time.monotonic() - ready > PATIENCE:
                raise RuntimeError(f"{receiver}: {changes} changes were not drained within {PATIENCE:.0f} s")
            time.sleep(_POLL)
        seconds = time.monotonic() - ready
    done = _successes(database) - on_record
    if done != changes:
        raise RuntimeError(f"{receiver}: {changes} changes gave {done} successful runs")
    return changes / seconds


def _is_drained(database: Database, last: int) -> bool:
    row = database.conn.execute(_IS_DRAINED, {"last": last}).fetchone()
    return row is not None and bool(row[0])


def _successes(database: Database) -> int:
    return int(database.value("select count(*) from rowhooks.job_result where status = 'SUCCESS'"))
