"""Results: what the measurements return, as frozen values. Pure, no I/O."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Series:
    """One figure, measured once a round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The lowest round."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The highest round."""
        return max(self.values)

    def over(self, other: Series) -> Series:
        """Return this series divided by another, round by round: what disturbs a round disturbs both."""
        return Series(tuple(ours / theirs for ours, theirs in zip(self.values, other.values, strict=True)))

    def as_json(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {"median": self.median, "low": self.low, "high": self.high, "rounds": list(self.values)}


@dataclass(frozen=True)
class Cost:
    """What tracking a table costs one way of writing to it.

    Args:
        name: the way of writing.
        unit: `tps` (more is better) or `s` (less is better).
        untracked: the figure on a table without triggers.
        tracked: the figure on an equal table with triggers.
    """

    name: str
    unit: str
    untracked: Series
    tracked: Series

    @property
    def ratio(self) -> Series:
        """Tracked / untracked, of the same round."""
        return self.tracked.over(self.untracked)

    def as_json(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "untracked": self.untracked.as_json(),
            "tracked": self.tracked.as_json(),
            "ratio": self.ratio.as_json(),
        }


@dataclass(frozen=True)
class Drain:
    """How fast a backlog is dealt with.

    Args:
        receiver: which receiver the changes start.
        changes: length of the backlog.
        rate: changes a second, from the daemon's being ready to the position's being behind the last change.
    """

    receiver: str
    changes: int
    rate: Series

    def as_json(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {"receiver": self.receiver, "changes": self.changes, "changes_per_second": self.rate.as_json()}


@dataclass(frozen=True)
class Percentiles:
    """A distribution of times, in seconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: list[float]) -> Self:
        """Return the percentiles of at least two values (linear interpolation between neighbours)."""
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        return cls(cuts[49], cuts[94], cuts[98])

    def as_json(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {"p50_s": self.p50, "p95_s": self.p95, "p99_s": self.p99}


@dataclass(frozen=True)
class Latency:
    """How soon a receiver starts.

    Args:
        changes: how many were measured.
        after_commit: from the moment the writer knew of its COMMIT.
        from_commit: from the moment the writer sent its COMMIT; holds the server's flush of the log as well.
    """

    changes: int
    after_commit: Percentiles
    from_commit: Percentiles

    def as_json(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "changes": self.changes,
            "after_commit": self.after_commit.as_json(),
            "from_commit": self.from_commit.as_json(),
        }


@dataclass(frozen=True)
class Report:
    """Everything one run of the benchmark has found."""

    server: str
    costs: tuple[Cost, ...]
    drains: tuple[Drain, ...]
    latency: Latency

    def as_json(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "server": self.server,
            "capture": [cost.as_json() for cost in self.costs],
            "drain": [drain.as_json() for drain in self.drains],
            "latency": self.latency.as_json(),
        }
