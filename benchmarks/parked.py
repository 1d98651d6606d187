"""Parked: how fast runs go that wait on record for their row's turn, beside those that never left the memory."""

from __future__ import annotations

from benchmarks.daemon_process import DaemonProcess, add_hooks, daemon_process, enable_only
from benchmarks.database import Database, Server
from benchmarks.drain import TABLE, wait_until_drained
from benchmarks.plan import Plan
from benchmarks.receivers import Writing
from benchmarks.results import Parked, Series
from rowhooks.pipeline.scheduling.records import STARTED_AFTER

ROWS = 40
_PARK = """
insert into rowhooks.job_result (
  object_change_id, job_hook_id, job_id, class_path, hook_name, tracked_table, object_id, object_repr, action, status,
  leader_epoch
)
select
  c.id, h.id, h.job_id, j.class_path, h.name, c.tracked_table, c.object_id, c.object_repr, 'update', 'PENDING',
  gen_random_uuid()
from rowhooks.object_change as c
cross join rowhooks.job_hook as h
join rowhooks.job as j on j.id = h.job_id
where h.name = %s
order by c.id
"""
_NEVER = 3600.0


def parked(server: Server, plan: Plan) -> Parked:
    """Measure runs a second of a plain receiver that writes, for the updates of a few rows.

    The parked ones have been put on record as PENDING by a leader that is gone. The others are read from the log by a
    daemon that puts none on record before its end.
    """
    rates: dict[bool, list[float]] = {False: [], True: []}
    with server.database() as database:
        database.create_table(TABLE, ROWS, tracked=True)
        add_hooks(database, TABLE)
        database.conn.execute("create table bench.written (change_id bigint)")
        database.conn.execute("grant insert on bench.written to rowhooks_daemon")
        enable_only(database, Writing.__name__)
        with daemon_process(database) as process:
            for _ in range(plan.rounds):
                for is_parked, found in rates.items():
                    found.append(_rate(database, process, plan.parked_updates, plan.longest, is_parked=is_parked))
    return Parked(ROWS, ROWS * plan.parked_updates, Series(tuple(rates[False])), Series(tuple(rates[True])))


def _rate(database: Database, process: DaemonProcess, updates: int, longest: float, *, is_parked: bool) -> float:
    database.settle(TABLE)
    for _ in range(updates):
        database.execute("update bench.{table} set site = site + 1", table=TABLE)
    if is_parked:
        database.conn.execute(_PARK, (Writing.__name__,))
        database.deal_with_all()
    database.execute("checkpoint")
    last = database.value("select max(id) from rowhooks.object_change")
    with process.running(STARTED_AFTER if is_parked else _NEVER) as ready:
        waited = wait_until_drained(database, last, ready, longest)
        done = database.handled()
    if waited.drained and done != ROWS * updates:
        raise RuntimeError(f"{ROWS * updates} changes gave {done} successful runs")
    if not done:
        raise RuntimeError(f"none of the runs had ended within {longest:.0f} s")
    return done / waited.seconds
