"""Growth: does what piles up slow the daemon down, or fatten it?"""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.daemon_process import PATIENCE, DaemonProcess, add_hooks, daemon_process, enable_only
from benchmarks.database import Database, Server
from benchmarks.drain import TABLE, drain_once, wait_until_drained
from benchmarks.plan import Plan
from benchmarks.receivers import AsyncNoOp
from benchmarks.results import Grown, Memory, Series
from benchmarks.retention import fill

_FILL_RESULTS = """
insert into rowhooks.job_result (
  object_change_id, job_hook_id, job_id, class_path, hook_name, tracked_table, object_id, object_repr, action, status,
  created_at, started_at, finished_at
)
select
  c.id, h.id, h.job_id, j.class_path, h.name, c.tracked_table, c.object_id, c.object_repr, 'update', 'SUCCESS',
  c.time, c.time, c.time
from rowhooks.object_change as c
cross join rowhooks.job_hook as h
join rowhooks.job as j on j.id = h.job_id
where h.name = %s
"""
_ADD_IDLE_HOOKS = """
with hook as (
  insert into rowhooks.job_hook (name, job_id, type_update, columns, conditions)
  select format('idle %%s', n), j.id, true,
    case when n %% 2 = 1 then '{status}'::text[] else '{}' end,
    jsonb_build_object('attr', case when n %% 2 = 1 then 'status' else 'site' end, 'value', -n)
  from generate_series(%(first)s::integer, %(last)s) as n
  cross join rowhooks.job as j
  where j.name = %(job)s
  returning id
)
insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)
select h.id, t.id
from hook as h
join rowhooks.tracked_table as t on t.relation = %(table)s::regclass
"""


def history(server: Server, plan: Plan) -> tuple[Grown, ...]:
    """Measure the drain rate in databases with different numbers of changes and results on record."""
    rates: dict[int, list[float]] = {changes: [] for changes in plan.histories}
    with ExitStack() as stack:
        filled = []
        for changes in plan.histories:
            database = stack.enter_context(server.database())
            _prepare(database, plan.growth_backlog)
            fill(database, changes, days=0)
            fill_results(database, AsyncNoOp.__name__)
            database.execute("vacuum (analyze) rowhooks.job_result")
            filled.append((changes, database, stack.enter_context(daemon_process(database))))
        for _ in range(plan.rounds):
            for changes, database, process in filled:
                rates[changes].append(_drain_and_forget(database, process, changes, plan))
    return _grown(rates)


def hooks(server: Server, plan: Plan) -> tuple[Grown, ...]:
    """Measure the drain rate beside different numbers of hooks on the same table and action that do not match.

    Every other one names a column that the changes leave alone, and each has a condition of its own that does not hold.
    """
    rates: dict[int, list[float]] = {count: [] for count in plan.hook_counts}
    with server.database() as database:
        _prepare(database, plan.growth_backlog)
        with daemon_process(database) as process:
            for _ in range(plan.rounds):
                for count in plan.hook_counts:
                    database.settle(TABLE)
                    _have_idle_hooks(database, count)
                    rates[count].append(drain_once(database, process, plan.growth_backlog, plan.longest))
    return _grown(rates)


def memory(server: Server, plan: Plan) -> tuple[Memory, ...]:
    """Read the daemon's largest resident memory while it deals with backlogs, each in a fresh process.

    Of a long backlog only the beginning is dealt with.
    """
    return tuple(_peak(server, backlog, min(backlog, plan.memory_watched), plan) for backlog in plan.memory_backlogs)


def _peak(server: Server, backlog: int, watched: int, plan: Plan) -> Memory:
    with server.database() as database:
        _prepare(database, plan.growth_backlog)
        fill(database, backlog, days=0, dealt_with=False)
        first = int(database.value("select min(id) from rowhooks.object_change"))
        with daemon_process(database) as process, process.running() as ready:
            waited = wait_until_drained(database, first + watched - 1, ready, PATIENCE, unfinished=watched < backlog)
            peak = process.peak_memory()
            on_record = database.value("select count(*) from rowhooks.job_result")
    if not waited.drained or on_record < watched:
        raise RuntimeError(f"{on_record} of {watched} changes were dealt with within {waited.seconds:.0f} s")
    if peak is None:
        raise RuntimeError("a process's memory is read from /proc, which this machine does not have")
    return Memory(backlog, watched, peak)


def fill_results(database: Database, hook: str) -> None:
    """Record a run of a hook for each change in the log, which ended well."""
    database.conn.execute(_FILL_RESULTS, (hook,))


def _prepare(database: Database, rows: int) -> None:
    database.create_table(TABLE, rows, tracked=True)
    add_hooks(database, TABLE)
    enable_only(database, AsyncNoOp.__name__)


def _drain_and_forget(database: Database, process: DaemonProcess, changes: int, plan: Plan) -> float:
    rate = drain_once(database, process, plan.growth_backlog, plan.longest)
    database.execute(
        "delete from rowhooks.object_change where id > (select min(id) + {changes} - 1 from rowhooks.object_change)",
        changes=changes,
    )
    database.execute(
        "delete from rowhooks.job_result where object_change_id"
        " > (select min(id) + {changes} - 1 from rowhooks.object_change)",
        changes=changes,
    )
    database.deal_with_all()
    return rate


def _have_idle_hooks(database: Database, count: int) -> None:
    there = database.value("select count(*) from rowhooks.job_hook where name like 'idle %'")
    parameters = {"first": there + 1, "last": count, "job": AsyncNoOp.__name__, "table": f"bench.{TABLE}"}
    database.conn.execute(_ADD_IDLE_HOOKS, parameters)
    database.conn.execute(
        "update rowhooks.job_hook set enabled = substr(name, 6)::integer <= %s where name like 'idle %%'", (count,)
    )


def _grown(rates: dict[int, list[float]]) -> tuple[Grown, ...]:
    series = {amount: Series(tuple(values)) for amount, values in rates.items()}
    least = next(iter(series.values()))
    return tuple(Grown(amount, rate, rate.over(least)) for amount, rate in series.items())
