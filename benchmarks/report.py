"""Report: everything one run has found, and its form as JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from benchmarks.peer_results import BesidePgQ, PeerFigures
from benchmarks.plan import Plan
from benchmarks.results import (
    Cost,
    Drain,
    Grown,
    Latencies,
    Memory,
    PageTime,
    Parked,
    Single,
    Starting,
    WorkersFound,
)


@dataclass(frozen=True)
class Machine:
    """What the benchmark ran on.

    Args:
        cpu: the processor's model.
        cores: how many of them this process may use.
        memory: bytes.
        kernel: name and release.
    """

    cpu: str
    cores: int
    memory: int
    kernel: str


@dataclass(frozen=True)
class Report:
    """Everything one run of the benchmark has found. What was not measured is None or empty.

    Args:
        date: when it began, as ISO 8601 with the time zone.
        machine: what it ran on.
        versions: programs and packages to their versions.
        settings: the server's settings to their values.
        plan: the sizes.
        peers: other queues, beside us in the tables.
        beside_pgq: rowhooks and PgQ on a server of their own.
        absent: other queues that were not measured, and why.
        failures: what could not be measured, and why.
        loops: seconds of a loop in Python, before and after each measurement, see `machine.seconds_of_a_loop`.
        took: measurement -> seconds.
    """

    date: str
    machine: Machine
    versions: dict[str, str]
    settings: dict[str, str]
    plan: Plan
    single: Single | None = None
    bulk: tuple[Cost, ...] = ()
    drains: tuple[Drain, ...] = ()
    parked: Parked | None = None
    latency: Latencies | None = None
    history: tuple[Grown, ...] = ()
    hooks: tuple[Grown, ...] = ()
    memory: tuple[Memory, ...] = ()
    starting: Starting | None = None
    console: tuple[PageTime, ...] = ()
    workers: WorkersFound | None = None
    peers: tuple[PeerFigures, ...] = ()
    beside_pgq: BesidePgQ | None = None
    absent: dict[str, str] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    loops: tuple[float, ...] = ()
    took: dict[str, float] = field(default_factory=dict)

    def with_found(self, found: dict[str, Any]) -> Report:
        """Return the report with what one measurement has found; of the absent, several may tell."""
        return dataclasses.replace(self, **{**found, "absent": {**self.absent, **found.get("absent", {})}})

    def as_json(self) -> dict[str, Any]:
        """Return everything for JSON, with what follows from the figures (medians, ratios) beside them."""
        found = _plain(self)
        assert isinstance(found, dict)
        return found

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Report:
        """Return what `as_json` was made of.

        Raises:
            pydantic.ValidationError: it is no report, or one of another version of the benchmark.
        """
        return TypeAdapter(cls).validate_python(found)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        derived = [name for name, kind in vars(type(value)).items() if isinstance(kind, property)]
        return {name: _plain(getattr(value, name)) for name in (*(f.name for f in dataclasses.fields(value)), *derived)}
    if isinstance(value, tuple):
        return [_plain(element) for element in value]
    return value
