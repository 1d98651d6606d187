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
        backlog: changes that wait for the daemon, for receivers that do nothing.
        saving_backlog: changes that wait for the daemon, for the receiver that saves.
        latency_changes: changes of the latency measurement.
    """

    rounds: int
    table_rows: int
    clients: int
    seconds: int
    bulk_rows: int
    backlog: int
    saving_backlog: int
    latency_changes: int


FULL = Plan(
    rounds=3,
    table_rows=100_000,
    clients=8,
    seconds=5,
    bulk_rows=100_000,
    backlog=20_000,
    saving_backlog=2_000,
    latency_changes=300,
)
QUICK = Plan(
    rounds=3,
    table_rows=20_000,
    clients=8,
    seconds=2,
    bulk_rows=20_000,
    backlog=2_000,
    saving_backlog=200,
    latency_changes=100,
)
