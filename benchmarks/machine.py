"""Machine: what the benchmark runs on, and with what versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from pathlib import Path

from benchmarks.report import Machine

_PACKAGES = ("asyncpg", "psycopg", "uvloop")


def this_machine() -> Machine:
    """Return what this process runs on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(_processor(), cores, memory, f"{platform.system()} {platform.release()}")


def seconds_of_a_loop() -> float:
    """Return how long this machine takes for ten million additions in Python: by this, machines can be compared."""
    began, total = time.perf_counter(), 0
    for number in range(10_000_000):
        total += number
    return time.perf_counter() - began


def versions(postgresql: str) -> dict[str, str]:
    """Return the versions of what is measured, for the packages that are installed.

    Args:
        postgresql: what the server says of itself.
    """
    found = {"PostgreSQL": postgresql, "Python": platform.python_version()}
    for package in ("rowhooks", *_PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
