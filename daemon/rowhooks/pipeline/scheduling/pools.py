"""Execution pools: where runs are executed. The scheduler knows them by this protocol alone.

What goes into a pool is frozen values, and what it says of a run names it by its id: a pool may be in another process.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from rowhooks.domain.errors import ConnectionFailed, Interruption, LeadershipLost
from rowhooks.domain.run import LogEntry, Outcome, Run
from rowhooks.pipeline.concurrency import first_of
from rowhooks.pipeline.execution.runner import Execution, Runner

logger = logging.getLogger(__name__)

LOOP, THREADS = "loop", "threads"
"""The names of the pools of this process."""
WORKERS = "workers"
"""The name of the pool that hands runs to worker processes."""
LAST_MOMENTS = 1.0
"""Seconds in which asynchronous receivers that were cancelled at a stop may clean up."""

_ENDS_THE_LEADERSHIP = (ConnectionFailed, LeadershipLost)


class PreparedRun(NamedTuple):
    """A run that may begin, with what was had for it.

    Args:
        run: what is executed.
        user: the user that it is for.
        changed_object: its row as it was a moment ago; None for a pool that needs no rows.
        refused: what stands in its way: the run fails by it, and its receiver is not called.
        group_commit: with how many others, itself included, it may share its transaction.
    """

    run: Run
    user: str
    changed_object: Any
    refused: Exception | None = None
    group_commit: int = 1


class RunningRun(Protocol):
    """What a pool says of a run that goes on.

    Args:
        run: which.
        started_at: when it began.
        began: the same by time.monotonic().
    """

    run: Run
    started_at: datetime
    began: float

    def take_lines(self) -> Sequence[LogEntry]:
        """Return what it has logged since the last call."""
        ...


class PoolOwner(Protocol):
    """Takes the reports of a pool."""

    def may_begin(self, run_id: int) -> bool:
        """Say whether a run may begin with what was had for it; in any thread. Otherwise it is given back."""
        ...

    def followers(self, run_id: int, limit: int) -> Sequence[Run]:
        """Return runs that stand behind one in its lane, and may be handed to a worker with it.

        Each of them is handed to the pool once those before it have ended. What became of it may be known then.
        """
        ...

    def ended(self, run_id: int, outcome: Outcome | None, problem: BaseException | None) -> None:
        """Take what became of a run, on the event loop; it is not told of a run that was abandoned.

        Args:
            run_id: which.
            outcome: None where the run was not begun, or ended by a problem.
            problem: what ends the leadership.
        """
        ...

    def lost(self, run_id: int, reason: str, *, for_good: bool) -> None:
        """Take a run back whose executor has ended in the middle of it, on the event loop.

        Args:
            run_id: which.
            reason: what became of the executor.
            for_good: the run is not executed again, as it may be what ends executors.
        """
        ...


class ExecutionPool(Protocol):
    """Executes runs. All methods are called on the event loop."""

    name: str
    limit: int
    """How many runs it executes at the same time."""
    needs_rows: bool
    """Whether rows are to be loaded for its runs. A pool elsewhere loads them itself, where the runs are executed."""

    is_elsewhere: bool
    """Whether its runs are executed in other processes, which watch their time limits and revocations themselves."""

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many runs wait for a worker, by their queues, in a pool of workers."""
        ...

    @property
    def running(self) -> Mapping[int, RunningRun]:
        """What goes on, by the ids of the runs. Another thread may change it at any time."""
        ...

    @property
    def joined(self) -> Mapping[int, RunningRun]:
        """What was executed and waits for a COMMIT that it shares; it is not interrupted or abandoned any more."""
        ...

    def attach(self, owner: PoolOwner) -> None:
        """Report to an owner from now on."""
        ...

    def knows(self, run_id: int) -> bool:
        """Say whether what became of a run is known before it is handed over, see `PoolOwner.followers`."""
        ...

    def accept(self, group: Collection[PreparedRun]) -> None:
        """Take runs; each begins when there is a place for it."""
        ...

    def interrupt(self, run_id: int) -> bool:
        """Raise SoftTimeLimitExceeded inside the receiver of a run; return False where it does not go on."""
        ...

    def abandon(self, run_id: int, error: Interruption) -> Outcome | None:
        """End a run that may not end by itself; return what became of it, None where it does not go on."""
        ...

    async def drain(self, grace: float) -> int:
        """Begin nothing more and wait for what goes on.

        Args:
            grace: seconds after which what can be cancelled is, and the rest is left behind.

        Returns:
            How many receivers had not ended by then, with those that were abandoned before.
        """
        ...


