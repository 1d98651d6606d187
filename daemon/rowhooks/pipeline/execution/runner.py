"""Runner: opens the receiver's transaction, calls the receiver and its life cycle, and makes the outcome.

What happens in an attempt is written once, as a generator of things to do (psycopg's way); one driver does them on the
event loop for `async def` receivers, the other in a thread for plain ones. The receiver's own code is marked, so that
it alone can be interrupted.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Executor
from dataclasses import replace
from datetime import timedelta
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from rowhooks.domain.errors import ConnectionFailed, LeadershipLost, ReceiverError, SoftTimeLimitExceeded
from rowhooks.domain.events import (
    AttemptEnded,
    AttemptStarted,
    Events,
    RunExecuted,
    RunRetried,
    RunStarted,
)
from rowhooks.domain.run import FAILURE, RETRY, REVOKED, SUCCESS, Outcome, Run, now
from rowhooks.pipeline.execution.interruption import Guard, TaskGuard, ThreadGuard, is_awaitable
from rowhooks.pipeline.execution.outcomes import failed, one_line, succeeded
from rowhooks.pipeline.execution.run_log import RunLog
from rowhooks.pipeline.ports import AlreadyRecorded, Call, ReceiverCatalog, Workspace, WorkspaceFactory

logger = logging.getLogger(__name__)

TRANSIENT_ATTEMPTS = 10
"""How often a run is tried whose transaction fails by no fault of its own (deadlock, lost connection ...)."""
TRANSIENT_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Seconds before the second try, doubled each time up to the longest, with jitter."""

_executed_once = threading.Lock()
"""Held while it is decided who publishes RunExecuted: an abandoned receiver may end in its thread meanwhile."""


class UserCode:
    """A thing to do in the receiver's own code, where it may be interrupted."""

    __slots__ = ("work",)

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work


Steps = Generator[UserCode | Callable[[], Any], Any, Outcome | None]


class Runner:
    """Executes runs.

    Args:
        receivers: the classes that were found.
        workspaces: makes each attempt's session.
        threads: where plain `def` receivers run.
        reload: loads the changed object again before another attempt.
        clean: blanks secrets in what is stored.
        execution: makes each run's execution, where it is not to be a plain `Execution`.
        events: where it is published what becomes of each run.
    """

    def __init__(
        self,
        receivers: ReceiverCatalog,
        workspaces: WorkspaceFactory,
        threads: Executor,
        reload: Callable[[Run], Awaitable[Any]],
        clean: Callable[[str], str] = str,
        execution: ExecutionFactory | None = None,
        events: Events | None = None,
    ) -> None:
        self.receivers = receivers
        self.workspaces = workspaces
        self.threads = threads
        self.reload = reload
        self.clean = clean
        self._execution = execution or Execution
        self.events = events or Events()

    def prepare(self, run: Run, user: str) -> Execution:
        """Return a run that can be executed, and be ended from outside while it is."""
        if self.events.wants(RunStarted):
            self.events.publish(RunStarted(run))
        return self._execution(self, run, user)


