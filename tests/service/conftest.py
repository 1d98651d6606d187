"""Needs root, debootstrap and systemd-nspawn, and takes minutes: `make test-service`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.machine import CannotRun, Machine, build_root, copy, install

CHECKOUT = Path(__file__).parents[2]

if not os.environ.get("ROWHOOKS_SERVICE"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted machine with PostgreSQL and rowhooks installed."""
    directory = tmp_path_factory.mktemp("service")
    root = directory / "root"
    try:
        built = build_root(CHECKOUT / "build" / "service")
        copy(built, root)
        install(root, CHECKOUT, directory / "wheels", [sys.executable])
    except CannotRun as reason:
        pytest.skip(f"no machine can be booted here: {reason}")
    booted = Machine(root)
    try:
        booted.boot()
        yield booted
    finally:
        booted.end()
