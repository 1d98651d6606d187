"""The events of a daemon, and what listens to them: its health and the counters of its metrics."""

from __future__ import annotations

from datetime import timedelta

from rowhooks.domain.backlog import Backlog
from rowhooks.domain.events import BacklogCounted, DaemonState, DeadlineSet, Events, LeadershipChanged, RunEnded
from rowhooks.domain.run import Outcome
from rowhooks.observability.health import BrokerState, HealthState
from rowhooks.observability.metrics import Counters
from tests.support.make import NOON, hook, job, run

BACKLOG = Backlog(
    changes=1200,
    lag=3.25,
    newest_id=77,
    unfinished={"RETRY": 2, "PENDING": 5},
    log_bytes=8192,
    partitions=3,
    workers={"reports": 2},
    groups={"reports": 3},
)
RUN = run(origin=hook(job=job(class_path="acme.Sync")))


class Observed:
    """A daemon, as far as it publishes."""

    def __init__(self) -> None:
        self.events = Events()
        self.broker: BrokerState | None = BrokerState(is_reachable=True, unsent=5)
        self.health = HealthState(
            self.events, lambda: (7, 1), for_workers=lambda: {"reports": 4}, broker=lambda: self.broker
        )
        self.counters = Counters(self.events)

    def become(self, state: DaemonState, reason: str = "") -> None:
        """Publish another state."""
        self.events.publish(LeadershipChanged(state, reason))

    def set_deadline(self, what: str, seconds: float) -> None:
        """Publish a deadline."""
        self.events.publish(DeadlineSet(what, seconds))

    def end_run(self, status: str, seconds: float) -> None:
        """Publish that a run has ended, which took so long."""
        self.events.publish(RunEnded(Outcome(RUN, status, NOON, NOON + timedelta(seconds=seconds))))


def leading() -> Observed:
    """Return a daemon that leads and has counted the backlog."""
    daemon = Observed()
    daemon.become(DaemonState.LEADING)
    daemon.events.publish(BacklogCounted(BACKLOG))
    return daemon
