"""The pool of threads: executes plain `def` receivers.

A worker takes one run after another: handing each one over to a thread would cost more than most receivers do.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

from rowhooks.domain.run import Outcome, Run
from rowhooks.pipeline.execution.runner import Execution, Runner
from rowhooks.pipeline.scheduling.pools import THREADS, LocalPool, PreparedRun

logger = logging.getLogger(__name__)

RAMP_UP = 0.001
"""Seconds after which what one thread has not got through goes to more of them."""
NEXT_THREAD = 1.0
"""Seconds between attempts to start a thread where the system has none to spare."""


class _Worker:
    """One thread of the pool."""

    is_abandoned = False


class _Retry(NamedTuple):
    """A run that is to be executed once more, with its row as it is now."""

    execution: Execution
    changed_object: Any

    @property
    def run(self) -> Run:
        return self.execution.run


class _Report(NamedTuple):
    """What a worker has of a run; without a run: that the worker has ended."""

    worker: _Worker
    run: Run | None = None
    execution: Execution | None = None
    outcome: Outcome | None = None
    problem: BaseException | None = None


class ThreadPool(LocalPool[_Retry]):
    """Executes runs in threads.

    Args:
        limit: how many at the same time.
        runner: executes one.
        threads: has more threads than that, in case some of them hang for good.
    """

    def __init__(self, limit: int, runner: Runner, threads: Executor) -> None:
        super().__init__(THREADS, limit, runner)
        self._threads = threads
        self._reports: deque[_Report] = deque()
        self._is_posted = False
        self._active = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pauses: set[asyncio.Task[None]] = set()

    # On the event loop.

    def _wake(self) -> None:
        if not self._queue or self._closed:
            return
        self._loop = asyncio.get_running_loop()
        # A group comes at once, and its first receiver may wait for long.
        is_one = len(self._queue) == 1
        if not self._active:
            self._start()
            if is_one:
                return
        if self._timer is None and self._active < self.limit:
            self._timer = self._loop.call_later(RAMP_UP, self._ramp_up)

    def _ramp_up(self) -> None:
        self._timer = None
        if not self._closed:
            for _ in range(min(self.limit - self._active, len(self._queue))):
                self._start()

    def _start(self) -> None:
        worker = _Worker()
        try:
            self._threads.submit(self._serve, worker)
        except RuntimeError as error:
            # The system has no thread to spare. The executor may still have it in its queue.
            worker.is_abandoned = True
            self._wait_for_a_thread(error)
        else:
            self._active += 1

    def _wait_for_a_thread(self, error: RuntimeError) -> None:
        if self._timer is None and self._loop is not None:
            logger.error("plain receivers wait for a thread: %s", error)
            self._timer = self._loop.call_later(NEXT_THREAD, self._ramp_up)

    def _let_go(self, execution: Execution) -> None:
        worker, execution.worker = execution.worker, None
        # Without a worker it waits for another attempt.
        if worker is not None:
            worker.is_abandoned = True
            self._active -= 1
            self._ramp_up()

    def _cancel(self, late: Sequence[Execution]) -> set[asyncio.Task[None]]:
        for pause in self._pauses:
            pause.cancel()
        return self._pauses.copy()

    def _collect(self) -> None:
        # In this order: what is posted from now on posts anew.
        self._is_posted = False
        while self._reports:
            worker, run, execution, outcome, problem = self._reports.popleft()
            if run is None:
                if not worker.is_abandoned:
                    self._active -= 1
            elif execution is None:
                self._ended(run, None, outcome, problem)
            elif execution.worker is not worker or self.running.get(run.id) is not execution:
                if problem is not None:
                    logger.info("an abandoned run ended with %r", problem)
            else:
                execution.worker = None
                if outcome is None and problem is None:
                    self._retry_later(execution)
                else:
                    self._ended(run, execution, outcome, problem)
        self._wake()

    def _retry_later(self, execution: Execution) -> None:
        assert self._loop is not None
        pause = self._loop.create_task(self._retry(execution))
        self._pauses.add(pause)
        pause.add_done_callback(self._pauses.discard)

    async def _retry(self, execution: Execution) -> None:
        """Let a run have another attempt after a while, before what has not begun."""
        again = problem = None
        try:
            again = await execution.wait()
        except Exception as error:
            problem = error
        if self.running.get(execution.run.id) is not execution:
            # It was abandoned meanwhile.
            return
        if problem is not None or isinstance(again, Outcome):
            self._ended(execution.run, execution, again, problem)
        else:
            self._queue.appendleft(_Retry(execution, again))
            self._wake()

    # In a thread.

    def _serve(self, worker: _Worker) -> None:
        while not (self._closed or worker.is_abandoned):
            try:
                one = self._queue.popleft()
            except IndexError:
                break
            self._post(self._execute(one, worker))
        if not worker.is_abandoned:
            self._post(_Report(worker))

    def _execute(self, one: PreparedRun | _Retry, worker: _Worker) -> _Report:
        execution = outcome = problem = None
        try:
            if isinstance(one, _Retry):
                execution, refused = one.execution, None
                execution.worker = worker
                if execution.ended is not None:
                    # It was abandoned while it waited for a thread.
                    return _Report(worker, one.run, execution)
            else:
                execution, refused = self._begin(one, worker), one.refused
            if execution is not None:
                outcome = execution.attempt(one.changed_object) if refused is None else execution.failed(refused)
        except BaseException as error:
            problem = error
        return _Report(worker, one.run, execution, outcome, problem)

    def _post(self, report: _Report) -> None:
        self._reports.append(report)
        if not self._is_posted:
            self._is_posted = True
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._collect)
            except RuntimeError:
                # The loop was closed: the daemon has ended without this receiver.
                logger.debug("a receiver ended after the daemon")
