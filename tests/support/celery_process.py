"""Celery's worker as a child process."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.daemons import ELSEWHERE
from tests.support.waiting import PATIENCE, wait

CHECKOUT = Path(__file__).parents[2]
RECEIVERS = "tests.support.celery_receivers"


class CeleryProcess:
    """A worker of Celery's; what it says is kept in a file.

    Args:
        dsn: where rowhooks works.
        directory: its working directory.
        broker: the address of Celery's broker.
        app: the module with Celery's app.
        queues: those that it consumes.
        pool: how it executes tasks.
        concurrency: how many at the same time.
        settings: more of rowhooks' settings, by the names of their environment variables.
    """

    def __init__(
        self,
        dsn: str,
        directory: Path,
        broker: str,
        *,
        app: str = "rowhooks.integrations.celery",
        queues: str = ELSEWHERE,
        pool: str = "prefork",
        concurrency: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.released = directory / "released"
        self.log = directory / f"celery-{time.monotonic_ns()}.log"
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join([str(directory), *sys.path]),
            "RELEASED": str(self.released), "ROWHOOKS_DSN": dsn, "ROWHOOKS_CELERY_BROKER": broker,
            "ROWHOOKS_RECEIVERS": RECEIVERS, "ROWHOOKS_QUEUES": f"default,{ELSEWHERE}",
            "ROWHOOKS_DEFAULT_QUEUE": ELSEWHERE, "ROWHOOKS_GRACE_PERIOD": "5", "ROWHOOKS_LOG_FORMAT": "text",
            "BROKER": broker, **(settings or {}),
        }  # fmt: skip
        command = [
            sys.executable, "-m", "celery", "-A", app, "worker", "-Q", queues, "-P", pool, "-c", str(concurrency),
            "-n", f"test{time.monotonic_ns()}@%h", "-l", "INFO", "--without-gossip", "--without-mingle",
        ]  # fmt: skip
        with self.log.open("w") as log:
            self._child = subprocess.Popen(
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has said."""
        return self.log.read_text()

    @property
    def pid(self) -> int:
        """The id of Celery's own process, which forks the others."""
        return self._child.pid

    @property
    def threads(self) -> int:
        """How many threads that process has."""
        return len(list(Path(f"/proc/{self._child.pid}/task").iterdir()))

    def wait_for(self, what: str, times: int = 1) -> None:
        """Wait until it has said this so often."""
        wait(lambda: self.text.count(what) >= times or self._child.poll() is not None)
        assert self.text.count(what) >= times, self.text

    def executed(self) -> list[int]:
        """Return how many runs each task has executed that has ended."""
        return [int(runs) for runs in re.findall(r"succeeded in [0-9.e-]+s: \{'runs': (\d+)\}", self.text)]

    def ends(self) -> int:
        """Wait until it has ended; return its exit code."""
        return self._child.wait(PATIENCE)

    def stop(self) -> None:
        """Tell it to end in good order."""
        self._child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, and the processes that it has forked, by SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
