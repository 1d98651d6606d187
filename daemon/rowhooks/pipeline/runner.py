"""Runner: opens the receiver's transaction, calls the receiver, and makes the outcome.

What happens in a run is written once, as a generator of things to do (psycopg's way); one driver does them on the
event loop for `async def` receivers, the other in a thread for plain ones.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import random
import traceback
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Executor
from datetime import datetime
from typing import Any

from rowhooks.domain.errors import ConnectionFailed, ReceiverError
from rowhooks.domain.run import FAILURE, SUCCESS, LogEntry, Outcome, Run, now
from rowhooks.pipeline.ports import AlreadyRecorded, ReceiverCatalog, Workspace, WorkspaceFactory

logger = logging.getLogger(__name__)

TRANSIENT_ATTEMPTS = 5
"""How often a run is tried whose transaction fails by no fault of its own."""
TRANSIENT_PAUSE = 0.05
"""Seconds before the second try; doubled each time, with jitter."""

Steps = Generator[Callable[[], Any], Any, Outcome | None]


class Runner:
    """Executes runs.

    Args:
        receivers: the classes that were found.
        workspaces: makes each attempt's session.
        threads: where plain `def` receivers run.
        reload: loads the changed object again before another attempt.
    """

    def __init__(
        self,
        receivers: ReceiverCatalog,
        workspaces: WorkspaceFactory,
        threads: Executor,
        reload: Callable[[Run], Awaitable[Any]],
    ) -> None:
        self._receivers = receivers
        self._workspaces = workspaces
        self._threads = threads
        self._reload = reload

    async def execute(self, run: Run, changed_object: Any) -> Outcome:
        """Run the receiver to its end; whatever it raises is an outcome, not an error."""
        asynchronous = self._receivers.is_asynchronous(run.hook.job.class_path)
        attempt = 1
        while True:
            workspace = self._workspaces.open(run, asynchronous=asynchronous)
            steps = self._steps(run, workspace, changed_object, last=attempt == TRANSIENT_ATTEMPTS)
            if asynchronous:
                outcome = await drive_asynchronously(steps)
            else:
                outcome = await asyncio.get_running_loop().run_in_executor(self._threads, drive, steps)
            if outcome is not None:
                return outcome
            await asyncio.sleep(TRANSIENT_PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
            attempt += 1
            try:
                changed_object = await self._reload(run)
            except ConnectionFailed:
                raise
            except Exception as error:
                return failed(run, now(), error, [])

    def _steps(self, run: Run, workspace: Workspace, changed_object: Any, *, last: bool) -> Steps:
        """Yield what is to be done; return the outcome, None for another attempt."""
        started_at = now()
        entries: list[LogEntry] = []
        try:
            workspace.attach(changed_object)
            value = yield lambda: self._receivers.call(run, workspace, changed_object, entries)
            outcome = succeeded(run, started_at, value, entries)
            if workspace.used:
                yield lambda: workspace.commit(outcome)
                outcome = succeeded(run, started_at, value, entries, recorded=True)
            return outcome
        except (asyncio.CancelledError, GeneratorExit):
            yield from self._roll_back(run, workspace)
            raise
        except AlreadyRecorded:
            logger.info("the run is on record already; what it wrote now was rolled back", extra=run.log_fields())
            return succeeded(run, started_at, None, entries, recorded=True)
        except BaseException as error:  # a receiver's SystemExit ends its own run and no other
            yield from self._roll_back(run, workspace)
            if not last and self._workspaces.is_transient(error):
                logger.warning("the run is tried again: %s", _one_line(error), extra=run.log_fields())
                return None
            return failed(run, started_at, error, entries)

    @staticmethod
    def _roll_back(run: Run, workspace: Workspace) -> Generator[Callable[[], Any], Any, None]:
        if not workspace.used:
            return
        try:
            yield workspace.rollback
        except Exception as error:  # its transaction ends with its connection; what the receiver raised is what counts
            logger.warning("the run could not be rolled back: %s", _one_line(error), extra=run.log_fields())


def drive(steps: Steps) -> Outcome | None:
    """Do the steps of one attempt in this thread."""
    try:
        step = next(steps)
        while True:
            try:
                answer = step()
                if inspect.iscoroutine(answer):
                    answer.close()
                    raise TypeError("a plain receiver returned a coroutine; declare its method with `async def`")
            except BaseException as error:
                step = steps.throw(_own(error))
            else:
                step = steps.send(answer)
    except StopIteration as end:
        outcome: Outcome | None = end.value
        return outcome


async def drive_asynchronously(steps: Steps) -> Outcome | None:
    """Do the steps of one attempt on the event loop."""
    try:
        step = next(steps)
        while True:
            try:
                answer = step()
                if inspect.isawaitable(answer):
                    answer = await answer
            except BaseException as error:
                task = asyncio.current_task()
                cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
                step = steps.throw(error if cancelled else _own(error))
            else:
                step = steps.send(answer)
    except StopIteration as end:
        outcome: Outcome | None = end.value
        return outcome


def _own(error: BaseException) -> BaseException:
    """Return what a receiver raised, in a form that cannot be taken for our own cancelling of it."""
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        return error
    mistaken = ReceiverError(f"the receiver raised {type(error).__name__} by itself")
    mistaken.__cause__ = error
    return mistaken


def succeeded(
    run: Run, started_at: datetime, value: Any, entries: list[LogEntry], *, recorded: bool = False
) -> Outcome:
    """Return the outcome of a receiver that returned; its value is kept where JSON can hold it."""
    try:
        result = None if value is None else json.dumps(value, allow_nan=False, ensure_ascii=False)
    except Exception:  # a value's own methods may raise anything
        logger.info("the receiver's return value is not kept: JSON cannot hold it", extra=run.log_fields())
        result = None
    return Outcome(run, SUCCESS, started_at, now(), result, entries=tuple(entries), recorded=recorded)


def failed(run: Run, started_at: datetime, error: BaseException, entries: list[LogEntry]) -> Outcome:
    """Return the outcome of a receiver that raised."""
    return Outcome(
        run,
        FAILURE,
        started_at,
        now(),
        exception_type=f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."),
        exception_message=_message(error),
        traceback=_traceback(error),
        entries=tuple(entries),
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as problem:  # an exception's own __str__ may fail
        return f"(its message cannot be shown: {type(problem).__name__})"


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception as problem:  # a SyntaxError with odd arguments cannot be formatted
        frames = "".join(traceback.format_tb(error.__traceback__))
        return f"{frames}{type(error).__name__} (it cannot be shown: {type(problem).__name__})"


def _one_line(error: BaseException) -> str:
    return (_message(error).strip() or type(error).__name__).splitlines()[0]