class Execution:
    """One run, from its start to its outcome or to its retry."""

    def __init__(self, runner: Runner, run: Run, user: str) -> None:
        self._runner = runner
        self._run = run
        self._user = user
        path = run.job.class_path
        self._asynchronous = runner.receivers.is_asynchronous(path)
        self._options = runner.receivers.options(path)
        self._guard: Guard = TaskGuard() if self._asynchronous else ThreadGuard()
        self._workspace: Workspace | None = None
        self._ended: BaseException | None = None
        self._attempts = 1
        self._tries = 0
        self._pause = 0.0
        self._events = runner.events
        self._error: BaseException | None = None
        self._is_executed = False
        self.log = RunLog(runner.clean)
        for entry in run.notes():
            self.log.add(entry)
        self.started_at = now()
        # Limits are kept by a clock that nobody sets.
        self.began = time.monotonic()
        self.alive = False

    async def result(self, changed_object: Any, task: asyncio.Task[Any] | None = None) -> Outcome:
        """Run the receiver to its end; whatever it raises is an outcome, not an error.

        Args:
            changed_object: the row.
            task: the running one, where the caller knows it.
        """
        if isinstance(self._guard, TaskGuard):
            self._guard.task = task or asyncio.current_task()
        while True:
            if self._asynchronous:
                outcome = await self._attempt_on_the_loop(changed_object)
            else:
                loop = asyncio.get_running_loop()
                outcome = await loop.run_in_executor(self._runner.threads, self.attempt, changed_object)
            if outcome is not None:
                return outcome
            again = await self.pause()
            if isinstance(again, Outcome):
                return again
            changed_object = again

    def attempt(self, changed_object: Any) -> Outcome | None:
        """Run a plain receiver once in this thread; None where it is to be tried again, after `pause`."""
        try:
            outcome = drive(self._next_attempt(changed_object), self._guard)
        except BaseException as error:
            self._end_attempt(None, error)
            raise
        self._end_attempt(outcome)
        return outcome

    async def _attempt_on_the_loop(self, changed_object: Any) -> Outcome | None:
        try:
            outcome = await drive_asynchronously(self._next_attempt(changed_object), self._guard)
        except BaseException as error:
            self._end_attempt(None, error)
            raise
        self._end_attempt(outcome)
        return outcome

    async def pause(self) -> Any:
        """Wait before another attempt; return the row as it is then, or an outcome where that cannot be had."""
        try:
            await asyncio.sleep(self._pause)
            return await self._runner.reload(self._run)
        except (ConnectionFailed, asyncio.CancelledError) as error:
            self._publish_executed(None, error)
            raise
        except Exception as error:
            return self.failed(error)

    def interrupt(self) -> None:
        """Raise SoftTimeLimitExceeded inside the receiver."""
        self._guard.interrupt(SoftTimeLimitExceeded)
        if self._workspace is not None:
            # A plain receiver that waits for the server hears of it only when the server answers.
            self._attempt_to("cancel its statement", self._workspace.cancel)

    def abandon(self, error: BaseException) -> Outcome:
        """End the run from outside: nothing of its transaction remains, whatever its code still does."""
        self._ended = error
        self._guard.close(type(error))
        if self._workspace is not None:
            self._attempt_to("end its connection", self._workspace.abort)
        return self.failed(error)

    def _attempt_to(self, what: str, work: Callable[[], None]) -> None:
        """Do something to a run from outside; what it raises must not reach whoever looks after all runs."""
        try:
            work()
        except Exception:
            logger.exception("the run is to end, and it was not possible to %s", what, extra=self._run.log_fields())

    def failed(self, error: BaseException) -> Outcome:
        """End the run before its receiver is called, or between its attempts; return the outcome of the failure."""
        outcome = self._failed(error)
        self._publish_executed(outcome)
        return outcome

    def _failed(self, error: BaseException) -> Outcome:
        """Return the outcome of a failure, with the lines logged so far."""
        self._error = error
        return failed(
            self._run, self.started_at, error,
            entries=self.log.take(), clean=self._runner.clean, sensitive=self._options.has_sensitive_variables,
        )  # fmt: skip

    def _next_attempt(self, changed_object: Any) -> Steps:
        self._tries += 1
        self.alive = True
        if self._events.wants(AttemptStarted):
            self._guard.beside(lambda: self._events.publish(AttemptStarted(self._run, self._tries)))
        return self._steps(changed_object, last=self._attempts == TRANSIENT_ATTEMPTS or self._ended is not None)

    def _end_attempt(self, outcome: Outcome | None, error: BaseException | None = None) -> None:
        self.alive = False
        if self._events.wants(AttemptEnded):
            self._guard.beside(lambda: self._events.publish(AttemptEnded(self._run)))
        if outcome is not None or error is not None:
            self._publish_executed(outcome, error)

    def _publish_executed(self, outcome: Outcome | None, error: BaseException | None = None) -> None:
        if not (self._events.wants(RunExecuted) or self._events.wants(RunRetried)):
            return
        with _executed_once:
            if self._is_executed:
                return
            self._is_executed = True
        if outcome is not None and outcome.exception_type is not None:
            error = self._error
        if outcome is not None and outcome.status == RETRY and error is not None:
            self._events.publish(RunRetried(self._run, error, self._pause, is_transient=False))
        self._events.publish(RunExecuted(self._run, outcome, error))

    def _steps(self, changed_object: Any, *, last: bool) -> Steps:
        """Yield what is to be done; return the outcome, None for another attempt at once."""
        run = self._run
        workspace = self._runner.workspaces.open(run, self._user, asynchronous=self._asynchronous)
        self._workspace = workspace
        call: Call | None = None
        done: set[str] = set()
        try:
            workspace.attach(changed_object)
            call = self._prepared(run, workspace, changed_object)
            value = None
            if call.defines:
                yield from _life_cycle(call, done, "before_start")
            if call.failure is None:
                value = yield UserCode(call.run)
                _check_awaited(workspace)
            if call.defines:
                if call.failure is None:
                    yield from _life_cycle(call, done, "on_success", value)
                if call.failure is not None:
                    yield from _life_cycle(call, done, "on_failure", call.failure)
                status = SUCCESS if call.failure is None else FAILURE
                yield from _life_cycle(call, done, "after_return", status, value, call.failure)
            _check_awaited(workspace)
            outcome = self._failed(call.failure) if call.failure is not None else self._succeeded(value)
            if not workspace.used:
                return outcome
            return (yield from self._committed(workspace, outcome))
        except (asyncio.CancelledError, GeneratorExit):
            yield from self._roll_back(workspace)
            raise
        except AlreadyRecorded:
            logger.info("the run is on record already; what it wrote now was rolled back", extra=run.log_fields())
            return Outcome(run, REVOKED, self.started_at, now(), recorded=True)
        except LeadershipLost:
            yield from self._roll_back(workspace)
            raise
        except BaseException as error:  # a receiver's SystemExit ends its own run and no other
            yield from self._roll_back(workspace)
            if self._ended is None and self._runner.workspaces.is_unreachable(error):
                # It waits for its turn, as it would in the pool; its time limit ends that too.
                logger.warning("the run waits for a connection: %s", self._line(error), extra=run.log_fields())
                self._retry_soon(error)
                return None
            if not last and self._runner.workspaces.is_transient(error):
                self._attempts += 1
                logger.warning(
                    "the run is tried again (%d of %d): %s", self._attempts, TRANSIENT_ATTEMPTS, self._line(error),
                    extra=run.log_fields(),
                )  # fmt: skip
                self._retry_soon(error)
                return None
            return (yield from self._unsuccessful(workspace, call, done, error))
        finally:
            workspace.close()

    def _retry_soon(self, error: BaseException) -> None:
        # Bounded: a run without a connection is tried for as long as that takes, and 2.0 ** 1024 overflows.
        longest = min(LONGEST_PAUSE, TRANSIENT_PAUSE * 2.0 ** min(self._tries - 1, 64))
        self._pause = longest * random.uniform(0.5, 1.5)
        if self._ended is None and self._events.wants(RunRetried):
            self._events.publish(RunRetried(self._run, error, self._pause, is_transient=True))

    def _prepared(self, run: Run, workspace: Workspace, changed_object: Any) -> Call:
        try:
            # The receiver's own constructor runs in it.
            call: Call = self._guard.call(
                lambda: self._runner.receivers.prepare(run, self._user, workspace, changed_object, self.log)
            )
        except (asyncio.CancelledError, GeneratorExit) as error:
            raise _own(error) from error
        return call

    def _unsuccessful(self, workspace: Workspace, call: Call | None, done: set[str], error: BaseException) -> Steps:
        retries = self._options.retries(error, self._run.retries) and self._ended is None
        if retries:
            rest: list[tuple[str, tuple[Any, ...]]] = [("on_retry", (error,))]
        else:
            rest = [("on_failure", (error,)), ("after_return", (FAILURE, error, error))]
        for name, arguments in rest:
            if call is None or name in done or self._ended is not None:
                continue
            try:
                # In a transaction of its own, which is committed with the result.
                yield from _life_cycle(call, done, name, *arguments)
                _check_awaited(workspace)
            except (asyncio.CancelledError, GeneratorExit):
                yield from self._roll_back(workspace)
                raise
            except BaseException as problem:
                yield from self._roll_back(workspace)
                self.log.note("error", f"{name} raised {self._line(problem)}")
        outcome = self._retried(error) if retries else self._failed(error)
        try:
            return (yield from self._committed(workspace, outcome))
        except AlreadyRecorded:
            return replace(outcome, recorded=True)
        except (asyncio.CancelledError, GeneratorExit, LeadershipLost):
            yield from self._roll_back(workspace)
            raise
        except BaseException as problem:
            yield from self._roll_back(workspace)
            self.log.note("error", f"what was written after the failure was rolled back: {self._line(problem)}")
            return replace(outcome, entries=self.log.take())

    def _line(self, error: BaseException) -> str:
        name = type(error).__name__
        return name if self._options.has_sensitive_variables else f"{name}: {one_line(error)}"

    def _retried(self, error: BaseException) -> Outcome:
        self._pause = pause = self._options.pause(self._run.retries, random.uniform)
        self.log.note("warning", f"attempt {self._run.attempt} raised {self._line(error)}; the next in {pause:.1f} s")
        return replace(self._failed(error), status=RETRY, finished_at=None, retry_at=now() + timedelta(seconds=pause))

    def _succeeded(self, value: Any) -> Outcome:
        sensitive = self._options.has_sensitive_variables
        return succeeded(self._run, self.started_at, None if sensitive else value, entries=self.log.take())

    def _committed(self, workspace: Workspace, outcome: Outcome) -> Generator[Callable[[], Any], Any, Outcome]:
        if not workspace.used:
            return outcome
        try:
            yield lambda: workspace.commit(outcome)
        except BaseException:
            self.log.put_back(outcome.entries)
            raise
        return replace(outcome, recorded=True, entries=())

    def _roll_back(self, workspace: Workspace) -> Generator[Callable[[], Any], Any, None]:
        # What was called before the exception is not what is missing.
        workspace.unawaited()
        if not workspace.used:
            return
        try:
            yield workspace.rollback
        except Exception as error:  # its transaction ends with its connection; what the receiver raised is what counts
            logger.warning("the run could not be rolled back: %s", self._line(error), extra=self._run.log_fields())


