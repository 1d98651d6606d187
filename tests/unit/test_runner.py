"""Runner: whatever a receiver does becomes an outcome; its transaction ends with it."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rowhooks.domain.errors import RunRevoked
from rowhooks.domain.events import AttemptEnded, AttemptStarted, Event, Events, RunExecuted, RunRetried, RunStarted
from rowhooks.domain.job import JobOptions
from rowhooks.domain.run import FAILURE, RETRY, REVOKED, SUCCESS, LogEntry, Outcome, Run, now
from rowhooks.pipeline.execution import runner as module
from rowhooks.pipeline.execution.driving import Pending, drive, go_on
from rowhooks.pipeline.execution.interruption import TaskGuard, ThreadGuard
from rowhooks.pipeline.execution.run_log import RunLog
from rowhooks.pipeline.execution.runner import TRANSIENT_ATTEMPTS, Runner
from rowhooks.pipeline.ports import AlreadyRecorded
from tests.support.make import run

Body = Callable[["FakeWorkspace", Any, RunLog], Any]


class Transient(Exception):
    """An error that may pass by itself."""


class FakeWorkspace:
    """A workspace that notes what is done with it."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self.done: list[str] = []
        self.attached: Any = None
        self.used = False

    @property
    def session(self) -> str:
        self.used = True
        return "the session"

    def unawaited(self) -> None:
        pass

    def close(self) -> None:
        pass

    def attach(self, changed_object: Any) -> Any:
        self.attached = changed_object
        return changed_object

    def commit(self, outcome: Outcome) -> Any:
        return self._do(f"commit {outcome.status}", self._ports.on_commit)

    def rollback(self) -> Any:
        self.used = False
        return self._do("rollback", self._ports.on_rollback)

    def cancel(self) -> None:
        self.done.append("cancel")

    def abort(self) -> None:
        self.done.append("abort")

    def with_session(self, work: Any) -> Any:
        return work(self.session)

    def _do(self, what: str, problem: BaseException | None) -> Any:
        async def later() -> None:
            work()

        def work() -> None:
            self.done.append(what)
            if problem is not None:
                raise problem

        return later() if self._ports.asynchronous else work()


class FakeCall:
    """A receiver whose methods are given; what is called is noted in its workspace."""

    def __init__(self, ports: Ports, workspace: FakeWorkspace, changed_object: Any, log: RunLog) -> None:
        self._ports = ports
        self._given = (workspace, changed_object, log)
        self.defines = frozenset(ports.life_cycle)

    @property
    def failure(self) -> BaseException | None:
        return self._ports.failure

    def run(self) -> Any:
        async def later() -> Any:
            value = self._ports.body(*self._given)
            return await value if inspect.isawaitable(value) else value

        return later() if self._ports.asynchronous else self._ports.body(*self._given)

    def __getattr__(self, name: str) -> Any:
        def method(*arguments: Any) -> Any:
            self._given[0].done.append(name)
            return self._ports.life_cycle[name](self._given[0], *arguments)

        return method


class Ports:
    """The runner's three ports, around one receiver body."""

    def __init__(self, *, asynchronous: bool) -> None:
        self.asynchronous = asynchronous
        self.body: Body = lambda workspace, changed_object, log: None
        self.on_commit: BaseException | None = None
        self.on_rollback: BaseException | None = None
        self.workspaces: list[FakeWorkspace] = []
        self.reloaded = 0
        self.users: list[str] = []
        self.job_options = JobOptions()
        self.life_cycle: dict[str, Any] = {}
        self.failure: BaseException | None = None
        self.threads = ThreadPoolExecutor(1, thread_name_prefix="receiver")
        self.events = Events()
        self.published: list[Event] = []

    def listen(self) -> None:
        for kind in (RunStarted, AttemptStarted, AttemptEnded, RunRetried, RunExecuted):
            self.events.subscribe(kind, self.published.append)

    def is_asynchronous(self, class_path: str) -> bool:
        return self.asynchronous

    def options(self, class_path: str) -> JobOptions:
        return self.job_options

    def prepare(self, run: Run, user: str, workspace: Any, changed_object: Any, log: RunLog) -> FakeCall:
        self.users.append(user)
        return FakeCall(self, workspace, changed_object, log)

    def open(self, run: Run, user: str, *, asynchronous: bool) -> FakeWorkspace:
        assert asynchronous == self.asynchronous
        self.workspaces.append(FakeWorkspace(self))
        return self.workspaces[-1]

    def is_unreachable(self, error: BaseException) -> bool:
        return False

    def is_transient(self, error: BaseException) -> bool:
        return isinstance(error, Transient)

    async def reload(self, run: Run) -> Any:
        self.reloaded += 1
        return f"row, read again {self.reloaded}"

    async def execute(self, body: Body) -> Outcome:
        self.body = body
        self.execution = Runner(self, self, self.threads, self.reload, events=self.events).prepare(run(), "alice")
        return await self.execution.result("row")

    @property
    def done(self) -> list[str]:
        return [what for workspace in self.workspaces for what in workspace.done]


