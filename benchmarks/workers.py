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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.celery_peer import NAME, Celery, celery
from benchmarks.daemon_process import PATIENCE, DaemonProcess, add_hooks, daemon_process, enable_only
from benchmarks.database import Database, Server
from benchmarks.drain import TABLE, drain_once
from benchmarks.latency import WARM_UP
from benchmarks.peers.peer import Unavailable
from benchmarks.plan import Plan
from benchmarks.processor_time import Clock, of_processes, of_server
from benchmarks.receivers import EXECUTED, RECEIVERS, PlainNoOp
from benchmarks.results import Executed, Percentiles, ProcessorTime, Series, Tasks, WorkersFound
from rowhooks.domain.queues import DEFAULT
from rowhooks.observability.logs import configure_logging
from rowhooks.runtime.process import run as run_loop
from rowhooks.runtime.worker import Worker
from rowhooks.settings import load_settings

COUNTS = (0, 1, 2, 4)
"""Worker processes; with 0 the daemon executes everything itself."""
SHORTER = 5
"""By how much shorter a backlog suffices for Celery, which takes its time."""
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


@dataclass
class _Found:
    """What the rounds have brought, by receiver and number of processes."""

    rates: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    times: dict[tuple[str, int], list[tuple[float, ...]]] = field(default_factory=lambda: defaultdict(list))
    tasks: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    delays: dict[int, list[float]] = field(default_factory=lambda: {0: [], 1: []})

    def series(self, of: dict[tuple[str, int], list[float]], receiver: str) -> tuple[tuple[int, Series], ...]:
        """Return the rates of a receiver by the number of processes."""
        return tuple((count, Series(tuple(of[receiver, count]))) for count in COUNTS if (receiver, count) in of)


def workers(server: Server, plan: Plan) -> dict[str, Any]:
    """Measure changes a second, and the time from COMMIT to the receiver, with each count of worker processes.

    Celery's tasks take turns with them.
    """
    found, absent = _Found(), {}
    with server.database() as database, contextlib.ExitStack() as stack:
        database.create_table(TABLE, max(plan.executed_backlog, plan.latency_changes + WARM_UP), tracked=True)
        add_hooks(database, TABLE)
        database.conn.execute("create table bench.written (change_id bigint)")
        database.conn.execute("grant insert on bench.written to rowhooks_daemon")
        tasks: Celery | None = None
        try:
            tasks = stack.enter_context(celery(database))
        except Unavailable as error:
            absent[NAME] = str(error)
        process = stack.enter_context(daemon_process(database))
        for _ in range(plan.rounds):
            for count in COUNTS:
                process.processes = count
                with _running(database, count) as pids:
                    _drain_all(database, process, plan, found, pids)
                    if count in found.delays:
                        found.delays[count] += _latency(database, process, plan.latency_changes + WARM_UP)
                if tasks is not None and count:
                    for receiver in EXECUTED:
                        rate = tasks.drain(receiver.__name__, plan.executed_backlog // SHORTER, count)
                        found.tasks[receiver.__name__, count].append(rate)
    return {"workers": _of(found, plan.executed_backlog), "absent": absent}


def _drain_all(database: Database, process: DaemonProcess, plan: Plan, found: _Found, pids: Sequence[int]) -> None:
    """Drain a backlog for each receiver, with the workers that run."""
    used = _Times(of_processes([process.pid]), of_processes(pids), of_server(database))
    for receiver in EXECUTED:
        database.settle(TABLE)
        enable_only(database, receiver.__name__)
        rate = drain_once(database, process, plan.executed_backlog, plan.longest, used.watched)
        found.rates[receiver.__name__, len(pids)].append(rate)
        times = tuple(one / plan.executed_backlog for one in used.used)
        found.times[receiver.__name__, len(pids)].append(times)


def _of(found: _Found, changes: int) -> WorkersFound:
    names = {receiver.__name__: (receiver.__doc__ or "").removesuffix(".") for receiver in EXECUTED}
    return WorkersFound(
        changes,
        tuple(
            Executed(
                name,
                description,
                found.series(found.rates, name),
                _processor_time(found.times[name, 0]),
                _processor_time(found.times[name, 1]),
            )
            for name, description in names.items()
        ),
        tuple(Tasks(name, found.series(found.tasks, name)) for name in names) if found.tasks else (),
        Percentiles.of(found.delays[0]),
        Percentiles.of(found.delays[1]),
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
    """Return the seconds from a COMMIT's being sent to the receiver's beginning, by the system's clock.

    Those of the first WARM_UP changes are left out.
    """
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
    return [began[row] - sent for row, sent in committed.items() if row > WARM_UP]


def _began(database: Database, changes: int) -> dict[int, float]:
    """Return when the newest run of each row began."""
    found = database.conn.execute(
        "select distinct on (r.object_id ->> 'id') (r.object_id ->> 'id')::integer,"
        " extract(epoch from r.started_at)::float from rowhooks.job_result as r"
        " where r.started_at is not null and r.id > %s order by r.object_id ->> 'id', r.id desc",
        (database.value("select max(id) from rowhooks.job_result") - changes,),
    )
    return dict(found.fetchall())
