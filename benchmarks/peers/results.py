"""Results: what the measurements of peers return, as frozen values. Pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from benchmarks.results import Cost, Drain, Percentiles, Series


@dataclass(frozen=True)
class Flow:
    """What comes through while clients write and one worker runs.

    Args:
        name: whose worker.
        clients: how many write at once.
        written: changes a second that the clients wrote.
        handled: changes a second that were also handled in the same time; what still waited at its end is not.
    """

    name: str
    clients: int
    written: Series
    handled: Series

    def as_json(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "name": self.name,
            "clients": self.clients,
            "written_per_second": self.written.as_json(),
            "handled_per_second": self.handled.as_json(),
        }


@dataclass(frozen=True)
class Times:
    """Percentiles of times, and the longest one, in seconds."""

    percentiles: Percentiles
    longest: float

    @classmethod
    def of(cls, values: list[float]) -> Self:
        """Sum up at least two values."""
        return cls(Percentiles.of(values), max(values))

    def as_json(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {**self.percentiles.as_json(), "max_s": self.longest}


@dataclass(frozen=True)
class Delay:
    """How soon after a COMMIT something begins elsewhere, on a system that does nothing else.

    Args:
        name: whose job, or what else.
        changes: how many were measured.
        after_commit: from the moment the writer knew of its COMMIT.
        from_commit: from the moment the writer sent its COMMIT; holds the server's flush of the log as well.
    """

    name: str
    changes: int
    after_commit: Times
    from_commit: Times

    def as_json(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "name": self.name,
            "changes": self.changes,
            "after_commit": self.after_commit.as_json(),
            "from_commit": self.from_commit.as_json(),
        }


@dataclass(frozen=True)
class PeersReport:
    """Everything that one run has found about the peers.

    Args:
        server: version and settings of the server.
        settings: peer -> its version and the settings that were used.
        unavailable: peer -> why it was not measured.
        writes: what each peer's trigger costs a writer; `tracked` is the table with the peer's trigger.
        flows: writers and a worker at once.
        drains: how fast each peer's worker deals with a backlog.
        delays: how soon after a COMMIT each peer's job begins.
        notify_round_trip: asyncpg's LISTEN and NOTIFY without a queue, from sending to hearing.
    """

    server: str
    settings: dict[str, str]
    unavailable: dict[str, str]
    writes: tuple[Cost, ...]
    flows: tuple[Flow, ...]
    drains: tuple[Drain, ...]
    delays: tuple[Delay, ...]
    notify_round_trip: Times

    def as_json(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "server": self.server,
            "settings": self.settings,
            "unavailable": self.unavailable,
            "writes": [cost.as_json() for cost in self.writes],
            "flows": [flow.as_json() for flow in self.flows],
            "drains": [drain.as_json() for drain in self.drains],
            "delays": [delay.as_json() for delay in self.delays],
            "notify_round_trip": self.notify_round_trip.as_json(),
        }
