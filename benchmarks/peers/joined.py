"""Joined: the peers' figures as they stand beside ours in the report."""

from __future__ import annotations

from rich.console import Console

from benchmarks.database import Server
from benchmarks.peers.__main__ import measure
from benchmarks.peers.registry import find_peers
from benchmarks.plan import Plan
from benchmarks.results import Peer


def peers(server: Server, plan: Plan) -> tuple[Peer, ...]:
    """Measure the peers that are installed."""
    found = find_peers()
    report = measure(server, found, plan, Console(quiet=True))
    bulk = {cost.name.partition(":")[0]: cost.ratio for cost in report.writes if cost.unit == "s"}
    single = {cost.name.partition(":")[0]: cost.ratio for cost in report.writes if cost.unit == "tps"}
    drains = {drain.receiver.partition(":")[0]: drain.rate for drain in report.drains}
    handled = {flow.name: flow.handled for flow in report.flows}
    delays = {delay.name: delay.from_commit.percentiles for delay in report.delays}
    return tuple(
        Peer(
            peer.name, peer.version, single.get(peer.name), bulk.get(peer.name), drains.get(peer.name),
            handled.get(peer.name), delays.get(peer.name),
        )
        for peer in found.peers
    )  # fmt: skip
