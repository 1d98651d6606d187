"""Health: how a daemon or a worker is. It listens to the events of the process, and is read from any thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rowhooks.domain.backlog import Backlog
from rowhooks.domain.events import (
    BacklogCounted,
    DaemonState,
    DeadlineMet,
    DeadlinesDropped,
    DeadlineSet,
    Events,
    LeadershipChanged,
)

_READY = (DaemonState.LEADING, DaemonState.STANDBY, DaemonState.WORKING)
_ENDING = (DaemonState.STOPPING, DaemonState.RELOADING)


def no_runs() -> tuple[int, int]:
    """Return how many runs wait and run in memory, where there are none."""
    return (0, 0)


def none_waits() -> Mapping[str, int]:
    """Return how many runs wait for a worker, by queue, where there are none."""
    return {}


@dataclass(frozen=True)
class BrokerState:
    """What is known of Celery's broker.

    Args:
        is_reachable: whether the last message was sent; None where there was none yet.
        unsent: how many groups went to workers without a message, because the broker was away or slow.
    """

    is_reachable: bool | None
    unsent: int


def no_broker() -> BrokerState | None:
    """Return nothing: there is no broker."""
    return None


class HealthState:
    """What is known of one daemon or worker, from its start on.

    Args:
        events: its own.
        in_memory: returns how many runs wait and run in memory.
        for_workers: returns how many runs in memory wait for a worker, by queue.
        broker: returns what is known of Celery's broker; None where the settings name none.
        waiting_limit: how many runs may wait for each job that the leader does not have.
        counts_backlog: whether to listen to the counts of the backlog; without a subscriber the leader does not count.
    """

    def __init__(
        self,
        events: Events,
        in_memory: Callable[[], tuple[int, int]] = no_runs,
        *,
        for_workers: Callable[[], Mapping[str, int]] = none_waits,
        broker: Callable[[], BrokerState | None] = no_broker,
        waiting_limit: int = 0,
        counts_backlog: bool = True,
    ) -> None:
        self.state = DaemonState.STARTING
        self.reason = ""
        self.backlog: Backlog | None = None
        self.in_memory = in_memory
        self.for_workers = for_workers
        self.broker = broker
        self.waiting_limit = waiting_limit
        self._deadlines: dict[str, float] = {}
        events.subscribe(LeadershipChanged, self._become)
        events.subscribe(DeadlineSet, self._set_deadline)
        events.subscribe(DeadlineMet, self._meet_deadline)
        events.subscribe(DeadlinesDropped, self._drop_deadlines)
        if counts_backlog:
            events.subscribe(BacklogCounted, self._note_backlog)

    def _become(self, event: LeadershipChanged) -> None:
        # A daemon that ends goes on saying so, whatever happens to its connections meanwhile.
        if self.state in _ENDING and event.state not in _ENDING:
            return
        self.state, self.reason = event.state, event.reason
        if event.state != DaemonState.LEADING:
            self.backlog = None

    def _set_deadline(self, event: DeadlineSet) -> None:
        self._deadlines[event.what] = time.monotonic() + event.seconds

    def _meet_deadline(self, event: DeadlineMet) -> None:
        self._deadlines.pop(event.what, None)

    def _drop_deadlines(self, _: DeadlinesDropped) -> None:
        self._deadlines.clear()

    def _note_backlog(self, event: BacklogCounted) -> None:
        self.backlog = event.backlog

    @property
    def overdue(self) -> str | None:
        """What should have been done by now, so that the daemon is wedged; None where nothing is overdue."""
        moment = time.monotonic()
        return next((what for what, deadline in list(self._deadlines.items()) if deadline < moment), None)

    @property
    def is_ready(self) -> bool:
        """Whether the daemon leads or stands by, or the worker takes runs."""
        return self.state in _READY

    def __str__(self) -> str:
        """Say it in a line."""
        if self.state != DaemonState.LEADING:
            return f"{self.state}: {self.reason}" if self.reason else str(self.state)
        waiting, running = self.in_memory()
        parts = [str(self.state)]
        if self.backlog is not None:
            behind = f", the oldest {self.backlog.lag:.1f} s old" if self.backlog.changes else ""
            parts.append(f"backlog {self.backlog.changes:,} changes{behind}")
        parts.append(f"{running:,} runs, {waiting:,} wait")
        broker = self.broker()
        if broker is not None and broker.is_reachable is False:
            parts.append("the Celery broker cannot be reached")
        return "; ".join(parts)
