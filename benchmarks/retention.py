"""`python -m benchmarks.retention`: does pruning history stop those who write?

Ten million changes of history in ten partitions. Eight clients of pgbench update single rows of a tracked table; half
way through `rowhooks prune` drops the history. The clients' throughput and their slowest transactions before and while
it goes on are compared, in the same run.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from benchmarks.capture import UPDATE_ONE
from benchmarks.database import Database, server
from rowhooks.cli import call
from rowhooks.demo.embedded import find_binaries

ROWS = 10_000


class Window(NamedTuple):
    """What the clients had in a span of time: transactions a second, and latencies in milliseconds."""

    tps: float
    p999: float
    slowest: float


def fill(database: Database, changes: int, *, days: int = 100, dealt_with: bool = True) -> None:
    """Write history as the triggers would.

    Args:
        database: whose first tracked table it is of.
        changes: how many.
        days: how old they are.
        dealt_with: whether the feed's position is behind them.
    """
    database.execute("select rowhooks.extend_object_change(1000000, {ahead})", ahead=changes // 1_000_000 + 2)
    database.execute(
        "insert into rowhooks.object_change"
        " (time, action, tracked_table, object_id, object_repr, prechange, postchange)"
        " select now() - {days} * interval '1 day', 'update', 1, jsonb_build_object('id', n), 'device-' || n,"
        " jsonb_build_object('id', n, 'name', 'device-' || n, 'serial', md5(n::text)),"
        " jsonb_build_object('id', n, 'name', 'device-' || n, 'serial', md5((n + 1)::text))"
        " from generate_series(1, {changes}) as n",
        changes=changes,
        days=days,
    )
    if dealt_with:
        database.deal_with_all()
    database.execute("analyze rowhooks.object_change")
    database.execute("checkpoint")


def clients(database: Database, seconds: int, directory: Path) -> list[tuple[float, float]]:
    """Run eight clients; return when each transaction ended and how many milliseconds it took."""
    script = directory / "script.sql"
    script.write_text(UPDATE_ONE.format(table="written", rows=ROWS), encoding="utf-8")
    subprocess.run(
        [
            str(find_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared", "--client=8", "--jobs=2",
            f"--time={seconds}", f"--file={script}", "--log", f"--log-prefix={directory / 'log'}", database.dsn,
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ended = []
    for log in directory.glob("log*"):
        for line in log.read_text("ascii").splitlines():
            # client, transaction, microseconds taken, script, seconds, microseconds
            fields = line.split()
            ended.append((int(fields[4]) + int(fields[5]) / 1e6, int(fields[2]) / 1000))
    return ended


def window(ended: list[tuple[float, float]], begin: float, end: float) -> Window:
    """Return what the clients had between two moments."""
    taken = sorted(latency for moment, latency in ended if begin <= moment < end)
    return Window(len(taken) / (end - begin), taken[int(len(taken) * 0.999)], taken[-1])


def main(
    changes: Annotated[int, typer.Option(min=1_000_000, help="Changes of history.")] = 10_000_000,
    seconds: Annotated[int, typer.Option(min=10, help="How long the clients write.")] = 40,
    dsn: Annotated[str | None, typer.Option(help="A superuser's DSN; else an embedded server.")] = None,
) -> None:
    """Measure, and print both windows."""
    with server(dsn) as target, target.database() as database, tempfile.TemporaryDirectory() as directory:
        database.create_table("written", ROWS, tracked=True)
        fill(database, changes)
        pruned: list[float] = []

        def prune() -> None:
            time.sleep(seconds / 2)
            pruned.append(time.time())
            if call(["prune", "--older-than", "90d", "--dsn", database.dsn]):
                raise RuntimeError("rowhooks prune has failed")
            pruned.append(time.time())

        thread = threading.Thread(target=prune)
        thread.start()
        began = time.time()
        ended = clients(database, seconds, Path(directory))
        thread.join()
        begin, end = pruned
        left = database.value("select count(*) from rowhooks.object_change where time < now() - interval '90 days'")
        if left:
            raise RuntimeError(f"{left} changes of history are left")
        typer.echo(
            f"PostgreSQL {target.settings()['server_version']}; {changes:,} changes pruned in {end - begin:.1f} s"
        )
        for name, found in (
            ("before", window(ended, began + 1, begin)), ("while pruning", window(ended, begin, end)),
        ):  # fmt: skip
            typer.echo(
                f"{name:14} {found.tps:8,.0f} tps   99.9% {found.p999:7.1f} ms   slowest {found.slowest:7.1f} ms"
            )


if __name__ == "__main__":
    typer.run(main)
