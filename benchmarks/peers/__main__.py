"""`python -m benchmarks.peers`: measure the peers alone, show a table, write JSON.

The same work as rowhooks' benchmark: the same tables, scripts, sizes and clocks (`python -m benchmarks` says which). A
peer's row trigger puts a job into its queue for every changed row, with the row's key and both rows, and its worker is
a process of its own with a job that does nothing. Every cell is counted: a job for each change, a run for each job.
Beside them stand LISTEN and NOTIFY without a queue.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.database import Database, Server, server
from benchmarks.peers.drain import drain
from benchmarks.peers.latency import latency
from benchmarks.peers.notify import RawNotify, round_trip
from benchmarks.peers.peer import Peer
from benchmarks.peers.prepare import warm_up
from benchmarks.peers.registry import Found, find_peers
from benchmarks.peers.results import PeersReport, Times
from benchmarks.peers.writes import bulk_update, flow, single_row_updates
from benchmarks.plan import FULL, QUICK, Plan
from benchmarks.results import Series


def measure(target: Server, found: Found, plan: Plan, console: Console) -> PeersReport:
    """Run every measurement of the peers, all in one database; where one writes, the others are idle."""
    notify = RawNotify()
    with target.database() as database:
        with console.status("peers: preparing"):
            _install(database, (*found.peers, notify))
        with console.status("peers: single row updates"):
            costs = single_row_updates(database, (*found.peers, notify), plan)
        with console.status("peers: bulk update"):
            costs += bulk_update(database, found.peers, plan)
        flows, drains, delays = [], [], []
        for peer in found.peers:
            with console.status(f"{peer.name}: writers and a worker at once"):
                flows.append(flow(database, peer, plan))
            with console.status(f"{peer.name}: drain"):
                drains.append(drain(database, peer, plan))
        for peer in (*found.peers, notify):
            with console.status(f"{peer.name}: latency"):
                delays.append(latency(database, peer, plan))
        with console.status("NOTIFY: round trip"):
            times = round_trip(database, plan)
    settings = {peer.name: f"{peer.version}: {peer.settings}" for peer in found.peers}
    return PeersReport(
        target.version, settings, found.unavailable, costs, tuple(flows), tuple(drains), tuple(delays), times
    )


def as_table(report: PeersReport) -> Table:
    """Return the report for people."""
    notes = [f"{name} {settings}" for name, settings in report.settings.items()]
    notes += [f"{name} was not measured: {reason}" for name, reason in report.unavailable.items()]
    table = Table(
        title=report.server,
        caption="\n".join(["medians; in brackets the lowest and the highest round", *notes]),
        caption_justify="left",
    )
    table.add_column("measurement")
    for column in ("untracked", "with the peer", "result"):
        table.add_column(column, justify="right")
    for cost in report.writes:
        figures = (f"{series.median:,.{0 if cost.unit == 'tps' else 2}f}" for series in (cost.untracked, cost.tracked))
        table.add_row(f"{cost.name} ({cost.unit})", *figures, f"{_spread(cost.ratio, 2)} x")
    table.add_section()
    for flow_ in report.flows:
        written = f"{_spread(flow_.written, 0)}/s written"
        table.add_row(f"{flow_.name}: {flow_.clients} clients and a worker", "", written, _handled(flow_.handled))
    table.add_section()
    for drain_ in report.drains:
        table.add_row(f"drain {drain_.changes:,}: {drain_.receiver}", "", "", f"{_spread(drain_.rate, 0)} jobs/s")
    table.add_section()
    for delay in report.delays:
        for what, times in (("returned", delay.after_commit), ("sent", delay.from_commit)):
            table.add_row(f"{delay.name}: COMMIT {what} -> job: p50 / p95 / p99 / max", "", "", _milliseconds(times))
    name = "NOTIFY sent -> heard, asyncpg: p50 / p95 / p99 / max"
    table.add_row(name, "", "", _milliseconds(report.notify_round_trip))
    return table


def main(
    dsn: Annotated[str | None, typer.Option(help="A superuser's DSN; the embedded server when not given.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures into this file.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, rougher figures.")] = False,
) -> None:
    """Measure PgQueuer, Procrastinate and Graphile Worker on the work of rowhooks' benchmark."""
    console = Console()
    found = find_peers()
    with server(dsn) as target:
        report = measure(target, found, QUICK if quick else FULL, console)
    console.print(as_table(report))
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")


def _install(database: Database, peers: tuple[Peer, ...]) -> None:
    for peer in peers:
        peer.install(database)
        warm_up(database, peer)


def _spread(series: Series, digits: int) -> str:
    return f"{series.median:,.{digits}f} ({series.low:,.{digits}f} .. {series.high:,.{digits}f})"


def _handled(series: Series) -> str:
    return f"{_spread(series, 0)}/s handled"


def _milliseconds(times: Times) -> str:
    seconds = (times.percentiles.p50, times.percentiles.p95, times.percentiles.p99, times.longest)
    return " / ".join(f"{one * 1000:.1f}" for one in seconds) + " ms"


if __name__ == "__main__":
    typer.run(main)
