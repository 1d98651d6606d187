"""Local worker processes: the daemon starts them, starts another where one has ended, and ends them with itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rowhooks.runtime.context import process_name
from rowhooks.settings import PREFIX

logger = logging.getLogger(__name__)

LONGEST_BACKOFF = 30.0
"""Seconds at the most before another process is started in the place of one that has ended."""
STEADY = 10.0
"""Seconds after which a process counts as having begun well."""
LAST_MOMENTS = 15.0
"""Seconds that a process has at a stop beside the grace period."""


class Processes:
    """Keeps so many worker processes running.

    Args:
        count: how many.
        command: what starts one.
        environment: of each process.
        grace: seconds that its receivers have at a stop.
    """

    def __init__(self, count: int, command: Sequence[str], environment: Mapping[str, str], grace: float) -> None:
        self._count = count
        self._command = list(command)
        self._environment = dict(environment)
        self._grace = grace
        self._running: set[asyncio.subprocess.Process] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._is_stopping = False

    @property
    def pids(self) -> set[int]:
        """The ids of the processes that run."""
        return {process.pid for process in self._running}

    def start(self) -> None:
        """Start them, unless they were started already."""
        if not self._keepers and not self._is_stopping:
            self._keepers = [asyncio.get_running_loop().create_task(self._keep()) for _ in range(self._count)]

    def end(self, name: str) -> None:
        """End a process, if it is one of these, that does not answer any more: another one takes its place.

        Args:
            name: of the worker, HOST:PID.
        """
        for process in self._running:
            if name == process_name(process.pid):
                logger.error("worker process %d does not answer any more: it is killed", process.pid)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()

    async def stop(self) -> None:
        """Let what runs in them end, and end them."""
        self._is_stopping = True
        for process in list(self._running):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        if not self._keepers:
            return
        _, late = await asyncio.wait(self._keepers, timeout=self._grace + LAST_MOMENTS)
        for process in list(self._running) if late else ():
            logger.error("worker process %d did not end: it is killed", process.pid)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _keep(self) -> None:
        failures = 0
        while not self._is_stopping:
            began = time.monotonic()
            try:
                status = _named(await self._run_one())
                what = "has ended"
            except OSError as error:
                # Such as no memory, or too many processes.
                status, what = str(error), "could not be started"
            if self._is_stopping:
                return
            failures = 1 if time.monotonic() - began > STEADY else failures + 1
            delay = min(LONGEST_BACKOFF, 0.1 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0)
            logger.error("a worker process %s (%s); another one is started in %.1f s", what, status, delay)
            await asyncio.sleep(delay)

    async def _run_one(self) -> int:
        # It ends when the pipe does: it is not to outlive a daemon that was killed.
        process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, stdin=asyncio.subprocess.PIPE
        )
        self._running.add(process)
        if self._is_stopping:
            process.terminate()
        try:
            return await process.wait()
        finally:
            self._running.discard(process)


def worker_command(config: str | None, queues: Sequence[str] = ()) -> list[str]:
    """Return the command of a worker process that a daemon starts.

    Args:
        config: the file of its settings, where the daemon was given one.
        queues: those that it serves; none: the setting default_queue.
    """
    given = [] if config is None else ["--config", config]
    served = [word for queue in queues for word in ("--queue", queue)]
    return [sys.executable, "-m", "rowhooks", "worker", "--until-eof", *given, *served]


def as_environment(given: Mapping[str, Any]) -> dict[str, str]:
    """Return settings as variables of the environment, for another process; None means not given."""
    return {
        f"{PREFIX}{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
        if value is not None
    }


def _named(status: int) -> str:
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
