"""Beside PgQ: rowhooks and PgQ on one server, which has PgQ's files and so need not be the other measurements'."""

from __future__ import annotations

from typing import Any

from benchmarks.database import Server
from benchmarks.peer_results import BesidePgQ, Capture
from benchmarks.peers.drain import drain
from benchmarks.peers.ours import Rowhooks
from benchmarks.peers.peer import Rival, Unavailable
from benchmarks.peers.pgq import PgQ, server_with_pgq
from benchmarks.peers.prepare import warm_up
from benchmarks.peers.writes import bulk_insert, bulk_update, single_row_updates, sustain
from benchmarks.plan import Plan
from benchmarks.receivers import BatchStopwatch, Stopwatch


def beside_pgq(server: Server, plan: Plan) -> dict[str, Any]:
    """Measure both, by the same functions; where one is at work, the other is idle."""
    try:
        with server_with_pgq(server) as target:
            return {"beside_pgq": _measure(target, plan)}
    except Unavailable as error:
        return {"absent": {PgQ.name: str(error)}}


def _measure(server: Server, plan: Plan) -> BesidePgQ:
    row = Rowhooks("rowhooks, row triggers", "row", Stopwatch)
    statement = Rowhooks("rowhooks, statement triggers", "statement", Stopwatch)
    batch = Rowhooks("rowhooks, batch receiver", "row", BatchStopwatch)
    # PgQ has a database to itself: beside its row triggers, rowhooks does not take statement triggers for safe.
    with server.database() as ours, server.database() as theirs:
        pgq = PgQ(theirs.value("select default_version from pg_available_extensions where name = 'pgq'"))
        rivals = (Rival(row, ours), Rival(statement, ours), Rival(pgq, theirs))
        for peer, database in rivals:
            peer.install(database)
            warm_up(database, peer)
        single = single_row_updates(rivals, plan)
        update = bulk_update(rivals, plan)
        insert = bulk_insert(rivals, plan)
        handled = {peer.name: sustain(database, peer, plan) for peer, database in (rivals[0], rivals[2])}

        def capture(name: str) -> Capture:
            return Capture(name, single[name], update[name], insert[name], handled.get(name))

        return BesidePgQ(
            server.settings()["server_version"], pgq.version, pgq.settings,
            capture(row.name), capture(statement.name), capture(pgq.name),
            drain(ours, row, plan), drain(ours, batch, plan), drain(theirs, pgq, plan),
        )  # fmt: skip
