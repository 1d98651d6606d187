"""Capture: what tracking a table costs the writer, while no daemon runs."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.database import ROWS, Database
from benchmarks.plan import Plan
from benchmarks.results import Cost, Series

UPDATE_ONE = """\
\\set id random(1, {rows})
\\set value random(1, 2000000000)
update bench.{table} set serial = 'SN' || :value where id = :id;
"""


def single_row_updates(database: Database, plan: Plan) -> Cost:
    """Measure transactions of one UPDATE of one row by its key, many clients at once, in transactions a second."""
    tables = _create_pair(database, "single", plan.table_rows)

    def measure(table: str) -> float:
        database.settle(table)
        script = UPDATE_ONE.format(table=table, rows=plan.table_rows)
        done = database.pgbench(script, clients=plan.clients, seconds=plan.seconds)
        _check(database, table, done.transactions)
        return done.tps

    return _take_turns(f"UPDATE of one row, {plan.clients} clients", "tps", tables, measure, plan)


def bulk_update(database: Database, plan: Plan) -> Cost:
    """Measure one UPDATE of every row of a table, in seconds."""
    tables = _create_pair(database, "updated", plan.bulk_rows)

    def measure(table: str) -> float:
        database.settle(table)
        seconds = database.timed("update bench.{table} set site = site + 1", table=table)
        _check(database, table, plan.bulk_rows)
        return seconds

    return _take_turns(f"UPDATE of {plan.bulk_rows:,} rows at once", "s", tables, measure, plan)


def bulk_insert(database: Database, plan: Plan) -> Cost:
    """Measure one INSERT of many rows into an empty table, in seconds."""
    tables = _create_pair(database, "inserted", 0)

    def measure(table: str) -> float:
        database.execute("truncate bench.{table}", table=table)
        database.settle(table)
        seconds = database.timed(ROWS, table=table, rows=plan.bulk_rows)
        _check(database, table, plan.bulk_rows)
        return seconds

    return _take_turns(f"INSERT of {plan.bulk_rows:,} rows at once", "s", tables, measure, plan)


def _create_pair(database: Database, name: str, rows: int) -> tuple[str, str]:
    pair = (f"{name}_untracked", f"{name}_tracked")
    for table in pair:
        database.create_table(table, rows, tracked=table == pair[1])
    return pair


def _take_turns(name: str, unit: str, tables: tuple[str, str], measure: Callable[[str], float], plan: Plan) -> Cost:
    untracked, tracked = [], []
    for _ in range(plan.rounds):
        untracked.append(measure(tables[0]))
        tracked.append(measure(tables[1]))
    return Cost(name, unit, Series(tuple(untracked)), Series(tuple(tracked)))


def _check(database: Database, table: str, written: int) -> None:
    expected = written if table.endswith("_tracked") else 0
    found = database.captured()
    if found != expected:
        raise RuntimeError(f"bench.{table}: {written} changes were written and {found} captured")
