"""Traces: the spans of runs, as OpenTelemetry's SDK gets them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange
from tests.support.daemons import ELSEWHERE, running_daemon, running_worker
from tests.support.hooks import add_button, add_hook
from tests.support.rows import first_value
from tests.support.spans import attributes, failure, is_child, named, one
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """The process' one provider, as a receivers' module may set one up."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


def work(name: str) -> None:
    with trace.get_tracer("acme").start_as_current_span(name):
        pass


class Plain(JobHookReceiver):
    class Meta:
        name = "Plain policy"

    def before_start(self, *args: Any) -> None:
        work("before")

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        work(f"plain {changed_object.id}")
        changed_object.serial = "seen"
        changed_object.save()


class Asynchronous(JobHookReceiver):
    """Its own tasks belong to its span too."""

    both: ClassVar[asyncio.Event]

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        # Another run is in the midst of its own work at the same moment.
        if change.changed_object_id["id"] == 1:
            await Asynchronous.both.wait()
        else:
            Asynchronous.both.set()
        await asyncio.create_task(self.task(changed_object.id))

    async def task(self, number: int) -> None:
        work(f"asynchronous {number}")


class Fails(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        raise ValueError("SN-1 is nobody's")


class FailsSecretly(Fails):
    class Meta:
        has_sensitive_variables = True


class Again(JobHookReceiver):
    class Meta:
        max_retries = 1
        autoretry_for = (ConnectionRefusedError,)
        retry_backoff = 0.01

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        if self.job_result.attempt == 1:
            raise ConnectionRefusedError("away")


class Deadlocked(JobHookReceiver):
    tries: ClassVar[int] = 0

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.save()
        Deadlocked.tries += 1
        if Deadlocked.tries < 3:
            raise psycopg.errors.DeadlockDetected("as if")


class Hangs(JobHookReceiver):
    released: ClassVar[threading.Event]
    left: ClassVar[threading.Event]

    class Meta:
        time_limit = 0.1

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        try:
            Hangs.released.wait(60)
        finally:
            Hangs.left.set()


class HangsAsynchronously(JobHookReceiver):
    class Meta:
        time_limit = 0.1

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        await asyncio.Event().wait()


class Stays(JobHookReceiver):
    begun: ClassVar[threading.Event]
    released: ClassVar[threading.Event]

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        Stays.begun.set()
        Stays.released.wait(60)


class Gathers(JobHookReceiver):
    class Meta:
        batch_size = 3
        batch_wait = 30.0

    def receive_job_hooks(self, changes: Sequence[ObjectChange]) -> None:
        work("gathered")


class Pressed(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> None:
        work("pressed")


def insert(db: Connection, number: int, context: str | None = None) -> None:
    with db.transaction():
        if context is not None:
            db.execute("select set_config('rowhooks.context', %s, true)", (context,))
        db.execute("insert into dcim.device values (%s, 'leaf', 'SN-1')", (number,))


async def test_a_run_has_one_span_and_the_receivers_own_are_its_children(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    add_hook(db, Plain, device, name="Policy")
    async with running_daemon(daemon_dsn, Plain, traces=True):
        insert(db, 1)
        await settled(db)
    span = one(spans, "Plain policy")
    run_id = first_value(db, "select id from rowhooks.job_result")
    assert attributes(span) == {
        "db.system.name": "postgresql",
        "rowhooks.run": run_id,
        "rowhooks.job": f"{__name__}.Plain",
        "rowhooks.hook": "Policy",
        "rowhooks.table": "dcim.device",
        "rowhooks.action": "create",
        "rowhooks.attempt": 1,
        "rowhooks.object": "leaf",
        "rowhooks.status": "SUCCESS",
    }
    assert (span.kind, span.status.status_code, span.parent, list(span.links)) == (
        SpanKind.CONSUMER, StatusCode.UNSET, None, [],
    )  # fmt: skip
    assert is_child(spans, "plain 1", span)
    assert is_child(spans, "before", span)


async def test_each_asynchronous_run_has_its_own_span_where_many_share_the_loop(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    Asynchronous.both = asyncio.Event()
    add_hook(db, Asynchronous, device)
    async with running_daemon(daemon_dsn, Asynchronous, traces=True):
        with db.transaction():
            insert(db, 1)
            insert(db, 2)
        await settled(db)
    first, second = sorted(named(spans, "Asynchronous"), key=lambda span: attributes(span)["rowhooks.run"])
    assert is_child(spans, "asynchronous 1", first)
    assert is_child(spans, "asynchronous 2", second)
    assert first.context.trace_id != second.context.trace_id


@pytest.mark.parametrize(
    "context", [TRACEPARENT, json.dumps({"traceparent": TRACEPARENT}), f"traceparent={TRACEPARENT}"]
)
async def test_a_run_is_linked_to_the_span_in_which_the_application_made_the_change(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter, context: str
) -> None:
    add_hook(db, Plain, device)
    async with running_daemon(daemon_dsn, Plain, traces=True):
        insert(db, 1, context)
        insert(db, 2, "nightly import")
        insert(db, 3, f"00-{'0' * 32}-{PARENT}-01")
        await settled(db)
    links = {
        attributes(span)["rowhooks.run"]: [(link.context.trace_id, link.context.span_id) for link in span.links]
        for span in named(spans, "Plain policy")
    }
    assert [links[run] for run in sorted(links)] == [[(int(TRACE, 16), int(PARENT, 16))], [], []]


async def test_a_failure_is_an_error_with_its_exception(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    add_hook(db, Fails, device)
    add_hook(db, FailsSecretly, device)
    async with running_daemon(daemon_dsn, Fails, FailsSecretly, traces=True):
        insert(db, 1)
        await settled(db)
    span = one(spans, "Fails")
    assert failure(span) == (
        StatusCode.ERROR,
        "ValueError: SN-1 is nobody's",
        [{"exception.type": "ValueError", "exception.message": "SN-1 is nobody's"}],
    )
    assert (attributes(span)["error.type"], attributes(span)["rowhooks.status"]) == ("ValueError", "FAILURE")
    secret = one(spans, "FailsSecretly")
    assert failure(secret) == (StatusCode.ERROR, "ValueError", [{"exception.type": "ValueError"}])
    assert "rowhooks.object" not in attributes(secret)
    assert "SN-1" not in secret.to_json()


async def test_a_run_that_is_refused_before_its_receiver_is_called_has_its_span(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    add_hook(db, Plain, device)
    db.execute("revoke select on dcim.device from rowhooks_daemon")
    async with running_daemon(daemon_dsn, Plain, traces=True):
        insert(db, 1)
        await settled(db)
    span = one(spans, "Plain policy")
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span)["rowhooks.status"] == "FAILURE"
    assert attributes(span)["error.type"].endswith("PermissionDenied")
    assert len(spans.get_finished_spans()) == 1


async def test_an_outcome_that_could_not_be_recorded_leaves_no_span_open(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    Stays.begun, Stays.released = threading.Event(), threading.Event()
    add_hook(db, Stays, device)
    async with running_daemon(daemon_dsn, Stays, traces=True) as daemon:
        insert(db, 1)
        await eventually(Stays.begun.is_set)
        # The leader's connections end while the receiver runs; another lead runs it again.
        db.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ 'rowhooks leader'")
        await eventually(lambda: not daemon.ready.is_set())
        Stays.released.set()
        await settled(db)
    found = named(spans, "Stays")
    assert attributes(found[-1])["rowhooks.status"] == "SUCCESS"
    assert len({span.context.span_id for span in found}) == len(found)


async def test_each_attempt_of_the_jobs_own_retries_has_a_span(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    add_hook(db, Again, device)
    async with running_daemon(daemon_dsn, Again, traces=True):
        insert(db, 1, TRACEPARENT)
        await settled(db)
    first, second = named(spans, "Again")
    assert [attributes(span)["rowhooks.attempt"] for span in (first, second)] == [1, 2]
    assert [attributes(span)["rowhooks.status"] for span in (first, second)] == ["RETRY", "SUCCESS"]
    assert [span.status.status_code for span in (first, second)] == [StatusCode.ERROR, StatusCode.UNSET]
    assert attributes(first)["rowhooks.run"] == attributes(second)["rowhooks.run"]
    assert [len(span.links) for span in (first, second)] == [1, 1]


async def test_attempts_after_a_passing_error_are_events_of_one_span(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    Deadlocked.tries = 0
    add_hook(db, Deadlocked, device)
    async with running_daemon(daemon_dsn, Deadlocked, traces=True):
        insert(db, 1)
        await settled(db)
    span = one(spans, "Deadlocked")
    assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
        ("transient retry", {"rowhooks.try": 2}),
        ("transient retry", {"rowhooks.try": 3}),
    ]
    assert (attributes(span)["rowhooks.status"], span.status.status_code) == ("SUCCESS", StatusCode.UNSET)


@pytest.mark.parametrize("receiver", [Hangs, HangsAsynchronously])
async def test_the_span_of_a_run_that_was_ended_at_its_time_limit_is_ended_once(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter, receiver: type, caplog: Any
) -> None:
    Hangs.released, Hangs.left = threading.Event(), threading.Event()
    add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, receiver, traces=True):
        insert(db, 1)
        await settled(db)
        assert attributes(one(spans, receiver.__name__))["rowhooks.status"] == "FAILURE"
        # Its thread ends later, when the span has long gone.
        Hangs.released.set()
        if receiver is Hangs:
            await eventually(Hangs.left.is_set)
    status, _, events = failure(one(spans, receiver.__name__))
    assert (status, [event["exception.type"] for event in events]) == (
        StatusCode.ERROR,
        ["rowhooks.domain.errors.TimeLimitExceeded"],
    )
    assert "ended span" not in caplog.text


async def test_the_span_of_a_receiver_that_is_left_behind_is_sent_too(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    Stays.begun, Stays.released = threading.Event(), threading.Event()
    add_hook(db, Stays, device)
    async with running_daemon(daemon_dsn, Stays, traces=True, grace_period=0.0):
        insert(db, 1)
        await eventually(Stays.begun.is_set)
    span = one(spans, "Stays")
    assert failure(span) == (StatusCode.ERROR, "the process stopped before the receiver ended", [])
    Stays.released.set()


async def test_a_batch_is_one_span_with_a_link_to_each_change(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    add_hook(db, Gathers, device)
    other = f"00-{'1' * 32}-{'2' * 16}-01"
    async with running_daemon(daemon_dsn, Gathers, traces=True):
        insert(db, 1, TRACEPARENT)
        insert(db, 2, TRACEPARENT)
        insert(db, 3, other)
        await settled(db)
    span = one(spans, "Gathers")
    found = attributes(span)
    assert (found["rowhooks.batch_size"], found["rowhooks.action"], found["rowhooks.table"]) == (
        3, "create", "dcim.device",
    )  # fmt: skip
    assert "rowhooks.object" not in found
    assert [link.context.trace_id for link in span.links] == [int(TRACE, 16), int("1" * 32, 16)]
    assert is_child(spans, "gathered", span)


async def test_a_press_has_its_span_with_the_button(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    add_button(db, Pressed, device, name="Go")
    insert(db, 1)
    async with running_daemon(daemon_dsn, Pressed, traces=True):
        db.execute("select rowhooks.press('Go', 'dcim.device', '1')")
        await settled(db)
    span = one(spans, "Pressed")
    found = attributes(span)
    assert (found["rowhooks.button"], found["rowhooks.action"]) == ("Go", "press")
    assert "rowhooks.hook" not in found
    assert is_child(spans, "pressed", span)


async def test_without_the_setting_there_are_none(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    add_hook(db, Plain, device)
    async with running_daemon(daemon_dsn, Plain):
        insert(db, 1)
        await settled(db)
    assert named(spans, "Plain policy") == []
    assert one(spans, "plain 1").parent is None


async def test_a_run_in_a_worker_has_the_span_that_it_has_in_a_daemon(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    add_hook(db, Plain, device)
    add_hook(db, Again, device)
    elsewhere: dict[str, Any] = {"queues": ("default", ELSEWHERE), "default_queue": ELSEWHERE}
    with db.transaction():
        db.execute("select set_config('rowhooks.context', %s, true)", (TRACEPARENT,))
        db.execute("insert into dcim.device values (1, 'leaf', 'SN-1')")
    async with (
        running_daemon(daemon_dsn, Plain, Again, traces=True, **elsewhere),
        running_worker(daemon_dsn, Plain, Again, traces=True),
    ):
        await settled(db)
    span = one(spans, "Plain policy")
    assert (span.kind, attributes(span)["rowhooks.status"]) == (SpanKind.CONSUMER, "SUCCESS")
    assert [f"{link.context.trace_id:032x}" for link in span.links] == [TRACE]
    assert is_child(spans, "plain 1", span)
    assert is_child(spans, "before", span)
    assert [attributes(span)["rowhooks.attempt"] for span in named(spans, "Again")] == [1, 2]


async def test_without_the_setting_a_worker_makes_no_spans(
    db: Connection, daemon_dsn: str, device: str, spans: InMemorySpanExporter
) -> None:
    add_hook(db, Plain, device)
    elsewhere: dict[str, Any] = {"queues": ("default", ELSEWHERE), "default_queue": ELSEWHERE}
    db.execute("insert into dcim.device values (1, 'leaf', 'SN-1')")
    async with running_daemon(daemon_dsn, Plain, traces=True, **elsewhere), running_worker(daemon_dsn, Plain):
        await settled(db)
    assert named(spans, "Plain policy") == []
