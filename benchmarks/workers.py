"""Workers: how fast plain receivers are executed in so many worker processes, beside the daemon's own threads.

On two cores this shows what is bound by what, and what handing a run over costs; more processes than cores gain nothing
but where receivers wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.daemon_process import PATIENCE, DaemonProcess, add_hooks, daemon_process, enable_only
from benchmarks.database import Database, Server
from benchmarks.drain import TABLE, drain_once
from benchmarks.plan import Plan
from benchmarks.processor_time import Clock, of_processes, of_server
from benchmarks.receivers import EXECUTED, RECEIVERS, PlainNoOp
from benchmarks.results import Executed, Percentiles, ProcessorTime, Series, WorkersFound
from rowhooks.domain.queues import DEFAULT
from rowhooks.observability.logs import configure_logging
from rowhooks.runtime.process import run as run_loop
from rowhooks.runtime.worker import Worker
from rowhooks.settings import load_settings

COUNTS = (0, 1, 2, 4)
"""Worker processes; with 0 the daemon executes everything itself."""
_PAUSE = (0.05, 0.1)


class _Times:
    """Processor time of the daemon, the workers and the server, of each run; see `ProcessorTime`."""

    def __init__(self, *clocks: Clock) -> None:
        self._clocks = clocks
        self.used: tuple[float, ...] = ()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Note what is used meanwhile."""
        before = [clock() for clock in self._clocks]
        yield
        self.used = tuple(clock() - one for clock, one in zip(self._clocks, before, strict=True))


def workers(server: Server, plan: Plan) -> WorkersFound:
    """Measure changes a second, and the time from COMMIT to the receiver, with each count of worker processes."""
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    times: dict[tuple[str, int], list[tuple[float, ...]]] = defaultdict(list)
    delays: dict[int, list[float]] = {0: [], 1: []}
    changes = plan.executed_backlog
    with server.database() as database:
        database.create_table(TABLE, max(changes, plan.latency_changes), tracked=True)
        add_hooks(database, TABLE)
        database.conn.execute("create table bench.written (change_id bigint)")
        database.conn.execute("grant insert on bench.written to rowhooks_daemon")
        with daemon_process(database) as process:
            for _ in range(plan.rounds):
                for count in COUNTS:
                    process.processes = count
                    with _running(database, count) as pids:
                        used = _Times(of_processes([process.pid]), of_processes(pids), of_server(database))
                        for receiver in EXECUTED:
                            database.settle(TABLE)
                            enable_only(database, receiver.__name__)
                            rate = drain_once(database, process, changes, plan.longest, used.watched)
                            rates[receiver.__name__, count].append(rate)
                            times[receiver.__name__, count].append(tuple(one / changes for one in used.used))
                        if count in delays:
                            delays[count] += _latency(database, process, plan.latency_changes)
    return WorkersFound(
        changes,
        tuple(
            Executed(
                receiver.__name__,
                (receiver.__doc__ or "").removesuffix("."),
                tuple((count, Series(tuple(rates[receiver.__name__, count]))) for count in COUNTS),
                *(_processor_time(times[receiver.__name__, count]) for count in (0, 1)),
            )
            for receiver in EXECUTED
        ),
        Percentiles.of(delays[0]),
        Percentiles.of(delays[1]),
    )


def _processor_time(rounds: Sequence[tuple[float, ...]]) -> ProcessorTime:
    return ProcessorTime(*(Series(figures) for figures in zip(*rounds, strict=True)))


@contextlib.contextmanager
def _running(database: Database, count: int) -> Iterator[list[int]]:
    """Run so many worker processes; give their ids."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="rowhooks-bench-") as directory:
        processes = [
            context.Process(target=_serve, args=(database.daemon_dsn, Path(directory) / f"{number}.log"), daemon=True)
            for number in range(count)
        ]
        for process in processes:
            process.start()
        deadline = time.monotonic() + PATIENCE
        while database.value("select count(*) from rowhooks.worker") < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"not all of {count} workers have begun within {PATIENCE:.0f} s")
            time.sleep(0.05)
        pids = [process.pid for process in processes if process.pid is not None]
        try:
            yield pids
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            for process in processes:
                process.join(PATIENCE)


def _serve(dsn: str, log: Path) -> None:
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    configure_logging("info", "text")
    run_loop(_work(dsn))


async def _work(dsn: str) -> None:
    worker = Worker(load_settings(dsn=dsn), list(RECEIVERS), [DEFAULT])
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()


def _latency(database: Database, process: DaemonProcess, changes: int) -> list[float]:
    """Return the seconds from a COMMIT's being sent to the receiver's beginning, by the system's clock."""
    enable_only(database, PlainNoOp.__name__)
    committed: dict[int, float] = {}
    with process.running():
        for row in range(1, changes + 1):
            with database.conn.transaction():
                database.execute("update bench.{table} set site = site + 1 where id = {row}", table=TABLE, row=row)
                committed[row] = time.time()
            time.sleep(random.uniform(*_PAUSE))
        deadline = time.monotonic() + PATIENCE
        while len(began := _began(database, changes)) < changes:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(began)} of {changes} changes started a run within {PATIENCE:.0f} s")
            time.sleep(0.05)
    return [began[row] - sent for row, sent in committed.items()]


def _began(database: Database, changes: int) -> dict[int, float]:
    """Return when the newest run of each row began."""
    found = database.conn.execute(
        "select distinct on (r.object_id ->> 'id') (r.object_id ->> 'id')::integer,"
        " extract(epoch from r.started_at)::float from rowhooks.job_result as r"
        " where r.started_at is not null and r.id > %s order by r.object_id ->> 'id', r.id desc",
        (database.value("select max(id) from rowhooks.job_result") - changes,),
    )
    return dict(found.fetchall())
