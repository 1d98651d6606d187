"""Runner: executes runs, each with its attempts, until there is an outcome or a retry of the job's own."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from rowhooks.domain.errors import ConnectionFailed, Interruption, RunRevoked, SoftTimeLimitExceeded
from rowhooks.domain.events import (
    AttemptEnded,
    AttemptStarted,
    Events,
    InternalErrorOccurred,
    RunExecuted,
    RunRetried,
    RunStarted,
)
from rowhooks.domain.run import RETRY, LogEntry, Outcome, Run, now
from rowhooks.pipeline.execution.attempt import Attempt
from rowhooks.pipeline.execution.driving import Pending, Steps, drive, go_on
from rowhooks.pipeline.execution.interruption import Guard, TaskGuard, ThreadGuard
from rowhooks.pipeline.execution.outcomes import failed, one_line
from rowhooks.pipeline.execution.run_log import RunLog, current_log
from rowhooks.pipeline.ports import Call, CommitGroup, ReceiverCatalog, Workspace, WorkspaceFactory

logger = logging.getLogger(__name__)

TRANSIENT_ATTEMPTS = 10
"""How many attempts a run has whose transaction fails by no fault of its own (deadlock, lost connection ...)."""
TRANSIENT_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Seconds before the second attempt, doubled each time up to the longest, with jitter."""


class Runner:
    """Executes runs.

    Args:
        receivers: the classes that were found.
        workspaces: makes each attempt's session.
        threads: where plain `def` receivers run.
        reload: loads the changed object again before another attempt.
        clean: blanks secrets in what is stored.
        events: where it is published what becomes of each run.
    """

    def __init__(
        self,
        receivers: ReceiverCatalog,
        workspaces: WorkspaceFactory,
        threads: Executor,
        reload: Callable[[Run], Awaitable[Any]],
        clean: Callable[[str], str] = str,
        events: Events | None = None,
    ) -> None:
        self.receivers = receivers
        self.workspaces = workspaces
        self.threads = threads
        self.reload = reload
        self.clean = clean
        self.events = events or Events()

    def prepare(self, run: Run, user: str) -> Execution:
        """Return a run that can be executed, and be ended from outside while it is."""
        if RunStarted in self.events.wanted:
            self.events.publish(RunStarted(run))
        return Execution(self, run, user)

    def broken(self, run: Run, execution: Execution | None, problem: BaseException) -> Outcome:
        """Return the outcome of a run that an error of rowhooks' own has ended.

        It must not take the daemon down, and come again at each start.
        """
        logger.error("the run ended by an error of rowhooks", exc_info=problem, extra=run.log_fields())
        self.events.publish(InternalErrorOccurred())
        return failed(run, now(), problem, clean=self.clean) if execution is None else execution.failed(problem)


