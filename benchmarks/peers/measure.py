"""Measure: rowhooks' own work, done by other queues in PostgreSQL on the same server.

The same tables, scripts, sizes and clocks as ours. A peer's row trigger puts a job into its queue for every changed
row, with the row's key and both rows, and its worker is a process of its own with a job that does nothing. Every cell
is counted: a job for each change, a run for each job.
"""

from __future__ import annotations

from typing import Any

from benchmarks.database import Server
from benchmarks.peer_results import PeerFigures
from benchmarks.peers.drain import drain
from benchmarks.peers.latency import latency
from benchmarks.peers.peer import Rival
from benchmarks.peers.prepare import warm_up
from benchmarks.peers.registry import find_peers
from benchmarks.peers.writes import bulk_update, single_row_updates, sustain
from benchmarks.plan import Plan


def peers(server: Server, plan: Plan) -> dict[str, Any]:
    """Measure the peers that are installed, all in one database; where one is at work, the others are idle."""
    found = find_peers()
    with server.database() as database:
        for peer in found.peers:
            peer.install(database)
            warm_up(database, peer)
        rivals = [Rival(peer, database) for peer in found.peers]
        single = single_row_updates(rivals, plan)
        bulk = bulk_update(rivals, plan)
        figures = tuple(
            PeerFigures(
                peer.name,
                peer.version,
                peer.settings,
                single[peer.name],
                bulk[peer.name],
                drain(database, peer, plan),
                sustain(database, peer, plan),
                latency(database, peer, plan),
            )
            for peer in found.peers
        )
    return {"peers": figures, "absent": found.unavailable}
