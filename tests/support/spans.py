"""Questions to the spans that were exported."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def one(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = named(spans, name)
    return span


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def is_child(spans: InMemorySpanExporter, name: str, parent: ReadableSpan) -> bool:
    child = one(spans, name)
    return child.parent is not None and (child.parent.trace_id, child.parent.span_id) == (
        parent.context.trace_id,
        parent.context.span_id,
    )


def failure(span: ReadableSpan) -> tuple[StatusCode, str | None, list[dict[str, Any]]]:
    events = [dict(event.attributes or {}) for event in span.events if event.name == "exception"]
    return span.status.status_code, span.status.description, events
