"""Dispatch: what the leader hands to worker processes, and what it knows of them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobHook
from rowhooks.domain.run import Run

_LONGEST_NAME = 63
"""Bytes of an application's name that a server keeps."""
_RANDOM_BITS = 64


def new_process() -> int:
    """Return a number that tells a process that executes runs from every other one, also of the same HOST:PID."""
    return secrets.randbits(_RANDOM_BITS)


def worker_id(process: int) -> UUID:
    """Return an id for a worker that enters; `process_of` tells which process it is."""
    return UUID(int=process << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS))


def process_of(worker: UUID) -> int:
    """Return the number of the process that a worker is."""
    return worker.int >> _RANDOM_BITS


def session_name(name: str, worker: UUID) -> str:
    """Return the application's name of a worker's sessions: they can be told from those of every other worker.

    Args:
        name: HOST:PID. Two machines may have the same, as containers do.
        worker: its id.
    """
    host, _, pid = name.rpartition(":")
    before, behind = "rowhooks worker ", f":{pid} {worker.hex[-8:]}"
    # The server shows other characters in its own way.
    host = host.encode("ascii", "replace").decode()
    return f"{before}{host[: _LONGEST_NAME - len(before) - len(behind)]}{behind}"


@dataclass(frozen=True)
class Group:
    """Runs that are handed to one worker together; their receivers are of one kind.

    Args:
        id: the fencing token of these runs, rowhooks.dispatch.id.
        queue: the workers of which it may go to.
        asynchronous: whether their receivers are `async def`.
        priority: groups with a higher one are taken first.
        runs: what is to be executed; a batch counts as one.
        is_lane: they stand one behind another in one lane, and what is behind a run that is to be retried waits for
            it. Otherwise no two of them are in one lane.
    """

    id: UUID
    queue: str
    asynchronous: bool
    priority: int
    runs: tuple[Run, ...]
    is_lane: bool = False

    @property
    def lanes(self) -> int:
        """In how many lanes its runs are: so many of them can be executed at the same time."""
        return 1 if self.is_lane else len(self.runs)

    @property
    def class_paths(self) -> list[str]:
        """The receivers that a worker must have."""
        return sorted({run.job.class_path for run in self.runs})

    def described(self) -> list[list[dict[str, Any]]]:
        """Return what a worker finds the runs by, as JSON can hold it; see `description`."""
        return [[description(single) for single in run.singles] for run in self.runs]


@dataclass(frozen=True)
class LiveWorker:
    """A worker that takes groups.

    Args:
        id: drawn at its start, rowhooks.worker.id.
        name: HOST:PID.
        queues: those that it serves.
        threads: how many plain receivers it executes at the same time; 0: it is stopping.
        tasks: how many that are `async def`.
        class_paths: the receivers that its code has.
        code_version: tells its code from that of others.
    """

    id: UUID
    name: str
    queues: frozenset[str]
    threads: int
    tasks: int
    class_paths: frozenset[str]
    code_version: str = ""

    def slots(self, *, asynchronous: bool) -> int:
        """Return how many receivers of a kind it executes at the same time."""
        return self.tasks if asynchronous else self.threads


@dataclass(frozen=True)
class Progress:
    """How far a group has come.

    Args:
        worker: the worker that has taken it; None: none has.
        seconds: for how long that worker has had it.
        is_done: whether the worker is finished with it.
        refused: why runs could not be executed at all, by their ids.
    """

    worker: UUID | None
    seconds: float
    is_done: bool
    refused: Mapping[int, str] = field(default_factory=dict)


def description(run: Run) -> dict[str, Any]:
    """Return what a run is found by: its place in rowhooks.job_result, and what stands there while it is executed."""
    cause = run.cause
    by_hook = isinstance(run.origin, JobHook)
    return {
        "result_id": run.id,
        "trigger": run.trigger,
        "original_id": run.original_id,
        "object_change_id": cause.id if isinstance(cause, ObjectChange) else None,
        "job_hook_id": run.origin.id if by_hook else None,
        "job_button_id": None if by_hook else run.origin.id,
        "tracked_table": cause.table_id,
        # A retry was counted when it was planned; here it is one that begins.
        "status": "PENDING",
        "attempt": run.attempt,
        "retries": run.retries,
        "retry_at": None,
        "key": run.key,
    }
