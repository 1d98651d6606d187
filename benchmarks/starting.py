"""Starting: how soon a daemon's process leads and ends its first run, beside processes that do less."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.database import Database, Server
from benchmarks.plan import Plan
from benchmarks.results import CommandTime, Series, Starting

_TABLE = "started"
_JOB = "receivers.Started"
_RECEIVER = """
from rowhooks import JobHookReceiver, register_jobs


class Started(JobHookReceiver):
    async def receive_job_hook(self, change, action, changed_object):
        pass


register_jobs(Started)
"""
_LIBRARIES = "import asyncpg, psycopg, pydantic.main, rich.console, sqlalchemy.ext.asyncio, sqlalchemy.orm, typer"
_PATIENCE = 60.0
_ASKING_NOTHING = ("--version", "--help")
_LISTINGS = ("status", "jobs list", "hooks list", "changes list", "results list")


def starting(server: Server, plan: Plan) -> Starting:
    """Measure seconds from the start of a process."""
    taken: dict[str, list[float]] = {name: [] for name in ("nothing", "libraries", "version", "ready", "first_run")}
    with server.database() as database, tempfile.TemporaryDirectory(prefix="rowhooks-bench-") as directory:
        database.create_table(_TABLE, 10, tracked=True)
        (Path(directory) / "receivers.py").write_text(_RECEIVER, "utf-8")
        database.conn.execute(
            "insert into rowhooks.job (class_path, kind, name, enabled) values (%s, 'hook', 'Started', true)", (_JOB,)
        )
        database.conn.execute(
            "select rowhooks.create_job_hook('Started', %s, array[%s::regclass], '{update}')", (_JOB, f"bench.{_TABLE}")
        )
        # What is compiled stays, as it does where rowhooks is installed.
        _whole("-c", _LIBRARIES)
        _daemon(database, directory)
        for _ in range(max(plan.rounds, 3)):
            taken["nothing"].append(_whole("-c", "pass"))
            taken["libraries"].append(_whole("-c", _LIBRARIES))
            taken["version"].append(_whole("-m", "rowhooks", "--version"))
            ready, first_run = _daemon(database, directory)
            taken["ready"].append(ready)
            taken["first_run"].append(first_run)
        commands = _commands(database.daemon_dsn, max(plan.rounds, 3))
    return Starting(**{name: Series(tuple(values)) for name, values in taken.items()}, commands=commands)


def _commands(dsn: str, rounds: int) -> tuple[CommandTime, ...]:
    """Measure the processor time of commands; what does nothing takes turns with them."""
    nothing: dict[str, list[float]] = {command: [] for command in (*_ASKING_NOTHING, *_LISTINGS)}
    taken: dict[str, list[float]] = {command: [] for command in nothing}
    for command in nothing:
        processor_time("-m", "rowhooks", *command.split(), dsn=dsn)  # see above
    for _ in range(rounds):
        for command in nothing:
            nothing[command].append(processor_time("-c", "pass", dsn=dsn))
            taken[command].append(processor_time("-m", "rowhooks", *command.split(), dsn=dsn))
    return tuple(
        CommandTime(f"rowhooks {name}", Series(tuple(values)), Series(tuple(nothing[name])), name in _LISTINGS)
        for name, values in taken.items()
    )


def processor_time(*arguments: str, dsn: str) -> float:
    """Run Python; return the seconds of processor time, user and system, that the process has taken.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment(dsn)
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return usage.ru_utime + usage.ru_stime


def _environment(dsn: str = "") -> dict[str, str]:
    """Return the environment of a process that may keep what it compiles."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
        "ROWHOOKS_DSN": dsn
    }


def _whole(*arguments: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=_environment())
    return time.perf_counter() - begin


def _daemon(database: Database, directory: str) -> tuple[float, float]:
    """Start a daemon before which a change waits; return when it leads, and when that change's run is on record.

    Raises:
        RuntimeError: one of them did not come about.
    """
    database.execute("update bench.{table} set site = site + 1 where id = 1", table=_TABLE)
    before, epoch = database.handled(), database.value("select leader_epoch from rowhooks.feed")
    command = [sys.executable, "-m", "rowhooks", "run", "--receivers", "receivers.py"]
    ready = first_run = 0.0
    begin = time.perf_counter()
    with subprocess.Popen(
        command, cwd=directory, env=_environment(database.daemon_dsn), stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not first_run:
                passed = time.perf_counter() - begin
                if process.poll() is not None or passed > _PATIENCE:
                    raise RuntimeError(f"the daemon's first run did not end within {passed:.0f} s")
                if not ready and database.value("select leader_epoch from rowhooks.feed") != epoch:
                    ready = passed
                if ready and database.handled() > before:
                    first_run = passed
                time.sleep(0.002)
        finally:
            process.terminate()
    return ready, first_run