@pytest.fixture(params=[False, True], ids=["def", "async def"])
async def ports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ports]:
    monkeypatch.setattr(module, "TRANSIENT_PAUSE", 0.0)
    made = Ports(asynchronous=request.param)
    yield made
    made.threads.shutdown()


def raising(error: BaseException, *, use_session: bool = True) -> Body:
    def body(workspace: FakeWorkspace, changed_object: Any, log: RunLog) -> None:
        if use_session:
            assert workspace.session
        raise error

    return body


async def test_what_the_receiver_returns_is_kept_as_json(ports: Ports) -> None:
    outcome = await ports.execute(lambda *_: {"fixed": [1, None]})
    assert (outcome.status, outcome.recorded) == (SUCCESS, False)
    assert outcome.result_json is not None
    assert json.loads(outcome.result_json) == {"fixed": [1, None]}
    assert outcome.started_at is not None
    assert outcome.finished_at is not None
    assert outcome.started_at <= outcome.finished_at


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, float("nan"), b"bytes", None], ids=lambda value: type(value).__name__
)
async def test_what_json_cannot_hold_is_left_out_and_the_run_succeeds(ports: Ports, value: Any) -> None:
    outcome = await ports.execute(lambda *_: value)
    assert (outcome.status, outcome.result_json) == (SUCCESS, None)


async def test_a_value_that_holds_itself_is_left_out(ports: Ports) -> None:
    value: list[Any] = []
    value.append(value)
    assert (await ports.execute(lambda *_: value)).status == SUCCESS


async def test_without_the_session_nothing_is_committed_here(ports: Ports) -> None:
    outcome = await ports.execute(lambda *_: None)
    assert ports.done == []
    assert not outcome.recorded


async def test_with_the_session_the_result_is_committed_beside_the_writes(ports: Ports) -> None:
    outcome = await ports.execute(lambda workspace, *_: workspace.session)
    assert ports.done == ["commit SUCCESS"]
    assert outcome.recorded
    assert outcome.result_json == '"the session"'


async def test_the_changed_object_is_attached_and_handed_over(ports: Ports) -> None:
    outcome = await ports.execute(lambda _, changed_object, __: changed_object)
    assert outcome.result_json == '"row"'
    assert ports.workspaces[0].attached == "row"


async def test_plain_receivers_run_in_a_thread_and_asynchronous_ones_on_the_loop(ports: Ports) -> None:
    threads: list[threading.Thread] = []
    await ports.execute(lambda *_: threads.append(threading.current_thread()))
    assert (threads[0] is threading.main_thread()) == ports.asynchronous


async def test_lines_the_receiver_logged_travel_with_the_outcome_also_of_a_failure(ports: Ports) -> None:
    line = LogEntry(now(), "info", "before it went wrong")

    def body(workspace: FakeWorkspace, changed_object: Any, log: RunLog) -> None:
        log.add(line)
        raise ValueError

    assert (await ports.execute(body)).entries == (line,)
    assert (await ports.execute(lambda _, __, log: log.add(line))).entries == (line,)


