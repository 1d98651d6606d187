"""The wheel, built once for all workers."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tests.support.builds import build


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    # A worker's directory is in that of the whole run.
    home = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    target = home / "wheel"
    with (home / "wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return next(target.glob("*.whl"), None) or build(target, "--wheel")
