"""The pool on the event loop: executes `async def` receivers in tasks of asyncio.

A worker takes one run after another: a task for each would cost more than most receivers do. There are as many as the
limit says; while some are busy, another one stands ready, so that a receiver that waits holds nothing up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from rowhooks.domain.run import Outcome
from rowhooks.pipeline.execution.runner import Execution, Runner
from rowhooks.pipeline.scheduling.pools import LOOP, LocalPool, PreparedRun

logger = logging.getLogger(__name__)

LONGEST_TURN = 0.005
"""Seconds after which a worker whose receivers never wait lets others have the event loop."""


class LoopPool(LocalPool[PreparedRun]):
    """Executes runs on the event loop.

    Args:
        limit: how many at the same time.
        runner: executes one.
    """

    def __init__(self, limit: int, runner: Runner) -> None:
        super().__init__(LOOP, limit, runner)
        self._workers: set[asyncio.Task[None]] = set()
        # Those of runs that were abandoned, as long as they have not ended: asyncio alone does not keep them alive.
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_ready = False

    def _wake(self) -> None:
        if self._queue and not self._is_ready and len(self._workers) < self.limit and not self._closed:
            self._is_ready = True
            worker = asyncio.get_running_loop().create_task(self._serve())
            self._workers.add(worker)
            worker.add_done_callback(self._gone)

    def _gone(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        self._wake()

    def _let_go(self, execution: Execution) -> None:
        worker, execution.worker = execution.worker, None
        self._workers.discard(worker)
        self._leaving.add(worker)
        worker.add_done_callback(self._leaving.discard)
        worker.cancel()
        self._wake()

    def _cancel(self, late: Sequence[Execution]) -> set[asyncio.Task[None]]:
        workers = {execution.worker for execution in late}
        for worker in workers:
            worker.cancel()
        return workers | self._leaving

    async def _serve(self) -> None:
        self._is_ready = False
        loop = asyncio.get_running_loop()
        worker = asyncio.current_task()
        assert worker is not None
        began = loop.time()
        while self._queue and not self._closed:
            prepared = self._queue.popleft()
            run = prepared.run
            self._wake()
            # Its name says which run blocks the event loop, see LoopMonitor.
            worker.set_name(f"run {run.id} of {run.job.class_path}")
            execution = outcome = problem = None
            try:
                execution = self._begin(prepared, worker)
                if execution is not None and prepared.refused is not None:
                    outcome = execution.failed(prepared.refused)
                elif execution is not None:
                    begun = execution.begin(prepared.changed_object, worker)
                    outcome = begun if isinstance(begun, Outcome) else await begun
            except asyncio.CancelledError:
                # By us: what a receiver raises comes back as an outcome.
                raise
            except BaseException as error:
                problem = error
            if execution is not None and execution.worker is not worker:
                if problem is not None:
                    logger.info("an abandoned run ended with %r", problem)
                return
            self._ended(run, execution, outcome, problem)
            if worker.cancelling():
                # The receiver has cancelled its own task, which must not reach the next one.
                return
            if loop.time() - began > LONGEST_TURN:
                await asyncio.sleep(0)
                began = loop.time()
