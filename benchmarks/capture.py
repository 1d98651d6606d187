"""Capture: what tracking a table costs the writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import LiteralString, NamedTuple

from benchmarks.daemon_process import DaemonProcess, add_hooks, daemon_process, enable_only
from benchmarks.database import ROWS, Database, Server
from benchmarks.plan import Plan
from benchmarks.receivers import AsyncNoOp
from benchmarks.results import Cost, Series, Single, Writing

UPDATE_ONE = """\
\\set id random(1, {rows})
\\set value random(1, 2000000000)
update bench.{table} set serial = 'SN' || :value where id = :id;
"""

_UNTRACKED, _TRACKED, _NOTIFYING = "single_untracked", "single_tracked", "single_notifying"
# In one snapshot, the moment after the writers have stopped.
_WRITTEN_AND_HANDLED = """
select
  (select count(*) from rowhooks.object_change),
  (select count(*) from rowhooks.job_result as r where r.status = 'SUCCESS')
"""


class _Window(NamedTuple):
    """What eight clients and a daemon reached in one cell."""

    tps: float
    handled: float
    backlog: int
    share: float


def single_row(server: Server, plan: Plan) -> Single:
    """Measure transactions of one UPDATE of one row by its key, many clients at once.

    Without triggers; tracked, with no daemon; tracked, with a daemon whose receiver does nothing; and the last with a
    trigger beside ours that sends a NOTIFY in every transaction, as queues do.
    """
    untracked, stopped = [], []
    running, notifying = [], []
    with server.database() as database:
        for table in (_UNTRACKED, _TRACKED, _NOTIFYING):
            database.create_table(table, plan.table_rows, tracked=table != _UNTRACKED)
        _notify_always(database, _NOTIFYING)
        add_hooks(database, _TRACKED, _NOTIFYING)
        enable_only(database, AsyncNoOp.__name__)
        with daemon_process(database) as process:
            for _ in range(plan.rounds):
                untracked.append(_write_alone(database, _UNTRACKED, plan))
                stopped.append(_write_alone(database, _TRACKED, plan))
                running.append(_write_beside(database, process, _TRACKED, plan))
                notifying.append(_write_beside(database, process, _NOTIFYING, plan))
    return Single(
        plan.clients, Series(tuple(untracked)), Series(tuple(stopped)), _writing(running), _writing(notifying)
    )


def _notify_always(database: Database, table: str) -> None:
    database.execute(
        "create function bench.notify() returns trigger language plpgsql as"
        " $$begin perform pg_catalog.pg_notify('rowhooks', ''); return null; end$$"
    )
    database.execute(
        "create trigger notify after insert or update or delete on bench.{table}"
        " for each row execute function bench.notify()",
        table=table,
    )


def _write_alone(database: Database, table: str, plan: Plan) -> float:
    database.settle(table)
    script = UPDATE_ONE.format(table=table, rows=plan.table_rows)
    done = database.pgbench(script, clients=plan.clients, seconds=plan.seconds)
    _check(database, table, done.transactions, tracked=table != _UNTRACKED)
    return done.tps


def _write_beside(database: Database, process: DaemonProcess, table: str, plan: Plan) -> _Window:
    database.settle(table)
    script = UPDATE_ONE.format(table=table, rows=plan.table_rows)
    with process.running():
        done = database.pgbench(script, clients=plan.clients, seconds=plan.seconds)
        row = database.conn.execute(_WRITTEN_AND_HANDLED).fetchone()
    assert row is not None, "a count has a row"
    written, handled = row
    if written != done.transactions:
        raise RuntimeError(f"bench.{table}: {done.transactions} changes were written and {written} captured")
    return _Window(done.tps, handled * done.tps / written, written - handled, handled / written)


def _writing(windows: list[_Window]) -> Writing:
    return Writing(*(Series(tuple(map(float, figures))) for figures in zip(*windows, strict=True)))


def bulk(server: Server, plan: Plan) -> tuple[Cost, ...]:
    """Measure one UPDATE of every row of a table, and one INSERT of as many, while no daemon runs: in both forms."""
    with server.database() as database:
        return (
            bulk_update(database, plan), bulk_insert(database, plan),
            bulk_update(database, plan, "statement"), bulk_insert(database, plan, "statement"),
        )  # fmt: skip


def bulk_update(database: Database, plan: Plan, capture: str = "row") -> Cost:
    """Measure one UPDATE of every row of a table."""
    tables = _create_pair(database, "updated", plan.bulk_rows, capture)

    def measure(table: str) -> tuple[float, float]:
        database.settle(table)
        return _written(database, "update bench.{table} set site = site + 1", table, plan)

    return _take_turns(f"UPDATE of {plan.bulk_rows:,} rows, {capture} triggers", database, tables, measure, plan)


def bulk_insert(database: Database, plan: Plan, capture: str = "row") -> Cost:
    """Measure one INSERT of many rows into an empty table."""
    tables = _create_pair(database, "inserted", 0, capture)

    def measure(table: str) -> tuple[float, float]:
        database.execute("truncate bench.{table}", table=table)
        database.settle(table)
        return _written(database, ROWS, table, plan)

    return _take_turns(f"INSERT of {plan.bulk_rows:,} rows, {capture} triggers", database, tables, measure, plan)


def _written(database: Database, statement: LiteralString, table: str, plan: Plan) -> tuple[float, float]:
    """Return the seconds that a statement of `plan.bulk_rows` takes, and its bytes of write-ahead log a row."""
    before = database.wal_position()
    seconds = database.timed(statement, table=table, rows=plan.bulk_rows)
    return seconds, (database.wal_position() - before) / plan.bulk_rows


def _create_pair(database: Database, name: str, rows: int, capture: str) -> tuple[str, str]:
    pair = (f"{name}_{capture}_untracked", f"{name}_{capture}_tracked")
    for table in pair:
        database.create_table(table, rows, tracked=table == pair[1], capture=capture)
    return pair


def _take_turns(
    name: str, database: Database, tables: tuple[str, str], measure: Callable[[str], tuple[float, float]], plan: Plan
) -> Cost:
    found: dict[str, list[tuple[float, float]]] = {table: [] for table in tables}
    for _ in range(plan.rounds):
        for table in tables:
            found[table].append(measure(table))
            _check(database, table, plan.bulk_rows, tracked=table == tables[1])
    (untracked, wal_untracked), (tracked, wal_tracked) = (
        map(Series, zip(*found[table], strict=True)) for table in tables
    )
    return Cost(name, untracked, tracked, wal_untracked, wal_tracked)


def _check(database: Database, table: str, written: int, *, tracked: bool) -> None:
    found = database.captured()
    if found != (written if tracked else 0):
        raise RuntimeError(f"bench.{table}: {written} changes were written and {found} captured")
