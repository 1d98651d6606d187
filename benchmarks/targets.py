"""Targets: the figures that are to be reached, each beside what was measured. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.peer_results import BesidePgQ
from benchmarks.report import Report
from benchmarks.results import Cost, Grown, Series

MEGABYTE = 2**20
# A receiver that wrote one row reached 1,500 runs a second of two cores, and one that called save() 500. The aims were
# 1.6 and 3 times that. An absolute figure is the machine's; the ratio of the two is not.
SAVING = 3 * 500 / (1.6 * 1_500)
_UNBOUND = "none: it is the machine's"

Found = float | None
"""What was measured; None where it was not."""


@dataclass(frozen=True)
class Verdict:
    """One target and what became of it.

    Args:
        figure: what is measured.
        target: the bound, in words; or why there is none.
        measured: the figure; None where it was not measured.
        met: None where it was not measured, or has no bound.
    """

    figure: str
    target: str
    measured: str | None
    met: bool | None


@dataclass(frozen=True)
class Target:
    """A bound for one figure.

    Args:
        figure: what is measured.
        bound: the least that counts, or the most; or why there is none.
        form: how both are written, a format of one number.
        find: takes the figure from a report.
        at_most: whether less is better.
    """

    figure: str
    bound: float | str
    form: str
    find: Callable[[Report], Found]
    at_most: bool = False

    def judge(self, report: Report) -> Verdict:
        """Compare."""
        found = self.find(report)
        measured = None if found is None else self.form.format(found)
        if isinstance(self.bound, str):
            return Verdict(self.figure, self.bound, measured, None)
        wanted = f"{'at most' if self.at_most else 'at least'} {self.form.format(self.bound)}"
        if found is None:
            return Verdict(self.figure, wanted, None, None)
        return Verdict(self.figure, wanted, measured, found <= self.bound if self.at_most else found >= self.bound)


def verdicts(report: Report) -> Iterator[Verdict]:
    """Compare a report with every target."""
    for target in TARGETS:
        yield target.judge(report)


def _cost(report: Report, statement: str, capture: str) -> Cost | None:
    found = (cost for cost in report.bulk if cost.name.startswith(statement) and capture in cost.name)
    return next(found, None)


def _dearest_command(report: Report, *, listings: bool) -> Found:
    commands = report.starting.commands if report.starting else ()
    return max((one.taken.median for one in commands if one.is_listing == listings), default=None)


def _bulk(report: Report, statement: str, capture: str) -> Found:
    cost = _cost(report, statement, capture)
    return cost.ratio.median if cost else None


def _wal(report: Report) -> Found:
    cost = _cost(report, "UPDATE", "row")
    return cost.wal_tracked.median if cost else None


def _rates(report: Report, receiver: str) -> Series | None:
    return next((drain.rate for drain in report.drains if drain.receiver == receiver), None)


def _drain(report: Report, receiver: str) -> Found:
    found = _rates(report, receiver)
    return found.median if found else None


def _drain_over(report: Report, receiver: str, other: str) -> Found:
    """Compare two receivers, round by round."""
    ours, theirs = _rates(report, receiver), _rates(report, other)
    return ours.over(theirs).median if ours and theirs else None


def _over_pgq(report: Report, ratio: Callable[[BesidePgQ], Series]) -> Found:
    return ratio(report.beside_pgq).median if report.beside_pgq else None


def _last(grown: tuple[Grown, ...]) -> Found:
    return grown[-1].ratio.median if len(grown) > 1 else None


def _over(ours: Found, theirs: list[float]) -> Found:
    """Compare with the best of the peers."""
    return ours / max(theirs) if ours is not None and theirs else None


def _drains_of(report: Report, name: str) -> list[float]:
    return [peer.drain_rate.median for peer in report.peers if peer.name.startswith(name)]


def _sustained_by_peers(report: Report) -> list[float]:
    return [peer.sustained_rate.median for peer in report.peers]


def _latency_over_peers(report: Report) -> Found:
    theirs = [peer.latency.p50 for peer in report.peers]
    return report.latency.idle.sent.p50 / min(theirs) if report.latency and theirs else None


def _sustained(report: Report) -> Found:
    return report.single.running.handled.median if report.single else None


def _peak(report: Report) -> Found:
    return max(memory.peak for memory in report.memory) / MEGABYTE if report.memory else None


def _slowest_page(report: Report) -> Found:
    return max((page.taken.median * 1000 for page in report.console), default=None)


_RATIO, _TIMES, _RATE = "{:.2f}", "{:.2f} x", "{:,.0f} /s"

TARGETS = (
    Target(
        "single-row writes, tracked / untracked, daemon stopped", 0.72, _RATIO,
        lambda r: r.single.ratio.median if r.single else None,
    ),
    Target(
        "single-row writes, row triggers / PgQ's trigger in C", 1, _RATIO,
        lambda r: _over_pgq(r, lambda found: found.single_over_pgq),
    ),
    Target(
        "single-row writes, daemon running / the same with NOTIFY in every transaction", 1.5, _TIMES,
        lambda r: r.single.bell_gain.median if r.single else None,
    ),
    Target(
        "the same: changes handled / written when the writers stop", 0.95, _RATIO,
        lambda r: r.single.running.share.median if r.single else None,
    ),
    Target(
        "bulk UPDATE, tracked / untracked time, statement triggers", 3.8, _TIMES,
        lambda r: _bulk(r, "UPDATE", "statement"), at_most=True,
    ),
    Target(
        "bulk INSERT, tracked / untracked time, statement triggers", 2.8, _TIMES,
        lambda r: _bulk(r, "INSERT", "statement"), at_most=True,
    ),
    Target(
        "bulk UPDATE, tracked / untracked time, row triggers", 5.5, _TIMES,
        lambda r: _bulk(r, "UPDATE", "row"), at_most=True,
    ),
    Target(
        "bulk INSERT, tracked / untracked time, row triggers", 4.3, _TIMES,
        lambda r: _bulk(r, "INSERT", "row"), at_most=True,
    ),
    Target(
        "write-ahead log for each tracked UPDATE of a row of 200 bytes", 910, "{:,.0f} bytes", _wal, at_most=True
    ),
    Target("8 writers and the daemon: changes written and handled", 6_000, _RATE, _sustained),
    Target(
        "the same / the best peer but PgQ", 2.5, _TIMES, lambda r: _over(_sustained(r), _sustained_by_peers(r))
    ),
    Target(
        "8 writers and the daemon, handled / PgQ", 1, _TIMES,
        lambda r: _over_pgq(r, lambda found: found.handled_over_pgq),
    ),
    Target("drain, async no-op", _UNBOUND, _RATE, lambda r: _drain(r, "AsyncNoOp")),
    Target(
        "the same / PgQueuer", 3, _TIMES, lambda r: _over(_drain(r, "AsyncNoOp"), _drains_of(r, "PgQueuer"))
    ),
    Target(
        "the same / Graphile Worker", 1.3, _TIMES, lambda r: _over(_drain(r, "AsyncNoOp"), _drains_of(r, "Graphile"))
    ),
    Target("drain, changed_object read", 20_000, _RATE, lambda r: _drain(r, "AsyncReading")),
    Target("drain, plain no-op", 12_000, _RATE, lambda r: _drain(r, "PlainNoOp")),
    Target(
        "drain, plain receiver that reads change.postchange / async no-op", 0.8, _RATIO,
        lambda r: _drain_over(r, "PlainReading", "AsyncNoOp"),
    ),
    Target("drain, one row written in its own transaction", _UNBOUND, _RATE, lambda r: _drain(r, "Writing")),
    Target(
        "the same with group_commit = 50 / without", 4, _TIMES, lambda r: _drain_over(r, "WritingInGroups", "Writing")
    ),
    Target(
        "drain, save() of the loaded row / one row written", SAVING, _RATIO,
        lambda r: _drain_over(r, "Saving", "Writing"),
    ),
    Target(
        "runs that wait on record / those that wait in memory", 0.5, _RATIO,
        lambda r: r.parked.ratio.median if r.parked else None,
    ),
    Target("drain, batch receiver", _UNBOUND, _RATE, lambda r: _drain(r, "Batch")),
    Target(
        "drain, batch receiver / PgQ's bare batches", 1, _RATIO,
        lambda r: _over_pgq(r, lambda found: found.drain_batch.over(found.drain_pgq)),
    ),
    Target(
        "latency p50 / that of an UPDATE with a raw NOTIFY trigger", 1.4, _TIMES,
        lambda r: r.latency.over_trigger.median if r.latency else None, at_most=True,
    ),
    Target("latency p50 / that of the best peer", 1, _TIMES, _latency_over_peers, at_most=True),
    Target(
        "latency p99", 6, "{:.1f} ms", lambda r: r.latency.idle.sent.p99 * 1000 if r.latency else None, at_most=True
    ),
    Target("drain beside the longest history / the shortest", 0.9, _RATIO, lambda r: _last(r.history)),
    Target("drain beside the most hooks that do not match / one", 0.9, _RATIO, lambda r: _last(r.hooks)),
    Target(
        "resident memory, longest backlog / shortest", 1.3, _TIMES,
        lambda r: r.memory[-1].peak / r.memory[0].peak if len(r.memory) > 1 else None, at_most=True,
    ),
    Target("resident memory", 300, "{:,.0f} MB", _peak, at_most=True),
    Target(
        "a daemon leads after its start", 0.3, "{:.2f} s", lambda r: r.starting.ready.median if r.starting else None,
        at_most=True,
    ),
    Target(
        "processor time of `--version` and `--help`", 0.25, "{:.2f} s",
        lambda r: _dearest_command(r, listings=False), at_most=True,
    ),
    Target(
        "processor time of a listing", 0.5, "{:.2f} s",
        lambda r: _dearest_command(r, listings=True), at_most=True,
    ),
    Target("the slowest page of the console", 100, "{:,.0f} ms", _slowest_page, at_most=True),
)  # fmt: skip
