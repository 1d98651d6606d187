"""`rowhooks run` as a child process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.waiting import PATIENCE, wait


class Process:
    """A daemon in a process of its own; what it says is kept in a file.

    Args:
        dsn: where it works.
        directory: its working directory.
        receivers: the file with its receivers.
        settings: more settings, by the names of their environment variables.
        options: more options.
        command: `run`, or `worker`.
        stdin: its input. If that is a terminal, SIGHUP means that this was closed, and nothing is reloaded.
    """

    def __init__(
        self,
        dsn: str,
        directory: Path,
        receivers: str,
        settings: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        command: str = "run",
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.directory = directory
        self.log = directory / f"{command}-{time.monotonic_ns()}.log"
        with self.log.open("w") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "rowhooks", command, "--receivers", receivers, "--dsn", dsn, *options],
                cwd=directory,
                env={
                    **os.environ,
                    "OUTSIDE": str(directory / "outside"),
                    "ROWHOOKS_GRACE_PERIOD": "2",
                    "ROWHOOKS_LOG_FORMAT": "text",
                    **(settings or {}),
                },
                stdin=stdin,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._child.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None: it goes on."""
        return self._child.poll()

    def says(self, what: str) -> bool:
        """Say whether its log has this in it."""
        return what in self.log.read_text()

    def count(self, what: str) -> int:
        """Return how often its log has this in it."""
        return self.log.read_text().count(what)

    def wait_for(self, what: str) -> None:
        """Wait until its log has this in it."""
        wait(lambda: self.says(what) or self.ended)
        assert self.says(what), self.log.read_text()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._child.send_signal(number)

    def ends(self) -> int:
        """Wait until it has ended; return its exit code."""
        return self._child.wait(PATIENCE)

    def kill(self) -> None:
        """End it by SIGKILL, also where it is stopped."""
        self._child.kill()
        self._child.wait()