T = TypeVar("T")


class LocalPool(Generic[T]):
    """What the pools of this process have in common.

    Args:
        name: of the pool.
        limit: how many runs at the same time.
        runner: executes one.
    """

    needs_rows = True
    is_elsewhere = False
    waiting: Mapping[str, int] = {}

    def __init__(self, name: str, limit: int, runner: Runner) -> None:
        self.name = name
        self.limit = limit
        self.running: dict[int, Execution] = {}
        self.joined: dict[int, Execution] = {}
        self._runner = runner
        self._queue: deque[PreparedRun | T] = deque()
        self._owner: PoolOwner
        self._abandoned: list[Execution] = []
        self._closed = False
        self._is_empty = asyncio.Event()

    def attach(self, owner: PoolOwner) -> None:
        """Report to an owner from now on."""
        self._owner = owner

    def knows(self, run_id: int) -> bool:
        """Say that what becomes of a run is known at its end."""
        return False

    def accept(self, group: Collection[PreparedRun]) -> None:
        """Take runs; each begins when a worker is free."""
        self._queue.extend(group)
        self._wake()

    def interrupt(self, run_id: int) -> bool:
        """Raise SoftTimeLimitExceeded inside a receiver."""
        # A thread may have taken it out a moment ago, here and below.
        execution = self.running.get(run_id)
        if execution is not None:
            execution.interrupt()
        return execution is not None

    def abandon(self, run_id: int, error: Interruption) -> Outcome | None:
        """End a run from outside, and go on without it."""
        execution = self.running.pop(run_id, None)
        if execution is None:
            return None
        outcome = execution.abandon(error)
        self._let_go(execution)
        self._abandoned = [other for other in self._abandoned if other.alive] + [execution]
        self._note_end()
        return outcome

    async def drain(self, grace: float) -> int:
        """Begin nothing more, wait for what goes on, and cancel or leave behind what has not ended by then."""
        self._closed = True
        self._queue.clear()
        if self.running or self.joined:
            await first_of(self._is_empty.wait(), asyncio.sleep(grace))
        late = list(self.running.values())
        if late:
            names = ", ".join(sorted({execution.run.job.class_path for execution in late}))
            logger.warning("%d receivers did not end within %s s: %s", len(late), grace, names)
        tasks = self._cancel(late)
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_MOMENTS)
        return len(late) + sum(execution.alive for execution in self._abandoned)

    def _begin(self, prepared: PreparedRun, worker: Any) -> Execution | None:
        """Begin a run, in any thread; None where it may not begin as it is."""
        run = prepared.run
        if not self._owner.may_begin(run.id):
            return None
        execution = self._runner.prepare(run, prepared.user)
        execution.worker = worker
        self.running[run.id] = execution
        return execution

    def _ended(
        self, run: Run, execution: Execution | None, outcome: Outcome | None, problem: BaseException | None
    ) -> None:
        """Report a run that has ended, or was not begun."""
        if problem is not None and not isinstance(problem, _ENDS_THE_LEADERSHIP):
            outcome, problem = self._runner.broken(run, execution, problem), None
        if execution is not None:
            self.running.pop(run.id, None)
        self._owner.ended(run.id, outcome, problem)
        if self._closed:
            self._note_end()

    def _note_end(self) -> None:
        if self._closed and not (self.running or self.joined):
            self._is_empty.set()

    def _wake(self) -> None:
        """Have a worker that takes what is in the queue."""
        raise NotImplementedError

    def _let_go(self, execution: Execution) -> None:
        """Go on without the worker of a run that was abandoned."""
        raise NotImplementedError

    def _cancel(self, late: Sequence[Execution]) -> set[asyncio.Task[None]]:
        """Cancel what can be; return what may be waited for."""
        raise NotImplementedError
