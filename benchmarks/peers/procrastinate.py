"""Procrastinate: a Python queue on psycopg whose workers fetch job by job (https://procrastinate.readthedocs.io)."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager
from importlib.metadata import version
from typing import Any

from procrastinate import App, PsycopgConnector
from procrastinate.schema import SchemaManager

from benchmarks.database import Database
from benchmarks.peers.peer import Handled, Worker, empty
from benchmarks.peers.process import Told, python_worker

CONCURRENCY = 10
CONNECTIONS = CONCURRENCY + 2  # the listener has one to itself
_TASK = "change"

# The SQL function with which Procrastinate itself defers jobs; its own triggers write the event and notify.
_FUNCTION = """
create function bench.defer_for_procrastinate() returns trigger language plpgsql as $$
begin
  perform public.procrastinate_defer_jobs_v1(array[
    row(
      'default',
      'change',
      0,
      null,
      null,
      jsonb_build_object('id', new.id, 'old', to_jsonb(old), 'new', to_jsonb(new)),
      null
    )::public.procrastinate_job_to_defer_v1
  ]);
  return null;
end
$$
"""


class Procrastinate:
    """Procrastinate as its documentation recommends it for throughput.

    An asynchronous task and a worker with some concurrency (docs/howto/production/concurrency.md), on a pool with a
    connection for each; more than ten make it slower where everything shares two cores. Finished jobs stay in
    procrastinate_jobs, which is the default.
    """

    name = "Procrastinate"
    backlog_divisor = 10

    @property
    def version(self) -> str:
        """The installed version."""
        return version("procrastinate")

    @property
    def settings(self) -> str:
        """The settings in one line."""
        return f"psycopg, uvloop, concurrency={CONCURRENCY}, a pool of {CONNECTIONS} connections"

    def install(self, database: Database) -> None:
        """Make the schema with the statements that `procrastinate schema --apply` runs."""
        database.conn.execute(SchemaManager.get_schema().encode())
        database.execute(_FUNCTION)

    def attach(self, database: Database, table: str) -> None:
        """Make the trigger."""
        database.execute(
            "create trigger procrastinate after insert or update on bench.{table}"
            " for each row execute function bench.defer_for_procrastinate()",
            table=table,
        )

    def clear(self, database: Database) -> None:
        """Empty the queue and its events."""
        empty(database, "public.procrastinate_events", "public.procrastinate_jobs")

    def queued(self, database: Database) -> int:
        """Return how many jobs are to be done or being done."""
        failed = database.value(
            "select count(*) from public.procrastinate_jobs where status not in ('todo', 'doing', 'succeeded')"
        )
        if failed:
            raise RuntimeError(f"Procrastinate: {failed} jobs did not end well")
        return int(database.value("select count(*) from public.procrastinate_jobs where status in ('todo', 'doing')"))

    def is_empty(self, database: Database) -> bool:
        """Look at the end of the queue, by an index: jobs are taken from its beginning."""
        left = database.execute(
            "select id from public.procrastinate_jobs where status in ('todo', 'doing') order by id desc limit 1"
        )
        return left.fetchone() is None

    def worker(self, database: Database) -> AbstractContextManager[Worker]:
        """Run a worker."""
        return python_worker(_work, database.dsn)


async def _work(dsn: str, told: Told) -> Handled:
    app = App(connector=PsycopgConnector(conninfo=dsn, min_size=CONNECTIONS, max_size=CONNECTIONS))
    runs: list[tuple[int, int]] = []

    @app.task(name=_TASK)
    async def change(**arguments: Any) -> None:
        runs.append((time.monotonic_ns(), arguments["id"]))

    async with app.open_async():
        told.ready()
        running = asyncio.create_task(app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False))
        stopping = asyncio.create_task(told.stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()  # which lets the jobs end that run
        await asyncio.wait({running})
    if not running.cancelled():
        running.result()
    return Handled(len(runs), {row: began for began, row in runs})
