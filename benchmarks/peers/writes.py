"""Writes: what a peer's trigger costs the writer, while no worker runs, and what comes through when one does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.capture import UPDATE_ONE
from benchmarks.database import ROWS, Database
from benchmarks.peers.peer import Peer, Rival
from benchmarks.peers.prepare import create_table
from benchmarks.plan import Plan
from benchmarks.results import Series


def single_row_updates(rivals: Sequence[Rival], plan: Plan) -> dict[str, Series]:
    """Return, by peer, the transactions a second of one UPDATE of one row, many clients at once, / untracked."""

    def measure(database: Database, table: str, peer: Peer | None) -> float:
        done = database.pgbench(_script(table, plan), clients=plan.clients, seconds=plan.seconds)
        _check(database, peer, done.transactions)
        return done.tps

    return _take_turns(rivals, "single", plan.table_rows, measure, plan)


def bulk_update(rivals: Sequence[Rival], plan: Plan) -> dict[str, Series]:
    """Return, by peer, the time of one UPDATE of every row of a table / untracked."""

    def measure(database: Database, table: str, peer: Peer | None) -> float:
        seconds = database.timed("update bench.{table} set site = site + 1", table=table)
        _check(database, peer, plan.bulk_rows)
        return seconds

    return _take_turns(rivals, "updated", plan.bulk_rows, measure, plan)


def bulk_insert(rivals: Sequence[Rival], plan: Plan) -> dict[str, Series]:
    """Return, by peer, the time of one INSERT of many rows into an empty table / untracked."""

    def measure(database: Database, table: str, peer: Peer | None) -> float:
        seconds = database.timed(ROWS, table=table, rows=plan.bulk_rows)
        _check(database, peer, plan.bulk_rows)
        database.execute("truncate bench.{table}", table=table)
        return seconds

    return _take_turns(rivals, "inserted", 0, measure, plan)


def sustain(database: Database, peer: Peer, plan: Plan) -> Series:
    """Return the changes a second that are written and handled while a worker runs beside the clients."""
    table = create_table(database, peer, "sustained", plan.table_rows)
    handled = []
    for _ in range(plan.rounds):
        peer.clear(database)
        database.settle(table)
        with peer.worker(database) as worker:
            done = database.pgbench(_script(table, plan), clients=plan.clients, seconds=plan.seconds)
            waiting = peer.queued(database)
        left = peer.queued(database)
        if worker.handled.jobs != done.transactions - left:
            raise RuntimeError(
                f"{peer.name}: {done.transactions} changes were written, {worker.handled.jobs} handled and {left} left"
            )
        handled.append(done.tps * (done.transactions - waiting) / done.transactions)
    return Series(tuple(handled))


def _script(table: str, plan: Plan) -> str:
    return UPDATE_ONE.format(table=table, rows=plan.table_rows)


def _take_turns(
    rivals: Sequence[Rival], purpose: str, rows: int, measure: Callable[[Database, str, Peer | None], float], plan: Plan
) -> dict[str, Series]:
    bare = f"{purpose}_by_nobody"
    rivals[0].database.create_table(bare, rows, tracked=False)
    tables: list[tuple[Database, str, Peer | None]] = [(rivals[0].database, bare, None)]
    tables += [(database, create_table(database, peer, purpose, rows), peer) for peer, database in rivals]
    figures: list[list[float]] = [[] for _ in tables]
    for _ in range(plan.rounds):
        for (database, table, peer), found in zip(tables, figures, strict=True):
            if peer is not None:
                peer.clear(database)
            database.settle(table)
            found.append(measure(database, table, peer))
    untracked, *others = (Series(tuple(found)) for found in figures)
    return {rival.peer.name: series.over(untracked) for rival, series in zip(rivals, others, strict=True)}


def _check(database: Database, peer: Peer | None, written: int) -> None:
    if peer is not None and (queued := peer.queued(database)) != written:
        raise RuntimeError(f"{peer.name}: {written} changes were written and {queued} jobs queued")
