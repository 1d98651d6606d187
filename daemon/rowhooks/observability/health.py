"""Vitals: how the daemon is. Written on the event loop, read from any thread; plain numbers, which cost nothing."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from rowhooks.domain.backlog import Backlog

STARTING, STANDBY, LEADING, WAITING, STOPPING, RELOADING = (
    "starting", "standing by", "leading", "waiting for the database", "stopping", "reloading",
)  # fmt: skip
"""What a daemon can be doing."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
"""Upper bounds of the durations of runs that are counted together, in seconds."""


@dataclass
class Durations:
    """How long the finished runs of a job took: how many up to each bound, and beyond the last; the sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0


def nothing() -> tuple[int, int]:
    """Return how many runs wait and run in memory, where there are none."""
    return (0, 0)


class HealthState:
    """What is known of one daemon, from its start on.

    Whoever does something that must come to an end promises when, at the latest; a promise that is not kept means that
    the daemon is wedged.
    """

    def __init__(self) -> None:
        self.state = STARTING
        self.trouble = ""
        self.delivered = self.reconnects = self.rings = self.errors = 0
        self.runs: Counter[tuple[str, str]] = Counter()
        self.durations: dict[str, Durations] = {}
        self.retries: Counter[str] = Counter()
        self.in_memory: Callable[[], tuple[int, int]] = nothing
        self.backlog: Backlog | None = None
        self.is_watched = False
        self.waiting_limit = 0
        self._promises: dict[str, float] = {}
        self.changed: Callable[[], None] = lambda: None

    def become(self, state: str, trouble: str = "") -> None:
        """Note what the daemon does now, and what troubles it."""
        if self.state in (STOPPING, RELOADING) and state not in (STOPPING, RELOADING):
            return
        self.state, self.trouble = state, trouble
        if state != LEADING:
            self.backlog = None
        self.changed()

    def count(self, job: str, status: str, seconds: float) -> None:
        """Count a finished run of a job, and how long it took."""
        self.runs[job, status] += 1
        durations = self.durations.get(job)
        if durations is None:
            durations = self.durations.setdefault(job, Durations())
        durations.counts[bisect_left(BUCKETS, seconds)] += 1
        durations.total += seconds

    def count_error(self) -> None:
        """Count an error of rowhooks' own."""
        self.errors += 1

    def promise(self, what: str, seconds: float) -> None:
        """Promise that something is done, or promised again, within so many seconds."""
        self._promises[what] = time.monotonic() + seconds

    def keep(self, what: str) -> None:
        """Note that it is done."""
        self._promises.pop(what, None)

    def release(self) -> None:
        """Take all promises back: what they were about has ended."""
        self._promises.clear()

    def end_of_lead(self) -> None:
        """Forget what a lead has promised, and what it had in memory."""
        self.release()
        self.in_memory = nothing

    def broken_promise(self) -> str | None:
        """Return what should have been done by now; None where all is well."""
        moment = time.monotonic()
        return next((what for what, deadline in list(self._promises.items()) if deadline < moment), None)

    @property
    def is_ready(self) -> bool:
        """Whether it leads or stands by."""
        return self.state in (LEADING, STANDBY)

    def __str__(self) -> str:
        """Say it in a line."""
        if self.state != LEADING:
            return f"{self.state}: {self.trouble}" if self.trouble else self.state
        waiting, running = self.in_memory()
        parts = [self.state]
        if self.backlog is not None:
            behind = f", the oldest {self.backlog.lag:.1f} s old" if self.backlog.backlog else ""
            parts.append(f"backlog {self.backlog.backlog:,} changes{behind}")
        return "; ".join([*parts, f"{running:,} runs, {waiting:,} wait"])
