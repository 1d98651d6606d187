"""Notify: LISTEN and NOTIFY without a queue, to compare the queues with."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AbstractContextManager
from typing import Any

import asyncpg
import uvloop

from benchmarks.daemon_process import PATIENCE
from benchmarks.database import Database
from benchmarks.peers.peer import Handled, Worker
from benchmarks.peers.process import Told, python_worker
from benchmarks.peers.results import Times
from benchmarks.plan import Plan
from rowhooks.postgres.connect import Target

_WARM_UP = 10
_PAUSE = (0.01, 0.02)
_FUNCTION = """
create function bench.notify_only() returns trigger language plpgsql as $$
begin
  perform pg_notify('bench', new.id::text);
  return null;
end
$$
"""


class RawNotify:
    """A trigger that does nothing but notify, and a process that does nothing but listen."""

    name = "NOTIFY alone"
    version = ""
    settings = "asyncpg, uvloop"
    backlog_divisor = 1
    keeps_jobs = False

    def install(self, database: Database) -> None:
        """Make the trigger's function."""
        database.execute(_FUNCTION)

    def attach(self, database: Database, table: str) -> None:
        """Make the trigger."""
        database.execute(
            "create trigger notify_only after insert or update on bench.{table}"
            " for each row execute function bench.notify_only()",
            table=table,
        )

    def clear(self, database: Database) -> None:
        """Do nothing: nothing is kept."""

    def queued(self, database: Database) -> int:
        """Return 0: nothing waits."""
        return 0

    def is_empty(self, database: Database) -> bool:
        """Say yes: what was sent before a worker is told to stop, it still hears."""
        return True

    def worker(self, database: Database) -> AbstractContextManager[Worker]:
        """Run a process that listens."""
        return python_worker(_work, database.dsn)


def round_trip(database: Database, plan: Plan) -> Times:
    """Measure the time from one connection's sending of a NOTIFY to its arrival at another of the same process."""
    return uvloop.run(_round_trip(database.dsn, plan.latency_changes))


async def _round_trip(dsn: str, count: int) -> Times:
    arguments = Target(dsn).asyncpg_arguments()
    sender, listener = await asyncpg.connect(**arguments), await asyncpg.connect(**arguments)
    heard: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    await listener.add_listener("bench_round_trip", lambda *said: heard.put_nowait((said[-1], time.monotonic_ns())))
    notify = await sender.prepare("select pg_notify('bench_round_trip', $1)")
    times = []
    for number in range(count + _WARM_UP):
        sent = time.monotonic_ns()
        await notify.fetch(str(number))
        payload, arrived = await asyncio.wait_for(heard.get(), PATIENCE)
        if payload != str(number):
            raise RuntimeError(f"notification {number} was sent and {payload} received")
        times.append((arrived - sent) / 1e9)
        await asyncio.sleep(random.uniform(*_PAUSE))
    await sender.close()
    await listener.close()
    return Times.of(times[_WARM_UP:])


async def _work(dsn: str, told: Told) -> Handled:
    connection = await asyncpg.connect(**Target(dsn).asyncpg_arguments())
    runs: list[tuple[int, int]] = []

    def hear(*said: Any) -> None:
        began = time.monotonic_ns()
        runs.append((began, int(said[-1])))

    await connection.add_listener("bench", hear)
    told.ready()
    await told.stop.wait()
    # The server sends what it has for the listener before it answers.
    await connection.execute("select")
    await connection.close()
    return Handled(len(runs), {row: began for began, row in runs})
