"""PgQueuer: a Python queue on asyncpg, LISTEN and FOR UPDATE SKIP LOCKED (https://pgqueuer.readthedocs.io)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from importlib.metadata import version

import asyncpg
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

from benchmarks.database import Database
from benchmarks.peers.peer import Handled, Worker, empty
from benchmarks.peers.process import Told, connection_of, python_worker

BATCH_SIZE = 1000
CONNECTIONS = 5
_ENTRYPOINT = "change"

# The rows that PgQueuer's own enqueue writes, by the columns that it fills: the job, and in the log that it was queued.
_FUNCTION = """
create function bench.enqueue_for_pgqueuer() returns trigger language plpgsql as $$
begin
  with job as (
    insert into public.pgqueuer (priority, entrypoint, payload, status)
    values (
      0,
      'change',
      convert_to(jsonb_build_object('id', new.id, 'old', to_jsonb(old), 'new', to_jsonb(new))::text, 'UTF8'),
      'queued'
    )
    returning id, entrypoint, priority
  )
  insert into public.pgqueuer_log (job_id, status, entrypoint, priority)
  select id, 'queued', entrypoint, priority from job;
  return null;
end
$$
"""


class PgQueuer:
    """PgQueuer as its guide to performance tuning recommends it.

    A larger batch for short jobs, a pool of asyncpg connections, `pgq autovac` after the installation
    (docs/guides/performance-tuning.md), uvloop as its command line uses. The durability is `durable`, the default:
    the other levels lose jobs or history in a crash. Results are recorded in pgqueuer_log.
    """

    name = "PgQueuer"
    backlog_divisor = 1

    @property
    def version(self) -> str:
        """The installed version."""
        return version("pgqueuer")

    @property
    def settings(self) -> str:
        """The settings in one line."""
        return f"asyncpg pool of {CONNECTIONS}, uvloop, batch_size={BATCH_SIZE}, pgq autovac, durability=durable"

    def install(self, database: Database) -> None:
        """Make the schema with the statements that `pgq install` and `pgq autovac` run."""
        builder = QueryBuilderEnvironment()
        database.conn.execute(builder.build_install_query().encode())
        database.conn.execute(builder.build_optimize_autovacuum_query().encode())
        database.execute(_FUNCTION)

    def attach(self, database: Database, table: str) -> None:
        """Make the trigger."""
        database.execute(
            "create trigger pgqueuer after insert or update on bench.{table}"
            " for each row execute function bench.enqueue_for_pgqueuer()",
            table=table,
        )

    def clear(self, database: Database) -> None:
        """Empty the queue, its log and its statistics."""
        empty(database, "public.pgqueuer", "public.pgqueuer_log", "public.pgqueuer_statistics")

    def queued(self, database: Database) -> int:
        """Return how many jobs are queued or picked; those that failed would have been logged and deleted."""
        done = database.value(
            "select count(*) from public.pgqueuer_log where status not in ('queued', 'picked', 'successful')"
        )
        if done:
            raise RuntimeError(f"PgQueuer: {done} jobs did not end well")
        return int(database.value("select count(*) from public.pgqueuer"))

    def is_empty(self, database: Database) -> bool:
        """Look at the end of the queue: jobs are taken from its beginning."""
        return database.execute("select id from public.pgqueuer order by id desc limit 1").fetchone() is None

    def worker(self, database: Database) -> AbstractContextManager[Worker]:
        """Run a queue manager."""
        return python_worker(_work, database.dsn)


class _Manager(QueueManager):
    told: Told

    def fetch_jobs(self, *args: object, **named: object) -> AsyncGenerator[Job, None]:
        # It listens by now, and the first fetch follows.
        self.told.ready()
        return super().fetch_jobs(*args, **named)  # type: ignore[arg-type]


async def _work(dsn: str, told: Told) -> Handled:
    pool = await asyncpg.create_pool(**connection_of(dsn), min_size=CONNECTIONS, max_size=CONNECTIONS)
    manager = _Manager(Queries(AsyncpgPoolDriver(pool)))
    manager.told = told
    runs: list[tuple[int, bytes | None]] = []

    @manager.entrypoint(_ENTRYPOINT)
    async def change(job: Job) -> None:
        runs.append((time.monotonic_ns(), job.payload))

    running = asyncio.create_task(manager.run(batch_size=BATCH_SIZE))
    stopping = asyncio.create_task(told.stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    manager.shutdown.set()
    await running
    await pool.close()
    return Handled(len(runs), {json.loads(payload or b"")["id"]: began for began, payload in runs})
