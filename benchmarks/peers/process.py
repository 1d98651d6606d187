"""Process: a worker written in Python, in a process of its own, told to stop through a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.daemon_process import PATIENCE
from benchmarks.peers.peer import Handled, Worker
from rowhooks.postgres.connections.target import Target


class Told:
    """What a worker and those who started it tell each other."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._is_ready = False
        self.stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), self._on_readable)

    def ready(self) -> None:
        """Say that the worker begins to look for jobs; only the first time counts."""
        if not self._is_ready:
            self._is_ready = True
            self._pipe.send(time.monotonic())

    def _on_readable(self) -> None:
        # Also when the other side is gone: nobody is interested in the rest then.
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        self.stop.set()


def connection_of(dsn: str) -> dict[str, Any]:
    """Return the arguments of asyncpg's functions for a DSN of libpq's, as others would give them.

    Our own connections have another search_path, and forget prepared statements.
    """
    arguments = Target(dsn).asyncpg_attempts()[0]
    return {
        name: value for name, value in arguments.items() if name not in ("connection_class", "statement_cache_size")
    }


Work = Callable[[str, Told], Awaitable[Handled]]
"""A worker: given the DSN it runs until it is told to stop, and returns what it did."""


@contextlib.contextmanager
def python_worker(work: Work, dsn: str) -> Iterator[Worker]:
    """Run a worker, a function at the top of a module, until the block ends; what it writes goes into a file.

    Raises:
        RuntimeError: the worker ended by itself or does not answer.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="rowhooks-bench-") as directory:
        log = Path(directory) / "worker.log"
        process = context.Process(target=_serve, args=(work, dsn, theirs, log), daemon=True)
        process.start()
        theirs.close()
        try:
            worker = Worker(float(_receive(ours, log)))
            yield worker
            ours.send("stop")
            worker.handled = _receive(ours, log)
            process.join(PATIENCE)
        finally:
            ours.close()
            if process.is_alive():
                process.kill()
            process.join()


def _receive(pipe: Connection, log: Path) -> Any:
    try:
        if pipe.poll(PATIENCE):
            return pipe.recv()
    except (EOFError, OSError):
        pass
    raise RuntimeError(f"the worker does not answer:\n{log.read_text(errors='replace')[-2000:]}")


def _serve(work: Work, dsn: str, pipe: Connection, log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)

    async def run() -> Handled:
        return await work(dsn, Told(pipe))

    handled = uvloop.run(run())
    os.set_blocking(pipe.fileno(), True)  # the loop has changed it
    pipe.send(handled)
