"""Celery beside worker processes: the rate at which as many of its processes execute one task for each change."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks.daemon_process import PATIENCE
from benchmarks.database import Database
from benchmarks.peers.peer import Unavailable

NAME = "Celery, as Nautobot uses it"


class Celery:
    """Tasks of Celery's, with a Redis of their own.

    Args:
        database: where results are written.
        broker: Redis.
    """

    def __init__(self, database: Database, broker: str) -> None:
        self._database = database
        self._broker = broker
        os.environ["BENCH_BROKER"] = broker
        # Read at its import.
        from benchmarks import celery_tasks

        self._tasks = celery_tasks
        database.conn.execute(celery_tasks.TABLES.encode())

    def drain(self, receiver: str, changes: int, processes: int) -> float:
        """Send tasks, start so many processes, and return how many tasks a second they execute.

        Raises:
            RuntimeError: they do not come to an end.
        """
        conn = self._database.conn
        conn.execute("truncate bench.celery_result, bench.celery_log, bench.celery_change")
        conn.execute(
            'insert into bench.celery_change select n, \'{"name": "a"}\', \'{"name": "b"}\''
            " from generate_series(1, %s) as n",
            (changes,),
        )
        for change in range(1, changes + 1):
            self._tasks.send(conn, receiver, change)
        conn.execute("vacuum (analyze) bench.celery_result")
        conn.execute("checkpoint")
        with self._worker(processes):
            deadline = time.monotonic() + PATIENCE
            began, first = 0.0, 0
            while (done := self._done()) < changes:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{done} of {changes} tasks were executed within {PATIENCE:.0f} s")
                if done and not first:
                    began, first = time.monotonic(), done
                time.sleep(0.02)
            return (changes - first) / (time.monotonic() - began)

    def _done(self) -> int:
        return int(self._database.value("select count(*) from bench.celery_result where status = 'SUCCESS'"))

    @contextlib.contextmanager
    def _worker(self, processes: int) -> Iterator[None]:
        command = [
            sys.executable, "-m", "celery", "-A", "benchmarks.celery_tasks", "worker", "-c", str(processes),
            "-l", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat",
        ]  # fmt: skip
        environment = {**os.environ, "BENCH_DSN": self._database.dsn, "BENCH_BROKER": self._broker}
        with tempfile.TemporaryFile() as log:
            child = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            try:
                yield
            finally:
                child.send_signal(signal.SIGTERM)
                child.wait(PATIENCE)


@contextlib.contextmanager
def celery(database: Database) -> Iterator[Celery]:
    """Start Redis for Celery.

    Raises:
        Unavailable: Celery or Redis is not installed.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise Unavailable("there is no redis-server (on Debian: apt install redis-server)")
    try:
        import celery  # noqa: F401
    except ModuleNotFoundError as error:
        raise Unavailable("Celery is not installed (the extra celery)") from error
    with tempfile.TemporaryDirectory(prefix="rowhooks-bench-") as directory, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory],
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for(port)
            yield Celery(database, f"redis://127.0.0.1:{port}/0")
        finally:
            server.terminate()
            server.wait(PATIENCE)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"Redis has not begun within {PATIENCE:.0f} s")
        time.sleep(0.02)
