"""Tables: a report as rows of text, for the terminal and for the documentation alike. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.peer_results import BesidePgQ
from benchmarks.plan import Plan
from benchmarks.report import Report
from benchmarks.results import (
    Grown,
    Latency,
    Parked,
    Percentiles,
    ProcessorTime,
    Series,
    Single,
    Starting,
    WorkersFound,
    Writing,
)
from benchmarks.targets import MEGABYTE, Verdict, verdicts

_NONE = "-"
_LOOP = "10 million additions in a Python loop, before and after each part"
RATES = (1_000, 10_000, 100_000)
"""Runs a second for which the cores are told."""
_MET, _MISSED, _NOT_MEASURED = "met", "MISSED", "not measured"


@dataclass(frozen=True)
class Sheet:
    """One table.

    Args:
        title: of the table.
        columns: the first is for words, the others for figures.
        rows: as many cells each as there are columns.
        note: below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def sheets(report: Report) -> Iterator[Sheet]:
    """Yield a table for all that was measured."""
    if report.single is not None:
        yield _single(report, report.single)
    if report.bulk:
        yield _bulk(report)
    if report.drains or report.peers:
        yield _drain(report)
    if report.beside_pgq is not None:
        yield _beside_pgq(report.beside_pgq, report.plan)
    if report.workers is not None:
        yield from _workers(report.workers)
    if report.parked is not None:
        yield _parked(report.parked)
    if report.latency is not None:
        yield _latency(report)
    if report.history:
        yield _growth("Drain beside history", "changes, and as many results, on record", report.history)
    if report.hooks:
        yield _growth("Drain beside hooks that do not match", "hooks", report.hooks)
    if report.memory:
        yield _memory(report)
    if report.starting:
        yield _starting(report.starting)
        if report.starting.commands:
            yield _commands(report.starting)
    if report.console:
        yield _console(report)


def targets(report: Report, *, measured_only: bool = False) -> Sheet:
    """Return the table of the targets; of those alone that were measured, if only some were asked for."""
    shown = [verdict for verdict in verdicts(report) if verdict.measured is not None or not measured_only]
    count = Counter(map(_judgement, shown))
    return Sheet(
        "Targets",
        ("figure", "target", "measured", ""),
        tuple((found.figure, found.target, found.measured or _NONE, _judgement(found)) for found in shown),
        ", ".join(f"{count[word]} {word.lower()}" for word in (_MET, _MISSED, _NOT_MEASURED)),
    )


def _judgement(found: Verdict) -> str:
    if found.measured is None:
        return _NOT_MEASURED
    return {True: _MET, False: _MISSED, None: ""}[found.met]


def environment(report: Report) -> Sheet:
    """Return what the figures hold for."""
    machine = report.machine
    return Sheet(
        "Measured on",
        ("", ""),
        (
            ("date", report.date),
            ("processor", f"{machine.cpu}, {machine.cores} cores"),
            ("memory", f"{machine.memory / 2**30:.0f} GB"),
            ("kernel", machine.kernel),
            ("versions", ", ".join(f"{name} {version}" for name, version in report.versions.items())),
            ("server", ", ".join(f"{name}={value}" for name, value in report.settings.items())),
            ("rounds", f"{report.plan.rounds}, {report.plan.seconds} s of writing in each"),
            *([("length", length(report))] if report.took else []),
            *([(_LOOP, f"{_spread(Series(report.loops), 2)} s")] if report.loops else []),
            *((peer.name, f"{peer.version}: {peer.settings}") for peer in report.peers),
            *((name, f"not measured: {reason}") for name, reason in report.absent.items()),
        ),
    )


def length(report: Report) -> str:
    """Return how long the run took, and each measurement in it."""
    parts = ", ".join(f"{name} {seconds / 60:.1f}" for name, seconds in report.took.items())
    return f"{sum(report.took.values()) / 60:.0f} minutes ({parts})"


def _single(report: Report, single: Single) -> Sheet:
    def beside(name: str, writing: Writing) -> tuple[str, ...]:
        return (
            name, _spread(writing.tps), _spread(writing.tps.over(single.untracked), 2), _spread(writing.handled),
            _spread(writing.backlog),
        )  # fmt: skip

    return Sheet(
        f"Writing: UPDATE of one row, {single.clients} clients",
        ("", "tps", "of untracked", "handled/s", "backlog left"),
        (
            ("untracked", _spread(single.untracked), "1", _NONE, _NONE),
            ("tracked, no daemon", _spread(single.stopped), _spread(single.ratio, 2), _NONE, _NONE),
            beside("tracked, daemon running", single.running),
            beside("tracked, daemon running, NOTIFY in every transaction", single.notifying),
            *(
                (peer.name, _NONE, _spread(peer.write_ratio, 2), _spread(peer.sustained_rate), _NONE)
                for peer in report.peers
            ),
        ),
        "handled/s: changes with results on record when the writers stopped, a second; backlog left: those without",
    )


