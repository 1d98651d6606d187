"""Metrics: the daemon's events are counted here, and read by Prometheus together with its health."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from rowhooks import __version__
from rowhooks.domain.events import (
    BellRung,
    DaemonState,
    Events,
    FeedRead,
    InternalErrorOccurred,
    LeadershipChanged,
    RunEnded,
    RunFailed,
    RunLost,
)
from rowhooks.domain.run import RETRY
from rowhooks.observability.health import HealthState

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
"""Upper bounds of the durations of runs that are counted together, in seconds."""


@dataclass
class Durations:
    """How long the ended runs of a job took: how many up to each bound, and beyond the last; the sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0


class Counters:
    """Counts a daemon's events in plain numbers, which any thread may read.

    They are added to on the event loop.

    Args:
        events: those of the daemon.
    """

    def __init__(self, events: Events) -> None:
        self.changes = self.reconnects = self.rings = self.errors = 0
        self.runs: Counter[tuple[str, str]] = Counter()
        self.durations: dict[str, Durations] = {}
        self.retries: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        events.subscribe(FeedRead, self._count_changes)
        events.subscribe(BellRung, self._count_ring)
        events.subscribe(InternalErrorOccurred, self._count_error)
        events.subscribe(LeadershipChanged, self._count_reconnect)
        events.subscribe(RunEnded, self._count_run)
        events.subscribe(RunFailed, self._count_retry)
        events.subscribe(RunLost, self._count_lost)

    def _count_changes(self, event: FeedRead) -> None:
        self.changes += event.changes

    def _count_ring(self, _: BellRung) -> None:
        self.rings += 1

    def _count_error(self, _: InternalErrorOccurred) -> None:
        self.errors += 1

    def _count_reconnect(self, event: LeadershipChanged) -> None:
        self.reconnects += event.state == DaemonState.WAITING

    def _count_run(self, event: RunEnded) -> None:
        outcome = event.outcome
        job = outcome.run.job.class_path
        if outcome.finished_at is None or outcome.started_at is None:
            return
        self.runs[job, outcome.status] += 1
        self._count_duration(job, (outcome.finished_at - outcome.started_at).total_seconds())

    def _count_retry(self, event: RunFailed) -> None:
        # RunRetried is published where the run is executed, which may be in another process.
        run = event.outcome.run
        if event.outcome.status == RETRY:
            self.retries[run.job.class_path] += len(run.singles)

    def _count_lost(self, event: RunLost) -> None:
        self.lost[event.run.job.class_path] += len(event.run.singles)

    def _count_duration(self, job: str, seconds: float) -> None:
        durations = self.durations.get(job)
        if durations is None:
            durations = self.durations.setdefault(job, Durations())
        durations.counts[bisect_left(BUCKETS, seconds)] += 1
        durations.total += seconds


