"""`python -m benchmarks.retention`: does housekeeping stop those who write?

Ten million changes of history in ten partitions, of which some have failed runs and stay, and a million changes in the
default partition, where the ids in use go too. Eight clients of pgbench update single rows of a tracked table; half way
through `rowhooks prune` moves what is in the default partition out of it and drops the history. The clients' throughput
and their slowest transactions before and while it goes on are compared, in the same run; and how long a lock that
stops them was waited for and held, as another session sees it.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import psycopg
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


def fail(database: Database, every: int) -> None:
    """Record a failed run for one in so many changes of the history: they outlive their partitions."""
    database.execute("insert into rowhooks.job (class_path, kind, name) values ('jobs.Sync', 'hook', 'Sync')")
    database.execute(
        "insert into rowhooks.job_result (trigger, status, object_change_id, job_id, class_path, leader_epoch,"
        " job_hook_id, finished_at, exception_type) select 'change', 'FAILURE', c.id, 1, 'jobs.Sync',"
        " gen_random_uuid(), 1, now(), 'ValueError' from rowhooks.object_change as c where c.id % {every} = 0",
        every=every,
    )
    database.execute("analyze rowhooks.job_result")


def overflow(database: Database, changes: int) -> None:
    """Let the ids in use be beyond all partitions, and so many changes in the default partition."""
    database.execute(
        "select setval('rowhooks.object_change_id_seq', max(p.upper_id) + 500000) from rowhooks.log_partitions() as p"
    )
    if changes:
        database.execute(
            "insert into rowhooks.object_change (action, tracked_table, object_id, postchange)"
            " select 'update', 1, jsonb_build_object('id', n), jsonb_build_object('id', n, 'serial', md5(n::text))"
            " from generate_series(1, {changes}) as n",
            changes=changes,
        )
    database.deal_with_all()
    database.execute("checkpoint")


class LockWatch(threading.Thread):
    """Looks every millisecond whether somebody holds or waits for a lock on the log that stops those who write."""

    def __init__(self, database: Database) -> None:
        super().__init__(daemon=True)
        self._dsn = database.dsn
        self._is_over = threading.Event()
        self.longest = 0.0
        """Milliseconds of the longest uninterrupted time."""

    def run(self) -> None:
        began: float | None = None
        with psycopg.connect(self._dsn, autocommit=True) as conn:
            while not self._is_over.wait(0.001):
                found = conn.execute(
                    "select from pg_locks where relation in ('rowhooks.object_change'::regclass,"
                    " (select oid from pg_class where relname = 'object_change_default')) and mode ="
                    " 'AccessExclusiveLock' limit 1"
                ).rowcount
                now = time.monotonic()
                if not found:
                    began = None
                else:
                    began = began or now
                    self.longest = max(self.longest, (now - began) * 1000)

    def stop(self) -> None:
        """End it."""
        self._is_over.set()
        self.join()


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
    failed: Annotated[int, typer.Option(min=2, help="One in so many of them has a failed run.")] = 20,
    overflown: Annotated[int, typer.Option(min=0, help="Changes in the default partition.")] = 1_000_000,
    seconds: Annotated[int, typer.Option(min=10, help="How long the clients write.")] = 60,
    dsn: Annotated[str | None, typer.Option(help="A superuser's DSN; else an embedded server.")] = None,
) -> None:
    """Measure, and print both windows."""
    with server(dsn) as target, target.database() as database, tempfile.TemporaryDirectory() as directory:
        database.create_table("written", ROWS, tracked=True)
        fill(database, changes)
        fail(database, failed)
        overflow(database, overflown)
        pruned: list[float] = []
        watch = LockWatch(database)

        def prune() -> None:
            time.sleep(seconds / 2)
            watch.start()
            pruned.append(time.time())
            if call(["prune", "--older-than", "90d", "--dsn", database.dsn]):
                raise RuntimeError("rowhooks prune has failed")
            pruned.append(time.time())
            watch.stop()

        thread = threading.Thread(target=prune)
        thread.start()
        began = time.time()
        ended = clients(database, seconds, Path(directory))
        thread.join()
        begin, end = pruned
        left = database.value("select count(*) from rowhooks.object_change where time < now() - interval '90 days'")
        if left != changes // failed:
            raise RuntimeError(f"{left} changes of history are left, and not the {changes // failed} with failed runs")
        if database.value("select count(*) from rowhooks.object_change_default"):
            raise RuntimeError("the default partition is not empty")
        typer.echo(
            f"PostgreSQL {target.settings()['server_version']}; {changes:,} changes pruned in {end - begin:.1f} s"
        )
        before, during = window(ended, began + 1, begin), window(ended, begin, end)
        for name, found in (("before", before), ("while pruning", during)):
            typer.echo(
                f"{name:14} {found.tps:8,.0f} tps   99.9% {found.p999:7.1f} ms   slowest {found.slowest:7.1f} ms"
            )
        typer.echo(
            f"ratios: {during.tps / before.tps:.2f} of the throughput, {during.slowest / before.slowest:.1f} times the"
            f" slowest; a lock that stops writers was wanted or held for {watch.longest:.0f} ms at the longest"
        )


if __name__ == "__main__":
    typer.run(main)
