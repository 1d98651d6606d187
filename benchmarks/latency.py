"""Latency: how soon after a COMMIT a receiver starts, beside the time that NOTIFY itself takes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString, NamedTuple

from benchmarks.daemon_process import PATIENCE, DaemonProcess, add_hooks, daemon_process, enable_only
from benchmarks.database import Database, Server
from benchmarks.listening import CHANNEL, listener
from benchmarks.plan import Plan
from benchmarks.receivers import Stopwatch, starts
from benchmarks.results import Latencies, Latency, Percentiles, Series

_TRACKED, _NOTIFYING = "timed", "timed_notifying"
WARM_UP = 5
"""Changes at the beginning that are not counted: connections are opened, and workers learn who leads."""
# Longer than the daemon's group interval, and never in step with it.
_PAUSE = (0.05, 0.1)
_UPDATE_OTHERS = """\
\\set id random({first}, {last})
update bench.timed set site = site + 1 where id = :id;
"""
_RUNS: LiteralString = """
select count(*) from rowhooks.job_result as r where (r.object_id ->> 'id')::integer <= {wanted}
"""


class _Delay(NamedTuple):
    """Seconds from a COMMIT's being sent, and from its being answered."""

    sent: float
    returned: float


Writer = Callable[[int], None]
"""Writes what is listened for in the open transaction; is given the row's id."""


def latency(server: Server, plan: Plan) -> Latencies:
    """Measure the time from a writer's COMMIT to the first line of an `async def` receiver, and to asyncpg's callback.

    One writer makes one change after another, with random pauses in which the daemon falls idle. All processes read the
    same clock. The measurements take turns; while asyncpg listens no daemon runs.
    """
    rounds: dict[str, list[list[_Delay]]] = {"notify": [], "trigger": [], "idle": [], "busy": []}
    changes = plan.latency_changes + WARM_UP
    with server.database() as database:
        database.create_table(_TRACKED, changes + plan.table_rows, tracked=True)
        database.create_table(_NOTIFYING, changes, tracked=False)
        _notify_of_ids(database)
        add_hooks(database, _TRACKED)
        enable_only(database, Stopwatch.__name__)
        with daemon_process(database) as process:
            for _ in range(plan.rounds):
                rounds["notify"].append(_time_listener(database, changes, lambda row: _notify(database, row)))
                rounds["trigger"].append(
                    _time_listener(database, changes, lambda row: _update(database, _NOTIFYING, row))
                )
                rounds["idle"].append(_time_receiver(database, process, changes))
                rounds["busy"].append(_time_receiver_beside_writers(database, process, changes, plan))
    clients = f"with {plan.clients} clients writing {plan.busy_tps} rows a second"
    return Latencies(
        _pooled("NOTIFY alone, to asyncpg's callback", rounds["notify"]),
        _pooled("UPDATE with a trigger that only sends NOTIFY, to asyncpg's callback", rounds["trigger"]),
        _pooled("UPDATE of a tracked row, to the receiver", rounds["idle"]),
        _pooled(f"the same, {clients}", rounds["busy"]),
    )


def _notify_of_ids(database: Database) -> None:
    database.execute(
        "create function bench.notify_of_id() returns trigger language plpgsql as"
        " $$begin perform pg_catalog.pg_notify(tg_argv[0], new.id::text); return null; end$$"
    )
    database.execute(
        "create trigger notify after update on bench.{table}"
        " for each row execute function bench.notify_of_id({channel})",
        table=_NOTIFYING,
        channel=CHANNEL,
    )


def _notify(database: Database, row: int) -> None:
    database.conn.execute("select pg_notify(%s, %s)", (CHANNEL, str(row)))


def _update(database: Database, table: str, row: int) -> None:
    database.execute("update bench.{table} set site = site + 1 where id = {row}", table=table, row=row)


def _time_listener(database: Database, changes: int, write: Writer) -> list[_Delay]:
    with listener(database.dsn) as heard:
        commits = _commit_all(database, range(1, changes + 1), write)
    return _delays(commits, heard)


def _time_receiver(database: Database, process: DaemonProcess, changes: int) -> list[_Delay]:
    database.settle(_TRACKED)
    with process.running():
        commits = _commit_all(database, range(1, changes + 1), lambda row: _update(database, _TRACKED, row))
        _wait_for_runs(database, changes)
    return _delays(commits, starts)


def _time_receiver_beside_writers(database: Database, process: DaemonProcess, changes: int, plan: Plan) -> list[_Delay]:
    database.settle(_TRACKED)
    # The clients begin before the writer, and end after it unless the machine is very slow.
    seconds = int(changes * _PAUSE[1]) + 2
    script = _UPDATE_OTHERS.format(first=changes + 1, last=changes + plan.table_rows)
    with process.running(), ThreadPoolExecutor(1) as thread:
        writing = thread.submit(database.pgbench, script, clients=plan.clients, seconds=seconds, tps=plan.busy_tps)
        time.sleep(1)
        commits = _commit_all(database, range(1, changes + 1), lambda row: _update(database, _TRACKED, row))
        writing.result()
        _wait_for_runs(database, changes)
    return _delays(commits, starts)


def _commit_all(database: Database, rows: Iterable[int], write: Writer) -> dict[int, tuple[int, int]]:
    commits = {}
    for row in rows:
        with database.conn.transaction():
            write(row)
            sent = time.monotonic_ns()
        commits[row] = sent, time.monotonic_ns()
        time.sleep(random.uniform(*_PAUSE))
    return commits


def _delays(commits: dict[int, tuple[int, int]], began: dict[int, int]) -> list[_Delay]:
    missing = commits.keys() - began.keys()
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(commits)} changes were not heard of")
    return [
        _Delay((began[row] - sent) / 1e9, (began[row] - returned) / 1e9)
        for row, (sent, returned) in commits.items()
        if row > WARM_UP
    ]


def _wait_for_runs(database: Database, wanted: int) -> None:
    """Wait for the results of rows 1 to `wanted`."""
    deadline = time.monotonic() + PATIENCE
    while database.value(_RUNS, wanted=wanted) < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all of {wanted} changes started a run within {PATIENCE:.0f} s")
        time.sleep(0.05)


def _pooled(name: str, rounds: list[list[_Delay]]) -> Latency:
    every = [delay for delays in rounds for delay in delays]
    return Latency(
        name,
        len(every),
        Percentiles.of([delay.sent for delay in every]),
        Percentiles.of([delay.returned for delay in every]),
        Series(tuple(Percentiles.of([delay.sent for delay in delays]).p50 for delays in rounds)),
    )