def _check_awaited(workspace: Workspace) -> None:
    unawaited = workspace.unawaited()
    if unawaited is not None:
        raise ReceiverError(unawaited, hint="await it before the receiver returns")


ExecutionFactory = Callable[[Runner, Run, str], Execution]


def _life_cycle(call: Call, done: set[str], name: str, *arguments: Any) -> Generator[UserCode, Any, None]:
    done.add(name)
    if name in call.defines:
        yield UserCode(lambda: getattr(call, name)(*arguments))


def drive(steps: Steps, guard: Guard) -> Outcome | None:
    """Do the steps of one attempt in this thread."""
    try:
        step = next(steps)
        while True:
            try:
                answer = guard.call(step.work) if isinstance(step, UserCode) else step()
                if type(answer) is CoroutineType:
                    answer.close()
                    raise TypeError("a plain receiver returned a coroutine; declare its method with `async def`")
                _check_has_run(answer)
            except BaseException as error:
                step = steps.throw(_own(error))
            else:
                step = steps.send(answer)
    except StopIteration as end:
        outcome: Outcome | None = end.value
        return outcome


async def drive_asynchronously(steps: Steps, guard: Guard) -> Outcome | None:
    """Do the steps of one attempt on the event loop."""
    try:
        step = next(steps)
        while True:
            try:
                answer = guard.call(step.work) if isinstance(step, UserCode) else step()
                if is_awaitable(answer):
                    answer = await answer
                _check_has_run(answer)
            except BaseException as error:
                task = asyncio.current_task()
                cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
                step = steps.throw(error if cancelled else _own(error))
            else:
                step = steps.send(answer)
    except StopIteration as end:
        outcome: Outcome | None = end.value
        return outcome


def _check_has_run(answer: Any) -> None:
    """Raise TypeError where what a receiver returned is code that has not run, and never will."""
    if isinstance(answer, CoroutineType):
        answer.close()
        raise TypeError("the receiver returned a coroutine that was not awaited: none of its code has run")
    if isinstance(answer, GeneratorType | AsyncGeneratorType):
        raise TypeError("the receiver returned a generator (`yield`): the rest of its code has not run")


def _own(error: BaseException) -> BaseException:
    """Return what a receiver raised, in a form that cannot be taken for our own cancelling of it."""
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        return error
    mistaken = ReceiverError(f"the receiver raised {type(error).__name__} by itself")
    mistaken.__cause__ = error
    return mistaken
