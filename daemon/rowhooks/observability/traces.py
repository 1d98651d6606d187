"""Traces: one OpenTelemetry span a run, linked to what made the change. It listens to the events of runs.

It needs the extra `otel`. A daemon and a worker alone import it, and only where the setting `traces` is on.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Iterator
from contextvars import Token

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, ProxyTracerProvider, Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from rowhooks import __version__
from rowhooks.domain.configuration import JobHook
from rowhooks.domain.events import AttemptEnded, AttemptStarted, Events, RunExecuted, RunStarted
from rowhooks.domain.run import Run

logger = logging.getLogger(__name__)

FLUSH_TIMEOUT = 5.0
"""Seconds that the last spans have at a stop."""

# A change's context may be a traceparent (W3C Trace Context, 3.2), or JSON or key=value text that holds one.
_TRACEPARENT = re.compile(
    r"""(?:^|\btraceparent["']?\s*[=:]\s*["']?)([0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})(?![0-9a-f])"""
)


class Tracing:
    """Makes one span a run. It is the current span while the receiver's code runs.

    Spans go to the provider that a receivers' module has set up, else by OTLP over HTTP. The exporter is set up by
    OpenTelemetry's own environment variables.

    Args:
        events: those of the daemon or the worker.
    """

    def __init__(self, events: Events) -> None:
        provider = trace.get_tracer_provider()
        if isinstance(provider, ProxyTracerProvider):
            resource = Resource.create()
            if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
                resource = resource.merge(Resource({SERVICE_NAME: "rowhooks"}))
            # Its own shutdown at the process' exit would wait as long as the collector pleases; see close().
            provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            # So that receivers' own spans go there too.
            trace.set_tracer_provider(provider)
        self._provider = provider
        self._tracer = provider.get_tracer("rowhooks", __version__)
        # By the identity of the run, which is the same object in all its events.
        self._spans: dict[int, Span] = {}
        self._tokens: dict[int, Token[Context]] = {}
        events.subscribe(RunStarted, self._start)
        events.subscribe(AttemptStarted, self._enter)
        events.subscribe(AttemptEnded, self._leave)
        events.subscribe(RunExecuted, self._end)

    def _start(self, event: RunStarted) -> None:
        run = event.run
        self._spans[id(run)] = self._tracer.start_span(
            run.job.name,
            # Nothing that this worker has done before is its parent.
            Context(), SpanKind.CONSUMER, attributes_of(run), list(links_of(run)),
        )  # fmt: skip

    def _enter(self, event: AttemptStarted) -> None:
        span = self._spans.get(id(event.run))
        if span is None:
            return
        self._tokens[id(event.run)] = context.attach(set_span_in_context(span, Context()))
        if event.number > 1:
            span.add_event("transient retry", {"rowhooks.try": event.number})

    def _leave(self, event: AttemptEnded) -> None:
        token = self._tokens.pop(id(event.run), None)
        if token is not None:
            context.detach(token)

    def _end(self, event: RunExecuted) -> None:
        span = self._spans.pop(id(event.run), None)
        if span is None:
            return
        outcome, error = event.outcome, event.error
        if outcome is not None:
            span.set_attribute("rowhooks.status", outcome.status)
            if outcome.exception_type is not None:
                _fail(span, outcome.exception_type, None if event.run.sensitive else outcome.exception_message)
        elif error is not None:
            _fail(span, f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins."), None)
        span.end()

    async def close(self) -> None:
        """End the spans of receivers that were left behind, and send what has not been sent."""
        for key in list(self._spans):
            # A receiver may end meanwhile, in its thread.
            span = self._spans.pop(key, None)
            if span is not None:
                span.set_status(StatusCode.ERROR, "the process stopped before the receiver ended")
                span.end()
        # An application's own provider, other than the SDK's, may have nothing to flush.
        flush = getattr(self._provider, "force_flush", None)
        if flush is None:
            return
        # The SDK does not keep to its time-out (its issue 4568), and the daemon must not wait for an absent collector.
        thread = threading.Thread(target=flush, args=(int(FLUSH_TIMEOUT * 1000),), name="spans", daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, FLUSH_TIMEOUT)
        if thread.is_alive():
            logger.warning("the last spans were not sent within %s s: see OTEL_EXPORTER_OTLP_ENDPOINT", FLUSH_TIMEOUT)


def _fail(span: Span, kind: str, message: str | None) -> None:
    attributes = {"exception.type": kind}
    if message is not None:
        attributes["exception.message"] = message
    span.set_attribute("error.type", kind)
    span.add_event("exception", attributes)
    span.set_status(StatusCode.ERROR, kind if message is None else f"{kind}: {message}")


def attributes_of(run: Run) -> dict[str, AttributeValue]:
    """Return what a span says about its run. Of the row it has only what people call it, as the logs have."""
    attributes: dict[str, AttributeValue] = {
        "db.system.name": "postgresql",
        "rowhooks.run": run.id,
        "rowhooks.job": run.job.class_path,
        "rowhooks.hook" if isinstance(run.origin, JobHook) else "rowhooks.button": run.origin.name,
        "rowhooks.table": run.cause.changed_object_type,
        "rowhooks.action": run.cause.action,
        "rowhooks.attempt": run.attempt,
    }
    if run.batch:
        attributes["rowhooks.batch_size"] = len(run.batch)
        if len({one.cause.action for one in run.batch}) > 1:
            del attributes["rowhooks.action"]
        if len({one.cause.changed_object_type for one in run.batch}) > 1:
            del attributes["rowhooks.table"]
    elif run.object_repr is not None:
        attributes["rowhooks.object"] = run.object_repr
    return attributes


def links_of(run: Run) -> Iterator[Link]:
    """Yield a link to each span in which the application made the changes."""
    causes = [one.cause for one in run.singles]
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
