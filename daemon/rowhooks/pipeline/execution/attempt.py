"""An attempt: opens the receiver's transaction, calls the receiver and its life cycle, commits both with the result."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rowhooks.domain.errors import LeadershipLost, ReceiverError, TransactionEnded
from rowhooks.domain.run import FAILURE, RETRY, REVOKED, SUCCESS, Outcome, now
from rowhooks.pipeline.execution.driving import Doing, Steps, UserCode
from rowhooks.pipeline.execution.interruption import own_error
from rowhooks.pipeline.execution.outcomes import succeeded
from rowhooks.pipeline.execution.run_log import current_log
from rowhooks.pipeline.ports import AlreadyRecorded, Call, Workspace

if TYPE_CHECKING:
    from rowhooks.pipeline.execution.runner import Execution

logger = logging.getLogger(__name__)

_CANCELLED = (asyncio.CancelledError, GeneratorExit)


class Attempt:
    """One attempt of a run.

    Args:
        execution: the run.
        workspace: its session.
        is_last: an error that passes by itself fails the run.
    """

    __slots__ = ("_call", "_called", "_execution", "_is_last", "_run", "_workspace")

    def __init__(self, execution: Execution, workspace: Workspace, *, is_last: bool) -> None:
        self._execution = execution
        self._run = execution.run
        self._workspace = workspace
        self._is_last = is_last
        self._call: Call | None = None
        # The methods of the life cycle that were called.
        self._called: set[str] = set()

    def steps(self, changed_object: Any) -> Steps:
        """Yield what is to be done; return the outcome, None for another attempt soon."""
        try:
            call = self._call = self._prepared(changed_object)
            value = None
            if call.defines:
                yield from self._life_cycle(call, "before_start")
            if call.failure is None:
                value = yield UserCode(call.run)
                self._check_awaited()
            if call.defines:
                yield from self._returned(call, value)
            outcome = self._outcome(call, value)
            return (yield from self._committed(outcome)) if self._workspace.used else outcome
        except _CANCELLED:
            yield from self._roll_back()
            raise
        except AlreadyRecorded:
            fields = self._run.log_fields()
            logger.info("the run is on record already; what it wrote now was rolled back", extra=fields)
            return Outcome(self._run, REVOKED, self._execution.started_at, now(), recorded=True)
        except LeadershipLost:
            yield from self._roll_back()
            raise
        except BaseException as error:  # a receiver's SystemExit ends its own run and no other
            error = (yield from self._roll_back()) or error
            if self._execution.retries_soon(error, is_last=self._is_last):
                return None
            return (yield from self._unsuccessful(error))
        finally:
            self._workspace.close()

    def _returned(self, call: Call, value: Any) -> Doing[None]:
        """Call the life cycle of a receiver that has not raised."""
        if call.failure is None:
            yield from self._life_cycle(call, "on_success", value)
        if call.failure is not None:
            yield from self._life_cycle(call, "on_failure", call.failure)
        status = SUCCESS if call.failure is None else FAILURE
        yield from self._life_cycle(call, "after_return", status, value, call.failure)
        self._check_awaited()

    def _outcome(self, call: Call, value: Any) -> Outcome:
        execution = self._execution
        if call.failure is not None:
            return execution.failure(call.failure)
        kept = None if execution.options.has_sensitive_variables else value
        return succeeded(self._run, execution.started_at, kept, entries=execution.log.take())

    def _prepared(self, changed_object: Any) -> Call:
        try:
            # The receiver's own constructor runs in it.
            call: Call = self._execution.guard.enter(self._set_up, changed_object)
        except _CANCELLED as error:
            raise own_error(error) from error
        return call

    def _set_up(self, changed_object: Any) -> Call:
        """Let code in the receiver's own context find its run: `table()`, rows, what is logged there. Make it."""
        execution = self._execution
        current_log.set(execution.log)
        return execution.prepare(self._workspace, self._workspace.attach(changed_object))

    def _unsuccessful(self, error: BaseException) -> Steps:
        """Call the life cycle of a receiver that has raised, in a transaction of its own; commit it with the result."""
        execution = self._execution
        retries = execution.options.retries(error, self._run.retries) and execution.ended is None
        if retries:
            rest: list[tuple[str, tuple[Any, ...]]] = [("on_retry", (error,))]
        else:
            rest = [("on_failure", (error,)), ("after_return", (FAILURE, error, error))]
        for name, arguments in rest:
            if self._call is None or name in self._called or execution.ended is not None:
                continue
            try:
                yield from self._life_cycle(self._call, name, *arguments)
                self._check_awaited()
            except _CANCELLED:
                yield from self._roll_back()
                raise
            except BaseException as problem:
                yield from self._roll_back()
                if execution.repeats_alone(problem):
                    return None
                execution.log.note("error", f"{name} raised {execution.line(problem)}")
        outcome = self._retried(error) if retries else execution.failure(error)
        try:
            return (yield from self._committed(outcome))
        except AlreadyRecorded:
            return outcome.as_revoked()
        except (*_CANCELLED, LeadershipLost):
            yield from self._roll_back()
            raise
        except BaseException as problem:
            yield from self._roll_back()
            if execution.repeats_alone(problem):
                return None
            line = execution.line(problem)
            execution.log.note("error", f"what was written after the failure was rolled back: {line}")
            return replace(outcome, entries=execution.log.take())

    def _retried(self, error: BaseException) -> Outcome:
        execution, run = self._execution, self._run
        pause = execution.pause = execution.options.pause(run.retries, random.uniform)
        execution.log.note(
            "warning", f"attempt {run.attempt} raised {execution.line(error)}; the next in {pause:.1f} s"
        )
        outcome = execution.failure(error)
        return replace(outcome, status=RETRY, finished_at=None, retry_at=now() + timedelta(seconds=pause))

    def _life_cycle(self, call: Call, name: str, *arguments: Any) -> Doing[None]:
        self._called.add(name)
        if name in call.defines:
            yield UserCode(lambda: getattr(call, name)(*arguments))

    def _check_awaited(self) -> None:
        unawaited = self._workspace.unawaited()
        if unawaited is not None:
            raise ReceiverError(unawaited, hint="await it before the receiver returns")

    def _committed(self, outcome: Outcome) -> Doing[Outcome]:
        """Commit an outcome beside what the receiver wrote, if it has used its session."""
        if not self._workspace.used:
            return outcome
        try:
            revoked = yield lambda: self._workspace.commit(outcome)
        except BaseException:
            self._execution.log.put_back(outcome.entries)
            raise
        if self._execution.has_joined:
            # Its result is written right before the group's COMMIT.
            return outcome
        return replace(outcome, recorded=True, entries=(), revoked=frozenset(revoked or ()))

    def _roll_back(self) -> Doing[TransactionEnded | None]:
        """Roll the run back; return an error where the receiver has kept it from that."""
        # What was called before the exception is not what is missing.
        self._workspace.unawaited()
        if not self._workspace.used:
            return None
        try:
            yield self._workspace.rollback
        except TransactionEnded as error:
            return error
        except Exception as error:  # its transaction ends with its connection; what the receiver raised is what counts
            line = self._execution.line(error)
            logger.warning("the run could not be rolled back: %s", line, extra=self._run.log_fields())
        return None