def _bulk(report: Report) -> Sheet:
    return Sheet(
        "Writing: one statement, no daemon",
        ("", "untracked, s", "tracked, s", "of untracked", "WAL untracked, bytes a row", "WAL tracked"),
        (
            *(
                (
                    cost.name,
                    _spread(cost.untracked, 2),
                    _spread(cost.tracked, 2),
                    _spread(cost.ratio, 2),
                    _spread(cost.wal_untracked),
                    _spread(cost.wal_tracked),
                )
                for cost in report.bulk
            ),
            *(
                (f"{peer.name}: UPDATE", _NONE, _NONE, _spread(peer.bulk_ratio, 2), _NONE, _NONE)
                for peer in report.peers
            ),
        ),
    )


def _drain(report: Report) -> Sheet:
    return Sheet(
        "Draining a backlog",
        ("", "changes", "changes/s"),
        (
            *((drain.description, f"{drain.changes:,}", _spread(drain.rate)) for drain in report.drains),
            *((peer.name, _NONE, _spread(peer.drain_rate)) for peer in report.peers),
        ),
    )


def _workers(found: WorkersFound) -> Iterator[Sheet]:
    counts = [count for count, _ in found.executed[0].rates]
    yield Sheet(
        f"Executing {found.changes:,} changes in worker processes, changes/s",
        ("", *("in the daemon" if not count else f"{count} processes" for count in counts)),
        (
            *((one.description, *(_spread(rate) for _, rate in one.rates)) for one in found.executed),
            *(
                (f"Celery's tasks: {one.receiver}", _NONE, *(_spread(rate) for _, rate in one.rates))
                for one in found.tasks
            ),
        ),
        "a worker has as many threads as the daemon: ten; a process of Celery's executes one task at a time",
    )
    yield Sheet(
        "Processor time of a run, microseconds",
        ("", "in the daemon: daemon", "server", "in a worker: daemon", "worker", "server"),
        tuple(
            (
                one.description,
                *(_spread(series.times(1e6)) for series in (one.here.daemon, one.here.server)),
                *(_spread(series.times(1e6)) for series in (one.there.daemon, one.there.workers, one.there.server)),
            )
            for one in found.executed
        ),
    )
    yield Sheet(
        "Cores for so many runs a second in workers, from these figures",
        ("", *(f"{rate:,}/s" for rate in RATES)),
        tuple((one.description, *(_cores(one.there, rate) for rate in RATES)) for one in found.executed),
        "on paper, as if the time of a run did not change with the number of cores: daemon + workers + server; a daemon"
        " has one core at the most",
    )
    yield Sheet(
        "Latency from COMMIT to a plain receiver, ms",
        ("", "p50", "p95", "p99", "max"),
        tuple(
            (name, *_milliseconds(one))
            for name, one in (("in the daemon", found.latency_here), ("in a worker", found.latency_there))
        ),
    )


def _cores(time: ProcessorTime, rate: int) -> str:
    if time.most < rate:
        return f"one daemon hands out {time.most:,.0f}/s"
    return " + ".join(f"{rate * series.median:.2f}" for series in (time.daemon, time.workers, time.server))


def _beside_pgq(found: BesidePgQ, plan: Plan) -> Sheet:
    drains = {found.row.name: found.drain_single, found.pgq.name: found.drain_pgq}
    return Sheet(
        f"Beside PgQ {found.version}, on PostgreSQL {found.postgresql.partition(' ')[0]}",
        (
            "", f"UPDATE of one row, {plan.clients} clients: tps, of untracked",
            f"UPDATE of {plan.bulk_rows:,} rows: time, of untracked", "INSERT of as many",
            f"{plan.clients} clients and a worker: handled/s", "drain of a backlog: changes/s",
        ),
        (
            *(
                (
                    way.name, _spread(way.single, 2), _spread(way.update, 2), _spread(way.insert, 2),
                    _spread(way.handled) if way.handled else _NONE,
                    _spread(drains[way.name]) if way.name in drains else _NONE,
                )
                for way in (found.row, found.statement, found.pgq)
            ),
            ("rowhooks, batch receiver", _NONE, _NONE, _NONE, _NONE, _spread(found.drain_batch)),
        ),
        f"both on one server that has PgQ's files; rowhooks runs a receiver for each change, PgQ hands out batches;"
        f" {found.settings}",
    )  # fmt: skip


