"""Workers: where receivers run. Tasks on the event loop for `async def` receivers, threads for plain ones.

A worker takes one run after another: a task or a thread for each would cost more than most receivers do. There are as
many as the limit says; while some are busy, another one stands ready, so that a receiver that waits holds nobody up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any

from rowhooks.pipeline.scheduling.tickets import Ticket

logger = logging.getLogger(__name__)

LONGEST_TURN = 0.005
"""Seconds after which a worker whose receivers never wait lets others have the event loop."""
RAMP_UP = 0.001
"""Seconds after which what one thread has not got through goes to more of them."""

NEXT_THREAD = 1.0
"""Seconds after which a thread that could not be started is tried again."""

Ended = Callable[[Ticket, Any, BaseException | None], None]
"""Called on the event loop with what a run returned, or what it raised; not for one that was abandoned."""


class TaskWorkers:
    """Runs tickets in tasks.

    Args:
        limit: how many at once.
        work: returns what runs one to its end when it is awaited, or None.
        ended: see `Ended`.
    """

    def __init__(self, limit: int, work: Callable[[Ticket], Awaitable[Any] | None], ended: Ended) -> None:
        self._limit = limit
        self._work = work
        self._ended = ended
        self._queue: deque[Ticket] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ready = False
        self._closed = False

    @property
    def is_idle(self) -> bool:
        """Whether there is a worker that has nothing to do."""
        return not self._queue and len(self._tasks) < self._limit

    def submit(self, ticket: Ticket, *, first: bool = False) -> None:
        """Take a ticket; it begins when a worker is free, `first` before the others."""
        if first:
            self._queue.appendleft(ticket)
        else:
            self._queue.append(ticket)
        self._wake()

    def abandon(self, ticket: Ticket) -> None:
        """Go on without a ticket that runs: its worker ends when it does."""
        worker, ticket.worker = ticket.worker, None
        if worker is not None:
            self._tasks.discard(worker)
            worker.cancel()
            self._wake()

    def close(self) -> None:
        """Begin nothing more."""
        self._closed = True
        self._queue.clear()

    def _wake(self) -> None:
        if self._queue and not self._is_ready and len(self._tasks) < self._limit and not self._closed:
            self._is_ready = True
            task = asyncio.get_running_loop().create_task(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake()

    async def _serve(self) -> None:
        self._is_ready = False
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        began = loop.time()
        while self._queue and not self._closed:
            ticket = self._queue.popleft()
            ticket.worker = task
            self._wake()
            # Its name says which run holds the event loop up, see Pulse.
            task.set_name(f"run {ticket.run.id} of {ticket.run.job.class_path}")
            value = problem = None
            try:
                running = self._work(ticket)
                if running is not None:
                    value = await running
            except asyncio.CancelledError:
                # By us: what a receiver raises comes back as an outcome.
                raise
            except BaseException as error:
                problem = error
            if ticket.worker is not task:
                if problem is not None:
                    logger.info("an abandoned run ended with %r", problem)
                return
            ticket.worker = None
            self._ended(ticket, value, problem)
            if task.cancelling():
                # The receiver has cancelled its own task, which must not reach the next one.
                return
            if loop.time() - began > LONGEST_TURN:
                await asyncio.sleep(0)
                began = loop.time()


class _Thread:
    """One worker of ThreadWorkers."""

    is_abandoned = False


class ThreadWorkers:
    """Runs tickets in threads.

    Args:
        limit: how many at once.
        threads: where.
        work: runs one to its end, in a thread.
        ended: see `Ended`.
    """

    def __init__(self, limit: int, threads: Executor, work: Callable[[Ticket], Any], ended: Ended) -> None:
        self._limit = limit
        self._threads = threads
        self._work = work
        self._ended = ended
        self._queue: deque[Ticket] = deque()
        self._done: deque[tuple[_Thread, Ticket | None, Any, BaseException | None]] = deque()
        self._is_posted = False
        self._active = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def is_idle(self) -> bool:
        """Whether there is a worker that has nothing to do."""
        return not self._queue and self._active < self._limit

    def submit(self, ticket: Ticket, *, first: bool = False) -> None:
        """Take a ticket; it begins when a worker is free, `first` before the others."""
        if first:
            self._queue.appendleft(ticket)
        else:
            self._queue.append(ticket)
        self._wake()

    def abandon(self, ticket: Ticket) -> None:
        """Go on without a ticket that runs; its thread ends when it does."""
        worker, ticket.worker = ticket.worker, None
        if worker is None:
            # It waits for another attempt.
            with contextlib.suppress(ValueError):
                self._queue.remove(ticket)
        else:
            worker.is_abandoned = True
            self._active -= 1
            self._ramp_up()

    def close(self) -> None:
        """Begin nothing more."""
        self._closed = True
        self._queue.clear()

    def _wake(self) -> None:
        if not self._queue or self._closed:
            return
        self._loop = asyncio.get_running_loop()
        if not self._active:
            self._start()
        elif self._timer is None and self._active < self._limit:
            self._timer = self._loop.call_later(RAMP_UP, self._ramp_up)

    def _ramp_up(self) -> None:
        self._timer = None
        if not self._closed:
            for _ in range(min(self._limit - self._active, len(self._queue))):
                self._start()

    def _start(self) -> None:
        worker = _Thread()
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

    def _serve(self, worker: _Thread) -> None:
        while not (self._closed or worker.is_abandoned):
            try:
                ticket = self._queue.popleft()
            except IndexError:
                break
            ticket.worker = worker
            value = problem = None
            try:
                value = self._work(ticket)
            except BaseException as error:
                problem = error
            self._post(worker, ticket, value, problem)
            if worker.is_abandoned:
                return
        self._post(worker, None, None, None)

    def _post(self, worker: _Thread, ticket: Ticket | None, value: Any, problem: BaseException | None) -> None:
        self._done.append((worker, ticket, value, problem))
        if not self._is_posted:
            self._is_posted = True
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._collect)
            except RuntimeError:
                # The loop was closed: the daemon has ended without this receiver.
                logger.debug("a receiver ended after the daemon")

    def _collect(self) -> None:
        # In this order: what is posted from now on posts anew.
        self._is_posted = False
        while self._done:
            worker, ticket, value, problem = self._done.popleft()
            if ticket is None:
                if not worker.is_abandoned:
                    self._active -= 1
            elif ticket.worker is worker:
                ticket.worker = None
                self._ended(ticket, value, problem)
            elif problem is not None:
                logger.info("an abandoned run ended with %r", problem)
        self._wake()
