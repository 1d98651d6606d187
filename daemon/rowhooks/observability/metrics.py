"""Metrics: the daemon's vitals as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from rowhooks.observability.health import BUCKETS, LEADING, HealthState


def registry(health: HealthState) -> CollectorRegistry:
    """Return a registry with a daemon's vitals and its process' memory, CPU time and files."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    made.register(HealthCollector(health))
    return made


class HealthCollector(Collector):
    """Makes the metrics out when they are asked for."""

    def __init__(self, health: HealthState) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """Return all metrics; those about the database only where this daemon leads and has counted."""
        health = self._health
        yield InfoMetricFamily("rowhooks", "The daemon.", {"version": version("rowhooks")})
        yield _gauge("leader", "Whether this daemon leads.", health.state == LEADING)
        yield _gauge("ready", "Whether this daemon leads or stands by.", health.is_ready)
        yield _gauge(
            "wedged", "Whether something is overdue, so that the watchdog is not fed.", bool(health.broken_promise())
        )
        yield _counter(
            "reconnects", "Leads and waits for it that ended by a lost connection or lead.", health.reconnects
        )
        yield _counter(
            "internal_errors",
            "Errors of rowhooks' own: each has ended a run, or a lead, and is in the log.",
            health.errors,
        )
        yield _counter("bell_rings", "Notifications that were received.", health.rings)
        yield _counter("changes_delivered", "Changes that this daemon has read and matched.", health.delivered)
        waiting, running = health.in_memory()
        yield _gauge("runs_waiting", "Runs in memory that wait for their turn.", waiting)
        yield _gauge("runs_running", "Receivers that run at this moment.", running)
        yield self._runs()
        yield self._durations()
        retries = CounterMetricFamily("rowhooks_retries", "Attempts that failed and are retried.", labels=["receiver"])
        for job, count in list(health.retries.items()):
            retries.add_metric([job], count)
        yield retries
        yield from self._backlog()

    def _runs(self) -> Metric:
        runs = CounterMetricFamily(
            "rowhooks_runs", "Runs that have ended, with their results on record.", labels=["receiver", "status"]
        )
        for (job, status), count in list(self._health.runs.items()):
            runs.add_metric([job, status], count)
        return runs

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "rowhooks_run_duration_seconds",
            "From the start of a run to its end, with its retries' last attempt.",
            labels=["receiver"],
        )
        for job, durations in list(self._health.durations.items()):
            buckets, so_far = [], 0
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), durations.counts, strict=True):
                so_far += count
                buckets.append((bound, float(so_far)))
            family.add_metric([job], buckets, durations.total)
        return family

    def _backlog(self) -> Iterator[Metric]:
        health = self._health
        backlog = health.backlog
        if backlog is None:
            return
        yield _gauge("backlog_changes", "Changes that have not been dealt with.", backlog.backlog)
        yield _gauge("backlog_seconds", "Age of the oldest change that has not been dealt with.", backlog.lag)
        yield _counter(
            "changes_captured",
            "Id of the newest change in the log; ids of rolled-back changes count.",
            backlog.captured,
        )
        unfinished = GaugeMetricFamily(
            "rowhooks_runs_unfinished", "Runs on record that have not ended.", labels=["status"]
        )
        for status in ("PENDING", "STARTED", "RETRY"):
            unfinished.add_metric([status], backlog.unfinished.get(status, 0))
        yield unfinished
        yield _gauge("runs_parked", "Runs that wait for their retry.", backlog.unfinished.get("RETRY", 0))
        missing = GaugeMetricFamily(
            "rowhooks_runs_without_receiver",
            "Runs that are kept for a receiver which this daemon does not have, until one leads that has it.",
            labels=["receiver"],
        )
        for job, count in backlog.missing.items():
            missing.add_metric([job], count)
        yield missing
        yield _gauge("runs_without_receiver_limit", "So many are kept for each (waiting_limit).", health.waiting_limit)
        yield _gauge(
            "changes_not_kept", "Changes beyond that limit which were not kept, and not replayed since.", backlog.missed
        )
        yield _gauge("log_bytes", "Size of the log with its indexes.", backlog.log_bytes)
        yield _gauge("log_partitions", "Partitions of the log.", backlog.partitions)
        yield _gauge(
            "notification_queue_usage_ratio",
            "How full the server's notification queue is; half full, nobody rings any more.",
            backlog.notification_queue,
        )


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"rowhooks_{name}", what, value)


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(f"rowhooks_{name}", what, value)
