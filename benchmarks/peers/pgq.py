"""PgQ: a queue that hands out batches, all events between two ticks (https://github.com/pgq/pgq).

Its triggers and its insert are written in C, so it needs a server whose files one may add to: Debian's packages.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import parse_qs

import asyncpg
import psycopg

from benchmarks.database import SETTINGS, Database, Server
from benchmarks.peers.peer import Handled, Unavailable, Worker
from benchmarks.peers.process import Told, connection_of, python_worker
from rowhooks.demo.embedded import EmbeddedPostgres

TICK = 0.05
"""Seconds between two ticks: an event waits for the next one."""
_QUEUE = _CONSUMER = "bench"
_PROGRAMS = Path("/usr/lib/postgresql")
_SHARED = Path("/usr/share/postgresql")
_HAS_PGQ = "select exists (select from pg_available_extensions where name = 'pgq')"
# A consumer has dealt with what was visible at the tick before which its next batch begins.
_QUEUED = """
select count(*)
from pgq.event_1 as e
cross join pgq.subscription as s
join pgq.tick as t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
where not txid_visible_in_snapshot(e.ev_txid, t.tick_snapshot)
"""
# By an index, and true as soon as no transaction is open that is older than the newest event.
_IS_EMPTY = """
select coalesce((select max(e.ev_txid) from pgq.event_1 as e) < txid_snapshot_xmin(t.tick_snapshot), true)
from pgq.subscription as s
join pgq.tick as t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
"""


@contextlib.contextmanager
def server_with_pgq(given: Server) -> Iterator[Server]:
    """Give a server that has PgQ's files: the given one, or one of the newest Debian packages that have them.

    Raises:
        Unavailable: there is none.
    """
    with psycopg.connect(given.dsn) as conn:
        row = conn.execute(_HAS_PGQ).fetchone()
    if row == (True,):
        yield given
        return
    with EmbeddedPostgres(settings=SETTINGS, binaries=find_programs()) as embedded:
        yield Server(embedded.dsn())


def find_programs(shared: Path = _SHARED, programs_of_all: Path = _PROGRAMS) -> Path:
    """Return the programs of the newest PostgreSQL of Debian's that has PgQ's files.

    Args:
        shared: where each version's extensions are.
        programs_of_all: where each version's programs are.

    Raises:
        Unavailable: none has them.
    """
    versions = sorted((int(file.parents[1].name) for file in shared.glob("*/extension/pgq.control")), reverse=True)
    for version in versions:
        programs = programs_of_all / str(version) / "bin"
        if (programs / "postgres").exists():
            return programs
    raise Unavailable("no server here has its extension; on Debian: apt install postgresql-15-pgq3 (of your version)")


class PgQ:
    """PgQ with the trigger that keeps both rows, and a consumer that fetches whole batches and does nothing with them.

    Its `pgqd` calls `pgq.ticker()` each second; here the consumer calls it, much more often, for its own good. An event
    is gone when all consumers have finished its batch; nothing is recorded of it.
    """

    name = "PgQ"
    settings = (
        f"pgq.logutriga with backup; ticker_max_count=1, a tick each {TICK * 1000:.0f} ms; whole batches, asyncpg"
    )
    backlog_divisor = 1

    def __init__(self, version: str) -> None:
        self.version = version

    def install(self, database: Database) -> None:
        """Make the extension, one queue and one consumer."""
        database.execute("create extension pgq")
        database.conn.execute("select pgq.create_queue(%s)", (_QUEUE,))
        database.conn.execute("select pgq.set_queue_config(%s, 'ticker_max_count', '1')", (_QUEUE,))
        database.conn.execute("select pgq.register_consumer(%s, %s)", (_QUEUE, _CONSUMER))
        if (events := database.value("select queue_data_pfx from pgq.queue")) != "pgq.event_1":
            raise RuntimeError(f"PgQ: the events are in {events}")

    def attach(self, database: Database, table: str) -> None:
        """Make the trigger."""
        database.execute(
            "create trigger pgq after insert or update on bench.{table}"
            " for each row execute function pgq.logutriga('bench', 'backup')",
            table=table,
        )

    def clear(self, database: Database) -> None:
        """Empty the queue as its rotation of tables does, and let the consumer begin behind a new tick."""
        database.conn.execute("select pgq.unregister_consumer(%s, %s)", (_QUEUE, _CONSUMER))
        database.execute("truncate pgq.event_1")
        database.execute("delete from pgq.tick")
        database.conn.execute("select pgq.ticker(%s)", (_QUEUE,))
        database.conn.execute("select pgq.register_consumer(%s, %s)", (_QUEUE, _CONSUMER))
        database.execute("vacuum pgq.tick, pgq.subscription")

    def queued(self, database: Database) -> int:
        """Return how many events are in batches that are not finished, or in none yet."""
        return int(database.value(_QUEUED))

    def is_empty(self, database: Database) -> bool:
        """Look whether the consumer is behind the newest transaction of an event."""
        return bool(database.value(_IS_EMPTY))

    def worker(self, database: Database) -> AbstractContextManager[Worker]:
        """Run a consumer."""
        return python_worker(_work, database.dsn)


async def _work(dsn: str, told: Told) -> Handled:
    connection = await asyncpg.connect(**connection_of(dsn))
    batches: list[tuple[int, list[asyncpg.Record]]] = []
    told.ready()
    while not told.stop.is_set():
        await connection.execute("select pgq.ticker($1)", _QUEUE)
        while await _handle_batch(connection, batches):
            pass
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told.stop.wait(), TICK)
    await connection.close()
    events = [(event["ev_data"], began) for began, batch in batches for event in batch]
    return Handled(len(events), {int(parse_qs(data)["id"][0]): began for data, began in events})


async def _handle_batch(connection: asyncpg.Connection, batches: list[tuple[int, list[asyncpg.Record]]]) -> bool:
    """Deal with one batch; say whether there was one."""
    batch = await connection.fetchval("select pgq.next_batch($1, $2)", _QUEUE, _CONSUMER)
    if batch is None:
        return False
    events = await connection.fetch("select * from pgq.get_batch_events($1)", batch)
    if events:
        batches.append((time.monotonic_ns(), events))
    await connection.execute("select pgq.finish_batch($1)", batch)
    return True
