"""Daemon process: a daemon apart from the benchmark's own process, started and stopped by messages through a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.database import Database
from benchmarks.receivers import RECEIVERS, batches, starts
from rowhooks.observability.logs import configure_logging
from rowhooks.pipeline.scheduling import records
from rowhooks.pipeline.scheduling.records import STARTED_AFTER
from rowhooks.receivers.classes import class_path
from rowhooks.runtime.daemon import Daemon
from rowhooks.runtime.process import run as run_loop
from rowhooks.settings import load_settings

PATIENCE = 120.0
"""Seconds after which a message is given up; never reached unless something is broken."""


class DaemonProcess:
    """The other end of the pipe.

    Args:
        pipe: to the process.
        pid: the process.
        log: the daemon's log.
    """

    def __init__(self, pipe: Connection, pid: int, log: Path) -> None:
        self._pipe = pipe
        self.pid = pid
        self._log = log
        self.batched = 0
        """How many changes the batch receiver of the last daemon was given."""
        self.processes = 0
        """How many worker processes execute the daemon's runs, which are started elsewhere."""

    @contextlib.contextmanager
    def running(self, started_after: float = STARTED_AFTER) -> Iterator[float]:
        """Run a daemon; give CLOCK_MONOTONIC in seconds at the moment it was ready.

        Args:
            started_after: seconds after which what waits or runs is put on record.
        """
        self._send((self.processes, started_after))
        yield float(self._receive())
        self._send("stop")
        starts.clear()
        began, self.batched = self._receive()
        starts.update(began)

    def peak_memory(self) -> int | None:
        """Return the largest resident memory that the process has had, in bytes; None where /proc does not tell."""
        status = Path(f"/proc/{self.pid}/status")
        if not status.exists():
            return None
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text("ascii"), re.MULTILINE)
        return int(found[1]) * 1024 if found else None

    def _send(self, message: Any) -> None:
        try:
            self._pipe.send(message)
        except OSError as error:
            raise self._broken() from error

    def _receive(self) -> Any:
        try:
            if self._pipe.poll(PATIENCE):
                return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._broken() from error
        raise self._broken()

    def _broken(self) -> RuntimeError:
        told = self._log.read_text(errors="replace")[-2000:] if self._log.exists() else "(it has no log)"
        return RuntimeError(f"the daemon does not answer:\n{told}")


@contextlib.contextmanager
def daemon_process(database: Database) -> Iterator[DaemonProcess]:
    """Start a process with the receivers loaded, in which daemons run one after another with the default settings.

    Its log, at the default level, goes into a file.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="rowhooks-bench-") as directory:
        log = Path(directory) / "daemon.log"
        process = context.Process(target=_serve, args=(theirs, database.daemon_dsn, log), daemon=True)
        process.start()
        theirs.close()
        assert process.pid is not None, "it has been started"
        try:
            yield DaemonProcess(ours, process.pid, log)
        finally:
            ours.close()
            process.join(PATIENCE)


def add_hooks(database: Database, *tables: str) -> None:
    """Make a hook a receiver, under the receiver's name, for every action on the tables; `enable_only` chooses one."""
    for receiver in RECEIVERS:
        names = {"path": class_path(receiver), "name": receiver.__name__}
        database.conn.execute(
            "insert into rowhooks.job (class_path, kind, name, enabled) values (%(path)s, 'hook', %(name)s, true)",
            names,
        )
        database.conn.execute(
            """
            insert into rowhooks.job_hook (name, job_id, type_create, type_update, type_delete, enabled)
            select %(name)s, j.id, true, true, true, false from rowhooks.job as j where j.class_path = %(path)s
            """,
            names,
        )
    add_to_hooks(database, *tables)


def add_to_hooks(database: Database, *tables: str) -> None:
    """Let the hooks that are there be about more tables, which are tracked."""
    database.conn.execute(
        """
        insert into rowhooks.job_hook_table (job_hook_id, tracked_table_id)
        select h.id, t.id
        from rowhooks.job_hook as h
        join rowhooks.tracked_table as t on t.relation = any (%s::regclass[]) and t.untracked_at is null
        """,
        ([f"bench.{table}" for table in tables],),
    )


def enable_only(database: Database, receiver: str) -> None:
    """Enable one receiver's hook from now on, and no other."""
    database.conn.execute("update rowhooks.job_hook set enabled = (name = %s)", (receiver,))


def _serve(pipe: Connection, dsn: str, log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 2)
    configure_logging("info", "text")
    with contextlib.suppress(EOFError):
        while True:
            processes, records.STARTED_AFTER = pipe.recv()
            run_loop(_run(pipe, dsn, processes))


async def _run(pipe: Connection, dsn: str, processes: int) -> None:
    starts.clear()
    batches.clear()
    daemon = Daemon(load_settings(dsn=dsn, processes=processes), list(RECEIVERS))
    task = asyncio.create_task(daemon.run())
    ready = asyncio.create_task(daemon.ready.wait())
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if not task.done():
        pipe.send(time.monotonic())
        told = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), told.set)
        stopping = asyncio.create_task(told.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        os.set_blocking(pipe.fileno(), True)  # which uvloop has turned off
        daemon.stop()
    await task
    pipe.recv()
    pipe.send((starts, sum(batches)))