def _latency(report: Report) -> Sheet:
    assert report.latency is not None

    def row(latency: Latency) -> tuple[str, ...]:
        return (latency.name, *_milliseconds(latency.sent), f"{latency.returned.p50 * 1000:.2f}")

    found = report.latency
    return Sheet(
        "Latency from COMMIT, ms",
        ("", "p50", "p95", "p99", "max", "p50 from its answer"),
        (
            *(row(latency) for latency in (found.notify, found.trigger, found.idle, found.busy)),
            *((peer.name, *_milliseconds(peer.latency), _NONE) for peer in report.peers),
        ),
        "from the moment the writer sends its COMMIT; the last column from the moment it knows that it has committed",
    )


def _growth(title: str, what: str, grown: tuple[Grown, ...]) -> Sheet:
    return Sheet(
        title,
        (what, "changes/s", f"of that at {grown[0].amount:,}"),
        tuple((f"{cell.amount:,}", _spread(cell.rate), _spread(cell.ratio, 2)) for cell in grown),
    )


def _parked(found: Parked) -> Sheet:
    return Sheet(
        "Runs that wait on record for their row's turn",
        ("", "runs/s", "of that in memory"),
        (
            ("in memory", _spread(found.fresh), _NONE),
            ("on record", _spread(found.parked), _spread(found.ratio, 2)),
        ),
        f"{found.runs:,} runs of {found.rows} rows; a plain receiver that writes one row of another table",
    )


def _memory(report: Report) -> Sheet:
    least = report.memory[0]
    return Sheet(
        "The daemon's resident memory",
        ("changes waiting", "dealt with", "peak, MB", f"of that at {least.backlog:,}"),
        tuple(
            (
                f"{cell.backlog:,}",
                f"{cell.watched:,}",
                f"{cell.peak / MEGABYTE:.0f}",
                f"{cell.peak / least.peak:.2f}",
            )
            for cell in report.memory
        ),
    )


def _starting(found: Starting) -> Sheet:
    cells = (
        ("Python that does nothing", found.nothing),
        ("Python that imports the libraries of a daemon", found.libraries),
        ("`rowhooks --version`", found.version),
        ("`rowhooks run`, to its leading", found.ready),
        ("`rowhooks run`, to the result of a change that waited for it", found.first_run),
    )
    return Sheet(
        "Starting a process, s",
        ("", "s", "of the libraries"),
        tuple((name, _spread(taken, 2), _spread(taken.over(found.libraries), 2)) for name, taken in cells),
    )


def _commands(found: Starting) -> Sheet:
    return Sheet(
        "Processor time of a command",
        ("", "s", "of `python -c pass`"),
        tuple((f"`{one.name}`", _spread(one.taken, 2), _spread(one.ratio, 1)) for one in found.commands),
        "user and system time of the process, with what it imports",
    )


def _console(report: Report) -> Sheet:
    def milliseconds(series: Series) -> Series:
        return Series(tuple(1000 * value for value in series.values))

    trivial = report.console[0].trivial
    return Sheet(
        f"The console's pages beside {report.plan.console_changes:,} changes of three tables, and half as many runs",
        ("", "kB", "ms", "of a trivial page"),
        (
            ("a trivial page", _NONE, _spread(milliseconds(trivial), 1), "1"),
            *(
                (page.name, f"{page.size / 1000:.0f}", _spread(milliseconds(page.taken), 1), _spread(page.ratio, 1))
                for page in report.console
            ),
        ),
        "from the request to the last byte, on loopback, one request after another",
    )


def _spread(series: Series, digits: int = 0) -> str:
    if len(series.values) == 1:
        return f"{series.median:,.{digits}f}"
    return f"{series.median:,.{digits}f} ({series.low:,.{digits}f} .. {series.high:,.{digits}f})"


def _milliseconds(times: Percentiles) -> tuple[str, ...]:
    return tuple(f"{seconds * 1000:.2f}" for seconds in (times.p50, times.p95, times.p99, times.slowest))