class Complaint(Exception):
    """An error of a receiver's module."""


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        (ValueError("no good"), "ValueError"),
        (Complaint("no good"), f"{__name__}.Complaint"),
        (SystemExit("no good"), "SystemExit"),
        (KeyboardInterrupt("no good"), "KeyboardInterrupt"),
        (GeneratorExit("no good"), "rowhooks.domain.errors.ReceiverError"),
        (StopIteration("no good"), "StopIteration"),
        (StopAsyncIteration("no good"), "StopAsyncIteration"),
        (BaseException("no good"), "BaseException"),
        (ExceptionGroup("no good", [ValueError()]), "ExceptionGroup"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_what_a_receiver_raises_ends_its_own_run_and_no_other(
    ports: Ports, error: BaseException, type_: str
) -> None:
    outcome = await ports.execute(raising(error))
    assert outcome.status == FAILURE
    if not isinstance(error, StopIteration):  # Python makes a RuntimeError of one that leaves a coroutine
        assert outcome.exception_type == type_
    assert "no good" in (outcome.traceback or "")
    assert ports.done == ["rollback"]
    assert not outcome.recorded


async def test_without_the_session_there_is_nothing_to_roll_back(ports: Ports) -> None:
    outcome = await ports.execute(raising(ValueError("no good"), use_session=False))
    assert outcome.status == FAILURE
    assert ports.done == []


async def test_a_cancelled_error_that_the_receiver_raised_itself_is_a_failure(ports: Ports) -> None:
    # For example by awaiting a task that it had cancelled: nobody cancelled the run.
    outcome = await asyncio.wait_for(ports.execute(raising(asyncio.CancelledError("no good"))), 5)
    assert outcome.status == FAILURE
    assert "CancelledError" in (outcome.exception_message or "")
    assert ports.done == ["rollback"]


async def test_an_error_that_cannot_be_printed_is_a_failure(ports: Ports) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even that")

    outcome = await ports.execute(raising(Unprintable()))
    assert outcome.status == FAILURE
    assert "Unprintable" in (outcome.exception_type or "")
    assert ports.done == ["rollback"]


async def test_an_error_while_rolling_back_does_not_hide_the_receivers_own(ports: Ports) -> None:
    ports.on_rollback = RuntimeError("the connection is in a strange state")
    outcome = await ports.execute(raising(ValueError("the receiver's own")))
    assert outcome.status == FAILURE
    assert outcome.exception_message == "the receiver's own"


async def test_an_error_at_commit_is_the_runs_failure_and_is_rolled_back(ports: Ports) -> None:
    ports.on_commit = ValueError("a deferred constraint")
    outcome = await ports.execute(lambda workspace, *_: workspace.session)
    assert (outcome.status, outcome.exception_message) == (FAILURE, "a deferred constraint")
    assert not outcome.recorded
    assert ports.done == ["commit SUCCESS", "rollback"]


async def test_a_run_that_stands_on_record_counts_as_done(ports: Ports) -> None:
    ports.on_commit = AlreadyRecorded()
    outcome = await ports.execute(lambda workspace, *_: workspace.session)
    assert (outcome.status, outcome.recorded) == (REVOKED, True)
    assert ports.done == ["commit SUCCESS"]


async def test_a_transient_error_is_tried_again_with_the_row_as_it_is_then(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    rows: list[Any] = []

    def body(workspace: FakeWorkspace, changed_object: Any, log: RunLog) -> None:
        rows.append(changed_object)
        assert workspace.session
        if len(rows) < 3:
            raise Transient("deadlock\nwith a second line")

    with caplog.at_level(logging.WARNING):
        outcome = await ports.execute(body)
    assert outcome.status == SUCCESS
    assert rows == ["row", "row, read again 1", "row, read again 2"]
    # Each attempt had a session of its own.
    assert [workspace.done for workspace in ports.workspaces] == [["rollback"], ["rollback"], ["commit SUCCESS"]]
    assert caplog.messages == [f"the run is retried ({n} of 10): Transient: deadlock" for n in (2, 3)]
    assert {record.run for record in caplog.records} == {1}  # type: ignore[attr-defined]


async def test_the_lines_of_an_attempt_that_is_tried_again_are_kept_too(ports: Ports) -> None:
    attempts: list[int] = []

    def body(workspace: FakeWorkspace, changed_object: Any, log: RunLog) -> None:
        attempts.append(1)
        log.add(LogEntry(now(), "info", f"attempt {len(attempts)}"))
        if len(attempts) == 1:
            raise Transient

    assert [entry.message for entry in (await ports.execute(body)).entries] == ["attempt 1", "attempt 2"]


async def test_a_transient_error_that_does_not_pass_is_a_failure_in_the_end(ports: Ports) -> None:
    outcome = await ports.execute(raising(Transient("deadlock")))
    assert (outcome.status, outcome.exception_message) == (FAILURE, "deadlock")
    assert ports.done == ["rollback"] * TRANSIENT_ATTEMPTS


async def test_a_cancelled_run_is_rolled_back_and_has_no_outcome() -> None:
    ports = Ports(asynchronous=True)
    begun = asyncio.Event()

    async def call(workspace: FakeWorkspace) -> None:
        assert workspace.session
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(ports.execute(lambda workspace, *_: call(workspace)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ports.done == ["rollback"]


def test_drive_sends_each_answer_back() -> None:
    def steps() -> Any:
        first = yield lambda: 1
        second = yield lambda: first + 1
        return second

    result: Any = drive(steps(), ThreadGuard())
    assert result == 2


def test_drive_throws_what_a_step_raises_into_the_steps() -> None:
    def fail() -> None:
        raise KeyError("a")

    def steps() -> Any:
        try:
            yield fail
        except KeyError as error:
            return str(error)

    result: Any = drive(steps(), ThreadGuard())
    assert result == "'a'"


async def test_what_a_step_waits_for_is_awaited_and_the_rest_goes_on() -> None:
    async def later() -> int:
        return 1

    def steps() -> Any:
        first = yield later
        second = yield lambda: first + 1
        return second

    begun = drive(steps(), TaskGuard())
    assert isinstance(begun, Pending)
    result: Any = await go_on(begun)
    assert result == 2


async def test_what_becomes_of_a_run_is_published_in_order(ports: Ports) -> None:
    ports.listen()
    transient = Transient("deadlock")
    attempts: list[int] = []

    def body(*_: Any) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise transient

    outcome = await ports.execute(body)
    started, *_, executed = ports.published
    assert isinstance(started, RunStarted)
    assert ports.published[1:-1] == [
        AttemptStarted(started.run, 1),
        RunRetried(started.run, transient, 0.0, is_transient=True),
        AttemptEnded(started.run),
        AttemptStarted(started.run, 2),
        AttemptEnded(started.run),
    ]
    assert executed == RunExecuted(started.run, outcome, None)
    assert all(event.run is started.run for event in ports.published if not isinstance(event, RunRetried))  # type: ignore[attr-defined]


async def test_a_retry_that_meta_asks_for_is_published_once_its_attempt_has_ended(ports: Ports) -> None:
    ports.listen()
    ports.job_options = JobOptions(max_retries=1, autoretry_for=(ValueError,), retry_backoff=0.5)
    error = ValueError("no good")
    outcome = await ports.execute(raising(error))
    retried, executed = ports.published[-2:]
    assert outcome.status == RETRY
    assert isinstance(retried, RunRetried)
    assert (retried.error, retried.is_transient) == (error, False)
    assert executed == RunExecuted(retried.run, outcome, error)


async def test_an_abandoned_run_is_executed_once(ports: Ports) -> None:
    ports.listen()
    begun, released = threading.Event(), threading.Event()

    async def later() -> None:
        begun.set()
        await asyncio.Event().wait()

    def body(*_: Any) -> Any:
        if ports.asynchronous:
            return later()
        begun.set()
        return released.wait(60)

    task = asyncio.create_task(ports.execute(body))
    await asyncio.sleep(0)
    await asyncio.to_thread(begun.wait)
    outcome = ports.execution.abandon(RunRevoked())
    released.set()
    await task
    executed = [event for event in ports.published if isinstance(event, RunExecuted)]
    assert [(event.outcome, type(event.error)) for event in executed] == [(outcome, RunRevoked)]
    assert isinstance(ports.published[-1], AttemptEnded)


async def test_a_subscriber_can_put_something_into_the_receivers_context(ports: Ports) -> None:
    span: contextvars.ContextVar[str] = contextvars.ContextVar("span", default="none")
    ports.events.subscribe(AttemptStarted, lambda event: span.set("this run's") and None)
    ports.events.subscribe(AttemptEnded, lambda event: span.set("none") and None)
    seen: list[str] = []
    await ports.execute(lambda *_: seen.append(span.get()))
    assert seen == ["this run's"]
    assert await asyncio.get_running_loop().run_in_executor(ports.threads, span.get) == "none"
    assert span.get() == "none"
