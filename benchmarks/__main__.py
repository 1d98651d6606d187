"""`python -m benchmarks`: run every measurement once, show a table, write JSON.

What is measured, and how:

- Capture: throughput of single-row UPDATEs (pgbench, prepared statements) and the time of one bulk UPDATE and one bulk
  INSERT, on a table without triggers and on an equal one that is tracked, while no daemon runs. The two take turns;
  the ratio is formed within each round and its median shown, because absolute figures on a shared machine say little.
  Every cell begins after a vacuum and a checkpoint with an empty log, and afterwards the log is counted: as many
  changes as were written.
- Drain: changes a second of a daemon in a process of its own that finds a backlog, for a receiver that does nothing
  (`async def` and plain) and one that saves its row; until all results are committed, and they are counted.
- Latency: from a writer's COMMIT to a receiver's first line, on an idle system, as percentiles.

The embedded server flushes what it commits (fsync and synchronous_commit are on); with --dsn the server's own settings
hold. Each measurement makes a database of its own and removes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.capture import bulk_insert, bulk_update, single_row_updates
from benchmarks.database import Server, server
from benchmarks.drain import drain
from benchmarks.latency import latency
from benchmarks.plan import FULL, QUICK, Plan
from benchmarks.results import Percentiles, Report, Series

MEASUREMENTS_OF_CAPTURE = (single_row_updates, bulk_update, bulk_insert)


def measure(target: Server, plan: Plan, console: Console) -> Report:
    """Run every measurement, each in a database of its own."""
    costs = []
    for measurement in MEASUREMENTS_OF_CAPTURE:
        with console.status(measurement.__name__.replace("_", " ")), target.database() as database:
            costs.append(measurement(database, plan))
    with console.status("drain"), target.database() as database:
        drains = drain(database, plan)
    with console.status("latency"), target.database() as database:
        delay = latency(database, plan)
    return Report(target.version, tuple(costs), drains, delay)


def as_table(report: Report) -> Table:
    """Return the report for people."""
    table = Table(title=report.server, caption="medians; in brackets the lowest and the highest round")
    table.add_column("measurement")
    for column in ("untracked", "tracked", "result"):
        table.add_column(column, justify="right")
    for cost in report.costs:
        figures = (f"{series.median:,.{0 if cost.unit == 'tps' else 2}f}" for series in (cost.untracked, cost.tracked))
        table.add_row(f"{cost.name} ({cost.unit})", *figures, f"{_spread(cost.ratio, 2)} x")
    table.add_section()
    for drain_ in report.drains:
        table.add_row(f"drain {drain_.changes:,}: {drain_.receiver}", "", "", f"{_spread(drain_.rate, 0)} changes/s")
    table.add_section()
    for name, times in (("returned", report.latency.after_commit), ("sent", report.latency.from_commit)):
        table.add_row(f"COMMIT {name} -> receiver: p50 / p95 / p99", "", "", f"{_milliseconds(times)} ms")
    return table


def _spread(series: Series, digits: int) -> str:
    return f"{series.median:,.{digits}f} ({series.low:,.{digits}f} .. {series.high:,.{digits}f})"


def _milliseconds(times: Percentiles) -> str:
    return " / ".join(f"{seconds * 1000:.1f}" for seconds in (times.p50, times.p95, times.p99))


def main(
    dsn: Annotated[str | None, typer.Option(help="A superuser's DSN; the embedded server when not given.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures into this file.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: under a minute, rougher figures.")] = False,
) -> None:
    """Measure what capture costs the writer, how fast the daemon drains a backlog, and how soon a receiver starts."""
    console = Console()
    plan = QUICK if quick else FULL
    with server(dsn) as target:
        report = measure(target, plan, console)
    console.print(as_table(report))
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
