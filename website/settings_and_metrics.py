"""The pages about the settings, from their descriptions, and about the metrics, from the daemon's own collector."""

from __future__ import annotations

import json
from collections.abc import Iterator

from prometheus_client import Metric

from rowhooks.domain.backlog import Backlog
from rowhooks.domain.events import DaemonState, Events, LeadershipChanged
from rowhooks.observability.health import BrokerState, HealthState
from rowhooks.observability.metrics import Counters, DaemonCollector
from rowhooks.settings import Settings
from rowhooks.web.settings import ConsoleSettings
from website.markdown import escaped

MODELS = (
    ("The daemon and the commands", Settings, "ROWHOOKS_"),
    ("The console", ConsoleSettings, "ROWHOOKS_CONSOLE_"),
)
_SUFFIXES = {"counter": "_total", "info": "_info"}


def settings() -> Iterator[str]:
    """Yield the parts of the page about the settings."""
    yield "# All settings"
    yield "Where settings come from, and what they mean in practice: [settings](../settings.md). Times are in seconds."
    for title, model, prefix in MODELS:
        yield f"## {title}"
        lines = ["| setting | in the environment | default | meaning |", "| --- | --- | --- | --- |"]
        for name, field in model.model_fields.items():
            if not field.exclude:
                default = field.get_default(call_default_factory=True)
                written = json.dumps(default) if isinstance(default, tuple) else default
                shown = "" if default in ("", None, (), {}) else f"`{written}`"
                meaning = escaped(field.description or "")
                lines.append(f"| `{name}` | `{prefix}{name.upper()}` | {shown} | {meaning} |")
        yield "\n".join(lines)


def metrics() -> Iterator[str]:
    """Yield the parts of the page about the metrics."""
    yield "# All metrics"
    yield "What `/metrics` says of each metric. More about them: [health and metrics](../monitoring.md)."
    lines = ["| metric | type | meaning |", "| --- | --- | --- |"]
    for family in families():
        name = f"{family.name}{_SUFFIXES.get(family.type, '')}"
        lines.append(f"| `{name}` | {family.type} | {escaped(family.documentation)} |")
    yield "\n".join(lines)


def families() -> list[Metric]:
    """Return the metrics of a daemon that leads, with a broker, and has counted what waits in the database."""
    events = Events()
    health, counters = HealthState(events, broker=lambda: BrokerState(is_reachable=True, unsent=0)), Counters(events)
    events.publish(LeadershipChanged(DaemonState.LEADING))
    health.backlog = Backlog(
        changes=0, lag=0.0, newest_id=0, unfinished={}, log_bytes=0, partitions=0, missing={}, not_kept=0,
        notification_queue=0.0,
    )  # fmt: skip
    return list(DaemonCollector(health, counters).collect())
