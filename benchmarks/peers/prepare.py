"""Prepare: a table whose changes make jobs of a peer, and a queue that looks as if it had been in use."""

from __future__ import annotations

import re

from benchmarks.database import Database
from benchmarks.peers.peer import Peer

_WARM_UP = 2_000


def create_table(database: Database, peer: Peer, purpose: str, rows: int) -> str:
    """Create a table that carries the peer's trigger, and return its name."""
    table = f"{purpose}_{re.sub('[^a-z]+', '_', peer.name.lower())}"
    database.create_table(table, rows, tracked=False)
    peer.attach(database, table)
    return table


def warm_up(database: Database, peer: Peer) -> None:
    """Fill the queue, collect the planner's statistics, and empty it again."""
    table = create_table(database, peer, "warm_up", _WARM_UP)
    database.execute("update bench.{table} set site = site + 1", table=table)
    database.execute("vacuum (analyze)")
    peer.clear(database)
    database.execute("drop table bench.{table}", table=table)