def registry(health: HealthState, counters: Counters) -> CollectorRegistry:
    """Return a registry with a daemon's metrics and its process' memory, CPU time and files."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    made.register(DaemonCollector(health, counters))
    return made


class DaemonCollector(Collector):
    """Makes the metrics when Prometheus asks for them."""

    def __init__(self, health: HealthState, counters: Counters) -> None:
        self._health = health
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """Return all metrics; those of the database only where this daemon leads and has counted."""
        yield InfoMetricFamily("rowhooks", "The daemon.", {"version": __version__})
        yield from self._state()
        yield from self._events()
        yield self._runs()
        yield self._durations()
        yield self._retries()
        yield self._lost()
        yield self._for_workers()
        yield from self._broker()
        yield from self._backlog()

    def _state(self) -> Iterator[Metric]:
        health = self._health
        yield _gauge("leader", "Whether this daemon leads.", health.state == DaemonState.LEADING)
        yield _gauge("ready", "Whether this daemon leads or stands by.", health.is_ready)
        yield _gauge("wedged", "Whether something is overdue, so that the watchdog is not fed.", bool(health.overdue))
        waiting, running = health.in_memory()
        yield _gauge("runs_waiting", "Runs in memory that wait for their turn.", waiting)
        yield _gauge("runs_running", "Receivers that run at this moment.", running)

    def _events(self) -> Iterator[Metric]:
        counters = self._counters
        yield _counter(
            "reconnects", "Leaderships, and waits for one, that a lost connection or another error has ended.",
            counters.reconnects,
        )  # fmt: skip
        yield _counter(
            "internal_errors", "Errors of rowhooks itself: each has ended a run or a leadership, and is in the log.",
            counters.errors,
        )  # fmt: skip
        yield _counter("bell_rings", "Notifications that were received.", counters.rings)
        yield _counter("changes_read", "Changes that this daemon has read and matched.", counters.changes)

    def _runs(self) -> Metric:
        runs = CounterMetricFamily(
            "rowhooks_runs", "Runs that have ended, with their results on record.", labels=["receiver", "status"]
        )
        for (job, status), count in list(self._counters.runs.items()):
            runs.add_metric([job, status], count)
        return runs

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "rowhooks_run_duration_seconds", "From the start of a run's last attempt to its end.", labels=["receiver"]
        )
        for job, durations in list(self._counters.durations.items()):
            buckets, so_far = [], 0
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), durations.counts, strict=True):
                so_far += count
                buckets.append((bound, float(so_far)))
            family.add_metric([job], buckets, durations.total)
        return family

    def _retries(self) -> Metric:
        retries = CounterMetricFamily("rowhooks_retries", "Attempts that failed and are retried.", labels=["receiver"])
        for job, count in list(self._counters.retries.items()):
            retries.add_metric([job], count)
        return retries

    def _lost(self) -> Metric:
        lost = CounterMetricFamily(
            "rowhooks_runs_lost", "Attempts that were lost with the worker that executed them.", labels=["receiver"]
        )
        for job, count in list(self._counters.lost.items()):
            lost.add_metric([job], count)
        return lost

    def _for_workers(self) -> Metric:
        return _by_queue(
            "runs_waiting_for_worker", "Runs in memory that wait for a worker of their queue.",
            self._health.for_workers(),
        )  # fmt: skip

    def _broker(self) -> Iterator[Metric]:
        broker = self._health.broker()
        # A daemon that does not lead sends no message, and one that has sent none knows nothing.
        if broker is None or self._health.state != DaemonState.LEADING:
            return
        if broker.is_reachable is not None:
            yield _gauge(
                "celery_broker_reachable", "Whether Celery's broker has taken the last message.", broker.is_reachable
            )
        yield _counter(
            "celery_messages_unsent", "Groups of runs of which no message told Celery's workers: the broker was away or"
            " slow. Workers have found them by themselves.", broker.unsent,
        )  # fmt: skip

    def _backlog(self) -> Iterator[Metric]:
        backlog = self._health.backlog
        if backlog is None:
            return
        yield _gauge("backlog_changes", "Changes that have not been dealt with.", backlog.changes)
        yield _gauge("backlog_seconds", "Age of the oldest change that has not been dealt with.", backlog.lag)
        yield _counter(
            "changes_captured",
            "Id of the newest change in the log; ids of rolled-back changes count.",
            backlog.newest_id,
        )
        unfinished = GaugeMetricFamily(
            "rowhooks_runs_unfinished", "Runs on record that have not ended.", labels=["status"]
        )
        for status in ("PENDING", "STARTED", "RETRY"):
            unfinished.add_metric([status], backlog.unfinished.get(status, 0))
        yield unfinished
        missing = GaugeMetricFamily(
            "rowhooks_runs_without_receiver",
            "Runs that are kept for a receiver which this daemon does not have, until a leader has it.",
            labels=["receiver"],
        )
        for job, count in backlog.missing.items():
            missing.add_metric([job], count)
        yield missing
        yield _gauge(
            "runs_without_receiver_limit", "How many are kept for each (waiting_limit).", self._health.waiting_limit
        )
        yield _gauge(
            "changes_not_kept", "Changes beyond that limit: they were not kept, and have not been replayed since.",
            backlog.not_kept,
        )  # fmt: skip
        yield _by_queue("workers", "Connected workers that take runs of a queue.", backlog.workers)
        yield _by_queue("groups", "Groups of runs that workers have, or that are on their way to them.", backlog.groups)
        yield _gauge("log_bytes", "Size of the log with its indexes.", backlog.log_bytes)
        yield _gauge("log_partitions", "Partitions of the log.", backlog.partitions)
        yield _gauge(
            "notification_queue_usage_ratio",
            "How full the server's notification queue is; from one half on, the bell is not rung.",
            backlog.notification_queue,
        )


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(f"rowhooks_{name}", what, value)


def _by_queue(name: str, what: str, numbers: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(f"rowhooks_{name}", what, labels=["queue"])
    for queue, number in sorted(numbers.items()):
        family.add_metric([queue], number)
    return family


def _counter(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(f"rowhooks_{name}", what, value)
