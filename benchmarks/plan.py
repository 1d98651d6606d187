"""Plan: how much each measurement does. Leaf; imports nothing of the benchmark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """The sizes of one run.

    Args:
        rounds: how often each cell is measured; cells of one measurement take turns within a round.
        table_rows: rows of the tables that are written to.
        clients: pgbench's clients.
        seconds: length of one pgbench cell.
        bulk_rows: rows written by one bulk statement.
        backlog: changes that wait for the daemon.
        writing_backlog: changes that wait for the daemon, for the receivers that write.
        executed_backlog: changes that wait for worker processes.
        parked_updates: of each row, whose runs wait on record for their row's turn.
        longest: seconds after which a drain is cut off; its rate is then that of what was handled.
        latency_changes: changes of each latency measurement in one round.
        busy_tps: transactions a second that the clients write beside the busy latency measurement.
        histories: changes on record, as many results beside them, before a drain; the first is the measure.
        hook_counts: hooks that do not match, during a drain; the first is the measure.
        growth_backlog: changes that wait for the daemon in a drain with history or with hooks that do not match.
        memory_backlogs: changes that wait for the daemon whose memory is read; the first is the measure.
        memory_watched: how many of them are dealt with before it is read.
        console_changes: changes on record, and half as many runs, when the console's pages are asked for.
    """

    rounds: int
    table_rows: int
    clients: int
    seconds: int
    bulk_rows: int
    backlog: int
    writing_backlog: int
    executed_backlog: int
    parked_updates: int
    longest: float
    latency_changes: int
    busy_tps: int
    histories: tuple[int, ...]
    hook_counts: tuple[int, ...]
    growth_backlog: int
    memory_backlogs: tuple[int, ...]
    memory_watched: int
    console_changes: int


FULL = Plan(
    rounds=3,
    table_rows=100_000,
    clients=8,
    seconds=5,
    bulk_rows=100_000,
    backlog=100_000,
    writing_backlog=20_000,
    executed_backlog=5_000,
    parked_updates=300,
    longest=15,
    latency_changes=100,
    busy_tps=500,
    histories=(10_000, 1_000_000, 5_000_000),
    hook_counts=(1, 100, 1_000),
    growth_backlog=50_000,
    memory_backlogs=(10_000, 2_000_000),
    memory_watched=300_000,
    console_changes=5_000_000,
)
QUICK = Plan(
    rounds=2,
    table_rows=20_000,
    clients=8,
    seconds=1,
    bulk_rows=20_000,
    backlog=10_000,
    writing_backlog=500,
    executed_backlog=300,
    parked_updates=15,
    longest=3,
    latency_changes=20,
    busy_tps=500,
    histories=(1_000, 20_000, 100_000),
    hook_counts=(1, 100, 1_000),
    growth_backlog=5_000,
    memory_backlogs=(2_000, 50_000),
    memory_watched=10_000,
    console_changes=200_000,
)
