"""`python -m benchmarks`: run every measurement, show tables, write JSON and a chart.

How it is measured:

- Cells that are compared take turns within a round; ratios are formed within each round and their median is shown,
  because absolute figures on a shared machine say little. Each cell begins after a vacuum and a checkpoint with an
  empty log, and afterwards is counted: as many changes in the log, or results on record, as there must be.
- The daemon runs in a process of its own with the default settings.
- What is measured stands in the modules: `capture` (single, bulk), `drain`, `parked`, `latency`, `growth` (history,
  hooks, memory), `peers`, `starting`, `console`. `plan` has the sizes, `targets` what is to be reached.

The embedded server flushes what it commits (fsync and synchronous_commit are on); with --dsn the server's own settings
hold. Each measurement makes databases of its own and removes them.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.chart import draw
from benchmarks.database import Server, server
from benchmarks.machine import seconds_of_a_loop, this_machine, versions
from benchmarks.measurements import MEASUREMENTS
from benchmarks.plan import FULL, QUICK, Plan
from benchmarks.report import Report
from benchmarks.tables import Sheet, environment, length, sheets, targets

Name = StrEnum("Name", {name: name for name in MEASUREMENTS})  # type: ignore[misc]


def measure(target: Server, plan: Plan, names: list[str], console: Console, json_file: Path) -> Report:
    """Run measurements, show each when it is done, and keep the JSON up to date: a late failure costs nothing."""
    settings = target.settings()
    date = datetime.now(UTC).isoformat(timespec="seconds")
    report = Report(
        date, this_machine(), versions(settings["server_version"]), settings, plan, loops=(seconds_of_a_loop(),)
    )
    console.print(as_table(environment(report)))
    for name in names:
        begin = time.monotonic()
        with console.status(name):
            try:
                report = report.with_found(MEASUREMENTS[name](target, plan))
            except RuntimeError as error:
                report = replace(report, failures=(*report.failures, f"{name}: {error}"))
        took = {**report.took, name: time.monotonic() - begin}
        report = replace(report, took=took, loops=(*report.loops, seconds_of_a_loop()))
        _write(report, json_file)
    console.print(length(report), markup=False)
    for sheet in (*sheets(report), targets(report, measured_only=len(names) < len(MEASUREMENTS))):
        console.print(as_table(sheet))
    for name, reason in report.absent.items():
        console.print(f"{name} was not measured: {reason}", markup=False)
    return report


def as_table(sheet: Sheet) -> Table:
    """Return a table for the terminal."""
    table = Table(title=sheet.title, title_justify="left", caption=sheet.note, caption_justify="left")
    for number, column in enumerate(sheet.columns):
        table.add_column(column, justify="right" if number and column else "left")
    for row in sheet.rows:
        style = "red" if row[-1] == "MISSED" else None
        table.add_row(*row, style=style)
    return table


def _write(report: Report, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")


def main(
    dsn: Annotated[str | None, typer.Option(help="A superuser's DSN; the embedded server when not given.")] = None,
    only: Annotated[list[Name] | None, typer.Option(help="Run this measurement; may be given several times.")] = None,
    json_file: Annotated[Path, typer.Option("--json", help="Write all figures into this file.")] = Path(
        "build/bench.json"
    ),
    chart: Annotated[Path, typer.Option(help="Draw the main figures into this SVG file.")] = Path("build/bench.svg"),
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: a few minutes, rough figures.")] = False,
) -> None:
    """Measure what capture costs the writer, how fast the daemon is, how soon, and whether it stays so as things grow.

    A target that is missed is shown as missed; the exit code is 1 only where something could not be measured.
    """
    console = Console()
    with server(dsn) as target:
        names = [name.value for name in only] if only else list(MEASUREMENTS)
        report = measure(target, QUICK if quick else FULL, names, console, json_file)
    try:
        draw(report, chart)
    except ImportError:
        console.print("no chart: matplotlib is not installed (pip install 'rowhooks[bench]')", markup=False)
    for failure in report.failures:
        console.print(f"not measured: {failure}", style="red", markup=False)
    if report.failures:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
