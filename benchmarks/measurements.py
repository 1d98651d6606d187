"""Measurements: by name, in their order; each returns the parts of the report that it fills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.capture import bulk, single_row
from benchmarks.console import console
from benchmarks.database import Server
from benchmarks.drain import drain
from benchmarks.growth import history, hooks, memory
from benchmarks.latency import latency
from benchmarks.parked import parked
from benchmarks.peers.beside_pgq import beside_pgq
from benchmarks.peers.measure import peers
from benchmarks.plan import Plan
from benchmarks.starting import starting
from benchmarks.workers import workers

Measurement = Callable[[Server, Plan], dict[str, Any]]
"""Gives fields of `Report`."""

MEASUREMENTS: dict[str, Measurement] = {
    "single": lambda server, plan: {"single": single_row(server, plan)},
    "bulk": lambda server, plan: {"bulk": bulk(server, plan)},
    "drain": lambda server, plan: {"drains": drain(server, plan)},
    "parked": lambda server, plan: {"parked": parked(server, plan)},
    "latency": lambda server, plan: {"latency": latency(server, plan)},
    "history": lambda server, plan: {"history": history(server, plan)},
    "hooks": lambda server, plan: {"hooks": hooks(server, plan)},
    "workers": workers,
    "peers": peers,
    "pgq": beside_pgq,
    "memory": lambda server, plan: {"memory": memory(server, plan)},
    "start": lambda server, plan: {"starting": starting(server, plan)},
    "console": lambda server, plan: {"console": console(server, plan)},
}