class Execution:
    """One run, from its start to its outcome or to a retry of the job's own.

    Args:
        runner: makes it.
        run: what is executed.
        user: the user that it is for.
    """

    # What hardly any run changes is the class' own, which costs each run nothing.
    alive = False
    """Whether its receiver's code runs."""
    ended: BaseException | None = None
    """What has ended it from outside."""
    pause = 0.0
    """Seconds before the next attempt."""
    worker: Any = None
    """What executes it at the moment: its pool's business."""
    _workspace: Workspace | None = None
    _group: CommitGroup | None = None
    _was_interrupted = False
    # How many attempts were begun; and how many there have been with a connection, of TRANSIENT_ATTEMPTS.
    _number, _counted = 0, 1
    _error: BaseException | None = None

    def __init__(self, runner: Runner, run: Run, user: str) -> None:
        self._runner = runner
        self.run = run
        self._user = user
        path = run.job.class_path
        self._asynchronous = runner.receivers.is_asynchronous(path)
        self.options = runner.receivers.options(path)
        self.guard: Guard = TaskGuard() if self._asynchronous else ThreadGuard()
        self._events = runner.events
        self.log = RunLog(runner.clean, run.log_fields)
        if run.undecided is not None:
            for entry in run.notes():
                self.log.add(entry)
        self.started_at = now()
        # Time limits need a clock that is never set.
        self.began = time.monotonic()

    async def result(self, changed_object: Any) -> Outcome:
        """Run the receiver to its end; whatever it raises is an outcome, not an error.

        Args:
            changed_object: the row.
        """
        if self._asynchronous:
            begun = self.begin(changed_object, asyncio.current_task())
            return begun if isinstance(begun, Outcome) else await begun
        loop = asyncio.get_running_loop()
        while True:
            outcome = await loop.run_in_executor(self._runner.threads, self.attempt, changed_object)
            again = await self.wait() if outcome is None else outcome
            if isinstance(again, Outcome):
                return again
            changed_object = again

    def begin(self, changed_object: Any, task: asyncio.Task[Any] | None) -> Outcome | Coroutine[Any, Any, Outcome]:
        """Run an asynchronous receiver up to where it first waits; whatever it raises is an outcome, not an error.

        Args:
            changed_object: the row.
            task: the running one.

        Returns:
            Its outcome; where it waits, what is to be awaited for that in the same task.
        """
        if isinstance(self.guard, TaskGuard):
            self.guard.task = task
        driven = self._begin_attempt(changed_object)
        return driven if isinstance(driven, Outcome) else self._go_on(driven)

    def _begin_attempt(self, changed_object: Any) -> Outcome | Pending | None:
        try:
            driven = drive(self._next_attempt(changed_object), self.guard)
        except BaseException as error:
            self._end_attempt(None, error)
            raise
        if not isinstance(driven, Pending):
            self._end_attempt(driven)
        return driven

    async def _go_on(self, driven: Outcome | Pending | None) -> Outcome:
        while True:
            if isinstance(driven, Pending):
                try:
                    driven = await go_on(driven)
                except BaseException as error:
                    self._end_attempt(None, error)
                    raise
                self._end_attempt(driven)
            if driven is not None:
                return driven
            again = await self.wait()
            if isinstance(again, Outcome):
                return again
            driven = self._begin_attempt(again)

    def attempt(self, changed_object: Any, group: CommitGroup | None = None) -> Outcome | None:
        """Run a plain receiver once in this thread; None where another attempt follows, after `wait`."""
        self._group = group
        try:
            outcome = drive(self._next_attempt(changed_object), self.guard)
            assert not isinstance(outcome, Pending), "nothing is awaited in a thread"
        except BaseException as error:
            self._end_attempt(None, error)
            raise
        finally:
            current_log.set(None)
        self._end_attempt(outcome)
        return outcome

    @property
    def has_joined(self) -> bool:
        """Whether what its receiver wrote waits for the COMMIT of its group, with its outcome."""
        return self._group is not None and getattr(self._workspace, "has_joined", False)

    def committed(self, outcome: Outcome) -> Outcome:
        """Return the outcome of a run whose group was committed with it."""
        self._group = self._workspace = None
        outcome = replace(outcome, recorded=True, entries=())
        self._publish_executed(outcome)
        return outcome

    def undone(self, outcome: Outcome, reason: str) -> None:
        """Note that its group was not committed: another attempt follows, alone, and its time begins anew."""
        self._group = self._workspace = self._error = None
        self.log.put_back(outcome.entries)
        self._note_alone(reason)
        self.began = time.monotonic()

    def repeats_alone(self, error: BaseException) -> bool:
        """Say whether another attempt follows, alone: the error may come of sharing the transaction."""
        group = self._group
        if group is None or self.ended is not None or self._was_interrupted or not group.is_reason(error):
            return False
        self._note_alone(self.line(error))
        return True

    def _note_alone(self, reason: str) -> None:
        self.pause = 0.0
        self.log.note("info", f"executed again in a transaction of its own, and not in a shared one: {reason}")

    async def wait(self) -> Any:
        """Wait before another attempt; return the row as it is then, or an outcome where that cannot be had."""
        try:
            await asyncio.sleep(self.pause)
            return await self._runner.reload(self.run)
        except (ConnectionFailed, asyncio.CancelledError) as error:
            self._publish_executed(None, error)
            raise
        except Exception as error:
            return self.failed(error)

    def take_lines(self) -> tuple[LogEntry, ...]:
        """Return what the receiver has logged since the last call."""
        return self.log.take()

    def interrupt(self) -> None:
        """Raise SoftTimeLimitExceeded inside the receiver."""
        self._was_interrupted = True
        self.guard.interrupt(SoftTimeLimitExceeded)
        if self._workspace is not None:
            # A plain receiver that waits for the server hears of it only when the server answers.
            self._attempt_to("cancel its statement", self._workspace.cancel)

    def abandon(self, error: Interruption) -> Outcome:
        """End the run from outside: nothing of its transaction remains, whatever its code still does."""
        self.ended = error
        self.guard.close(type(error))
        if self._workspace is not None:
            self._attempt_to("end its connection", self._workspace.abort)
        return self.failed(error)

    def _attempt_to(self, what: str, work: Callable[[], None]) -> None:
        """Do something to a run from outside; what it raises must not reach what watches all runs."""
        try:
            work()
        except Exception:
            logger.exception("the run is to end, and it was not possible to %s", what, extra=self.run.log_fields())

    def failed(self, error: BaseException) -> Outcome:
        """End the run before its receiver is called, or between its attempts; return the outcome of the failure."""
        outcome = self.failure(error)
        if error is self.ended and isinstance(error, RunRevoked):
            outcome = outcome.as_revoked()
        self._publish_executed(outcome, error)
        return outcome

    # For its attempts.

    def failure(self, error: BaseException) -> Outcome:
        """Return the outcome of a failure, with the lines logged so far."""
        self._error = error
        return failed(
            self.run, self.started_at, error,
            entries=self.log.take(), clean=self._runner.clean, sensitive=self.options.has_sensitive_variables,
        )  # fmt: skip

    def line(self, error: BaseException) -> str:
        """Return an error in a line, without its message where that is to be kept out."""
        name = type(error).__name__
        return name if self.options.has_sensitive_variables else f"{name}: {one_line(error)}"

    def prepare(self, workspace: Workspace, changed_object: Any) -> Call:
        """Make a fresh receiver."""
        return self._runner.receivers.prepare(self.run, self._user, workspace, changed_object, self.log)

    def retries_soon(self, error: BaseException, *, is_last: bool) -> bool:
        """Say whether there is a transient retry after an error, and note it."""
        workspaces = self._runner.workspaces
        if self.ended is None and workspaces.is_unreachable(error):
            # It waits for its turn, as it would in the pool; its time limit ends that too.
            logger.warning("the run waits for a connection: %s", self.line(error), extra=self.run.log_fields())
        elif self.repeats_alone(error):
            return True
        elif not is_last and workspaces.is_transient(error):
            self._counted += 1
            logger.warning(
                "the run is retried (%d of %d): %s", self._counted, TRANSIENT_ATTEMPTS, self.line(error),
                extra=self.run.log_fields(),
            )  # fmt: skip
        else:
            return False
        # Bounded: a run without a connection is retried for as long as that takes, and 2.0 ** 1024 overflows.
        longest = min(LONGEST_PAUSE, TRANSIENT_PAUSE * 2.0 ** min(self._number - 1, 64))
        self.pause = longest * random.uniform(0.5, 1.5)
        if self.ended is None and RunRetried in self._events.wanted:
            self._events.publish(RunRetried(self.run, error, self.pause, is_transient=True))
        return True

    def _next_attempt(self, changed_object: Any) -> Steps:
        self._number += 1
        self.alive = True
        if AttemptStarted in self._events.wanted:
            self.guard.beside(lambda: self._events.publish(AttemptStarted(self.run, self._number)))
        workspaces = self._runner.workspaces
        if self._group is None:
            self._workspace = workspaces.open(self.run, self._user, asynchronous=self._asynchronous)
        else:
            self._workspace = self._group.open(self.run, self._user)
        is_last = self._counted == TRANSIENT_ATTEMPTS or self.ended is not None
        return Attempt(self, self._workspace, is_last=is_last).steps(changed_object)

    def _end_attempt(self, outcome: Outcome | None, error: BaseException | None = None) -> None:
        self.alive = False
        if AttemptEnded in self._events.wanted:
            self.guard.beside(lambda: self._events.publish(AttemptEnded(self.run)))
        if (outcome is not None or error is not None) and (self._group is None or not self.has_joined):
            self._publish_executed(outcome, error)

    def _publish_executed(self, outcome: Outcome | None, error: BaseException | None = None) -> None:
        # Not longer than it is needed: its traceback holds this run, and all that the receiver has had in its hands.
        raised, self._error = self._error, None
        if not (RunExecuted in self._events.wanted or RunRetried in self._events.wanted):
            return
        # One thread alone is the first: an abandoned receiver may end meanwhile. No lock, since all runs come through
        # here, in their threads.
        if self.__dict__.setdefault("_first_ended", me := object()) is not me:
            return
        if error is None and outcome is not None and outcome.exception_type is not None:
            error = raised
        if outcome is not None and outcome.status == RETRY and error is not None:
            self._events.publish(RunRetried(self.run, error, self.pause, is_transient=False))
        if RunExecuted in self._events.wanted:
            self._events.publish(RunExecuted(self.run, outcome, error))
