"""Graphile Worker: a queue for Node.js (https://worker.graphile.org), installed by npm into .bench/."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from psycopg.conninfo import conninfo_to_dict

from benchmarks.daemon_process import PATIENCE
from benchmarks.database import Database
from benchmarks.peers.peer import Handled, Unavailable, Worker, empty

# The newest that Debian's Node.js 20 can run; 0.18 needs Node.js 22.
VERSION = "0.17.3"
_DIRECTORY = Path(__file__).parents[2] / ".bench"
_SCRIPT = Path(__file__).with_name("graphile_worker.js")
_LONGEST_INSTALLATION = 300.0

_FUNCTION = """
create function bench.add_job_for_graphile() returns trigger language plpgsql as $$
begin
  perform graphile_worker.add_job(
    'change', json_build_object('id', new.id, 'old', to_jsonb(old), 'new', to_jsonb(new))
  );
  return null;
end
$$
"""
_ENVIRONMENT = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}


class GraphileWorker:
    """Graphile Worker with the options that its page on performance measures as the fastest.

    They are in graphile_worker.js. The trigger calls `add_job` as the page "Adding jobs through SQL" does. A finished
    job is deleted; nothing is recorded of it.

    Raises:
        Unavailable: node or npm is missing, or npm cannot install the package.
    """

    name = "Graphile Worker"
    version = VERSION
    settings = "concurrentJobs=24, maxPoolSize=25, localQueue.size=500, completeJobBatchDelay=0, failJobBatchDelay=0"
    backlog_divisor = 1

    def __init__(self) -> None:
        for program in ("node", "npm"):
            if shutil.which(program) is None:
                raise Unavailable(f"{program} is not installed; on Debian: apt install nodejs npm")
        _install_package()

    def install(self, database: Database) -> None:
        """Make the schema by its own migrations."""
        done = subprocess.run(
            ["node", str(_SCRIPT), "install"],
            env=_environment(database.dsn), capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"Graphile Worker's migrations failed: {done.stderr[-2000:]}")
        database.execute(_FUNCTION)

    def attach(self, database: Database, table: str) -> None:
        """Make the trigger."""
        database.execute(
            "create trigger graphile after insert or update on bench.{table}"
            " for each row execute function bench.add_job_for_graphile()",
            table=table,
        )

    def clear(self, database: Database) -> None:
        """Empty the queue; there is no history."""
        empty(database, "graphile_worker._private_jobs")

    def queued(self, database: Database) -> int:
        """Return how many jobs are there, locked ones too."""
        failed = database.value("select count(*) from graphile_worker._private_jobs where last_error is not null")
        if failed:
            raise RuntimeError(f"Graphile Worker: {failed} jobs did not end well")
        return int(database.value("select count(*) from graphile_worker._private_jobs"))

    def is_empty(self, database: Database) -> bool:
        """Look at the end of the queue: jobs are taken from its beginning."""
        left = database.execute("select id from graphile_worker._private_jobs order by id desc limit 1")
        return left.fetchone() is None

    @contextlib.contextmanager
    def worker(self, database: Database) -> Iterator[Worker]:
        """Run a pool of workers in one process."""
        with tempfile.TemporaryFile(prefix="rowhooks-bench-") as log:
            process = subprocess.Popen(
                ["node", str(_SCRIPT), "work"],
                env=_environment(database.dsn), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0,
            )  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            lines = _Lines(process.stdout, log)
            try:
                worker = Worker(float(lines.read()["ready"]))
                yield worker
                process.stdin.close()
                done = lines.read()
                worker.handled = Handled(done["jobs"], {int(row): int(began) for row, began in done["began"].items()})
            finally:
                process.stdin.close()
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                process.stdout.close()


class _Lines:
    """What the worker says, line by line, with a time-out."""

    def __init__(self, stdout: IO[bytes], log: IO[bytes]) -> None:
        self._stdout = stdout
        self._log = log
        self._buffer = b""

    def read(self) -> Any:
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._stdout.fileno(), 1 << 20) if readable else b""
            if not data:
                self._log.seek(0)
                said = self._log.read().decode(errors="replace")
                raise RuntimeError(f"Graphile Worker does not answer:\n{said[-2000:]}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)


def _install_package() -> None:
    package = _DIRECTORY / "node_modules" / "graphile-worker" / "package.json"
    if package.exists() and json.loads(package.read_text(encoding="utf-8"))["version"] == VERSION:
        return
    _DIRECTORY.mkdir(exist_ok=True)
    wanted = {"private": True, "dependencies": {"graphile-worker": VERSION}}
    (_DIRECTORY / "package.json").write_text(json.dumps(wanted) + "\n", encoding="utf-8")
    try:
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=_DIRECTORY, capture_output=True, text=True, check=False, timeout=_LONGEST_INSTALLATION,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm did not install graphile-worker within {_LONGEST_INSTALLATION:.0f} s") from None
    if done.returncode:
        raise Unavailable(f"npm cannot install graphile-worker {VERSION}: {done.stderr.strip()[-300:]}")


def _environment(dsn: str) -> dict[str, str]:
    given = conninfo_to_dict(dsn)
    connection = {_ENVIRONMENT[name]: str(value) for name, value in given.items() if name in _ENVIRONMENT}
    return {**os.environ, **connection, "NODE_PATH": str(_DIRECTORY / "node_modules"), "NO_LOG_SUCCESS": "1"}
