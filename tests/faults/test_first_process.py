"""SIGTERM to the first process of a container, for which the kernel has no default."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE, wait

# As the first process sees itself. SIGTERM is ignored as it is there without a handler.
FIRST = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.getpid = lambda: 1
sys.argv = ["rowhooks", *sys.argv[1:]]
from rowhooks.__main__ import main
main()
"""


@contextmanager
def importing(directory: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command that is importing a module of receivers when the block begins."""
    begun = directory / "begun"
    (directory / "code.py").write_text(
        f"import time\nfrom pathlib import Path\nPath({str(begun)!r}).touch()\ntime.sleep(3600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", FIRST, *command, "--receivers", "code.py", "--dsn", ""],
        cwd=directory, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait(lambda: begun.exists() or process.poll() is not None)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("command", ["run", "worker"])
def test_it_ends_while_receivers_are_imported(tmp_path: Path, command: str) -> None:
    with importing(tmp_path, command) as process:
        process.terminate()
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
