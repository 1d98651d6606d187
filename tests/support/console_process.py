"""`rowhooks console` as a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import PATIENCE, wait


class ConsoleProcess:
    """A console in a process of its own; what it says is kept in a file.

    Args:
        directory: its working directory.
        arguments: of the command.
        settings: environment variables.
    """

    def __init__(self, directory: Path, *arguments: str, **settings: str) -> None:
        self.log = directory / "console.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWHOOKS_")}
        with self.log.open("w") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "rowhooks", "console", *arguments], cwd=directory,
                env={**environment, "ROWHOOKS_LOG_FORMAT": "text", **settings}, stdin=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text()

    def address(self) -> str:
        """Wait until it answers; return where."""
        begins = "the console answers on "
        wait(lambda: begins in self.said() or self.child.poll() is not None)
        assert begins in self.said(), self.said()
        return self.said().partition(begins)[2].split()[0]

    def ends(self) -> int:
        """Wait until it has ended; return its exit code."""
        return self.child.wait(PATIENCE)

    def __enter__(self) -> ConsoleProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.wait()
