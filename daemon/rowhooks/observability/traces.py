"""Tracing: one OpenTelemetry span a run, linked to what made the change. Needs the extra `otel`.

The daemon alone imports it, and only where the setting `traces` is on.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, ProxyTracerProvider, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from rowhooks.domain.configuration import JobHook
from rowhooks.domain.run import Batch, Outcome, Run
from rowhooks.pipeline.execution.runner import Execution, Runner, Steps

logger = logging.getLogger(__name__)

FLUSH_TIMEOUT = 5.0
"""Seconds that the last spans have at a stop."""

# A change's context may be a traceparent (W3C Trace Context, 3.2), or JSON or key=value text that holds one.
_TRACEPARENT = re.compile(
    r"""(?:^|\btraceparent["']?\s*[=:]\s*["']?)([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})(?![0-9a-f])"""
)


class Tracing:
    """Where spans go: to the provider that a receivers' module has set up, else by OTLP over HTTP.

    The exporter is set up by OpenTelemetry's own environment variables.
    """

    def __init__(self) -> None:
        provider = trace.get_tracer_provider()
        if isinstance(provider, ProxyTracerProvider):
            resource = Resource.create()
            if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
                resource = resource.merge(Resource({SERVICE_NAME: "rowhooks"}))
            # Not at the process' exit, which would wait as long as the collector pleases; see close().
            provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            # So that receivers' own spans go there too.
            trace.set_tracer_provider(provider)
        self._provider = provider
        self.tracer = provider.get_tracer("rowhooks", version("rowhooks"))
        self.open: dict[int, TracedExecution] = {}

    def execution(self, runner: Runner, run: Run, user: str) -> Execution:
        """Return a run that is traced."""
        return TracedExecution(self, runner, run, user)

    async def close(self) -> None:
        """End the spans of receivers that were left behind, and send what has not been sent."""
        for execution in list(self.open.values()):
            execution.leave_behind()
        # An application's own provider, other than the SDK's, may have nothing to flush.
        flush = getattr(self._provider, "force_flush", None)
        if flush is None:
            return
        # The SDK keeps to no time-out of ours (its issue 4568), and nobody may wait for a collector that is away.
        thread = threading.Thread(target=flush, args=(int(FLUSH_TIMEOUT * 1000),), name="spans", daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, FLUSH_TIMEOUT)
        if thread.is_alive():
            logger.warning("the last spans were not sent within %s s: see OTEL_EXPORTER_OTLP_ENDPOINT", FLUSH_TIMEOUT)


class TracedExecution(Execution):
    """A run with its span, which is the current one while the receiver's code runs, and is ended once.

    Args:
        tracing: where the span goes.
        runner: as for any execution.
        run: what is traced.
        user: whom it is for.
    """

    def __init__(self, tracing: Tracing, runner: Runner, run: Run, user: str) -> None:
        self._tracing = tracing
        self._span = tracing.tracer.start_span(
            run.job.name,
            # Nothing that this worker has done before is its parent.
            Context(), SpanKind.CONSUMER, attributes_of(run), list(links_of(run)),
        )  # fmt: skip
        self._context = set_span_in_context(self._span, Context())
        self._has_begun = False
        # An asynchronous receiver's code runs in a copy of the context in which its execution is made.
        token = context.attach(self._context)
        try:
            super().__init__(runner, run, user)
        finally:
            context.detach(token)
        tracing.open[id(self)] = self

    async def result(self, changed_object: Any, task: asyncio.Task[Any] | None = None) -> Outcome:
        """Run the receiver to its end."""
        self._has_begun = True
        try:
            outcome = await super().result(changed_object, task)
        except BaseException as error:
            self._end_by(error)
            raise
        return self._end(outcome)

    def attempt(self, changed_object: Any) -> Outcome | None:
        """Run a plain receiver once in this thread."""
        self._has_begun = True
        token = context.attach(self._context)
        try:
            outcome = super().attempt(changed_object)
        except BaseException as error:
            self._end_by(error)
            raise
        finally:
            context.detach(token)
        return outcome and self._end(outcome)

    async def pause(self) -> Any:
        """Wait before another attempt."""
        try:
            again = await super().pause()
        except BaseException as error:
            self._end_by(error)
            raise
        return self._end(again) if isinstance(again, Outcome) else again

    def abandon(self, error: BaseException) -> Outcome:
        """End the run from outside."""
        return self._end(super().abandon(error))

    def failed(self, error: BaseException) -> Outcome:
        """Return the outcome of a failure; before the receiver was called it is the last one."""
        outcome = super().failed(error)
        return outcome if self._has_begun else self._end(outcome)

    def leave_behind(self) -> None:
        """End the span of a receiver that has not ended with the daemon."""
        if self._may_end():
            self._span.set_status(StatusCode.ERROR, "the daemon stopped before the receiver ended")
            self._span.end()

    def _next_attempt(self, changed_object: Any) -> Steps:
        if self._tries:
            self._span.add_event("tried again", {"rowhooks.try": self._tries + 1})
        return super()._next_attempt(changed_object)

    def _end(self, outcome: Outcome) -> Outcome:
        if self._may_end():
            self._span.set_attribute("rowhooks.status", outcome.status)
            if outcome.exception_type is not None:
                self._fail(outcome.exception_type, None if self._run.sensitive else outcome.exception_message)
            self._span.end()
        return outcome

    def _end_by(self, error: BaseException) -> None:
        """End the span of a run that has no outcome: its connection or the lead was lost, or it was cancelled."""
        if self._may_end():
            self._fail(f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."), None)
            self._span.end()

    def _may_end(self) -> bool:
        """Say whether the span is to be ended, once: an abandoned receiver may end meanwhile in its thread."""
        return self._tracing.open.pop(id(self), None) is not None

    def _fail(self, kind: str, message: str | None) -> None:
        said = {} if message is None else {"exception.message": message}
        self._span.set_attribute("error.type", kind)
        self._span.add_event("exception", {"exception.type": kind, **said})
        self._span.set_status(StatusCode.ERROR, kind if message is None else f"{kind}: {message}")


def attributes_of(run: Run) -> dict[str, AttributeValue]:
    """Return what a span says about its run: no value of a row but what people call it, which logs say too."""
    attributes: dict[str, AttributeValue] = {
        "db.system.name": "postgresql",
        "rowhooks.run": run.id,
        "rowhooks.job": run.job.class_path,
        "rowhooks.hook" if isinstance(run.origin, JobHook) else "rowhooks.button": run.origin.name,
        "rowhooks.table": run.cause.changed_object_type,
        "rowhooks.action": run.cause.action,
        "rowhooks.attempt": run.attempt,
    }
    if isinstance(run, Batch):
        attributes["rowhooks.batch_size"] = len(run.runs)
        if len({one.cause.action for one in run.runs}) > 1:
            del attributes["rowhooks.action"]
        if len({one.cause.changed_object_type for one in run.runs}) > 1:
            del attributes["rowhooks.table"]
    elif run.object_repr is not None:
        attributes["rowhooks.object"] = run.object_repr
    return attributes


def links_of(run: Run) -> Iterator[Link]:
    """Yield a link to each span in which the application made the changes."""
    causes = [one.cause for one in run.runs] if isinstance(run, Batch) else [run.cause]
    # Changes of one transaction have one context.
    for text in dict.fromkeys(traceparent_in(getattr(cause, "change_context", None)) for cause in causes):
        if text is not None:
            carrier = TraceContextTextMapPropagator().extract({"traceparent": text}, Context())
            target = trace.get_current_span(carrier).get_span_context()
            if target.is_valid:
                yield Link(target)


def traceparent_in(change_context: str | None) -> str | None:
    """Return the W3C traceparent in what an application has set as rowhooks.context, or None."""
    found = _TRACEPARENT.search(change_context.strip()) if change_context else None
    return found[1] if found else None
