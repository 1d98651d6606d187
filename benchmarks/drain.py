"""Drain: how fast the daemon deals with a backlog that was written while it was away."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from benchmarks.daemon_process import DaemonProcess, add_hooks, daemon_process, enable_only
from benchmarks.database import Database, Server
from benchmarks.plan import Plan
from benchmarks.receivers import DRAINED, Saving, Writing, WritingInGroups
from benchmarks.results import Drain, Series

TABLE = "drained"
_WRITE = (Writing, WritingInGroups, Saving)
_POLL = 0.005
# Cheap enough not to disturb: one row, and a partial index. The position is behind a change once the change's runs are
# on record, also as PENDING where they wait for more than a second.
_IS_DRAINED = """
select
  (f.newest_id >= %(last)s or (f.target is not null and f.after_id >= %(last)s))
  and (%(unfinished)s or not exists (
    select from rowhooks.job_result as r where r.status in ('PENDING', 'STARTED', 'RETRY')
  ))
from rowhooks.feed as f
"""


class _Waited(NamedTuple):
    """How long a drain took, and whether it came to its end."""

    seconds: float
    drained: bool


def drain(server: Server, plan: Plan) -> tuple[Drain, ...]:
    """Measure changes a second, for a backlog of one UPDATE of as many different rows.

    The daemon runs in a process of its own with the default settings. The time is from its being ready to the moment
    when the position is behind the last change and the results of all runs are committed.
    """
    cells = tuple((receiver, plan.writing_backlog if receiver in _WRITE else plan.backlog) for receiver in DRAINED)
    rates: dict[str, list[float]] = {receiver.__name__: [] for receiver in DRAINED}
    with server.database() as database:
        database.create_table(TABLE, max(plan.backlog, plan.writing_backlog), tracked=True)
        add_hooks(database, TABLE)
        database.conn.execute("create table bench.written (change_id bigint)")
        database.conn.execute("grant insert on bench.written to rowhooks_daemon")
        with daemon_process(database) as process:
            for _ in range(plan.rounds):
                for receiver, changes in cells:
                    database.settle(TABLE)
                    enable_only(database, receiver.__name__)
                    rates[receiver.__name__].append(drain_once(database, process, changes, plan.longest))
    return tuple(
        Drain(
            receiver.__name__,
            (receiver.__doc__ or "").removesuffix("."),
            changes,
            Series(tuple(rates[receiver.__name__])),
        )
        for receiver, changes in cells
    )


def drain_once(
    database: Database,
    process: DaemonProcess,
    changes: int,
    longest: float,
    watched: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> float:
    """Write a backlog, start a daemon, and return the changes a second that it handled.

    Args:
        database: in which a table `drained` is tracked and one receiver's hook enabled.
        process: where the daemon runs.
        changes: length of the backlog.
        longest: seconds after which it is cut off; the rate is then that of the results on record.
        watched: entered while the daemon drains.

    Raises:
        RuntimeError: the backlog was drained, but not as many runs as changes have succeeded.
    """
    write_backlog(database, changes)
    last = database.value("select max(id) from rowhooks.object_change")
    on_record = database.handled()
    with process.running() as ready:
        with watched():
            waited = wait_until_drained(database, last, ready, longest)
        done = database.handled() - on_record
    # What a batch receiver was given is counted by itself: it need not have a result each.
    if waited.drained and process.batched:
        done = process.batched
    if waited.drained and done != changes:
        raise RuntimeError(f"{changes} changes gave {done} successful runs")
    if not done:
        raise RuntimeError(f"none of {changes} changes was on record within {longest:.0f} s")
    return done / waited.seconds


def write_backlog(database: Database, changes: int) -> None:
    """Update as many rows at once, and leave nothing else to do."""
    database.execute("update bench.{table} set site = site + 1 where id <= {changes}", table=TABLE, changes=changes)
    database.execute("vacuum (analyze) bench.{table}", table=TABLE)
    database.execute("checkpoint")


def wait_until_drained(
    database: Database, last: int, ready: float, longest: float, *, unfinished: bool = False
) -> _Waited:
    """Wait until the position is behind a change, or until it takes too long.

    Args:
        database: where the daemon runs.
        last: id of the change.
        ready: when the daemon was, by CLOCK_MONOTONIC.
        longest: seconds from then on after which to give up.
        unfinished: whether runs may be under way then, as they are in the middle of a longer backlog.
    """
    while not is_drained(database, last, unfinished=unfinished):
        if time.monotonic() - ready > longest:
            return _Waited(time.monotonic() - ready, drained=False)
        time.sleep(_POLL)
    return _Waited(time.monotonic() - ready, drained=True)


def is_drained(database: Database, last: int, *, unfinished: bool = False) -> bool:
    """Say whether the position is behind a change and, unless `unfinished`, no run is waiting or under way."""
    row = database.conn.execute(_IS_DRAINED, {"last": last, "unfinished": unfinished}).fetchone()
    return row is not None and bool(row[0])
