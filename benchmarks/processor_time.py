"""Processor time that processes have used, as Linux tells it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.database import Database

Clock = Callable[[], float]
"""Returns seconds of processor time used so far."""


def of_processes(pids: Iterable[int]) -> Clock:
    """Return the clock of some processes, each with its threads."""
    known = tuple(pids)
    return lambda: sum(_used(pid, with_ended_children=False) for pid in known)


def of_server(database: Database) -> Clock:
    """Return the clock of a server on this machine: all its processes, those that have ended too."""
    backend = database.value("select pg_backend_pid()")
    postmaster = _parent(backend)
    return lambda: (
        _used(postmaster, with_ended_children=True)
        + sum(_used(pid, with_ended_children=False) for pid in _children(postmaster))
    )


def _fields(pid: int) -> list[str]:
    # The name, in parentheses, may have spaces in it.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid: int) -> int:
    return int(_fields(pid)[1])


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if re.fullmatch(r"\d+", entry.name):
            try:
                if _parent(int(entry.name)) == pid:
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended: its parent has its time now
    return found


def _used(pid: int, *, with_ended_children: bool) -> float:
    try:
        times = _fields(pid)[11 : 15 if with_ended_children else 13]
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it has ended: its parent has its time now
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
