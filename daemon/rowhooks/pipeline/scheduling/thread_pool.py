"""The pool of threads: executes plain `def` receivers.

A worker takes one run after another: handing each one over to a thread would cost more than most receivers do.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from typing import Any, NamedTuple

from rowhooks.domain.run import Outcome, Run
from rowhooks.pipeline.execution.runner import Execution, Runner
from rowhooks.pipeline.ports import CommitGroup
from rowhooks.pipeline.scheduling.group_queue import PACE, GroupQueue, kind_of
from rowhooks.pipeline.scheduling.grouping import Grouping, Member, committed
from rowhooks.pipeline.scheduling.pools import THREADS, LocalPool, PreparedRun

logger = logging.getLogger(__name__)

RAMP_UP = 0.001
"""Seconds after which what one thread has not got through goes to more of them."""
NEXT_THREAD = 1.0
"""Seconds between attempts to start a thread where the system has none to spare."""


class _Worker:
    """One thread of the pool."""

    is_abandoned = False
    grouping: Grouping | None = None
    """The runs that share the transaction in which it executes one."""


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

    @property
    def has_joined(self) -> bool:
        """Whether what the run wrote waits for the COMMIT of its group."""
        return self.outcome is not None and self.execution is not None and self.execution.has_joined


class ThreadPool(LocalPool[_Retry]):
    """Executes runs in threads.

    Args:
        limit: how many at the same time.
        runner: executes one.
        threads: has more threads than that, in case some of them hang for good.
        groups: makes the transactions that runs share; None: each has its own.
    """

    def __init__(
        self, limit: int, runner: Runner, threads: Executor, groups: Callable[[], CommitGroup] | None = None
    ) -> None:
        super().__init__(THREADS, limit, runner)
        self._threads = threads
        self._groups = groups
        # Those that may share a transaction. The others are in the pool's own queue: so many have come.
        self._grouped = GroupQueue()
        self._others = 0
        self._reports: deque[_Report] = deque()
        self._is_posted = False
        self._active = 0
        self._timer: asyncio.TimerHandle | None = None
        self._pace: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pauses: set[asyncio.Task[None]] = set()

    # On the event loop.

    def accept(self, group: Collection[PreparedRun]) -> None:
        """Take runs; each begins when a thread is free, those that share transactions in few of them."""
        if self._groups is None:
            super().accept(group)
            return
        others = []
        for one in group:
            if one.group_commit == 1 or one.refused is not None:
                others.append(one)
            else:
                self._grouped.put(one, self._others + len(others))
        super().accept(others)
        self._others += len(others)

    def _wake(self) -> None:
        if self._closed or not (self._queue or self._grouped):
            return
        self._loop = asyncio.get_running_loop()
        if self._grouped and self._pace is None:
            self._grouped.watch()
            self._pace = self._loop.call_later(PACE, self._adapt)
        # A group comes at once, and its first receiver may wait for long.
        wanted = self._wanted()
        if wanted and not self._active:
            self._start()
            wanted -= 1
        if wanted and self._timer is None and self._active < self.limit:
            self._timer = self._loop.call_later(RAMP_UP, self._ramp_up)

    def _wanted(self) -> int:
        """Return for how many more threads there is something to do."""
        return len(self._queue) + self._grouped.free

    def _ramp_up(self) -> None:
        self._timer = None
        if not self._closed:
            for _ in range(min(self.limit - self._active, self._wanted())):
                self._start()

    def _adapt(self) -> None:
        assert self._loop is not None
        self._grouped.adapt()
        self._pace = self._loop.call_later(PACE, self._adapt) if self._grouped else None
        if self._grouped.free and self._timer is None:
            self._ramp_up()

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
            self._grouped.leave(worker)
            # The thread may end it meanwhile.
            if (grouping := worker.grouping) is not None:
                # Their transaction has ended with the connection of the run that was abandoned.
                for member in grouping.take():
                    self._undone(member, "another run of the transaction was ended")
            self._ramp_up()

    def _cancel(self, late: Sequence[Execution]) -> set[asyncio.Task[None]]:
        self._grouped.clear()
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
            elif self.joined.pop(run.id, None) is execution:
                self._end_joined(execution, outcome, problem)
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

    def _end_joined(self, execution: Execution, outcome: Outcome | None, problem: BaseException | None) -> None:
        """Take what became of a run with its group."""
        if outcome is None and problem is None:
            # It goes on, and what watches runs sees it again.
            self.running[execution.run.id] = execution
            self._retry_later(execution)
        else:
            self._ended(execution.run, execution, outcome, problem)

    def _undone(self, member: Member, reason: str) -> None:
        """Have a run executed again, whose group was not committed."""
        member.execution.undone(member.outcome, reason)
        del self.joined[member.execution.run.id]
        self._end_joined(member.execution, None, None)

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
            grouped = self._enter(worker) if self._grouped else None
            if grouped is not None:
                self._serve_group(grouped, worker)
                continue
            try:
                one = self._queue.popleft()
            except IndexError:
                break
            self._post(self._execute(one, worker))
        if not worker.is_abandoned:
            self._post(_Report(worker))

    def _enter(self, worker: _Worker) -> PreparedRun | None:
        """Return a run that is to begin a group; None where what is at the head of the other queue came before it."""
        return self._grouped.enter(worker) if self._grouped.is_next(self._others - len(self._queue)) else None

    def _serve_group(self, one: PreparedRun, worker: _Worker) -> None:
        try:
            # One that no other follows now is executed as ever.
            if self._grouped.is_followed(kind_of(one)):
                self._share(one, worker)
                return
        finally:
            self._grouped.leave(worker)
        self._post(self._execute(one, worker))

    def _share(self, one: PreparedRun, worker: _Worker) -> None:
        """Execute runs that share a transaction: as many as are in the queue one behind another."""
        assert self._groups is not None
        transaction = self._groups()
        grouping = worker.grouping = Grouping(transaction, one.group_commit, kind_of(one))
        following: PreparedRun | None = one
        try:
            while following is not None:
                report = self._execute(following, worker, transaction)
                if not report.has_joined:
                    self._post(report)
                elif not self._join(report, grouping):
                    # What it wrote cannot be told from what the others wrote: none of it is committed.
                    transaction.close()
                    break
                following = self._next_of(grouping, worker)
            members = grouping.take()
            if members:
                self._commit(transaction, members, worker)
        finally:
            worker.grouping = None
            transaction.close()

    def _next_of(self, grouping: Grouping, worker: _Worker) -> PreparedRun | None:
        takes_more = grouping.takes_more and not (self._closed or worker.is_abandoned)
        found = self._grouped.next_of(grouping) if takes_more else None
        self._grouped.moved(worker, goes_on=found is not None)
        return found

    def _join(self, report: _Report, grouping: Grouping) -> bool:
        """Have a run wait for the COMMIT: its time limits and a revocation do not reach it any more."""
        execution, outcome = report.execution, report.outcome
        assert execution is not None
        assert outcome is not None
        self.joined[execution.run.id] = execution
        if self.running.pop(execution.run.id, None) is not execution:
            # It was abandoned, a moment ago.
            del self.joined[execution.run.id]
            self._post(report)
            return False
        execution.worker = None
        if grouping.add(Member(execution, outcome)):
            return True
        execution.undone(outcome, "another run of the transaction was ended")
        self._post(report._replace(outcome=None))
        return False

    def _commit(self, transaction: CommitGroup, members: Sequence[Member], worker: _Worker) -> None:
        reason, problem = committed(transaction, members)
        for execution, outcome in members:
            final = None
            if reason is not None:
                execution.undone(outcome, reason)
            elif problem is None:
                final = execution.committed(outcome)
            self._post(_Report(worker, execution.run, execution, final, problem))

    def _execute(self, one: PreparedRun | _Retry, worker: _Worker, group: CommitGroup | None = None) -> _Report:
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
                outcome = execution.attempt(one.changed_object, group) if refused is None else execution.failed(refused)
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
